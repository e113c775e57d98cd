"""Shapes in head units: x right, y down, the face's centre at (0, 0), its half width 1, its chin at y = 1.15."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]  # (n, 2)

PIVOT = 1.0  # y of the point about which a head tilts


@dataclass(frozen=True)
class Shape:
    """A filled polygon of one part; `ink` are the polylines that a pen would draw on it."""

    part: str
    points: Points
    ink: tuple[Points, ...]

    def placed(self, place: Callable[[Points], Points]) -> Shape:
        """The shape with its contour and its ink where `place` puts them."""
        return Shape(self.part, place(self.points), tuple(map(place, self.ink)))


def outlined(part: str, points: Points) -> Shape:
    """A shape with its whole contour inked."""
    return Shape(part, points, (np.concatenate([points, points[:1]]),))


def plain(part: str, points: Points) -> Shape:
    """A shape without ink."""
    return Shape(part, points, ())


def points(*pairs: tuple[float, float]) -> Points:
    """Pairs x, y as an array (n, 2)."""
    return np.array(pairs, dtype=np.float64)


def mirrored(shape: Points) -> Points:
    """The same contour on the other side of the face."""
    mirror: Points = shape[::-1] * np.array([-1.0, 1.0])
    return mirror


def pair(part: str, right: Points) -> list[Shape]:
    """An inked shape and its mirror image."""
    return [outlined(part, right), outlined(part, mirrored(right))]


def symmetric(right: Points) -> Points:
    """A closed contour from its right half, given from top to bottom."""
    return np.concatenate([right, mirrored(right)])


def smooth(anchors: Points, *, closed: bool = True, steps: int = 5) -> Points:
    """Catmull-Rom curve through `anchors`, `steps` points a span."""
    count = len(anchors)
    index = np.arange(count if closed else count - 1) + np.arange(-1, 3)[:, None]
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = anchors[index % count if closed else np.clip(index, 0, count - 1), None]
    spans: Points = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = spans.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, anchors[-1:]])


def curve(*pairs: tuple[float, float]) -> Points:
    """A smooth open curve through the pairs."""
    return smooth(points(*pairs), closed=False)


def blob(*pairs: tuple[float, float]) -> Points:
    """A smooth closed contour through the pairs."""
    return smooth(points(*pairs))


def bezier(start: ArrayLike, control: ArrayLike, end: ArrayLike, steps: int = 8) -> Points:
    """Quadratic curve, both ends included."""
    t = np.linspace(0, 1, steps + 1)[:, None]
    a, b, c = (np.array(point, dtype=np.float64) for point in (start, control, end))
    return a * (1 - t) ** 2 + 2 * b * t * (1 - t) + c * t**2


def ellipse(x: float, y: float, width: float, height: float, steps: int = 28) -> Points:
    """Contour of an ellipse with the given half axes."""
    angle = np.arange(steps) * (2 * math.pi / steps)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], axis=1)


def taper(path: Points, widths: Sequence[float]) -> Points:
    """A ribbon along `path` whose half width runs through `widths` (0 at a tip)."""
    half = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(widths)), widths)[:, None]
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    return np.concatenate([path + normal * half, (path - normal * half)[::-1]])


def pixel_coordinates(shape: Points, side: int) -> list[int]:
    """Frame coordinates to whole pixels x, y, x, y, ... of a square picture: the same polygon on every machine."""
    flat: list[int] = np.floor(shape * side).astype(np.int64).ravel().tolist()
    return flat


def arc(radius_x: float, radius_y: float, start: float, end: float, steps: int = 16) -> Points:
    """Part of an ellipse around the skull's centre; degrees, 0 = the character's left, 90 = up."""
    angle = np.radians(np.linspace(start, end, steps))
    return np.stack([radius_x * np.cos(angle), -0.1 - radius_y * np.sin(angle)], axis=1)


@dataclass(frozen=True)
class Placement:
    """Head units to a square frame of side 1: turned by `tilt` (radians), scaled, moved to the centre (x, y).

    `turn` (-1..1) shifts the middle of the face sideways: a hint of a three-quarter view.
    """

    x: float
    y: float
    scale: float
    tilt: float
    turn: float

    def head(self, shape: Points) -> Points:
        """Frame coordinates of something fixed to the head."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        x = shape[:, 0] + 0.2 * self.turn * np.maximum(1 - shape[:, 0] ** 2, 0)
        y = shape[:, 1] - PIVOT
        right, down = cos * x - sin * y, sin * x + cos * y + PIVOT
        return np.stack([self.x + self.scale * right, self.y + self.scale * down], axis=1)

    def body(self, shape: Points) -> Points:
        """Frame coordinates of something fixed to the shoulders."""
        placed: Points = shape * self.scale + np.array([self.x, self.y])
        return placed
