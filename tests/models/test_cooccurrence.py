"""Which colours lie side by side, as a loss of choices."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.testing import assert_close

from models.styletransfer.canvases import ChoiceCosts, PaletteCanvas, Relaxation
from models.styletransfer.cooccurrence import STEPS, cooccurrences, equal_shares, flattened, hellinger
from models.styletransfer.optimise import MARGIN, Objective, Schedule, StyleImage, optimise
from models.styletransfer.style_losses import moments
from models.styletransfer.vgg import VGG19, random_weights

PALETTE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [0.5, -0.5, 0.0]])


def choice(shape=(2, 3, 4, 5), seed=0):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * drawn).softmax(dim=1)


def hot(labels: list[list[int]], colours: int = 3) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), colours).movedim(-1, 0)[None].float()


def naive(shares: torch.Tensor, step: tuple[int, int], inside=lambda *_: True) -> torch.Tensor:
    colours, height, width = shares.shape
    cells = shares.tolist()
    counts = torch.zeros(colours, colours, dtype=shares.dtype)
    for y, x in itertools.product(range(height), range(width)):
        below, beside = y + step[0], x + step[1]
        if below < height and 0 <= beside < width and inside(y, x) and inside(below, beside):
            for k, m in itertools.product(range(colours), repeat=2):
                pair = cells[k][y][x] * cells[m][below][beside]
                counts[k, m] += pair
                counts[m, k] += pair
    return counts / counts.sum()


def test_neighbours_equal_a_naive_loop():
    shares = choice()
    measured = cooccurrences(shares)
    for n, (at, step) in itertools.product(range(2), enumerate(STEPS)):
        assert_close(measured[n, at], naive(shares[n], step), atol=1e-12, rtol=1e-9)


def test_only_pairs_inside_the_figure_count():
    shares = choice((1, 3, 4, 5))
    figure = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    figure[..., 1:, :3] = 1
    measured = cooccurrences(shares, figure)
    for at, step in enumerate(STEPS):
        expected = naive(shares[0], step, lambda y, x: y >= 1 and x < 3)
        assert_close(measured[0, at], expected, atol=1e-12, rtol=1e-9)


def test_a_figure_of_one_cell_has_no_neighbours_and_all_cells_count():
    figure = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    figure[..., 2, 2] = 1
    shares = choice((1, 3, 4, 5))
    assert_close(cooccurrences(shares, figure), cooccurrences(shares))


def test_stripes_and_a_board_of_the_same_colours_are_told_apart():
    stripes, board = hot([[0, 0, 0, 0], [1, 1, 1, 1]] * 2), hot([[0, 1, 0, 1], [1, 0, 1, 0]] * 2)
    assert stripes.mean(dim=(2, 3)).equal(board.mean(dim=(2, 3)))
    assert equal_shares(cooccurrences(stripes))[0].tolist() == [1, 0, 0, 0]
    assert equal_shares(cooccurrences(board))[0].tolist() == [0, 0, 1, 1]
    assert hellinger(cooccurrences(stripes), cooccurrences(board)).item() > 1
    assert hellinger(cooccurrences(board), cooccurrences(board)).item() == 0


def test_flattened_has_the_share_of_equal_neighbours_and_as_much_of_each_colour():
    target = cooccurrences(choice())
    shares = torch.tensor([[0.9, 0.7, 0.8, 0.6]] * 2, dtype=torch.float64)
    flat = flattened(target, shares)
    assert_close(equal_shares(flat), shares)
    assert_close(flat.sum(dim=3), target.sum(dim=3))
    off = ~torch.eye(3, dtype=torch.bool)
    assert_close(
        flat[..., off] / flat[..., off].sum(-1, keepdim=True),
        target[..., off] / target[..., off].sum(-1, keepdim=True),
    )


def test_flattened_never_takes_flat_areas_away():
    target = cooccurrences(choice())
    assert_close(flattened(target, torch.zeros(2, len(STEPS), dtype=torch.float64)), target)


def test_the_gradients_are_right():
    target = cooccurrences(choice(seed=1))
    shares = choice().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: hellinger(cooccurrences(x), target), [shares])


def test_the_gradient_is_finite_where_no_two_colours_touch():
    shares = hot([[0, 0], [0, 0]]).requires_grad_()
    hellinger(cooccurrences(shares), cooccurrences(hot([[1, 2], [2, 1]]))).sum().backward()
    assert torch.isfinite(shares.grad).all()


def canvas(costs: ChoiceCosts, pairs: int = 1) -> PaletteCanvas:
    cells = torch.rand(pairs, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    soft = Relaxation(hard=False, start=1.0, end=0.1)
    return PaletteCanvas(cells, [PALETTE] * pairs, cell=2, relaxation=soft, costs=costs)


def run(costs: ChoiceCosts, pairs: int = 1) -> torch.Tensor:
    network = VGG19(random_weights(torch.Generator().manual_seed(1), (6, 6)), average_pooling=True)
    content = torch.zeros(pairs, 3, 16, 16)
    goal = Objective(content_layer="conv1_1", style_layers=["conv1_2"], content_weight=0.0, style_weight=0.0)
    how = Schedule(iterations=60, lr=0.05)
    styles = [[StyleImage(content[n])] for n in range(pairs)]
    return optimise(canvas(costs, pairs), network, content, styles, goal, how, on_step=lambda _: None)


def colours_of(pictures: torch.Tensor) -> torch.Tensor:
    native = pictures[:, :, ::2, ::2]
    return (native[:, None] - PALETTE[None, :, :, None, None]).square().sum(dim=2).argmin(dim=1)


def test_costs_alone_lead_each_cell_to_its_cheapest_colour():
    costs = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    colours = colours_of(run(ChoiceCosts(colours=costs, colour_weight=100.0)))
    assert colours.equal(costs.argmin(dim=1))


def test_the_cost_of_anything_but_stripes_makes_stripes():
    stripes = cooccurrences(hot([[0] * 8, [1] * 8] * 4))
    before = cooccurrences(hot(colours_of(canvas(ChoiceCosts()).final()).tolist()[0]))
    after = cooccurrences(
        hot(colours_of(run(ChoiceCosts(cooccurrence=stripes, cooccurrence_weight=100.0))).tolist()[0])
    )
    assert hellinger(after, stripes).item() < 0.3 * hellinger(before, stripes).item()


def test_costs_belong_to_their_pair_and_not_to_the_batch():
    costs = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(6))
    beside = torch.cat([cooccurrences(hot([[0] * 8, [1] * 8] * 4)), cooccurrences(hot([[1, 2] * 4] * 8))])
    both = canvas(ChoiceCosts(colours=costs, colour_weight=9.0, cooccurrence=beside, cooccurrence_weight=9.0), 2)
    together = both.regulariser(0.5)
    single = [both.select(torch.tensor([n])).regulariser(0.5) for n in range(2)]
    assert_close(torch.cat(single), together)
    assert abs(together[0] - together[1]) > 0.1


def test_moments_weigh_positions():
    features = choice((2, 3, 4, 5))
    position_weights = torch.zeros(4, 5, dtype=torch.float64)
    position_weights[:2, :3], position_weights[3, 4] = 2.0, 0.5
    shares = position_weights / position_weights.sum()
    weighted = moments(features, position_weights)
    assert_close(weighted.mean, (features * shares).sum(dim=(2, 3)))
    assert_close(weighted.second, torch.einsum("ncyx,ndyx,yx->ncd", features, features, shares))


def test_the_inside_of_a_figure_counts_and_its_edge_only_without_one():
    figure = torch.zeros(24, 24)
    figure[4:20, 4:20] = 1
    position_weights = StyleImage(torch.zeros(3, 24, 24), figure=figure).position_weights((24, 24))
    assert position_weights.sum() == (16 - 2 * MARGIN) ** 2
    thin = torch.zeros(24, 24)
    thin[:, 10:12] = 1
    assert StyleImage(torch.zeros(3, 24, 24), figure=thin).position_weights((12, 12)).sum() == 12
    assert StyleImage(torch.zeros(3, 24, 24)).position_weights((12, 12)) is None


@pytest.mark.parametrize("ground", [-1.0, 1.0])
def test_the_ground_of_an_artwork_does_not_count(ground):
    """Whatever its colour, the same picture is made."""
    image, figure = torch.full((3, 32, 32), 0.25), torch.zeros(32, 32)
    figure[:, :20] = 1
    plain, changed = image.clone(), image.clone()
    changed[:, :, 24:] = ground
    network = VGG19(random_weights(torch.Generator().manual_seed(1), (6, 6)), average_pooling=True)
    content = torch.zeros(1, 3, 16, 16)
    goal = Objective(content_layer="conv1_1", style_layers=["conv1_1", "conv1_2"], content_weight=1.0, style_weight=1e3)
    pictures = [
        optimise(
            canvas(ChoiceCosts()), network, content, [[StyleImage(style, figure=figure)]], goal,
            Schedule(iterations=5, lr=0.05), on_step=lambda _: None,
        )
        for style in (plain, changed)
    ]  # fmt: skip
    assert_close(pictures[0], pictures[1])
