"""Metrics next to numbers worked by hand."""

import math

import numpy as np
import pytest

from pneumo.evaluation import metrics
from pneumo.evaluation.interval import Interval, wilson_interval
from pneumo.evaluation.metrics import measure, measure_causes, roc_auc, roc_auc_interval

TRUTH = np.array([1, 1, 1, 1, 1, 0, 0, 0])
PROBABILITIES = np.array([0.9, 0.8, 0.7, 0.5, 0.2, 0.6, 0.4, 0.1])


def test_the_confusion_by_hand() -> None:
    found = measure(TRUTH, PROBABILITIES, threshold=0.5)
    # 0.5 reaches the threshold: four of five PNEUMONIA are called, one of three NORMAL is.
    assert (found.images, found.pneumonia, found.threshold) == (8, 5, 0.5)
    assert (found.true_positives, found.false_negatives) == (4, 1)
    assert (found.true_negatives, found.false_positives) == (2, 1)
    assert found.accuracy == 6 / 8
    assert found.sensitivity == 4 / 5
    assert found.specificity == 2 / 3
    # Of 15 pairs, (0.5, 0.6), (0.2, 0.6) and (0.2, 0.4) are in the wrong order.
    assert found.roc_auc == pytest.approx(12 / 15)
    product = 0.9 * 0.8 * 0.7 * 0.5 * 0.2 * (1 - 0.6) * (1 - 0.4) * (1 - 0.1)
    assert found.loss == pytest.approx(-math.log(product) / 8)
    assert found.accuracy_interval == wilson_interval(6, 8)
    assert found.sensitivity_interval == wilson_interval(4, 5)
    assert found.specificity_interval == wilson_interval(2, 3)
    assert found.roc_auc_interval == roc_auc_interval(TRUTH, PROBABILITIES)


def test_brier_score_and_calibration_error_are_for_the_share_of_pneumonia_at_hand() -> None:
    # Three of four are PNEUMONIA: odds are three times those of even classes, which turns 1/4
    # into 1/2 and 1/2 into 3/4.
    found = measure(np.array([1, 0, 1, 1]), np.array([0.25, 0.25, 0.5, 0.5]), threshold=0.5)
    assert found.brier_score == pytest.approx((2 / 4 + 2 / 16) / 4)
    # Where 1/2 is stated, one of two; where 3/4 is stated, two of two.
    assert found.calibration_error == pytest.approx((2 * 0 + 2 * 1 / 4) / 4)


def test_a_threshold_beyond_all_probabilities() -> None:
    found = measure(TRUTH, PROBABILITIES, threshold=0.95)
    assert (found.sensitivity, found.specificity, found.accuracy) == (0, 1, 3 / 8)


@pytest.mark.parametrize(
    ("truth", "sensitivity", "specificity"), [([1, 1], 0.5, None), ([0, 0], None, 0.5)]
)
def test_one_class_only(
    truth: list[int], sensitivity: float | None, specificity: float | None
) -> None:
    found = measure(np.array(truth), np.array([0.2, 0.8]), threshold=0.5)
    assert (found.sensitivity, found.specificity) == (sensitivity, specificity)
    assert (found.sensitivity_interval is None) == (sensitivity is None)
    assert (found.specificity_interval is None) == (specificity is None)
    assert found.roc_auc is None and found.roc_auc_interval is None
    assert found.brier_score is None and found.calibration_error is None
    assert found.accuracy == 0.5


def test_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        measure(np.array([]), np.array([]), threshold=0.5)


def test_auc_with_a_tie() -> None:
    # Pairs (0.6, 0.4) and (0.4, 0.1) and (0.6, 0.1) are right, (0.4, 0.4) is a tie.
    assert roc_auc(np.array([1, 1, 0, 0]), np.array([0.6, 0.4, 0.4, 0.1])) == (3 + 0.5) / 4


def samples(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.6
    return truth, np.round(rng.normal(truth * 1.5))  # rounded, so that there are many ties


def test_the_bootstrap_interval_holds_the_auc_and_is_repeatable() -> None:
    truth, scores = samples(200, seed=1)
    interval, auc = roc_auc_interval(truth, scores), roc_auc(truth, scores)
    assert interval is not None and auc is not None
    assert interval.low < auc < interval.high
    assert interval == roc_auc_interval(truth, scores)
    assert interval != roc_auc_interval(truth, scores, seed=1)
    few_truth, few_scores = samples(40, seed=1)
    wider = roc_auc_interval(few_truth, few_scores)
    assert wider is not None
    assert wider.high - wider.low > interval.high - interval.low


def test_the_bootstrap_is_that_of_drawn_images() -> None:
    """Against the plain way: draw images, and compute the AUC of what was drawn."""
    truth, scores = samples(60, seed=2)
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, 60, 60) for _ in range(400))
    areas = [metrics.roc_auc(truth[rows], scores[rows]) for rows in draws]
    low, high = np.percentile([area for area in areas if area is not None], [2.5, 97.5])
    interval = roc_auc_interval(truth, scores)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)


def test_the_bootstrap_of_perfect_scores() -> None:
    interval = roc_auc_interval(np.array([1, 1, 0, 0]), np.array([4, 3, 2, 1]))
    assert interval == Interval(low=1, high=1)


def test_causes_by_hand() -> None:
    truth, called = np.array([0, 0, 1, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 1, 2, 0])
    found = measure_causes(truth, called)
    assert found.confusion == ((1, 1, 0), (0, 3, 1), (1, 0, 0))
    assert found.accuracy == pytest.approx(4 / 7)
    assert found.recalls == (0.5, 0.75, 0.0)
    # Without any viral film there is nothing to recall.
    found = measure_causes(np.array([0, 1]), np.array([2, 1]))
    assert found.recalls == (0.0, 1.0, 0.0) and found.confusion[2] == (0, 0, 0)
