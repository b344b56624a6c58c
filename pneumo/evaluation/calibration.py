"""From logits to probabilities that mean what they say."""

from dataclasses import dataclass

import numpy as np

from pneumo.evaluation.interval import Interval, wilson_interval


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


def restate(
    probabilities: np.ndarray | float, *, prevalence: float, base: float = 0.5
) -> np.ndarray:
    """Probabilities of PNEUMONIA where another share of the films is PNEUMONIA.

    Bayes' rule on the odds (Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, theorem
    2): they change as the odds before looking do. What a film shows of each class must be the same.

    Args:
        probabilities: of any shape.
        prevalence: the share of PNEUMONIA that they are wanted for, between 0 and 1.
        base: the share that they are stated for; calibrated probabilities are for one half.

    Returns: float64, of the same shape; in the same order as before.

    Raises:
        ValueError: a share is not between 0 and 1.
    """
    for name, share in (("prevalence", prevalence), ("base", base)):
        if not 0 < share < 1:
            raise ValueError(f"`{name}` must be between 0 and 1. Received: {name}={share}")
    stated = np.asarray(probabilities, dtype=np.float64)
    if prevalence == base:
        return stated  # to the last digit
    pneumonia = stated * prevalence * (1 - base)
    return np.asarray(pneumonia / (pneumonia + (1 - stated) * (1 - prevalence) * base))


def brier_score(is_pneumonia: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance between probability and truth (Brier, Monthly Weather Review, 1950)."""
    return float(np.mean((probabilities - np.asarray(is_pneumonia, dtype=float)) ** 2))


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Images whose stated probabilities lie close together.

    Attributes:
        images: how many; at least one.
        probability: their mean stated probability.
        observed: share of them that are PNEUMONIA.
        interval: of that share, Wilson, 95 %.
    """

    images: int
    probability: float
    observed: float
    interval: Interval


def reliability(
    is_pneumonia: np.ndarray, probabilities: np.ndarray, *, bins: int = 10
) -> list[ReliabilityBin]:
    """Stated against observed, in bins of equal width over [0, 1]; empty ones are left out.

    The reliability diagram of Niculescu-Mizil and Caruana, Predicting Good Probabilities With
    Supervised Learning, ICML 2005.

    Args:
        is_pneumonia: bool or 0/1, shape (images,).
        probabilities: shape (images,), stated for the share of PNEUMONIA among these images:
            `restate` calibrated ones for it first.
    """
    truth = np.asarray(is_pneumonia, dtype=bool)
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    found = []
    for members in (index == number for number in np.unique(index)):
        images, pneumonia = int(members.sum()), int(truth[members].sum())
        found.append(
            ReliabilityBin(
                images=images,
                probability=float(probabilities[members].mean()),
                observed=pneumonia / images,
                interval=wilson_interval(pneumonia, images),
            )
        )
    return found


def expected_calibration_error(
    is_pneumonia: np.ndarray, probabilities: np.ndarray, *, bins: int = 10
) -> float:
    """Mean distance between stated probability and observed share, over the bins of `reliability`.

    Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    found = reliability(is_pneumonia, probabilities, bins=bins)
    return sum(it.images * abs(it.probability - it.observed) for it in found) / len(is_pneumonia)
