"""The losses of CycleGAN (Zhu et al. 2017, arXiv:1703.10593), and those that pixel art needs besides.

paper -> here:  G -> a2b   F -> b2a   D_X -> disc_a   D_Y -> disc_b   lambda -> weights.cycle

Departures from the paper: the identity loss (sec. 5.2, there for paintings only) is on, since it keeps the palette, for
`cell` in the early steps only; `cell` adds an L1 between low-frequency colours of input and output (as Wu et al. 2022
and Han et al. 2018 do), one between their hues, the distance of its small patches from the art's
(`patch_distance`), and a hinge that keeps dark accents: a mouth of two cells costs the other losses next to nothing,
and art without faces has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss, relu

from models.cyclegan.layers import mirror_pad
from models.cyclegan.patch_distance import ReferencePatches, patch_distance


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The factors by which parts of the generators' loss count."""

    cycle: float  # lambda, eq. 3; the paper: 10
    identity: float  # sec. 5.2; the paper: 0.5 * lambda
    colour: float  # L1 of 4x4-pooled cells against the input's; 0 for the report's system
    chroma: float  # L1 of 2x2-pooled colour differences against the input's: shades may move, hues may not
    accents: float  # hinge on how much darker than its surroundings a cell is; 0 for the report's system
    patterns: float  # sliced Wasserstein distance of 3x3 and 5x5 patches from the art's; 0 for the report's system


@dataclass(frozen=True, kw_only=True)
class System:
    """Four networks that train together, and how their two domains correspond.

    a: faces (N, 3, S, S). b: pixel art, (N, 3, S, S) for `resnet`, the native (N, 3, n, n) for `cell`. All in [-1, 1].
    """

    a2b: nn.Module
    b2a: nn.Module
    disc_a: nn.Module
    disc_b: nn.Module
    to_b: Callable[[Tensor], Tensor]  # a face at the size of domain b (box mean)
    to_a: Callable[[Tensor], Tensor]  # an artwork at the size of domain a (nearest)
    cell: int  # pixels a side of a cell in domain a
    cell_b: int  # the same in domain b; 1 where it is native

    def nets(self) -> dict[str, nn.Module]:
        """The four networks by name."""
        return {"a2b": self.a2b, "b2a": self.b2a, "disc_a": self.disc_a, "disc_b": self.disc_b}


View = Callable[[Tensor], Tensor]  # from a picture to what a discriminator sees of it
Logits = Tensor | Sequence[Tensor]  # of one discriminator, or of each of several


def plain_view(pictures: Tensor) -> Tensor:
    """The view that shows a discriminator the pictures as they are."""
    return pictures


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A total to differentiate, its named parts to look at, and the fakes that a discriminator will see."""

    total: Tensor
    parts: dict[str, Tensor]
    fake: Tensor


def lsgan(logits: Logits, real: bool) -> Tensor:
    """Least-squares GAN loss (Mao et al. 2017; paper sec. 4): mean (D - target)^2, over several critics their mean."""
    return torch.stack([(part.float() - float(real)).square().mean() for part in _by_critic(logits)]).mean()


def _by_critic(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def loss_through_b(
    system: System,
    a: Tensor,
    b: Tensor,
    weights: Weights,
    view: View = plain_view,
    references: Sequence[ReferencePatches] = (),
) -> Loss:
    """The half of eq. 3 that starts with `a2b`, and the departures above, for faces `a` and artworks `b`.

    The halves share parameters only: each can be differentiated, and its memory freed, before the other is computed.
    Translation and identity share one pass: all norms are per picture, so this changes no value. An identity that
    weighs nothing is not computed.

    Args:
        view: what the discriminator sees of a picture.
        references: what the patches of each drawn picture are compared with; none = they are not.
    """
    drawn = system.a2b(torch.cat([a, system.to_a(b)]) if weights.identity else a)
    fake, original, nothing = drawn[: len(a)], system.to_b(a), a.new_zeros(())
    terms = {
        "adversarial_a2b": (1.0, lsgan(system.disc_b(view(fake)), real=True)),
        "cycle_a": (weights.cycle, l1_loss(system.b2a(fake).float(), a)),
        "identity_b": (weights.identity, _identity(drawn[len(a) :], b, weights)),
        "colour": (weights.colour, l1_loss(_low_frequency(fake.float()), _low_frequency(original))),
        "chroma": (weights.chroma, l1_loss(_colour_differences(fake.float()), _colour_differences(original))),
        "accents": (weights.accents, lost_accents(fake.float(), original) if weights.accents else nothing),
        "patterns": (weights.patterns, _patterns(fake, references) if references else nothing),
    }
    return _weighted(terms, fake)


def loss_through_a(system: System, a: Tensor, b: Tensor, weights: Weights, view: View = plain_view) -> Loss:
    """The half of eq. 3 that starts with `b2a`, for faces `a` and artworks `b`; else as `loss_through_b`."""
    painted = system.b2a(torch.cat([b, system.to_b(a)]) if weights.identity else b)
    fake = painted[: len(b)]
    terms = {
        "adversarial_b2a": (1.0, lsgan(system.disc_a(view(fake)), real=True)),
        "cycle_b": (weights.cycle, l1_loss(system.a2b(fake).float(), b)),
        "identity_a": (weights.identity, _identity(painted[len(b) :], a, weights)),
    }
    return _weighted(terms, fake)


def _weighted(terms: dict[str, tuple[float, Tensor]], fake: Tensor) -> Loss:
    total = sum((weight * part for weight, part in terms.values()), start=fake.new_zeros((), dtype=torch.float32))
    return Loss(total=total, parts={name: part for name, (_, part) in terms.items()}, fake=fake.detach())


def _identity(same: Tensor, original: Tensor, weights: Weights) -> Tensor:
    return l1_loss(same.float(), original) if weights.identity else original.new_zeros(())


def _patterns(fake: Tensor, references: Sequence[ReferencePatches]) -> Tensor:
    distances = [patch_distance(picture, patches) for picture, patches in zip(fake, references, strict=True)]
    return torch.stack(distances).mean()


def _low_frequency(image: Tensor) -> Tensor:
    return avg_pool2d(image, 4)


def _colour_differences(image: Tensor) -> Tensor:
    """(N, 3, n, n) -> (N, 2, n/2, n/2): red - green and yellow - blue, which a change of lightness leaves alone."""
    red, green, blue = avg_pool2d(image, 2).unbind(dim=1)
    return torch.stack([red - green, (red + green) / 2 - blue], dim=1)


def lost_accents(drawn: Tensor, original: Tensor) -> Tensor:
    """How much of the dark accents of its original, (N, 3, n, n) in [-1, 1], a drawing of the same shape has lost.

    Scalar: mean of d * max(0, d - d'), where d >= 0 is the depth of the original and d' of the drawing. So a deep
    accent counts far more than the unevenness of a cheek, and what is drawn darker than it was costs nothing: outlines
    may come.
    """
    depth = _depth(original).clamp_min(0)
    return (depth * relu(depth - _depth(drawn))).mean()


def _depth(image: Tensor) -> Tensor:
    """(N, 3, n, n) -> (N, 1, n, n): how much darker a cell is than its 3x3 mean."""
    grey = image.mean(dim=1, keepdim=True)
    return avg_pool2d(mirror_pad(grey, 1, edge=True), 3, stride=1) - grey


def discriminator_loss(disc: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Half the LSGAN loss of real and fake pictures: the halving slows the discriminator (paper sec. 4, app. 7.1)."""
    logits = _by_critic(disc(torch.cat([real, fake])))
    of_real, of_fake = [part[: len(real)] for part in logits], [part[len(real) :] for part in logits]
    return 0.5 * (lsgan(of_real, real=True) + lsgan(of_fake, real=False))
