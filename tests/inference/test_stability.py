"""Variations by hand, and what is read from their probabilities."""

import dataclasses

import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.evaluation.operating_point import BALANCED
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.inference.stability import VARIATIONS, Stability, judge, vary
from pneumo.radiograph import Radiograph, to_model_input
from pneumo.settings import REPOSITORY

PICTURE = np.array([[100, 200], [100, 200]], np.uint8)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("mirrored", [200, 100]),
        ("less contrast", [110, 190]),  # mean 150, a fifth less away from it
        ("more contrast", [90, 210]),
        ("darker", [80, 160]),
        ("brighter", [120, 240]),
    ],
)
def test_a_variation_by_hand(name: str, row: list[int]) -> None:
    varied = VARIATIONS[name](PICTURE)
    assert varied.dtype == np.uint8
    assert varied.tolist() == [row, row]


def test_grey_levels_end_at_black_and_white() -> None:
    picture = np.array([[0, 255]], np.uint8)
    assert VARIATIONS["more contrast"](picture).tolist() == [[0, 255]]
    assert VARIATIONS["brighter"](picture).tolist() == [[0, 255]]


def test_cropping_takes_a_twentieth_from_each_side() -> None:
    picture = np.zeros((40, 40), np.uint8)
    picture[2:-2, 2:-2] = 255  # 2 of 40 pixels on each side are black
    assert picture.shape == VARIATIONS["cropped"](picture).shape
    assert (VARIATIONS["cropped"](picture) == 255).all()


def test_blurring_keeps_the_grey_and_loses_the_edge() -> None:
    picture = np.zeros((40, 40), np.uint8)
    picture[:, 20:] = 200
    blurred = VARIATIONS["blurred"](picture).astype(int)
    assert np.abs(np.diff(blurred, axis=1)).max() < 100
    assert blurred.mean() == pytest.approx(100, abs=1)


def stability(probability: float, **varied: float) -> Stability:
    return Stability(probability=probability, varied=varied, threshold=0.5, band=(0.25, 0.75))


def test_what_is_read_from_the_probabilities() -> None:
    found = stability(0.8, mirrored=0.9, cropped=0.6, blurred=0.2)
    assert found.range == (0.2, 0.9)
    assert found.spread == pytest.approx(0.7)
    assert found.turned == ("blurred",)
    assert found.unsure == ("cropped",)
    # A probability at the threshold is PNEUMONIA, as in a prediction.
    assert stability(0.5, mirrored=0.5).turned == ()
    assert stability(0.4, mirrored=0.5).turned == ("mirrored",)


def test_the_film_as_it_is_belongs_to_the_range() -> None:
    assert stability(0.95, mirrored=0.9).range == (0.9, 0.95)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))


def test_a_film_is_judged_as_its_prediction_is(predictor: Predictor) -> None:
    pixels = phantom.acquire("viral", seed=6, height=256).pixels
    film = Radiograph(pixels=pixels, format="PNG", bit_depth=8)
    point = predictor.bundle.card.operating_points[BALANCED]
    prediction = dataclasses.replace(predictor.predict(film), probability=0.9)
    prediction = prediction.at(point, prevalence=0.1)
    # Odds of 9, 3 and 1/4 become 1, 1/3 and 1/36; the threshold of 1/2 becomes 1/10.
    found = judge(prediction, {"mirrored": 0.75, "cropped": 0.2})
    assert found.probability == pytest.approx(0.5)
    assert found.varied == pytest.approx({"mirrored": 1 / 4, "cropped": 1 / 37})
    assert found.threshold == pytest.approx(0.1)
    assert found.turned == ("cropped",)


def test_each_variation_is_answered_under_its_name(predictor: Predictor) -> None:
    pixels = phantom.acquire("viral", seed=6, height=256).pixels
    picture = to_model_input(Radiograph(pixels=pixels, format="PNG", bit_depth=8))
    varied = vary(predictor, picture)
    assert list(varied) == list(VARIATIONS)
    (alone,) = predictor.probabilities(VARIATIONS["cropped"](picture)[np.newaxis])
    assert varied["cropped"] == pytest.approx(alone)
