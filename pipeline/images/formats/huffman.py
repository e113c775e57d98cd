"""Walks along the Huffman codes of a sequential JPEG: how many blocks they hold, and whether all of them can be.

Nothing is decoded: only lengths are added up. Lost and foreign bytes betray themselves by codes that do not exist, by
blocks of more than 64 coefficients, or by too few or too many codes for the picture (ITU-T T.81, F.2.2).
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.uint8]

STUFFED = re.compile(rb"\xff+\x00")
END_OF_BLOCK, NO_CODE = 100, 200  # steps in coefficients that no run can make


class Table:
    """A Huffman table by the next 16 bits: what a code there takes and tells.

    Attributes:
        firsts: (65536,) bits of a first coefficient, code and value; 0 = no code begins so.
        steps: bits of another coefficient.
        moves: coefficients that it moves on by, END_OF_BLOCK or NO_CODE.
    """

    def __init__(self, counts: bytes, symbols: bytes) -> None:
        """A table from the 16 counts of codes by length and their symbols, in order."""
        lengths, meanings = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
        at = place = 0
        for length, count in enumerate(counts[:16], 1):
            for symbol in symbols[place : place + count]:
                end = at + (65536 >> length)
                lengths[at:end], meanings[at:end] = length, symbol
                at = end
            place += count
        size, run = meanings & 15, meanings >> 4
        self.firsts: Steps = (lengths + size) * (lengths > 0)
        self.steps: Steps = lengths + size
        self.moves: Steps = np.where((size > 0) | (run == 15), run + 1, np.uint8(END_OF_BLOCK))
        self.moves[lengths == 0] = NO_CODE


@lru_cache(64)  # most encoders write the tables of the standard
def table_of(counts: bytes, symbols: bytes) -> Table:
    """The table of a file's bytes."""
    return Table(counts, symbols)


class Codes:
    """The codes between two markers."""

    def __init__(self, data: bytes) -> None:
        self.data = STUFFED.sub(b"\xff", data)
        padded = np.frombuffer(self.data + bytes(2), np.uint8).astype(np.uint32)
        words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
        self.next = (words[:, None] >> np.arange(8, 0, -1, dtype=np.uint32)).astype(np.uint16).ravel()
        self.bits = len(self.next)

    def flaw(self, units: int, blocks: list[tuple[Table, Table]]) -> str | None:
        """What is wrong with codes that should hold so many units of these blocks; None = nothing."""
        firsts_of = {table: table.firsts[self.next].tobytes() for table, _ in blocks}
        others_of = {table: [rule[self.next].tobytes() for rule in (table.steps, table.moves)] for _, table in blocks}
        plan = [(firsts_of[first], *others_of[other]) for first, other in blocks]
        at = 0
        try:
            for _ in range(units):
                for firsts, steps, moves in plan:
                    if not (step := firsts[at]):
                        return "a code that does not exist"
                    at += step
                    coefficient = 1
                    while coefficient < 64:
                        coefficient += moves[at]
                        at += steps[at]
                    if coefficient >= NO_CODE:
                        return "a code that does not exist"
                    if 64 < coefficient < END_OF_BLOCK:
                        return "more coefficients than a block has"
        except IndexError:
            return "too few codes"
        if at > self.bits:
            return "too few codes"
        return "more codes than blocks" if self.data[(at + 7) // 8 :].strip(b"\0\xff") else None
