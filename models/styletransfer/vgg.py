"""The convolutional part of VGG-19 (Simonyan and Zisserman 2014, arXiv:1409.1556, configuration E), as features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

Weights = Mapping[str, Tensor]  # "<key>.weight" (out, in, 3, 3) and "<key>.bias" (out,), keys as in LAYERS

LAYERS = {  # the paper's block and number -> key of that convolution in torchvision's vgg19().features
    "conv1_1": 0, "conv1_2": 2,
    "conv2_1": 5, "conv2_2": 7,
    "conv3_1": 10, "conv3_2": 12, "conv3_3": 14, "conv3_4": 16,
    "conv4_1": 19, "conv4_2": 21, "conv4_3": 23, "conv4_4": 25,
    "conv5_1": 28, "conv5_2": 30, "conv5_3": 32, "conv5_4": 34,
}  # fmt: skip
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
POOLED_BEFORE = ("conv2_1", "conv3_1", "conv4_1", "conv5_1")

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1], as torchvision's weights expect
IMAGENET_STD = (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """Frozen convolutions of VGG-19, as many of the first ones as `weights` holds.

    Args:
        weights: under torchvision's keys; the widths are read off them.
        average_pooling: as Gatys et al. 2015 (sec. Methods); max pooling is the network's own.
        rectified: activations are those after the ReLU, as in the paper. Before it conv1_1 is linear, and a Gram matrix
            takes a colour for its opposite: blue artworks then make orange hair.

    Raises:
        ValueError: the first convolution is missing, or two shapes do not fit together.
    """

    def __init__(self, weights: Weights, *, average_pooling: bool = False, rectified: bool = True) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict(_convolutions(weights))
        self.rectified = rectified
        self.pool = nn.AvgPool2d(2) if average_pooling else nn.MaxPool2d(2)
        self.register_buffer("mean", 2 * torch.tensor(IMAGENET_MEAN).view(3, 1, 1) - 1)
        self.register_buffer("std", 2 * torch.tensor(IMAGENET_STD).view(3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the convolutions that the weights cover, from the first on."""
        return tuple(self.convolutions)

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Activations of these layers, {name: (N, C, H', W')}, for RGB (N, 3, H, W) in [-1, 1].

        Nothing behind the deepest layer is computed.

        Raises:
            ValueError: a layer that the weights do not cover.
        """
        if missing := set(layers) - set(self.layers):
            raise ValueError(f"no weights for {', '.join(sorted(missing))}; there are {', '.join(self.layers)}")
        deepest = max(map(self.layers.index, layers))
        activations = {}
        x = (image - self.mean) / self.std
        for name in self.layers[: deepest + 1]:
            if name in POOLED_BEFORE:
                x = self.pool(x)
            linear = self.convolutions[name](x)
            x = functional.relu(linear)
            if name in layers:
                activations[name] = x if self.rectified else linear
        return activations


def _convolutions(weights: Weights) -> dict[str, nn.Module]:
    """The unbroken run of convolutions from conv1_1 on, frozen."""
    convolutions: dict[str, nn.Module] = {}
    width = 3
    for name, key in LAYERS.items():
        weight, bias = weights.get(f"{key}.weight"), weights.get(f"{key}.bias")
        if weight is None or bias is None:
            break
        if weight.shape[1:] != (width, 3, 3) or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"{name}: expected a weight (C, {width}, 3, 3) and a bias (C,), "
                f"got {tuple(weight.shape)} and {tuple(bias.shape)}"
            )
        # skip_init: nn.Conv2d would draw initial values from the global generator
        convolution: nn.Conv2d = skip_init(nn.Conv2d, width, weight.shape[0], 3, padding=1)  # type: ignore[no-untyped-call]
        convolution.load_state_dict({"weight": weight, "bias": bias})
        convolutions[name] = convolution.requires_grad_(False)
        width = weight.shape[0]
    if not convolutions:
        raise ValueError(f"expected keys 0.weight, 0.bias, 2.weight, ...; got {', '.join(sorted(weights)[:4])}, ...")
    return convolutions


def random_weights(generator: torch.Generator, widths: Sequence[int] = WIDTHS) -> dict[str, Tensor]:
    """Untrained weights of VGG-19: a stand-in that carries texture and colour, but no semantics.

    Untrained VGG serves for textures and stylisation (He, Wang, Hopcroft 2016, arXiv:1606.04801). Normal with
    variance 2 / fan-in (He et al. 2015, arXiv:1502.01852, eq. 10), so activations keep their scale through all layers.
    """
    weights = {}
    inputs = 3
    for key, width in zip(LAYERS.values(), widths, strict=False):
        scale = (2 / (inputs * 9)) ** 0.5
        weights[f"{key}.weight"] = torch.randn(width, inputs, 3, 3, generator=generator) * scale
        weights[f"{key}.bias"] = torch.zeros(width)
        inputs = width
    return weights
