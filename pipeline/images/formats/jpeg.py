"""JPEG, and whether its pixels are all there: libjpeg paints grey what is missing and says nothing of it.

JPEG has no checksum, but its codes must fit the picture. Those of sequential files are walked along (see `huffman`).
Those of progressive files depend on one another and are put to the test: bytes added behind the codes of a scan change
nothing if the codes were complete, and bytes at their end that can be changed without an effect were never read, so
that something before them was lost or put in. What is not found: bytes that were overwritten by as many codes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.images.formats import stills
from pipeline.images.formats.container import Source, Undecodable, refuse_page
from pipeline.images.formats.huffman import Codes, Table, table_of

Blocks = NDArray[np.bool_]  # (64,)

MARKER = re.compile(rb"\xff+[^\x00\xff]")
AFTER_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)  # all but stuffed bytes and restarts
RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
STANDALONE, END, SCAN, INTERVAL, TABLES = (0x01, *range(0xD0, 0xD9)), 0xD9, 0xDA, 0xDD, 0xC4
SEQUENTIAL, PROGRESSIVE, ARITHMETIC = (0xC0, 0xC1), (0xC2,), (0xC9, 0xCA)
PROBES = [bytes.fromhex(text) * 4 for text in ("5ab1c36e", "a54e3c91", "376dd8e2", "c8922714")]  # no marker in them
TAIL, SHORT = 6, 16  # bytes at the end of codes that are tried; codes with fewer bytes are not
MOST_TRIED = 8  # scans of one file
MOST_WALKED = 2 << 20  # bytes of a file whose codes are walked along, in a hundred times the memory


@dataclass(eq=False)
class Component:
    """A component of a frame, and which of its 64 coefficients have come in full."""

    across: int
    down: int
    complete: Blocks = field(default_factory=lambda: np.zeros(64, np.bool_))


@dataclass(frozen=True)
class Scan:
    """Where the codes of a scan lie between its restarts, and whether they are the first about their coefficients."""

    bounds: list[int]  # the start, every restart, the end
    is_first: bool


class Layout:
    """The markers of a file, as far as completeness depends on them.

    Raises:
        Undecodable: truncated, unreadable.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.components: dict[int, Component] = {}
        self.tables: dict[int, Table] = {}  # by class and place, as the file numbers them
        self.unwalked: list[Scan] = []
        self.kind = self.width = self.height = self.interval = 0
        at = 2
        while (found := MARKER.match(data, at)) and (code := data[found.end() - 1]) != END:
            at = found.end()
            if code not in STANDALONE:
                size = int.from_bytes(data[at : at + 2])
                content, at = data[at + 2 : at + size], at + max(size, 2)
                at = self._take(code, content, at)
        if not found:
            reason = "truncated" if at >= len(data) else "unreadable"
            raise Undecodable(reason, f"a JPEG file without its end, byte {at} of {len(data)} is no marker")
        self._check_coefficients()

    def _take(self, code: int, content: bytes, at: int) -> int:
        """Read a segment; the end of the codes that follow it."""
        if code in (*SEQUENTIAL, *PROGRESSIVE, *ARITHMETIC) and len(content) >= 6:
            self.kind = code
            self.height, self.width, count = struct.unpack_from(">HHB", content, 1)
            self.components = {
                content[place]: Component(content[place + 1] >> 4 or 1, content[place + 1] & 15 or 1)
                for place in range(6, min(6 + 3 * count, len(content) - 2), 3)
            }
        elif code == INTERVAL:
            self.interval = int.from_bytes(content[:2])
        elif code == TABLES:
            while len(content) > 17:
                end = 17 + sum(content[1:17])
                self.tables[content[0]] = table_of(content[1:17], content[17:end])
                content = content[end:]
        elif code == SCAN and content:
            return self._scan(content, at)
        return at

    def _scan(self, content: bytes, start: int) -> int:
        found = AFTER_SCAN.search(self.data, start)
        if found is None:
            raise Undecodable("truncated", f"a JPEG file without its end, {len(self.data)} bytes")
        refuse_page(self.data, start, found.start())
        count = content[0]
        chosen = dict(zip(content[1 : 1 + 2 * count : 2], content[2 : 2 + 2 * count : 2], strict=False))
        first, last, bits = (*content[1 + 2 * count : 4 + 2 * count], 0, 0, 0)[:3]
        if self.kind in SEQUENTIAL:
            first, last, bits = 0, 63, 0
        members = {self.components[id]: place for id, place in chosen.items() if id in self.components}
        for member in members if not bits & 15 else []:
            member.complete[first : last + 1] = True
        restarts = [place.start() for place in RESTART.finditer(self.data, start, found.start())]
        scan = Scan([start, *restarts, found.start()], bits >> 4 == 0)
        if self.kind not in ARITHMETIC and members:
            self._check_codes(scan, members)
        return found.start()

    def _check_codes(self, scan: Scan, members: dict[Component, int]) -> None:
        """Compare the codes of a scan and its restarts with what its size asks for."""
        units = self._units(list(members))
        expected = [number % 8 for number in range(-(-units // self.interval) - 1)] if self.interval else []
        markers = [RESTART.match(self.data, at) for at in scan.bounds[1:-1]]
        found = [self.data[marker.end() - 1] & 7 for marker in markers if marker]
        if found != expected:
            raise Undecodable("unreadable", f"{len(found)} restarts in a JPEG file, expected {len(expected)} in order")
        blocks = self._blocks(members)
        if blocks is None:
            self.unwalked.append(scan)
            return
        starts = [scan.bounds[0], *(marker.end() for marker in markers if marker)]
        for number, (start, end) in enumerate(zip(starts, scan.bounds[1:], strict=True)):
            within = min(self.interval or units, units - number * self.interval)
            if flaw := Codes(self.data[start:end]).flaw(within, blocks):
                reason = "truncated" if flaw == "too few codes" else "unreadable"
                raise Undecodable(reason, f"a JPEG file whose pixels have a hole or an early end: {flaw}")

    def _units(self, members: list[Component]) -> int:
        """How many units of blocks a scan of these components has."""
        across = max(part.across for part in self.components.values())
        down = max(part.down for part in self.components.values())
        if len(members) > 1:
            return -(-self.width // (8 * across)) * -(-self.height // (8 * down))
        width, height = -(-self.width * members[0].across // across), -(-self.height * members[0].down // down)
        return -(-width // 8) * -(-height // 8)

    def _blocks(self, members: dict[Component, int]) -> list[tuple[Table, Table]] | None:
        """The tables of each block of a unit; None where they cannot be walked along."""
        pairs = [(self.tables.get(place >> 4), self.tables.get(0x10 | place & 15)) for place in members.values()]
        known = [(first, other) for first, other in pairs if first and other]
        if self.kind not in SEQUENTIAL or len(known) < len(pairs) or len(self.data) > MOST_WALKED:
            return None
        if len(members) == 1:
            return known
        shares = (part.across * part.down for part in members)
        return [pair for pair, share in zip(known, shares, strict=True) for _ in range(share)]

    def _check_coefficients(self) -> None:
        if not self.components:
            raise Undecodable("unreadable", "a JPEG file without a picture")
        for id, component in self.components.items():
            if not component.complete.all():
                missing = 64 - np.count_nonzero(component.complete)
                raise Undecodable("truncated", f"a JPEG file without {missing} of 64 coefficients of component {id}")

    def lengthened(self) -> bytes:
        """The file with bytes behind all codes that could not be walked along."""
        ends = [end for scan in self.unwalked for end in scan.bounds[1:]]
        return PROBES[0].join(self.data[start:end] for start, end in pairwise([0, *ends, len(self.data)]))

    def with_other_ends(self, scan: Scan, probe: bytes) -> bytes:
        """The file with other bytes at the end of the codes of a scan; zeros there may be padding and go."""
        start, end = scan.bounds[0], scan.bounds[-1]
        codes = self.data[start:end].rstrip(b"\0")
        cut = len(codes) - TAIL - (codes[-TAIL - 1] == 0xFF)
        return self.data[:start] + codes[:cut] + probe[:TAIL] + self.data[end:]

    @property
    def tried(self) -> list[Scan]:
        """Scans whose ends are tried: those that say so much that another end must show."""
        whole = [scan for scan in self.unwalked if scan.is_first and len(scan.bounds) == 2]
        long = [scan for scan in whole if len(self.data[slice(*scan.bounds)].rstrip(b"\0")) >= SHORT]
        return long[:MOST_TRIED]


def read(data: bytes) -> Source:
    """Decode a JPEG file.

    Raises:
        Undecodable: truncated, unreadable, too_large; what Pillow raises (files.DAMAGED).
    """
    source = stills.read(data, "JPEG")
    layout = Layout(data)
    if layout.unwalked:
        pixels = next(source.play())
        if not _same(layout.lengthened(), pixels):
            raise Undecodable("truncated", f"a JPEG file of {len(data)} bytes that ends before its pixels do")
        for scan in layout.tried:
            if all(_same(layout.with_other_ends(scan, probe), pixels) for probe in PROBES):
                raise Undecodable("unreadable", "a JPEG file with a hole or foreign bytes in its pixels")
    return source


def _same(data: bytes, pixels: NDArray[np.uint8]) -> bool:
    return bool(np.array_equal(next(stills.read(data, "JPEG").play()), pixels))
