"""Losses of style transfer, one number per pair, (N,): pairs of a batch know nothing of each other.

Gatys, Ecker, Bethge 2015, arXiv:1508.06576, sec. Methods.
paper -> here:  F^l -> features of the picture   P^l -> target   G^l -> gram(features)   A^l -> Gram.matrix

Beside Gram matrices: the squared 2-Wasserstein distance of Gaussians (Dowson and Landau 1982), which tells the mean of
the features from their covariance, where a Gram matrix holds the sum of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SMOOTHNESS = 1e-10  # of the root at 0, in squared mean variances of the artwork


@dataclass(frozen=True)
class Moments:
    """Of the features of N artworks at one layer, over positions: all that a style loss asks of them."""

    mean: Tensor  # (N, C)
    second: Tensor  # (N, C, C), E[f f^T]


def moments(features: Tensor, counting: Tensor | None = None) -> Moments:
    """Of (N, C, H, W), over H x W; positions weigh as `counting` (H, W) says, or all the same."""
    flat = _precise(features.flatten(2))
    if counting is None:
        return Moments(flat.mean(dim=2), flat @ flat.mT / flat.shape[2])
    weighted = flat * (counting.flatten() / counting.sum()).to(flat.dtype)
    return Moments(weighted.sum(dim=2), weighted @ flat.mT)


def _precise(features: Tensor) -> Tensor:
    """float32 also under bf16."""
    return features.float() if features.dtype == torch.bfloat16 else features


def mixed(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments of several artworks as of one picture in which each takes an area in proportion to its weight."""
    shares = [weight / sum(weights) for weight in weights]
    means = [share * part.mean for share, part in zip(shares, parts, strict=True)]
    seconds = [share * part.second for share, part in zip(shares, parts, strict=True)]
    return Moments(torch.stack(means).sum(dim=0), torch.stack(seconds).sum(dim=0))


def gram(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, C): inner products of channels over positions (eq. 3)."""
    return Gram.of(moments(features)).matrix


@dataclass(frozen=True)
class Gram:
    """What the paper asks of a layer: the Gram matrices of the artworks."""

    matrix: Tensor  # (N, C, C)

    @classmethod
    def of(cls, seen: Moments) -> Gram:
        # a mean over positions and C; the paper divides later, by other powers (eq. 4); so the report
        return cls(seen.second / seen.second.shape[1])

    def loss(self, features: Tensor) -> Tensor:
        """Squared distance from the Gram matrices of (N, C, H, W), (N,)."""
        return (gram(features) - self.matrix).square().mean(dim=(1, 2))  # eq. 4 sums, over 4 N_l^2 M_l^2

    def keep(self, pairs: Tensor) -> Gram:
        return Gram(self.matrix[pairs])


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of the artworks; float64, since a root halves the digits."""

    mean: Tensor  # (N, C)
    covariance: Tensor  # (N, C, C)
    root: Tensor  # (N, C, C): its square is the covariance

    @classmethod
    def of(cls, seen: Moments) -> Gaussian:
        mean, second = seen.mean.double(), seen.second.double()
        covariance = second - mean[:, :, None] * mean[:, None, :]
        values, vectors = torch.linalg.eigh(_decomposable(covariance))
        return cls(mean, covariance, vectors * values.clamp_min(0).sqrt()[:, None, :] @ vectors.mT)

    def loss(self, features: Tensor) -> Tensor:
        """Squared 2-Wasserstein distance from the Gaussian of (N, C, H, W), over C: (N,).

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
        apart: Tensor = (
            (mean - self.mean).square().sum(dim=1) + centred.square().sum(dim=(1, 2)) + variance - 2 * overlap
        )
        return (apart / channels).to(flat.dtype)

    def keep(self, pairs: Tensor) -> Gaussian:
        return Gaussian(self.mean[pairs], self.covariance[pairs], self.root[pairs])


Target = Gram | Gaussian


def _sum_of_roots(matrices: Tensor, smoothness: Tensor) -> Tensor:
    """Of the eigenvalues of symmetric (N, C, C), (N,): l / sqrt(l + smoothness (N,)), whose slope is finite at 0."""
    values = torch.linalg.eigvalsh(_decomposable(matrices)).clamp_min(0)
    roots: Tensor = values / (values + smoothness[:, None] + torch.finfo(values.dtype).tiny).sqrt()
    return roots.sum(dim=1)


def _decomposable(matrices: Tensor) -> Tensor:
    """Zeros for a matrix that is not finite, which would end the whole batch; such a pair's loss is NaN anyway."""
    return torch.where(torch.isfinite(matrices).all(dim=2).all(dim=1)[:, None, None], matrices, 0.0)


def style_loss(features: Mapping[str, Tensor], targets: Mapping[str, Target], falloff: float = 1.0) -> Tensor:
    """Weighted mean over the layers of `targets`, (N,); eq. 5 with w_l = 1 / layers at the default.

    Args:
        features: {layer: (N, C, H, W)} of the pictures.
        targets: of the artworks, {layer: (N, ...)}, shallow layers first.
        falloff: what a layer weighs of the one before it.
    """
    weights = [falloff**depth for depth in range(len(targets))]
    terms = [w * target.loss(features[layer]) for w, (layer, target) in zip(weights, targets.items(), strict=True)]
    return torch.stack(terms).sum(dim=0) / sum(weights)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two (N, C, H, W), (N,)."""
    difference = features.float() - target.float()
    return difference.square().mean(dim=(1, 2, 3))  # a mean; the paper takes half the sum (eq. 1)


def total_variation(image: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,): mean squared difference of neighbours, across plus down. Not in the paper."""
    across, down = image.diff(dim=3).square(), image.diff(dim=2).square()
    return across.mean(dim=(1, 2, 3)) + down.mean(dim=(1, 2, 3))
