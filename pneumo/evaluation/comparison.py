"""Two models judged on the same images: is one better, or did it have the luck of the draw?"""

import math
from dataclasses import dataclass

import numpy as np

from pneumo.evaluation.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What sets two classifiers apart on the images that both have judged.

    Attributes:
        images: how many.
        pneumonia: how many of them are PNEUMONIA.
        auc_difference: `second_auc` less `first_auc`.
        auc_difference_interval: percentile bootstrap over images, each drawn with its scores by
            both models; 1,000 draws, seeded, 95 %.
        auc_p_value: DeLong's test for paired scores, two-sided. None where the images cannot
            tell how the difference varies: a class of one image, or areas that differ by the same
            on every image.
        only_first_correct: images on which the first verdict is right and the second wrong.
        only_second_correct: the reverse.
        verdict_p_value: McNemar's test of these two counts, exact, two-sided; 1 where both are 0.
    """

    images: int
    pneumonia: int
    first_auc: float
    second_auc: float
    auc_difference: float
    auc_difference_interval: Interval
    auc_p_value: float | None
    first_accuracy: float
    second_accuracy: float
    only_first_correct: int
    only_second_correct: int
    verdict_p_value: float


def compare(
    is_pneumonia: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    first_threshold: float,
    second_threshold: float,
) -> Comparison:
    """Every number of `Comparison`.

    Args:
        is_pneumonia: bool or 0/1, shape (images,), both classes present.
        first: calibrated probabilities of PNEUMONIA by one model, shape (images,).
        second: those by the other, of the same images in the same order.
        first_threshold: the first verdict is PNEUMONIA where its probability reaches this.
        second_threshold: likewise.

    Raises:
        ValueError: the shapes differ, there are no images, or one class only.
    """
    truth = np.asarray(is_pneumonia, dtype=bool)
    first, second = np.asarray(first), np.asarray(second)
    _check(truth, first, second)
    first_wins, second_wins = _wins(truth, first), _wins(truth, second)
    positive, negative = int(truth.sum()), int((~truth).sum())
    pairs = positive * negative
    first_won, second_won = first_wins[truth].sum(), second_wins[truth].sum()
    first_correct = (first >= first_threshold) == truth
    second_correct = (second >= second_threshold) == truth
    only_first = int((first_correct & ~second_correct).sum())
    only_second = int((second_correct & ~first_correct).sum())
    return Comparison(
        images=truth.size,
        pneumonia=positive,
        first_auc=float(first_won / pairs),
        second_auc=float(second_won / pairs),
        auc_difference=float((second_won - first_won) / pairs),
        auc_difference_interval=_difference_interval(truth, first, second),
        auc_p_value=_delong_p_value(truth, second_wins - first_wins),
        first_accuracy=float(first_correct.mean()),
        second_accuracy=float(second_correct.mean()),
        only_first_correct=only_first,
        only_second_correct=only_second,
        verdict_p_value=_mcnemar_p_value(only_first, only_second),
    )


def _check(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    if truth.ndim != 1 or not truth.shape == first.shape == second.shape:
        raise ValueError(
            "`is_pneumonia`, `first` and `second` must have one shape, (images,). Received: "
            f"{truth.shape}, {first.shape} and {second.shape}"
        )
    if truth.size == 0:
        raise ValueError("`is_pneumonia` must hold at least one image. Received: none")
    if truth.all() or not truth.any():
        raise ValueError(
            "`is_pneumonia` must hold both NORMAL and PNEUMONIA. Received: "
            f"{(~truth).sum()} NORMAL, {truth.sum()} PNEUMONIA"
        )


def _wins(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many images of the other class each image is on the right side of; a tie is half a win.

    By mid-ranks, whose difference among all images and among its own class is the number of
    images of the other class below it (Sun and Xu, IEEE Signal Processing Letters 21, 2014).

    Returns:
        Shape (images,), multiples of 1/2. The AUC is the sum over the images of either class,
        divided by the number of pairs.
    """
    from scipy.stats import rankdata

    below = rankdata(scores)
    for side in (truth, ~truth):
        below[side] -= rankdata(scores[side])
    return np.where(truth, below, truth.sum() - below)


def _delong_p_value(truth: np.ndarray, gains: np.ndarray) -> float | None:
    """DeLong's test of two correlated areas (DeLong et al., Biometrics 44, 1988).

    The variance of the difference is that of the difference of what DeLong et al. call the
    structural components, which are wins as a share of the other class.

    Args:
        truth: bool, shape (images,).
        gains: wins by the second model less wins by the first, shape (images,).
    """
    positive, negative = gains[truth], gains[~truth]
    if not gains.any():
        return 1.0
    if min(positive.size, negative.size) < 2:
        return None
    # Gains are multiples of 1/2: where they are all the same, this is zero and not nearly so.
    variance = positive.var(ddof=1) / (positive.size * negative.size**2) + negative.var(ddof=1) / (
        negative.size * positive.size**2
    )
    if variance == 0:
        return None
    difference = positive.sum() / (positive.size * negative.size)
    return math.erfc(abs(difference) / math.sqrt(2 * variance))  # both tails of the normal


def _mcnemar_p_value(only_first: int, only_second: int) -> float:
    """McNemar's exact test (Psychometrika 12, 1947): is either as likely as the other?"""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def _difference_interval(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> Interval:
    """95 % percentile bootstrap interval of the second AUC less the first."""
    rng = np.random.default_rng(seed)
    areas = [_DrawnArea(truth, first), _DrawnArea(truth, second)]
    differences = []
    for _ in range(draws):
        multiplicity = rng.multinomial(truth.size, np.full(truth.size, 1 / truth.size))
        of_positive, of_negative = multiplicity[truth], multiplicity[~truth]
        if of_positive.any() and of_negative.any():
            first_area, second_area = (area.of(of_positive, of_negative) for area in areas)
            differences.append(second_area - first_area)
    low, high = np.percentile(differences, [2.5, 97.5])
    return Interval(low=float(low), high=float(high))


class _DrawnArea:
    """The AUC of samples drawn from the same scores, which are sorted once."""

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        positive, negative = scores[truth], scores[~truth]
        self._order = np.argsort(negative)
        self._below = np.searchsorted(negative[self._order], positive, "left")
        self._up_to = np.searchsorted(negative[self._order], positive, "right")

    def of(self, of_positive: np.ndarray, of_negative: np.ndarray) -> float:
        """A weighted mean over the pairs, with the multiplicities of their images as weights."""
        cumulative = np.concatenate([[0], np.cumsum(of_negative[self._order])])
        wins = (cumulative[self._below] + cumulative[self._up_to]) / 2
        return float(of_positive @ wins / (of_positive.sum() * of_negative.sum()))
