"""What each split has of a domain: works, artists, sources; the largest groups; and what will be missed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.curate.split.assign import SPLITS, Labels, Splits
from pipeline.curate.split.domains import Address, Domain, person_of
from pipeline.errors import BadInput

LARGEST = 5  # groups that are listed
FEW = 4  # pictures: figures of fewer tell little

NOUNS = {"pixel": "artworks", "faces": "faces"}
Counts = dict[str, int]


@dataclass(frozen=True)
class Dealt:
    """A domain whose works were dealt.

    Attributes:
        labels: the group of each work.
        splits: the split of each work, or OUT.
        cut: works that are OUT, and what each shares with works of another split.
    """

    domain: Domain
    labels: Labels
    splits: Splits
    cut: dict[int, Address]

    @property
    def noun(self) -> str:
        """What the works are."""
        return NOUNS[self.domain.name]

    def counts(self, names: Sequence[Any]) -> dict[str, Counter[Any]]:
        """How often each name, one a work, stands in each split; None is left out."""
        counts: dict[str, Counter[Any]] = {name: Counter() for name in SPLITS}
        for name, split in zip(names, self.splits.tolist(), strict=True):
            if name is not None and split >= 0:
                counts[SPLITS[split]][name] += 1
        return counts

    def works(self) -> Counts:
        """Works of each split."""
        return {name: int(np.count_nonzero(self.splits == split)) for split, name in enumerate(SPLITS)}

    def groups(self) -> list[tuple[int, int]]:
        """(works, label) of the largest groups of several works, largest first; works that left do not count."""
        labels, sizes = np.unique(self.labels[self.splits >= 0], return_counts=True)
        order = np.lexsort((labels, -sizes))[:LARGEST]
        return [(int(sizes[place]), int(labels[place])) for place in order if sizes[place] > 1]


def check_some_to_train_and_test_on(dealt: Dealt, shares: Mapping[str, float]) -> None:
    """Raise BadInput when a domain has works, but none to train on, or none of the test share that is asked for."""
    works, noun = dealt.works(), dealt.noun
    total = sum(works.values())
    if total and not shares["train"]:
        raise BadInput(f"split.val and split.test leave no {noun} to train on: set one of them lower")
    if not total or works["test"] or not shares["test"]:
        return
    group, remedy = "one group", "bring more"
    if (person := _whose(dealt)) is not None:
        group, remedy = f"one person's ({person})", "bring others, or set split.allow_shared_identity to true"
    raise BadInput(f"no {noun} for the test split: all {total} are {group}; {remedy}, or set split.test to 0")


def _whose(dealt: Dealt) -> str | None:
    """The person whose all works are; None = there are several, or nobody knows."""
    persons = {person_of(addresses) for addresses in dealt.domain.addresses}
    person = persons.pop() if len(persons) == 1 else None
    return None if person is None else person[-1]


def summary(sides: Sequence[Dealt], shares: Mapping[str, float], max_group: float) -> dict[str, Any]:
    """Per domain and split: works, distinct artists (the unknown not counted), works of each source; largest groups."""
    return {
        "works": {side.domain.name: side.works() for side in sides},
        "artists": {side.domain.name: _lengths(side.counts(side.domain.artists)) for side in sides},
        "sources": {
            side.domain.name: {
                split: dict(sorted(counts.items())) for split, counts in side.counts(side.domain.sources).items()
            }
            for side in sides
        },
        "groups": {side.domain.name: _largest(side) for side in sides},
        "warnings": [warning for side in sides for warning in _warnings(side, shares, max_group)],
    }


def _lengths(counts: Mapping[str, Counter[Any]]) -> Counts:
    return {split: len(names) for split, names in counts.items()}


def _largest(side: Dealt) -> list[dict[str, Any]]:
    total, largest = sum(side.works().values()), []
    for works, label in side.groups():
        members = np.flatnonzero((side.labels == label) & (side.splits >= 0)).tolist()
        artists = {artist for member in members if (artist := side.domain.artists[member]) is not None}
        facts = {"first": side.domain.ids[members[0]], "split": SPLITS[side.splits[members[0]]]}
        largest.append({"works": works, "share": round(works / total, 4), "artists": len(artists), **facts})
    return largest


def _warnings(side: Dealt, shares: Mapping[str, float], max_group: float) -> Iterator[str]:
    """What training and evaluation will miss, as sentences."""
    works, noun = side.works(), side.noun
    total = sum(works.values())
    if not total:
        yield f"no {noun} at all: nothing can be trained"
        return
    for split in SPLITS:
        if not works[split]:
            yield f"no {noun} in {split}" + ("" if shares[split] else ": its share is 0")
        elif split != "val" and works[split] < FEW:
            yield f"only {works[split]} {noun} in {split}"
    asked = [split for split in SPLITS if shares[split] and works[split]]
    sources = side.counts(side.domain.sources)
    for source, count in sorted(Counter(s for s in side.domain.sources if s is not None).items()):
        missed = [split for split in asked if not sources[split][source] and count * shares[split] >= 1]
        if missed:
            yield f"none of the {count} {noun} of {source} in {', '.join(missed)}"
    named = {split: counts.total() for split, counts in side.counts(side.domain.artists).items()}
    if missed := [split for split in asked if not named[split] and sum(named.values()) * shares[split] >= 1]:
        yield f"no {noun} of a named artist in {', '.join(missed)}; a lower split.max_group deals them more evenly"
    for count, _ in side.groups():
        if count > max_group * total:
            yield (
                f"{count} of {total} {noun} are one group, more than split.max_group ({max_group:g}): "
                "one person's works are taken apart only with split.allow_shared_identity, one family's never"
            )
