"""Nearest training films by hand, the very film known again, files found by name and content."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo import radiograph
from pneumo.datasets import phantom
from pneumo.inference import cases
from pneumo.inference.cases import Cases, TrainingFilm
from pneumo.settings import ImageLimits

# Nearest --------------------------------------------------------------------------------

ACROSS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
"""Of length 1: 0°, 37°, 90°, 180°."""


def film(number: int, label: str = "NORMAL", subtype: str = "normal") -> TrainingFilm:
    return TrainingFilm(path=f"train/{label}/{number}.png", label=label, subtype=subtype)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64), np.uint8)


@pytest.fixture
def by_hand() -> Cases:
    """Four films around (10, 20); what is usual goes from -0.5 to 0.5."""
    return Cases(
        films=[film(number) for number in range(4)],
        centre=np.array([10, 20], np.float32),
        directions=np.eye(2, dtype=np.float16),
        vectors=ACROSS.astype(np.float16),
        fingerprints=cases.fingerprints(picture(seed) for seed in range(4)),
        usual=np.linspace(-0.5, 0.5, 101, dtype=np.float32),
    )


def test_the_nearest_point_the_same_way(by_hand: Cases) -> None:
    # From the centre (0, 3): cosines 0, 0.6, 1, 0; its length plays no part.
    nearest = by_hand.nearest(picture(9), np.array([10, 23], np.float32), count=2)
    assert [case.film.path for case in nearest] == ["train/NORMAL/2.png", "train/NORMAL/1.png"]
    assert [case.similarity for case in nearest] == pytest.approx([1, 0.6], abs=1e-3)
    assert [case.closeness for case in nearest] == [1, 1]
    assert not any(case.same for case in nearest)


def test_closeness_is_a_share_of_what_is_usual(by_hand: Cases) -> None:
    # (-1, 0) is nearest; cosines with the others: 0, -0.8, -1. Below 0 are 50 percentiles of 101.
    nearest = by_hand.nearest(picture(9), np.array([9, 20], np.float32))
    assert [case.film.path[-5] for case in nearest] == ["3", "2", "1", "0"]
    assert [case.closeness for case in nearest] == pytest.approx([1, 50 / 101, 0, 0])
    assert [case.wording for case in nearest] == [
        *("Closer than 100 %", "Closer than 50 %", "Far", "Far")
    ]


def test_the_film_itself_comes_first(by_hand: Cases) -> None:
    enlarged = cv2.resize(picture(0), (128, 128), interpolation=cv2.INTER_NEAREST)
    nearest = by_hand.nearest(enlarged, np.array([10, 23], np.float32))
    assert [case.film.path[-5] for case in nearest] == ["0", "2", "1", "3"]
    assert [case.same for case in nearest] == [True, False, False, False]
    assert nearest[0].wording == "The film itself"


def test_fitted_to_films() -> None:
    rng = np.random.default_rng(0)
    # Long along the first number; two groups apart in the second.
    group = np.repeat([0, 1], 20)
    features = rng.normal(0, [9, 0.1, 0.1], (40, 3)).astype(np.float32)
    features[:, 1] += 6 * group
    films = [film(number, "PNEUMONIA" if it else "NORMAL") for number, it in enumerate(group)]
    fitted = Cases.fit(films, features, cases.fingerprints(map(picture, range(40))))
    assert fitted.centre == pytest.approx(features.mean(axis=0), abs=1e-4)
    assert fitted.vectors.dtype == np.float16 and fitted.vectors.shape == (40, 3)
    assert np.linalg.norm(fitted.vectors.astype(float), axis=1) == pytest.approx(1, abs=1e-3)
    # Along each direction the films are as wide as the root of their deviation.
    width = ((features - fitted.centre) @ fitted.directions.T.astype(np.float32)).std(axis=0)
    assert width[:1] == pytest.approx([np.sqrt(features[:, 0].std())], rel=0.05)
    assert (np.diff(fitted.usual) >= 0).all() and fitted.usual[-1] < 1 + 1e-6
    own = fitted.nearest(picture(3), features[3])
    assert own[0].film == films[3] and own[0].same
    assert own[0].similarity == pytest.approx(1, abs=1e-3)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_films_that_are_all_alike() -> None:
    pictures = [picture(seed) for seed in range(3)]
    features = np.ones((3, 4), np.float32)
    fitted = Cases.fit([film(it) for it in range(3)], features, cases.fingerprints(pictures))
    nearest = fitted.nearest(pictures[1], features[1])
    assert len(nearest) == 3
    assert np.isfinite([case.similarity for case in nearest]).all()


def test_cases_on_disk(by_hand: Cases, tmp_path: Path) -> None:
    by_hand.save(tmp_path / "cases.npz")
    read = Cases.load(tmp_path / "cases.npz")
    assert list(read.films) == list(by_hand.films)
    for name in ("centre", "directions", "vectors", "fingerprints", "usual"):
        expected, found = getattr(by_hand, name), getattr(read, name)
        assert (found == expected).all() and found.dtype == expected.dtype, name


# The very film --------------------------------------------------------------------------


def test_a_fingerprint_by_hand() -> None:
    slope = np.tile(np.arange(170, dtype=np.uint8), (160, 1))
    slope[:80] = slope[:80, ::-1]  # the upper half grows darker to the right
    (fingerprint,) = cases.fingerprints([slope])
    assert fingerprint.tolist() == [0] * 16 + [255] * 16


def test_up_to_ten_bits_may_differ() -> None:
    known = np.zeros((3, 32), np.uint8)
    known[1, :2] = [255, 0b11]
    known[2, :2] = [255, 0b111]
    assert cases.are_same(known, np.zeros(32, np.uint8)).tolist() == [True, True, False]


def test_a_film_is_known_at_another_size_and_quality(tmp_path: Path) -> None:
    films = [phantom.acquire("bacterial", seed=seed, height=400).pixels for seed in (1, 2)]
    squares = [cv2.resize(it, (224, 224), interpolation=cv2.INTER_AREA) for it in films]
    cv2.imwrite(str(tmp_path / "small.jpg"), squares[0], [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = radiograph.to_model_input(radiograph.read_file(tmp_path / "small.jpg"))
    (fingerprint,) = cases.fingerprints([again])
    assert cases.are_same(cases.fingerprints(squares), fingerprint).tolist() == [True, False]


# Files ----------------------------------------------------------------------------------


def test_a_film_is_found_by_name_and_content(by_hand: Cases, tmp_path: Path) -> None:
    case = by_hand.nearest(picture(0), np.array([11, 20], np.float32))[0]
    roots = [tmp_path / name for name in ("missing", "damaged", "other", "right")]
    for root, content in zip(roots[1:], (None, picture(1), picture(0)), strict=True):
        (root / "train/NORMAL").mkdir(parents=True)
        if content is None:
            (root / case.film.path).write_bytes(b"no picture")
        else:
            cv2.imwrite(str(root / case.film.path), content)
    found = cases.find(case, roots, size=64, limits=ImageLimits())
    assert found is not None and found[0] == tmp_path / "right"
    assert (found[1].pixels == picture(0)).all()
    shutil.rmtree(tmp_path / "right")
    assert cases.find(case, roots, size=64, limits=ImageLimits()) is None
