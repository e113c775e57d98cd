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

from models.tensors import Pixels, to_oklab, to_signed

PATCHES = 512  # drawn of the new picture
EARLIER = 7  # times as many are drawn of earlier pictures, one time more of artworks
DIRECTIONS = 32
KINDS = ((3, True, 2.0), (5, True, 1.0), (3, False, 0.3))  # cells a side, without their mean colour, weight


@dataclass(frozen=True)
class ReferencePatches:
    """What the patches of one new picture are compared with.

    Args:
        earlier: pictures drawn before, (K, 3, n, n) in [-1, 1]; K may be 0.
        art: all artworks, uint8 (R, n, n, 3): fewer of them would say less of how often a patch is.
        generator: of patches and directions.
    """

    earlier: Tensor
    art: Pixels
    generator: torch.Generator


def patch_distance(picture: Tensor, references: ReferencePatches) -> Tensor:
    """Distance of the patches of a picture (3, n, n) in [-1, 1] and of earlier ones from the art's: a scalar; n >= 5.

    In OKLab, where equal differences look equal, and in fp32. Over the picture's share of the patches, so that its
    gradient is as large with earlier pictures as without.
    """
    draws = references.generator
    total = picture.new_zeros((), dtype=torch.float32)
    with torch.autocast(picture.device.type, enabled=False):
        times = EARLIER if len(references.earlier) else 0
        for size, centred, weight in KINDS:
            drawn = [_patches(picture[None], PATCHES, size, draws)]
            if times:
                drawn.append(_patches(references.earlier, times * PATCHES, size, draws))
            real = _patches_of_art(references.art, (1 + times) * PATCHES, size, draws, picture.device)
            onto = torch.randn(DIRECTIONS, 3 * size**2, generator=draws).to(picture.device)
            onto = onto / onto.norm(dim=1, keepdim=True)
            differences = _project(torch.cat(drawn), onto, centred) - _project(real, onto, centred)
            total = total + weight * differences.abs().mean()
    return total * (1 + times)


def _patches(pictures: Tensor, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(N, 3, n, n) in [-1, 1] -> OKLab (count, 3, size, size), drawn with replacement."""
    index = _random_index(len(pictures), pictures.shape[2], count, size, generator)
    return to_oklab(pictures.movedim(1, 3)[index].movedim(3, 1).float())


def _patches_of_art(art: Pixels, count: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """uint8 (N, n, n, 3) -> as `_patches`, on `device`."""
    index = _random_index(len(art), art.shape[1], count, size, generator)
    return to_oklab(to_signed(art[tuple(axis.numpy() for axis in index)]).to(device))


def _random_index(pictures: int, side: int, count: int, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Index of random patches into (N, n, n, ...): (count, 1, 1), (count, size, 1) and (count, 1, size)."""
    ends = side - size + 1
    number, y, x = (torch.randint(most, (count, 1, 1), generator=generator) for most in (pictures, ends, ends))
    step = torch.arange(size)
    return number, y + step[:, None], x + step


def _project(patches: Tensor, onto: Tensor, centred: bool) -> Tensor:
    """Patches (count, 3, size, size) along directions (k, 3 * size * size) -> (k, count), each row sorted."""
    if centred:
        patches = patches - patches.mean(dim=(2, 3), keepdim=True)
    return (onto @ patches.flatten(1).T).sort(dim=1).values
