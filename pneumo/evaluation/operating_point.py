"""The probability from which a film is called PNEUMONIA, chosen on validation patients."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A stored decision threshold and what it cost where it was chosen.

    Attributes:
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        sensitivity: on the validation images.
        specificity: on the validation images.
    """

    threshold: float
    sensitivity: float
    specificity: float


def balanced(is_pneumonia: np.ndarray, probabilities: np.ndarray) -> OperatingPoint:
    """The threshold with the largest sensitivity + specificity (Youden, Cancer 3, 1950).

    Validation images are few, so a whole range of thresholds shares the best score: the one in
    the middle of that range, on the logit scale, is the farthest from both mistakes.

    Args:
        is_pneumonia: bool or 0/1, shape (images,), both classes present.
        probabilities: calibrated, shape (images,).

    Raises:
        ValueError: one class is missing.
    """
    from sklearn.metrics import roc_curve  # slow to import, and cards only store the result

    truth = np.asarray(is_pneumonia, dtype=bool)
    if truth.all() or not truth.any():
        raise ValueError(
            "An operating point needs NORMAL and PNEUMONIA images. Received: "
            f"{(~truth).sum()} NORMAL, {truth.sum()} PNEUMONIA"
        )
    false_alarms, hits, thresholds = roc_curve(truth, probabilities, drop_intermediate=False)
    best = np.argmax(hits - false_alarms)
    lowest_called = thresholds[best]
    highest_spared = np.max(probabilities[probabilities < lowest_called], initial=0.0)
    return OperatingPoint(
        threshold=_middle(float(highest_spared), float(lowest_called)),
        sensitivity=float(hits[best]),
        specificity=float(1 - false_alarms[best]),
    )


def _middle(low: float, high: float) -> float:
    """The middle on the logit scale, kept off the ends where that scale is infinite."""
    low, high = np.clip([low, high], 1e-9, 1 - 1e-9)
    middle = (np.log(low / (1 - low)) + np.log(high / (1 - high))) / 2
    return float(1 / (1 + np.exp(-middle)))
