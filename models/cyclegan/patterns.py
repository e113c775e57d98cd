"""How far a picture's small patches are from those of real art, as a loss without a discriminator.

Sliced Wasserstein distance (Rabin et al. 2011; as a generator's loss Deshpande et al. 2018, arXiv:1803.10749; of
patches Elnekave & Weiss 2022, arXiv:2203.14862). A discriminator says whether a patch could be art; this says how often
art has such patches, so that flat areas, outlines and single cells come in the art's shares.

Departure: no single picture has to have the patches of all art. Its patches are an eighth of those that are compared;
the others are of earlier pictures, which stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.images import to_oklab

PATCHES = 256  # drawn of the new picture
COMPANY = 7  # times as many are drawn of earlier pictures, one time more of artworks
OTHERS, ARTWORKS = 28, 32  # pictures and artworks that they are drawn from, at most
DIRECTIONS = 32
KINDS = ((3, True, 1.0), (5, True, 1.0), (3, False, 0.3))  # cells a side, without their mean colour, weight


@dataclass(frozen=True)
class Company:
    """What one new picture is compared with.

    Args:
        others: earlier pictures, (K, 3, n, n); K may be 0.
        real: artworks, (R, 3, n, n).
        generator: of patches and directions.
    """

    others: Tensor
    real: Tensor
    generator: torch.Generator


def pattern_distance(picture: Tensor, company: Company) -> Tensor:
    """Scalar: distance of the patches of a picture (3, n, n) in [-1, 1] and its company from the art's; n >= 5.

    In OKLab, where equal differences look equal, and in fp32. Over the picture's share of the patches, so that the pull
    on it is the same with and without company.
    """
    draws = company.generator
    total = picture.new_zeros((), dtype=torch.float32)
    with torch.autocast(picture.device.type, enabled=False):
        new, old, art = (to_oklab(some.float()) for some in (picture[None], company.others, company.real))
        times = COMPANY if len(old) else 0
        for size, centred, weight in KINDS:
            made = [_patches(new, PATCHES, size, draws), _patches(old, times * PATCHES, size, draws)]
            real = _patches(art, (1 + times) * PATCHES, size, draws)
            onto = torch.randn(DIRECTIONS, real[0].numel(), generator=draws).to(picture.device)
            onto = onto / onto.norm(dim=1, keepdim=True)
            apart = _projected(torch.cat(made), onto, centred) - _projected(real, onto, centred)
            total = total + weight * apart.abs().mean()
    return total * (1 + times)


def _patches(pictures: Tensor, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(N, 3, n, n) -> (count, size, size, 3), drawn with replacement."""
    if count == 0:
        return pictures.new_empty(0, size, size, 3)
    places = pictures.shape[2] - size + 1
    which, y, x = (torch.randint(most, (count, 1, 1), generator=generator) for most in (len(pictures), places, places))
    step = torch.arange(size)
    return pictures.movedim(1, 3)[which, y + step[:, None], x + step]


def _projected(patches: Tensor, onto: Tensor, centred: bool) -> Tensor:
    """Patches (count, size, size, 3) along directions (k, size * size * 3) -> (k, count), each row sorted."""
    if centred:
        patches = patches - patches.mean(dim=(1, 2), keepdim=True)
    return (onto @ patches.flatten(1).T).sort(dim=1).values
