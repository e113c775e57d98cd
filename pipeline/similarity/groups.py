"""What belongs together: groups that grow by links, and the original that each copy goes in favour of."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Member = TypeVar("Member", bound=Hashable)
Distance = TypeVar("Distance", float, tuple[str, int])


class Forest(Generic[Member]):
    """Groups that grow by links; whoever was not yet linked is a group alone."""

    def __init__(self) -> None:
        self.parent: dict[Member, Member] = {}

    def root(self, member: Member) -> Member:
        """The member that stands for the whole group."""
        parent = self.parent
        while parent.setdefault(member, member) != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def join(self, left: Member, right: Member) -> bool:
        """Make one group of two; False if they are one already."""
        roots = self.root(left), self.root(right)
        self.parent[roots[0]] = roots[1]
        return roots[0] != roots[1]


def components(members: Iterable[Member], links: Iterable[tuple[Member, Member]]) -> list[list[Member]]:
    """Connected components in order of their first member; members keep their order. Links are undirected."""
    forest = Forest[Member]()
    for left, right in links:
        forest.join(left, right)
    groups: dict[Member, list[Member]] = {}
    for member in members:
        groups.setdefault(forest.root(member), []).append(member)
    return list(groups.values())


def choose_originals(copies: Iterable[tuple[int, int, Distance]]) -> dict[int, tuple[Distance, int]]:
    """For each item that goes, the nearest of the items that stay and that it is a copy of, with its distance.

    Items are decided on in ascending order: what went is nobody's original, so that chains of small steps cannot
    swallow their ends.

    Args:
        copies: (original, copy, distance) in any order, the original always the smaller number.
    """
    candidates: dict[int, list[tuple[Distance, int]]] = {}
    for original, copy, distance in copies:
        candidates.setdefault(copy, []).append((distance, original))
    originals: dict[int, tuple[Distance, int]] = {}
    for copy in sorted(candidates):
        staying = [candidate for candidate in candidates[copy] if candidate[1] not in originals]
        if staying:
            originals[copy] = min(staying)
    return originals


def repeated(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of (N,) values occur more than once."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    several: NDArray[np.bool_] = counts[inverse] > 1
    return several
