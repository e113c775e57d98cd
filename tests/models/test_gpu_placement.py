"""On a machine without a GPU: a step's forward passes with tensors that only claim to be on subject.

PyTorch's fake tensors have a device, a type and a shape; operations on two devices at once fail as on a real GPU, and
autocast chooses types as there. Backward passes need a real subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from models.cyclegan import patch_distance
from models.cyclegan.cycle_losses import Weights, discriminator_loss, loss_through_a, loss_through_b
from models.cyclegan.networks import CellShape
from models.cyclegan.train import Recipe, Trainer, cell_system, picture_system
from models.tensors import _matrix, to_oklab

SIDE = {"resnet": 64, "resize": 64, "cell": 16}  # of the art
MAKE = {
    "resnet": lambda: picture_system("resnet", 8, 1, 4),
    "resize": lambda: picture_system("resize", 8, 1, 4),
    "cell": lambda: cell_system(CellShape(factor=4, width=8, blocks=1, critics=4)),
}


class Types(TorchDispatchMode):
    """Records the types that products of matrices and vectors were taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.name() == "aten::mv":
            self.types.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


def trainer(kind: str) -> Trainer:
    with torch.device("cuda"):
        system = MAKE[kind]()
    of_cell = 1.0 if kind == "cell" else 0.0
    weights = Weights(cycle=1.0, identity=1.0, colour=of_cell, chroma=of_cell, accents=of_cell, patterns=of_cell)
    recipe = Recipe(
        epochs=1, images_per_epoch=4, batch_size=2, lr=1e-3, decay_from=1.0, replay=2, ema=0.9, weights=weights,
        identity_until=1.0, augment=kind == "cell", pairs=0.0, bf16=True,
    )  # fmt: skip
    return Trainer(system, recipe, 0)


@pytest.fixture
def _as_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def drawn(*arguments: Any) -> torch.Tensor:  # NumPy cannot index by what is not there
        _, count, size, _, device = arguments
        return to_oklab(torch.rand(count, 3, size, size, device=device))

    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(patch_distance, "_patches_of_art", drawn)
    yield
    _matrix.cache_clear()


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.usefixtures("_as_with_a_gpu")
@pytest.mark.parametrize("kind", ["resnet", "resize", "cell"])
def test_all_of_a_step_is_where_the_networks_are_and_norms_stay_fp32(kind: str) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True), Types() as dtypes:
        subject = trainer(kind)
        system, weights = subject.system, subject.recipe.weights
        art = np.zeros((4, SIDE[kind], SIDE[kind], 3), np.uint8)
        a, b = (torch.rand(2, 3, side, side, device="cuda") for side in (64, SIDE[kind]))
        subject.replay_b.images = [b[0].clone()]
        views = subject._views()
        with subject._autocast():
            through_b = loss_through_b(system, a, b, weights, next(views), subject._references(art))
            through_a = loss_through_a(system, a, b, weights, next(views))
            disc_a = discriminator_loss(system.disc_a, next(views)(a), next(views)(through_a.fake.float()))
            disc_b = discriminator_loss(system.disc_b, next(views)(b), next(views)(through_b.fake.float()))
        subject._update_average()
        losses = {**through_b.parts, **through_a.parts, "disc_a": disc_a, "disc_b": disc_b}
        assert {name: part.device.type for name, part in losses.items()} == dict.fromkeys(losses, "cuda")
        assert {part.dtype for part in losses.values()} == {torch.float32}
    assert dtypes.types == ({torch.float32} if kind == "cell" else set())
