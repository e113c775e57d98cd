"""Networks, losses, replay and training of models.cyclegan: what their docstrings claim."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from models.cyclegan import patch_distance
from models.cyclegan.augment import augment
from models.cyclegan.compilation import compile_system
from models.cyclegan.cycle_losses import (
    Weights,
    discriminator_loss,
    loss_through_a,
    loss_through_b,
    lost_accents,
    lsgan,
)
from models.cyclegan.distributed import Descent, Diverged
from models.cyclegan.networks import (
    CellGenerator,
    CellInverse,
    CellShape,
    PaletteHead,
    Panel,
    SharedPaletteHead,
    close_discriminator,
    patch_discriminator,
    quantise,
    report_discriminator,
    resnet_generator,
)
from models.cyclegan.replay import Replay
from models.cyclegan.train import Recipe, Trainer, cell_system, picture_system
from models.tensors import to_signed

WEIGHTS = Weights(cycle=10.0, identity=5.0, colour=2.0, chroma=3.0, palette=1.0, accents=4.0, patterns=2.0)
NO_COLOURS = replace(WEIGHTS, colour=0.0, chroma=0.0, accents=0.0)
SIZE, FACTOR = 32, 2
PATCHES = 32
ROOT = Path(__file__).parents[2]


def recipe(**changes: object) -> Recipe:
    values = {
        "epochs": 2, "images_per_epoch": 4, "batch_size": 2, "lr": 2e-4, "decay_from": 0.5, "replay": 3, "ema": 0.9,
        "weights": WEIGHTS, "identity_until": 1.0, "augment": False, "bf16": False,
    }  # fmt: skip
    return Recipe(**{**values, **changes})  # type: ignore[arg-type]


def new_trainer(kind: str, **changes: object) -> Trainer:
    torch.manual_seed(3)
    system = {
        "resnet": lambda: picture_system("resnet", 4, 1, FACTOR),
        "resize": lambda: picture_system("resize", 4, 1, FACTOR),
        "cell": lambda: cell_system(CellShape(FACTOR, 4, 1, 4)),
    }[kind]()
    return Trainer(system, recipe(**changes), seed=5)


def pictures(kind: str, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    side = SIZE // FACTOR if kind == "cell" else SIZE
    return faces, rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def few_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches of the art cost most of a small step, and no test here depends on how many there are."""
    monkeypatch.setattr(patch_distance, "PATCHES", PATCHES)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_generator_has_the_reports_table() -> None:
    """Every row: name of the operation in the report, and the shape it gives."""
    table = [
        ("conv 7x7", (64, 128, 128)),
        ("conv stride 2", (128, 64, 64)),
        ("conv stride 2", (256, 32, 32)),
        ("9 residual blocks", (256, 32, 32)),
        ("upscaling conv", (128, 64, 64)),
        ("upscaling conv", (64, 128, 128)),
        ("conv 7x7 + tanh", (3, 128, 128)),
    ]
    net, x = resnet_generator(), torch.zeros(1, 3, 128, 128)
    assert len(net) == len(table)
    assert len(net[3]) == 9
    with torch.no_grad():
        for row, (name, shape) in zip(net, table, strict=True):
            x = row(x)
            assert tuple(x.shape[1:]) == shape, name
    assert count(net) == 11_378_179


def test_the_discriminator_has_the_reports_table() -> None:
    shapes = [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 9, 9), (1, 8, 8)]
    net, x = report_discriminator(), torch.zeros(1, 3, 128, 128)
    with torch.no_grad():
        for row, shape in zip(net, shapes, strict=True):
            x = row(x)
            assert tuple(x.shape[1:]) == shape
    assert count(net) == 2_764_737


def footprint(net: nn.Module, size: int) -> tuple[int, int]:
    """Rows and columns of the input that one logit depends on; instance norms, which see everything, are taken out."""
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                setattr(parent, name, nn.Identity())
    x = torch.randn(1, 3, size, size, requires_grad=True)
    logits = net(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    affecting = x.grad.abs().sum(dim=(0, 1)) > 0  # type: ignore[union-attr]
    return int(affecting.any(1).sum()), int(affecting.any(0).sum())


@pytest.mark.parametrize(
    ("net", "pixels"),
    [
        (report_discriminator(width=4), 94),
        (patch_discriminator(4, strides=(2, 2, 1)), 34),
        (patch_discriminator(4, strides=(1, 2, 2)), 25),
        (close_discriminator(4), 7),
    ],
)
def test_one_logit_sees_as_many_pixels_as_the_docstring_says(net: nn.Module, pixels: int) -> None:
    torch.manual_seed(0)
    assert footprint(net, 192) == (pixels, pixels)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_the_cell_generator_draws_one_pixel_per_cell_and_its_inverse_enlarges_by_the_same(factor: int) -> None:
    net, inverse = CellGenerator(CellShape(factor, 4, 1, 5)), CellInverse(factor, 4, 1)
    with torch.no_grad():
        drawn = net(torch.rand(2, 3, 32, 32) * 2 - 1)
        assert drawn.shape == (2, 3, 32 // factor, 32 // factor)
        assert inverse(drawn).shape == (2, 3, 32, 32)


def test_a_factor_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two, got 3"):
        CellGenerator(CellShape(3, 4, 1))


@pytest.mark.parametrize("colours", [2, 5, 16])
def test_a_quantised_picture_has_at_most_k_colours_and_keeps_a_picture_that_has_no_more(colours: int) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        noise = quantise(torch.rand(2, 3, 12, 12, generator=generator), colours)
        assert all(len(picture.flatten(1).T.unique(dim=0)) <= colours for picture in noise)
        few = torch.rand(3, colours, generator=generator)[:, torch.randint(colours, (12, 12), generator=generator)][
            None
        ]
        assert torch.allclose(quantise(few, colours), few, atol=1e-6)


@pytest.mark.parametrize("colours", ["own", "shared"])
def test_the_palette_head_draws_few_colours_and_passes_gradients_to_free_colours_and_choices(colours: str) -> None:
    torch.manual_seed(0)
    shape = CellShape(2, 4, 1, palette=5, colours=colours)
    net = cell_system(shape).a2b
    assert isinstance(net, CellGenerator)
    faces = torch.rand(2, 3, 32, 32) * 2 - 1
    painted = net.paint(faces)
    (painted.picture.square().mean() + painted.commitment).backward()
    assert net.departure.weight.grad.abs().sum() > 0  # type: ignore[union-attr]
    assert net.head.logits.weight.grad.abs().sum() > 0  # type: ignore[union-attr]
    with torch.no_grad():
        pictures = net(faces)
        assert torch.allclose(pictures, painted.picture, atol=1e-5)
        assert all(2 <= len(picture.flatten(1).T.unique(dim=0)) <= 5 for picture in pictures)
        net.palette = 3
        assert all(len(picture.flatten(1).T.unique(dim=0)) <= 3 for picture in net(faces))


def test_a_slot_of_an_own_palette_is_the_mean_of_the_colours_that_belong_to_it() -> None:
    head = PaletteHead(channels=1, slots=2)
    with torch.no_grad():
        head.logits.weight.zero_()
        head.logits.weight[:, 0, 0, 0] = torch.tensor([50.0, -50.0])
        head.logits.bias.zero_()  # type: ignore[union-attr]
        free = torch.tensor([[-1.0, -0.5], [0.2, 0.6]]).expand(1, 3, 2, 2)
        painted = head(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])[None, None], free)
    assert torch.allclose(painted.picture[0, 0], torch.tensor([[-0.75, -0.75], [0.4, 0.4]]), atol=1e-5)
    assert float(painted.commitment) == pytest.approx(0.225, abs=1e-5)


def test_slots_start_as_the_colours_around_their_anchors() -> None:
    head, anchors = PaletteHead(channels=2, slots=4), torch.rand(4, 3) * 2 - 1
    head.start(anchors)
    free = torch.rand(1, 3, 8, 8) * 2 - 1
    cells = free[0].flatten(1).T
    with torch.no_grad():
        painted = head(torch.zeros(1, 2, 8, 8), free)
        nearest = torch.cdist(cells, anchors).argmin(dim=1)
    drawn = painted.picture[0].flatten(1).T
    assert len(drawn.unique(dim=0)) == len(nearest.unique())
    assert all(len(drawn[nearest == slot].unique(dim=0)) == 1 for slot in nearest.unique())


def test_an_untrained_shared_palette_takes_the_nearest_colour_and_a_given_one_is_never_changed() -> None:
    torch.manual_seed(0)
    system = cell_system(CellShape(2, 4, 1, palette=4, colours="shared"))
    head = system.a2b.head
    assert isinstance(head, SharedPaletteHead)
    palette = torch.rand(4, 3) * 2 - 1
    head.start(palette, learned=False)
    trainer = Trainer(system, recipe(lr=0.01), seed=5)
    faces = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        means = nn.functional.avg_pool2d(faces, 2)
        nearest = torch.cdist(means.movedim(1, -1).reshape(-1, 3), palette).argmin(dim=1)
        assert torch.equal(system.a2b(faces).movedim(1, -1).reshape(-1, 3), palette[nearest])
    list(trainer.fit(*pictures("cell")))
    assert torch.equal(head.palette, palette)
    assert torch.equal(trainer.average.head.palette, palette)


def test_a_learned_palette_is_changed_by_training() -> None:
    system = cell_system(CellShape(2, 4, 1, palette=4, colours="shared"))
    start = torch.rand(4, 3) - 0.5
    system.a2b.head.start(start, learned=True)  # type: ignore[union-attr, operator]
    list(Trainer(system, recipe(lr=0.01), seed=5).fit(*pictures("cell")))
    assert not torch.equal(system.a2b.head.palette, start)  # type: ignore[union-attr]


def test_a_discriminator_sees_pictures_shifted_by_whole_cells_only() -> None:
    """A column of another phase would show it a grid that is not there."""
    generator = torch.Generator().manual_seed(0)
    native = torch.rand(64, 3, 16, 16, generator=generator)
    enlarged = native.repeat_interleave(4, 2).repeat_interleave(4, 3)
    shifted = augment(enlarged, torch.rand(5, 64, generator=generator), cell=4)
    assert shifted.shape == enlarged.shape
    blocks = shifted.unflatten(3, (16, 4)).unflatten(2, (16, 4))
    assert torch.allclose(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), atol=1e-5)
    still = augment(enlarged, torch.full((5, 64), 0.5), cell=4)
    assert torch.allclose(still, enlarged, atol=1e-5)
    means = [images.mean((2, 3)) for images in (shifted, enlarged)]
    assert sum(not torch.allclose(a, b, atol=1e-3) for a, b in zip(*means, strict=True)) > 60


def test_the_identity_loss_ends_where_the_recipe_says_and_costs_nothing_then() -> None:
    trainer = new_trainer("cell", identity_until=0.5)
    stats = list(trainer.fit(*pictures("cell")))
    on = [step.losses["identity_a"] > 0 for step in stats]
    assert on == [True, True, False, False]


def test_an_untrained_cell_system_draws_the_mean_of_each_cell() -> None:
    """The network learns how to depart from a plain reduction; it does not have to learn the content first."""
    net = cell_system(CellShape(factor=4, width=4, blocks=1, palette=None)).a2b
    faces = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(net(faces), nn.functional.avg_pool2d(faces, 4), atol=1e-6)


def test_lsgan_is_the_squared_distance_to_the_label() -> None:
    logits = torch.tensor([0.5, 2.0])
    assert float(lsgan(logits, real=True)) == pytest.approx((0.25 + 1.0) / 2)
    assert float(lsgan(logits, real=False)) == pytest.approx((0.25 + 4.0) / 2)


@pytest.mark.parametrize("kind", ["resnet", "resize", "cell"])
def test_the_generator_loss_is_eq_3_written_out(kind: str) -> None:
    system = new_trainer(kind).system
    faces, art = (torch.rand(2, 3, side, side) * 2 - 1 for side in (SIZE, SIZE // FACTOR if kind == "cell" else SIZE))
    with torch.no_grad():
        halves = [half(system, faces, art, WEIGHTS) for half in (loss_through_b, loss_through_a)]
        fake_b, fake_a = system.a2b(faces), system.b2a(art)
        voices = system.disc_b(fake_b) if kind == "cell" else [system.disc_b(fake_b)]
        written_out = (
            sum((voice - 1).square().mean() for voice in voices) / len(voices)
            + (system.disc_a(fake_a) - 1).square().mean()
            + 10 * ((system.b2a(fake_b) - faces).abs().mean() + (system.a2b(fake_a) - art).abs().mean())
            + 5 * (system.b2a(system.to_b(faces)) - faces).abs().mean()
            + 5 * (system.a2b(system.to_a(art)) - art).abs().mean()
            + 2 * halves[0].parts["colour"]
            + 3 * halves[0].parts["chroma"]
            + 1 * halves[0].parts["palette"]
            + 4 * halves[0].parts["accents"]
        )
    assert float(halves[0].total + halves[1].total) == pytest.approx(float(written_out), rel=2e-3)


def test_a_lost_mouth_costs_by_the_square_of_its_depth_and_a_darker_one_nothing() -> None:
    face = torch.full((1, 3, 9, 9), 0.5)
    depth = 8 / 9  # of a cell that is darker by 1 than its 8 neighbours and itself on average

    def drawn(mouth: float, elsewhere: float = 0.5) -> torch.Tensor:
        picture = face.clone()
        picture[..., 6, 4], picture[..., 2, 2] = mouth, elsewhere
        return picture

    original = drawn(-0.5)
    assert float(lost_accents(original, original)) == 0
    assert float(lost_accents(drawn(-0.9), original)) == 0
    assert float(lost_accents(drawn(-0.5, elsewhere=-1.0), original)) == 0
    assert float(lost_accents(face, original)) == pytest.approx(depth**2 / 81)
    assert float(lost_accents(drawn(0.0), original)) == pytest.approx(depth * depth / 2 / 81)
    faint = drawn(0.4)
    assert float(lost_accents(face, faint)) == pytest.approx((0.1 * depth) ** 2 / 81, rel=1e-4)


def test_the_edge_of_a_picture_is_no_accent() -> None:
    assert float(lost_accents(torch.ones(1, 3, 8, 8), torch.full((1, 3, 8, 8), -0.25))) == 0


@pytest.mark.parametrize("palette", [None, 4])
def test_the_gradient_of_a_batch_is_the_mean_of_its_parts(palette: int | None) -> None:
    """What training on several processes rests on; critics in evaluation mode, whose spectral norms stand still."""
    torch.manual_seed(0)
    system = cell_system(CellShape(FACTOR, 4, 1, palette))
    system.disc_a.eval(), system.disc_b.eval()
    a, b = torch.rand(2, 3, SIZE, SIZE) * 2 - 1, torch.rand(2, 3, SIZE // FACTOR, SIZE // FACTOR) * 2 - 1
    uniform = torch.rand(5, 2, generator=torch.Generator().manual_seed(0))

    def gradient(parts: list[slice]) -> torch.Tensor:
        system.a2b.zero_grad(), system.b2a.zero_grad()
        for part in parts:
            for half, cell in ((loss_through_b, 1), (loss_through_a, FACTOR)):
                view = partial(augment, uniform=uniform[:, part], cell=cell)
                (half(system, a[part], b[part], WEIGHTS, view).total / len(parts)).backward()
        return torch.cat([p.grad.flatten() for net in (system.a2b, system.b2a) for p in net.parameters()])

    at_once, mean = gradient([slice(0, 2)]), gradient([slice(0, 1), slice(1, 2)])
    assert float((at_once - mean).norm() / at_once.norm()) < 1e-5


def test_the_discriminator_loss_is_half_of_both_sides() -> None:
    disc = nn.Conv2d(3, 1, 1)
    real, fake = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        both = (disc(real) - 1).square().mean() + disc(fake).square().mean()
        assert float(discriminator_loss(disc, real, fake)) == pytest.approx(float(both) / 2, rel=1e-5)


def test_every_critic_of_a_panel_has_one_voice() -> None:
    """However many logits it has."""
    few, many = nn.Conv2d(3, 1, 4), nn.Conv2d(3, 1, 1)
    real, fake = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        alone = [float(discriminator_loss(critic, real, fake)) for critic in (few, many)]
        assert float(discriminator_loss(Panel(few, many), real, fake)) == pytest.approx(sum(alone) / 2, rel=1e-5)
        assert float(lsgan(Panel(few, many)(real), real=True)) == pytest.approx(
            (float(lsgan(few(real), real=True)) + float(lsgan(many(real), real=True))) / 2, rel=1e-5
        )


def test_a_full_replay_returns_old_images_about_half_of_the_time() -> None:
    replay = Replay(10, seed=0)
    answers = [float(replay(torch.full((1, 1, 1, 1), float(step)))) for step in range(1010)]
    assert answers[:10] == list(range(10))
    old = sum(answer != step for step, answer in enumerate(answers) if step >= 10)
    assert 420 < old < 580
    assert len(replay.images) == 10


def test_an_empty_replay_returns_what_it_is_given() -> None:
    image = torch.rand(3, 3, 2, 2)
    assert torch.equal(Replay(0, seed=0)(image), image)


@pytest.mark.parametrize("kind", ["resnet", "resize", "cell"])
def test_two_steps_reach_every_parameter(kind: str) -> None:
    trainer = new_trainer(kind)
    before = copy.deepcopy(trainer.state_dict())
    steps = trainer.fit(*pictures(kind))
    next(steps), next(steps)  # the first moves the zero weights that the others' gradients pass
    for name, net in trainer.system.nets().items():
        for key, parameter in net.named_parameters():
            assert parameter.requires_grad
            still = torch.equal(parameter, before[name][key])
            # A bias before an instance norm has no effect, hence no gradient but rounding.
            assert not still or key.endswith("bias"), (name, key)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """As in the train stage."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("kind", ["resnet", "resize", "cell"])
def test_a_training_that_was_stopped_and_loaded_goes_on_bit_for_bit(kind: str) -> None:
    undisturbed = new_trainer(kind, epochs=3)
    for _ in undisturbed.fit(*pictures(kind)):
        pass
    first = new_trainer(kind, epochs=3)
    steps = first.fit(*pictures(kind))
    for _ in range(3):
        next(steps)
    second = new_trainer(kind, epochs=3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in second.fit(*pictures(kind)):
        pass
    expected, got = undisturbed.state_dict(), second.state_dict()
    assert got["step"] == expected["step"] == 6
    for name in ("a2b", "b2a", "disc_a", "disc_b", "average"):
        for key, value in expected[name].items():
            assert torch.equal(got[name][key], value), (name, key)


def test_the_rate_is_constant_and_then_falls_linearly_to_zero() -> None:
    trainer = new_trainer("cell", epochs=4, images_per_epoch=2, batch_size=1, decay_from=0.5)
    rates = []
    for _ in trainer.fit(*pictures("cell")):
        rates.append(trainer.descend_g.optimiser.param_groups[0]["lr"] / 2e-4)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_training_overfits_one_pair() -> None:
    ramp = np.linspace(0, 255, 20, dtype=np.uint8)  # ten cells: the critics see no fewer
    faces = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=-1)[None]
    art = np.ascontiguousarray(faces[:, ::FACTOR, ::FACTOR])
    trainer = new_trainer("cell", epochs=100, images_per_epoch=1, batch_size=1, lr=2e-3, decay_from=1.0)
    cycle = [stats.losses["cycle_a"] for stats in trainer.fit(faces, art)]
    assert np.mean(cycle[-5:]) < 0.6 * np.mean(cycle[:5])


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    trainer = new_trainer("cell")
    with torch.no_grad():
        next(trainer.system.a2b.parameters()).fill_(torch.nan)
    with pytest.raises(Diverged, match="nan"):
        next(trainer.fit(*pictures("cell")))


def test_mirrored_batches_differ_between_epochs_and_not_between_runs() -> None:
    trainer = new_trainer("cell")
    faces, _ = pictures("cell")
    first, again = trainer._batch(faces, 0, 0, "a"), trainer._batch(faces, 0, 0, "a")
    assert torch.equal(first, again)
    assert not torch.equal(first, trainer._batch(faces, 1, 0, "a"))


@pytest.fixture
def plain_cyclegan(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import plain_cyclegan

    return plain_cyclegan


def test_gradients_are_those_of_the_step_as_it_is_usually_written(plain_cyclegan: ModuleType) -> None:
    """Shared passes, halves on their own, copied borders: another order of the same sums."""
    system = new_trainer("resnet").system
    plain = plain_cyclegan.Plain(4, 1, WEIGHTS, lr=2e-4, replay=0, seed=0)
    plain.load(system.nets())
    a, b = (to_signed(images[:1]) for images in pictures("resnet"))
    total, _, _ = plain.generators(a, b)
    total.backward()
    halves = [half(system, a, b, NO_COLOURS) for half in (loss_through_b, loss_through_a)]
    for half in halves:
        half.total.backward()
    ours = (halves[0].total + halves[1].total).detach()
    assert float(ours) == pytest.approx(float(total.detach()), rel=1e-5)
    for name in ("a2b", "b2a"):
        nets = plain.nets()[name], system.nets()[name]
        for theirs, (key, mine) in zip(nets[0].parameters(), nets[1].named_parameters(), strict=True):
            scale = max(float(theirs.grad.abs().max()), 1e-2)  # biases before a norm have rounding only
            assert float((theirs.grad - mine.grad).abs().max()) < 1e-3 * scale, (name, key)


def test_steps_are_those_of_the_step_as_it_is_usually_written(plain_cyclegan: ModuleType) -> None:
    trainer = new_trainer("resnet", batch_size=1, weights=replace(NO_COLOURS, patterns=0.0), decay_from=1.0)
    plain = plain_cyclegan.Plain(4, 1, WEIGHTS, lr=2e-4, replay=3, seed=trainer.seed)
    plain.load(trainer.system.nets())
    faces, art = pictures("resnet")
    batches = [(trainer._batch(faces, 0, place, "a"), trainer._batch(art, 0, place, "b")) for place in range(4)]
    for batch, stats in zip(batches, trainer.fit(faces, art), strict=False):
        for name, loss in plain.step(*batch).items():
            assert stats.losses[name] == pytest.approx(loss, rel=1e-3), (stats.step, name)


def test_a_step_leaves_no_gradient_behind() -> None:
    trainer = new_trainer("cell")
    next(trainer.fit(*pictures("cell")))
    assert all(p.grad is None for net in trainer.system.nets().values() for p in net.parameters())


@pytest.mark.parametrize("kind", ["resnet", "cell"])
def test_a_step_of_the_generators_leaves_the_discriminators_bit_identical_and_vice_versa(kind: str) -> None:
    trainer = new_trainer(kind)
    nets = trainer.system.nets()
    parameters_around: dict[str, list[dict[str, torch.Tensor]]] = {}

    def observe(name: str, descent: Descent) -> Descent:
        def descend(total: torch.Tensor) -> torch.Tensor:
            before = parameters()
            norm = descent(total)
            parameters_around[name] = [before, parameters()]
            return norm

        descend.optimiser = descent.optimiser  # type: ignore[attr-defined]
        return descend  # type: ignore[return-value]

    def parameters() -> dict[str, torch.Tensor]:
        return {f"{net}.{k}": p.detach().clone() for net in nets for k, p in nets[net].named_parameters()}

    trainer.descend_g, trainer.descend_d = observe("g", trainer.descend_g), observe("d", trainer.descend_d)
    next(trainer.fit(*pictures(kind)))
    for name, others in (("g", "disc"), ("d", "a2b b2a")):
        before, after = parameters_around[name]
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        assert moved
        assert not [key for key in moved if key.split(".")[0].split("_")[0] in others.split()], name


def one_weight() -> tuple[nn.Parameter, Descent]:
    weight = nn.Parameter(torch.ones(2))
    return weight, Descent(torch.optim.SGD([weight], lr=0.5))


def descend_from(descend: Descent, loss: torch.Tensor) -> torch.Tensor:
    loss.backward()
    return descend(loss)


def test_gradients_that_are_not_finite_move_nothing_and_are_counted() -> None:
    weight, descend = one_weight()
    descend_from(
        descend, (weight - weight.detach()).square().sum().sqrt()
    )  # sqrt has no slope at 0: a finite loss, NaN gradients
    assert torch.equal(weight.detach(), torch.ones(2))
    assert (descend.skipped, descend.in_a_row) == (1, 1)
    norm = descend_from(descend, weight.sum())
    assert float(norm) == pytest.approx(2**0.5)
    assert torch.equal(weight.detach(), torch.full((2,), 0.5))
    assert (descend.skipped, descend.in_a_row) == (1, 0)


def test_gradients_that_are_never_finite_end_the_training() -> None:
    weight, descend = one_weight()
    with pytest.raises(Diverged, match="not finite 10 times in a row"):
        for _ in range(11):
            descend_from(descend, (weight - weight.detach()).square().sum().sqrt())
    assert torch.equal(weight.detach(), torch.ones(2))


def test_a_loss_that_is_not_finite_ends_the_training_before_a_weight_moves() -> None:
    weight, descend = one_weight()
    with pytest.raises(Diverged, match="the loss is inf"):
        descend_from(descend, (weight / 0).sum())
    assert torch.equal(weight.detach(), torch.ones(2))


HASHED = """
import hashlib, sys
import torch
sys.path.insert(0, "tests/models")
from test_cyclegan import PATCHES, new_trainer, patch_distance, pictures
torch.set_num_threads(1)
patch_distance.PATCHES = PATCHES
for kind in ("resnet", "cell"):
    trainer = new_trainer(kind)
    for stats in trainer.fit(*pictures(kind)):
        pass
    digest = hashlib.sha256(repr(sorted(stats.losses.items())).encode())
    for net in trainer.system.nets().values():
        for value in net.state_dict().values():
            digest.update(value.numpy().tobytes())
    print(kind, digest.hexdigest())
"""


def test_a_training_does_not_depend_on_the_order_of_hashes() -> None:
    """Whole trainings in processes of their own: the order of sets and the addresses of objects differ."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", HASHED], cwd=ROOT, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("0", "1")
    ]  # fmt: skip
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == 2


@pytest.mark.usefixtures("deterministic")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # asked for by torch itself
@pytest.mark.parametrize("kind", ["resnet", "cell"])
def test_a_compiled_system_trains_to_the_same_weights_under_the_same_names(kind: str) -> None:
    """What torch traces is run as it is here: a C++ compiler takes minutes."""
    symbolic: list[bool] = []  # of each graph

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor | torch.SymInt]) -> Callable[..., object]:
        symbolic.append(any(isinstance(value, torch.SymInt) for value in inputs))
        return graph.forward

    plain, traced = (new_trainer(kind, images_per_epoch=2, augment=True, identity_until=0.5) for _ in range(2))
    traced = Trainer(compile_system(traced.system, backend), traced.recipe, traced.seed)
    losses = [[step.losses for step in trainer.fit(*pictures(kind))] for trainer in (plain, traced)]
    assert losses[0] == losses[1]
    for name, net in plain.system.nets().items():
        weights = traced.system.nets()[name].state_dict()
        assert list(weights) == list(net.state_dict())
        assert all(torch.equal(weights[key], value) for key, value in net.state_dict().items())
    assert len(symbolic) >= 4
    assert not any(symbolic), "a graph would depend on the batch that came first"


def test_a_training_goes_on_where_its_networks_are() -> None:
    """Checkpoints are read into main memory; `meta` stands for a GPU, which refuses pictures from elsewhere."""
    stopped = new_trainer("cell")
    next(stopped.fit(*pictures("cell")))
    goes_on = new_trainer("cell")
    goes_on.device = torch.device("meta")
    goes_on.load_state_dict(stopped.state_dict())
    images = [*goes_on.replay_a.images, *goes_on.replay_b.images]
    assert len(images) == 4
    assert {image.device.type for image in images} == {"meta"}
