"""Distance of small patches from the art's: `models.cyclegan.patch_distance`."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cyclegan.cycle_losses import Weights, loss_through_b
from models.cyclegan.networks import CellShape
from models.cyclegan.patch_distance import ReferencePatches, patch_distance
from models.cyclegan.train import cell_system
from models.tensors import Pixels, to_oklab, to_pixels, to_signed

NONE = torch.empty(0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(value: float, count: int = 1) -> Tensor:
    return torch.full((count, 3, 16, 16), value)


def art(works: Tensor) -> Pixels:
    """(R, 3, n, n) in [-1, 1] as uint8."""
    return to_pixels(works)


def blocks(seed: int) -> Tensor:
    """(3, 16, 16): clusters of 4 x 4 cells, as art has them."""
    return (torch.rand(3, 4, 4, generator=seeded(seed)) * 2 - 1).repeat_interleave(4, 1).repeat_interleave(4, 2)


def equal_neighbours(picture: Tensor) -> float:
    return float(((picture[:, :, 1:] - picture[:, :, :-1]).abs().amax(dim=0) < 0.05).float().mean())


def test_a_flat_picture_is_as_far_from_flat_art_as_their_colours_are() -> None:
    """Patterns agree; raw patches differ by the same in each of 9 cells, in lightness alone."""
    distance = float(patch_distance(flat(0.5)[0], ReferencePatches(NONE, art(flat(0.0)), seeded())))
    lighter, darker = (float(to_oklab(flat(value))[0, 0, 0, 0]) for value in (0.5, 0.0))
    onto = torch.randn(100_000, 27, generator=seeded(1))
    expected = 0.3 * (lighter - darker) * float((onto / onto.norm(dim=1, keepdim=True))[:, :9].sum(dim=1).abs().mean())
    assert distance == pytest.approx(expected, rel=0.3)


def test_it_is_that_of_sorted_projections_written_out() -> None:
    """The same draws, taken by hand."""
    picture, real = blocks(0), blocks(1)[None]
    distance = float(patch_distance(picture, ReferencePatches(NONE, art(real), seeded(3))))
    draws, total = seeded(3), 0.0
    for size, centred, weight in ((3, True, 2.0), (5, True, 1.0), (3, False, 0.3)):
        sides, ends = [], [16 - size + 1] * 2
        for picture_or_art in (to_oklab(picture[None])[0], to_oklab(to_signed(art(real)))[0]):
            _, ys, xs = (torch.randint(most, (512, 1, 1), generator=draws).flatten().tolist() for most in (1, *ends))
            cut = np.stack([picture_or_art[:, y : y + size, x : x + size].numpy() for y, x in zip(ys, xs, strict=True)])
            cut = cut - cut.mean(axis=(2, 3), keepdims=True) if centred else cut
            sides.append(cut.reshape(512, -1))
        onto = torch.randn(32, 3 * size * size, generator=draws).numpy()
        for direction in onto / np.linalg.norm(onto, axis=1, keepdims=True):
            drawn, real_values = (sorted((side @ direction).tolist()) for side in sides)
            total += weight * float(np.mean(np.abs(np.subtract(drawn, real_values)))) / 32
    assert distance == pytest.approx(total, rel=1e-4)


def test_a_picture_that_follows_it_comes_to_the_flat_clusters_of_the_art() -> None:
    picture = torch.nn.Parameter((torch.rand(3, 16, 16, generator=seeded()) * 2 - 1) * 0.5)
    before = equal_neighbours(picture)
    optimiser, draws, steps = torch.optim.Adam([picture], lr=0.03), seeded(1), 200
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.03 * (1 - step / steps)
        optimiser.zero_grad()
        patch_distance(picture, ReferencePatches(NONE, art(blocks(0)[None]), draws)).backward()
        optimiser.step()
    assert before < 0.05
    assert equal_neighbours(picture) > 0.3


def test_in_company_a_picture_need_not_be_the_mean_of_all_art() -> None:
    """A white one beside black ones is what an eighth of white art asks for; alone it has too much white."""
    works = art(torch.cat([flat(-1.0, 7), flat(1.0)]))
    alone = patch_distance(flat(1.0)[0], ReferencePatches(NONE, works, seeded()))
    together = patch_distance(flat(1.0)[0], ReferencePatches(flat(-1.0), works, seeded()))
    assert float(together) < 0.2 * float(alone)


def test_the_loss_of_a_batch_is_the_mean_of_its_pictures() -> None:
    """What training on several processes rests on."""
    torch.manual_seed(0)
    system = cell_system(CellShape(factor=2, width=4, blocks=1, critics=4))
    for critic in (system.disc_a, system.disc_b):
        critic.eval()
    weights = Weights(cycle=1.0, identity=0.0, colour=0.0, chroma=0.0, accents=0.0, patterns=5.0)
    faces, works = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1
    references = [partial(ReferencePatches, works[:1], art(works)), partial(ReferencePatches, NONE, art(works[1:]))]

    def parts(places: slice) -> tuple[float, float]:
        drawn = [make(seeded(place)) for place, make in list(enumerate(references))[places]]
        with torch.no_grad():
            loss = loss_through_b(system, faces[places], works[places], weights, references=drawn)
        return float(loss.total), float(loss.parts["patterns"])

    both, first, second = parts(slice(0, 2)), parts(slice(0, 1)), parts(slice(1, 2))
    assert both == pytest.approx(tuple((left + right) / 2 for left, right in zip(first, second, strict=True)), rel=1e-4)
    assert min(first[1], second[1]) > 0
