"""Colours chosen jointly: a picture drawn freely, every cell its own colour, becomes one of few flat colours.

The drawn picture is taken for flat colours seen through a slight blur and noise. In turn, the cells are labelled (a
Potts model, solved by iterated conditional modes: Besag 1986, On the statistical analysis of dirty pictures) and the
colours of the labels computed with the blur taken away, so that small accents keep their chroma and no colour is
spent on the greys between two others. No randomness. All distances are OKLab, a and b stretched by `CHROMA`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput, BadParams
from pipeline.images.colour import Lab, distinct, from_oklab, to_oklab
from pipeline.images.files import Pixels

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

CHROMA = 1.8  # what a difference in a or b counts beside one in L: accents are small, but differ in hue
NOISE = 0.035  # distance up to which neighbours are taken for one flat colour with noise
BIN = 0.04  # side of the bins that colours are first counted in
SPARE = 16  # colours more than needed that merging starts from
MASS = 0.75  # exponent of the number of cells in what a colour weighs: an iris of 4 weighs a 30th of 400 of skin
SMOOTHNESS = 0.0006  # squared distance that one neighbour of the same label is worth
LONE = 0.0015  # squared distance that the first neighbour of the same label is worth besides
EDGE = 0.035  # distance of two neighbours at which being the same is worth 0.6 of that
ROUNDS, SWEEPS = 2, 4  # of labels and colours in turn, and over the cells within one of them
MOST_BLUR = 0.25  # largest share of its neighbours that a cell is taken to have in it
VIVID = 0.3  # by how much the more chromatic cells of a colour outweigh its others: what draws in doubt draws grey
REFINEMENTS = 3  # of blur and colours in turn
SAME = 0.04  # distance of two colours that are one with noise
FLAT = 4  # cells of exactly one colour that are no chance
STEP = 0.002  # squared distance up to which a doubled corner of a diagonal line gives way

TONE = 0.05  # difference in L from which one colour is lighter than another, and must not become darker
GREY = 0.03  # chroma below which a hue hardly is one
HUE = 3.0  # what a turned hue counts beside the distance, when colours of a palette are chosen
HUED = 0.03  # least chroma of a colour that is sure of its hue
EXCESS = 0.35  # what more chroma than such a colour has counts beside less
BEAM = 32  # choices of palette colours that are followed at once
CONTRAST = 1.5  # what contrasts between neighbours count beside the distance

AROUND = ((-1, -1, 0.5), (-1, 0, 1.0), (-1, 1, 0.5), (0, -1, 1.0), (0, 1, 1.0), (1, -1, 0.5), (1, 0, 1.0), (1, 1, 0.5))


def reduce_colours(native: Pixels, colours: int, palette: Pixels | None = None) -> Pixels:
    """Choose few flat colours for a freely drawn picture and say which cell has which, all at once.

    Small accents keep a colour of their own, areas become calm, edges, thin lines and single lights stay, and the
    doubled corners of diagonal lines go where little speaks for them.

    Args:
        native: uint8 (rows, columns, 3), one pixel a cell.
        colours: how many at most, 1 or more; a number as large as the palette sets no limit of its own.
        palette: uint8 (k, 3). Left out, the colours are the picture's own, and one that has few enough comes back as
            it is. Given, all are of the palette, chosen so that hues and contrasts of neighbours stay, and that none
            clearly lighter than another becomes darker than it; what has few enough of its colours comes back as it is.

    Returns:
        uint8 (rows, columns, 3).

    Raises:
        BadParams: fewer than 1 colour.
        BadInput: an empty palette.
    """
    if colours < 1:
        raise BadParams(f"colours: expected 1 or more, found {colours}")
    if palette is not None and not len(palette):
        raise BadInput("palette: expected 1 or more colours, found none")
    levels, indices, _ = distinct(native)
    few = len(levels) <= colours
    if few and (palette is None or set(map(tuple, levels.tolist())) <= set(map(tuple, palette.tolist()))):
        return native.copy()
    if few:
        labels, entries = indices.reshape(native.shape[:2]), to_oklab(levels)
    else:
        labels, entries = _decompose(to_oklab(native), colours if palette is None else min(colours, 2 * len(palette)))
    if palette is not None:
        return palette[_matched(labels, entries, to_oklab(palette))][labels]
    return _with_exact(from_oklab(entries), labels, levels, indices)[labels]


def _with_exact(flat: Pixels, labels: Labels, levels: Pixels, indices: Labels) -> Pixels:
    """The colours (k, 3) of labels, and where a third of a label's cells have exactly one near it, that one."""
    pairs, counts = np.unique(labels.ravel() * len(levels) + indices, return_counts=True)
    label, level = pairs // len(levels), pairs % len(levels)
    near = _squares((to_oklab(flat)[label] - to_oklab(levels)[level]).T) < SAME**2
    common = near & (3 * counts >= np.bincount(labels.ravel())[label]) & (counts >= FLAT)
    rising = np.flatnonzero(common)[np.argsort(counts[common], kind="stable")]
    flat[label[rising]] = levels[level[rising]]
    return flat


def _decompose(drawn: Lab, colours: int) -> tuple[Labels, Lab]:
    """A label for each cell and the colour of each label, at most `colours`."""
    stretch = np.array([1, CHROMA, CHROMA])
    planes = np.ascontiguousarray(np.moveaxis(drawn * stretch, -1, 0))
    even = _evened(planes)
    alike = _alike(even)
    centres = _starting_colours(even.reshape(3, -1), colours)
    labels = _distances(planes.reshape(3, -1), centres).argmin(axis=0).reshape(drawn.shape[:2])
    sharp = planes
    for _ in range(ROUNDS):
        labels = _labelled(sharp, centres, labels, alike)
        centres, sharp = _recoloured(planes, labels, centres)
        centres, into = _merged(centres, np.bincount(labels.ravel(), minlength=len(centres)).astype(float), colours)
        labels = into[labels]
    return _straightened(labels, sharp, centres), centres / stretch


def _evened(planes: Floats) -> Floats:
    """The picture (3, rows, columns) with noise averaged away and edges kept."""
    total, weights = planes.copy(), np.ones(planes.shape[1:])
    for near, (_, _, share) in zip(_around(planes), AROUND, strict=True):
        weight = share * np.exp(_squares(near - planes) * (-0.5 / NOISE**2))
        total += weight * near
        weights += weight
    even: Floats = total / weights
    return even


def _alike(planes: Floats) -> Floats:
    """What it is worth for each cell to be the same as each cell around it, (rows * columns, 8)."""
    worth = [
        SMOOTHNESS * share * np.exp(_squares(near - planes) * (-0.5 / EDGE**2))
        for near, (_, _, share) in zip(_around(planes), AROUND, strict=True)
    ]
    return np.stack([one.ravel() for one in worth], axis=1)


def _around(planes: Floats) -> list[Floats]:
    """The picture moved by one cell towards each of `AROUND`; beyond the border the border goes on."""
    rows, columns = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), "edge")
    return [padded[:, 1 + down : 1 + down + rows, 1 + right : 1 + right + columns] for down, right, _ in AROUND]


def _squares(planes: Floats) -> Floats:
    """The squared lengths of vectors, (3, ...) -> (...)."""
    squares: Floats = planes[0] ** 2
    squares += planes[1] ** 2
    squares += planes[2] ** 2
    return squares


def _distances(values: Floats, centres: Floats) -> Floats:
    """Squared distances (k, n) of values (3, n) to centres (k, 3), always added up in the same order."""
    table: Floats = (values[0] - centres[:, 0, None]) ** 2
    table += (values[1] - centres[:, 1, None]) ** 2
    table += (values[2] - centres[:, 2, None]) ** 2
    return table


def _starting_colours(values: Floats, count: int) -> Floats:
    """At most `count` colours (k, 3) of values (3, n): far apart and common ones, merged pair by pair (Ward 1963)."""
    bins = np.floor(values / BIN + 0.5).astype(np.int64) + 128
    _, index = np.unique((bins[0] << 20) + (bins[1] << 10) + bins[2], return_inverse=True)
    mass: Floats = np.bincount(index).astype(np.float64)
    binned = _means(values, index, np.ones(len(index)), len(mass)).T
    centres = _far_apart(binned, mass, count + SPARE)
    for _ in range(ROUNDS):
        nearest = _distances(binned, centres).argmin(axis=0)
        masses: Floats = np.bincount(nearest, mass, len(centres)).astype(np.float64)
        centres, masses = _means(binned, nearest, mass, len(centres))[masses > 0], masses[masses > 0]
    return _merged(centres, masses, count)[0]


def _means(values: Floats, index: Labels, weights: Floats, count: int) -> Floats:
    """The weighted mean of the values (3, n) of each index, (count, 3); 0 where an index has no value."""
    mass = np.bincount(index, weights, count)
    means: Floats = _sums(values, index, weights, count) / np.where(mass > 0, mass, 1)[:, None]
    return means


def _sums(values: Floats, index: Labels, weights: Floats, count: int) -> Floats:
    return np.stack([np.bincount(index, weights * plane, count) for plane in values], axis=1)


def _far_apart(values: Floats, mass: Floats, count: int) -> Floats:
    """The heaviest value, and then always the one whose weight times squared distance to those before is largest."""
    weights = mass**MASS
    chosen = [int(mass.argmax())]
    distance = _squares(values - values[:, chosen[0], None])
    while len(chosen) < min(count, len(mass)):
        chosen.append(int((weights * distance).argmax()))
        distance = np.minimum(distance, _squares(values - values[:, chosen[-1], None]))
    return values[:, chosen].T


def _merged(centres: Floats, mass: Floats, count: int) -> tuple[Floats, Labels]:
    """Merge colours that are one with noise, then the two whose merging costs least (Ward), until `count` are left.

    Returns:
        what is left, and its index for each colour before.
    """
    centres, mass, into = centres.copy(), mass.copy(), np.arange(len(centres))
    for power, least in ((0.0, 0.5 * SAME**2), (MASS, np.inf)):
        weights = mass**power
        weights[mass == 0] = 0
        table = _distances(centres.T, centres) * _together(weights, weights[:, None])
        table[mass == 0] = table[:, mass == 0] = np.inf
        np.fill_diagonal(table, np.inf)
        while table.min(initial=np.inf) < least and (power == 0 or (mass > 0).sum() > count):
            kept, gone = divmod(int(table.argmin()), len(centres))
            centres[kept] = (mass[kept] * centres[kept] + mass[gone] * centres[gone]) / (mass[kept] + mass[gone])
            mass[kept], mass[gone] = mass[kept] + mass[gone], 0
            weights[kept], weights[gone] = mass[kept] ** power, 0
            into[into == gone] = kept
            costs = _squares((centres - centres[kept]).T) * _together(weights, weights[kept])
            costs[mass == 0] = costs[kept] = np.inf
            table[gone] = table[:, gone] = np.inf
            table[kept] = table[:, kept] = costs
    left = mass > 0
    return centres[left], (left.cumsum() - 1)[into]


def _together(one: Floats, other: Floats | float) -> Floats:
    """What a squared distance between two colours of these weights counts when they are merged."""
    return one * other / np.maximum(one + other, 1e-12)


def _labelled(sharp: Floats, centres: Floats, labels: Labels, alike: Floats) -> Labels:
    """Labels that fit the colours and their neighbours' labels better: four sets of cells in turn, no two touching."""
    (rows, columns), none = labels.shape, len(centres)
    costs = np.full((rows * columns, none + 1), np.inf)
    costs[:, :none] = _distances(sharp.reshape(3, -1), centres).T
    padded = np.pad(labels, 1, constant_values=none)
    flat, width = padded.ravel(), columns + 2
    steps = np.array([down * width + right for down, right, _ in AROUND])
    places = np.arange(rows * columns).reshape(rows, columns)
    sets = [places[down::2, right::2].ravel() for down, right in ((0, 0), (0, 1), (1, 0), (1, 1))]
    spots = [cells // columns * width + cells % columns + width + 1 for cells in sets]
    stale = np.ones(len(flat), bool)
    for _ in range(SWEEPS):
        for cells, at in zip(sets, spots, strict=True):
            again = stale[at]
            cells, at = cells[again], at[again]
            stale[at] = False
            near = flat[at[:, None] + steps] + (none + 1) * np.arange(len(cells))[:, None]
            gains = np.bincount(near.ravel(), alike[cells].ravel(), (none + 1) * len(cells))
            gains = gains + LONE * (gains > 0)
            best = (costs[cells] - gains.reshape(len(cells), none + 1)).argmin(axis=1)
            changed = at[best != flat[at]]
            flat[at] = best
            stale[changed[:, None] + steps] = True
    return padded[1:-1, 1:-1].copy()


def _recoloured(planes: Floats, labels: Labels, centres: Floats) -> tuple[Floats, Floats]:
    """The colour of each label, and the picture, with the blur between neighbours taken away.

    A cell is its label's colour and, by a share that is the same everywhere and measured here, the mean of its four
    neighbours' colours. More chromatic cells count more, since what draws in doubt draws grey.
    """
    index, values, count = labels.ravel(), planes.reshape(3, -1), len(centres)
    weights = _weights(values, index, count)
    padded = np.pad(labels, 1, "edge")
    near = np.stack([padded[:-2, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:], padded[2:, 1:-1]]).reshape(4, -1)
    inside = (near == index).sum(axis=0) / 4
    colours = _means(values, index, weights * (0.05 + inside**2), count)
    mixed, pure = np.flatnonzero(inside < 1), np.flatnonzero(inside == 1)
    near, own, drawn, share = near[:, mixed], index[mixed], values[:, mixed], weights[mixed]
    mass = np.bincount(index, weights, count)
    settled = _sums(values[:, pure], index[pure], weights[pure], count)
    sharp, unmixed = values.copy(), drawn
    for _ in range(REFINEMENTS):
        flat, around = colours.T.take(own, axis=1), (colours.T / 4).take(near, axis=1).sum(axis=1)
        towards = around - flat
        shared, whole = ((drawn - flat) * towards).sum(), (towards * towards).sum()
        blur = min(max(shared / whole, 0.0), MOST_BLUR) if whole > 0 else 0.0
        unmixed = (drawn - blur * around) / (1 - blur)
        colours = (settled + _sums(unmixed, own, share, count)) / np.where(mass > 0, mass, 1)[:, None]
    sharp[:, mixed] = unmixed
    used = np.bincount(index, minlength=count) > 0
    return np.where(used[:, None], colours, centres), sharp.reshape(planes.shape)


def _weights(values: Floats, index: Labels, count: int) -> Floats:
    """What each cell counts for the colour of its label: the more chromatic ones more, but not in greys."""
    a, b = _means(values, index, np.ones(len(index)), count).T[1:, index]
    chroma = np.hypot(a, b)
    vivid = VIVID * chroma / (chroma + GREY)
    weights: Floats = np.where((values[1] - a) * a + (values[2] - b) * b >= 0, 1 + vivid, 1 - vivid)
    return weights


def _straightened(labels: Labels, sharp: Floats, centres: Floats) -> Labels:
    """Diagonal lines of one cell's width without doubled corners, where the corner fits another label nearly as well.

    One direction of corners after the other, so that a staircase loses every second cell, never all.
    """
    labels = labels.copy()
    for down, right in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        view, values = labels[::down, ::right], sharp[:, ::down, ::right]
        padded = np.pad(view, 2, constant_values=-1)
        corner = _same(padded, view, 0, -1) & _same(padded, view, -1, 0)
        corner &= ~(_same(padded, view, 0, -2) & _same(padded, view, -2, 0))  # long arms: it is meant
        for outside in ((-1, -1), (0, 1), (1, 0), (1, 1)):
            corner &= ~_same(padded, view, *outside)
        goes_on = _same(padded, view, -2, 1) | _same(padded, view, 1, -2)
        goes_on |= _same(padded, view, -1, 1) | _same(padded, view, 1, -1)
        ys, xs = np.nonzero(corner & goes_on)
        if not len(ys):
            continue
        drawn, taken = values[:, ys, xs], view[ys, xs]
        own, best = _squares(drawn - centres[taken].T), np.full(len(ys), np.inf)
        for row, column in ((0, 1), (1, 0), (1, 1), (-1, -1)):
            other = padded[2 + ys + row, 2 + xs + column]
            cost = np.where(other >= 0, _squares(drawn - centres[other].T) - own, np.inf)
            closer = cost < best
            best[closer], taken[closer] = cost[closer], other[closer]
        view[ys[best < STEP], xs[best < STEP]] = taken[best < STEP]
    return labels


def _same(padded: Labels, labels: Labels, down: int, right: int) -> NDArray[np.bool_]:
    """Where the label so many cells away is the same, of labels that are padded by two cells."""
    rows, columns = labels.shape
    same: NDArray[np.bool_] = padded[2 + down : 2 + down + rows, 2 + right : 2 + right + columns] == labels
    return same


def _matched(labels: Labels, entries: Lab, palette: Lab) -> Labels:
    """The index of a palette colour for each entry: near in hue and tone, contrasts kept, no order of tones turned.

    A beam search, the largest areas first: of the best choices so far, each is continued with every palette colour that
    the order of tones allows. There always is one.
    """
    count, stretch = len(entries), np.array([1, CHROMA, CHROMA])
    mass = np.bincount(labels.ravel(), minlength=count).astype(np.float64)
    costs = mass[:, None] ** MASS * _unlikeness(entries, palette)
    bonds = CONTRAST * mass[:, None] ** MASS * _borders(labels, count)
    bonds = bonds + bonds.T
    tones, offers = entries[:, 0], palette[:, 0]
    drawn, made = (np.sqrt(_distances((lab * stretch).T, lab * stretch)) for lab in (entries, palette))
    chosen, totals = np.zeros((1, count), np.intp), np.zeros(1)
    largest_first = np.argsort(-mass, kind="stable")
    for number, one in enumerate(largest_first):
        before = largest_first[:number]
        table = totals[:, None] + costs[one]
        for other in before[bonds[one, before] > 0]:
            lost = np.maximum(drawn[one, other] - SAME - made[chosen[:, other]], 0)
            table += bonds[one, other] * lost**2
        lighter, darker = before[tones[before] > tones[one] + TONE], before[tones[before] < tones[one] - TONE]
        table[offers > offers[chosen[:, lighter]].min(axis=1, initial=np.inf)[:, None]] = np.inf
        table[offers < offers[chosen[:, darker]].max(axis=1, initial=-np.inf)[:, None]] = np.inf
        best = np.argsort(table, axis=None, kind="stable")[:BEAM]
        best = best[np.isfinite(table.ravel()[best])]
        chosen, totals = chosen[best // len(offers)], table.ravel()[best]
        chosen[:, one] = best % len(offers)
    best_choice: Labels = chosen[0]
    return best_choice


def _borders(labels: Labels, count: int) -> Floats:
    """Of the sides of the cells of each label that touch another one, the share that each other label has, (k, k)."""
    table = np.zeros(count * count)
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        table += np.bincount((one * count + other).ravel(), minlength=count * count)
    square = table.reshape(count, count)
    square = square + square.T
    np.fill_diagonal(square, 0)
    shares: Floats = square / np.maximum(square.sum(axis=1, keepdims=True), 1)
    return shares


def _unlikeness(colours: Lab, offered: Lab) -> Floats:
    """How unlike offered colours are, (n, k): like squared distances, but a turned hue costs more, more chroma less.

    Palettes are more vivid than drawings: blonde is rather a strong yellow than a beige of the same tone. Greys have no
    hue to keep, and should get none.
    """
    chroma, strong = np.hypot(colours[:, 1], colours[:, 2])[:, None], np.hypot(offered[:, 1], offered[:, 2])
    cross = colours[:, 1, None] * offered[:, 2] - colours[:, 2, None] * offered[:, 1]
    along = colours[:, 1, None] * offered[:, 1] + colours[:, 2, None] * offered[:, 2]
    turned = 2 * np.minimum(chroma, strong) * np.sin(np.arctan2(np.abs(cross), along) / 2)
    sure = np.minimum(chroma / HUED, 1) ** 2
    change = np.where(strong > chroma, EXCESS, 1.0) * (strong - chroma) ** 2
    plain = (offered[:, 1] - colours[:, 1, None]) ** 2 + (offered[:, 2] - colours[:, 2, None]) ** 2
    tone = (offered[:, 0] - colours[:, 0, None]) ** 2
    total: Floats = tone + CHROMA**2 * (sure * (change + HUE * turned**2) + (1 - sure) * 2 * plain)
    return total
