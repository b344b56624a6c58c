"""Pneumonia: where it fills the lungs, and how."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pneumo.datasets.phantom.anatomy import LEFT, LUNG, RIGHT, SOFT_TISSUE, Anatomy
from pneumo.datasets.phantom.geometry import Tubes, View, noise, project_tubes
from pneumo.datasets.phantom.projection import SoftTissue

Subtype = Literal["normal", "bacterial", "viral"]
SUBTYPES: tuple[Subtype, ...] = ("normal", "bacterial", "viral")


def infiltrate(
    subtype: Subtype,
    anatomy: Anatomy,
    tree: list[Tubes],
    healthy: SoftTissue,
    view: View,
    random: np.random.Generator,
) -> np.ndarray:
    """Σ µ·chord that pneumonia adds, float32; zeros when normal.

    Never more than lungs quite full of fluid would add.

    Args:
        tree: the patient's lung vessels, whose paths the bronchi follow.
        healthy: maps of the same patient in the same view.
    """
    if subtype == "normal":
        return view.blank()
    if subtype == "viral":
        added = interstitial_pattern(anatomy, tree, healthy, view, random)
    else:
        # The airways around a consolidated lobe are inflamed too.
        accompanying = random.uniform(0.3, 0.9)
        added = consolidation(anatomy, tree, healthy, view, random)
        added += accompanying * interstitial_pattern(anatomy, tree, healthy, view, random)
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
    anatomy: Anatomy,
    tree: list[Tubes],
    healthy: SoftTissue,
    view: View,
    random: np.random.Generator,
) -> np.ndarray:
    """Lobar pneumonia: air spaces filled with fluid, bronchi left open, borders blurred."""
    bronchi = project_tubes([replace(t, radii=0.75 * t.radii) for t in tree[:3]], view)
    strength = random.uniform(0.75, 1.2)
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
    anatomy: Anatomy,
    tree: list[Tubes],
    healthy: SoftTissue,
    view: View,
    random: np.random.Generator,
) -> np.ndarray:
    """Viral pneumonia: haze, thickened bronchial walls and a net of lines about both hila."""
    strength = random.uniform(0.9, 1.8)
    near = view.blank()
    for side in (RIGHT, LEFT):
        dx = (view.x - side * 3.0) / random.uniform(4.2, 7.5)
        dy = (view.y - anatomy.carina - random.uniform(1.5, 5.0)) / random.uniform(5.0, 8.5)
        near += random.uniform(0.6, 1.0) * np.exp(-(dx * dx + dy * dy))
    sleeves = [
        replace(t, radii=1.25 * t.radii, walls=np.full(t.radii.shape[:2], 0.07)) for t in tree
    ]
    cuffs = project_tubes(sleeves, view)
    patches = np.clip(0.85 + 0.3 * noise(random, view, 1.6), 0.4, 2)
    net = np.abs(noise(random, view, 0.22)) + np.abs(noise(random, view, 0.4))
    haze = healthy.air * patches * (0.55 + 0.08 * np.maximum(1.0 - 0.6 * net, -0.3))
    thickened = 0.6 * np.minimum(cuffs, 0.5) * np.minimum(healthy.air / 2, 1)
    return np.maximum(strength * (SOFT_TISSUE - LUNG) * near * (haze + thickened), 0)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * values)
