"""Parameters of the style transfer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.runtime.settings import Precision, Section, Weight

Canvas = Literal["free", "cell"]


class Temperature(Section):
    """The temperature of the choice among palette colours, which falls geometrically over the iterations."""

    start: Annotated[float, Field(gt=0, le=100)]
    end: Annotated[float, Field(gt=0, le=100)]


class Style(Section):
    """Parameters of the style transfer (Gatys, Ecker, Bethge 2015, arXiv:1508.06576)."""

    features: Annotated[str, Field(pattern=r"^(imagenet|random|.+\.safetensors)$")]
    canvases: Annotated[list[Canvas], Field(min_length=1)]
    pairs: Annotated[int, Field(ge=1)]  # test faces, each with artworks of the test split
    artworks: Annotated[int, Field(ge=1, le=64)]  # a face, of equal weight
    pairs_file: Annotated[str, Field(min_length=1)]  # pairs and weights by name instead; empty file = by seed
    batch_size: Annotated[int, Field(ge=1, le=256)]  # pairs optimised at once
    iterations: Annotated[int, Field(ge=1, le=100000)]  # at most; evaluations of the losses
    optimiser: Literal["adam", "lbfgs"]  # lbfgs: pairs one at a time
    lr: Annotated[float, Field(gt=0, le=10)]  # of adam
    lr_end: Annotated[float, Field(gt=0, le=1)]  # share of it at the last iteration; 1 = constant
    levels: Annotated[int, Field(ge=1, le=4)]  # coarse to fine: seen at 1/2^(levels - 1), ..., 1/2, full size
    ema: Annotated[float, Field(ge=0, lt=1)]  # of adam's iterates; 0 = the last one
    plateau: Annotated[float, Field(gt=0, lt=1)] | None  # a pair ends when its loss falls by less; null = never
    patience: Annotated[int, Field(ge=1, le=10000)]  # over so many iterations, however warm its choices still are
    statistics: Literal["gram", "wasserstein"]
    falloff: Annotated[float, Field(gt=0, le=1)]  # what a style layer weighs of the one before it
    tv_weight: Weight
    content_weight: Weight
    style_weight: Weight
    content_layer: str
    style_layers: Annotated[list[str], Field(min_length=1)]
    pooling: Literal["max", "average"]
    start: Literal["content", "noise"]
    precision: Precision
    threads: Annotated[int, Field(ge=1, le=256)]  # CPU threads: part of the result, since sums are reordered
    palette: Annotated[int, Field(ge=2, le=256)] | None  # colours of the cell canvas at most; null = free
    palette_from: Literal["artwork", "file", "learned"]  # learned: starts from the artworks'
    palette_file: str  # .hex, .gpl, .json or .png, for `file`: all of its colours
    ground: Literal["style", "left_out"]  # of an artwork: its commonest border colour, where that holds half the border
    toning: Annotated[float, Field(ge=0, le=1)]  # share of the way of a face to the artworks' lightness and saturation
    colour_weight: Weight  # of cells having the colours of the toned face
    neighbour_weight: Weight  # of palette colours lying side by side as often as in the artworks
    choice: Literal["hard", "soft"]  # of a colour: seen hard, with a soft gradient; or as a mixture until the end
    gumbel: Annotated[float, Field(ge=0, le=10)]  # times Gumbel noise on the choice
    temperature: Temperature  # with lbfgs the end of it throughout: its line search needs one objective

    @model_validator(mode="after")
    def _values_go_together(self) -> Style:
        if self.optimiser == "lbfgs" and self.ema:
            raise ValueError(f"ema is of optimiser adam: with lbfgs expected 0, got ema {self.ema}")
        if self.optimiser == "lbfgs" and self.gumbel:
            raise ValueError(
                f"the line search of lbfgs needs a loss without noise: expected gumbel 0, got {self.gumbel}"
            )
        if self.palette is None and self.palette_from != "artwork":
            raise ValueError(f"palette null is no palette: expected palette_from artwork, got {self.palette_from}")
        return self
