"""Pixels survive the way into a network and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.tensors import to_oklab, to_pixels, to_signed
from pipeline.images import colour


def test_all_256_values_survive_the_round_trip():
    pixels = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=-1)
    assert np.array_equal(to_pixels(to_signed(pixels)), pixels)


def test_a_batch_keeps_its_order_and_its_axes():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    signed = to_signed(pixels)
    assert signed.shape == (2, 3, 3, 5)
    assert signed.dtype == torch.float32
    assert torch.equal(signed[1], to_signed(pixels[1]))
    assert np.array_equal(to_pixels(signed), pixels)
    assert np.array_equal(to_pixels(signed[1]), pixels[1])


def test_black_is_minus_one_and_white_is_one():
    assert to_signed(np.zeros((1, 1, 3), np.uint8)).unique().tolist() == [-1.0]
    assert to_signed(np.full((1, 1, 3), 255, np.uint8)).unique().tolist() == [1.0]


def test_halves_round_to_even_and_values_outside_are_clamped():
    levels = torch.tensor([0.5, 1.5, 2.5, -40.0, 300.0, 254.5])
    image = (levels / 127.5 - 1).double().expand(3, 1, 6)
    exact = torch.tensor([0.0, 1.0]).expand(3, 1, 2)  # 127.5 and 255 without rounding on the way
    assert to_pixels(exact)[0, :, 0].tolist() == [128, 255]
    assert to_pixels(image)[0, 3:5, 0].tolist() == [0, 255]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 1, 4, 4, 3)])
def test_other_shapes_are_refused_with_the_shape(shape):
    with pytest.raises(ValueError, match="expected uint8"):
        to_signed(np.zeros(shape, np.uint8))


def test_float_pixels_are_refused():
    with pytest.raises(ValueError, match="got float64"):
        to_signed(np.zeros((2, 2, 3)))  # type: ignore[arg-type]


def test_a_diverged_image_is_refused_instead_of_turning_into_noise():
    with pytest.raises(ValueError, match="diverged"):
        to_pixels(torch.full((3, 2, 2), float("nan")))


def test_oklab_is_that_of_the_metrics_and_has_a_gradient_everywhere() -> None:
    levels = np.arange(256, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(levels[:, None], levels[None], levels[::-1, None]), axis=-1)
    image = to_signed(pixels)[None].requires_grad_()
    lab = to_oklab(image)
    expected = colour.to_oklab(pixels)
    bright = expected[..., 0] > 0.25
    assert bright.mean() > 0.9
    assert np.abs(lab.detach()[0].permute(1, 2, 0).numpy() - expected)[bright].max() < 1e-5
    lab.sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    black = to_oklab(torch.full((1, 3, 1, 1), -1.0))
    assert black.flatten().tolist() == pytest.approx([0.1, 0.0, 0.0], abs=1e-3)
