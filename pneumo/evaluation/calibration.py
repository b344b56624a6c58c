"""From logits to probabilities that mean what they say."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What turns a logit into a probability for a film that may as well be of either class.

    Attributes:
        offset: the logit at which NORMAL and PNEUMONIA are equally likely.
        temperature: divides what the logit exceeds the offset by.
    """

    offset: float
    temperature: float

    def probability(self, logits: np.ndarray | float) -> np.ndarray:
        """Calibrated probability of PNEUMONIA, float64, of the same shape."""
        scaled = (np.asarray(logits, dtype=np.float64) - self.offset) / self.temperature
        return np.asarray(np.exp(-np.logaddexp(0, -scaled)))  # never overflows


def binary_cross_entropy(is_pneumonia: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log likelihood, in nats; certainty is limited to 1e-7 as in Keras."""
    certain = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(is_pneumonia, np.log(certain), np.log1p(-certain))))


def fit(is_pneumonia: np.ndarray, logits: np.ndarray, *, offset: float) -> Calibration:
    """The temperature with the least cross-entropy on these (validation) images.

    Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017. Both
    classes weigh alike, however many images each has: the probability then means the same
    wherever the model is used, and can be restated for a prevalence that is known there. The
    search stays within [0.05, 20]: images that a model separates perfectly would pull the
    temperature to zero and every probability to certainty.

    Args:
        is_pneumonia: bool or 0/1, shape (images,), both classes present.
        logits: shape (images,).
        offset: the logit at which both classes are equally likely.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and predicting needs it not

    truth = np.asarray(is_pneumonia, dtype=bool)

    def loss(log_temperature: float) -> float:
        calibration = Calibration(offset=offset, temperature=float(np.exp(log_temperature)))
        probabilities = calibration.probability(logits)
        return sum(
            binary_cross_entropy(truth[side], probabilities[side]) for side in (truth, ~truth)
        )

    result = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return Calibration(offset=offset, temperature=float(np.exp(result.x)))


def expected_calibration_error(
    is_pneumonia: np.ndarray, probabilities: np.ndarray, *, bins: int = 10
) -> float:
    """Mean distance between the stated probability and the observed share, over equal bins.

    Naeini et al., AAAI 2015, with bins of equal width over [0, 1].
    """
    truth = np.asarray(is_pneumonia, dtype=float)
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs((truth[index == bin_] - probabilities[index == bin_]).sum()) for bin_ in range(bins)
    ]
    return float(np.sum(gaps) / truth.size)
