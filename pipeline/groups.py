"""Works that must stay together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Member = TypeVar("Member", bound=Hashable)


def components(members: Iterable[Member], links: Iterable[tuple[Member, Member]]) -> list[list[Member]]:
    """Connected components in order of their first member; members keep their order. Links are undirected."""
    ordered = list(members)
    parent = {member: member for member in ordered}
    for one, other in links:
        parent[_root(parent, one)] = _root(parent, other)
    groups: dict[Member, list[Member]] = {}
    for member in ordered:
        groups.setdefault(_root(parent, member), []).append(member)
    return list(groups.values())


def _root(parent: dict[Member, Member], member: Member) -> Member:
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member
