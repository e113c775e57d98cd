"""Style transfer of Gatys, Ecker, Bethge 2015, arXiv:1508.06576: the picture itself is what gradient descent moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.styletransfer.canvases import Canvas
from models.styletransfer.descent import Adam, Evaluate, Lbfgs
from models.styletransfer.losses import (
    Gaussian,
    Gram,
    Moments,
    Target,
    content_loss,
    mixed,
    moments,
    style_loss,
    total_variation,
)
from models.styletransfer.vgg import VGG19
from models.styletransfer.watching import Log, Plateau, Report

MARGIN = 3  # pixels from the ground at which a figure's features count


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What the picture should be like: alpha L_content + beta L_style (eq. 7), and what the paper does not have."""

    content_layer: str
    style_layers: Sequence[str]
    content_weight: float  # alpha
    style_weight: float  # beta; the report: 1e7 on trained features
    wasserstein: bool = False  # distance of means and covariances instead of Gram matrices
    falloff: float = 1.0  # what a style layer weighs of the one before it
    tv_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the canvas is moved."""

    iterations: int  # at most; evaluations of the objective, which L-BFGS may spend several of on one step
    lr: float  # of Adam (the report's optimiser; the paper names none), in units of the colour range [-1, 1]
    lr_end: float = 1.0  # share of it at the last iteration, reached along a cosine
    lbfgs: bool = False  # instead of Adam; one pair only, since its line search would couple several
    ema: float = 0.0  # of Adam: the result is an average of the iterates, each weighing this share of the next one
    plateau: float | None = None  # a pair is done when its mean loss over `patience` iterations fell by less; a share
    patience: int = 50
    levels: int = 1  # coarse to fine: seen at 1 / 2^(levels - 1), ..., 1/2, 1 of the full size, equally long each
    bf16: bool = False  # convolutions under bfloat16 autocast, not in the paper; losses stay float32


@dataclass(frozen=True)
class Artwork:
    """One of those whose style a picture takes."""

    image: Tensor  # (3, H, W) in [-1, 1]
    weight: float = 1.0
    figure: Tensor | None = None  # (H, W) of 0 and 1: what has style; all of it, as in the paper, when left out

    def counting(self, size: Sequence[int]) -> Tensor | None:
        """How much each position of features of this size counts: less where they also see what is no figure."""
        if self.figure is None:
            return None
        inner = -functional.max_pool2d(-self.figure[None], 2 * MARGIN + 1, stride=1, padding=MARGIN)
        shares = [functional.adaptive_avg_pool2d(mask, (size[0], size[1]))[0] for mask in (inner, self.figure[None])]
        return shares[0] if shares[0].any() else shares[1]  # a figure without an inside counts with its edge


def optimise(
    canvas: Canvas,
    features: VGG19,
    content: Tensor,
    artworks: Sequence[Sequence[Artwork]],
    objective: Objective,
    schedule: Schedule,
    *,
    report: Report,
) -> Tensor:
    """Move the canvas; returns its final pictures, (N, 3, H, W) in [-1, 1].

    Losses are summed over pairs, Adam works element by element and a pair that is done leaves the batch, so a pair's
    picture does not depend on its batch.

    Args:
        canvas: N pictures, changed in place.
        features: frozen, on the device of `content`.
        content: (N, 3, H, W) in [-1, 1].
        artworks: of each pair, one or several of any size.
        objective: layers and weights.
        schedule: optimiser and duration.
        report: called with iteration 0, 1, ... and once more with the result.

    Raises:
        ValueError: L-BFGS for several pairs, or sizes that the levels do not divide.
    """
    if schedule.lbfgs and len(content) != 1:
        raise ValueError(f"L-BFGS takes one pair at a time, got {len(content)}")
    log = Log(len(content), report)
    for level in range(schedule.levels):
        shrink = 2 ** (schedule.levels - 1 - level)
        canvas.view(shrink)
        losses = Losses.of(features, *_shrunk(content, artworks, shrink), objective, bf16=schedule.bf16)
        span = range(*(schedule.iterations * at // schedule.levels for at in (level, level + 1)))
        _descend(canvas, losses, schedule, span, log)
    log.finish()
    return canvas.final()


@dataclass(frozen=True)
class Terms:
    """Of N pictures, (N,) each; style and content before weighting."""

    style: Tensor
    content: Tensor
    total: Tensor


@dataclass(frozen=True)
class Losses:
    """Targets computed once; called with N pictures."""

    features: VGG19
    objective: Objective
    bf16: bool
    content: Tensor  # (N, C, H', W')
    style: dict[str, Target]

    @classmethod
    def of(
        cls,
        features: VGG19,
        content: Tensor,
        artworks: Sequence[Sequence[Artwork]],
        objective: Objective,
        *,
        bf16: bool,
    ) -> Losses:
        """Of contents (N, 3, H, W) and N lists of artworks."""
        with torch.no_grad():
            seen = _see(features, content, [objective.content_layer], bf16)[objective.content_layer]
            found = _moments(features, artworks, objective.style_layers, bf16)
        kind = Gaussian if objective.wasserstein else Gram
        return cls(features, objective, bf16, seen, {name: kind.of(one) for name, one in found.items()})

    def __call__(self, image: Tensor) -> Terms:
        goal = self.objective
        seen = _see(self.features, image, [*goal.style_layers, goal.content_layer], self.bf16)
        style = style_loss(seen, self.style, goal.falloff)
        content = content_loss(seen[goal.content_layer], self.content)
        total = goal.content_weight * content + goal.style_weight * style
        if goal.tv_weight:
            total = total + goal.tv_weight * total_variation(image)
        return Terms(style, content, total)

    def keep(self, pairs: Tensor) -> Losses:
        """Of these pairs only."""
        styles = {name: target.keep(pairs) for name, target in self.style.items()}
        return replace(self, content=self.content[pairs], style=styles)


def _descend(canvas: Canvas, losses: Losses, schedule: Schedule, span: range, log: Log) -> None:
    """Move every pair of the canvas at its present size until it is done, or the span of iterations ends."""
    running = torch.arange(len(losses.content))
    log.resume()
    part, part_losses = canvas.part(running), losses
    descent = Lbfgs(part) if schedule.lbfgs else Adam(part, schedule.ema)
    watch = Plateau(schedule.plateau, schedule.patience, len(running))
    at = span.start
    while len(running) and at < span.stop:
        done = at / max(1, schedule.iterations - 1)
        seen = descent.step(_evaluation(part, part_losses, done), _lr(schedule, done), span.stop - at)
        for terms in seen:
            log.note(running, terms.style, terms.content)
            watch.note(terms.total)
        at += len(seen)
        over = watch.flat() if at < span.stop else torch.ones(len(running), dtype=torch.bool)
        if over.any():
            ended, kept = over.nonzero()[:, 0], (~over).nonzero()[:, 0]
            _put(canvas, running[ended], descent.result(ended))
            with torch.no_grad():
                final = canvas.part(running[ended]).final()
                terms = part_losses.keep(ended)(final)
                log.settle(running[ended], terms.style, terms.content)
            running = running[kept]
            part, part_losses = part.part(kept), part_losses.keep(kept)
            descent.keep(part, kept)
            watch.keep(kept)


def _evaluation(canvas: Canvas, losses: Losses, done: float) -> Evaluate[Terms]:
    def evaluate() -> tuple[Tensor, Terms]:
        terms = losses(canvas.render(done))
        terms = replace(terms, total=terms.total + canvas.pull(done))
        return terms.total.sum(), Terms(terms.style.detach(), terms.content.detach(), terms.total.detach())

    return evaluate


def _put(canvas: Canvas, pairs: Tensor, leaves: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for leaf, result in zip(canvas.leaves, leaves, strict=True):
            leaf[pairs] = result
    canvas.project()


def _lr(schedule: Schedule, done: float) -> float:
    share = (1 + math.cos(math.pi * done)) / 2
    return schedule.lr * (schedule.lr_end + (1 - schedule.lr_end) * share)


def _shrunk(
    content: Tensor, artworks: Sequence[Sequence[Artwork]], shrink: int
) -> tuple[Tensor, Sequence[Sequence[Artwork]]]:
    """Content by the mean, artworks by the pixel in the middle: exact where cells are a multiple of `shrink`."""
    if shrink == 1:
        return content, artworks
    middle = slice(shrink // 2, None, shrink)
    return functional.avg_pool2d(content, shrink), [[_middles(artwork, middle) for artwork in own] for own in artworks]


def _middles(artwork: Artwork, middle: slice) -> Artwork:
    figure = None if artwork.figure is None else artwork.figure[middle, middle]
    return replace(artwork, image=artwork.image[:, middle, middle], figure=figure)


def _moments(
    features: VGG19, artworks: Sequence[Sequence[Artwork]], layers: Sequence[str], bf16: bool
) -> dict[str, Moments]:
    """Of each pair's artworks as of one picture, {layer: (N, ...)}."""
    of_pairs = []
    for own in artworks:
        seen = [_moments_of(features, artwork, layers, bf16) for artwork in own]
        weights = [artwork.weight for artwork in own]
        of_pairs.append({name: mixed([one[name] for one in seen], weights) for name in layers})
    return {
        name: Moments(
            torch.cat([pair[name].mean for pair in of_pairs]), torch.cat([pair[name].second for pair in of_pairs])
        )
        for name in layers
    }


def _moments_of(features: VGG19, artwork: Artwork, layers: Sequence[str], bf16: bool) -> dict[str, Moments]:
    """Each (1, ...)."""
    seen = _see(features, artwork.image[None], layers, bf16)
    return {name: moments(one, artwork.counting(one.shape[2:])) for name, one in seen.items()}


def _see(features: VGG19, image: Tensor, wanted: Sequence[str], bf16: bool) -> dict[str, Tensor]:
    with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=bf16):
        found: dict[str, Tensor] = features(image, wanted)
    return found
