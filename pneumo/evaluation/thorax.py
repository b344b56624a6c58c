"""Where the thorax is on a film that nobody has outlined.

The films of the public set have no masks of the lungs; phantoms know theirs. So phantoms are laid
over a film, each moved, turned, stretched and sheared until the two correlate best, and their
outlines vote (Candemir et al., Lung Segmentation in Chest Radiographs Using Anatomical Atlases
with Nonrigid Registration, IEEE Transactions on Medical Imaging 33, 2014; ours is affine, which
an outline as plain as that of the thorax is content with).
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from pneumo.datasets import phantom

SIDE = 64
"""Of the squares in which films are laid over each other: enough for an outline."""

_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-3)


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
            outlines.append(_squeezed(taken.thorax.astype(np.float32)))
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
