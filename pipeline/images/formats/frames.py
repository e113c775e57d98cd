"""The choice of an animation's frames. Frames are played anew for every choice, so that few are held at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from pipeline.images.files import Pixels
from pipeline.images.formats.container import Undecodable

HELD = 16_000_000  # pixels of all frames together up to which an animation is decoded once and held
MOST_HELD = 100_000_000  # pixels of the frames that a caller may be handed at once

Play = Callable[[], Iterator[Pixels]]


def distinct(play: Play, most: int) -> dict[int, Pixels]:
    """Choose at most `most` frames, by index: the first, then one by one the frame farthest from all chosen ones.

    The distance of two frames is the share of pixels that differ; of equally far ones the earliest is taken, and an
    exact repeat never. Plays `most` times; no more than MOST_HELD pixels are taken.
    """
    newest, nearest = next(play()).copy(), np.empty(0, np.int64)
    chosen = {0: newest}
    most = min(most, max(1, MOST_HELD * 4 // newest.size))
    while len(chosen) < most:
        nearest, farthest = _farthest(play, newest, nearest)
        if farthest is None:
            break
        newest = chosen[int(nearest.argmax())] = farthest
    return dict(sorted(chosen.items()))


def _farthest(play: Play, newest: Pixels, nearest: np.ndarray) -> tuple[np.ndarray, Pixels | None]:
    """How many pixels each frame differs from the nearest chosen one, `newest` included, and the first farthest.

    No frame is far where each is the same as a chosen one.
    """
    reach: list[int] = []
    farthest: Pixels | None = None
    most = 0
    for number, frame in enumerate(play()):
        changed = int(np.count_nonzero(frame.view(np.uint32) != newest.view(np.uint32)))
        reach.append(min(changed, int(nearest[number])) if len(nearest) else changed)
        if reach[-1] > most:
            most, farthest = reach[-1], frame.copy()
    return np.array(reach), farthest


def every(play: Play) -> dict[int, Pixels]:
    """All frames but exact repeats of earlier ones, by index.

    Raises:
        Undecodable: too_many_frames, when they are more than can be held.
    """
    digests: set[bytes] = set()
    chosen: dict[int, Pixels] = {}
    held = 0
    for number, frame in enumerate(play()):
        digest = hashlib.sha256(frame.tobytes()).digest()
        if digest in digests:
            continue
        digests.add(digest)
        chosen[number] = frame.copy()
        held += frame.shape[0] * frame.shape[1]
        if held > MOST_HELD:
            raise Undecodable("too_many_frames", f"{len(chosen)} different frames of {held} pixels in all")
    return chosen


def replayed(play: Play, pixels: int) -> Play:
    """A `play` of the same frames; of an animation with few `pixels` in all they are decoded only once."""
    if pixels > HELD:
        return play
    held = [frame.copy() for frame in play()]
    return lambda: iter(held)
