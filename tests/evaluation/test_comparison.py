"""Comparisons next to numbers worked by hand, and to the plain way of computing them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pneumo.evaluation.comparison import Comparison, compare
from pneumo.evaluation.interval import Interval
from pneumo.evaluation.metrics import roc_auc, roc_auc_interval


def at_a_half(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> Comparison:
    return compare(truth, first, second, first_threshold=0.5, second_threshold=0.5)


def test_the_areas_and_their_test_by_hand() -> None:
    truth = np.array([1, 1, 1, 0, 0])
    first = np.array([0.9, 0.6, 0.3, 0.5, 0.1])
    second = np.array([0.8, 0.4, 0.2, 0.7, 0.4])
    found = at_a_half(truth, first, second)
    assert (found.images, found.pneumonia) == (5, 3)
    # Wins of PNEUMONIA over the two NORMAL: 2, 2, 1 by the first, 2, 1/2 (a tie), 0 by the second.
    assert found.first_auc == 5 / 6
    assert found.second_auc == 2.5 / 6
    assert found.auc_difference == -2.5 / 6
    # Their differences 0, -3/2, -1 have the variance 7/12; those of NORMAL, from 2, 3 to 1, 3/2,
    # are -1, -3/2 and have 1/8. Var = 7/12 / (3 · 2²) + 1/8 / (2 · 3²) = 1/18, and so
    # z²/2 = (5/12)² · 18 / 2 = (5/4)².
    assert found.auc_p_value == pytest.approx(math.erfc(5 / 4))


def test_the_verdicts_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    # The second threshold is another: 0.3 reaches it.
    first = np.array([0.9, 0.4, 0.3, 0.2, 0.6, 0.5, 0.1, 0.1])
    second = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.6, 0.1, 0.4])
    found = compare(truth, first, second, first_threshold=0.5, second_threshold=0.3)
    # The first is right on 1, 7, 8; the second on 1, 2, 3, 4, 5, 7.
    assert (found.first_accuracy, found.second_accuracy) == (3 / 8, 6 / 8)
    assert (found.only_first_correct, found.only_second_correct) == (1, 4)
    assert found.verdict_p_value == pytest.approx(2 * (1 + 5) / 2**5)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [(1, 5, 2 * (1 + 6) / 2**6), (5, 1, 2 * (1 + 6) / 2**6), (0, 6, 2 / 2**6), (3, 3, 1)],
)
def test_mcnemar_by_hand(only_first: int, only_second: int, p_value: float) -> None:
    truth = np.array([1] * (only_first + only_second) + [0, 0])
    first = np.array([0.9] * only_first + [0.1] * only_second + [0.0, 0.2])
    second = np.array([0.1] * only_first + [0.9] * only_second + [0.0, 0.2])
    found = at_a_half(truth, first, second)
    assert (found.only_first_correct, found.only_second_correct) == (only_first, only_second)
    assert found.verdict_p_value == pytest.approx(p_value)


def samples(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models that err alike in part; rounded, so that there are many ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.6
    shared = rng.normal(truth * 1.5)
    first, second = (np.round(shared + rng.normal(size=count)) for _ in range(2))
    return truth, first, second


def test_a_model_next_to_itself() -> None:
    truth, first, _ = samples(50, seed=0)
    found = at_a_half(truth, first, first)
    assert found.auc_difference == 0
    assert found.auc_difference_interval == Interval(low=0, high=0)
    assert (found.auc_p_value, found.verdict_p_value) == (1, 1)
    assert (found.only_first_correct, found.only_second_correct) == (0, 0)
    assert found.first_accuracy == found.second_accuracy


def test_the_test_of_the_areas_is_that_of_the_paper() -> None:
    """Against the covariance of the structural components, from every pair of images."""
    truth, *models = samples(80, seed=1)
    difference = [scores[truth][:, None] - scores[~truth] for scores in models]
    kernel = (np.sign(difference) + 1) / 2  # (models, PNEUMONIA, NORMAL)
    covariance = np.cov(kernel.mean(2)) / truth.sum() + np.cov(kernel.mean(1)) / (~truth).sum()
    contrast = np.array([-1, 1])
    z = contrast @ kernel.mean((1, 2)) / math.sqrt(contrast @ covariance @ contrast)
    found = at_a_half(truth, *models)
    assert found.auc_p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))
    assert [found.first_auc, found.second_auc] == pytest.approx([roc_auc(truth, s) for s in models])


def test_the_bootstrap_is_that_of_drawn_images() -> None:
    """Against the plain way: draw images, and compute both areas of what was drawn."""
    truth, first, second = samples(60, seed=2)
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(400):
        rows = rng.integers(0, 60, 60)
        areas = roc_auc(truth[rows], first[rows]), roc_auc(truth[rows], second[rows])
        assert areas[0] is not None and areas[1] is not None
        differences.append(areas[1] - areas[0])
    low, high = np.percentile(differences, [2.5, 97.5])
    found = at_a_half(truth, first, second)
    interval = found.auc_difference_interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)
    assert interval.low < found.auc_difference < interval.high
    assert found == at_a_half(truth, first, second)


def test_models_that_err_alike_are_told_apart_more_finely_than_either_is_known() -> None:
    truth, first, _ = samples(200, seed=3)
    second = first + np.random.default_rng(0).normal(scale=0.1, size=200)
    paired, alone = at_a_half(truth, first, second).auc_difference_interval, []
    for scores in (first, second):
        interval = roc_auc_interval(truth, scores)
        assert interval is not None
        alone.append(interval.high - interval.low)
    assert paired.high - paired.low < min(alone) / 3


def test_the_order_of_the_models_turns_the_signs_only() -> None:
    truth, first, second = samples(60, seed=4)
    one = compare(truth, first, second, first_threshold=0.5, second_threshold=1.5)
    other = compare(truth, second, first, first_threshold=1.5, second_threshold=0.5)
    interval = one.auc_difference_interval
    assert other == replace(
        one,
        first_auc=one.second_auc,
        second_auc=one.first_auc,
        auc_difference=-one.auc_difference,
        auc_difference_interval=other.auc_difference_interval,
        first_accuracy=one.second_accuracy,
        second_accuracy=one.first_accuracy,
        only_first_correct=one.only_second_correct,
        only_second_correct=one.only_first_correct,
    )
    turned = other.auc_difference_interval
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))


@pytest.mark.parametrize("truth", [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])
def test_what_the_images_cannot_tell(truth: list[int]) -> None:
    # Every pair is right by the first, every pair a tie by the second: nothing varies.
    found = at_a_half(np.array(truth), np.array(truth) * 0.8, np.full(6, 0.4))
    assert (found.first_auc, found.second_auc, found.auc_difference) == (1, 0.5, -0.5)
    assert found.auc_difference_interval == Interval(low=-0.5, high=-0.5)
    assert found.auc_p_value is None


@pytest.mark.parametrize(
    ("truth", "first", "second", "message"),
    [
        ([1, 0], [0.5, 0.5, 0.5], [0.5, 0.5], r"shape.*Received: \(2,\), \(3,\) and \(2,\)"),
        ([1, 0], [0.5, 0.5], [0.5], r"shape.*Received: \(2,\), \(2,\) and \(1,\)"),
        ([[1, 0]], [[0.5, 0.5]], [[0.5, 0.5]], r"\(images,\).*Received: \(1, 2\)"),
        ([], [], [], "at least one image. Received: none"),
        ([1, 1], [0.5, 0.5], [0.5, 0.5], "both.*Received: 0 NORMAL, 2 PNEUMONIA"),
        ([0, 0], [0.5, 0.5], [0.5, 0.5], "both.*Received: 2 NORMAL, 0 PNEUMONIA"),
    ],
)
def test_what_cannot_be_compared(
    truth: list[int], first: list[float], second: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        at_a_half(np.array(truth), np.array(first), np.array(second))
