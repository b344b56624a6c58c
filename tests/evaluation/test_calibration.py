"""Probabilities: by hand, and recovered from logits whose temperature is known."""

import math

import numpy as np
import pytest
from scipy.special import expit

from pneumo.evaluation.calibration import (
    Calibration,
    binary_cross_entropy,
    expected_calibration_error,
    fit,
)


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
