"""Verdicts, their words, and the shipped model."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pneumo import radiograph
from pneumo.evaluation import operating_point
from pneumo.evaluation.operating_point import OperatingPoint
from pneumo.inference.explanation import Head
from pneumo.inference.predictor import OUT_OF_SCOPE, Prediction, Predictor, _cause, doubts, percent
from pneumo.radiograph import Radiograph

PREDICTION = Prediction(
    logit=0.0,
    probability=0.5,
    threshold=0.5,
    band=(0.5, 0.5),
    cause={},
    flags=(),
    scope=(),
    heat_map=np.zeros((7, 7), np.float32),
    heat_map_normal=np.zeros((7, 7), np.float32),
    milliseconds=1.0,
    model="sparrow",
    model_digest="0",
)


@pytest.fixture(scope="module")
def films(sample_root: Path) -> list[Radiograph]:
    return [radiograph.read_file(path) for path in sorted(sample_root.glob("test/*/*.jpeg"))[::3]]


@pytest.mark.parametrize(
    ("probability", "threshold", "verdict", "confidence"),
    [
        (0.3, 0.3, "PNEUMONIA", 0.3),
        (np.nextafter(0.3, 0), 0.3, "NORMAL", 0.7),
        (0.6, 0.7, "NORMAL", 0.4),
        (1.0, 0.3, "PNEUMONIA", 1.0),
        (0.0, 0.3, "NORMAL", 1.0),
    ],
)
def test_the_verdict_turns_at_the_threshold(
    probability: float, threshold: float, verdict: str, confidence: float
) -> None:
    prediction = dataclasses.replace(PREDICTION, probability=probability, threshold=threshold)
    assert prediction.verdict == verdict
    assert prediction.confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("probability", "wording"),
    [
        (0.92644, "Prediction: Pneumonia, confidence 92.64 %"),
        (0.0736, "Prediction: Normal, confidence 92.64 %"),
        (0.5, "Prediction: Pneumonia, confidence 50.00 %"),
    ],
)
def test_the_words(probability: float, wording: str) -> None:
    assert dataclasses.replace(PREDICTION, probability=probability).wording == wording


@pytest.mark.parametrize(
    ("share", "words"),
    [
        *((0.5, "50 %"), (0.0357, "3.57 %"), (0.999, "99.9 %")),
        *((0.99953, "99.95 %"), (0.99999, "99.99 %"), (1.0, "100 %")),
    ],
)
def test_nothing_less_is_called_all(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(("probability", "told"), [(0.99999, "99.99 %"), (0.00001, "0.01 %")])
def test_no_film_makes_a_model_certain(probability: float, told: str) -> None:
    prediction = dataclasses.replace(PREDICTION, probability=probability)
    assert f"Probability of pneumonia {told}, called" in prediction.statement
    assert "confidence 99.99 %" in prediction.wording


def test_no_film_makes_a_model_certain_of_a_cause() -> None:
    cause = {"bacterial": 0.99999, "viral": 0.00001}
    ill = dataclasses.replace(PREDICTION, probability=0.9, cause=cause)
    assert ill.causes == "If it is pneumonia: bacterial 99.99 %, viral 0.01 %."
    assert dataclasses.replace(ill, probability=0.1).causes == ""
    assert dataclasses.replace(ill, cause={}).causes == ""


def test_out_of_scope_comes_before_the_verdict() -> None:
    outside = dataclasses.replace(PREDICTION, scope=("Upside down.",))
    assert outside.description == f"{OUT_OF_SCOPE}. Would lean to pneumonia, 50.00 %"
    assert PREDICTION.description == PREDICTION.wording


@pytest.mark.parametrize(
    ("probability", "unsure"),
    [(0.25, False), (0.26, True), (0.5, True), (0.74, True), (0.75, False)],
)
def test_between_the_ends_of_its_band_a_model_is_unsure(probability: float, unsure: bool) -> None:
    prediction = dataclasses.replace(PREDICTION, probability=probability, band=(0.25, 0.75))
    assert prediction.unsure == unsure


def test_the_words_of_the_unsure_and_of_a_verdict_against_the_odds() -> None:
    unsure = dataclasses.replace(PREDICTION, probability=0.388, band=(0.25, 0.75))
    assert unsure.wording == "Unsure: leans to normal, 61.20 %"
    called = dataclasses.replace(PREDICTION, probability=0.3, threshold=0.1)
    assert called.wording == "Prediction: Pneumonia, probability 30.00 %"
    assert called.against_the_odds == (
        "The verdict goes by the operating point. At a prevalence of 50 % most films like this one "
        "are not pneumonia."
    )
    missed = dataclasses.replace(PREDICTION, probability=0.8, threshold=0.9, prevalence=0.99)
    assert missed.against_the_odds.endswith("of 99 % most films like this one are pneumonia.")
    assert PREDICTION.against_the_odds == ""
    assert dataclasses.replace(called, scope=("Upside down.",)).against_the_odds == ""


def point(threshold: float) -> OperatingPoint:
    return operating_point.at(np.array([0, 1]), np.array([0.0, 1.0]), threshold=threshold)


def test_an_answer_is_read_at_another_point() -> None:
    prediction = dataclasses.replace(PREDICTION, probability=0.2)
    sensitive = prediction.at(point(0.1))
    assert (prediction.verdict, sensitive.verdict) == ("NORMAL", "PNEUMONIA")
    assert (sensitive.probability, sensitive.threshold) == (0.2, 0.1)
    assert sensitive.band == pytest.approx((1 / 28, 1 / 4)) and sensitive.unsure
    assert sensitive.at(point(0.9)).verdict == "NORMAL"


def test_another_prevalence_restates_the_probability_and_leaves_the_verdict() -> None:
    rare = dataclasses.replace(PREDICTION, probability=0.9).at(point(0.5), prevalence=0.1)
    # A ninth of the odds: of 9, of 1, of 1 to 3 and of 3.
    assert (rare.probability, rare.threshold) == (pytest.approx(0.5), pytest.approx(0.1))
    assert rare.band == pytest.approx((1 / 28, 1 / 4))
    assert (rare.verdict, rare.unsure, rare.prevalence) == ("PNEUMONIA", False, 0.1)
    common = rare.at(point(0.5), prevalence=0.9)
    assert common.probability == pytest.approx(81 / 82), "restated from 0.1, not from one half"
    assert common.verdict == "PNEUMONIA"


def film(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels=pixels.astype(np.uint8), format="PNG", bit_depth=8)


def grainy(*, mean: float = 128, spread: float = 40) -> np.ndarray:
    """Sharp noise: as good as any film, for who only looks at its quality."""
    noise = np.random.default_rng(0).normal(mean, spread, (224, 224))
    return np.clip(noise, 0, 252).astype(np.uint8)


def test_a_film_may_be_too_small() -> None:
    good = grainy()
    assert doubts(film(np.zeros((300, 400))), good) == ()
    assert doubts(film(np.zeros((224, 224))), good) == ()
    reduced = dataclasses.replace(film(np.zeros((100, 400))), reduced_from=(224, 800))
    assert doubts(reduced, good) == ()  # the film in the file counts
    (small,) = doubts(film(np.zeros((100, 400))), good)
    assert small == "Small image: 400×100 pixels, the model reads 224."


def burnt_out() -> np.ndarray:
    picture = grainy()
    picture[:28] = 255  # an eighth
    return picture


@pytest.mark.parametrize(
    ("picture", "doubt"),
    [
        (grainy(mean=60), "Very dark: what is faint may be lost."),
        (grainy(mean=180), "Very bright: what is faint may be lost."),
        (grainy(spread=18), "Little contrast."),
        (burnt_out(), "Burnt out: 12% of the film is pure white."),
        (np.tile(np.arange(224, dtype=np.uint8), (224, 1)), "Blurred: fine detail is missing."),
    ],
)
def test_a_film_may_be_of_poor_quality(picture: np.ndarray, doubt: str) -> None:
    assert doubts(film(np.zeros((300, 300))), picture) == (doubt,)


@pytest.mark.parametrize(
    ("class_logits", "bacterial"),
    [
        ([9.0, 1.0, 1.0], 0.5),
        ([0.0, np.log(3), 0.0], 0.75),  # 3 : 1, however likely it is normal
        ([50.0, np.log(3), 0.0], 0.75),
        ([0.0, -2.0, -2.0 + np.log(4)], 0.2),
        ([0.0, 800.0, 0.0], 1.0),
    ],
)
def test_the_cause_by_hand(class_logits: list[float], bacterial: float) -> None:
    cause = _cause({"class_logits": np.array([class_logits], np.float32)})
    assert list(cause) == ["bacterial", "viral"]
    assert cause == pytest.approx({"bacterial": bacterial, "viral": 1 - bacterial})
    assert _cause({"logit": np.zeros((1, 1), np.float32)}) == {}


def test_a_prediction_of_the_shipped_model(predictor: Predictor, films: list[Radiograph]) -> None:
    card = predictor.bundle.card
    prediction = predictor.predict(films[0])
    assert prediction.probability == pytest.approx(
        1
        / (1 + np.exp((card.calibration.offset - prediction.logit) / card.calibration.temperature))
    )
    balanced = card.operating_points["balanced"]
    assert (prediction.threshold, prediction.band) == (balanced.threshold, balanced.band)
    again = prediction.at(balanced)
    assert (again.probability, again.threshold) == (prediction.probability, balanced.threshold)
    assert prediction.cause == {}  # it knows NORMAL and PNEUMONIA
    assert (prediction.model, prediction.model_digest) == (card.name, card.files["model.tflite"])
    for heat in (prediction.heat_map, prediction.heat_map_normal):
        assert heat.shape == (7, 7) and heat.dtype == np.float32
        assert heat.min() >= 0 and heat.max() in (0, 1)
    # What speaks for one speaks against the other.
    assert not np.any((prediction.heat_map > 0) & (prediction.heat_map_normal > 0))


def test_the_head_in_numpy_is_that_of_the_network(
    predictor: Predictor, films: list[Radiograph]
) -> None:
    head = Head.load(predictor.bundle.head)
    for film in films:
        picture = radiograph.to_model_input(film, size=predictor.bundle.card.image_size)
        assert head.logit(predictor.feature_map(picture)) == pytest.approx(
            predictor.predict(film).logit, abs=1e-3
        )


def test_a_blank_film_has_an_answer(predictor: Predictor) -> None:
    prediction = predictor.predict(film(np.zeros((300, 300))))
    assert np.isfinite([prediction.logit, prediction.probability]).all()
    assert np.isfinite(prediction.heat_map).all()
    assert prediction.scope == ("Hardly any contrast: this may be a blank image.",)


def test_films_differ(predictor: Predictor, films: list[Radiograph]) -> None:
    logits = [predictor.predict(film).logit for film in films]
    assert len(set(logits)) == len(films)
    assert np.ptp(logits) > 0.4  # by more than noise


@pytest.mark.parametrize("of_many", [False, True])
def test_threads_share_a_predictor(
    predictor: Predictor, films: list[Radiograph], of_many: bool
) -> None:
    alone = [predictor.predict(film) for film in films]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(partial(predictor.predict, of_many=of_many), films * 6))
    for prediction, expected in zip(together, alone * 6, strict=True):
        assert prediction.logit == expected.logit
        assert np.array_equal(prediction.heat_map, expected.heat_map)
