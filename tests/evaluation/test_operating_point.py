"""Operating points, by hand."""

import numpy as np
import pytest

from pneumo.evaluation import operating_point
from pneumo.evaluation.interval import wilson_interval
from pneumo.evaluation.operating_point import TradeOff

TRUTH = np.array([0, 0, 1, 1, 1])
PROBABILITIES = np.array([0.1, 0.5, 0.5, 0.4, 0.9])


def test_the_point_of_a_threshold_by_hand() -> None:
    point = operating_point.at(TRUTH, PROBABILITIES, threshold=0.5)
    assert (point.sensitivity, point.specificity) == (pytest.approx(2 / 3), 0.5)
    assert point.sensitivity_interval == wilson_interval(2, 3)
    assert point.specificity_interval == wilson_interval(1, 2)
    assert point.band == (0.25, 0.75)
    # Within a quarter and three quarters are three of five; the other two are called rightly.
    assert (point.unanswered, point.answered_accuracy) == (0.6, 1)


@pytest.mark.parametrize(
    ("threshold", "band"),
    [
        (0.5, (1 / 4, 3 / 4)),
        (0.1, (1 / 28, 1 / 4)),  # odds 1 to 9: a third is 1 to 27, three times is 1 to 3
        (0.9, (3 / 4, 27 / 28)),
    ],
)
def test_the_band_is_within_three_times_the_odds_of_the_threshold(
    threshold: float, band: tuple[float, float]
) -> None:
    assert operating_point.band(threshold) == pytest.approx(band)


def test_at_half_the_price_of_an_error_nothing_is_left_out() -> None:
    assert operating_point.band(0.1, cost=0.5) == pytest.approx((0.1, 0.1))


def test_the_ends_of_the_band_are_answered() -> None:
    point = operating_point.at(np.array([0, 1, 1]), np.array([0.25, 0.75, 0.6]), threshold=0.5)
    assert point.unanswered == pytest.approx(1 / 3)


def test_a_model_that_is_always_unsure_has_no_accuracy() -> None:
    point = operating_point.at(np.array([0, 1]), np.array([0.5, 0.5]), threshold=0.5)
    assert (point.unanswered, point.answered_accuracy) == (1, None)


def test_the_points_that_a_model_has() -> None:
    points = operating_point.every_point(TRUTH, PROBABILITIES)
    assert list(points) == ["balanced", "high-sensitivity", "high-specificity"]
    assert [point.threshold for point in points.values()] == [0.5, 0.1, 0.9]
    assert points["balanced"] == operating_point.at(TRUTH, PROBABILITIES, threshold=0.5)
    # From 0.1 on everything is PNEUMONIA, from 0.9 on the last film alone.
    sensitive, specific = points["high-sensitivity"], points["high-specificity"]
    assert (sensitive.sensitivity, sensitive.specificity) == (1, 0)
    assert (specific.sensitivity, specific.specificity) == (pytest.approx(1 / 3), 1)


def test_the_price_of_abstention_by_hand() -> None:
    # At 0.5 every film has a verdict, and NORMAL at 0.5 and PNEUMONIA at 0.4 have the wrong one.
    # At 0.45 films from 0.45 to 0.55 have none. At 0.05 no film is beyond 0.05 and 0.95.
    assert operating_point.trade_off(TRUTH, PROBABILITIES, costs=[0.5, 0.45, 0.05]) == [
        TradeOff(cost=0.5, answered=1, accuracy=3 / 5),
        TradeOff(cost=0.45, answered=3 / 5, accuracy=2 / 3),
        TradeOff(cost=0.05, answered=0, accuracy=None),
    ]
