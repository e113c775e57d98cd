"""A side of the translation as the split sees it: works by number, what each shares with others, who made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.curate.split.assign import Labels
from pipeline.runtime import manifest
from pipeline.runtime.identity import plain, work_of
from pipeline.runtime.manifest import Row
from pipeline.similarity import groups

Address = tuple[str, ...]  # what works have in common, e.g. ("artist", source, artist)
Artist = tuple[str, str]  # source, plain name

PERSONS = ("artist", "identity")  # addresses that tell whose a work is; of an artwork the artist counts first


@dataclass(frozen=True)
class Domain:
    """One side of the translation: where its pictures are, what each of its works shares, who made it.

    Works are numbered by id, those left out that a filter drops.

    Attributes:
        ids: of each work.
        addresses: of each work, all that it may share with another.
        artists: of each work; None = unknown.
        sources: of each work; None = unknown.
        holders: first work with an address.
        distances: of artworks from the palette of `palette_near`, by id; empty where none is asked for.
        left_out: works that a filter drops, by its reason.
        shared: addresses whose works may stand in several splits after all.
    """

    name: str
    src: Path
    ids: list[str] = field(default_factory=list)
    addresses: list[list[Address]] = field(default_factory=list)
    artists: list[Artist | None] = field(default_factory=list)
    sources: list[str | None] = field(default_factory=list)
    holders: dict[Address, int] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    shared: set[Address] = field(default_factory=set)

    def add(self, id: str, addresses: list[Address], artist: Artist | None, source: str | None = None) -> None:
        """Number one more work."""
        for address in addresses:
            self.holders.setdefault(address, len(self.ids))
        self.ids.append(id)
        self.addresses.append(addresses)
        self.artists.append(artist)
        self.sources.append(source)

    def labels(self) -> Labels:
        """(N,): the first work of each one's group, where works that share an address are one group."""
        labels = np.arange(len(self.ids), dtype=np.int32)
        links = (
            (number, first)
            for number, addresses in enumerate(self.addresses)
            for address in addresses
            if (first := self.holders[address]) != number
        )
        for members in groups.components(range(len(self.ids)), links):
            labels[members] = members[0]
        return labels


def person_of(addresses: Iterable[Address]) -> Address | None:
    """The address that tells whose a work is: its artist, else who is on it; None = nobody knows."""
    known = {address[0]: address for address in addresses if address[0] in PERSONS}
    return known.get("artist", known.get("identity"))


def addresses_of(domain: str, row: Row, artist: Artist | None, same: str, recolours: str | None) -> list[Address]:
    """Everything that a work may share with another; works with one in common are one group."""
    addresses: list[Address] = [("pixels", same)]
    addresses += [("work", id) for id in sorted({work_of(row["id"]), work_of(str(row.get("parent") or row["id"]))})]
    addresses += [("family", str(row["family"]))] if row.get("family") else []
    addresses += [("identity", str(row.get("source")), str(row["identity"]))] if row.get("identity") else []
    addresses += [("kinship", recolours)] if recolours is not None else []
    if artist is not None and (domain == "pixel" or not row.get("identity")):
        addresses.append(("artist", *artist))
    return addresses


def artist_of(row: Row, aliases: Mapping[Artist, Artist]) -> Artist | None:
    """The artist of a work, or whoever stands for all who are surely the same."""
    if not row.get("artist"):
        return None
    artist = (str(row.get("source")), plain(str(row["artist"])))
    return aliases.get(artist, artist)


def same_artists(dedup: Path) -> dict[Artist, Artist]:
    """Artist -> the one that stands for all who are surely the same.

    Sure is: one name (case and width apart) in two sources, under two copies of one work. A name alone is not.
    """
    copies = {
        (str(row["in_favour_of"]), artist)
        for row in manifest.stream(dedup)
        if row.get("in_favour_of") and (artist := artist_of(row, {})) is not None
    }
    favoured = {work for work, _ in copies}
    artists = {row["id"]: artist_of(row, {}) for row in manifest.stream(dedup) if row["id"] in favoured}
    links = [
        (artist, original)
        for work, artist in sorted(copies)
        if (original := artists.get(work)) is not None and original[1] == artist[1] and original[0] != artist[0]
    ]
    same = groups.components(sorted({artist for pair in links for artist in pair}), links)
    return {artist: min(members) for members in same for artist in members}
