"""Intervals of shares, by hand."""

import pytest

from pneumo.evaluation.interval import wilson_interval


def test_wilson_interval_by_hand() -> None:
    # p = 0.8, n = 10, z = 1.96: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    interval = wilson_interval(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert wilson_interval(0, 10).low == 0
    assert wilson_interval(10, 10).high == 1
    assert wilson_interval(10, 10).low == pytest.approx(10 / (10 + 1.959964**2))
