"""An image through the steps of flatten, grid and resize, decoded once and encoded once, beside Pillow alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from unittest import mock

import works
from PIL import Image

from pipeline.cells import combs
from pipeline.curate import flatten, grid, resize
from pipeline.errors import BadInput
from pipeline.images import files
from pipeline.images.files import Pixels
from pipeline.params import Params
from pipeline.runtime.parallel import keep_freed_memory

STEPS = ("decode", "flatten", "grid", "resize", "encode")
ROUNDS = 5


@dataclass(frozen=True)
class Chain:
    """Microseconds of CPU an image, the best round."""

    works: str
    kind: str  # exact: the exact test decides on the cell size; comb: luma has to be looked at
    images: int
    steps: dict[str, float]
    chain: float
    pillow: float

    @property
    def ratio(self) -> float:
        return self.chain / self.pillow


class Clock:
    """CPU time by step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def __call__(self, step: str, work: Callable[..., Any], *arguments: Any) -> Any:
        began = time.process_time()
        result = work(*arguments)
        self.spent[step] += time.process_time() - began
        return result


def chain(data: bytes, params: Params, call: Callable[..., Any]) -> Pixels | None:
    """The final picture of a work that is kept; the stages' own functions, decoded once, encoded once."""
    words = call("decode", files.decode_words, data)
    verdict, rgb = call("flatten", flatten.judge, words, "work", params.flatten)
    if rgb is None:
        return None
    background = verdict["background"]
    _, native = call("grid", grid.judge, rgb, params.grid)
    if native is None:
        return None
    pieces = call("resize", lambda: list(resize.judge(native, background, params.resize)))
    picture: Pixels | None = pieces[0][2]
    if picture is not None:
        call("encode", files.encode_art_png, picture)
    return picture


def kind_of(data: bytes, params: Params) -> str:
    """Whether the edges alone decide on the cells of a work that is kept (exact), or luma too (comb)."""
    _, rgb = flatten.judge(files.decode_words(data), "work", params.flatten)
    with mock.patch.object(combs, "luma_of", side_effect=LookupError):
        try:
            grid.judge(rgb, params.grid)
        except LookupError:
            return "comb"
    return "exact"


def plain(_: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Calls without a clock."""
    return work(*arguments)


def pillow(data: bytes, picture: Pixels) -> None:
    """Decode to RGBA and encode the final picture: what the chain is measured by."""
    with Image.open(BytesIO(data)) as image:
        image.convert("RGBA")
    Image.fromarray(picture).save(BytesIO(), format="PNG")


def chains(name: str, pictures: Sequence[bytes], params: Params) -> Iterator[Chain]:
    """Figures of a set of works, by kind."""
    keep_freed_memory()  # as the executor does; Pillow gains by it too
    results = [(data, chain(data, params, plain)) for data in pictures if _readable(data)]
    by_kind: dict[str, list[tuple[bytes, Pixels]]] = {"exact": [], "comb": []}
    for data, picture in results:
        if picture is not None:
            by_kind[kind_of(data, params)].append((data, picture))
    for kind, pairs in by_kind.items():
        if pairs:
            yield _compare(name, kind, pairs, params)


def _compare(name: str, kind: str, pairs: Sequence[tuple[bytes, Pixels]], params: Params) -> Chain:
    """Chain and Pillow take turns; of each the best round counts. The steps are timed in a round of their own."""
    chain_seconds, pillow_seconds = [], []
    for _ in range(ROUNDS):
        chain_seconds.append(_cpu(lambda: [chain(data, params, plain) is None for data, _ in pairs]))
        pillow_seconds.append(_cpu(lambda: [pillow(data, picture) for data, picture in pairs]))
    clock = Clock()
    for data, _ in pairs:
        chain(data, params, clock)
    each = 1e6 / len(pairs)
    steps = {step: clock.spent[step] * each for step in STEPS}
    return Chain(name, kind, len(pairs), steps, min(chain_seconds) * each, min(pillow_seconds) * each)


def _readable(data: bytes) -> bool:
    try:
        files.read_rgba(data)
    except BadInput:
        return False
    return True


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def sets(count: int) -> Iterator[tuple[str, list[bytes]]]:
    """Names and files: real works where there are any, and drawn ones; some also enlarged, exactly and not."""
    drawn = [files.encode_png(works.drawn(number)) for number in range(count)]
    for name, pictures in [*((name, works.real(name, count)) for name in works.SETS), ("drawn", drawn)]:
        if pictures:
            yield name, pictures
        if pictures and name in ("pixel_faces", "drawn"):
            images = [Image.fromarray(files.read_rgba(data)) for data in pictures if _readable(data)]
            yield f"{name} x4", [_enlarged(image, 4.0, "PNG") for image in images]
            yield f"{name} x2.5", [_enlarged(image, 2.5, "PNG") for image in images]
            yield f"{name} x4 JPEG", [_enlarged(image, 4.0, "JPEG") for image in images]


def _enlarged(image: Image.Image, factor: float, kind: str) -> bytes:
    """By nearest neighbour; a JPEG on white."""
    size = round(image.width * factor), round(image.height * factor)
    if kind == "JPEG":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    data = BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(data, kind, quality=90)
    return data.getvalue()
