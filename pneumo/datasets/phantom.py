"""Synthetic chest radiographs of small children, computed from a physical phantom.

A patient is a set of solids, each with a linear attenuation coefficient. Parallel rays run
from back to front; what a ray leaves behind follows the law of Beer and Lambert,
`I = I0 · exp(-Σ µ·chord)`, and the acquisition chain adds what a real one adds: scatter,
blur, quantum noise and a film-like response. The picture is 8 bits deep, dense is bright.

Axes and units: lengths in cm, `x` to the right of the picture (the patient's left), `y` to
the feet with 0 at the top of the lungs, `z` from back to front. Attenuation in 1/cm. A solid
inside another counts by difference: a rib adds (µ of bone − µ of soft tissue) · chord.

Patient, technique and lesion are drawn from independent streams of random numbers. With one
seed, the normal, the bacterial and the viral film show the same child under the same
exposure: the lesion is all that differs, so nothing else can give the class away.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

Subtype = Literal["normal", "bacterial", "viral"]
SUBTYPES: tuple[Subtype, ...] = ("normal", "bacterial", "viral")

# Linear attenuation in 1/cm at 50 keV, about the mean energy behind a small child at 70 kVp:
# mass attenuation × density of ICRU-44 tissues, from Hubbell & Seltzer, NISTIR 5632 (1995).
SOFT_TISSUE = 0.2264 * 1.06
FAT = 0.2123 * 0.95
LUNG = 0.2270 * 0.26  # inflated
CORTICAL_BONE = 0.4242 * 1.92
SPONGY_BONE = 0.2900 * 1.15
AIR = 0.0003

RIGHT, LEFT = -1, 1  # sides of the patient, as signs of x


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """One synthetic radiograph.

    Attributes:
        pixels: uint8, shape (height, width), dense is bright.
        lesion: bool, shape (height, width): where the pneumonia adds opacity; all False
            when normal.
    """

    pixels: np.ndarray
    lesion: np.ndarray


# --- Solids and their projections --------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class View:
    """The plane onto which the rays project.

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

    def coarse(self) -> "View":
        """The same plane at half the resolution."""
        return View(
            height=(self.height + 1) // 2,
            width=(self.width + 1) // 2,
            resolution=self.resolution / 2,
            left=self.left,
            top=self.top,
        )

    def refine(self, coarse: np.ndarray) -> np.ndarray:
        """A map of the coarse plane, interpolated to this one."""
        height, width = coarse.shape
        doubled = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        return doubled[: self.height, : self.width]


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
        cosine, sine = float(np.cos(self.angle)), float(np.sin(self.angle))
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
        left = interpolate(y, self.y, self.left)
        right = interpolate(y, self.y, self.right)
        half_depth = interpolate(y, self.y, self.half_depth)
        inside = (y >= self.y[0]) & (y <= self.y[-1])
        u = (x - (left + right) / 2) / np.maximum((right - left) / 2, 1e-3)
        return np.where(inside, 2 * half_depth, 0) * np.sqrt(np.maximum(1 - u * u, 0))


@dataclass(frozen=True, kw_only=True)
class Tubes:
    """Curved tubes with elliptical cross-sections: ribs, clavicles, bronchi, vessels.

    Attributes:
        centrelines: in cm, shape (tubes, points, 3).
        radii: half extents towards the feet and across, in cm, shape (tubes, points, 2).
        walls: thickness of the walls, in cm, shape (tubes, points); 0 for solid tubes.
    """

    centrelines: np.ndarray
    radii: np.ndarray
    walls: np.ndarray


POINTS = 48  # along the centreline of a bone


def _together(first: Tubes, second: Tubes) -> Tubes:
    return Tubes(
        centrelines=np.concatenate([first.centrelines, second.centrelines]),
        radii=np.concatenate([first.radii, second.radii]),
        walls=np.concatenate([first.walls, second.walls]),
    )


def interpolate(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Monotone cubic interpolation (Fritsch and Butland, 1984), constant outside; float32."""
    steep = np.diff(values) / np.diff(knots)
    same_way = steep[:-1] * steep[1:] > 0
    harmonic = 2 * steep[:-1] * steep[1:] / np.where(same_way, steep[:-1] + steep[1:], 1)
    slopes = np.concatenate([steep[:1], np.where(same_way, harmonic, 0), steep[-1:]])
    at = np.clip(at, knots[0], knots[-1])
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    step, rise = np.diff(knots)[i], np.diff(values)[i]
    t = (at - knots[i]) / step
    start, end = slopes[i] * step - rise, rise - slopes[i + 1] * step
    return (values[i] + t * (rise + (1 - t) * ((1 - t) * start + t * end))).astype(np.float32)


def project_tubes(tubes: Tubes, view: View) -> np.ndarray:
    """Length of each ray inside the tubes, in cm, float32, shape (height, width).

    The volume of every tube is cut into small pieces, and each piece is shared among the four
    pixels around its shadow: volume over pixel area is chord length. Nothing is lost, so a
    rib that turns along the rays becomes as bright as it should.
    """
    x, y, volume = _pieces(tubes, step=1.5 / view.resolution)
    column = (x - view.left) * view.resolution - 0.5
    row = (y - view.top) * view.resolution - 0.5
    inside = (column > 0) & (column < view.width - 1.01) & (row > 0) & (row < view.height - 1.01)
    column, row, volume = column[inside], row[inside], volume[inside]
    first_column, first_row = column.astype(np.intp), row.astype(np.intp)
    right, down = column - first_column, row - first_row
    corner = first_row * view.width + first_column
    lower = volume * down
    upper = volume - lower
    chord = np.bincount(
        np.concatenate([corner, corner + 1, corner + view.width, corner + view.width + 1]),
        weights=np.concatenate(
            [upper - upper * right, upper * right, lower - lower * right, lower * right]
        ),
        minlength=view.height * view.width,
    )
    return (chord * view.resolution**2).reshape(view.height, view.width).astype(np.float32)


TURNS = np.arange(4096) * np.pi * (3 - np.sqrt(5))  # steps of the golden angle
COSINES, SINES = np.cos(TURNS).astype(np.float32), np.sin(TURNS).astype(np.float32)


def _pieces(tubes: Tubes, *, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`x`, `y` (cm) and volume (cm³) of the pieces of tubes, one round of them every `step` cm.

    The points of a round follow the golden angle: on the wall of a hollow tube, or over the
    disc of a solid one, each with the same share of the cross-section.
    """
    number = tubes.centrelines.shape[1]
    points = tubes.centrelines.reshape(-1, 3).astype(np.float32)
    radii = tubes.radii.reshape(-1, 2).astype(np.float32)
    walls = tubes.walls.reshape(-1).astype(np.float32)
    # The tubes are laid end to end; the jump from one to the next has no length.
    spans = np.diff(points, axis=0)
    spans[number - 1 :: number] = 0
    lengths = np.linalg.norm(spans, axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths, dtype=np.float64)])
    s = np.arange(step / 2, along[-1], step)
    i = np.searchsorted(along, s, side="right") - 1
    t = ((s - along[i]) / lengths[i]).astype(np.float32)[:, None]
    centre = points[i, :2] + t * spans[i, :2]
    radius = radii[i] + t * (radii[i + 1] - radii[i])
    wall = walls[i]

    tx, ty, tz = (spans[i] / lengths[i][:, None]).T
    norm = np.sqrt(tx * tx + tz * tz)
    upright = norm < 1e-5
    norm[upright] = 1
    across_x, across_z = -tz / norm, np.where(upright, 1, tx / norm)
    first_x, first_y = -across_z * ty * radius[:, 0], across_z * tx - across_x * tz
    first_y *= radius[:, 0]
    second_x = across_x * radius[:, 1]

    hollow = wall > 0
    widest = radius.max(axis=1) / np.float32(step)
    counts = np.where(hollow, 6 + widest * (1.5 + 0.4 * widest), np.maximum(2 * widest * widest, 3))
    counts = counts.astype(np.intp)
    of = np.repeat(np.arange(len(s)), counts)
    place = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    reach = np.sqrt(np.where(hollow[of], 1, (place + 0.5) / counts[of])).astype(np.float32)
    # One long spiral keeps the points of neighbouring rounds from lining up.
    turn = np.arange(len(of)) % len(TURNS)
    first, second = reach * COSINES[turn], reach * SINES[turn]
    section = np.where(hollow, radius.sum(axis=1) * wall, radius[:, 0] * radius[:, 1])
    volume = np.float32(np.pi * step) * section / counts
    return (
        centre[of, 0] + first * first_x[of] + second * second_x[of],
        centre[of, 1] + first * first_y[of],
        volume[of],
    )


def noise(random: np.random.Generator, view: View, size: float) -> np.ndarray:
    """A smooth random field of about unit variance whose features measure about `size` cm."""
    step = max(size * view.resolution, 1.0)  # pixels from knot to knot
    rows, columns = int(view.height / step) + 2, int(view.width / step) + 2
    knots = random.standard_normal((rows, columns), dtype=np.float32)
    shape = (round(columns * step), round(rows * step))
    field = cv2.resize(knots, shape, interpolation=cv2.INTER_CUBIC)
    return 1.16 * field[: view.height, : view.width]


# --- The patient -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What differs between children. Lengths in cm for a chest of reference breadth.

    Attributes:
        scale: size of the child relative to the reference, whose lungs are 16.6 cm broad.
        lung_height: from the top of the lungs to the right dome of the diaphragm.
        taper: breadth of the top of the chest relative to the reference.
        wall: thickness of soft tissue beside the ribs.
        depth: depth of the chest relative to the reference.
        dome_height: from the dome to the costophrenic angle.
        left_dome: how much lower the left dome stands.
        heart: size of the heart relative to the reference.
        heart_tilt: of its long axis from the vertical, in radians.
        heart_shift: of its centre to the patient's left.
        thymus: how far the upper mediastinum bulges to either side (right, left).
        knuckle: radius of the aortic arch.
        rib_fall: how far the ribs fall from back to front, relative to the reference.
        rib_radius: half height of a rib.
        mineral: content of bone relative to an adult's.
        vessels: calibre of the lung vessels relative to the reference.
        shoulder: height of the shoulders above the lungs.
        arm_angle: from hanging (0) to raised (π), in radians.
        stomach: radius of the stomach bubble; 0 for none.
        texture: seed of branching vessels and small irregularities.
    """

    scale: float
    lung_height: float
    taper: float
    wall: float
    depth: float
    dome_height: float
    left_dome: float
    heart: float
    heart_tilt: float
    heart_shift: float
    thymus: tuple[float, float]
    knuckle: float
    rib_fall: float
    rib_radius: float
    mineral: float
    vessels: float
    shoulder: float
    arm_angle: float
    stomach: float
    texture: int

    @property
    def carina(self) -> float:
        """`y` of the fork of the trachea."""
        return 0.33 * self.lung_height

    @property
    def vertebra(self) -> float:
        """Distance from one vertebra, and one rib, to the next."""
        return (self.lung_height + 1.0) / 10


def draw_anatomy(random: np.random.Generator) -> Anatomy:
    """A child, drawn at random."""
    return Anatomy(
        scale=random.uniform(0.85, 1.2),
        lung_height=random.uniform(9.6, 13.5),
        taper=random.uniform(0.88, 1.08),
        wall=random.uniform(0.7, 1.5),
        depth=random.uniform(0.9, 1.1),
        dome_height=random.uniform(2.0, 3.6),
        left_dome=random.uniform(-0.2, 0.8),
        heart=random.uniform(0.84, 1.1),
        heart_tilt=random.uniform(0.55, 0.95),
        heart_shift=random.uniform(0.7, 1.7),
        thymus=(random.uniform(0, 0.6), random.uniform(0, 0.8)),
        knuckle=random.uniform(0.5, 0.85),
        rib_fall=random.uniform(0.7, 1.25),
        rib_radius=random.uniform(0.29, 0.36),
        mineral=random.uniform(0.7, 0.88),
        vessels=random.uniform(0.75, 1.1),
        shoulder=random.uniform(0.6, 2.0),
        arm_angle=random.choice([random.uniform(0.15, 0.6), random.uniform(1.2, 2.5)]),
        stomach=random.choice([0.0, random.uniform(0.8, 2.2)], p=[0.3, 0.7]),
        texture=int(random.integers(2**31)),
    )


def lung(anatomy: Anatomy, side: int) -> Loft:
    """The space of one lung down to the costophrenic angle; the diaphragm cuts it."""
    height = anatomy.lung_height + anatomy.dome_height + 0.6
    share = np.array([0.0, 0.012, 0.04, 0.09, 0.18, 0.32, 0.5, 0.7, 0.87, 1.0])
    lateral = np.array([3.1, 3.75, 4.4, 5.1, 6.05, 7.05, 7.85, 8.2, 8.3, 8.25])
    lateral[:6] *= anatomy.taper
    medial = np.array([2.9, 2.2, 1.65, 1.25, 0.85, 0.6, 0.5, 0.5, 0.6, 0.8])
    depth = np.array([0.2, 1.3, 2.1, 2.9, 3.7, 4.5, 5.0, 5.2, 5.2, 5.0]) * anatomy.depth
    left, right = (-lateral, -medial) if side == RIGHT else (medial, lateral)
    return Loft(y=share * height, left=left, right=right, half_depth=depth)


def trunk(anatomy: Anatomy, *, under_skin: float = 0.0) -> Loft:
    """Neck, shoulders, chest and abdomen, down to `under_skin` cm below the surface."""
    top, wall = anatomy.shoulder, anatomy.wall
    y = np.array([-14, -top - 3.2, -top - 1.2, -top, -top + 1.6, 3.0, 6.0, 10.0, 14.0, 30.0])
    half = np.array([3.1, 2.9, 4.0, 7.0, 8.5, 8.6, 8.35, 8.3, 8.25, 8.1]) - under_skin
    half += wall * np.array([0.3, 0.3, 0.4, 0.7, 1.1, 1.25, 1.0, 1.0, 1.0, 1.0])
    depth = np.array([3.2, 3.1, 3.4, 4.0, 4.7, 5.8, 6.5, 6.7, 6.6, 6.4]) * anatomy.depth
    return Loft(y=y, left=-half, right=half, half_depth=depth - under_skin)


def mediastinum(anatomy: Anatomy) -> Loft:
    """Great vessels, thymus, oesophagus and the tissue before and beside the spine."""
    right, left = anatomy.thymus
    y = np.array([-14.0, -1.0, 0.4, 0.6 * anatomy.carina, anatomy.carina + 0.8, 9.0, 13.0, 40.0])
    bulge = np.array([0.0, 0.2, 0.7, 1.0, 0.7, 0.35, 0.1, 0.0])
    half = np.array([2.2, 1.9, 1.5, 1.25, 1.3, 1.15, 1.1, 1.1])
    depth = np.array([2.0, 2.2, 2.6, 3.0, 3.0, 2.8, 2.6, 2.6]) * anatomy.depth
    return Loft(y=y, left=-half - right * bulge, right=half + 0.1 + left * bulge, half_depth=depth)


def heart(anatomy: Anatomy) -> list[Ellipsoid]:
    """Ventricles, right atrium, pulmonary trunk and aortic knuckle, overlapping."""
    size, shift, carina = anatomy.heart, anatomy.heart_shift, anatomy.carina
    base = anatomy.lung_height + 0.3
    length = size * (3.3 + 0.1 * anatomy.lung_height)
    ventricles = Ellipsoid(
        centre=(shift + 0.5, base + 0.5 - length * np.cos(anatomy.heart_tilt)),
        semi_axes=(length, 2.65 * size, 3.4 * size),
        angle=np.pi / 2 - anatomy.heart_tilt,
    )
    atrium = Ellipsoid(
        centre=(0.3 * shift - 0.55, base - 2.5 * size),
        semi_axes=(2.5 * size, 2.9 * size, 2.9 * size),
    )
    trunk_of_lungs = Ellipsoid(centre=(1.3, carina + 1.3), semi_axes=(1.35 * size, 1.9 * size, 2.0))
    arch = 1.3 * anatomy.knuckle
    knuckle = Ellipsoid(
        centre=(1.15 + 0.35 * anatomy.knuckle, carina - 0.9), semi_axes=(arch, arch, 1.8)
    )
    return [ventricles, atrium, trunk_of_lungs, knuckle]


def ribs(anatomy: Anatomy) -> Tubes:
    """Twenty-four ribs, from the vertebrae round the lungs to where cartilage begins."""
    random = np.random.default_rng([anatomy.texture, 1])
    lungs = lung(anatomy, LEFT)
    number = np.arange(12)
    start = 0.15 + anatomy.vertebra * number + random.normal(0, 0.04, 12)
    fall = anatomy.rib_fall * np.minimum(2.6 + 0.55 * number, 5.6)
    last = np.radians([118, 128, 136, 142, 146, 148, 146, 142, 134, 122, 100, 80])
    reach = interpolate(start + fall / 2, lungs.y, lungs.right) + 0.12

    forward = np.linspace(0, 1, POINTS)  # from back to front
    turn = np.radians(9) + forward * (last[:, None] - np.radians(9))  # about the long axis
    x = reach[:, None] * np.sin(turn) + 0.1
    y = start[:, None] + fall[:, None] * (1 - np.cos(turn)) / 2
    y -= 0.35 * np.sin(2 * turn) * np.cos(turn)
    z = -5.5 * np.cos(turn)
    sides = np.repeat([RIGHT, LEFT], 12)[:, None]
    wobble = random.normal(0, 0.05, (24, 1)) * np.sin(2 * np.tile(turn, (2, 1)))
    centrelines = np.stack(
        [sides * np.tile(x, (2, 1)), np.tile(y, (2, 1)) + wobble, np.tile(z, (2, 1))], axis=2
    )
    high = anatomy.rib_radius * (0.85 + 0.3 * forward)
    return Tubes(
        centrelines=centrelines,
        radii=np.tile(np.stack([high, 0.55 * high], axis=1), (24, 1, 1)),
        walls=np.tile(0.13 - 0.085 * forward, (24, 1)),
    )


def _drawn(paths: list[tuple[list[tuple[float, float, float]], float]]) -> Tubes:
    """Tubes along smooth lines on both sides of the body.

    Each path is a list of (x, y, radius) for the left side, in cm, and a wall thickness.
    """
    at = np.linspace(0, 1, POINTS)
    rounded = np.sqrt(1.02 - (2 * at - 1) ** 16)  # blunt ends
    centrelines, radii, walls = [], [], []
    for points, wall in paths:
        knots = np.linspace(0, 1, len(points))
        x, y, radius = (interpolate(at, knots, np.array(v)) for v in zip(*points, strict=True))
        for side in (RIGHT, LEFT):
            centrelines.append(np.stack([side * x, y, np.zeros_like(x)], axis=1))
            radii.append(np.stack([rounded * radius, rounded * radius], axis=1))
            walls.append(np.full(len(at), wall))
    return Tubes(centrelines=np.stack(centrelines), radii=np.stack(radii), walls=np.stack(walls))


def shoulder_girdle(anatomy: Anatomy) -> Tubes:
    """Clavicles, borders of the scapulae and upper arms, as tubes of cortical bone."""
    top, out = anatomy.shoulder, np.sin(anatomy.arm_angle)
    head = _shoulder_joint(anatomy)
    elbow_x, elbow_y = head[0] + 11 * out, head[1] + 11 * np.cos(anatomy.arm_angle)

    def arm(t: float, radius: float) -> tuple[float, float, float]:
        return head[0] + t * (elbow_x - head[0]), head[1] + t * (elbow_y - head[1]), radius

    socket = (head[0] - 0.9, head[1] + 0.1)
    tip = (7.3 + 0.9 * out, 6.3)
    inner = (5.8 + out, 0.6 - 0.3 * top)
    return _drawn(
        [
            (
                [
                    (1.1, 1.0, 0.4),
                    (2.6, 0.75, 0.31),
                    (4.6, -0.1 * top, 0.26),
                    (6.2, -0.6 * top, 0.29),
                    (7.6, 0.35 - 0.75 * top, 0.35),
                ],
                0.13,
            ),
            ([(*socket, 0.42), (socket[0] - 0.2, 3.4, 0.2), (*tip, 0.2)], 0.1),
            ([(*inner, 0.12), (inner[0] + 0.15, 3.4, 0.1), (*tip, 0.2)], 0.07),
            ([(*inner, 0.12), (7.2, 0.3 - 0.4 * top, 0.2), (8.8, head[1] - 1.1, 0.3)], 0.09),
            (
                [
                    arm(-0.06, 0.1),
                    arm(-0.04, 0.55),
                    arm(0.0, 0.85),
                    arm(0.04, 0.85),
                    arm(0.06, 0.6),
                ],
                0.09,
            ),
            (
                [arm(0.075, 0.8), arm(0.14, 0.65), arm(0.25, 0.52), arm(0.5, 0.48), arm(1.0, 0.48)],
                0.15,
            ),
        ]
    )


def _shoulder_joint(anatomy: Anatomy) -> tuple[float, float]:
    return 9.0, 0.7 - 0.45 * anatomy.shoulder


def airways(anatomy: Anatomy) -> list[Ellipsoid | Loft]:
    """Trachea and main bronchi."""
    carina = anatomy.carina
    middle = np.array([0.1, 0.0, -0.1, -0.25, -0.3])
    half = np.array([0.5, 0.5, 0.5, 0.5, 0.42])
    trachea = Loft(
        y=np.array([-14.0, -4.0, 0.0, carina - 0.6, carina + 0.1]),
        left=middle - half,
        right=middle + half,
        half_depth=half,
    )
    right = Ellipsoid(centre=(-1.2, carina + 0.85), semi_axes=(1.35, 0.36, 0.36), angle=2.35)
    left = Ellipsoid(centre=(0.85, carina + 0.75), semi_axes=(1.6, 0.33, 0.33), angle=0.62)
    return [trachea, right, left]


def vessels(anatomy: Anatomy) -> Tubes:
    """Vessels that fan out from both hila, fork and taper; bronchi follow the same paths."""
    random = np.random.default_rng([anatomy.texture, 2])
    fan = np.radians([-72, -55, -38, -20, -3, 13, 28, 42, 55, 67, 79])  # below the horizontal
    side = np.repeat([RIGHT, LEFT], len(fan))
    heading = np.tile(fan, 2) + random.normal(0, 0.1, len(side))
    start = np.stack(
        [np.where(side == LEFT, 2.2, 1.9), anatomy.carina + np.where(side == LEFT, 0.9, 1.5)],
        axis=1,
    ) + random.normal(0, 0.3, (len(side), 2))
    radius = anatomy.vessels * np.where(heading > 0.4, 0.3, 0.23)
    radius *= random.uniform(0.75, 1.2, len(side))
    length = np.full(len(side), 2.4)

    centrelines, radii = [], []
    at = np.linspace(0, 1, 6)
    for _ in range(5):
        length = length * random.uniform(0.7, 1.3, len(side))
        bend = heading[:, None] + random.normal(0, 0.3, (len(side), 1)) * at
        steps = np.stack([np.cos(bend), np.sin(bend)], axis=2) * length[:, None, None] / 6
        steps[:, 0] = 0
        line = start[:, None] + np.cumsum(steps, axis=1)
        centrelines.append(
            np.stack([side[:, None] * line[..., 0], line[..., 1], np.zeros(bend.shape)], axis=2)
        )
        tapered = radius[:, None] * (1 - 0.35 * at)
        radii.append(np.stack([tapered, tapered], axis=2))
        # Each forks in two; Murray's law would give 0.79 of the calibre, less what goes deep.
        turn = random.uniform(0.12, 0.5, len(side))
        heading = np.concatenate([bend[:, -1] - turn, bend[:, -1] + turn])
        start, side = np.tile(line[:, -1], (2, 1)), np.tile(side, 2)
        radius = 0.65 * np.tile(radius, 2) * random.uniform(0.8, 1.1, len(side))
        length = 0.8 * np.tile(length, 2)
    centreline = np.concatenate(centrelines)
    return Tubes(
        centrelines=centreline,
        radii=np.concatenate(radii),
        walls=np.zeros(centreline.shape[:2]),
    )


# --- Projection of the whole patient ------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SoftTissue:
    """Coarse maps of one patient, float32: soft tissue has no detail finer than their grid.

    Attributes:
        line_integral: Σ µ·chord along each ray without bones and lung vessels, no unit.
        lungs: length of each ray in the right and in the left lung, in cm.
    """

    line_integral: np.ndarray
    lungs: tuple[np.ndarray, np.ndarray]

    @property
    def air(self) -> np.ndarray:
        """Length of each ray in either lung, in cm."""
        return self.lungs[0] + self.lungs[1]


def project_soft_tissue(anatomy: Anatomy, view: View) -> SoftTissue:
    """Trunk, arms, lungs, heart, airways and stomach of a healthy child."""
    x, y = view.x, view.y
    surface = _union(trunk(anatomy).chord(x, y), _arms(anatomy, view, radius=2.1))
    muscle = _union(trunk(anatomy, under_skin=0.35).chord(x, y), _arms(anatomy, view, radius=1.7))
    total = FAT * surface + (SOFT_TISSUE - FAT) * muscle
    chin = Ellipsoid(centre=(0, -9.0), semi_axes=(4.6, 5.2, 4.0))
    total += 0.5 * SOFT_TISSUE * chin.chord(x, y)

    middle = mediastinum(anatomy).chord(x, y)
    solid = np.maximum.reduce([part.chord(x, y) for part in heart(anatomy)]) ** 2 + middle**2
    lungs = []
    for side in (RIGHT, LEFT):
        space = np.minimum(lung(anatomy, side).chord(x, y), np.maximum(surface - 2.4, 0))
        abdomen = _under_diaphragm(anatomy, view, side)
        lungs.append(np.maximum(space - np.sqrt(solid + abdomen * abdomen), 0))
    random = np.random.default_rng([anatomy.texture, 3])
    uneven = 1 + 0.015 * noise(random, view, 0.2) + 0.035 * noise(random, view, 1.2)
    total -= (SOFT_TISSUE - LUNG) * (lungs[0] + lungs[1]) * uneven

    gas = np.maximum.reduce([part.chord(x, y) for part in airways(anatomy)])
    gas += _stomach(anatomy, view)
    total -= (SOFT_TISSUE - AIR) * gas
    return SoftTissue(line_integral=total, lungs=(lungs[0], lungs[1]))


def _union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Chord of two bodies that merge: the larger one, rounded where they meet."""
    first, second = first * first, second * second
    return np.sqrt(np.sqrt(first * first + second * second))


def _under_diaphragm(anatomy: Anatomy, view: View, side: int) -> np.ndarray:
    """Length of each ray under a dome, in cm: the dome is a paraboloid, highest mid-way.

    A ray `d` cm below the crest passes `2·√(d/k)` cm of abdomen between front and back.
    """
    top = anatomy.lung_height + (anatomy.left_dome if side == LEFT else 0)
    sideways = (view.x - 3.6 * side) / 4.7
    fall = np.where(sideways * side > 0, anatomy.dome_height, 0.5).astype(np.float32)
    below = view.y - top - fall * sideways * sideways
    return 2 * np.sqrt(np.maximum(below, 0) / 0.12)


def _arms(anatomy: Anatomy, view: View, *, radius: float) -> np.ndarray:
    """Length of each ray in the upper arms, tapering capsules, in cm."""
    chord = view.blank()
    for side in (RIGHT, LEFT):
        joint_x, joint_y = _shoulder_joint(anatomy)
        ux, uy = side * float(np.sin(anatomy.arm_angle)), float(np.cos(anatomy.arm_angle))
        dx, dy = view.x - side * (joint_x - 0.4), view.y - (joint_y + 0.3)
        along = np.clip(dx * ux + dy * uy, 0, 12)
        off = (dx - along * ux) ** 2 + (dy - along * uy) ** 2
        chord = np.maximum(chord, (radius - 0.04 * along) ** 2 - off)
    return 2 * np.sqrt(chord)


def _stomach(anatomy: Anatomy, view: View) -> np.ndarray:
    """Length of each ray in the gas bubble under the left dome, in cm."""
    radius = anatomy.stomach
    if radius == 0:
        return view.blank()
    bubble = Ellipsoid(
        centre=(3.8, anatomy.lung_height + anatomy.left_dome + 0.6 + 0.8 * radius),
        semi_axes=(1.35 * radius, 0.75 * radius, 0.8 * radius),
        angle=0.2,
    )
    return bubble.chord(view.x, view.y)


def project_bones(anatomy: Anatomy, view: View) -> np.ndarray:
    """Σ (µ bone − µ soft tissue)·chord of ribs, shoulder girdle and spine, no unit."""
    chord = project_tubes(_together(ribs(anatomy), shoulder_girdle(anatomy)), view)
    near = np.flatnonzero(np.abs(view.x[0]) < 2.2)
    spongy = np.zeros((view.height, len(near)), np.float32)
    if len(near):
        spongy, cortical = _spine(anatomy, view.x[:, near], view.y)
        chord[:, near] += cortical
    total = anatomy.mineral * (CORTICAL_BONE - SOFT_TISSUE) * chord
    total[:, near] += (SPONGY_BONE - SOFT_TISSUE) * spongy
    return total


def _spine(anatomy: Anatomy, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length of each ray in spongy and in cortical bone of the spine, in cm."""
    phase = (y - 0.1) / anatomy.vertebra
    v = (phase - np.round(phase)) * 2  # −1 … 1 from the middle of one disc to the next
    u = x / 0.98  # −1 … 1 across a vertebral body
    beside = np.abs(u)
    body = np.sqrt(np.maximum(1 - u**4, 0)) * np.sqrt(np.maximum(1 - (v / 0.84) ** 8, 0))
    plates = np.exp(-(((np.abs(v) - 0.76) / 0.08) ** 2)) * (beside < 0.96)
    rims = np.exp(-(((beside - 0.93) / 0.07) ** 2)) * (np.abs(v) < 0.75)
    ring = np.hypot((beside - 0.62) / 0.2, (v + 0.15) / 0.38) - 1
    pedicles = np.exp(-np.square(ring / 0.35))
    process = np.exp(-((u / 0.15) ** 2)) * np.exp(-(((v - 0.5) / 0.3) ** 4))
    transverse = np.exp(-(((v + 0.1) / 0.28) ** 4)) * np.exp(-(((beside - 1.2) / 0.38) ** 4))
    cortical = 0.18 * plates + 0.1 * rims + 0.2 * pedicles + 0.28 * process + 0.2 * transverse
    return 1.4 * body, (cortical + 0.05 * body).astype(np.float32)


# --- The lesion ---------------------------------------------------------------------------


def infiltrate(
    subtype: Subtype, anatomy: Anatomy, healthy: SoftTissue, view: View, seed: list[int]
) -> np.ndarray:
    """Σ µ·chord that pneumonia adds, float32, coarse; zeros when normal.

    Never more than lungs quite full of fluid would add.
    """
    random = np.random.default_rng(seed)
    added = view.blank()
    if subtype == "bacterial":
        # The airways around a consolidated lobe are inflamed too.
        accompanying = random.uniform(0.15, 0.7)
        added += consolidation(anatomy, healthy, view, random)
        added += accompanying * interstitial_pattern(anatomy, healthy, view, random)
    elif subtype == "viral":
        added += interstitial_pattern(anatomy, healthy, view, random)
    return np.minimum(added, (SOFT_TISSUE - LUNG) * healthy.air)


@dataclass(frozen=True, kw_only=True)
class Lobe:
    """Where a lobe lies on the film.

    Attributes:
        reach: of its centre from the midline, in cm.
        height: of its centre, in shares of the height of the lung.
        share: of the depth of the chest that it takes.
        beyond_fissure: −1 if it ends below at the horizontal fissure, 1 if above, else 0.
    """

    reach: float
    height: float
    share: float
    beyond_fissure: int


LOBES = (
    Lobe(reach=4.2, height=0.25, share=0.85, beyond_fissure=-1),  # upper
    Lobe(reach=3.4, height=0.68, share=0.75, beyond_fissure=1),  # middle, or lingula
    Lobe(reach=4.4, height=0.78, share=0.9, beyond_fissure=0),  # lower
)


def consolidation(
    anatomy: Anatomy, healthy: SoftTissue, view: View, random: np.random.Generator
) -> np.ndarray:
    """Lobar pneumonia: air spaces filled with fluid, bronchi left open, borders blurred."""
    tree = vessels(anatomy)
    wide = tree.radii[:, 0, 0] > 0.08
    bronchi = project_tubes(
        Tubes(
            centrelines=tree.centrelines[wide],
            radii=0.75 * tree.radii[wide],
            walls=tree.walls[wide],
        ),
        view,
    )
    strength = random.uniform(0.6, 1.15)
    filled = view.blank()
    for focus in range(random.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.3, 0.2])):
        side = int(random.choice([RIGHT, LEFT]))
        lobe = LOBES[random.choice(3, p=[0.25, 0.3, 0.45])]
        lesser = 1.0 if focus == 0 else random.uniform(0.5, 1.0)
        size = random.uniform(3.0, 6.0) * lesser
        dx = (view.x - side * (lobe.reach + random.normal(0, 0.8))) / size
        dy = (view.y - anatomy.lung_height * (lobe.height + random.normal(0, 0.05))) / size
        edge = dx * dx + dy * dy * random.uniform(0.8, 1.6)
        edge += 0.4 * noise(random, view, 2.4) + 0.1 * noise(random, view, 0.9)
        fill = _sigmoid((1 - edge) * random.uniform(1.2, 3.5))
        fissure = 0.47 * anatomy.lung_height + 0.08 * side * view.x
        if lobe.beyond_fissure:
            fill *= _sigmoid(5 * lobe.beyond_fissure * (view.y - fissure))
        fill *= strength * lesser * (healthy.lungs[side == LEFT] > 0)
        depth = lobe.share * min(1, 0.4 * size)
        filled = filled + (1 - filled) * depth * fill
    fluid = filled * healthy.air * (1 + 0.08 * noise(random, view, 1.1))
    open_bronchi = np.minimum(filled * bronchi, 0.25 * fluid)
    return np.maximum((SOFT_TISSUE - LUNG) * (fluid - open_bronchi), 0).astype(np.float32)


def interstitial_pattern(
    anatomy: Anatomy, healthy: SoftTissue, view: View, random: np.random.Generator
) -> np.ndarray:
    """Viral pneumonia: haze, thickened bronchial walls and a net of lines about both hila."""
    strength = random.uniform(0.6, 1.7)
    near = view.blank()
    for side in (RIGHT, LEFT):
        dx = (view.x - side * 3.0) / random.uniform(3.2, 6.0)
        dy = (view.y - anatomy.carina - random.uniform(1.5, 5.0)) / random.uniform(4.0, 7.0)
        near += random.uniform(0.6, 1.0) * np.exp(-(dx * dx + dy * dy))
    tree = vessels(anatomy)
    sleeves = replace(tree, radii=1.25 * tree.radii, walls=np.full(tree.walls.shape, 0.07))
    cuffs = project_tubes(sleeves, view)
    patches = np.clip(0.85 + 0.3 * noise(random, view, 1.6), 0, 2)
    net = np.abs(noise(random, view, 0.22)) + np.abs(noise(random, view, 0.4))
    haze = healthy.air * patches * (0.55 + 0.08 * np.maximum(1.0 - 0.9 * net, -0.3))
    thickened = 0.6 * np.minimum(cuffs, 0.5) * np.minimum(healthy.air / 2, 1)
    return np.maximum(strength * (SOFT_TISSUE - LUNG) * near * (haze + thickened), 0)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


# --- Acquisition --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Technique:
    """How a film was taken; drawn without knowledge of what it shows.

    Attributes:
        breath: lung height relative to the patient's full breath.
        field_width: width of the field, in cm for a child of scale 1.
        above: from the upper border to the top of the lungs, in cm.
        below: from the dome of the diaphragm to the lower border, in cm.
        shift: of the patient from the middle of the field, in cm.
        tilt: of the patient in the plane of the film, in degrees.
        quanta: detected per pixel in the open beam, at 512 rows.
        scatter: scattered over primary radiation behind the patient.
        blur: standard deviation of focal spot and detector, in pixels at 512 rows.
        evening: how much of large bright and dark areas is taken out, 0 to 1.
        sharpening: how much of fine detail is added, 0 for none.
        gamma: exponent of the response curve.
        black: line integral below which the film is black, as a share of the largest.
        white: grey level of the densest parts, 0 to 1.
        shutters: collimation seen at left, right and below, in cm; none where negative.
        letter_at: side letter, from the upper left corner, in shares of width and height.
        letter_size: height of the letter, as a share of the film's height; 0 for none.
    """

    breath: float
    field_width: float
    above: float
    below: float
    shift: float
    tilt: float
    quanta: float
    scatter: float
    blur: float
    evening: float
    sharpening: float
    gamma: float
    black: float
    white: float
    shutters: tuple[float, float, float]
    letter_at: tuple[float, float]
    letter_size: float


def draw_technique(random: np.random.Generator) -> Technique:
    """Positioning, exposure and processing, drawn at random."""
    in_corner = random.random() < 0.5
    letter_left = random.uniform(0.02, 0.1) if in_corner else random.uniform(0.01, 0.04)
    letter_top = random.uniform(0.03, 0.12) if in_corner else random.uniform(0.3, 0.6)
    return Technique(
        breath=random.uniform(0.93, 1.03),
        field_width=random.uniform(18.5, 24.0),
        above=random.uniform(2.2, 4.2),
        below=random.uniform(2.2, 5.0),
        shift=random.normal(0, 0.5),
        tilt=random.normal(0, 1.5),
        quanta=10 ** random.uniform(4.5, 5.2),
        scatter=random.uniform(0.2, 0.45),
        blur=random.uniform(0.5, 1.0),
        evening=random.uniform(0.45, 0.6),
        sharpening=random.uniform(0.7, 1.1),
        gamma=random.uniform(0.85, 1.25),
        black=random.uniform(0.14, 0.25),
        white=random.uniform(0.82, 0.96),
        shutters=tuple(random.uniform(-1.2, 0.6, size=3)),
        letter_at=(letter_left, letter_top),
        letter_size=random.choice([0.0, random.uniform(0.03, 0.075)], p=[0.1, 0.9]),
    )


def position(
    maps: list[np.ndarray], technique: Technique, view: View, random: np.random.Generator
) -> list[np.ndarray]:
    """Tilts the patient and bends it a little: no child is symmetrical or stands still."""
    angle = np.radians(technique.tilt)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    coarse = view.coarse()
    x = cosine * view.x + sine * view.y + view.refine(0.18 * noise(random, coarse, 5.0))
    y = cosine * view.y - sine * view.x + view.refine(0.18 * noise(random, coarse, 5.0))
    columns = (x - view.left) * view.resolution - 0.5
    rows = (y - view.top) * view.resolution - 0.5
    return [
        cv2.remap(m, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for m in maps
    ]


def expose(line_integral: np.ndarray, technique: Technique, view: View) -> np.ndarray:
    """Radiation behind the patient relative to the open beam, float32.

    Primary radiation by Beer and Lambert, scatter as its wide blur.
    """
    primary = np.exp(-line_integral)
    small = cv2.resize(primary, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    # Scatter arises in the patient: the open beam beside it adds none.
    veil = cv2.GaussianBlur(np.minimum(small, 0.2), (0, 0), 2.5 * view.resolution / 8)
    return primary + technique.scatter * cv2.resize(veil, (view.width, view.height))


def detect(radiation: np.ndarray, technique: Technique, random: np.random.Generator) -> np.ndarray:
    """The detector's signal relative to the open beam, float32.

    Focal spot and detector blur; quantum noise is the normal limit of Poisson's law.
    """
    height = len(radiation)
    signal = cv2.GaussianBlur(radiation, (0, 0), technique.blur * height / 512)
    quanta = technique.quanta * (512 / height) ** 2
    grain = random.standard_normal(signal.shape, dtype=np.float32)
    return np.maximum(signal + np.sqrt(signal / quanta) * grain, 1e-4)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Densities, −ln of the relative signal, that a film is developed for.

    Attributes:
        typical: of the middle of the body.
        densest: of its densest parts, shown almost white.
    """

    typical: float
    densest: float


def choose_window(radiation: np.ndarray) -> Window:
    """The window that suits a patient, from the radiation behind him."""
    density = -np.log(radiation)
    body = density[density > BODY]
    return Window(typical=float(np.median(body)), densest=float(np.percentile(body, 99)))


BODY = 0.6  # density above which a ray has met the body, not air


def develop(signal: np.ndarray, technique: Technique, window: Window) -> np.ndarray:
    """Log response, processing as in computed radiography, window and curve; uint8."""
    density = -np.log(signal)
    height, width = density.shape
    small = cv2.resize(density, (64 * width // height, 64), interpolation=cv2.INTER_AREA)
    body = small > BODY
    excess = np.where(body, cv2.GaussianBlur(small, (0, 0), 4.5) - window.typical, 0)
    middle = np.where(body, cv2.GaussianBlur(small, (0, 0), 1.2), small)
    correction = technique.evening * cv2.GaussianBlur(excess, (0, 0), 1.5)
    correction += technique.sharpening * middle
    detail = (1 + technique.sharpening) * density
    detail -= cv2.resize(correction, (width, height))
    white = window.densest - technique.evening * 0.6 * (window.densest - window.typical)
    black = technique.black * white
    tone = np.maximum((detail - black) / (white - black), 0) ** technique.gamma
    tone = np.tanh(1.2 * tone) / np.tanh(1.2)
    return np.clip(255 * technique.white * tone, 0, 255).astype(np.uint8)


def annotate(pixels: np.ndarray, technique: Technique, view: View) -> None:
    """Blackens what the shutters cover and burns in the side letter, in place."""
    left, right, below = (int(max(s, 0) * view.resolution) for s in technique.shutters)
    pixels[:, :left] = 0
    pixels[:, view.width - right :] = 0
    pixels[view.height - below :] = 0
    if technique.letter_size == 0:
        return
    scale = technique.letter_size * view.height / 22
    x = int(technique.letter_at[0] * view.width)
    y = int((technique.letter_at[1] + technique.letter_size) * view.height)
    thickness = max(round(2.2 * scale), 1)
    cv2.putText(pixels, "R", (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)


def acquire(subtype: Subtype, *, seed: int, exam: int = 0, height: int = 512) -> Phantom:
    """Takes one radiograph.

    Args:
        subtype: "normal", "bacterial" (lobar consolidation) or "viral" (interstitial pattern).
        seed: of the patient and the lesion.
        exam: number of the examination of the same patient: other positioning and exposure.
        height: rows of the picture; the width follows from patient and field.

    Raises:
        ValueError: an unknown subtype, or a height below 64 pixels.
    """
    if subtype not in SUBTYPES:
        raise ValueError(f"`subtype` must be one of {SUBTYPES}. Received: subtype={subtype!r}")
    if height < 64:
        raise ValueError(f"`height` must be at least 64 pixels. Received: height={height}")
    anatomy = draw_anatomy(np.random.default_rng([seed, 0]))
    technique = draw_technique(np.random.default_rng([seed, 1, exam]))
    anatomy = replace(anatomy, lung_height=anatomy.lung_height * technique.breath)
    resolution = height / (technique.above + anatomy.lung_height + technique.below)
    view = View(
        height=height,
        width=int(technique.field_width * resolution),
        resolution=resolution,
        left=technique.shift - technique.field_width / 2,
        top=-technique.above,
    )
    coarse = view.coarse()
    healthy = project_soft_tissue(anatomy, coarse)
    added = infiltrate(subtype, anatomy, healthy, coarse, [seed, 2])

    # Vessels drown in the consolidation around them: no contrast is left between the two.
    contrast = (SOFT_TISSUE - LUNG) * np.minimum(healthy.air / 3, 1) / (1 + 3 * added)
    line_integral = view.refine(healthy.line_integral + added) + project_bones(anatomy, view)
    line_integral += view.refine(contrast) * project_tubes(vessels(anatomy), view)
    line_integral = np.maximum(line_integral, 0) * np.float32(anatomy.scale)

    random = np.random.default_rng([seed, 3, exam])
    line_integral, opacity = position([line_integral, view.refine(added)], technique, view, random)
    # The window suits the healthy child: one that followed the lesion would darken all else.
    window = choose_window(expose(healthy.line_integral * anatomy.scale, technique, coarse))
    signal = detect(expose(line_integral, technique, view), technique, random)
    pixels = develop(signal, technique, window)
    annotate(pixels, technique, view)
    return Phantom(pixels=pixels, lesion=_region(opacity, view))


def _region(opacity: np.ndarray, view: View) -> np.ndarray:
    """Where the added opacity is more than a faint rim."""
    smooth = cv2.GaussianBlur(opacity, (0, 0), 0.2 * view.resolution)
    return smooth > max(0.05, 0.15 * float(smooth.max()))
