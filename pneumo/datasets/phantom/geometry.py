"""Solids and how long each ray stays inside them.

Axes: `x` to the right of the picture (the patient's left) with 0 in the midline, `y` to the
feet with 0 at the top of the lungs, `z` from back to front along the parallel rays. Lengths
in cm.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, cos, sin

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class View:
    """A part of the plane onto which the rays project, cut into pixels.

    Attributes:
        height: rows.
        width: columns.
        resolution: pixels per cm.
        left: `x` of the left border, in cm.
        top: `y` of the upper border, in cm.
    """

    height: int
    width: int
    resolution: float
    left: float
    top: float

    @classmethod
    def around(cls, x: np.ndarray, y: np.ndarray, *, resolution: float) -> "View":
        """The smallest view that holds the given points and is symmetrical about the midline."""
        margin = 1 / resolution
        half_width = max(-float(x.min()), float(x.max())) + margin
        top = float(y.min()) - margin
        columns = ceil(half_width * resolution)
        return cls(
            height=ceil((float(y.max()) + margin - top) * resolution),
            width=2 * columns,
            resolution=resolution,
            left=-columns / resolution,
            top=top,
        )

    @cached_property
    def x(self) -> np.ndarray:
        """`x` of the pixel centres, in cm, float32, shape (1, width)."""
        columns = np.arange(self.width, dtype=np.float64)[None, :] + 0.5
        return (columns / self.resolution + self.left).astype(np.float32)

    @cached_property
    def y(self) -> np.ndarray:
        """`y` of the pixel centres, in cm, float32, shape (height, 1)."""
        rows = np.arange(self.height, dtype=np.float64)[:, None] + 0.5
        return (rows / self.resolution + self.top).astype(np.float32)

    def blank(self) -> np.ndarray:
        """Zeros, float32, shape (height, width)."""
        return np.zeros((self.height, self.width), np.float32)

    def scaled(self, factor: float) -> "View":
        """The same view with `factor` times as many pixels a side, rounded up."""
        return View(
            height=ceil(self.height * factor),
            width=ceil(self.width * factor),
            resolution=self.resolution * factor,
            left=self.left,
            top=self.top,
        )

    def refine(self, coarse: np.ndarray) -> np.ndarray:
        """A map of `self.scaled(0.5)`, interpolated to this view."""
        height, width = coarse.shape
        doubled = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        return doubled[: self.height, : self.width]

    def look_up(self, field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values of a map of this view at points in cm, interpolated; float32."""
        columns = (x - self.left) * self.resolution - 0.5
        rows = (y - self.top) * self.resolution - 0.5
        return cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """A solid ellipsoid, turned by `angle` (radians) about the direction of the rays.

    Attributes:
        centre: `x` and `y`, in cm.
        semi_axes: half lengths along its own first, second and the ray axis, in cm.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float, float]
    angle: float = 0.0

    def chord(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Length of each ray inside the solid, in cm: `2c·√(1 − u² − v²)`."""
        a, b, c = self.semi_axes
        cosine, sine = cos(self.angle), sin(self.angle)
        dx, dy = x - self.centre[0], y - self.centre[1]
        chord = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        near = np.ix_(abs(dy[:, 0]) < max(a, b), abs(dx[0]) < max(a, b))
        dx, dy = dx[:, near[1][0]], dy[near[0][:, 0]]
        u = dx * (cosine / a) + dy * (sine / a)
        v = dy * (cosine / b) - dx * (sine / b)
        chord[near] = 2 * c * np.sqrt(np.maximum(1 - u * u - v * v, 0))
        return chord


@dataclass(frozen=True, kw_only=True)
class Loft:
    """A stack of elliptical cross-sections: trunk, lungs, mediastinum. All in cm.

    Attributes:
        y: heights of the given cross-sections, increasing, shape (n,).
        left: `x` of the left end of each.
        right: `x` of the right end of each.
        half_depth: half its length along the rays.
    """

    y: np.ndarray
    left: np.ndarray
    right: np.ndarray
    half_depth: np.ndarray

    def chord(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Length of each ray inside the solid, in cm, for `x` (1, w) and `y` (h, 1)."""
        sections = np.stack([self.left, self.right, self.half_depth])
        left, right, half_depth = interpolate(y, self.y, sections)
        inside = (y >= self.y[0]) & (y <= self.y[-1])
        u = (x - (left + right) / 2) / np.maximum((right - left) / 2, 1e-3)
        return np.where(inside, 2 * half_depth, 0) * np.sqrt(np.maximum(1 - u * u, 0))


@dataclass(frozen=True, kw_only=True)
class Tubes:
    """Curved tubes of about one calibre: ribs, clavicles, vessels.

    Attributes:
        centrelines: in cm, shape (tubes, points, 3).
        radii: half extents of the elliptical cross-sections, first in the plane of the
            picture, then across, in cm, shape (tubes, points, 2).
        walls: thickness of thin walls, in cm, shape (tubes, points); None for solid tubes.
    """

    centrelines: np.ndarray
    radii: np.ndarray
    walls: np.ndarray | None = None


def interpolate(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Monotone cubic interpolation (Fritsch and Butland, 1984), constant outside.

    Args:
        at: where, any shape.
        knots: increasing, shape (n,).
        values: at the knots, shape (..., n).

    Returns: float32, shape (..., *at.shape).
    """
    # SciPy's PchipInterpolator does the same, but takes a third of a second to import.
    widths, rises = np.diff(knots), np.diff(values)
    steep = rises / widths
    before, after = steep[..., :-1], steep[..., 1:]
    same_way = before * after > 0
    harmonic = np.where(same_way, 2 * before * after / np.where(same_way, before + after, 1), 0)
    slopes = np.concatenate([steep[..., :1], harmonic, steep[..., -1:]], axis=-1)
    at = np.clip(at, knots[0], knots[-1])
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    t = (at - knots[i]) / widths[i]
    step, rise = widths[i], rises[..., i]
    start, end = slopes[..., i] * step - rise, rise - slopes[..., i + 1] * step
    curve = values[..., i] + t * (rise + (1 - t) * ((1 - t) * start + t * end))
    return curve.astype(np.float32)


def project_tubes(batches: Iterable[Tubes], view: View) -> np.ndarray:
    """Length of each ray inside the tubes, in cm, float32, shape (height, width).

    The volume of every tube is cut into small pieces, and each piece is shared among the four
    pixels around its shadow: volume over pixel area is chord length. Nothing is lost, so a
    rib that turns along the rays becomes as bright as it should.
    """
    # What falls outside gathers in a border, one pixel wide above and left, two below and right.
    height, width = view.height + 3, view.width + 3
    cells, volumes = [], []
    for tubes in batches:
        x, y, volume = _pieces(tubes, spacing=1.4 / view.resolution)
        column = np.clip((x - view.left) * view.resolution + 0.5, 0, view.width + 1)
        row = np.clip((y - view.top) * view.resolution + 0.5, 0, view.height + 1)
        first_column, first_row = column.astype(np.int32), row.astype(np.int32)
        right, down = column - first_column, row - first_row
        lower = volume * down
        upper = volume - lower
        upper_right, lower_right = upper * right, lower * right
        cell = (first_row * np.int32(width) + first_column).ravel()
        cells += [cell, cell + 1, cell + width, cell + width + 1]
        volumes += [upper - upper_right, upper_right, lower - lower_right, lower_right]
    volume = np.bincount(
        np.concatenate(cells, dtype=np.intp),
        weights=np.concatenate([part.ravel() for part in volumes], dtype=np.float64),
        minlength=height * width,
    )
    chord = volume.reshape(height, width)[1:-2, 1:-2] * view.resolution**2
    return chord.astype(np.float32)


def _pieces(tubes: Tubes, *, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts tubes into pieces about `spacing` cm apart.

    Returns: `x`, `y` (cm) and volume (cm³), float32, shape (pieces, cross-sections) each.
    """
    points = np.moveaxis(tubes.centrelines.astype(np.float32), 2, 0)
    radii = np.moveaxis(tubes.radii.astype(np.float32), 2, 0)
    spans = np.diff(points)
    lengths = np.maximum(np.sqrt((spans * spans).sum(axis=0)), np.float32(1e-6))
    last = points.shape[2] - 1

    # Cross-sections, as many in each tube as the longest one needs.
    count = max(ceil(float(lengths.sum(axis=1).max()) / spacing), last)
    at = (np.arange(count) + 0.5) * (last / count)
    i = at.astype(np.intp)
    t = (at - i).astype(np.float32)
    x, y = points[:2, :, i] + t * spans[:2, :, i]
    first, second = radii[..., i] + t * (radii[..., i + 1] - radii[..., i])

    # The axes of a cross-section: `across` is level, the other one stands on it and the tube.
    tx, ty, tz = spans / lengths
    level = np.sqrt(tx * tx + tz * tz)
    upright = level < 1e-4
    level[upright] = 1
    across_x, across_z = -tz / level, np.where(upright, 1, tx / level)
    up_x, up_y = -across_z * ty, across_z * tx - across_x * tz

    area = first * second
    if tubes.walls is not None:
        area = (first + second) * tubes.walls.astype(np.float32)[:, i]
    volume = np.float32(np.pi * last / count) * area * lengths[:, i]
    pieces = max(ceil(2.8 * float(radii[0].mean()) / spacing), 3)
    places, shares = _section(pieces, hollow=tubes.walls is not None)
    sideways = np.stack([x, first * up_x[:, i], second * across_x[:, i]])
    downwards = np.stack([y, first * up_y[:, i]])
    return (
        places @ sideways.reshape(3, -1),
        places[:, :2] @ downwards.reshape(2, -1),
        np.outer(shares, volume),
    )


@cache
def _section(pieces: int, *, hollow: bool) -> tuple[np.ndarray, np.ndarray]:
    """How one cross-section is cut into strips of even breadth.

    Returns: for each strip 1 and its place on the first and the second axis of a unit circle,
        shape (pieces, 3); its share of the cross-section, shape (pieces,). Both float32.
    """
    number = np.arange(pieces)
    edges = np.linspace(-1, 1, pieces + 1)
    first = (edges[1:] + edges[:-1]) / 2
    half = np.sqrt(1 - first**2)
    if hollow:
        second = np.where(number % 2, half, -half)
        shares = np.diff(np.arcsin(edges)) / np.pi
    else:
        second = half * (2 * ((number * 0.6180339887) % 1) - 1)  # steps of the golden section
        shares = half / half.sum()
    places = np.stack([np.ones(pieces), first, second], axis=1)
    return places.astype(np.float32), shares.astype(np.float32)


def noise(random: np.random.Generator, view: View, size: float) -> np.ndarray:
    """A smooth random field of about unit variance whose features measure about `size` cm."""
    step = max(size * view.resolution, 1.0)  # pixels from knot to knot
    rows, columns = int(view.height / step) + 2, int(view.width / step) + 2
    knots = 1.16 * random.standard_normal((rows, columns), dtype=np.float32)
    shape = (round(columns * step), round(rows * step))
    field = cv2.resize(knots, shape, interpolation=cv2.INTER_CUBIC)
    return field[: view.height, : view.width]
