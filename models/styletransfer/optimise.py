"""Style transfer of Gatys, Ecker, Bethge 2015, arXiv:1508.06576: gradient descent on the picture itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from models.styletransfer.canvases import Canvas
from models.styletransfer.optimisers import Adam, Lbfgs
from models.styletransfer.steps import OnStep, StepLog, Terms
from models.styletransfer.style_losses import (
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
    """How long the canvas is optimised, and by which steps."""

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
class StyleImage:
    """One of the images whose style a picture takes, and how much it counts beside the others."""

    image: Tensor  # (3, H, W) in [-1, 1]
    weight: float = 1.0
    figure: Tensor | None = None  # (H, W) of 0 and 1: what has style; all of it, as in the paper, when left out

    def position_weights(self, size: Sequence[int]) -> Tensor | None:
        """How much each position of features of this size (H', W') counts: less where they see ground; None: alike."""
        if self.figure is None:
            return None
        inner = -functional.max_pool2d(-self.figure[None], 2 * MARGIN + 1, stride=1, padding=MARGIN)
        shares = [functional.adaptive_avg_pool2d(mask, (size[0], size[1]))[0] for mask in (inner, self.figure[None])]
        return shares[0] if shares[0].any() else shares[1]  # a figure without an inside counts with its edge


def optimise(
    canvas: Canvas,
    features: VGG19,
    content: Tensor,
    styles: Sequence[Sequence[StyleImage]],
    objective: Objective,
    schedule: Schedule,
    *,
    on_step: OnStep,
) -> Tensor:
    """Optimise the pictures of the canvas for the objective; returns them, (N, 3, H, W) in [-1, 1].

    Losses are summed over pairs, Adam works element by element and a pair that is done leaves the batch, so a pair's
    picture does not depend on its batch.

    Args:
        canvas: N pictures, changed in place.
        features: frozen, on the device of `content`.
        content: (N, 3, H, W) in [-1, 1].
        styles: of each pair, one or several images of any size.
        objective: layers and weights.
        schedule: optimiser and duration.
        on_step: called with iteration 0, 1, ... and once more with the result.

    Raises:
        ValueError: L-BFGS for several pairs, or sizes that the levels do not divide.
    """
    if schedule.lbfgs and len(content) != 1:
        raise ValueError(f"L-BFGS takes one pair at a time, got {len(content)}")
    log = StepLog(len(content), on_step)
    for level in range(schedule.levels):
        shrink = 2 ** (schedule.levels - 1 - level)
        canvas.view(shrink)
        losses = PairLosses(features, *_shrunk(content, styles, shrink), objective, schedule.bf16)
        span = range(*(schedule.iterations * at // schedule.levels for at in (level, level + 1)))
        _descend(canvas, losses, schedule, span, log)
    log.report()
    return canvas.final()


class PairLosses:
    """The losses of N pairs, called with N pictures.

    The targets, of contents (N, 3, H, W) and N lists of style images, are computed once.
    """

    def __init__(
        self, features: VGG19, content: Tensor, styles: Sequence[Sequence[StyleImage]], objective: Objective, bf16: bool
    ) -> None:
        self.features, self.objective, self.bf16 = features, objective, bf16
        kind = Gaussian if objective.wasserstein else Gram
        with torch.no_grad():
            [self.content] = self._activations(content, [objective.content_layer]).values()  # (N, C, H', W')
            style = self._moments(styles)
        self.style: dict[str, Target] = {name: kind.of(layer) for name, layer in style.items()}

    def __call__(self, image: Tensor) -> Terms:
        goal = self.objective
        activations = self._activations(image, [*goal.style_layers, goal.content_layer])
        style = style_loss(activations, self.style, goal.falloff)
        content = content_loss(activations[goal.content_layer], self.content)
        total = goal.content_weight * content + goal.style_weight * style
        if goal.tv_weight:
            total = total + goal.tv_weight * total_variation(image)
        return Terms(style, content, total)

    def select(self, pairs: Tensor) -> PairLosses:
        """The losses of these pairs, by index."""
        selected = copy(self)
        selected.content = self.content[pairs]
        selected.style = {name: target.select(pairs) for name, target in self.style.items()}
        return selected

    def _moments(self, styles: Sequence[Sequence[StyleImage]]) -> dict[str, Moments]:
        """Moments of each pair's style images as of one picture, {layer: (N, ...)}."""
        layers, of_pairs = self.objective.style_layers, []
        for pair in styles:
            parts = [self._image_moments(style) for style in pair]
            weights = [style.weight for style in pair]
            of_pairs.append({name: mixed([part[name] for part in parts], weights) for name in layers})
        return {name: Moments(*map(torch.cat, zip(*(pair[name] for pair in of_pairs), strict=True))) for name in layers}

    def _image_moments(self, style: StyleImage) -> dict[str, Moments]:
        """Moments of one style image, {layer: (1, ...)}."""
        activations = self._activations(style.image[None], self.objective.style_layers)
        return {name: moments(layer, style.position_weights(layer.shape[2:])) for name, layer in activations.items()}

    def _activations(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            activations: dict[str, Tensor] = self.features(image, layers)
        return activations


def _descend(canvas: Canvas, losses: PairLosses, schedule: Schedule, span: range, log: StepLog) -> None:
    """Optimise every pair of the canvas at its present size until it is done, or the span of iterations ends."""
    running = torch.arange(len(losses.content))
    log.done[:] = False
    part, part_losses = canvas.select(running), losses
    optimiser = Lbfgs(part) if schedule.lbfgs else Adam(part, schedule.ema)
    totals = torch.empty(0, len(running))  # of the latest iterations
    at = span.start
    while len(running) and at < span.stop:
        done = at / max(1, schedule.iterations - 1)
        evaluations = optimiser.step(partial(_evaluate, part, part_losses, done), _lr(schedule, done), span.stop - at)
        for terms in evaluations:
            log.record(running, terms)
            log.report()
            totals = torch.cat([totals, terms.total.cpu()[None]])[-2 * schedule.patience :]
        at += len(evaluations)
        over = _on_plateau(totals, schedule) if at < span.stop else torch.ones(len(running), dtype=torch.bool)
        if over.any():
            ended, rest = over.nonzero()[:, 0], (~over).nonzero()[:, 0]
            pairs = running[ended]
            with torch.no_grad():
                for leaf, result in zip(canvas.leaves, optimiser.result(ended), strict=True):
                    leaf[pairs] = result
                canvas.project()
                log.record(pairs, part_losses.select(ended)(canvas.select(pairs).final()))
            log.done[pairs] = True
            running, totals = running[rest], totals[:, rest]
            part, part_losses = part.select(rest), part_losses.select(rest)
            optimiser.keep(part, rest)


def _evaluate(canvas: Canvas, losses: PairLosses, done: float) -> Terms:
    terms = losses(canvas.render(done))
    total = terms.total + canvas.regulariser(done)
    total.sum().backward()  # type: ignore[no-untyped-call]
    return Terms(terms.style.detach(), terms.content.detach(), total.detach())


def _on_plateau(totals: Tensor, schedule: Schedule) -> Tensor:
    """True for every pair (N,) whose mean loss fell too little from one window of iterations to the next."""
    if schedule.plateau is None or len(totals) < 2 * schedule.patience:
        return torch.zeros(totals.shape[1], dtype=torch.bool)
    before, now = totals[: schedule.patience].mean(dim=0), totals[schedule.patience :].mean(dim=0)
    falls: Tensor = now < (1 - schedule.plateau) * before
    return ~falls  # also True for a loss that is no number


def _lr(schedule: Schedule, done: float) -> float:
    share = (1 + math.cos(math.pi * done)) / 2
    return schedule.lr * (schedule.lr_end + (1 - schedule.lr_end) * share)


def _shrunk(
    content: Tensor, styles: Sequence[Sequence[StyleImage]], shrink: int
) -> tuple[Tensor, Sequence[Sequence[StyleImage]]]:
    """Content by the mean, styles by the pixel in the middle: exact where cells are a multiple of `shrink`."""
    if shrink == 1:
        return content, styles
    middle = slice(shrink // 2, None, shrink)
    return functional.avg_pool2d(content, shrink), [[_middles(style, middle) for style in pair] for pair in styles]


def _middles(style: StyleImage, middle: slice) -> StyleImage:
    figure = None if style.figure is None else style.figure[middle, middle]
    return replace(style, image=style.image[:, middle, middle], figure=figure)
