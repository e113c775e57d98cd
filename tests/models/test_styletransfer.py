"""VGG-19, the losses and the canvases of the style transfer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch.testing import assert_close

from models.styletransfer.canvases import PaletteCanvas, PixelCanvas, Relaxation, cell_means, enlarge, noise
from models.styletransfer.optimise import Objective, Schedule, StyleImage, _shrunk, optimise
from models.styletransfer.style_losses import (
    Gaussian,
    Gram,
    content_loss,
    gram,
    mixed,
    moments,
    style_loss,
    total_variation,
)
from models.styletransfer.vgg import IMAGENET_MEAN, IMAGENET_STD, LAYERS, VGG19, random_weights

TINY = (6, 6, 8, 8, 10)  # conv1_1 ... conv3_1
OBJECTIVE = Objective(
    content_layer="conv2_2", style_layers=["conv1_1", "conv2_1", "conv3_1"], content_weight=1.0, style_weight=1e4
)
PALETTE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [0.5, -0.5, 0.0]])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=seeded(seed)) * 2 - 1


def torchvisions_features() -> torch.nn.Sequential:
    from torchvision.models import vgg19

    """Without its weights: drawing those of the classifier takes seconds."""
    with torch.device("meta"):
        return vgg19(weights=None).features


@pytest.fixture(scope="module")
def full_weights() -> dict[str, torch.Tensor]:
    """Random weights of all sixteen convolutions: drawing them takes most of a second."""
    return random_weights(seeded())


def tiny_network() -> VGG19:
    return VGG19(random_weights(seeded(1), TINY), average_pooling=True)


def one_each(style):
    """One artwork for each pair."""
    return [[StyleImage(image)] for image in style]


def stylized(canvas, content, style, *, iterations=12, lr=0.05, objective=OBJECTIVE, artworks=None, **schedule):
    curve = []
    how = Schedule(iterations=iterations, lr=lr, **schedule)
    final = optimise(canvas, tiny_network(), content, artworks or one_each(style), objective, how, on_step=curve.append)
    return final, curve


def test_sixteen_convolutions_with_the_parameters_of_torchvisions_vgg19(full_weights):
    network = VGG19(full_weights)
    reference = torchvisions_features()
    assert len(network.layers) == 16
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in reference.parameters()) == 20_024_384


@pytest.mark.parametrize("rectified", [True, False])
def test_every_activation_equals_torchvisions_with_the_same_weights(full_weights, rectified):
    reference = torchvisions_features()
    for index, module in enumerate(reference):
        if isinstance(module, torch.nn.ReLU):
            reference[index] = torch.nn.ReLU()  # theirs overwrites the activation before it
    weights = {key: value + 0.01 if key.endswith("bias") else value for key, value in full_weights.items()}
    reference.load_state_dict(weights, assign=True)
    image = images(1, 32)
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    x = ((image + 1) / 2 - mean) / std
    with torch.no_grad():
        ours = VGG19(weights, rectified=rectified)(image, list(LAYERS))
        theirs = []
        for module in reference:
            x = module(x)
            theirs.append(x)
    for name, key in LAYERS.items():
        assert_close(ours[name], theirs[key + rectified], rtol=1e-3, atol=1e-4)


def test_average_pooling_replaces_every_max_pooling():
    weights = random_weights(seeded(), TINY)
    image = images(1)
    by_mean = VGG19(weights, average_pooling=True)(image, ["conv1_2", "conv2_1"])
    pooled = torch.nn.functional.avg_pool2d(by_mean["conv1_2"], 2)
    convolved = torch.nn.functional.conv2d(pooled, weights["5.weight"], weights["5.bias"], padding=1)
    assert_close(by_mean["conv2_1"], convolved.relu())


def test_nothing_behind_the_deepest_layer_is_computed():
    network = tiny_network()
    computed = []
    for name, convolution in network.convolutions.items():
        convolution.register_forward_hook(lambda *_, name=name: computed.append(name))
    assert list(network(images(1), ["conv2_1", "conv1_1"])) == ["conv1_1", "conv2_1"]
    assert computed == ["conv1_1", "conv1_2", "conv2_1"]


def test_a_layer_without_weights_is_named_with_those_there_are():
    with pytest.raises(
        ValueError, match="no weights for conv4_2; there are conv1_1, conv1_2, conv2_1, conv2_2, conv3_1"
    ):
        tiny_network()(images(1), ["conv4_2"])


def test_weights_that_do_not_fit_together_are_refused_with_their_shapes():
    weights = random_weights(seeded(), TINY) | {"5.weight": torch.zeros(8, 7, 3, 3)}
    with pytest.raises(ValueError, match=r"conv2_1: expected a weight \(C, 6, 3, 3\).*got \(8, 7, 3, 3\)"):
        VGG19(weights)


def test_weights_under_other_keys_are_refused():
    with pytest.raises(ValueError, match=r"expected keys 0\.weight.*got conv11\.weight"):
        VGG19({"conv11.weight": torch.zeros(1)})


def test_random_activations_keep_their_scale_through_sixteen_layers(full_weights):
    with torch.no_grad():
        activations = VGG19(full_weights)(enlarge(images(1, 8), 8), list(LAYERS))
    scales = [activation.square().mean().sqrt() for activation in activations.values()]
    assert max(scales) / min(scales) < 4


def test_random_weights_follow_their_generator():
    first, again, other = (random_weights(seeded(seed), TINY)["0.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_making_a_network_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    tiny_network()
    assert torch.equal(torch.random.get_rng_state(), before)


def naive_gram(features):
    """(C, H, W) -> (C, C)."""
    channels, rows, columns = features.shape
    matrix = torch.zeros(channels, channels, dtype=features.dtype)
    for i in range(channels):
        for j in range(channels):
            total = sum(features[i, y, x] * features[j, y, x] for y in range(rows) for x in range(columns))
            matrix[i, j] = total / (channels * rows * columns)
    return matrix


def test_gram_and_its_loss_equal_a_naive_loop():
    features, others = (torch.randn(2, 3, 4, 5, generator=seeded(seed), dtype=torch.float64) for seed in (0, 1))
    matrices, losses = gram(features), Gram.of(moments(others)).loss(features)
    for n in range(2):
        mine, theirs = naive_gram(features[n]), naive_gram(others[n])
        assert_close(matrices[n], mine, atol=1e-6, rtol=1e-6)
        distance = sum((mine[i, j] - theirs[i, j]) ** 2 for i in range(3) for j in range(3)) / 9
        assert_close(losses[n], distance, atol=1e-6, rtol=1e-6)


def test_gram_does_not_see_where_things_are():
    features = torch.randn(1, 3, 4, 5, generator=seeded())
    assert_close(gram(features.roll((1, 2), dims=(2, 3))), gram(features))


def test_gram_tells_a_colour_from_its_opposite():
    """Before the ReLU it does not: conv1_1 is linear there, and the sign is lost in the square."""
    weights = random_weights(seeded(), TINY)
    centre = 2 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) - 1
    offset = 0.1 * images(1)
    for rectified in (True, False):
        network = VGG19(weights, rectified=rectified)
        same, opposite = (gram(network(centre + sign * offset, ["conv1_1"])["conv1_1"]) for sign in (1, -1))
        assert torch.allclose(same, opposite, rtol=1e-3, atol=1e-6) != rectified


def test_losses_are_zero_at_the_target_and_one_number_per_pair():
    features = {"a": torch.randn(2, 3, 4, 4, generator=seeded()), "b": torch.randn(2, 5, 2, 2, generator=seeded())}
    targets = {name: Gram(gram(x)) for name, x in features.items()}
    moved = {name: x + torch.tensor([0.0, 1.0]).view(2, 1, 1, 1) for name, x in features.items()}
    assert content_loss(moved["a"], features["a"]).tolist() == pytest.approx([0, 1])
    assert style_loss(features, targets).tolist() == [0, 0]
    losses = style_loss(moved, targets)
    assert losses[0] == 0
    assert losses[1] == pytest.approx(
        sum(float((gram(moved[name])[1] - targets[name].matrix[1]).square().mean()) for name in "ab") / 2
    )


@pytest.mark.parametrize("cell", [1, 4])
def test_the_style_loss_falls_and_the_content_loss_stays_bounded(cell):
    content, style = images(2, seed=1), enlarge(images(2, 4, seed=2), 4)
    final, curve = stylized(PixelCanvas(cell_means(content, cell), cell=cell), content, style, iterations=15)
    assert [step.iteration for step in curve] == list(range(16))
    assert all(end < 0.5 * start for start, end in zip(curve[0].style, curve[-1].style, strict=True))
    assert final.abs().max() <= 1


def test_from_noise_both_losses_fall():
    content = enlarge(images(1, 2, seed=1), 8)
    shallow = replace(OBJECTIVE, content_layer="conv1_2")
    canvas = PixelCanvas(noise(content, [seeded()]))
    _, curve = stylized(canvas, content, content, iterations=30, lr=0.1, objective=shallow)
    assert curve[-1].content[0] < 0.5 * curve[0].content[0]
    assert curve[-1].style[0] < 0.5 * curve[0].style[0]


def test_without_weight_on_style_the_content_comes_back():
    content, style = enlarge(images(1, 4, seed=1), 4), images(1, seed=2)
    canvas = PixelCanvas(noise(cell_means(content, 4), [seeded()]), cell=4)
    content_alone = replace(OBJECTIVE, content_layer="conv1_2", style_weight=0.0)
    final, _ = stylized(canvas, content, style, iterations=100, objective=content_alone)
    assert (final - content).abs().mean() < 0.05


def test_a_cell_canvas_is_constant_in_every_cell():
    content = images(2, seed=1)
    final, _ = stylized(PixelCanvas(cell_means(content, 4), cell=4), content, images(2, seed=2))
    assert torch.equal(enlarge(final[..., ::4, ::4], 4), final)
    assert not torch.equal(final, enlarge(cell_means(content, 4), 4))


def test_a_palette_canvas_starts_at_the_nearest_colours_and_ends_inside_each_pairs_palette():
    content = images(2, seed=1)
    cells = cell_means(content, 4)
    palettes = [PALETTE, PALETTE[:2] * 0.5]
    canvas = PaletteCanvas(cells, palettes, cell=4)
    nearest = (cells[0, :, 1, 2] - PALETTE).square().sum(1).argmin()
    assert_close(canvas.final()[0, :, 6, 9], PALETTE[nearest])
    final, _ = stylized(canvas, content, images(2, seed=2))
    for picture, palette in zip(final, palettes, strict=True):
        colours = {tuple(colour) for colour in picture.flatten(1).T.tolist()}
        assert colours <= {tuple(colour) for colour in palette.tolist()}
        assert torch.equal(enlarge(picture[:, ::4, ::4], 4), picture)


def test_the_loss_moves_a_palette_canvas_to_colours_that_the_content_lacks():
    content = PALETTE[2].view(1, 3, 1, 1) + 0.02 * images(1)
    artwork = enlarge(PALETTE[torch.randint(2, (4, 4), generator=seeded())].permute(2, 0, 1)[None], 4)
    canvas = PaletteCanvas(cell_means(content, 4), [PALETTE], cell=4)
    assert canvas.final().unique().tolist() == [-0.5, 0, 0.5]
    style_alone = replace(OBJECTIVE, content_weight=0.0)
    final, curve = stylized(canvas, content, artwork, iterations=30, lr=0.1, objective=style_alone)
    assert {-1, 1} & set(final.unique().tolist())
    assert curve[-1].style[0] < 0.5 * curve[0].style[0]


def test_what_the_optimiser_sees_on_a_palette_canvas_is_what_it_would_return():
    canvas = PaletteCanvas(cell_means(images(1), 4), [PALETTE], cell=4)
    assert_close(canvas.render(0).detach(), canvas.final())


RELAXED = Relaxation(hard=False, noise=1.0, start=1.0, end=0.1)


def canvas_of(kind: str, content: torch.Tensor):
    if kind == "relaxed":
        generators = [seeded(int(1000 * image.abs().sum())) for image in content]
        palettes = [PALETTE] * len(content)
        return PaletteCanvas(cell_means(content, 4), palettes, cell=4, relaxation=RELAXED, generators=generators)
    if kind == "palette":
        return PaletteCanvas(cell_means(content, 4), [PALETTE] * len(content), cell=4)
    cell = 4 if kind == "cell" else 1
    return PixelCanvas(cell_means(content, cell), cell=cell)


@pytest.mark.parametrize("kind", ["free", "cell", "palette", "relaxed"])
def test_a_batch_of_two_equals_two_batches_of_one(kind):
    content, style = images(2, seed=1), images(2, seed=2)
    together, curve = stylized(canvas_of(kind, content), content, style)
    for n in range(2):
        one = slice(n, n + 1)
        alone, curve_alone = stylized(canvas_of(kind, content[one]), content[one], style[one])
        assert (together[one] - alone).abs().mean() < 1e-3
        assert curve[-1].style[n] == pytest.approx(curve_alone[-1].style[0], rel=1e-2)


def test_noise_belongs_to_the_pair_and_not_to_its_batch():
    like = torch.zeros(2, 3, 4, 4)
    both = noise(like, [seeded(1), seeded(2)])
    assert torch.equal(both[1:], noise(like[:1], [seeded(2)]))
    assert not torch.equal(both[0], both[1])


def test_bf16_reaches_nearly_the_same_losses():
    content, style = images(1, seed=1), images(1, seed=2)
    curves = []
    for bf16 in (False, True):
        curve = stylized(PixelCanvas(content), content, style, iterations=10, bf16=bf16)[1]
        curves.append(curve[-1].style[0])
    assert curves[0] != curves[1]
    assert curves[1] == pytest.approx(curves[0], rel=0.2)


def features_of(shape, seed=0):
    """Features unlike any Gaussian with mean 0: means and variances differ by channel."""
    normal = torch.randn(shape, generator=seeded(seed), dtype=torch.float64)
    return normal.abs() * torch.linspace(0.5, 2, shape[1], dtype=torch.float64)[:, None, None] + 0.1 * normal


def test_moments_equal_a_naive_loop():
    features = features_of((2, 3, 4, 5))
    measured = moments(features)
    for n in range(2):
        positions = [features[n, :, y, x] for y in range(4) for x in range(5)]
        mean = sum(positions) / 20
        assert_close(measured.mean[n], mean, atol=1e-6, rtol=1e-6)
        covariance = sum(torch.outer(f - mean, f - mean) for f in positions) / 20
        gaussian = Gaussian.of(measured)
        assert_close(gaussian.covariance[n], covariance, atol=1e-6, rtol=1e-6)
        assert_close(gaussian.root[n] @ gaussian.root[n], covariance, atol=1e-6, rtol=1e-6)
        assert_close(measured.second[n], sum(torch.outer(f, f) for f in positions) / 20, atol=1e-6, rtol=1e-6)


def naive_wasserstein(features, others):
    """The Wasserstein loss by its definition, one pair at a time, with SciPy's matrix root."""
    losses = []
    for f, g in zip(features.flatten(2).numpy(), others.flatten(2).numpy(), strict=True):
        s, t = np.cov(f, bias=True), np.cov(g, bias=True)
        root = sqrtm(t)
        distance = ((f.mean(1) - g.mean(1)) ** 2).sum() + np.trace(s + t - 2 * np.real(sqrtm(root @ s @ root)))
        losses.append(distance / len(f))
    return torch.tensor(losses)


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (3, 8, 3, 3)])
def test_the_wasserstein_loss_equals_its_definition(shape):
    features, others = features_of(shape), features_of(shape, seed=1)
    losses = Gaussian.of(moments(others)).loss(features)
    assert_close(losses, naive_wasserstein(features, others), atol=1e-6, rtol=1e-6)


def test_with_fewer_positions_than_channels_the_wasserstein_loss_is_the_same():
    """The smaller of two matrices with the same eigenvalues is taken."""
    features, others = features_of((2, 12, 2, 3)), features_of((2, 12, 4, 4), seed=1)
    target = Gaussian.of(moments(others))
    flat = features.flatten(2)
    centred = (flat - flat.mean(dim=2, keepdim=True)) / 6**0.5
    larger = torch.linalg.eigvalsh(target.root @ centred @ centred.mT @ target.root).clamp_min(0).sqrt().sum(dim=1)
    spread = centred.square().sum(dim=(1, 2)) + torch.diagonal(target.covariance, dim1=1, dim2=2).sum(dim=1)
    expected = ((flat.mean(dim=2) - target.mean).square().sum(dim=1) + spread - 2 * larger) / 12
    assert_close(target.loss(features), expected, atol=1e-6, rtol=1e-6)


def test_the_wasserstein_loss_of_shifted_features_is_the_squared_shift():
    features = features_of((2, 5, 4, 4))
    target = Gaussian.of(moments(features))
    assert target.loss(features).abs().max() < 1e-7
    assert_close(target.loss(features + 0.5), torch.full((2,), 0.25, dtype=torch.float64), atol=1e-6, rtol=1e-6)


def test_a_gram_matrix_confuses_what_the_wasserstein_loss_tells_apart():
    """Mean 1 without spread has the second moment of mean 0 with spread 1."""
    plain = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    pattern = torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]]], dtype=torch.float64)
    spread = moments(pattern)
    assert Gram.of(spread).loss(plain) == 0
    assert Gaussian.of(spread).loss(plain).item() == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("kind", [Gram, Gaussian])
@pytest.mark.parametrize("shape", [(2, 3, 3, 3), (1, 6, 2, 2)])
def test_the_gradients_of_the_style_losses_are_right(kind, shape):
    target = kind.of(moments(features_of(shape, seed=1)))
    features = features_of(shape).requires_grad_()
    assert torch.autograd.gradcheck(target.loss, [features])


def test_the_gradient_stays_finite_where_eigenvalues_are_equal_or_zero():
    features = torch.ones(1, 4, 3, 3, requires_grad=True)
    pattern = torch.eye(4)[None, :, :, None].repeat(1, 1, 1, 4)
    Gaussian.of(moments(pattern)).loss(features).sum().backward()
    assert torch.isfinite(features.grad).all()


def test_the_gradients_of_content_and_variation_are_right():
    image = features_of((2, 3, 4, 4)).requires_grad_()
    assert torch.autograd.gradcheck(total_variation, [image])
    target = features_of((2, 3, 4, 4), seed=1)
    assert torch.autograd.gradcheck(lambda x: content_loss(x, target), [image], eps=1e-2, atol=1e-3)


def test_variation_is_the_mean_square_of_steps_between_neighbours():
    image = torch.tensor([[[[0.0, 2.0], [0.0, 0.0]]]])
    assert total_variation(image).tolist() == [(4 + 0) / 2 + (0 + 4) / 2]


def test_mixed_moments_are_those_of_artworks_hung_side_by_side():
    left, right = features_of((1, 3, 4, 6)), features_of((1, 3, 4, 6), seed=1)
    hung = moments(torch.cat([left, left, left, right], dim=3))
    mixture = mixed([moments(left), moments(right)], [3.0, 1.0])
    assert_close(mixture.mean, hung.mean)
    assert_close(mixture.second, hung.second)


def test_layers_weigh_less_and_less_by_the_falloff():
    features = {name: features_of((2, 3, 4, 4), seed) for seed, name in enumerate("abc")}
    targets = {name: Gram.of(moments(x + 1)) for name, x in features.items()}
    terms = [targets[name].loss(features[name]) for name in "abc"]
    assert_close(style_loss(features, targets, 0.5), (terms[0] + terms[1] / 2 + terms[2] / 4) / 1.75)


def test_an_artwork_of_weight_zero_point_nothing_hardly_counts():
    content, style = images(1, seed=1), images(2, seed=2)
    ends = []
    for weight in (1e-6, 1.0, 1e6):
        styles = [[StyleImage(style[0]), StyleImage(style[1], weight)]]
        ends.append(stylized(PixelCanvas(content), content, style, artworks=styles)[0])
    first, second = (stylized(PixelCanvas(content), content, style[n : n + 1])[0] for n in range(2))
    assert_close(ends[0], first, atol=2e-2, rtol=0)
    assert_close(ends[2], second, atol=2e-2, rtol=0)
    assert (ends[1] - first).abs().max() > 0.05 < (ends[1] - second).abs().max()


def test_artworks_of_several_sizes_serve_together():
    content = images(1, seed=1)
    styles = [[StyleImage(images(1, 12)[0]), StyleImage(images(1, 20)[0])]]
    _, curve = stylized(PixelCanvas(content), content, None, artworks=styles, iterations=30)
    assert curve[-1].style[0] < 0.5 * curve[0].style[0]


@pytest.mark.parametrize("kind", ["free", "cell", "palette"])
def test_lbfgs_goes_further_than_adam_on_as_many_evaluations(kind):
    content, style = images(1, seed=1), enlarge(images(1, 4, seed=2), 4)
    ends = {}
    for lbfgs in (False, True):
        _, curve = stylized(canvas_of(kind, content), content, style, iterations=20, lr=0.02, lbfgs=lbfgs)
        ends[lbfgs] = OBJECTIVE.style_weight * curve[-1].style[0] + curve[-1].content[0]
        assert len(curve) >= 21
    assert ends[True] < (1.1 if kind == "palette" else 1) * ends[False]


def test_lbfgs_refuses_several_pairs():
    with pytest.raises(ValueError, match="one pair at a time, got 2"):
        stylized(PixelCanvas(images(2)), images(2), images(2), lbfgs=True)


def test_the_wasserstein_objective_falls_on_every_canvas():
    content, style = images(2, seed=1), enlarge(images(2, 4, seed=2), 4)
    goal = replace(OBJECTIVE, wasserstein=True, style_weight=100.0, falloff=0.5, tv_weight=0.01)
    for kind in ("free", "cell", "palette"):
        _, curve = stylized(canvas_of(kind, content), content, style, iterations=12, lr=0.1, objective=goal)
        assert all(end < 0.6 * start for start, end in zip(curve[0].style, curve[-1].style, strict=True)), kind


def test_weight_on_variation_makes_a_picture_smoother():
    content, style = images(1, seed=1), images(1, seed=2)
    rough, smooth = (
        stylized(PixelCanvas(content), content, style, objective=replace(OBJECTIVE, tv_weight=weight))[0]
        for weight in (0.0, 100.0)
    )
    assert total_variation(smooth) < 0.7 * total_variation(rough)


def test_the_average_of_the_iterates_is_the_weighted_mean_with_its_bias_removed():
    content, style = images(1, seed=1), images(1, seed=2)
    states = []

    class RecordedCanvas(PixelCanvas):
        def project(self):
            super().project()
            states.append(self.leaves[0].detach().clone())

    final, _ = stylized(RecordedCanvas(content), content, style, iterations=3, ema=0.5)
    first, second, third = states[:3]
    assert_close(final, (first + 2 * second + 4 * third) / 7)


def test_a_pair_on_a_plateau_ends_and_the_others_go_on_as_if_it_had_never_been_there():
    content, style = images(2, seed=1), images(2, seed=2)
    how = {"iterations": 200, "plateau": 0.3, "patience": 4, "lr": 0.05}
    final, curve = stylized(PixelCanvas(content), content, style, **how)
    durations = [sum(not step.done[n] for step in curve) for n in range(2)]
    assert 8 <= durations[0] != durations[1] < 200
    for n in range(2):
        one = slice(n, n + 1)
        result, alone_curve = stylized(PixelCanvas(content[one]), content[one], style[one], **how)
        assert len(alone_curve) - 1 == durations[n]
        assert (final[one] - result).abs().mean() < 1e-3
        assert curve[-1].style[n] == pytest.approx(alone_curve[-1].style[0], rel=1e-2)


def test_without_a_plateau_every_iteration_is_run():
    content = images(1)
    _, curve = stylized(PixelCanvas(content), content, content, iterations=30)
    assert sum(not step.done[0] for step in curve) == 30


@pytest.mark.parametrize("kind", ["free", "cell", "palette"])
def test_coarse_to_fine_ends_at_full_size(kind):
    content, style = images(2, seed=1), enlarge(images(2, 4, seed=2), 4)
    final, curve = stylized(canvas_of(kind, content), content, style, iterations=31, levels=2)
    assert final.shape == content.shape
    assert [step.iteration for step in curve] == list(range(32))
    assert curve[-1].done == (True, True)
    if kind == "palette":  # of three colours: too few choices for a loss that falls steadily
        assert {tuple(c) for c in final[0].flatten(1).T.tolist()} <= {tuple(c) for c in PALETTE.tolist()}
    else:
        assert curve[14].style[0] < 0.7 * curve[0].style[0]
        assert curve[-1].style[0] < 0.7 * curve[15].style[0]


def test_cells_too_small_to_be_seen_coarser_are_refused():
    content = images(1)
    with pytest.raises(ValueError, match="cannot be seen at 1/8: 4 pixels"):
        stylized(canvas_of("cell", content), content, content, levels=4)


def test_a_smaller_learning_rate_at_the_end_is_reached_along_a_cosine():
    content, style = images(1, seed=1), images(1, seed=2)
    states = [content]

    class RecordedCanvas(PixelCanvas):
        def project(self):
            super().project()
            states.append(self.leaves[0].detach().clone())

    stylized(RecordedCanvas(content * 0.5), content, style, iterations=20, lr=0.01, lr_end=0.01)
    moved = [float((after - before).abs().max()) for before, after in pairwise(states[1:])]
    assert max(moved[15:19]) < 0.3 * max(moved[:4])


def test_a_soft_choice_mixes_colours_until_the_end_and_the_result_does_not():
    content = images(1, seed=1)
    canvas = canvas_of("relaxed", content)
    start = {tuple(colour) for colour in canvas.render(0).detach()[0].flatten(1).T.tolist()}
    assert len(start) > len(PALETTE)
    final, _ = stylized(canvas, content, images(1, seed=2), iterations=20)
    assert {tuple(c) for c in final[0].flatten(1).T.tolist()} <= {tuple(c) for c in PALETTE.tolist()}


def test_a_falling_temperature_brings_the_soft_choice_to_the_hard_one():
    cells = cell_means(images(1), 4)
    canvas = PaletteCanvas(cells, [PALETTE], cell=4, relaxation=Relaxation(hard=False, start=1.0, end=0.01))
    distances = [float((canvas.render(done).detach() - canvas.final()).abs().mean()) for done in (0, 0.5, 1)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.02


@pytest.mark.parametrize(
    ("iterations", "levels", "expected"), [(5, 1, [0, 0.25, 0.5, 0.75, 1]), (3, 2, [0, 0.5, 1]), (1, 1, [0])]
)
def test_a_canvas_hears_how_much_is_done_from_nothing_to_all(iterations, levels, expected):
    """So that a temperature ends where it should."""
    shares = []

    class RecordedCanvas(PixelCanvas):
        def render(self, done):
            shares.append(done)
            return super().render(done)

    stylized(RecordedCanvas(images(1)), images(1), images(1, seed=2), iterations=iterations, levels=levels)
    assert shares == expected


def test_seen_coarser_an_artwork_shows_no_new_colour():
    styles = [[StyleImage(images(1, seed=2)[0], figure=torch.ones(16, 16))]]
    content, [[coarse]] = _shrunk(images(1), styles, 4)
    assert content.shape[2:] == coarse.image.shape[1:] == coarse.figure.shape == (4, 4)
    assert {tuple(c) for c in coarse.image.flatten(1).T.tolist()} <= {
        tuple(c) for c in styles[0][0].image.flatten(1).T.tolist()
    }


def test_noise_on_the_choice_needs_a_generator_for_every_pair():
    with pytest.raises(ValueError, match="a generator per pair for the noise, 1; got 0"):
        PaletteCanvas(cell_means(images(1), 4), [PALETTE], cell=4, relaxation=Relaxation(noise=1.0))


def test_gumbel_noise_draws_each_colour_as_often_as_the_softmax_says():
    """The Gumbel-max theorem (Jang et al. 2017, eq. 1)."""
    cells = PALETTE[0].view(1, 3, 1, 1).expand(1, 3, 64, 64)
    canvas = PaletteCanvas(cells, [PALETTE], cell=1, relaxation=Relaxation(noise=1.0), generators=[seeded()])
    expected = canvas._logits()[0, :, 0, 0].softmax(0)
    rendered = canvas.render(0).detach()[0].flatten(1).T
    shares = torch.stack([(rendered - colour).abs().sum(1).lt(1e-4).float().mean() for colour in PALETTE])
    assert_close(shares, expected, atol=0.03, rtol=0)


def test_a_learned_palette_moves_and_still_holds_few_colours():
    content, style = images(2, seed=1), images(2, seed=2)
    canvas = PaletteCanvas(cell_means(content, 4), [PALETTE, PALETTE[:2]], cell=4, learned=True)
    final, curve = stylized(canvas, content, style, iterations=30)
    for picture, colours in zip(final, (3, 2), strict=True):
        assert len({tuple(colour) for colour in picture.flatten(1).T.tolist()}) <= colours
    assert not {tuple(c) for c in final[0].flatten(1).T.tolist()} <= {tuple(c) for c in PALETTE.tolist()}
    assert curve[-1].style[0] < curve[0].style[0]


def test_a_pair_whose_features_are_no_numbers_leaves_the_others_alone():
    features = features_of((2, 4, 3, 3))
    target = Gaussian.of(moments(features_of((2, 4, 3, 3), seed=1)))
    alone_loss = target.select(torch.tensor([1])).loss(features[1:])
    features[0, 0, 0, 0] = torch.nan
    losses = target.loss(features)
    assert losses[0].isnan()
    assert_close(losses[1:], alone_loss)
