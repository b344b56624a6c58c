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
        u = dx * (cosine / a) + dy * (sine / a)
        v = dy * (cosine / b) - dx * (sine / b)
        return 2 * c * np.sqrt(np.maximum(1 - u * u - v * v, 0))


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

    The volume of every tube is cut into small pieces, and each piece is given to the pixel
    that it shadows: volume over pixel area is chord length. Nothing is lost, so a rib that
    turns along the rays becomes as bright as it should. A blur of little more than half a
    pixel smooths the steps.
    """
    height, width = view.height + 2, view.width + 2  # a border collects what falls outside
    cells, volumes = [], []
    for tubes in batches:
        x, y, volume = _pieces(tubes, spacing=1 / view.resolution)
        column = (x - (view.left - 1 / view.resolution)) * view.resolution
        row = (y - (view.top - 1 / view.resolution)) * view.resolution
        cell = np.clip(row, 0, height - 1).astype(np.intp)
        cell *= width
        cell += np.clip(column, 0, width - 1).astype(np.intp)
        cells.append(cell.ravel())
        volumes.append(volume.ravel())
    volume = np.bincount(
        np.concatenate(cells), weights=np.concatenate(volumes), minlength=height * width
    )
    inside = volume.reshape(height, width)[1:-1, 1:-1].astype(np.float32)
    return cv2.GaussianBlur(inside * np.float32(view.resolution**2), (0, 0), 0.6)


def _pieces(tubes: Tubes, *, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts tubes into pieces about `spacing` cm apart.

    Returns: `x`, `y` (cm) and volume (cm³), float32, shape (cross-sections, pieces) each.
    """
    points = tubes.centrelines.astype(np.float32)
    radii = tubes.radii.astype(np.float32)
    spans = np.diff(points, axis=1)
    lengths = np.maximum(np.linalg.norm(spans, axis=2), np.float32(1e-6))
    number, last = len(points), points.shape[1] - 1

    # Cross-sections, as many in each tube as the longest one needs.
    count = max(ceil(float(lengths.sum(axis=1).max()) / spacing), last)
    at = (np.arange(count) + 0.5) * (last / count)
    i = at.astype(np.intp)
    t = (at - i).astype(np.float32)[:, None]
    x, y = np.moveaxis(points[:, i, :2] + t * spans[:, i, :2], 2, 0)
    first, second = np.moveaxis(radii[:, i] + t * (radii[:, i + 1] - radii[:, i]), 2, 0)
    advance = spans * np.float32(last / count)  # from one cross-section to the next

    # The axes of a cross-section: `across` is level, the other one stands on it and the tube.
    tx, ty, tz = np.moveaxis(spans / lengths[..., None], 2, 0)
    level = np.sqrt(tx * tx + tz * tz)
    upright = level < 1e-4
    level[upright] = 1
    across_x, across_z = -tz / level, np.where(upright, 1, tx / level)
    up_x, up_y = -across_z * ty, across_z * tx - across_x * tz

    shape = number * count
    from_centre = np.stack([x, first * up_x[:, i], second * across_x[:, i]], -1)
    downwards = np.stack([y, first * up_y[:, i]], -1)
    area = first * second if tubes.walls is None else (first + second) * tubes.walls[:, i]
    volume = np.pi * area * lengths[:, i] * (last / count)
    pieces = max(ceil(PIECES * float(radii[..., 0].mean()) / spacing), 3)
    places, shares = _section(pieces, hollow=tubes.walls is not None)
    # Shifted along the tube at random, the pieces form no pattern with the pixels.
    shift = np.resize(SHIFTS, (shape, pieces))
    return (
        from_centre.reshape(shape, 3) @ places + shift * advance[:, i, 0].reshape(shape, 1),
        downwards.reshape(shape, 2) @ places[:2] + shift * advance[:, i, 1].reshape(shape, 1),
        volume.reshape(shape, 1).astype(np.float32) * shares,
    )


PIECES=2.8
SHIFTS = np.random.default_rng(0).uniform(-0.5, 0.5, 2**18).astype(np.float32)


@cache
def _section(pieces: int, *, hollow: bool) -> tuple[np.ndarray, np.ndarray]:
    """How one cross-section is cut into strips of even breadth.

    Returns: for each strip 1 and its place on the first and the second axis of a unit circle,
        shape (3, pieces); its share of the cross-section, shape (pieces,).
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
    places = np.stack([np.ones(pieces), first, second])
    return places.astype(np.float32), shares.astype(np.float32)


def noise(random: np.random.Generator, view: View, size: float) -> np.ndarray:
    """A smooth random field of about unit variance whose features measure about `size` cm."""
    step = max(size * view.resolution, 1.0)  # pixels from knot to knot
    rows, columns = int(view.height / step) + 2, int(view.width / step) + 2
    knots = 1.16 * random.standard_normal((rows, columns), dtype=np.float32)
    shape = (round(columns * step), round(rows * step))
    field = cv2.resize(knots, shape, interpolation=cv2.INTER_CUBIC)
    return field[: view.height, : view.width]
