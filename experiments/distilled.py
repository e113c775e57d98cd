"""A pruned and distilled VGG-19 under torchvision's keys, for experiments: an approximation of the real one.

Wang, Li, Wang, Hu, Yang 2020 (Collaborative Distillation for Ultra-Resolution Universal Style Transfer,
arXiv:2003.08436) keep a quarter of the channels of each convolution down to conv5_1 and train them so that a linear
map leads back to VGG-19's. Their file has names of its own, `conv11` to `conv51`, and a 1x1 convolution `conv0` before
them that turns RGB in [0, 1] into the BGR of Caffe; the maps back (`convXY_aux`) are left out here. They pad by
reflection, `models.styletransfer.vgg` with zeros: the outermost pixels differ.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.styletransfer.vgg import IMAGENET_MEAN, IMAGENET_STD, LAYERS, Weights


def load(file: Path) -> dict[str, Tensor]:
    """The weights of such a file, as `VGG19` takes them."""
    return renamed({name: value.float() for name, value in load_file(file).items()})


def renamed(own: Weights) -> dict[str, Tensor]:
    """`conv11.weight` -> `0.weight`, ...; the first convolution takes RGB normalised as torchvision does.

    Raises:
        KeyError: no `conv0` or no `conv11`.
    """
    found = {}
    for layer, key in LAYERS.items():
        name = layer.replace("_", "")
        if f"{name}.weight" in own:
            found |= {f"{key}.{part}": own[f"{name}.{part}"] for part in ("weight", "bias")}
    return found | dict(zip(("0.weight", "0.bias"), _first(own), strict=True))


def _first(own: Weights) -> tuple[Tensor, Tensor]:
    """Weight and bias of `conv11` after `conv0` after undoing torchvision's normalisation, as one convolution."""
    colours, weight = own["conv0.weight"][..., 0, 0], own["conv11.weight"]  # (3, 3), (C, 3, 3, 3)
    middle = own["conv0.bias"] + colours @ torch.tensor(IMAGENET_MEAN)  # what the mean colour becomes
    folded = torch.einsum("oiyx,ic->ocyx", weight, colours * torch.tensor(IMAGENET_STD))
    return folded, own["conv11.bias"] + torch.einsum("oiyx,i->o", weight, middle)
