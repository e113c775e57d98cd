"""params.yaml: the only place where a stage's value lives. Here are the meaning and the bounds, never a default.

A default would be a second place, and one that DVC cannot see. Unknown, missing and out-of-range keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import BadParams

DEFAULT_FILE = Path("params.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e9)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Source = Literal["pixeljoint", "lospec", "pixiehaus"]
Generator = Literal["resnet", "resize", "cell"]
Canvas = Literal["free", "cell"]
Precision = Literal["auto", "fp32", "bf16"]  # auto: bf16 where the CPU or GPU has it


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sample(Section):
    """The procedural galleries and faces of the default run."""

    revision: str  # digest of what is drawn: a changed drawing is a changed parameter, which DVC sees
    pixeljoint: Annotated[int, Field(ge=1, le=5000)]  # artworks listed by each sample gallery
    lospec: Annotated[int, Field(ge=1, le=5000)]
    pixiehaus: Annotated[int, Field(ge=1, le=5000)]
    faces: Annotated[int, Field(ge=8, le=20000)]  # smooth anime-like faces


class PixelJoint(Section):
    """Which of pixeljoint's lists is crawled."""

    listing: Literal["newest", "hall-of-fame", "showcase", "search"]
    search: str  # text that the search looks for; empty = every work (listing: search only)


class Lospec(Section):
    """Which works of lospec's gallery are crawled; the site itself filters."""

    listing: Literal["latest", "top", "likes"]
    medium: Literal["all", "pixel-art", "voxel-art", "low-poly", "textmode-art"]
    category: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")]  # as the site names it, e.g. hand-pixelled; empty = all
    tags: list[Annotated[str, Field(min_length=1)]]


class PixieHaus(Section):
    """How pixie.haus is paged: the site's own parameter is not known."""

    page_parameter: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    first_page: Annotated[int, Field(ge=0, le=1)]


class Scrape(Section):
    """Crawling; applies to the sample and to live sites alike."""

    origin: Literal["sample", "live"]
    limit: Annotated[int, Field(ge=1)] | None  # artworks per source; null = all
    since: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None  # works posted before are dropped; null = all
    animation: Literal["any", "still", "animated"]  # works of the other kind are dropped (reason limit)
    contact: str | None  # address or URL in the User-Agent; a live crawl refuses to start without
    accept_terms: list[Source]  # sites whose terms the user has read and accepted
    ignore_opt_outs: list[Source]  # sites whose training opt-outs are overridden, with permission only; logged
    blocked_tags: list[str]  # works with one of these tags are dropped (reason blocklist)
    pixeljoint: PixelJoint
    lospec: Lospec
    pixiehaus: PixieHaus


class Faces(Section):
    """The photographs' side of the translation."""

    origin: Literal["sample", "inputs"]
    limit: Annotated[int, Field(ge=1)] | None
    detector: Annotated[str, Field(min_length=1)] | None  # OpenCV cascade that cuts faces out; null = centre of inputs
    margin: Annotated[float, Field(ge=0, le=2)]  # around a detected face, on every side, in shares of its side
    max_distance: Annotated[int, Field(ge=0, le=16)]  # bits between 64-bit pHashes of duplicates; 0 = equal hash


class Dedup(Section):
    """Exact duplicates by canonical pixels, near ones by pHash verified on the foreground."""

    max_distance: Annotated[int, Field(ge=0, le=16)]  # bits between 64-bit pHashes of candidates
    max_difference: Annotated[float, Field(ge=0, le=64)]  # mean absolute difference (0..255) over the foreground
    overrides: Annotated[str, Field(min_length=1)]  # file of what a person decided about pairs of works
    frames: Literal["first", "distinct", "all"]  # of an animation: distinct = those that differ most from one another
    most_frames: Annotated[int, Field(ge=1, le=64)]  # frames an animation may give (frames: distinct only)


class Flatten(Section):
    """Alpha onto a stated background."""

    policy: Literal["solid", "contrast"]  # always the first of `backgrounds`, or by the work's id and outline
    backgrounds: Annotated[list[Colour], Field(min_length=1)]
    alpha_threshold: Annotated[int, Field(ge=1, le=255)]  # alpha below is background, the rest opaque
    max_transparent: Share  # works with a larger transparent share are dropped


class Grid(Section):
    """Native cell size."""

    max_cell: Annotated[int, Field(ge=2, le=64)]  # largest upscale factor looked for
    min_confidence: Share  # comb score below which an upscale is not believed


class Resize(Section):
    """The only place where the wanted grid stands."""

    size: Annotated[int, Field(ge=16, le=1024)]  # pixels a side, out
    cells: Annotated[int, Field(ge=4, le=256)]  # cells a side; size / cells is the integer factor
    min_cells: Annotated[int, Field(ge=1, le=256)]  # native works with a shorter longest side are dropped
    max_aspect: Annotated[float, Field(ge=1, le=16)]  # longer side / shorter side
    larger: Literal["crop", "tile", "drop"]  # what happens to works with more native pixels than cells
    crop: Literal["saliency", "centre", "top"]  # which window of them is kept (larger: crop only)

    @model_validator(mode="after")
    def _size_is_a_multiple(self) -> Resize:
        if self.size % self.cells:
            raise ValueError(f"size must be a multiple of cells, got size {self.size} and cells {self.cells}")
        return self


class Split(Section):
    """Train, val and test, by group (artist, identity, family of duplicates)."""

    val: Annotated[float, Field(ge=0, le=0.5)]  # share of the works
    test: Annotated[float, Field(ge=0, le=0.5)]
    licences: list[str]  # keep only works under these; empty = all
    min_transparent: Share  # artworks outside are dropped; 0 and 1: none, not even of unknown share
    max_transparent: Share

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Split:
        if self.min_transparent > self.max_transparent:
            raise ValueError(
                "min_transparent must not be above max_transparent, got "
                f"{self.min_transparent} and {self.max_transparent}"
            )
        return self


class Resnet(Section):
    """Losses of the report's system, and of `resize`."""

    lr: Annotated[float, Field(gt=0, le=1)]  # Adam
    cycle: Weight
    identity: Weight


class Cell(Section):
    """Losses of the system at cell resolution."""

    lr: Annotated[float, Field(gt=0, le=1)]
    cycle: Weight
    identity: Weight
    identity_until: Share  # share of the steps after which the identity loss ends, and with it a third of the work
    colour: Weight  # L1 between 4x4-pooled cells of output and input
    chroma: Weight  # L1 between the 2x2-pooled colour differences of output and input
    accents: Weight  # dark accents, such as mouths, that the output loses
    patterns: Weight  # sliced Wasserstein distance of 3x3 and 5x5 patches of cells from the art's
    augment: bool  # whether discriminators see pictures shifted by whole cells, in slightly other colours
    critics: Annotated[int, Field(ge=4, le=256)]  # channels of the discriminators' first convolutions
    palette: Annotated[int, Field(ge=2, le=256)] | None  # most colours of a picture; null = as many as cells
    colours: str  # own = each picture's; art = one palette learned from the art; else the name of a shipped palette


class Train(Section):
    """CycleGAN (Zhu et al. 2017, arXiv:1703.10593)."""

    generators: Annotated[list[Generator], Field(min_length=1)]
    width: Annotated[int, Field(ge=4, le=256)]  # channels after the first convolution (the report: 64)
    blocks: Annotated[int, Field(ge=1, le=16)]  # residual blocks (the report: 9; the paper at 128 px: 6)
    limit: Annotated[int, Field(ge=1)] | None  # pictures of each domain; null = all of the train split
    images_per_epoch: Annotated[int, Field(ge=1)]  # faces (and as many artworks) seen in an epoch
    batch_size: Annotated[int, Field(ge=1, le=1024)]
    decay_from: Share  # share of the epochs after which the learning rate falls linearly to 0
    replay: Annotated[int, Field(ge=0, le=10000)]  # images in each history buffer
    ema: Annotated[float, Field(ge=0, lt=1)]  # decay of the averaged generator weights; 0 = the last weights
    samples: Annotated[int, Field(ge=1, le=64)]  # fixed faces drawn after every epoch
    threads: Annotated[int, Field(ge=1, le=256)]  # CPU threads: part of the result, since sums are reordered
    precision: Precision
    compile: bool  # the networks by torch.compile before they train
    resnet: Resnet
    cell: Cell


class Translate(Section):
    """Test faces through the trained generators."""

    limit: Annotated[int, Field(ge=1)] | None  # faces; null = all of the test split
    batch_size: Annotated[int, Field(ge=1, le=1024)]


class Temperature(Section):
    """Of the choice among palette colours: from the first iteration to the last, falling geometrically."""

    start: Annotated[float, Field(gt=0, le=100)]
    end: Annotated[float, Field(gt=0, le=100)]


class Style(Section):
    """Style transfer (Gatys, Ecker, Bethge 2015, arXiv:1508.06576)."""

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


class Evaluate(Section):
    """Metrics of every method beside the trivial baselines."""

    palette: Annotated[int, Field(ge=2, le=256)]  # colours of the palette baselines
    fixed_palette: str  # name of a palette shipped with the package, for the fixed-palette baseline
    patches: Annotated[int, Field(ge=100, le=1000000)]  # native patches a set, sliced Wasserstein
    projections: Annotated[int, Field(ge=1, le=10000)]
    show: Annotated[int, Field(ge=1, le=64)]  # faces shown on the report page


class Executor(Section):
    """Where per-image maps run. Not a DVC parameter: results do not depend on it."""

    backend: Literal["loky", "threading", "dask", "ray", "spark"]
    n_jobs: Annotated[int, Field(ge=1, le=1024)]


class Params(Section):
    """The whole of params.yaml."""

    epochs: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sample: Sample
    scrape: Scrape
    faces: Faces
    dedup: Dedup
    flatten: Flatten
    grid: Grid
    resize: Resize
    split: Split
    train: Train
    translate: Translate
    style: Style
    evaluate: Evaluate
    executor: Executor


def load(file: Path = DEFAULT_FILE) -> Params:
    """Read and check a parameter file.

    Raises:
        BadParams: naming every offending key, its value and what was expected.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadParams(f"{file}: no such parameter file") from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadParams(f"{file}: not a YAML file: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise BadParams(f"{file}: " + "; ".join(_explain(item) for item in error.errors())) from error


def _explain(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"] if not str(part).startswith("constrained"))
    if item["type"] == "missing":
        return f"{key} is missing"
    if item["type"] == "extra_forbidden":
        known = ", ".join(sorted(_section_at(item["loc"][:-1]).model_fields))
        return f"{key} is unknown (known there: {known})"
    if item["type"] == "value_error":
        return f"{key}: {item['msg'].removeprefix('Value error, ')}"
    field = _field_at(item["loc"])
    expected = _range(field) if field is not None else ""
    return f"{key or 'the file'}: {expected or item['msg']}, got {item['input']!r}"


def _section_at(loc: tuple[Any, ...]) -> type[Section]:
    model: type[Section] = Params
    for part in loc:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return model


def _field_at(loc: tuple[Any, ...]) -> FieldInfo | None:
    model: type[Section] = Params
    for part in loc:
        if part not in model.model_fields:
            return None
        field = model.model_fields[part]
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            return field
        model = field.annotation
    return None


def _range(field: FieldInfo) -> str:
    """The bounds of a number as text; empty for anything else (pydantic's own message then serves)."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = {name: getattr(rule, name) for rule in _rules(field) for name in signs if hasattr(rule, name)}
    if not bounds:
        return ""
    return "expected a number " + " and ".join(f"{signs[name]} {value}" for name, value in bounds.items())


def _rules(field: FieldInfo) -> list[Any]:
    nested = [rule for part in get_args(field.annotation) for rule in getattr(part, "__metadata__", ())]
    flat = [inner for rule in nested for inner in (rule.metadata if isinstance(rule, FieldInfo) else [rule])]
    return [*field.metadata, *flat]
