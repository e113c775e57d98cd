"""Which works of many are duplicates, which belong together, and what was decided about them.

In order of preference each work is held against those that stay before it: what was dropped drops nothing, so chains
of small steps cannot swallow their ends. Tiers: `override` (a person's word), `exact` (one canonical picture), `near`
(a lossy or slightly edited copy); and of works that both stay, as one family: `moved` (one canonical picture in two
places of one canvas: a frame, not a repost), `kin` (mirror images, recolours), `alternate` (alike, yet drawn apart).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from pathlib import Path

import numpy as np

from pipeline.curate.dedup import overrides, pair_cache, verify
from pipeline.curate.dedup.pair_cache import Compared
from pipeline.curate.dedup.params import Dedup
from pipeline.curate.dedup.table import Work, Works
from pipeline.runtime import cache
from pipeline.runtime.cache import Cache
from pipeline.runtime.parallel import parallel_map
from pipeline.runtime.settings import Executor
from pipeline.similarity import groups, search
from pipeline.similarity.fingerprints import GROUNDS, Looks
from pipeline.similarity.hamming import Index, Mask

MAX_DETAIL = 24.0  # of 255, luma in a thumbnail of a copy that a codec made: only then are the pictures looked at ...
MAX_SCREENED = 24.0  # ... or up to this difference over the foreground: of a resampled copy


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
    works: Works, looks: Looks, ruled: overrides.Verdicts, images: Path,
    params: Dedup, executor: Executor, memory: Cache | None = None,
) -> Decisions:  # fmt: skip
    """Deduplicate `works`, whose looks have their numbers and whose pictures are images/<id>.png.

    Args:
        memory: pairs that an earlier run compared are not compared again.
    """
    order = works.preferred()
    verdicts = _ruled_same(works, order, ruled)
    order = _standing(works, order, verdicts)
    exact = _exact([works[number] for number in works.sharing(order, "key").tolist()], ruled)
    verdicts += exact
    order = _standing(works, order, exact)
    near = _near(works, order[works.related[order]], looks, ruled, images, params, executor, memory or Cache(None))
    verdicts += near
    order = _standing(works, order, near)
    relatives = works.sharing(order[works.related[order]], "kin")
    verdicts += [*_kin([works[number] for number in relatives.tolist()], ruled)]
    verdicts += _ruled_alternates(works, order, ruled)
    return Decisions(_families(works, order, verdicts), verdicts)


def _families(works: Works, kept: Index, verdicts: Iterable[Verdict]) -> list[list[str]]:
    links = [(v.kept, v.in_favour_of) for v in verdicts if v.dropped is None]
    linked = _in_order(works, kept, {id for link in links for id in link})
    return groups.components(linked, [link for link in links if set(linked).issuperset(link)])


def _in_order(works: Works, order: Index, ids: Iterable[str]) -> list[str]:
    """Those of `ids` that are among the numbers, in their order."""
    numbers = np.array(list(works.find(ids).values()), np.int64)
    return [works.id(number) for number in order[np.isin(order, numbers)].tolist()]


def _standing(works: Works, order: Index, verdicts: Iterable[Verdict]) -> Index:
    gone = works.find(verdict.dropped for verdict in verdicts if verdict.dropped is not None)
    return order[~np.isin(order, np.array(list(gone.values()), np.int64))]


def _ruled(ruled: overrides.Verdicts, one: Work, other: Work) -> str | None:
    return ruled.get(frozenset((one.id, other.id))) if ruled else None


def _ruled_same(works: Works, order: Index, ruled: overrides.Verdicts) -> list[Verdict]:
    spoken, links = _ruled_links(works, order, ruled, overrides.SAME)
    alike = groups.components(spoken, links)
    return [Verdict(group[0], other, group[0], "override", None) for group in alike for other in group[1:]]


def _ruled_links(
    works: Works, order: Index, ruled: overrides.Verdicts, verdict: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Works that a person said this of, in their order, and the pairs, sorted."""
    pairs = [tuple(sorted(pair)) for pair, said in ruled.items() if said == verdict]
    spoken = _in_order(works, order, (id for pair in pairs for id in pair))
    return spoken, sorted((one, other) for one, other in pairs if {one, other} <= set(spoken))


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
    works: Works, numbers: Index, looks: Looks, ruled: overrides.Verdicts, images: Path,
    params: Dedup, executor: Executor, memory: Cache,
) -> list[Verdict]:  # fmt: skip
    """Of works in order of preference."""
    found = _compared(works, numbers, looks, images, params, executor, memory)
    ids = {one: works.id(int(numbers[one])) for one in np.unique(found.likeness.pairs).tolist()}
    measured = [
        _Measured(one, other, round(difference, 3), None if np.isnan(distance) else distance)
        for (one, other), difference, distance in zip(
            found.likeness.pairs.tolist(), found.likeness.difference.tolist(), found.distance.tolist(), strict=True
        )
        if not ruled or frozenset((ids[one], ids[other])) not in ruled
    ]
    dropped = _drop(measured)
    verdicts = [Verdict(ids[m.one], ids[m.other], ids[m.one], "near", m.difference) for m in dropped]
    gone = {m.other for m in dropped}
    staying = [m for m in measured if not gone & {m.one, m.other} and m.difference <= params.max_difference]
    return verdicts + [Verdict(ids[m.other], None, ids[m.one], "alternate", m.difference) for m in _forest(staying)]


def _compared(
    works: Works, numbers: Index, looks: Looks, images: Path, params: Dedup, executor: Executor,
    memory: Cache,
) -> Compared:  # fmt: skip
    """Pairs that the pictures themselves must tell, as indices of `numbers`, sorted; remembered for the next run."""
    pictures = works.pictures(numbers)
    keeper = pair_cache.Keeper(memory, cache.CacheScope.of(__name__, params))
    known, fresh = keeper.recalled(pictures)
    screened = known.joined(Compared.of(_screened(looks, numbers, params, fresh)))

    def version(one: int) -> verify.Version:
        return verify.Version(images / f"{works.id(int(numbers[one]))}.png", works.lossless(int(numbers[one])))

    unknown = screened.unknown
    levels = np.array(GROUNDS)[screened.likeness.ground[unknown]].tolist()
    pairs = screened.likeness.pairs[unknown].tolist()
    asked = [
        verify.Pair(version(one), version(other), level) for (one, other), level in zip(pairs, levels, strict=True)
    ]
    distances = parallel_map(verify.distance, asked, executor)
    screened.distance[unknown] = [np.nan if distance is None else distance for distance in distances]
    screened.unknown[:] = False
    keeper.keep(pictures, screened)
    return screened


@dataclass(frozen=True)
class _Measured:
    """Two works, the preferred first: mean difference over the foreground, and distance if they are copies."""

    one: int
    other: int
    difference: float
    distance: float | None


def _screened(looks: Looks, numbers: Index, params: Dedup, fresh: Mask | None) -> search.Likeness:
    """Pairs that look alike; with one of the `fresh`, where there are some known before."""
    bounds = params.max_distance, max(params.max_difference, MAX_SCREENED), MAX_DETAIL
    found = search.likenesses(looks, numbers, *bounds, fresh)
    return search.Likeness.joined([search.Likeness.none(), *found])


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


def _ruled_alternates(works: Works, kept: Index, ruled: overrides.Verdicts) -> list[Verdict]:
    _, links = _ruled_links(works, kept, ruled, overrides.ALTERNATE)
    return [Verdict(other, None, one, "override", None) for one, other in links]


def unknown(ruled: overrides.Verdicts, works: Works) -> list[str]:
    """Ids that a person spoke of and that are not there, sorted."""
    spoken = {id for pair in ruled for id in pair}
    return sorted(spoken - works.find(spoken).keys())
