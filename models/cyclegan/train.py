"""The training loop of a CycleGAN: values in, values out. It writes nothing, prints nothing and knows no path.

Everything that a step draws is addressed by (seed, epoch, place) or lives in `Trainer.state_dict`, so that a training
which is stopped and loaded again goes on bit for bit as if it had never stopped (with deterministic algorithms).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.cyclegan.augment import augment
from models.cyclegan.cycle_losses import (
    Loss,
    System,
    View,
    Weights,
    discriminator_loss,
    loss_through_a,
    loss_through_b,
    plain_view,
)
from models.cyclegan.distributed import ALONE, Descent, Workers
from models.cyclegan.networks import (
    PICTURE_GENERATORS,
    CellGenerator,
    CellInverse,
    CellShape,
    Panel,
    close_discriminator,
    init_weights,
    patch_discriminator,
    report_discriminator,
)
from models.cyclegan.pair_loss import pair_loss
from models.cyclegan.patch_distance import ReferencePatches
from models.cyclegan.replay import Replay
from models.tensors import Pixels, to_signed

ADVERSARIAL, PAIRED = (0.5, 0.999), (0.9, 0.99)

PairBatch = tuple[Pixels, Pixels]  # smooth (N, rows * k, columns * k, 3) and native (N, rows, columns, 3)
PairSource = Callable[[int, slice], PairBatch]  # of a step (0-based), and of a share of its batch


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of one training."""

    epochs: int
    images_per_epoch: int  # faces, and as many artworks
    batch_size: int  # of all processes together
    lr: float  # Adam, betas of ADVERSARIAL (paper, appendix 7.1: 2e-4), or of PAIRED where pairs alone teach
    decay_from: float  # share of the epochs after which the rate falls linearly to 0 (the paper: 0.5)
    replay: int  # images in each history buffer (the paper: 50)
    ema: float  # decay of the averaged a2b weights; 0 = the last weights (Yazici et al. 2019)
    weights: Weights
    identity_until: float  # share of the steps after which the identity loss, and its cost, are gone (the paper: 1)
    augment: bool  # whether discriminators see pictures moved by cells and in other colours (Zhao et al. 2020)
    pairs: float  # share of the loss that pairs of smooth and native pictures have; with 1 nothing else is computed
    bf16: bool  # autocast; norms and losses stay in fp32


@dataclass(frozen=True, kw_only=True)
class StepStats:
    """The losses of one step by name, and how far the training is."""

    step: int  # steps done, 1-based
    epoch: int  # 0-based epoch that the step belongs to
    epoch_done: bool
    losses: dict[str, float]


def picture_system(generator: str, width: int, blocks: int, cell: int) -> System:
    """The report's four networks (`resnet`), or the same without their transposed convolutions (`resize`).

    Both domains are S x S pictures with cells of `cell` pixels.
    """
    a2b, b2a = (PICTURE_GENERATORS[generator](width, blocks) for _ in range(2))
    return _initialised(
        System(
            a2b=a2b,
            b2a=b2a,
            disc_a=report_discriminator(width),
            disc_b=report_discriminator(width),
            to_b=nn.Identity(),
            to_a=nn.Identity(),
            cell=cell,
            cell_b=cell,
        )
    )


def cell_system(shape: CellShape) -> System:
    """The four networks at cell resolution: discriminators have small receptive fields; domain b is native.

    The inverse has few blocks: it only has to say which face an artwork could have been.
    """
    a2b = CellGenerator(shape)
    system = _initialised(
        System(
            a2b=a2b,
            b2a=CellInverse(shape.factor, max(4, shape.width // 4), max(1, shape.blocks // 2)),
            disc_a=patch_discriminator(shape.critics, strides=(2, 2, 1)),
            disc_b=Panel(close_discriminator(shape.critics), patch_discriminator(shape.critics, strides=(1, 2, 2))),
            to_b=nn.AvgPool2d(shape.factor),
            to_a=nn.Upsample(scale_factor=shape.factor, mode="nearest"),
            cell=shape.factor,
            cell_b=1,
        )
    )
    a2b.start_plain()
    return system


def _initialised(system: System) -> System:
    for net in system.nets().values():
        net.apply(init_weights)
    return system


class Trainer:
    """Optimisers, history buffers and averaged weights around a system.

    Args:
        system: the networks, already on their device.
        recipe: the numbers.
        seed: of sampling, flips and buffers (not of the initial weights).
        workers: the processes that share every batch; their number divides its size.
    """

    def __init__(self, system: System, recipe: Recipe, seed: int, workers: Workers = ALONE) -> None:
        self.system, self.recipe, self.seed, self.workers = system, recipe, seed, workers
        self.step = 0
        self.steps_per_epoch = max(1, recipe.images_per_epoch // recipe.batch_size)
        self.total_steps = recipe.epochs * self.steps_per_epoch
        self.device = next(system.a2b.parameters()).device
        betas = PAIRED if recipe.pairs == 1 else ADVERSARIAL
        self.descend_g = Descent(_adam(recipe.lr, betas, system.a2b, system.b2a), workers)
        self.descend_d = Descent(_adam(recipe.lr, betas, system.disc_a, system.disc_b), workers)
        self.replay_a, self.replay_b = Replay(recipe.replay, seed), Replay(recipe.replay, seed + 1)
        self.average = copy.deepcopy(system.a2b).requires_grad_(False).eval()

    def fit(self, faces: Pixels, art: Pixels, pairs: PairSource | None = None) -> Iterator[StepStats]:
        """Train from the current step to the last; yields after every step.

        Args:
            faces: domain a, uint8 (A, S, S, 3).
            art: domain b, uint8 (B, S, S, 3), or the native (B, n, n, 3) for `cell`; as many as there are, unpaired.
            pairs: of smooth and native pictures, for the steps of a recipe in which they count.

        Raises:
            Diverged: a loss is not finite, or gradients again and again; no weight has moved for it.
        """
        while self.step < self.total_steps:
            epoch, place = divmod(self.step, self.steps_per_epoch)
            losses = self._train_step(faces, art, pairs, epoch, place)
            self.step += 1
            epoch_done = self.step % self.steps_per_epoch == 0
            yield StepStats(step=self.step, epoch=epoch, epoch_done=epoch_done, losses=losses)

    def _batch(self, images: Pixels, epoch: int, place: int, domain: str) -> Tensor:
        """Our share of an epoch's `place`-th batch: images in a fresh order, each mirrored with probability 1/2."""
        size, count = self.recipe.batch_size, self.steps_per_epoch * self.recipe.batch_size
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + 2 * epoch + (domain == "b"))
        rounds = [torch.randperm(len(images), generator=generator) for _ in range(-(-count // len(images)))]
        mirrored = torch.rand(count, generator=generator) < 0.5
        share = self.workers.share(size)
        places = slice(place * size + share.start, place * size + share.stop)
        batch = to_signed(images[torch.cat(rounds)[places].numpy()])
        return torch.where(mirrored[places, None, None, None], batch.flip(3), batch).to(self.device)

    def _references(self, art: Pixels) -> list[ReferencePatches]:
        """For each face of our share: what the patches of its drawing are compared with."""
        if not self.recipe.weights.patterns:
            return []
        history = self.replay_b.images
        earlier = torch.stack(history) if history else torch.empty(0, device=self.device)
        share = self.workers.share(self.recipe.batch_size)
        places = range(share.start, share.stop)
        addresses = [(self.step * self.recipe.batch_size + place) * 1_000_003 + self.seed for place in places]
        draws = [torch.Generator().manual_seed(-(2**62) + address) for address in addresses]  # no seed of a batch
        return [ReferencePatches(earlier, art, generator) for generator in draws]

    def _train_step(
        self, faces: Pixels, art: Pixels, pairs: PairSource | None, epoch: int, place: int
    ) -> dict[str, float]:
        """One step of the networks that the recipe trains; its losses. A graph is freed before the next one grows."""
        self._set_rate()
        share, parts = self.recipe.pairs, dict[str, Tensor]()
        total = torch.zeros((), device=self.device)
        if share:
            assert pairs is not None, "a recipe with pairs needs them"
            parts["pairs"] = self._learn_pairs(*pairs(self.step, self.workers.share(self.recipe.batch_size)))
            total = total + share * parts["pairs"].detach()
        if share < 1:
            a, b = self._batch(faces, epoch, place, "a"), self._batch(art, epoch, place, "b")
            views = self._views()
            through_b, through_a = self._learn_unpaired(a, b, self._references(art), views)
            parts |= through_b.parts | through_a.parts
            total = total + (1 - share) * (through_b.total + through_a.total).detach()
        norms = {"gradient_generators": self.descend_g(total)}
        parts["generators"] = total
        if share < 1:
            fakes = through_a.fake, through_b.fake
            norms["gradient_discriminators"] = self._learn_to_criticise(a, b, fakes, views, parts)
        self._update_average()
        losses = {name: value.detach().float().clone() for name, value in parts.items()}
        self.workers.average_(list(losses.values()))
        values = {**losses, **norms}
        numbers = torch.stack(list(values.values())).tolist()  # the device is waited for once
        return dict(zip(values, numbers, strict=True))

    def _learn_pairs(self, smooth: Pixels, native: Pixels) -> Tensor:
        """The gradients of pairs, and their loss."""
        drawings, truths = (to_signed(pictures).to(self.device) for pictures in (smooth, native))
        with self._autocast():
            loss = pair_loss(self.system.a2b(drawings), truths)
        _backward(self.recipe.pairs * loss)
        return loss

    def _learn_unpaired(
        self, a: Tensor, b: Tensor, references: Sequence[ReferencePatches], views: Iterator[View]
    ) -> tuple[Loss, Loss]:
        """The gradients of both halves of the cycle on the generators, and their losses."""
        system, weight = self.system, 1 - self.recipe.pairs
        self._freeze_critics(True)
        identity_counts = self.step < self.recipe.identity_until * self.total_steps
        weights = self.recipe.weights if identity_counts else replace(self.recipe.weights, identity=0.0)
        with self._autocast():
            through_b = loss_through_b(system, a, b, weights, next(views), references)
        _backward(weight * through_b.total)
        with self._autocast():
            through_a = loss_through_a(system, a, b, weights, next(views))
        _backward(weight * through_a.total)
        self._freeze_critics(False)
        return through_b, through_a

    def _learn_to_criticise(
        self, a: Tensor, b: Tensor, fakes: tuple[Tensor, Tensor], views: Iterator[View], parts: dict[str, Tensor]
    ) -> Tensor:
        """A step of the discriminators on real and earlier pictures; adds to `parts`, returns the gradient's norm."""
        system = self.system
        old_a, old_b = self._replayed(self.replay_a, fakes[0]), self._replayed(self.replay_b, fakes[1])
        with self._autocast():
            disc_a = discriminator_loss(system.disc_a, next(views)(a), next(views)(old_a))
            disc_b = discriminator_loss(system.disc_b, next(views)(b), next(views)(old_b))
        _backward(disc_a + disc_b)
        parts |= {"disc_a": disc_a, "disc_b": disc_b}
        return self.descend_d(disc_a + disc_b)

    def _freeze_critics(self, frozen: bool) -> None:
        """Switch off (or on) the gradients of the networks that the generators' losses only look through."""
        for critic in (self.system.disc_a, self.system.disc_b):
            critic.requires_grad_(not frozen)

    def _replayed(self, replay: Replay, fakes: Tensor) -> Tensor:
        """Fakes of this step or earlier: every process keeps the whole history, and shows its share of it."""
        gathered = self.workers.gather(fakes)
        return replay(gathered)[self.workers.share(len(gathered))].float()

    def _views(self) -> Iterator[View]:
        """What the discriminators see in this step: of a fake b, a fake a, a real a, an old a, a real b, an old b."""
        system = self.system
        if not self.recipe.augment:
            yield from itertools.repeat(plain_view)
        generator = torch.Generator().manual_seed(-1 - self.seed * 1_000_003 - self.step)  # no seed of a batch
        size = self.recipe.batch_size
        for cell in (system.cell_b, system.cell, system.cell, system.cell, system.cell_b, system.cell_b):
            uniform = torch.rand(5, size, generator=generator)[:, self.workers.share(size)]
            yield partial(augment, uniform=uniform, cell=cell)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16)

    def _set_rate(self) -> None:
        start = self.recipe.decay_from * self.total_steps
        share = (self.total_steps - self.step) / max(1.0, self.total_steps - start)
        for descend in (self.descend_g, self.descend_d):
            for group in descend.optimiser.param_groups:
                group["lr"] = self.recipe.lr * min(1.0, share)

    @torch.no_grad()
    def _update_average(self) -> None:
        means: list[Tensor] = list(self.average.parameters())
        lasts: list[Tensor] = list(self.system.a2b.parameters())
        torch._foreach_lerp_(means, lasts, 1 - min(self.recipe.ema, self.step / (self.step + 10)))

    def state_dict(self) -> dict[str, Any]:
        """All that a training needs to go on, as plain tensors, numbers and dicts."""
        return {"step": self.step, **{name: part.state_dict() for name, part in self._parts().items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, whatever device its tensors are on."""
        self.step = state["step"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for replay in (self.replay_a, self.replay_b):
            replay.images = [image.to(self.device) for image in replay.images]

    def _parts(self) -> dict[str, Any]:
        """Everything that has a state of its own, by name."""
        return {
            **self.system.nets(), "average": self.average, "descend_g": self.descend_g, "descend_d": self.descend_d,
            "replay_a": self.replay_a, "replay_b": self.replay_b,
        }  # fmt: skip


def _adam(lr: float, betas: tuple[float, float], *nets: nn.Module) -> torch.optim.Adam:
    parameters = [parameter for net in nets for parameter in net.parameters()]
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)


def _backward(total: Tensor) -> None:
    total.backward()  # type: ignore[no-untyped-call]
