"""Colours of the cells of an image: is every cell one colour, and which. No colour is invented."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.cells.combs import Luma
from pipeline.cells.edges import Positions
from pipeline.images.files import Pixels
from pipeline.runtime.compiled import compiled, part

Numbers = NDArray[np.float64]
Packed = NDArray[np.uint32]  # colours as 0xRRGGBB

MAX_RESIDUAL = 0.1  # of the variance that the cells may leave unexplained (true grids <= 0.07, natives mostly > 0.2)
NOISE = 4.0  # variance that noise adds whatever the contrast: a standard deviation of 2, as JPEG 75 has in dark art
MAX_MISFIT = 0.1  # share of pixels that may differ visibly from their cell ...
VISIBLE = 32  # ... in luma, of 255
NOTHING = 0xFFFFFFFF  # no colour
FEW = 100  # pixels of a cell, up to which each is compared with each
SNAP = 24  # of 255: colours of one inexact work nearer than this are the same colour


def misfit_of_centres(rgb: Pixels, columns: Positions, rows: Positions) -> float:
    """Share of pixels that are not exactly the colour in the centre of their cell."""
    height, width = rgb.shape[:2]
    centres = rgb[_centres(height, rows)][:, _centres(width, columns)]
    return float((_spread(centres, rgb.shape[:2], columns, rows) != rgb).any(axis=2).mean())


def are_plain(rgb: Pixels, luma: Luma, columns: Positions, rows: Positions) -> bool:
    """Every cell is one colour, but for compression noise: little variance is left, few pixels differ visibly."""
    bounds = _bounds(columns, rgb.shape[1]), _bounds(rows, rgb.shape[0])
    explained, squares, red, green, blue = _variance(rgb, *bounds)
    mean = (red**2 + green**2 + blue**2) / luma.size
    if squares - explained > MAX_RESIDUAL * (squares - mean) + NOISE * rgb.size:
        return False
    return _visible(luma, *bounds) / luma.size <= MAX_MISFIT


@compiled
def _variance(rgb: Pixels, columns: Positions, rows: Positions) -> tuple[float, float, float, float, float]:
    """What the means of the cells explain of the sum of all squares; that sum; the sum of each channel."""
    height, width = rgb.shape[:2]
    lines = rgb.reshape(height, width * 3)
    explained, squares, totals = 0.0, 0, np.zeros(3)
    sums, cells = np.empty(width * 3, np.uint32), np.empty((len(columns) - 1, 3))
    for row in range(len(rows) - 1):
        band = lines[rows[row] : rows[row + 1]]
        _sum_band(band, columns, sums, cells)
        for column in range(len(cells)):
            area = len(band) * (columns[column + 1] - columns[column])
            for channel in range(3):
                explained += cells[column, channel] ** 2 / area
                totals[channel] += cells[column, channel]
        for line in band:
            for place in range(len(line)):
                squares += int(line[place]) * int(line[place])
    return explained, float(squares), totals[0], totals[1], totals[2]


@part
def _sum_band(band: Pixels, columns: Positions, sums: Packed, cells: Numbers) -> None:
    """(H, C x W), a row of cells -> `cells` (N, C): their sums. `sums` (C x W,) is for those of the columns."""
    channels = cells.shape[1]
    sums[:] = 0
    for line in band:
        for place in range(len(line)):
            sums[place] += line[place]
    for column in range(len(cells)):
        for channel in range(channels):
            total = np.uint32(0)
            for x in range(columns[column], columns[column + 1]):
                total += sums[channels * x + channel]
            cells[column, channel] = total


@compiled
def _visible(luma: Luma, columns: Positions, rows: Positions) -> int:
    """How many pixels differ visibly from the mean of their cell."""
    count = 0
    sums, cells = np.empty(luma.shape[1], np.uint32), np.empty((len(columns) - 1, 1))
    means = np.empty(luma.shape[1], np.float32)
    for row in range(len(rows) - 1):
        band = luma[rows[row] : rows[row + 1]]
        _sum_band(band, columns, sums, cells)
        for column in range(len(cells)):
            left, right = columns[column], columns[column + 1]
            means[left:right] = np.float32(cells[column, 0] / (len(band) * (right - left)))
        for line in band:
            for x in range(len(line)):
                count += abs(means[x] - np.float32(line[x])) > VISIBLE
    return count


def majority(rgb: Pixels, columns: Positions, rows: Positions) -> Pixels:
    """Most frequent colour of every cell; among equals the one nearest to the cell's mean, then the darkest."""
    chosen = np.empty((len(rows) + 1, len(columns) + 1, 3), np.uint8)
    bounds = _bounds(columns, rgb.shape[1]), _bounds(rows, rgb.shape[0])
    _elect(np.ascontiguousarray(rgb), *bounds, chosen)
    return chosen


@compiled
def _elect(rgb: Pixels, columns: Positions, rows: Positions, chosen: Pixels) -> None:
    height, width = rgb.shape[:2]
    lines = rgb.reshape(height, width * 3)
    largest = np.diff(rows).max() * np.diff(columns).max()
    colours, votes, distances = np.empty(largest, np.uint32), np.empty(largest, np.uint32), np.empty(largest)
    table = np.empty(_table_size(largest), np.intp)
    for row in range(len(rows) - 1):
        for column in range(len(columns) - 1):
            area = red = green = blue = 0
            uniform = True
            for y in range(rows[row], rows[row + 1]):
                line = lines[y, 3 * columns[column] : 3 * columns[column + 1]]
                for x in range(0, len(line), 3):
                    r, g, b = np.int64(line[x]), np.int64(line[x + 1]), np.int64(line[x + 2])
                    red, green, blue = red + int(r), green + int(g), blue + int(b)
                    colours[area] = r << 16 | g << 8 | b
                    uniform &= colours[area] == colours[0]
                    area += 1
            winner = int(colours[0])
            if not uniform:
                count = _count_pairs(colours, votes, area) if area <= FEW else _count(colours, votes, area, table)
                mean = red / area, green / area, blue / area
                winner = _nearest(colours[:count], votes[:count], distances[:count], mean)
            for channel in range(3):
                chosen[row, column, channel] = winner >> (16 - 8 * channel) & 255


@part
def _count_pairs(colours: Packed, votes: Packed, area: int) -> int:
    """Votes for each of `area` pixels' colour: without a branch, for a few the fastest by far; returns `area`."""
    mine, all_votes = colours[:area], votes[:area]
    all_votes[:] = 0
    for colour in mine:
        for place in range(area):
            all_votes[place] += np.uint32(colour == mine[place])
    return area


@part
def _count(colours: Packed, votes: Packed, area: int, table: Positions) -> int:
    """The same for each colour, which takes the place of the pixels'; returns how many there are."""
    table[:] = -1
    count = 0
    for place in range(area):
        colour = colours[place]
        slot = _slot(int(colour), len(table))
        while table[slot] >= 0 and colours[table[slot]] != colour:
            slot = (slot + 1) & (len(table) - 1)
        if table[slot] < 0:
            table[slot], colours[count], votes[count] = count, colour, 0
            count += 1
        votes[table[slot]] += 1
    return count


@part
def _nearest(colours: Packed, votes: Packed, distances: Numbers, mean: tuple[float, float, float]) -> int:
    """Of the colours with most votes the nearest to the mean, then the darkest; without a branch.

    `distances` is room for as many; numbers of one sign are in the order of their bits.
    """
    most = np.uint32(0)
    for place in range(len(votes)):
        most = max(most, votes[place])
    for place in range(len(votes)):
        colour = np.int32(colours[place])
        red, green, blue = (colour >> 16) - mean[0], (colour >> 8 & 255) - mean[1], (colour & 255) - mean[2]
        distances[place] = red * red + green * green + blue * blue if votes[place] == most else np.inf
    bits = distances.view(np.int64)
    least, winner = bits[0], np.uint32(NOTHING)
    for place in range(len(votes)):
        least = min(least, bits[place])
    for place in range(len(votes)):
        winner = min(winner, colours[place] if bits[place] == least else np.uint32(NOTHING))
    return int(winner)


def merge_near(rgb: Pixels) -> Pixels:
    """Each colour becomes the most frequent one within SNAP of it in every channel, of equals the darkest."""
    size = rgb.size // 3
    colours, counts, number = np.empty(size, np.uint32), np.zeros(size, np.intp), np.empty(size, np.intp)
    count = _number(rgb.reshape(-1, 3), colours, counts, number)
    rank = (size - counts[:count]) << 24 | colours[:count]
    merged = np.empty_like(rgb)
    _snap(colours, np.argsort(rank), number, merged.reshape(-1, 3))
    return merged


@compiled
def _number(rgb: Pixels, colours: Packed, counts: Positions, number: Positions) -> int:
    """Colours in the order of their first pixel, how often each is there, and the number of each pixel's; how many."""
    size = _table_size(len(rgb))
    table = np.full(size, -1, np.intp)
    count = 0
    for place in range(len(rgb)):
        colour = _packed(rgb[place, 0], rgb[place, 1], rgb[place, 2])
        slot = _slot(int(colour), size)
        while table[slot] >= 0 and colours[table[slot]] != colour:
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot], colours[count] = count, colour
            count += 1
        number[place] = table[slot]
        counts[number[place]] += 1
    return count


@compiled
def _snap(colours: Packed, order: Positions, number: Positions, merged: Pixels) -> None:
    """In this order a colour becomes the first of those before it that stayed and are near; without one, it stays."""
    stay = np.empty((len(order), 3), np.int16)
    target = np.empty(len(order), np.intp)
    count = 0
    for one in order:
        colour = np.int64(colours[one])
        red, green, blue = np.int16(colour >> 16), np.int16(colour >> 8 & 255), np.int16(colour & 255)
        near = 0
        while near < count and not (
            abs(stay[near, 0] - red) < SNAP and abs(stay[near, 1] - green) < SNAP and abs(stay[near, 2] - blue) < SNAP
        ):
            near += 1
        if near == count:
            stay[count, 0], stay[count, 1], stay[count, 2] = red, green, blue
            count += 1
        target[one] = near
    for place in range(len(number)):
        for channel in range(3):
            merged[place, channel] = stay[target[number[place]], channel]


def has_at_most(rgb: Pixels, most: int) -> bool:
    """Whether a contiguous uint8 (H, W, 3) image has so many colours, or fewer."""
    return _distinct(rgb.reshape(len(rgb), -1), most) <= most


@compiled
def _distinct(lines: Pixels, most: int) -> int:
    """Number of colours; where a row brings it above `most`, no further row is looked at."""
    size, width = _table_size(most + 1), lines.shape[1] // 3
    table, words = np.full(size, NOTHING, np.uint32), np.empty(width, np.uint32)
    count, last = 0, np.uint32(NOTHING)
    for y in range(len(lines)):
        for x in range(width):
            words[x] = _packed(lines[y, 3 * x], lines[y, 3 * x + 1], lines[y, 3 * x + 2])
        for x in range(width):
            if words[x] != last:
                last = words[x]
                slot = _slot(int(last), size)
                while table[slot] != NOTHING and table[slot] != last:
                    slot = (slot + 1) & (size - 1)
                if table[slot] == NOTHING:
                    table[slot] = last
                    count += 1
                    if count > most:
                        return count
    return count


@part
def _packed(red: int, green: int, blue: int) -> np.uint32:
    return np.uint32(np.int32(red) << 16 | np.int32(green) << 8 | np.int32(blue))


@part
def _table_size(most: int) -> int:
    """Slots for so many colours: a power of two, at least a third of them free."""
    size = 4
    while 2 * size < 3 * most:
        size *= 2
    return size


@part
def _slot(colour: int, size: int) -> int:
    """Where in a table of so many slots a colour is looked for first; multiplicative hashing, Knuth, TAOCP 6.4."""
    return (colour * 2654435769 >> 20) & (size - 1)


def _centres(length: int, starts: Positions) -> Positions:
    bounds = _bounds(starts, length)
    centres: Positions = (bounds[:-1] + bounds[1:]) // 2
    return centres


def _index(length: int, starts: Positions) -> Positions:
    """Cell number of every column (row)."""
    return np.repeat(np.arange(len(starts) + 1), np.diff(_bounds(starts, length)))


def _bounds(starts: Positions, length: int) -> Positions:
    """Both ends of every cell, strung together."""
    return np.concatenate(([0], starts, [length]))


def _spread(cells: NDArray[Any], shape: tuple[int, ...], columns: Positions, rows: Positions) -> NDArray[Any]:
    """One value a cell -> one a pixel; whole rows last, which are copied as such."""
    return cells.take(_index(shape[1], columns), axis=1).take(_index(shape[0], rows), axis=0)
