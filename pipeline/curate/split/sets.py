"""Which works take part: licences, and the sets of artworks that go by transparency, source, native size, palette."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.curate.split.params import Split
from pipeline.errors import BadInput
from pipeline.runtime.manifest import Row

PARAMETERS = {  # reason -> what the user set
    "licence": "split.licences",
    "transparency": "split.min_transparent and split.max_transparent",
    "source": "split.sources",
    "native": "split.native",
    "palette": "split.palette_near",
}
MUST_LEAVE_SOME = {"source", "native", "palette"}


def excluded(domain: str, row: Row, params: Split, distance: float | None = None) -> str | None:
    """The reason why a work takes no part, the first of PARAMETERS that applies; None if it does.

    Args:
        distance: of an artwork from the palette of `palette_near`, where one is asked for.
    """
    if params.licences and row.get("licence") not in params.licences:
        return "licence"
    if domain != "pixel":
        return None
    if not _has_transparency(row, params):
        return "transparency"
    if params.sources and row.get("source") not in params.sources:
        return "source"
    if not _has_native_side(row, params):
        return "native"
    limit = params.palette_near.distance
    return "palette" if limit is not None and distance is not None and distance > limit else None


def _has_transparency(row: Row, params: Split) -> bool:
    if (params.min_transparent, params.max_transparent) == (0, 1):
        return True
    share = row.get("transparent_share")
    return share is not None and params.min_transparent <= share <= params.max_transparent


def _has_native_side(row: Row, params: Split) -> bool:
    if params.native is None:
        return True
    least, most = params.native
    width, height = row.get("native_width"), row.get("native_height")
    return width is not None and height is not None and least <= max(width, height) <= most


def check_some_are_left(kept: int, left_out: Mapping[str, int]) -> None:
    """Raise BadInput when a set is asked for and no artwork is in it; it names what left how many out."""
    if kept or not MUST_LEAVE_SOME.intersection(left_out):
        return
    causes = [f"{PARAMETERS[reason]} left out {left_out[reason]}" for reason in PARAMETERS if reason in left_out]
    raise BadInput(f"no artwork is left of {sum(left_out.values())}: {', '.join(causes)}")
