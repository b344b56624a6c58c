"""The probability from which a film is called PNEUMONIA, what it costs, and when to say nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pneumo.evaluation.calibration import restate
from pneumo.evaluation.interval import Interval, wilson_interval

BALANCED = "balanced"
"""The default."""
THRESHOLDS = {BALANCED: 0.5, "high-sensitivity": 0.1, "high-specificity": 0.9}
"""From what the two errors cost (Elkan, IJCAI 2001): the same, a missed pneumonia nine times a
false alarm, a false alarm nine times a missed pneumonia. Not from a sensitivity to be reached:
validation patients are told apart too well to find the threshold of one on them."""
ABSTENTION_COST = 0.25
"""What no verdict costs, as a share of a wrong one."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A stored decision threshold and what it costs on validation patients.

    Attributes:
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        band: between these two probabilities a model is unsure.
        sensitivity: on the validation images, of all verdicts, unsure ones too.
        specificity: likewise.
        sensitivity_interval: Wilson, 95 %.
        specificity_interval: Wilson, 95 %.
        unanswered: share of the validation images inside the band.
        answered_accuracy: accuracy on those outside; None where there are none.
    """

    threshold: float
    band: tuple[float, float]
    sensitivity: float
    specificity: float
    sensitivity_interval: Interval
    specificity_interval: Interval
    unanswered: float
    answered_accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """What a price of abstention comes to.

    Attributes:
        cost: of no verdict, as a share of a wrong one.
        answered: share of the images that get a verdict.
        accuracy: on these; None where there are none.
    """

    cost: float
    answered: float
    accuracy: float | None


def band(threshold: float, *, cost: float = ABSTENTION_COST) -> tuple[float, float]:
    """The probabilities between which no verdict is cheaper than either.

    Chow's rule (On Optimum Recognition Error and Reject Tradeoff, IEEE Transactions on Information
    Theory 16, 1970) for a threshold of one half: abstain where the likelier class is less likely
    than 1 - `cost`. For another threshold the odds are as many times those of the threshold: at a
    cost of a quarter, from a third of them to three times them.

    Args:
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        cost: of no verdict, as a share of a wrong one, above 0; one half leaves nothing out.
    """
    low, high = restate(np.array([cost, 1 - cost]), prevalence=threshold).tolist()
    return low, high


def at(is_pneumonia: np.ndarray, probabilities: np.ndarray, *, threshold: float) -> OperatingPoint:
    """The operating point of a threshold, measured on these (validation) images.

    Args:
        is_pneumonia: bool or 0/1, shape (images,), both classes present.
        probabilities: calibrated, shape (images,).
        threshold: calibrated probability from which the verdict is PNEUMONIA.
    """
    truth, called = np.asarray(is_pneumonia, dtype=bool), probabilities >= threshold
    hits, positive = int(called[truth].sum()), int(truth.sum())
    rejections, negative = int((~called[~truth]).sum()), int((~truth).sum())
    outside = _outside(probabilities, band(threshold))
    return OperatingPoint(
        threshold=threshold,
        band=band(threshold),
        sensitivity=hits / positive,
        specificity=rejections / negative,
        sensitivity_interval=wilson_interval(hits, positive),
        specificity_interval=wilson_interval(rejections, negative),
        unanswered=float(np.mean(~outside)),
        answered_accuracy=_accuracy(truth, called, outside),
    )


def every_point(is_pneumonia: np.ndarray, probabilities: np.ndarray) -> dict[str, OperatingPoint]:
    """The operating points of `THRESHOLDS` by name, measured as by `at`."""
    return {
        name: at(is_pneumonia, probabilities, threshold=threshold)
        for name, threshold in THRESHOLDS.items()
    }


def trade_off(
    is_pneumonia: np.ndarray,
    probabilities: np.ndarray,
    *,
    threshold: float = 0.5,
    costs: Iterable[float] = (0.5, 0.4, 0.3, ABSTENTION_COST, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01),
) -> list[TradeOff]:
    """How many images get a verdict, and how good the verdicts are, by the price of abstention.

    Args:
        is_pneumonia: bool or 0/1, shape (images,).
        probabilities: calibrated, shape (images,).
        threshold: calibrated probability from which the verdict is PNEUMONIA.
        costs: of no verdict, as shares of a wrong one.
    """
    truth, called = np.asarray(is_pneumonia, dtype=bool), probabilities >= threshold
    found = []
    for cost in costs:
        outside = _outside(probabilities, band(threshold, cost=cost))
        found.append(
            TradeOff(
                cost=cost,
                answered=float(outside.mean()),
                accuracy=_accuracy(truth, called, outside),
            )
        )
    return found


def _outside(probabilities: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    low, high = band
    return (probabilities <= low) | (probabilities >= high)


def _accuracy(truth: np.ndarray, called: np.ndarray, answered: np.ndarray) -> float | None:
    return float((called == truth)[answered].mean()) if answered.any() else None
