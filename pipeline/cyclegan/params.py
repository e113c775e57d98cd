"""Parameters of training and translation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.runtime.settings import Precision, Section, Share, Weight

Generator = Literal["resnet", "resize", "cell"]


class Resnet(Section):
    """The report's generator, and `resize`."""

    width: Annotated[int, Field(ge=4, le=256)]  # channels after the first convolution (the report: 64)
    blocks: Annotated[int, Field(ge=1, le=16)]  # residual blocks (the report: 9; the paper at 128 px: 6)
    images_per_epoch: Annotated[int, Field(ge=1)]  # faces (and as many artworks) seen in an epoch
    batch_size: Annotated[int, Field(ge=1, le=1024)]
    lr: Annotated[float, Field(gt=0, le=1)]  # Adam
    ema: Annotated[float, Field(ge=0, lt=1)]  # decay of the averaged generator weights; 0 = the last weights
    cycle: Weight
    identity: Weight


class Cell(Section):
    """The generator at cell resolution: what teaches it, and with how many colours it draws."""

    width: Annotated[int, Field(ge=4, le=256)]  # channels at the resolution of cells; twice as many below
    blocks: Annotated[int, Field(ge=1, le=16)]  # residual blocks where the grid is coarsest
    images_per_epoch: Annotated[int, Field(ge=1)]  # pairs, or faces and as many artworks, seen in an epoch
    batch_size: Annotated[int, Field(ge=1, le=1024)]
    lr: Annotated[float, Field(gt=0, le=1)]  # Adam
    ema: Annotated[float, Field(ge=0, lt=1)]  # decay of the averaged generator weights; 0 = the last weights
    palette: Annotated[int, Field(ge=2, le=256)] | None  # most colours of a picture; null = as many as cells
    pairs: Share  # share of the loss that pairs have; 1 = they alone teach, 0 = the report's unpaired question
    pool: Annotated[int, Field(ge=1)]  # pairs that are rendered, at least one for each number of cells
    cells: Annotated[list[Annotated[int, Field(ge=8, le=256)]], Field(min_length=1)] | None  # a side; null: as resize's
    # of the other share, a CycleGAN's
    cycle: Weight
    identity: Weight
    identity_until: Share  # share of the steps after which the identity loss ends, and with it a third of the work
    colour: Weight  # L1 between 4x4-pooled cells of output and input
    chroma: Weight  # L1 between the 2x2-pooled colour differences of output and input
    accents: Weight  # dark accents, such as mouths, that the output loses
    patterns: Weight  # sliced Wasserstein distance of 3x3 and 5x5 patches of cells from the art's
    augment: bool  # whether discriminators see pictures shifted by whole cells, in slightly other colours
    critics: Annotated[int, Field(ge=4, le=256)]  # channels of the discriminators' first convolutions


class Train(Section):
    """Training of generators: CycleGANs (Zhu et al. 2017, arXiv:1703.10593), and of `cell` also by pairs."""

    generators: Annotated[list[Generator], Field(min_length=1)]
    limit: Annotated[int, Field(ge=1)] | None  # pictures of each domain; null = all of the train split
    decay_from: Share  # share of the epochs after which the learning rate falls linearly to 0
    replay: Annotated[int, Field(ge=0, le=10000)]  # images in each history buffer
    samples: Annotated[int, Field(ge=1, le=64)]  # fixed faces drawn after every epoch
    threads: Annotated[int, Field(ge=1, le=256)]  # CPU threads: part of the result, since sums are reordered
    precision: Precision
    compile: bool  # the networks by torch.compile before they train
    resnet: Resnet
    cell: Cell


class Translate(Section):
    """What the trained generators draw: test faces, and smooth versions of test artworks."""

    limit: Annotated[int, Field(ge=1)] | None  # faces; null = all of the test split
    artworks: Annotated[int, Field(ge=1)] | None  # evenly spaced, smooth versions of; null = all of the test split
    batch_size: Annotated[int, Field(ge=1, le=1024)]
