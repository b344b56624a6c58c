"""Operating points, by hand."""

import numpy as np
import pytest

from pneumo.evaluation import operating_point


def test_the_point_of_a_threshold_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    probabilities = np.array([0.1, 0.5, 0.5, 0.4, 0.9])
    point = operating_point.at(truth, probabilities, threshold=0.5)
    assert (point.sensitivity, point.specificity) == (pytest.approx(2 / 3), 0.5)
