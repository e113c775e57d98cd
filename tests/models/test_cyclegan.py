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
    Panel,
    close_discriminator,
    patch_discriminator,
    report_discriminator,
    resnet_generator,
)
from models.cyclegan.pair_loss import pair_loss
from models.cyclegan.replay import Replay
from models.cyclegan.train import Recipe, Trainer, cell_system, picture_system
from models.tensors import to_oklab, to_signed

WEIGHTS = Weights(cycle=10.0, identity=5.0, colour=2.0, chroma=3.0, accents=4.0, patterns=2.0)
NO_COLOURS = replace(WEIGHTS, colour=0.0, chroma=0.0, accents=0.0)
SIZE, FACTOR = 32, 2
PATCHES = 32
ROOT = Path(__file__).parents[2]


def recipe(**changes: object) -> Recipe:
    values = {
        "epochs": 2, "images_per_epoch": 4, "batch_size": 2, "lr": 2e-4, "decay_from": 0.5, "replay": 3, "ema": 0.9,
        "weights": WEIGHTS, "identity_until": 1.0, "augment": False, "pairs": 0.0, "bf16": False,
    }  # fmt: skip
    return Recipe(**{**values, **changes})  # type: ignore[arg-type]


def new_trainer(kind: str, **changes: object) -> Trainer:
    torch.manual_seed(3)
    system = {
        "resnet": lambda: picture_system("resnet", 4, 1, FACTOR),
        "resize": lambda: picture_system("resize", 4, 1, FACTOR),
        "cell": lambda: cell_system(CellShape(factor=FACTOR, width=4, blocks=1, critics=4)),
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
    net, inverse = CellGenerator(CellShape(factor=factor, width=4, blocks=1)), CellInverse(factor, 4, 1)
    with torch.no_grad():
        drawn = net(torch.rand(2, 3, 32, 32) * 2 - 1)
        assert drawn.shape == (2, 3, 32 // factor, 32 // factor)
        assert inverse(drawn).shape == (2, 3, 32, 32)


def test_the_cell_generator_has_any_width() -> None:
    for width in range(4, 41):
        net = CellGenerator(CellShape(factor=2, width=width, blocks=1))
        with torch.no_grad():
            assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 8, 8)


def test_a_factor_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two, got 3"):
        CellGenerator(CellShape(factor=3, width=4, blocks=1))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (5, 8), (17, 23)])
def test_the_cell_generator_draws_any_number_of_cells(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    net = CellGenerator(CellShape(factor=4, width=8, blocks=1)).eval()
    faces = torch.rand(2, 3, 4 * rows, 4 * columns) * 2 - 1
    with torch.no_grad():
        drawn = net(faces)
        assert drawn.shape == (2, 3, rows, columns)
        assert torch.equal(drawn, net(faces))
        assert torch.allclose(drawn[:1], net(faces[:1]), atol=1e-5)


def test_a_pair_loss_of_a_truth_is_nothing_and_a_lost_hue_costs_more_than_the_same_step_of_lightness() -> None:
    native = torch.full((1, 3, 6, 6), -0.2)
    lighter, redder = native.clone(), native.clone()
    lighter[..., 3, 3] += 0.2
    redder[:, 0, 3, 3] += 0.3
    redder[:, 1:, 3, 3] -= 0.2
    assert float(pair_loss(native, native)) == 0
    assert float(pair_loss(redder, native)) > float(pair_loss(lighter, native)) > 0


def test_a_pair_loss_is_the_sum_written_out() -> None:
    """One cell of 4 x 4 that is lighter by 0.1 in OKLab: a sixteenth of it, and its four edges of 12 on each axis."""
    truth, drawn = (torch.full((1, 3, 4, 4), value) for value in (0.0, 0.0))
    drawn[..., 1, 1] = 0.25
    step = float((to_oklab(drawn) - to_oklab(truth))[0, 0, 1, 1])
    assert float(pair_loss(drawn, truth)) == pytest.approx(step / 48 + 0.5 * (2 * step / 36 + 2 * step / 36), rel=1e-4)


def pairs(step: int, share: slice) -> tuple[np.ndarray, np.ndarray]:
    """Four pairs a step, of which a share is given."""
    rng = np.random.default_rng(step)
    native = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    return native.repeat(FACTOR, 1).repeat(FACTOR, 2)[share], native[share]


def test_pairs_alone_teach_the_generator_and_touch_no_other_network() -> None:
    trainer = new_trainer("cell", pairs=1.0)
    before = {name: copy.deepcopy(net.state_dict()) for name, net in trainer.system.nets().items()}
    steps = list(trainer.fit(*pictures("cell"), lambda _, share: darker(share)))
    assert set(steps[0].losses) == {"pairs", "generators", "gradient_generators"}
    assert all(step.losses["generators"] == pytest.approx(step.losses["pairs"]) for step in steps)
    for name, net in trainer.system.nets().items():
        same = all(torch.equal(value, before[name][key]) for key, value in net.state_dict().items())
        assert same == (name != "a2b")


def test_a_share_of_pairs_is_that_share_of_the_loss() -> None:
    trainer = new_trainer("cell", pairs=0.25)
    losses = next(trainer.fit(*pictures("cell"), pairs)).losses
    plain = next(new_trainer("cell").fit(*pictures("cell"))).losses
    alone = next(new_trainer("cell", pairs=1.0).fit(*pictures("cell"), pairs)).losses
    assert losses["generators"] == pytest.approx(0.25 * alone["pairs"] + 0.75 * plain["generators"], rel=1e-5)
    assert {"disc_a", "disc_b", "cycle_a"} <= set(losses)


def test_a_training_on_pairs_comes_to_draw_them() -> None:
    trainer = new_trainer("cell", pairs=1.0, epochs=120, images_per_epoch=2, batch_size=2, lr=3e-3, decay_from=1.0)
    losses = [step.losses["pairs"] for step in trainer.fit(*pictures("cell"), lambda _, share: darker(share))]
    assert np.mean(losses[-5:]) < 0.4 * losses[0]


def darker(share: slice) -> tuple[np.ndarray, np.ndarray]:
    smooth, native = pairs(0, share)
    return smooth, native // 2


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
    net = cell_system(CellShape(factor=4, width=4, blocks=1)).a2b
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


def test_the_gradient_of_a_batch_is_the_mean_of_its_parts() -> None:
    """What training on several processes rests on; critics in evaluation mode, whose spectral norms stand still."""
    torch.manual_seed(0)
    system = cell_system(CellShape(factor=FACTOR, width=4, blocks=1))
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
def test_three_steps_reach_every_parameter(kind: str) -> None:
    trainer = new_trainer(kind)
    before = copy.deepcopy(trainer.state_dict())
    steps = trainer.fit(*pictures(kind))
    next(steps), next(steps), next(steps)  # the first two move the zero weights that the others' gradients pass
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
    compile_system(traced.system, backend)
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
