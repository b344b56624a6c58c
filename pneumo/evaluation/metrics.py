"""How well logits separate PNEUMONIA (the positive class) from NORMAL.

SciPy and scikit-learn are imported where they compute: together they take most of a second, and
whoever only reads figures, as Predict does from a model's card, should not wait for them.
"""

from dataclasses import dataclass

import numpy as np

from pneumo.evaluation.calibration import (
    binary_cross_entropy,
    brier_score,
    expected_calibration_error,
    restate,
)
from pneumo.evaluation.interval import Interval, wilson_interval

CLASSES = ("normal", "bacterial", "viral")
"""Where causes are told apart, in the order of their logits."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Numbers of a classifier on a set of images at one threshold.

    A number that the set cannot give (sensitivity without any PNEUMONIA, AUC with one class
    only) is None.

    Calibrated probabilities are for films of which half are PNEUMONIA, and a set of other shares
    would find them off however good they are. Brier score and calibration error therefore judge
    them as restated for the set's own share of PNEUMONIA.

    Attributes:
        images: how many.
        pneumonia: how many of them are PNEUMONIA.
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        loss: mean binary cross-entropy of the calibrated probabilities, in nats.
        brier_score: mean squared distance between restated probability and truth, 0 at best.
        calibration_error: expected calibration error of the restated probabilities, ten bins.
        sensitivity_interval: Wilson, 95 %.
        specificity_interval: Wilson, 95 %.
        accuracy_interval: Wilson, 95 %.
        roc_auc_interval: percentile bootstrap over images, 1,000 draws, seeded, 95 %.
    """

    images: int
    pneumonia: int
    threshold: float
    roc_auc: float | None
    accuracy: float
    sensitivity: float | None
    specificity: float | None
    loss: float
    brier_score: float | None
    calibration_error: float | None
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    roc_auc_interval: Interval | None
    accuracy_interval: Interval
    sensitivity_interval: Interval | None
    specificity_interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class CauseMetrics:
    """How well normal, bacterial and viral films are told apart.

    Attributes:
        accuracy: of the likeliest class.
        recalls: share of the normal, bacterial and viral films that are called so; 0 where there
            are none.
        confusion: counts by truth, then by call, in that order.
    """

    accuracy: float
    recalls: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


def measure_causes(classes: np.ndarray, called: np.ndarray) -> CauseMetrics:
    """Every number of `CauseMetrics`.

    Args:
        classes: int, shape (images,): 0 normal, 1 bacterial, 2 viral.
        called: the same as the model has it.
    """
    confusion = np.bincount(3 * classes + called, minlength=9).reshape(3, 3)
    recalls = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
    return CauseMetrics(
        accuracy=float(np.mean(classes == called)),
        recalls=tuple(recalls.tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def measure(is_pneumonia: np.ndarray, probabilities: np.ndarray, *, threshold: float) -> Metrics:
    """Every number of `Metrics`.

    Args:
        is_pneumonia: bool or 0/1, shape (images,).
        probabilities: calibrated, of PNEUMONIA, shape (images,).
        threshold: the verdict is PNEUMONIA where the probability reaches it.

    Raises:
        ValueError: there are no images.
    """
    truth = np.asarray(is_pneumonia, dtype=bool)
    if truth.size == 0:
        raise ValueError("`is_pneumonia` must hold at least one image. Received: none")
    called = np.asarray(probabilities) >= threshold
    true_positives, false_positives = int((called & truth).sum()), int((called & ~truth).sum())
    false_negatives, true_negatives = int((~called & truth).sum()), int((~called & ~truth).sum())
    correct = true_negatives + true_positives
    normal, pneumonia = int((~truth).sum()), int(truth.sum())
    both = normal > 0 and pneumonia > 0
    restated = restate(probabilities, prevalence=pneumonia / truth.size) if both else None
    return Metrics(
        images=truth.size,
        pneumonia=pneumonia,
        threshold=threshold,
        roc_auc=roc_auc(truth, probabilities),
        accuracy=correct / truth.size,
        sensitivity=true_positives / pneumonia if pneumonia else None,
        specificity=true_negatives / normal if normal else None,
        loss=binary_cross_entropy(truth, probabilities),
        brier_score=None if restated is None else brier_score(truth, restated),
        calibration_error=None if restated is None else expected_calibration_error(truth, restated),
        true_positives=true_positives,
        false_positives=false_positives,
        true_negatives=true_negatives,
        false_negatives=false_negatives,
        roc_auc_interval=roc_auc_interval(truth, probabilities),
        accuracy_interval=wilson_interval(correct, truth.size),
        sensitivity_interval=wilson_interval(true_positives, pneumonia) if pneumonia else None,
        specificity_interval=wilson_interval(true_negatives, normal) if normal else None,
    )


def roc_auc(is_pneumonia: np.ndarray, scores: np.ndarray) -> float | None:
    """Exact area under the ROC curve; None where only one class is present."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(is_pneumonia)) < 2:
        return None
    return float(roc_auc_score(is_pneumonia, scores))


def roc_auc_interval(
    is_pneumonia: np.ndarray, scores: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> Interval | None:
    """95 % percentile bootstrap interval of the AUC; None where only one class is present."""
    truth, scores = np.asarray(is_pneumonia, dtype=bool), np.asarray(scores)
    if len(np.unique(truth)) < 2:
        return None
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    # The AUC is the share of (positive, negative) pairs in the right order: a drawn sample's
    # AUC is a weighted mean over the pairs, with the multiplicities of its images as weights.
    below = np.searchsorted(negative, positive, "left")
    up_to = np.searchsorted(negative, positive, "right")
    rng = np.random.default_rng(seed)
    areas = []
    for _ in range(draws):
        multiplicity = rng.multinomial(truth.size, np.full(truth.size, 1 / truth.size))
        of_positive, of_negative = multiplicity[: positive.size], multiplicity[positive.size :]
        if of_positive.any() and of_negative.any():
            cumulative = np.concatenate([[0], np.cumsum(of_negative)])
            wins = (cumulative[below] + cumulative[up_to]) / 2
            areas.append(of_positive @ wins / (of_positive.sum() * of_negative.sum()))
    low, high = np.percentile(areas, [2.5, 97.5])
    return Interval(low=float(low), high=float(high))
