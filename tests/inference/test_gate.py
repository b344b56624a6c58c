"""Distances by hand, phantoms and what was made of them, every reason of the shipped model."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.inference import gate
from pneumo.inference.gate import Gate, Neighbourhood, Seen, layouts
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import Radiograph

# A neighbourhood ------------------------------------------------------------------------

CROSS = np.array([[13, 20], [7, 20], [10, 21], [10, 19]], np.float32)
"""Around (10, 20). Mean squares: 18/4 across, 2/4 along. Four films tell one direction."""


def test_distances_by_hand() -> None:
    near = Neighbourhood.of(CROSS, CROSS)
    assert near.centre == pytest.approx([10, 20])
    assert np.abs(near.directions) == pytest.approx(np.array([[1, 0]]))
    assert (near.variances, near.unexplained) == (pytest.approx([4.5]), pytest.approx(0.5))
    points = np.array([[10, 20], [13, 20], [10, 21], [13, 22]], np.float32)
    # 3² / 4.5 along the direction; 1² / 0.5 and 2² / 0.5 across.
    assert near.distances(points) == pytest.approx([0, 2, 2, 10], abs=1e-4)
    # Lengths by the root of the mean squared length, √5.
    assert near.scaled(points[1:2]) == pytest.approx(np.array([[3 / np.sqrt(5), 0]]))


def test_the_farthest_distance_is_beyond_validation() -> None:
    assert Neighbourhood.of(CROSS, CROSS).farthest == pytest.approx(2)  # all are at 2
    # At 2 and 8: logarithms log 4 ± log 2, so three deviations above are 4 · 2³.
    validation = np.array([[13, 20], [10, 22]], np.float32)
    assert Neighbourhood.of(CROSS, validation).farthest == pytest.approx(32, rel=1e-4)


def test_films_that_are_all_alike() -> None:
    near = Neighbourhood.of(np.ones((5, 3), np.float32), np.ones((2, 3), np.float32))
    assert near.distances(np.ones((1, 3), np.float32)) == pytest.approx([0])
    assert near.distances(np.zeros((1, 3), np.float32))[0] > near.farthest


def test_a_layout_does_not_depend_on_exposure() -> None:
    halves = np.zeros((1, 64, 64), np.uint8)
    halves[:, :, 32:] = 200
    (layout,) = layouts(halves)
    assert layout.shape == (256,)
    assert layout.reshape(16, 16)[:, :8] == pytest.approx(-1)
    assert layout.reshape(16, 16)[:, 8:] == pytest.approx(1)
    assert layouts(halves // 2 + 50)[0] == pytest.approx(layout)
    # Nearly blank: what there is stays faint.
    assert np.abs(layouts(halves // 100)).max() == pytest.approx(1 / 8)


# Phantoms -------------------------------------------------------------------------------


def seen(pictures: np.ndarray) -> Seen:
    """Shares of grey levels stand for what a network makes of pictures."""
    shares = [np.histogram(it, 8, (0, 256))[0] / it.size for it in pictures]
    return Seen(pictures=pictures, features=np.array(shares, np.float32))


def pictures(seeds: range) -> np.ndarray:
    films = [phantom.acquire("normal", seed=seed, height=96).pixels for seed in seeds]
    return np.stack([cv2.resize(film, (96, 96)) for film in films])


@pytest.fixture(scope="module")
def fitted() -> Gate:
    films = pictures(range(24))
    noise = np.random.default_rng(0).integers(0, 256, films.shape).astype(np.uint8)
    outside = np.concatenate([255 - films, films[:, ::-1], np.rot90(films, 1, (1, 2)), noise])
    kinds = np.repeat([1, 2, 2, 3], 24)
    return Gate.fit(seen(films), seen(outside), kinds, seen(pictures(range(24, 36))))


def test_phantoms_inverted_and_turned(fitted: Gate) -> None:
    films = pictures(range(40, 50))
    assert fitted.flagged(seen(films)).mean() <= 0.2
    assert set(fitted.kinds(seen(films))) == {0}
    assert set(fitted.kinds(seen(255 - films))) == {1}
    assert set(fitted.kinds(seen(films[:, ::-1]))) == {2}
    assert set(fitted.kinds(seen(np.rot90(films, 1, (1, 2))))) == {2}


def test_what_it_has_not_learned_is_strange(fitted: Gate) -> None:
    checks = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((12, 12)))
    assert fitted.strange(seen(np.uint8(checks * 255)[np.newaxis])).all()
    blank = seen(np.full((1, 96, 96), 90, np.uint8))
    assert fitted.flagged(blank).all()


def test_a_gate_on_disk(fitted: Gate, tmp_path: Path) -> None:
    fitted.save(tmp_path / "gate.npz")
    read = Gate.load(tmp_path / "gate.npz")
    assert (read.weights == fitted.weights).all() and read.weights.dtype == np.float32
    for name in ("by_features", "by_layout"):
        for part, value in vars(getattr(fitted, name)).items():
            assert (vars(getattr(read, name))[part] == value).all(), (name, part)


def reasons(fitted: Gate, pixels: np.ndarray, *, colour: float = 0.0) -> tuple[str, ...]:
    radiograph = Radiograph(pixels=pixels, format="PNG", bit_depth=8, colour=colour)
    answer = seen(cv2.resize(pixels, (96, 96))[np.newaxis])
    return fitted.reasons(radiograph, answer.pictures[0], answer.features[0])


def test_reasons(fitted: Gate) -> None:
    film = pictures(range(40, 41))[0]
    assert reasons(fitted, film) == ()
    assert reasons(fitted, film, colour=gate.COLOURED) == ()
    assert reasons(fitted, film, colour=6.1) == ("In colour: radiographs are grey.",)
    assert reasons(fitted, 255 - film) == ("Looks inverted: bone must be bright and air dark.",)
    assert reasons(fitted, film[::-1]) == ("Looks turned: the head must be above.",)
    assert reasons(fitted, cv2.resize(film, (96, 336))) == ()
    assert reasons(fitted, cv2.resize(film, (96, 384))) == (
        "A strip: one side is 4.0 times the other.",
    )
    # Grey levels 100 to 131 span 31, 100 to 132 span 32.
    blank = "Hardly any contrast: this may be a blank image."
    assert reasons(fitted, np.clip(film, 100, 131)) == (blank,)
    assert blank not in reasons(fitted, np.clip(film, 100, 132))
    assert reasons(fitted, np.zeros((96, 96), np.uint8), colour=50) == (
        "In colour: radiographs are grey.",
        blank,
    )


def test_the_shipped_model_flags_what_is_no_chest_film(predictor: Predictor) -> None:
    rows, columns = np.indices((300, 300))
    film = phantom.acquire("normal", seed=3).pixels
    rings = np.uint8(127 + 127 * np.sin(np.hypot(rows - 150, columns - 150) / 9))
    for pixels, word in (
        (255 - film, "inverted"),
        (np.rot90(film), "turned"),
        (np.rot90(film, -1), "turned"),
        (film[::-1], "turned"),
        (rings, "chest radiograph"),
        (np.zeros((300, 300), np.uint8), "blank"),
    ):
        radiograph = Radiograph(pixels=np.ascontiguousarray(pixels), format="PNG", bit_depth=8)
        (reason,) = predictor.predict(radiograph).scope
        assert word in reason
