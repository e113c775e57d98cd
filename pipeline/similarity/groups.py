"""Works that must stay together."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.scratch import Records

Member = TypeVar("Member", bound=Hashable)
Numbers = NDArray[np.uint64]
Index = NDArray[np.integer[Any]]

PARTS = 16  # in which numbers are sorted
LINK = struct.Struct("<QI")
LAID = np.dtype([("shared", "<u8"), ("member", "<u4")])  # the same
READ = 1 << 16  # links at a time


class Forest(Generic[Member]):
    """Groups that grow by links; whoever was not yet linked is a group alone."""

    def __init__(self) -> None:
        self.parent: dict[Member, Member] = {}

    def root(self, member: Member) -> Member:
        """The same for all of a group."""
        parent = self.parent
        while parent.setdefault(member, member) != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def join(self, one: Member, other: Member) -> bool:
        """Make one group of two; False if they are one already."""
        roots = self.root(one), self.root(other)
        self.parent[roots[0]] = roots[1]
        return roots[0] != roots[1]


def components(members: Iterable[Member], links: Iterable[tuple[Member, Member]]) -> list[list[Member]]:
    """Connected components in order of their first member; members keep their order. Links are undirected."""
    forest = Forest[Member]()
    for one, other in links:
        forest.join(one, other)
    groups: dict[Member, list[Member]] = {}
    for member in members:
        groups.setdefault(forest.root(member), []).append(member)
    return list(groups.values())


def repeated(digests: Numbers) -> NDArray[np.bool_]:
    """Which of (N,) numbers are there more than once. They are sorted by parts: a few bytes a number."""
    found, part = np.zeros(len(digests), np.bool_), digests.view(np.uint8).reshape(-1, 8)[:, 0] % PARTS
    for number in range(PARTS):
        mine = np.flatnonzero(part == number)
        mine = mine[np.argsort(digests[mine])]
        equal = digests[mine[1:]] == digests[mine[:-1]]
        found[mine[1:][equal]] = found[mine[:-1][equal]] = True
    return found


class Links:
    """What members share, as digests of 64 bits, in an unnamed file; see `scratch`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._links = Records(LINK.size, folder)

    def append(self, member: int, shared: int) -> None:
        self._links.append(LINK.pack(shared, member))

    def shared(self) -> tuple[Index, Numbers]:
        """(L,) members and what they share, of what several share: equal ones side by side, members ascending."""
        parts = [self._part(number) for number in range(PARTS)]
        several = np.concatenate([part[repeated(part["shared"].copy())] for part in parts])
        return several["member"], several["shared"]

    def _part(self, number: int) -> NDArray[np.void]:
        whole = (
            self._links.between(start, start + READ).view(LAID)[:, 0] for start in range(0, len(self._links), READ)
        )
        part = np.concatenate([np.empty(0, LAID), *(some[some["shared"] % PARTS == number] for some in whole)])
        return part[np.argsort(part["shared"], kind="stable")]


def runs(ordered: Numbers) -> tuple[Index, Index]:
    """Of numbers, equal ones side by side: where each value begins, and how often it is there."""
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
    return starts, np.diff(np.r_[starts, len(ordered)])


def labelled(count: int, holders: Index, shared: Numbers) -> Index:
    """(count,): the first member of each member's component, where those who share a number are linked.

    Args:
        holders, shared: (L,) each, members 0..count-1 and what they share, equal ones side by side.
    """
    labels = np.arange(count, dtype=np.int32)
    starts, several = runs(shared)
    while len(holders):
        least = np.repeat(np.minimum.reduceat(labels[holders], starts), several)
        closer = labels.copy()
        np.minimum.at(closer, labels[holders], least)
        np.minimum.at(closer, holders, least)
        closer = closer[closer]
        if (closer == labels).all():
            break
        labels = closer
    return labels
