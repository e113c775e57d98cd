"""Losses of style transfer, one number per pair, (N,): pairs of a batch know nothing of each other.

Gatys, Ecker, Bethge 2015, arXiv:1508.06576, sec. Methods.
paper -> here:  F^l -> features of the picture   P^l -> target   G^l -> gram(features)   A^l -> Gram.matrix

Beside Gram matrices: the squared 2-Wasserstein distance of Gaussians (Dowson and Landau 1982), which tells the mean of
the features from their covariance, where a Gram matrix holds the sum of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SMOOTHNESS = 1e-10  # of the root at 0, in squared mean variances of the artwork


class Moments(NamedTuple):
    """First and second moments, over positions, of the features of N artworks at one layer."""

    mean: Tensor  # (N, C)
    second: Tensor  # (N, C, C), E[f f^T]


def moments(features: Tensor, position_weights: Tensor | None = None) -> Moments:
    """Moments of features (N, C, H, W) over H x W; all positions weigh the same without weights (H, W)."""
    flat = _precise(features.flatten(2))
    if position_weights is None:
        return Moments(flat.mean(dim=2), flat @ flat.mT / flat.shape[2])
    weighted = flat * (position_weights.flatten() / position_weights.sum()).to(flat.dtype)
    return Moments(weighted.sum(dim=2), weighted @ flat.mT)


def _precise(features: Tensor) -> Tensor:
    """Features as float32 where they are bfloat16."""
    return features.float() if features.dtype == torch.bfloat16 else features


def mixed(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments of several artworks as of one picture in which each takes an area in proportion to its weight."""
    shares = [weight / sum(weights) for weight in weights]
    weighted = [(share * part.mean, share * part.second) for share, part in zip(shares, parts, strict=True)]
    return Moments(*(torch.stack(terms).sum(dim=0) for terms in zip(*weighted, strict=True)))


def gram(features: Tensor) -> Tensor:
    """Gram matrices (N, C, C) of features (N, C, H, W): inner products of channels over positions (eq. 3)."""
    return Gram.of(moments(features)).matrix


@dataclass(frozen=True)
class Gram:
    """The target of the paper at one layer: the Gram matrices of the artworks."""

    matrix: Tensor  # (N, C, C)

    @classmethod
    def of(cls, artworks: Moments) -> Gram:
        """The target that artworks with these moments set."""
        # a mean over positions and C; the paper divides later, by other powers (eq. 4); so the report
        return cls(artworks.second / artworks.second.shape[1])

    def loss(self, features: Tensor) -> Tensor:
        """Squared distance (N,) of the Gram matrices of features (N, C, H, W) from the target."""
        return (gram(features) - self.matrix).square().mean(dim=(1, 2))  # eq. 4 sums, over 4 N_l^2 M_l^2

    def select(self, pairs: Tensor) -> Gram:
        """The target of these pairs, by index."""
        return Gram(self.matrix[pairs])


@dataclass(frozen=True)
class Gaussian:
    """The target of Gaussian features at one layer: mean and covariance of the artworks.

    In float64, since a root halves the digits.
    """

    mean: Tensor  # (N, C)
    covariance: Tensor  # (N, C, C)
    root: Tensor  # (N, C, C): its square is the covariance

    @classmethod
    def of(cls, artworks: Moments) -> Gaussian:
        """The target that artworks with these moments set."""
        mean, second = artworks.mean.double(), artworks.second.double()
        covariance = second - mean[:, :, None] * mean[:, None, :]
        values, vectors = torch.linalg.eigh(_decomposable(covariance))
        return cls(mean, covariance, vectors * values.clamp_min(0).sqrt()[:, None, :] @ vectors.mT)

    def loss(self, features: Tensor) -> Tensor:
        """Squared 2-Wasserstein distance (N,), over C, of the Gaussian of features (N, C, H, W) from the target.

        |m - m'|^2 + tr S + tr S' - 2 tr (R' S R')^(1/2), with R' the root of S'. Only eigenvalues are differentiated,
        never eigenvectors, so equal ones do no harm. Where there are fewer positions than channels, the eigenvalues
        are those of F^T S' F, with F the centred features: fewer, and the same but for zeros.
        """
        flat = _precise(features.flatten(2))
        _, channels, positions = flat.shape
        mean = flat.mean(dim=2)
        centred = (flat - mean[:, :, None]) / positions**0.5
        if positions < channels:
            product = centred.mT.double() @ self.covariance @ centred.double()  # (N, positions, positions)
        else:
            product = self.root @ (centred @ centred.mT).double() @ self.root  # (N, C, C)
        variance = torch.diagonal(self.covariance, dim1=1, dim2=2).sum(dim=1)
        overlap = _sum_of_roots(product, SMOOTHNESS * (variance / channels).square())
        distance: Tensor = (
            (mean - self.mean).square().sum(dim=1) + centred.square().sum(dim=(1, 2)) + variance - 2 * overlap
        )
        return (distance / channels).to(flat.dtype)

    def select(self, pairs: Tensor) -> Gaussian:
        """The target of these pairs, by index."""
        return Gaussian(self.mean[pairs], self.covariance[pairs], self.root[pairs])


Target = Gram | Gaussian


def _sum_of_roots(matrices: Tensor, smoothness: Tensor) -> Tensor:
    """Sums (N,) of the roots of the eigenvalues of symmetric (N, C, C); smooth, so that the slope is finite at 0."""
    values = torch.linalg.eigvalsh(_decomposable(matrices)).clamp_min(0)
    roots: Tensor = values / (values + smoothness[:, None] + torch.finfo(values.dtype).tiny).sqrt()
    return roots.sum(dim=1)


def _decomposable(matrices: Tensor) -> Tensor:
    """Matrices with zeros for one that is not finite, which would end the batch; its pair's loss is NaN anyway."""
    return torch.where(torch.isfinite(matrices).all(dim=2).all(dim=1)[:, None, None], matrices, 0.0)


def style_loss(features: Mapping[str, Tensor], targets: Mapping[str, Target], falloff: float = 1.0) -> Tensor:
    """Mean of the losses of the layers, weighted, (N,); eq. 5 with w_l = 1 / layers at the default.

    Args:
        features: {layer: (N, C, H, W)} of the pictures.
        targets: of the artworks, {layer: (N, ...)}, shallow layers first.
        falloff: what a layer weighs of the one before it.
    """
    weights = [falloff**depth for depth in range(len(targets))]
    terms = [w * target.loss(features[layer]) for w, (layer, target) in zip(weights, targets.items(), strict=True)]
    return torch.stack(terms).sum(dim=0) / sum(weights)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared distance (N,) of the features of pictures from those of their contents, both (N, C, H, W)."""
    difference = features.float() - target.float()
    return difference.square().mean(dim=(1, 2, 3))  # a mean; the paper takes half the sum (eq. 1)


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference (N,) of neighbouring pixels of (N, C, H, W), across plus down. Not in the paper."""
    across, down = image.diff(dim=3).square(), image.diff(dim=2).square()
    return across.mean(dim=(1, 2, 3)) + down.mean(dim=(1, 2, 3))
