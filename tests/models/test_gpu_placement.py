"""On a machine without a GPU: a step's forward passes with tensors that only claim to be on one.

PyTorch's fake tensors have a device, a type and a shape; operations on two devices at once fail as on a real GPU, and
autocast chooses types as there. Backward passes need a real one.
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
from models.cyclegan.train import Recipe, Trainer, cell_system, resize_system, resnet_system
from models.tensors import _matrix, to_oklab

SIDE = {"resnet": 64, "resize": 64, "cell": 16}  # of the art
MAKE = {
    "resnet": lambda: resnet_system(8, 1, 4),
    "resize": lambda: resize_system(8, 1, 4),
    "cell": lambda: cell_system(CellShape(4, 8, 1, 4)),
}


class Types(TorchDispatchMode):
    """Remembers the types that products of matrices and vectors were taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.name() == "aten::mv":
            self.seen.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


def trainer(kind: str) -> Trainer:
    with torch.device("cuda"):
        system = MAKE[kind]()
    own = 1.0 if kind == "cell" else 0.0
    weights = Weights(cycle=1.0, identity=1.0, colour=own, chroma=own, palette=1.0, accents=own, patterns=own)
    recipe = Recipe(
        epochs=1, images_per_epoch=4, batch_size=2, lr=1e-3, decay_from=1.0, replay=2, ema=0.9, weights=weights,
        identity_until=1.0, augment=kind == "cell", bf16=True,
    )  # fmt: skip
    return Trainer(system, recipe, 0)


@pytest.fixture
def _as_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def drawn(*asked: Any) -> torch.Tensor:  # NumPy cannot index by what is not there
        _, count, size, _, device = asked
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
    with FakeTensorMode(allow_non_fake_inputs=True), Types() as types:
        one = trainer(kind)
        system, weights = one.system, one.recipe.weights
        art = np.zeros((4, SIDE[kind], SIDE[kind], 3), np.uint8)
        a, b = (torch.rand(2, 3, side, side, device="cuda") for side in (64, SIDE[kind]))
        one.replay_b.images = [b[0].clone()]
        looks = one._views()
        with one._autocast():
            through_b = loss_through_b(system, a, b, weights, next(looks), one._references(art))
            through_a = loss_through_a(system, a, b, weights, next(looks))
            disc_a = discriminator_loss(system.disc_a, next(looks)(a), next(looks)(through_a.fake.float()))
            disc_b = discriminator_loss(system.disc_b, next(looks)(b), next(looks)(through_b.fake.float()))
        one._update_average()
        told = {**through_b.parts, **through_a.parts, "disc_a": disc_a, "disc_b": disc_b}
        assert {name: part.device.type for name, part in told.items()} == dict.fromkeys(told, "cuda")
        assert {part.dtype for part in told.values()} == {torch.float32}
    assert types.seen == ({torch.float32} if kind == "cell" else set())
