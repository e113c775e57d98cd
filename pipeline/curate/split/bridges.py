"""Takes groups apart that would be most of a domain: artists whom families join are dealt alone, the bridges are cut.

Copies of copies join artist after artist, until all of a large data set is one group that no split can share. In a
group above `split.max_group` only what shows the same thing (a family, equal pixels, recolours, a character) and is of
one artist at most stays together. Where works that show the same thing have then come to lie in several splits, those
outside of the split that has most of them leave, with the reason `bridge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.curate.split.assign import Labels, Splits
from pipeline.curate.split.domains import PERSONS, Address, Domain, person_of
from pipeline.similarity.groups import Forest, components

OUT = -1  # the split of a work that left
Works = NDArray[np.bool_]  # (N,) which of a domain's works


@dataclass
class Parts:
    """Works of a group that was too large, joined anew as far as one part has one person at most.

    Attributes:
        forest: the parts.
        sizes: works of each part, by its root.
        persons: whose a part is, by its root.
        limit: works that a part may grow to by joining others; what shows one thing may be more.
    """

    limit: float
    forest: Forest[int] = field(default_factory=Forest)
    sizes: Counter[int] = field(default_factory=Counter)
    persons: dict[int, Address] = field(default_factory=dict)

    def add(self, part: list[int], person: Address | None) -> None:
        """Take works in that are never parted."""
        for member in part:
            self.forest.join(member, part[0])
        root = self.forest.root(part[0])
        self.sizes[root] = len(part)
        if person is not None:
            self.persons[root] = person

    def join(self, alike: list[int]) -> None:
        """Join the parts of works that show one thing to that which has most of them, as far as that may be."""
        counts = Counter(map(self.forest.root, alike))
        (main, covered), *others = counts.most_common()
        for other, count in others:
            size, persons = self.sizes[main] + self.sizes[other], {self.persons.get(main), self.persons.get(other)}
            if len(persons - {None}) > 1 or (size > self.limit and size > covered + count):
                continue
            self.forest.join(other, main)  # main stays the root
            self.sizes[main], covered = size, covered + count
            if (person := self.persons.get(other)) is not None:
                self.persons[main] = person


def part(domain: Domain, max_group: float, allow_shared_identity: bool) -> tuple[Labels, Works]:
    """The labels of a domain, where groups above `max_group` are taken apart, and the works of these.

    Args:
        max_group: share of the works.
        allow_shared_identity: a person who alone has more than that is taken apart too; the domain is told.
    """
    labels = domain.labels()
    apart = np.zeros(len(labels), np.bool_)
    limit = max_group * len(labels)
    for members in _larger(labels, limit):
        parts = _parts(domain, members, limit)
        first: dict[int, int] = {}
        labels[members] = [first.setdefault(parts.forest.root(member), member) for member in members]
        apart[members] = len(first) > 1
    if allow_shared_identity:
        for members in _larger(labels, min(limit, len(labels) - 1)):
            _share(domain, members, labels)
            apart[members] = True
    return labels, apart


def _larger(labels: Labels, limit: float) -> list[list[int]]:
    """The members of each group that is larger."""
    _, group_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return [np.flatnonzero(group_of == group).tolist() for group in np.flatnonzero(sizes > limit)]


def _parts(domain: Domain, members: list[int], limit: float) -> Parts:
    parts, persons = Parts(limit), {member: person_of(domain.addresses[member]) for member in members}
    bound = {
        member: [address for address in domain.addresses[member] if address[0] == "work" or address == persons[member]]
        for member in members
    }
    for group in components(members, _links(bound)):
        parts.add(group, next((person for member in group if (person := persons[member])), None))
    for alike in sorted(_alike(domain, members).values(), key=lambda alike: (-len(alike), alike[0])):
        parts.join(alike)
    return parts


def _share(domain: Domain, members: list[int], labels: Labels) -> None:
    """Label the works of a person anew, as if it did not matter whose they are."""
    addresses = {member: domain.addresses[member] for member in members}
    domain.shared.update(address for held in addresses.values() for address in held if address[0] in PERSONS)
    free = {member: [address for address in held if address[0] not in PERSONS] for member, held in addresses.items()}
    for group in components(members, _links(free)):
        labels[group] = group[0]


def _links(addresses: Mapping[int, list[Address]]) -> Iterator[tuple[int, int]]:
    holders: dict[Address, int] = {}
    for member, held in addresses.items():
        for address in held:
            yield member, holders.setdefault(address, member)


def _alike(domain: Domain, members: list[int]) -> dict[Address, list[int]]:
    """Address -> those of the members that share it, where several do, in order."""
    holders: dict[Address, list[int]] = {}
    for member in members:
        for address in domain.addresses[member]:
            if address not in domain.shared:
                holders.setdefault(address, []).append(member)
    return {address: alike for address, alike in holders.items() if len(alike) > 1}


def cut(domain: Domain, splits: Splits, apart: Works) -> tuple[Splits, dict[int, Address]]:
    """The splits, where works `apart` that share something are in one only, the others OUT; and what these share."""
    splits, bridges = splits.copy(), dict[int, Address]()
    for address, alike in _alike(domain, np.flatnonzero(apart).tolist()).items():
        sides = Counter(int(splits[member]) for member in alike if splits[member] != OUT)
        if len(sides) > 1:
            (main, _), *_ = sides.most_common()  # of equal ones the first, by id
            leaving = [member for member in alike if splits[member] not in (OUT, main)]
            splits[leaving] = OUT
            bridges |= dict.fromkeys(leaving, address)
    return splits, bridges
