"""What the chest of a small child is made of, and how much of the radiation it takes."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from pneumo.datasets.phantom.geometry import (
    Ellipsoid,
    Loft,
    Tubes,
    interpolate,
)

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
        arm_angle=float(random.choice([random.uniform(0.15, 0.6), random.uniform(1.2, 2.5)])),
        stomach=float(random.choice([0.0, random.uniform(0.8, 2.2)], p=[0.3, 0.7])),
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
        centre=(shift + 0.5, base + 0.5 - length * cos(anatomy.heart_tilt)),
        semi_axes=(length, 2.65 * size, 3.4 * size),
        angle=pi / 2 - anatomy.heart_tilt,
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


POINTS = 48  # along the centreline of a bone


def ribs(anatomy: Anatomy) -> Tubes:
    """The twelve left ribs, from the vertebrae round the lung to where cartilage begins."""
    random = np.random.default_rng([anatomy.texture, 1])
    space = lung(anatomy, LEFT)
    number = np.arange(12)
    start = 0.15 + anatomy.vertebra * number + random.normal(0, 0.04, 12)
    fall = anatomy.rib_fall * np.minimum(2.6 + 0.55 * number, 5.6)
    last = np.radians([118, 128, 136, 142, 146, 148, 146, 142, 134, 122, 100, 80])
    reach = interpolate(start + fall / 2, space.y, space.right) + 0.12

    forward = np.linspace(0, 1, POINTS)  # from back to front
    turn = np.radians(9) + forward * (last[:, None] - np.radians(9))  # about the long axis
    x = reach[:, None] * np.sin(turn) + 0.1
    y = start[:, None] + fall[:, None] * (1 - np.cos(turn)) / 2
    y -= 0.35 * np.sin(2 * turn) * np.cos(turn)
    y += random.normal(0, 0.05, (12, 1)) * np.sin(2 * turn)
    height = anatomy.rib_radius * (0.85 + 0.3 * forward)
    return Tubes(
        centrelines=np.stack([x, y, -5.5 * np.cos(turn)], axis=2),
        radii=np.tile(np.stack([height, 0.55 * height], axis=1), (12, 1, 1)),
        walls=np.tile(0.13 - 0.085 * forward, (12, 1)),
    )


def shoulder_girdle(anatomy: Anatomy) -> tuple[Tubes, Tubes]:
    """Left clavicle and borders of the scapula; left upper arm. Tubes of cortical bone."""
    top, out = anatomy.shoulder, sin(anatomy.arm_angle)
    head_x, head_y = shoulder_joint(anatomy)
    socket_x = head_x - 0.9
    tip = (7.3 + 0.9 * out, 6.3, 0.2)
    inner = (5.8 + out, 0.6 - 0.3 * top, 0.12)
    clavicle = [
        (1.1, 1.0, 0.4),
        (2.6, 0.75, 0.31),
        (4.6, -0.1 * top, 0.26),
        (6.2, -0.6 * top, 0.29),
        (7.6, 0.35 - 0.75 * top, 0.35),
    ]
    lateral_border = [(socket_x, head_y + 0.1, 0.42), (socket_x - 0.2, 3.4, 0.2), tip]
    medial_border = [inner, (inner[0] + 0.15, 3.4, 0.1), tip]
    spine = [inner, (7.2, 0.3 - 0.4 * top, 0.2), (8.8, head_y - 1.1, 0.3)]

    def arm(*profile: tuple[float, float]) -> list[tuple[float, float, float]]:
        """Points from (share of the way from shoulder to elbow, 11 cm; radius in cm)."""
        down = cos(anatomy.arm_angle)
        return [(head_x + 11 * t * out, head_y + 11 * t * down, radius) for t, radius in profile]

    head = arm((-0.06, 0.1), (-0.04, 0.55), (0.0, 0.85), (0.04, 0.85), (0.06, 0.6))
    shaft = arm((0.075, 0.8), (0.14, 0.65), (0.25, 0.52), (0.5, 0.48), (1.0, 0.48))
    flat = [clavicle, lateral_border, medial_border, spine]
    return _bones(flat, walls=[0.13, 0.1, 0.07, 0.09]), _bones([head, shaft], walls=[0.09, 0.15])


def _bones(paths: list[list[tuple[float, float, float]]], *, walls: list[float]) -> Tubes:
    """Tubes with blunt ends along smooth lines through points (x, y, radius), in cm."""
    at = np.linspace(0, 1, POINTS)
    rounded = np.sqrt(1.02 - (2 * at - 1) ** 16)
    lines = np.stack([interpolate(at, np.linspace(0, 1, len(p)), np.array(p).T) for p in paths])
    x, y, radius = np.moveaxis(lines, 1, 0)
    radius = rounded * radius
    return Tubes(
        centrelines=np.stack([x, y, np.zeros_like(x)], axis=2),
        radii=np.stack([radius, radius], axis=2),
        walls=np.repeat(np.array(walls)[:, None], POINTS, axis=1),
    )


def shoulder_joint(anatomy: Anatomy) -> tuple[float, float]:
    """`x` and `y` of the left one, in cm."""
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


def vessels(anatomy: Anatomy) -> list[Tubes]:
    """Vessels that fan out from both hila, fork and taper; bronchi follow the same paths.

    Returns: one batch a generation, the widest first.
    """
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

    generations = []
    at = np.linspace(0, 1, 6)
    for _ in range(5):
        length = length * random.uniform(0.7, 1.3, len(side))
        bend = heading[:, None] + random.normal(0, 0.3, (len(side), 1)) * at
        steps = np.stack([np.cos(bend), np.sin(bend)], axis=2) * length[:, None, None] / 6
        steps[:, 0] = 0
        line = start[:, None] + np.cumsum(steps, axis=1)
        x, y = side[:, None] * line[..., 0], line[..., 1]
        calibre = radius[:, None] * (1 - 0.35 * at)
        generations.append(
            Tubes(
                centrelines=np.stack([x, y, np.zeros_like(x)], axis=2),
                radii=np.stack([calibre, calibre], axis=2),
            )
        )
        # Each forks in two; Murray's law would give 0.79 of the calibre, less what goes deep.
        turn = random.uniform(0.12, 0.5, len(side))
        heading = np.concatenate([bend[:, -1] - turn, bend[:, -1] + turn])
        start, side = np.tile(line[:, -1], (2, 1)), np.tile(side, 2)
        radius = 0.65 * np.tile(radius, 2) * random.uniform(0.8, 1.1, len(side))
        length = 0.8 * np.tile(length, 2)
    return generations
