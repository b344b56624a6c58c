"""Synthetic chest radiographs of small children, computed from a physical phantom.

A patient is a set of solids, each with a linear attenuation coefficient. Parallel rays run
from back to front; what a ray leaves behind follows the law of Beer and Lambert,
`I = I0 · exp(-Σ µ·chord)`, and the acquisition chain adds what a real one adds: scatter,
blur, quantum noise and a film-like response. The picture is 8 bits deep, dense is bright.
A solid inside another counts by difference: a rib adds (µ of bone − µ of soft tissue) · chord.

Patient, technique and lesion are drawn from independent streams of random numbers. With one
seed, the normal, the bacterial and the viral film show the same child under the same
exposure: the lesion is all that differs, so nothing else can give the class away.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pneumo.datasets.phantom.acquisition import (
    annotate,
    choose_window,
    detect,
    develop,
    draw_technique,
    expose,
    position,
)
from pneumo.datasets.phantom.anatomy import LUNG, SOFT_TISSUE, draw_anatomy, vessels
from pneumo.datasets.phantom.geometry import View, project_tubes
from pneumo.datasets.phantom.lesion import SUBTYPES, Subtype, infiltrate
from pneumo.datasets.phantom.projection import (
    project_ribs_and_shoulders,
    project_soft_tissue,
    project_spine,
)

__all__ = ["HEIGHT", "SUBTYPES", "Phantom", "Subtype", "acquire"]

LUNG_CROSSED = 0.5
"""Length of a ray in the lungs, in cm, from which it counts as one through them."""
HEIGHT = 448  # rows of a film unless asked otherwise: twice what the network sees


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """One synthetic radiograph.

    Attributes:
        pixels: uint8, shape (height, width), dense is bright.
        lesion: bool, shape (height, width): where the pneumonia adds opacity; all False
            when normal.
        lungs: bool, shape (height, width): where rays have passed through a lung.
    """

    pixels: np.ndarray
    lesion: np.ndarray
    lungs: np.ndarray

    @property
    def thorax(self) -> np.ndarray:
        """The convex hull of both lungs, heart included: bool, shape (height, width)."""
        lungs = self.lungs.astype(np.uint8)
        hull = cv2.convexHull(cv2.findNonZero(lungs))
        return np.asarray(cv2.fillConvexPoly(np.zeros_like(lungs), hull, 1) > 0)


def acquire(subtype: Subtype, *, seed: int, exam: int = 0, height: int = HEIGHT) -> Phantom:
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
    film = View(
        height=height,
        width=int(technique.field_width * resolution),
        resolution=resolution,
        left=technique.shift - technique.field_width / 2,
        top=-technique.above,
    )
    random = np.random.default_rng([seed, 3, exam])
    x, y = position(technique, film.scaled(0.5), random)

    # Only ribs and shoulders have edges that need the full resolution.
    fine = View.around(x, y, resolution=resolution)
    coarse = fine.scaled(0.5)
    healthy = project_soft_tissue(anatomy, coarse)
    tree = vessels(anatomy)
    lesion = np.random.default_rng([seed, 2])
    added = infiltrate(subtype, anatomy, tree, healthy, coarse, lesion)
    # Vessels drown in the consolidation around them: no contrast is left between the two.
    contrast = (SOFT_TISSUE - LUNG) * np.minimum(healthy.air / 3, 1) / (1 + 3 * added)
    soft = healthy.line_integral + added + contrast * project_tubes(tree, coarse)
    soft += project_spine(anatomy, coarse)
    bones = fine.look_up(project_ribs_and_shoulders(anatomy, fine), film.refine(x), film.refine(y))
    line_integral = np.maximum(film.refine(coarse.look_up(soft, x, y)) + bones, 0)
    line_integral *= anatomy.scale

    # The window suits the healthy child: one that followed the lesion would darken all else.
    window = choose_window(expose(healthy.line_integral * anatomy.scale, technique, coarse))
    signal = detect(expose(line_integral, technique, film), technique, random)
    pixels = develop(signal, technique, window)
    annotate(pixels, technique, film)
    opacity = coarse.look_up(added, x, y)
    return Phantom(
        pixels=pixels,
        lesion=film.refine(_region(opacity, coarse)) > 0.5,
        lungs=film.refine(coarse.look_up(healthy.air, x, y)) > LUNG_CROSSED,
    )


def _region(opacity: np.ndarray, view: View) -> np.ndarray:
    """Where the added opacity is more than a faint rim: float32, 0 or 1."""
    smooth = cv2.GaussianBlur(opacity, (0, 0), 0.2 * view.resolution)
    return (smooth > max(0.05, 0.15 * float(smooth.max()))).astype(np.float32)
