"""Whole films: reproducible, and with nothing but the lesion to tell them apart."""

import cv2
import numpy as np
import pytest

from pneumo.datasets import phantom

SMALL = 128  # rows; enough to see a lesion


@pytest.mark.parametrize("subtype", phantom.SUBTYPES)
def test_same_seed_same_film(subtype: phantom.Subtype) -> None:
    first = phantom.acquire(subtype, seed=5, height=SMALL)
    second = phantom.acquire(subtype, seed=5, height=SMALL)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.lesion, second.lesion)


def test_seeds_and_examinations_differ() -> None:
    first = phantom.acquire("normal", seed=5, height=SMALL)
    for other in (
        phantom.acquire("normal", seed=6, height=SMALL),
        phantom.acquire("normal", seed=5, exam=1, height=SMALL),
    ):
        same_size = other.pixels.shape == first.pixels.shape
        assert not (same_size and np.array_equal(first.pixels, other.pixels))


@pytest.mark.parametrize("subtype", ["bacterial", "viral"])
@pytest.mark.parametrize("seed", range(8))
def test_lesion_is_the_only_difference(subtype: phantom.Subtype, seed: int) -> None:
    """Size, exposure, letter, noise and anatomy cannot tell the classes apart."""
    healthy = phantom.acquire("normal", seed=seed, height=SMALL)
    ill = phantom.acquire(subtype, seed=seed, height=SMALL)
    assert healthy.pixels.shape == ill.pixels.shape == ill.lesion.shape
    assert not healthy.lesion.any()
    assert 0.005 < ill.lesion.mean() < 0.5

    change = ill.pixels.astype(int) - healthy.pixels.astype(int)
    assert change[ill.lesion].mean() > 5
    # Far from the lesion (scatter and processing reach a little further than it does).
    far = cv2.dilate(ill.lesion.astype(np.uint8), np.ones((41, 41))) == 0
    assert np.abs(change[far]).mean() < 2


def test_unknown_subtype_is_refused() -> None:
    with pytest.raises(ValueError, match="subtype='covid'"):
        phantom.acquire("covid", seed=0)


def test_tiny_height_is_refused() -> None:
    with pytest.raises(ValueError, match="height=32"):
        phantom.acquire("normal", seed=0, height=32)
