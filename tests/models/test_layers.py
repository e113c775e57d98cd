"""models.cyclegan.layers against PyTorch's plain ways."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.cyclegan.layers import MirrorConv2d, UpsampleConv2d, mirror_pad
from models.cyclegan.networks import resize_generator, resnet_generator


def picture(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("p", [1, 2, 3])
def test_mirrored_borders_and_their_gradients_are_those_of_pytorch(p: int) -> None:
    x, weights = picture(2, 3, 4, 9), torch.rand(2, 3, 4 + 2 * p, 9 + 2 * p, dtype=torch.float64)
    ours, plain = mirror_pad(x, p), functional.pad(x, (p,) * 4, mode="reflect")
    assert torch.equal(ours, plain)
    grads = [torch.autograd.grad((padded * weights).sum(), x)[0] for padded in (ours, plain)]
    assert torch.allclose(*grads, atol=1e-12)


def test_a_border_that_is_repeated_is_the_symmetric_mirror() -> None:
    x = torch.arange(3.0).reshape(1, 1, 1, 3).expand(1, 1, 3, 3)
    assert mirror_pad(x, 2, edge=True)[0, 0, 0].tolist() == [1, 0, 0, 1, 2, 2, 1]


def test_the_gradient_of_a_repeated_border_is_numerically_right() -> None:
    assert torch.autograd.gradcheck(lambda x: mirror_pad(x, 2, True), picture(1, 2, 3, 4))


def test_the_mirrored_convolution_is_pytorchs_to_the_bit() -> None:
    torch.manual_seed(0)
    ours, plain = MirrorConv2d(3, 4, 5), nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect")
    plain.load_state_dict(ours.state_dict())
    x = picture(2, 3, 7, 8, dtype=torch.float32)
    assert torch.equal(ours(x), plain(x))


def test_the_folded_enlargement_is_nearest_and_a_reflected_convolution() -> None:
    torch.manual_seed(0)
    ours = UpsampleConv2d(3, 4).double()
    plain = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    ).double()
    plain[1].load_state_dict(ours.state_dict())
    x = picture(2, 3, 5, 4)
    assert torch.allclose(ours(x), plain(x), atol=1e-12)
    weights = torch.rand(2, 4, 10, 8, dtype=torch.float64)
    grads = [torch.autograd.grad((net(x) * weights).sum(), [x, *net.parameters()]) for net in (ours, plain)]
    for mine, theirs in zip(*grads, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-11)


def test_an_even_picture_stays_even_however_often_it_is_enlarged() -> None:
    """No tiles: a transposed convolution of kernel 3 and stride 2 makes them of a flat picture."""

    def tiles(layer: nn.Module) -> float:
        with torch.no_grad():
            return float(layer(torch.ones(1, 4, 8, 8))[0, :, 2:-2, 2:-2].std(dim=(1, 2)).max())

    torch.manual_seed(0)
    assert tiles(UpsampleConv2d(4, 4)) < 1e-6
    assert tiles(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)) > 0.01


def test_resize_has_the_capacity_of_the_reports_generator() -> None:
    counts = [sum(p.numel() for p in net().parameters()) for net in (resize_generator, resnet_generator)]
    assert counts == [11_378_179, 11_378_179]


@pytest.mark.parametrize(("sides", "p", "edge"), [((3, 500), 3, False), ((500, 4), 4, False), ((1, 9), 2, True)])
def test_a_side_that_is_too_short_to_mirror_is_refused(sides: tuple[int, int], p: int, edge: bool) -> None:
    """It was once filled with memory that nobody had written."""
    with pytest.raises(ValueError, match="expected sides of at least"):
        mirror_pad(torch.zeros(1, 1, *sides), p, edge)
    least = tuple(max(side, p + 1 - edge) for side in sides)
    assert torch.isfinite(mirror_pad(torch.zeros(1, 1, *least), p, edge)).all()
