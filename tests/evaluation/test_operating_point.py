"""The balanced operating point, by hand."""

import numpy as np
import pytest

from pneumo.evaluation.metrics import measure
from pneumo.evaluation.operating_point import balanced


def test_separated_classes_are_parted_in_the_middle_on_the_logit_scale() -> None:
    # Odds of 1/4 and 9: the middle of their logarithms has odds of √(9/4) = 1.5.
    point = balanced(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.95]))
    assert point.threshold == pytest.approx(0.6)
    assert (point.sensitivity, point.specificity) == (1, 1)


def test_the_largest_sum_of_sensitivity_and_specificity_wins() -> None:
    # Called from 0.9: 1/3 + 1. From 0.8: 2/3 + 1, the best. From 0.5: 2/3 + 3/4. From 0.2: 1 + 1/4.
    truth = np.array([0, 0, 0, 0, 1, 1, 1])
    probabilities = np.array([0.1, 0.3, 0.4, 0.5, 0.2, 0.8, 0.9])
    point = balanced(truth, probabilities)
    # Odds of 1 (0.5 is spared) and 4 (0.8 is called): the middle has odds of 2.
    assert point.threshold == pytest.approx(2 / 3)
    assert (point.sensitivity, point.specificity) == (pytest.approx(2 / 3), 1)


def test_its_figures_are_those_at_its_threshold() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random(300) < 0.7
    probabilities = np.round(1 / (1 + np.exp(-rng.normal(2 * truth - 1))), 2)
    point = balanced(truth, probabilities)
    found = measure(truth, probabilities, threshold=point.threshold)
    assert found.sensitivity == pytest.approx(point.sensitivity)
    assert found.specificity == pytest.approx(point.specificity)
    sums = [
        (probabilities[truth] >= threshold).mean() + (probabilities[~truth] < threshold).mean()
        for threshold in np.unique(probabilities)
    ]
    assert point.sensitivity + point.specificity == pytest.approx(max(sums))


def test_certainty_leaves_a_threshold_between() -> None:
    point = balanced(np.array([0, 1]), np.array([0.0, 1.0]))
    assert point.threshold == pytest.approx(0.5)
    lowest = balanced(np.array([0, 1, 1]), np.array([0.0, 0.0, 1.0]))
    assert 0 < lowest.threshold < 1


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_refused(label: int) -> None:
    received = "3 NORMAL, 0 PNEUMONIA" if label == 0 else "0 NORMAL, 3 PNEUMONIA"
    with pytest.raises(ValueError, match=f"needs NORMAL and PNEUMONIA.*{received}"):
        balanced(np.full(3, label), np.array([0.1, 0.2, 0.3]))
