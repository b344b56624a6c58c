"""How far a measured share may be from the true one."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


def wilson_interval(successes: int, trials: int) -> Interval:
    """95 % score interval of a proportion (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest  # slow to import, and predicting needs it not

    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return Interval(low=float(interval.low), high=float(interval.high))
