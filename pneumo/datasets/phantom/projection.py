"""What the rays lose on their way through a healthy chest."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from pneumo.datasets.phantom.anatomy import (
    AIR,
    CORTICAL_BONE,
    FAT,
    LEFT,
    LUNG,
    RIGHT,
    SOFT_TISSUE,
    SPONGY_BONE,
    Anatomy,
    airways,
    heart,
    lung,
    mediastinum,
    ribs,
    shoulder_girdle,
    shoulder_joint,
    trunk,
)
from pneumo.datasets.phantom.geometry import Ellipsoid, View, noise, project_tubes


@dataclass(frozen=True, kw_only=True)
class SoftTissue:
    """Maps of one patient, float32.

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
        joint_x, joint_y = shoulder_joint(anatomy)
        ux, uy = side * sin(anatomy.arm_angle), cos(anatomy.arm_angle)
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


def project_ribs_and_shoulders(anatomy: Anatomy, view: View) -> np.ndarray:
    """Σ (µ bone − µ soft tissue)·chord of ribs and shoulder girdle, no unit.

    The two sides mirror each other, and so must the view.
    """
    left = View(
        height=view.height,
        width=view.width // 2,
        resolution=view.resolution,
        left=0,
        top=view.top,
    )
    chord = project_tubes([ribs(anatomy), *shoulder_girdle(anatomy)], left)
    chord *= anatomy.mineral * (CORTICAL_BONE - SOFT_TISSUE)
    return np.hstack([chord[:, ::-1], chord])


def project_spine(anatomy: Anatomy, view: View) -> np.ndarray:
    """Σ (µ bone − µ soft tissue)·chord of the vertebrae, no unit."""
    total = view.blank()
    near = np.abs(view.x[0]) < 2.2  # cm
    spongy, cortical = _vertebrae(anatomy, view.x[:, near], view.y)
    total[:, near] = (SPONGY_BONE - SOFT_TISSUE) * spongy
    total[:, near] += anatomy.mineral * (CORTICAL_BONE - SOFT_TISSUE) * cortical
    return total


def _vertebrae(anatomy: Anatomy, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
