"""Which works of many are duplicates, which belong together, and what was decided about them.

In order of preference each work is held against those that stay before it: what was dropped drops nothing, so chains
of small steps cannot swallow their ends. Tiers: `override` (a person's word), `exact` (one canonical picture), `near`
(a lossy or slightly edited copy); and of works that both stay, as one family: `moved` (one canonical picture in two
places of one canvas: a frame, not a repost), `kin` (mirror images, recolours), `alternate` (alike, yet drawn apart).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from pathlib import Path

import numpy as np

from pipeline import copies, groups, overrides, similarity
from pipeline.executor import parallel_map
from pipeline.params import Dedup, Executor

MAX_DETAIL = 24.0  # of 255, luma in a thumbnail of a copy that a codec made: only then are the pictures looked at ...
MAX_SCREENED = 24.0  # ... or up to this difference over the foreground: of a resampled copy


@dataclass(frozen=True, slots=True)
class Work:
    """What exact comparison and preference need of a decoded work; `index` is its place in `Looks`.

    Attributes:
        key: of the canonical picture, or of all pixels where that is too simple to identify a work.
        kin: of its mirror images and recolours; None: too simple to be compared with anything but its exact pixels.
        canvas, place: see `pixels.Placed`.
        area: pixels of the canonical picture.
        colour_bits: binary digits of its number of colours; smoothing and codecs add colours, artists use few.
    """

    id: str
    index: int
    key: bytes
    kin: bytes | None
    factor: int
    canvas: tuple[float, float]
    place: tuple[float, float]
    area: int
    colour_bits: int
    lossless: bool

    @property
    def preference(self) -> tuple[bool, int, int, int, str]:
        return not self.lossless, self.colour_bits, self.factor, -self.area, self.id


@dataclass(frozen=True)
class Verdict:
    """One line of decisions.jsonl: `dropped` went in favour of `kept`, or (dropped None) both were kept."""

    kept: str
    dropped: str | None
    in_favour_of: str
    tier: str
    distance: float | None


@dataclass(frozen=True)
class Decisions:
    """Families of two works or more that stay, as ids in order of preference, and every verdict."""

    families: list[list[str]]
    verdicts: list[Verdict]


def decide(
    works: Iterable[Work], looks: similarity.Looks, ruled: overrides.Verdicts, images: Path,
    params: Dedup, executor: Executor,
) -> Decisions:  # fmt: skip
    """Deduplicate `works`, whose pictures are images/<id>.png."""
    ordered = sorted(works, key=lambda work: work.preference)
    verdicts = _ruled_same(ordered, ruled)
    verdicts += _exact(_standing(ordered, verdicts), ruled)
    telling = [work for work in _standing(ordered, verdicts) if work.kin is not None]
    verdicts += _near(telling, looks, ruled, images, params, executor)
    kept = _standing(ordered, verdicts)
    verdicts += [*_kin(kept, ruled), *_ruled_alternates(kept, ruled)]
    return Decisions(_families(kept, verdicts), verdicts)


def _families(kept: Sequence[Work], verdicts: Iterable[Verdict]) -> list[list[str]]:
    ids = {work.id for work in kept}
    links = [(v.kept, v.in_favour_of) for v in verdicts if v.dropped is None]
    links = [link for link in links if ids.issuperset(link)]
    linked = {id for link in links for id in link}
    return groups.components((work.id for work in kept if work.id in linked), links)


def _standing(works: Sequence[Work], verdicts: Iterable[Verdict]) -> list[Work]:
    gone = {verdict.dropped for verdict in verdicts}
    return [work for work in works if work.id not in gone]


def _ruled(ruled: overrides.Verdicts, one: Work, other: Work) -> str | None:
    return ruled.get(frozenset((one.id, other.id))) if ruled else None


def _ruled_same(works: Sequence[Work], ruled: overrides.Verdicts) -> list[Verdict]:
    ids = [work.id for work in works]
    links = _ruled_links(ids, ruled, overrides.SAME)
    alike = [group for group in groups.components(ids, links) if len(group) > 1]
    return [Verdict(group[0], other, group[0], "override", None) for group in alike for other in group[1:]]


def _ruled_links(ids: Iterable[str], ruled: overrides.Verdicts, verdict: str) -> list[tuple[str, str]]:
    known = set(ids)
    pairs = [tuple(sorted(pair)) for pair, said in ruled.items() if said == verdict and pair <= known]
    return sorted((one, other) for one, other in pairs)


def _exact(works: Sequence[Work], ruled: overrides.Verdicts) -> list[Verdict]:
    staying: dict[bytes, list[Work]] = {}
    verdicts = []
    for work in works:
        alike = staying.setdefault(work.key, [])
        free = [other for other in alike if _ruled(ruled, other, work) is None]
        first = next((other for other in free if not _moved(other, work)), None)
        if first is not None:
            verdicts.append(Verdict(first.id, work.id, first.id, "exact", 0.0))
            continue
        verdicts += [Verdict(work.id, None, other.id, "moved", 0.0) for other in free[:1]]
        alike.append(work)
    return verdicts


def _moved(one: Work, other: Work) -> bool:
    return one.canvas == other.canvas and one.place != other.place


def _near(
    works: list[Work], looks: similarity.Looks, ruled: overrides.Verdicts, images: Path,
    params: Dedup, executor: Executor,
) -> list[Verdict]:  # fmt: skip
    likeness = _screened(looks.take([work.index for work in works]), params)
    versions = {
        one: copies.Version(images / f"{works[one].id}.png", works[one].lossless)
        for one in np.unique(likeness.pairs).tolist()
    }
    levels = np.array(similarity.GROUNDS)[likeness.ground].tolist()
    pairs = likeness.pairs.tolist()
    asked = [
        copies.Pair(versions[one], versions[other], level) for (one, other), level in zip(pairs, levels, strict=True)
    ]
    free = [_ruled(ruled, works[one], works[other]) is None for one, other in pairs]
    distances = parallel_map(copies.distance, asked, executor)
    measured = [
        _Measured(one, other, round(difference, 3), distance)
        for (one, other), difference, distance, unruled in zip(
            pairs, likeness.difference.tolist(), distances, free, strict=True
        )
        if unruled
    ]
    dropped = _drop(measured)
    verdicts = [Verdict(works[m.one].id, works[m.other].id, works[m.one].id, "near", m.difference) for m in dropped]
    gone = {m.other for m in dropped}
    staying = [m for m in measured if not gone & {m.one, m.other} and m.difference <= params.max_difference]
    return verdicts + [
        Verdict(works[m.other].id, None, works[m.one].id, "alternate", m.difference) for m in _forest(staying)
    ]


@dataclass(frozen=True)
class _Measured:
    """Two works, the preferred first: mean difference over the foreground, and distance if they are copies."""

    one: int
    other: int
    difference: float
    distance: float | None


def _screened(looks: similarity.Looks, params: Dedup) -> similarity.Likeness:
    """Pairs that the pictures themselves must tell, sorted."""
    bounds = params.max_distance, max(params.max_difference, MAX_SCREENED), MAX_DETAIL
    joined = similarity.Likeness.joined([similarity.Likeness.none(), *similarity.likenesses(looks, *bounds)])
    return joined.where(np.lexsort((joined.pairs[:, 0], joined.pairs[:, 1])))


def _drop(measured: Iterable[_Measured]) -> list[_Measured]:
    """Keep-first: each work, in order, goes in favour of the nearest of those that stay and that it is a copy of."""
    gone: set[int] = set()
    dropped = []
    for other, group in groupby(measured, key=lambda m: m.other):
        originals = [(m.distance, m.one, m) for m in group if m.distance is not None and m.one not in gone]
        if originals:
            gone.add(other)
            dropped.append(min(originals)[2])
    return dropped


def _forest(measured: Iterable[_Measured]) -> Iterator[_Measured]:
    """The nearest pairs that tie all together: as few verdicts as it takes, however many are alike."""
    forest = groups.Forest[int]()
    for m in sorted(measured, key=lambda m: (m.difference, m.one, m.other)):
        if forest.join(m.one, m.other):
            yield m


def _kin(works: list[Work], ruled: overrides.Verdicts) -> Iterator[Verdict]:
    relatives = sorted((work for work in works if work.kin), key=lambda work: (work.kin or b"", work.id))
    for _, clan in groupby(relatives, key=lambda work: work.kin):
        for one, other in _unruled(list(clan), ruled):
            if one.key != other.key:
                yield Verdict(other.id, None, one.id, "kin", None)


def _unruled(clan: Sequence[Work], ruled: overrides.Verdicts) -> Iterator[tuple[Work, Work]]:
    """Enough pairs to tie the clan together without those that a person spoke about."""
    touched = any(_ruled(ruled, one, other) for one, other in combinations(clan, 2)) if ruled else False
    for one, other in combinations(clan, 2) if touched else pairwise(clan):
        if _ruled(ruled, one, other) is None:
            yield one, other


def _ruled_alternates(works: Iterable[Work], ruled: overrides.Verdicts) -> list[Verdict]:
    links = _ruled_links((work.id for work in works), ruled, overrides.ALTERNATE)
    return [Verdict(other, None, one, "override", None) for one, other in links]


def unknown(ruled: Mapping[frozenset[str], str], ids: Iterable[str]) -> list[str]:
    """Ids that a person spoke of and that are not there, sorted."""
    return sorted({id for pair in ruled for id in pair} - set(ids))
