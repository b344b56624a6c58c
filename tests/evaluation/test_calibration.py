"""Probabilities: by hand, and recovered from logits whose temperature is known."""

import math

import numpy as np
import pytest
from scipy.special import expit

from pneumo.evaluation.calibration import (
    Calibration,
    binary_cross_entropy,
    brier_score,
    expected_calibration_error,
    fit,
    reliability,
    restate,
)
from pneumo.evaluation.interval import wilson_interval


def test_probability_by_hand() -> None:
    assert Calibration(offset=0.5, temperature=3).probability(0.5) == 0.5
    # (2 ln 3 + 1 - 1) / 2 = ln 3, whose odds are 3 to 1.
    tempered = Calibration(offset=1, temperature=2)
    assert tempered.probability(2 * math.log(3) + 1) == pytest.approx(0.75)
    plain = Calibration(offset=0, temperature=1)
    logits = np.array([[-math.log(4)], [math.log(4)]], np.float32)
    assert plain.probability(logits) == pytest.approx(np.array([[0.2], [0.8]]))
    assert plain.probability(logits).dtype == np.float64
    hot = Calibration(offset=0, temperature=0.05)
    assert hot.probability(np.array([-1e6, 1e6])).tolist() == [0, 1]


def test_cross_entropy_by_hand() -> None:
    truth, probabilities = np.array([1, 0]), np.array([0.25, 0.5])
    assert binary_cross_entropy(truth, probabilities) == pytest.approx(math.log(4 * 2) / 2)
    # Certain and wrong costs -ln 1e-7, and is no infinity.
    assert binary_cross_entropy(np.array([1]), np.array([0.0])) == pytest.approx(7 * math.log(10))
    assert binary_cross_entropy(np.array([0]), np.array([1.0])) == pytest.approx(7 * math.log(10))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered_whatever_the_prevalence(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0.5, 3 * temperature, size=40_000)
    truth = rng.random(40_000) < expit((logits - 0.5) / temperature)
    fitted = fit(truth, logits, offset=0.5)
    assert fitted.offset == 0.5
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)
    few = truth | (rng.random(40_000) < 0.2)  # four fifths of the NORMAL films are gone
    again = fit(truth[few], logits[few], offset=0.5)
    assert again.temperature == pytest.approx(temperature, rel=0.05)


def test_the_temperature_stays_within_its_bounds() -> None:
    logits = np.array([-9.0, -4, 5, 8])
    assert 0.05 <= fit(np.array([0, 0, 1, 1]), logits, offset=0).temperature < 20
    assert fit(np.array([1, 1, 0, 0]), logits, offset=0).temperature == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("probability", "prevalence", "base", "expected"),
    [
        (0.9, 0.1, 0.5, 0.5),  # odds 9 to 1, of which a ninth is left
        (0.5, 0.2, 0.5, 0.2),  # a film that tells nothing
        (0.25, 0.75, 0.5, 0.5),
        (0.5, 0.5, 0.1, 0.9),  # back to even classes
        (0.75, 0.25, 0.75, 0.25),  # odds 3, of which a ninth is left
        (0.0, 0.9, 0.5, 0.0),
        (1.0, 0.1, 0.5, 1.0),
    ],
)
def test_restated_by_hand(
    probability: float, prevalence: float, base: float, expected: float
) -> None:
    assert restate(probability, prevalence=prevalence, base=base) == pytest.approx(expected)


def test_restated_for_the_same_share_nothing_changes() -> None:
    stated = np.random.default_rng(0).random(100)
    assert np.array_equal(restate(stated, prevalence=0.5), stated)
    assert np.array_equal(restate(stated, prevalence=0.3, base=0.3), stated)


@pytest.mark.parametrize(
    ("prevalence", "base", "name"),
    [(0.0, 0.5, "prevalence"), (1.0, 0.5, "prevalence"), (np.nan, 0.5, "prev"), (0.5, 1.5, "base")],
)
def test_what_restate_refuses(prevalence: float, base: float, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}.*must be between 0 and 1"):
        restate(0.5, prevalence=prevalence, base=base)


def test_brier_score_by_hand() -> None:
    truth, probabilities = np.array([True, False, True]), np.array([0.5, 0.2, 1.0])
    assert brier_score(truth, probabilities) == pytest.approx((0.25 + 0.04 + 0) / 3)


def test_reliability_by_hand() -> None:
    # Four bins of width 1/4; the second is empty, and 1 is in the last.
    truth = np.array([0, 1, 1, 0, 1])
    low, high, end = reliability(truth, np.array([0.0, 0.2, 0.5, 0.7, 1.0]), bins=4)
    assert (low.images, high.images, end.images) == (2, 2, 1)
    assert (low.probability, low.observed) == (pytest.approx(0.1), 0.5)
    assert (high.probability, high.observed) == (pytest.approx(0.6), 0.5)
    assert (end.probability, end.observed) == (1, 1)
    assert low.interval == wilson_interval(1, 2)
    assert end.interval == wilson_interval(1, 1)


def test_expected_calibration_error_by_hand() -> None:
    # Bins of width 0.5. Below: stated 0.2, observed 1/2. Above: stated 0.8, observed 3/4.
    truth = np.array([0, 1, 1, 1, 1, 0])
    probabilities = np.array([0.1, 0.3, 0.7, 0.8, 0.9, 0.8])
    expected = (2 * 0.3 + 4 * 0.05) / 6
    assert expected_calibration_error(truth, probabilities, bins=2) == pytest.approx(expected)


def test_expected_calibration_error_at_the_ends() -> None:
    assert expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    assert expected_calibration_error(np.array([1, 0]), np.array([0.0, 1.0])) == 1
    # Bools, as everywhere: a quarter observed, a quarter stated.
    truth = np.array([True, False, False, False])
    assert expected_calibration_error(truth, np.full(4, 0.25)) == 0
