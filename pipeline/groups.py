"""Works that must stay together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Member = TypeVar("Member", bound=Hashable)


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


def labelled(count: int, holders: NDArray[np.int64], shared: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(count,): the first member of each member's component, where those who share a number are linked.

    Args:
        holders, shared: (L,) each, members 0..count-1 and what they share.
    """
    labels = np.arange(count)
    order = np.argsort(shared, kind="stable")
    holders, shared = holders[order], shared[order]
    starts = np.flatnonzero(np.r_[True, shared[1:] != shared[:-1]][: len(shared)])
    several = np.diff(np.r_[starts, len(shared)])
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
