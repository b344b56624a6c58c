"""Nuisances change what they name and nothing else; figures are worked by hand."""

import numpy as np
import pytest

from pneumo.evaluation import stress
from pneumo.evaluation.stress import FRAME_SWAPPED, LUNGS_BLACKED_OUT, NUISANCES, apply

SIZE = 64


@pytest.fixture
def picture() -> np.ndarray:
    """A bright square off the centre on a dark ramp."""
    ramp = np.tile(np.linspace(10, 90, SIZE), (SIZE, 1)).astype(np.uint8)
    ramp[20:36, 24:44] = 200
    return ramp


def changed(name: str, picture: np.ndarray) -> np.ndarray:
    """The picture among films of both classes."""
    films = np.stack([picture, np.full_like(picture, 128)])
    return apply(name, films, np.array([True, False]))[0]


@pytest.mark.parametrize("name", NUISANCES)
def test_every_nuisance_keeps_shape_and_type_and_changes_something(
    name: str, picture: np.ndarray
) -> None:
    before = picture.copy()
    after = changed(name, picture)
    assert (after.shape, after.dtype) == (picture.shape, np.uint8)
    assert not np.array_equal(after, picture)
    assert np.array_equal(picture, before)  # the original is left alone
    assert np.array_equal(after, changed(name, picture))  # and chance is seeded


def square(picture: np.ndarray) -> tuple[int, int]:
    """Height and width of the bright square."""
    rows, columns = np.nonzero(picture > 150)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_stretching(picture: np.ndarray) -> None:
    assert square(picture) == (16, 20)
    assert square(changed("wider by 30 %", picture)) in ((16, 25), (16, 26))
    assert square(changed("narrower by 30 %", picture))[1] in (15, 16)
    assert square(changed("taller by 30 %", picture)) in ((20, 20), (21, 20))


def test_moving_and_mirroring(picture: np.ndarray) -> None:
    rows, columns = (np.nonzero(it > 150) for it in (picture, changed("moved by 6 %", picture)))
    # 6 % of 64 pixels are 3.84.
    assert columns[0].mean() - rows[0].mean() == pytest.approx(3.84, abs=0.5)
    assert columns[1].mean() - rows[1].mean() == pytest.approx(3.84, abs=0.5)
    assert np.array_equal(changed("mirrored", picture), picture[:, ::-1])


def test_grey_levels() -> None:
    grey = np.array([[0, 51, 128, 255]], np.uint8)
    # 51 / 255 = 0.2; 0.2 ** 0.6 = 0.3807; 0.5 - 0.6 · 0.3 = 0.32; 0.5 - 1.4 · 0.3 = 0.08.
    assert changed("gamma 0.6", grey)[0, 1] == 97
    assert changed("less contrast", grey).tolist() == [[51, 82, 128, 204]]
    assert changed("more contrast", grey)[0, 1] == 20


def test_corners_only(picture: np.ndarray) -> None:
    for name in ("corners blacked out", "marker swapped, small", "marker swapped, large"):
        after = changed(name, picture)
        inner = slice(round(0.2 * SIZE), -round(0.2 * SIZE))
        assert np.array_equal(after[inner], picture[inner])
        assert np.array_equal(after[:, inner], picture[:, inner])
    assert changed("corners blacked out", picture)[:11, :11].max() == 0
    flat = np.full((SIZE, SIZE), 60, np.uint8)
    small, large = (
        int((changed(f"marker swapped, {size}", flat) > 90).sum()) for size in ("small", "large")
    )
    assert 0 < small < large < 100


def test_no_lung_is_left(picture: np.ndarray) -> None:
    after = changed(LUNGS_BLACKED_OUT, picture)
    assert after[16:48, 16:48].max() == 0 and after[:4].min() >= 10


def test_the_frame_is_that_of_a_film_of_the_other_class() -> None:
    films = np.stack([np.full((SIZE, SIZE), level, np.uint8) for level in (10, 20, 210, 220)])
    changed = apply(FRAME_SWAPPED, films, np.array([False, False, True, True]))
    assert changed[:, 32, 32].tolist() == [10, 20, 210, 220]
    assert set(changed[:2, 1, 1].tolist()) <= {210, 220}
    assert set(changed[2:, 1, 1].tolist()) <= {10, 20}
    one_class = apply(FRAME_SWAPPED, films, np.ones(4, bool))
    assert np.array_equal(one_class, films)  # no other frame to be had


def test_figures_by_hand() -> None:
    """A model that answers with the mean grey level: gamma changes one verdict of four."""
    levels = np.array([40, 110, 160, 230], np.uint8)
    pictures = np.stack([np.full((8, 8), level, np.uint8) for level in levels])
    truth = np.array([False, False, True, True])
    untouched, brighter = stress.stress(
        pictures,
        truth,
        lambda it: it.mean(axis=(1, 2)) / 255,
        threshold=0.5,
        nuisances=["gamma 0.6"],
    )
    assert (untouched.nuisance, untouched.roc_auc, untouched.flipped) == ("none", 1.0, 0.0)
    assert (untouched.sensitivity, untouched.specificity) == (1.0, 1.0)
    # 110 / 255 = 0.431, and 0.431 ** 0.6 = 0.604: a false alarm.
    assert (brighter.roc_auc, brighter.flipped) == (1.0, 0.25)
    assert (brighter.sensitivity, brighter.specificity) == (1.0, 0.5)


def test_an_unknown_nuisance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`nuisances` must be among .*Received: rain"):
        stress.stress(
            np.zeros((1, 8, 8), np.uint8),
            np.array([True]),
            lambda it: np.zeros(len(it)),
            threshold=0.5,
            nuisances=["rain"],
        )
