"""Can a heat map be trusted? Where its heat lies, where its peak points, what moves it.

Three checks of Grad-CAM: the share of the heat inside a region beside the share of the film that
the region covers; the pointing game (Zhang et al., Top-down Neural Attention by Excitation
Backprop, International Journal of Computer Vision 126, 2018); and the agreement of two maps, of
which little may be left once a network's weights are randomised (Adebayo et al., Sanity Checks
for Saliency Maps, NeurIPS 2018).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

HOTTEST = 0.2
"""Share of the film that counts as hot when the hot areas of two maps are compared."""


def enlarge(heat_map: np.ndarray, *, size: int) -> np.ndarray:
    """A heat map over the square that the network sees, interpolated as the overlay shows it.

    Args:
        heat_map: float32, shape (rows, columns), in [0, 1].
        size: side of the square, in pixels.

    Returns: float32, shape (size, size), in [0, 1].
    """
    heat = cv2.resize(heat_map, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(heat, 0, 1))


def share_inside(heat: np.ndarray, region: np.ndarray) -> float | None:
    """Share of all heat that lies in a region.

    Heat spread evenly would give the share of the film that the region covers.

    Args:
        heat: float, shape (height, width), not negative.
        region: bool, of the same shape.

    Returns: in [0, 1]; None where there is no heat.
    """
    _check_same_shape(heat, region)
    total = float(heat.sum(dtype=float))
    return float(heat[region].sum(dtype=float)) / total if total > 0 else None


def widen(region: np.ndarray, *, by: float) -> np.ndarray:
    """The pixels of a region and those whose centre is at most `by` pixels from one of them.

    Args:
        region: bool, shape (height, width).
        by: in pixels, 0 for the region itself.

    Returns: bool, of the same shape.
    """
    if not region.any():
        return region.copy()
    outside = (~region).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= by)


def points_at(heat: np.ndarray, lesion: np.ndarray, *, tolerance: float) -> bool:
    """A round of the pointing game: whether the peak of the heat falls on the lesion.

    A peak drawn blindly would hit as often as the widened lesion covers the film.

    Args:
        heat: float, shape (height, width); without any heat nothing is pointed at.
        lesion: bool, of the same shape.
        tolerance: how far beside the lesion still counts, in pixels.
    """
    _check_same_shape(heat, lesion)
    if not heat.any():
        return False
    return bool(widen(lesion, by=tolerance).flat[heat.argmax()])


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How alike two heat maps of one film are.

    Attributes:
        rank_correlation: Spearman's, over the cells of the maps; 0 where one of them is flat.
        overlap: intersection over union of the hottest fifths of the enlarged maps; 0 where one
            of them is flat. Two fifths chosen blindly have 0.11.
    """

    rank_correlation: float
    overlap: float


def agreement(first: np.ndarray, second: np.ndarray, *, size: int = 224) -> Agreement:
    """Compare two heat maps of one film.

    Args:
        first, second: float32, shape (rows, columns), in [0, 1].
        size: side of the square over which the hot areas are compared, in pixels.
    """
    from scipy.stats import spearmanr  # scoring, which every prediction loads, is above

    _check_same_shape(first, second)
    flat = np.ptp(first) == 0 or np.ptp(second) == 0
    return Agreement(
        rank_correlation=0.0 if flat else float(spearmanr(first, second, axis=None).statistic),
        overlap=overlap(first, second, size=size),
    )


def overlap(first: np.ndarray, second: np.ndarray, *, size: int = 224) -> float:
    """Intersection over union of the hottest fifths of two heat maps of one film.

    Args:
        first, second: float32, in [0, 1], each of a shape (rows, columns) of its own.
        size: side of the square over which the hot areas are compared, in pixels.

    Returns: in [0, 1]. A flat map has no hottest fifth and agrees with none: 0, even beside
        another flat one. Two fifths chosen blindly have 0.11.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return intersection_over_union(_hottest(first, size), _hottest(second, size))


def mean_overlap(heat_maps: Sequence[np.ndarray], *, size: int = 224) -> float:
    """Agreement of several methods on one film: the mean of `overlap` over all pairs.

    Args:
        heat_maps: two or more, as for `overlap`.
        size: as for `overlap`.
    """
    pairs = itertools.combinations(heat_maps, 2)
    return float(np.mean([overlap(first, second, size=size) for first, second in pairs]))


def _hottest(heat_map: np.ndarray, size: int) -> np.ndarray:
    heat = enlarge(heat_map, size=size)
    return np.asarray(heat > np.quantile(heat, 1 - HOTTEST))


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    """Of two regions, bool, of one shape: 1 where they are the same, 0 where they are apart."""
    _check_same_shape(first, second)
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def _check_same_shape(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"Both arrays must have the same shape. Received: {first.shape} and {second.shape}"
        )
