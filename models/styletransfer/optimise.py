"""Style transfer of Gatys, Ecker, Bethge 2015, arXiv:1508.06576: the picture itself is what gradient descent moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.styletransfer.canvases import Canvas
from models.styletransfer.losses import content_loss, gram, style_loss
from models.styletransfer.vgg import VGG19


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What the picture should be like: alpha L_content + beta L_style (eq. 7)."""

    content_layer: str
    style_layers: Sequence[str]
    content_weight: float  # alpha
    style_weight: float  # beta; the report: 1e7 on trained features


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The losses before weighting, one per pair, as seen before step `iteration`; the last one is the result's."""

    iteration: int
    style: tuple[float, ...]
    content: tuple[float, ...]


def optimise(
    canvas: Canvas,
    features: VGG19,
    content: Tensor,
    style: Tensor,
    objective: Objective,
    *,
    iterations: int,
    lr: float,
    bf16: bool = False,
    report: Callable[[Progress], None],
) -> Tensor:
    """Move the canvas by Adam; returns its final pictures, (N, 3, S, S) in [-1, 1].

    Losses are summed over pairs and Adam works element by element, so a pair's picture does not depend on its batch.

    Args:
        canvas: N pictures, changed in place.
        features: frozen, on the device of `content`.
        content: (N, 3, S, S) in [-1, 1].
        style: (N, 3, S', S') in [-1, 1].
        objective: layers and weights.
        iterations: steps of the optimiser.
        lr: of Adam (the report's optimiser; the paper names none), in units of the colour range [-1, 1].
        bf16: run the convolutions under bfloat16 autocast; losses stay float32.
        report: called with iteration 0 ... `iterations`.
    """
    losses = _Losses(features, content, style, objective, bf16)
    optimiser = torch.optim.Adam(canvas.parameters(), lr=lr)
    for iteration in range(iterations):
        style_term, content_term = losses(canvas.render())
        report(_progress(iteration, style_term, content_term))
        total = objective.content_weight * content_term + objective.style_weight * style_term
        optimiser.zero_grad()
        total.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        canvas.project()
    final = canvas.final()
    with torch.no_grad():
        report(_progress(iterations, *losses(final)))
    return final


class _Losses:
    """Targets computed once; called with pictures (N, 3, S, S), gives (style, content), each (N,)."""

    def __init__(self, features: VGG19, content: Tensor, style: Tensor, objective: Objective, bf16: bool) -> None:
        self.features, self.objective, self.bf16 = features, objective, bf16
        with torch.no_grad():
            self.content = self._see(content, [objective.content_layer])[objective.content_layer]
            self.grams = {name: gram(x) for name, x in self._see(style, objective.style_layers).items()}

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        seen = self._see(image, [*self.objective.style_layers, self.objective.content_layer])
        return style_loss(seen, self.grams), content_loss(seen[self.objective.content_layer], self.content)

    def _see(self, image: Tensor, wanted: Sequence[str]) -> dict[str, Tensor]:
        with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            found: dict[str, Tensor] = self.features(image, wanted)
        return found


def _progress(iteration: int, style: Tensor, content: Tensor) -> Progress:
    return Progress(iteration=iteration, style=tuple(style.tolist()), content=tuple(content.tolist()))
