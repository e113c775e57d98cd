"""Works that must stay together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

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
