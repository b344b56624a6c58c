"""Where the thorax is on a film that nobody has outlined.

The films of the public set have no masks of the lungs; phantoms know theirs. So phantoms are laid
over a film, each moved, turned, stretched and sheared until the two correlate best, and their
outlines vote (Candemir et al., Lung Segmentation in Chest Radiographs Using Anatomical Atlases
with Nonrigid Registration, IEEE Transactions on Medical Imaging 33, 2014; ours is affine, which
an outline as plain as that of the thorax is content with).
"""

from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np

from pneumo.datasets import phantom
from pneumo.datasets.phantom.acquisition import draw_technique, position
from pneumo.datasets.phantom.anatomy import draw_anatomy
from pneumo.datasets.phantom.geometry import View
from pneumo.datasets.phantom.projection import project_soft_tissue

SIDE = 64
"""Of the squares in which films are laid over each other: enough for an outline."""
LUNG = 0.5
"""Length of a ray in the lungs, in cm, from which it counts as one through them."""

_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-3)


def thorax_of_phantom(seed: int, *, exam: int = 0, height: int = phantom.HEIGHT) -> np.ndarray:
    """The thorax on the film that `phantom.acquire` takes of the same child.

    Returns: bool, shape (height, width) of that film: the convex hull of both lungs, that is
        lungs, heart and mediastinum.
    """
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
    x, y = position(technique, film.scaled(0.5), np.random.default_rng([seed, 3, exam]))
    view = View.around(x, y, resolution=resolution).scaled(0.5)
    air = view.look_up(project_soft_tissue(anatomy, view).air, x, y)
    lungs = (film.refine(air) > LUNG).astype(np.uint8)
    hull = cv2.convexHull(cv2.findNonZero(lungs))
    return np.asarray(cv2.fillConvexPoly(np.zeros_like(lungs), hull, 1) > 0)


@dataclass(frozen=True, kw_only=True)
class ThoraxAtlas:
    """Phantoms with their outlines, to be laid over films.

    Attributes:
        pictures: evened in contrast, float32, shape (phantoms, SIDE, SIDE).
        outlines: float32, of the same shape, 1 inside the thorax.
    """

    pictures: np.ndarray
    outlines: np.ndarray

    @classmethod
    def of_phantoms(cls, *, phantoms: int = 16, seed: int = 0) -> Self:
        """An atlas of so many children, in turn normal, bacterial and viral."""
        pictures, outlines = [], []
        for number in range(phantoms):
            subtype = phantom.SUBTYPES[number % len(phantom.SUBTYPES)]
            taken = phantom.acquire(subtype, seed=seed + number)
            pictures.append(_evened(taken.pixels))
            outlines.append(_squeezed(thorax_of_phantom(seed + number).astype(np.float32)))
        return cls(pictures=np.stack(pictures), outlines=np.stack(outlines))

    def thorax(self, pixels: np.ndarray) -> np.ndarray:
        """Estimate the thorax on a film.

        The half of the phantoms that correlate best with the film vote by pixel.

        Args:
            pixels: uint8, shape (height, width).

        Returns: bool, of the same shape; all False where no phantom could be laid over the film,
            as over a blank one.
        """
        film, height, width = _evened(pixels), *pixels.shape
        laid: list[tuple[float, np.ndarray]] = []
        for picture, outline in zip(self.pictures, self.outlines, strict=True):
            start = np.eye(2, 3, dtype=np.float32)
            try:
                correlation, matrix = cv2.findTransformECC(
                    film, picture, start, cv2.MOTION_AFFINE, _STOP
                )
            except cv2.error:  # did not converge
                continue
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            laid.append((correlation, cv2.warpAffine(outline, matrix, (SIDE, SIDE), flags=flags)))
        if not laid:
            return np.zeros(pixels.shape, dtype=bool)
        laid.sort(key=lambda one: -one[0])
        votes = np.mean([outline for _, outline in laid[: len(self.pictures) // 2]], axis=0)
        return np.asarray(cv2.resize(votes, (width, height)) > 0.5)


def _evened(pixels: np.ndarray) -> np.ndarray:
    """A small picture in which dark and bright areas have the same contrast, float32."""
    return _squeezed(cv2.createCLAHE(2.0, (4, 4)).apply(pixels)).astype(np.float32)


def _squeezed(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
