"""VGG-19, the losses and the canvases of the style transfer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from torchvision.models import vgg19

from models.styletransfer.canvases import PaletteCanvas, PixelCanvas, cell_means, enlarge, noise
from models.styletransfer.losses import content_loss, gram, style_loss
from models.styletransfer.optimise import Objective, optimise
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
    """Without its weights: drawing those of the classifier takes seconds."""
    with torch.device("meta"):
        return vgg19(weights=None).features


def tiny_network() -> VGG19:
    return VGG19(random_weights(seeded(1), TINY), average_pooling=True)


def stylized(canvas, content, style, *, iterations=12, lr=0.05, objective=OBJECTIVE):
    curve = []
    final = optimise(
        canvas, tiny_network(), content, style, objective, iterations=iterations, lr=lr, report=curve.append
    )
    return final, curve


def test_sixteen_convolutions_with_the_parameters_of_torchvisions_vgg19():
    network = VGG19(random_weights(seeded()))
    reference = torchvisions_features()
    assert len(network.layers) == 16
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in reference.parameters()) == 20_024_384


@pytest.mark.parametrize("rectified", [True, False])
def test_every_activation_equals_torchvisions_with_the_same_weights(rectified):
    reference = torchvisions_features()
    for index, module in enumerate(reference):
        if isinstance(module, torch.nn.ReLU):
            reference[index] = torch.nn.ReLU()  # theirs overwrites the activation before it
    weights = random_weights(seeded())
    weights = {key: value + 0.01 if key.endswith("bias") else value for key, value in weights.items()}
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


def test_nothing_behind_the_deepest_wanted_layer_is_computed():
    network = tiny_network()
    seen = []
    for name, convolution in network.convolutions.items():
        convolution.register_forward_hook(lambda *_, name=name: seen.append(name))
    assert list(network(images(1), ["conv2_1", "conv1_1"])) == ["conv1_1", "conv2_1"]
    assert seen == ["conv1_1", "conv1_2", "conv2_1"]


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


def test_random_activations_keep_their_scale_through_sixteen_layers():
    with torch.no_grad():
        found = VGG19(random_weights(seeded()))(enlarge(images(1, 8), 8), list(LAYERS))
    scales = [activation.square().mean().sqrt() for activation in found.values()]
    assert max(scales) / min(scales) < 4


def test_random_weights_follow_their_generator():
    one, same, other = (random_weights(seeded(seed), TINY)["0.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_making_a_network_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    tiny_network()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_gram_equals_a_naive_loop():
    features = torch.randn(2, 3, 4, 5, generator=seeded())
    found = gram(features)
    for n in range(2):
        for i in range(3):
            for j in range(3):
                total = sum(features[n, i, y, x] * features[n, j, y, x] for y in range(4) for x in range(5))
                assert_close(found[n, i, j], total / (3 * 4 * 5))


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
        one, opposite = (gram(network(centre + sign * offset, ["conv1_1"])["conv1_1"]) for sign in (1, -1))
        assert torch.allclose(one, opposite, rtol=1e-3, atol=1e-6) != rectified


def test_losses_are_zero_at_the_target_and_one_number_per_pair():
    features = {"a": torch.randn(2, 3, 4, 4, generator=seeded()), "b": torch.randn(2, 5, 2, 2, generator=seeded())}
    targets = {name: gram(x) for name, x in features.items()}
    moved = {name: x + torch.tensor([0.0, 1.0]).view(2, 1, 1, 1) for name, x in features.items()}
    assert content_loss(moved["a"], features["a"]).tolist() == pytest.approx([0, 1])
    assert style_loss(features, targets).tolist() == [0, 0]
    found = style_loss(moved, targets)
    assert found[0] == 0
    assert found[1] == pytest.approx(
        sum(float((gram(moved[name])[1] - targets[name][1]).square().mean()) for name in "ab") / 2
    )


@pytest.mark.parametrize("cell", [1, 4])
def test_the_style_loss_falls_and_the_content_loss_stays_bounded(cell):
    content, style = images(2, seed=1), enlarge(images(2, 4, seed=2), 4)
    final, curve = stylized(PixelCanvas(cell_means(content, cell), cell=cell), content, style, iterations=30)
    assert [step.iteration for step in curve] == list(range(31))
    assert all(end < 0.5 * start for start, end in zip(curve[0].style, curve[-1].style, strict=True))
    assert final.abs().max() <= 1


def test_from_noise_both_losses_fall():
    content = enlarge(images(1, 2, seed=1), 8)
    shallow = replace(OBJECTIVE, content_layer="conv1_2")
    _, curve = stylized(PixelCanvas(noise(content, [seeded()])), content, content, iterations=60, objective=shallow)
    assert curve[-1].content[0] < 0.5 * curve[0].content[0]
    assert curve[-1].style[0] < 0.5 * curve[0].style[0]


def test_without_weight_on_style_the_content_comes_back():
    content, style = enlarge(images(1, 4, seed=1), 4), images(1, seed=2)
    canvas = PixelCanvas(noise(cell_means(content, 4), [seeded()]), cell=4)
    content_alone = replace(OBJECTIVE, content_layer="conv1_2", style_weight=0.0)
    final, _ = stylized(canvas, content, style, iterations=150, objective=content_alone)
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
        found = {tuple(colour) for colour in picture.flatten(1).T.tolist()}
        assert found <= {tuple(colour) for colour in palette.tolist()}
        assert torch.equal(enlarge(picture[:, ::4, ::4], 4), picture)


def test_the_loss_moves_a_palette_canvas_to_colours_that_the_content_lacks():
    content = PALETTE[2].view(1, 3, 1, 1) + 0.02 * images(1)
    artwork = enlarge(PALETTE[torch.randint(2, (4, 4), generator=seeded())].permute(2, 0, 1)[None], 4)
    canvas = PaletteCanvas(cell_means(content, 4), [PALETTE], cell=4)
    assert canvas.final().unique().tolist() == [-0.5, 0, 0.5]
    final, curve = stylized(canvas, content, artwork, iterations=60, objective=replace(OBJECTIVE, content_weight=0.0))
    assert {-1, 1} & set(final.unique().tolist())
    assert curve[-1].style[0] < 0.5 * curve[0].style[0]


def test_what_the_optimiser_sees_on_a_palette_canvas_is_what_it_would_return():
    canvas = PaletteCanvas(cell_means(images(1), 4), [PALETTE], cell=4)
    assert_close(canvas.render().detach(), canvas.final())


def canvas_of(kind: str, content: torch.Tensor):
    if kind == "palette":
        return PaletteCanvas(cell_means(content, 4), [PALETTE] * len(content), cell=4)
    cell = 4 if kind == "cell" else 1
    return PixelCanvas(cell_means(content, cell), cell=cell)


@pytest.mark.parametrize("kind", ["free", "cell", "palette"])
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
        curve = []
        canvas = PixelCanvas(content)
        optimise(
            canvas, tiny_network(), content, style, OBJECTIVE, iterations=10, lr=0.05, bf16=bf16, report=curve.append
        )
        curves.append(curve[-1].style[0])
    assert curves[0] != curves[1]
    assert curves[1] == pytest.approx(curves[0], rel=0.2)
