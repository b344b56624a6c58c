"""The probability from which a film is called PNEUMONIA, and what it costs."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A stored decision threshold and what it costs on validation patients.

    Attributes:
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        sensitivity: on the validation images.
        specificity: on the validation images.
    """

    threshold: float
    sensitivity: float
    specificity: float


def at(is_pneumonia: np.ndarray, probabilities: np.ndarray, *, threshold: float) -> OperatingPoint:
    """The operating point of a threshold, measured on these (validation) images.

    Args:
        is_pneumonia: bool or 0/1, shape (images,), both classes present.
        probabilities: calibrated, shape (images,).
        threshold: calibrated probability from which the verdict is PNEUMONIA.
    """
    truth, called = np.asarray(is_pneumonia, dtype=bool), probabilities >= threshold
    return OperatingPoint(
        threshold=threshold,
        sensitivity=float(called[truth].mean()),
        specificity=float((~called[~truth]).mean()),
    )
