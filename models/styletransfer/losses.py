"""Losses of Gatys, Ecker, Bethge 2015, arXiv:1508.06576, sec. Methods.

paper -> here:  F^l -> features of the picture   P^l -> target   G^l -> gram(features)   A^l -> gram of the artwork
Every loss is one number per pair, (N,): pairs of a batch know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, C): inner products of channels over positions (eq. 3)."""
    _, c, h, w = features.shape
    flat = features.float().flatten(2)  # (N, C, H * W); float32 also under bf16
    return flat @ flat.mT / (c * h * w)  # the paper divides later, and by other powers (eq. 4); so the report


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two (N, C, H, W), (N,)."""
    difference = features.float() - target.float()
    return difference.square().mean(dim=(1, 2, 3))  # a mean; the paper takes half the sum (eq. 1)


def style_loss(features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Squared distances of Gram matrices, averaged over the layers of `targets`, (N,).

    Args:
        features: {layer: (N, C, H, W)} of the pictures.
        targets: {layer: (N, C, C)} Gram matrices of the artworks.
    """
    # eq. 5 with w_l = 1 / layers, but each layer a mean over C x C instead of a sum over 4 N_l^2 M_l^2
    return torch.stack([(gram(features[layer]) - a).square().mean(dim=(1, 2)) for layer, a in targets.items()]).mean(0)
