"""The states of the Predict page."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest

from pneumo import radiograph
from pneumo.datasets import gallery, sources
from pneumo.datasets.sources import Source
from pneumo.inference import bundle
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import Radiograph
from pneumo.settings import Settings
from tests.app.conftest import words
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, to_bytes

OpenPage = Callable[..., AppTest]


@pytest.fixture
def films(sample_root: Path) -> list[Path]:
    return sorted(sample_root.glob("test/*/*.jpeg"))


def test_without_a_file_it_offers_examples(open_page: OpenPage) -> None:
    page = open_page("predict")
    assert not page.exception
    assert sum(button.key.startswith("example-") for button in page.button) == 6
    assert "Prediction" not in words(page)


def test_an_example_gets_a_verdict_with_its_disclaimer(open_page: OpenPage) -> None:
    page = open_page("predict")
    page.button(key="example-3").click().run()
    assert not page.exception
    assert page.query_params["example"] == "3"
    assert len(page.subheader) == 1
    assert "not a diagnosis" in words(page)
    assert "A synthetic film" in words(page)


def test_an_address_that_names_no_example_offers_them_all(open_page: OpenPage) -> None:
    page = open_page("predict", example="99")
    assert not page.exception
    assert not page.subheader


def test_a_dropped_film_gets_the_verdict_of_the_predictor(
    open_page: OpenPage, films: list[Path], installation: Settings
) -> None:
    expected = Predictor(bundle.find(installation)).predict(radiograph.read_file(films[0]))
    page = open_page("predict")
    page.file_uploader[0].upload(films[0].name, films[0].read_bytes(), "image/jpeg").run()
    assert not page.exception
    assert "A synthetic film" not in words(page), "nobody knows what a dropped film is"
    assert expected.wording in words(page)
    assert f"Probability of pneumonia {100 * expected.probability:.2f} %" in words(page)


@pytest.mark.parametrize(("side", "times"), [(300, 2), (1200, 3)])
def test_a_film_is_decoded_for_the_answer_and_to_be_shown(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, side: int, times: int
) -> None:
    read, decoded = radiograph.read, []

    def count(data: bytes, **options: Any) -> Radiograph:
        decoded.append(data)
        return read(data, **options)

    film = gallery.to_jpeg(np.zeros((side, side), np.uint8))
    page = open_page("predict")
    monkeypatch.setattr(radiograph, "read", count)
    page.file_uploader[0].upload("film.jpeg", film, "image/jpeg").run()
    assert not page.exception
    assert decoded == [film] * times, "a large JPEG is read small for the model, whole for the eye"
    assert f"{side:,} × {side:,} pixels" in words(page)


# Readings -------------------------------------------------------------------------------

Say = Callable[..., None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Makes the model give these probabilities, in the order of asking, and these doubts."""
    predict = Predictor.predict

    def say_(*probabilities: float, scope: tuple[str, ...] = ()) -> None:
        left = list(probabilities)

        def told(predictor: Predictor, film: Radiograph, **options: bool) -> Prediction:
            answer = predict(predictor, film, **options)
            return dataclasses.replace(answer, probability=left.pop(0), scope=scope)

        monkeypatch.setattr(Predictor, "predict", told)

    return say_


def test_a_sure_verdict(open_page: OpenPage, say: Say) -> None:
    say(0.9421)
    page = open_page("predict", example="3")
    assert page.subheader[0].value == (
        ":orange[:material/change_history: Prediction: Pneumonia, confidence 94.21 %]"
    )
    assert "called pneumonia from 50 %, unsure from 25 % to 75 %" in words(page)


def test_an_unsure_verdict_says_so(open_page: OpenPage, say: Say) -> None:
    say(0.388)
    page = open_page("predict", example="3")
    assert page.subheader[0].value == ":blue[:material/help: Unsure: leans to normal, 61.20 %]"


def test_the_operating_point_turns_the_verdict_without_predicting_again(
    open_page: OpenPage, say: Say, installation: Settings
) -> None:
    say(0.3)  # once; asked again it has nothing to say
    page = open_page("predict", example="3")
    points = bundle.find(installation).card.operating_points
    assert "leans to normal" in page.subheader[0].value
    assert f"Sensitivity {100 * points['balanced'].sensitivity:.1f} %" in words(page)
    page.segmented_control(key="operating-point").set_value("high-sensitivity").run()
    assert not page.exception
    assert "Prediction: Pneumonia, probability 30.00 %" in page.subheader[0].value
    assert f"Sensitivity {100 * points['high-sensitivity'].sensitivity:.1f} %" in words(page)
    assert "called pneumonia from 10 %, unsure from 3.57 % to 25 %" in words(page)
    page.segmented_control(key="operating-point").set_value("high-specificity").run()
    assert "Prediction: Normal, confidence 70.00 %" in page.subheader[0].value


def test_the_prevalence_restates_the_probability_and_keeps_the_verdict(
    open_page: OpenPage, say: Say
) -> None:
    say(0.9)
    page = open_page("predict", example="3")
    assert "Prediction: Pneumonia, confidence 90.00 %" in page.subheader[0].value
    page.slider(key="prevalence").set_value(10).run()
    assert not page.exception
    # Odds of 9, of which a ninth is left; the threshold goes along.
    assert "Prediction: Pneumonia, confidence 50.00 %" in page.subheader[0].value
    assert "most films like this one" not in words(page)
    page.slider(key="prevalence").set_value(9).run()
    assert "At a prevalence of 9 % most films like this one are not pneumonia." in words(page)
    page.slider(key="prevalence").set_value(10).run()
    assert "Probability of pneumonia 50.00 %, called pneumonia from 10 %" in words(page)
    # Where nearly all are ill, odds of 9 become 9 · 99: no power of ten on the page.
    page.segmented_control(key="operating-point").set_value("high-specificity")
    page.slider(key="prevalence").set_value(99).run()
    assert "called pneumonia from 99.9 %" in words(page)


@pytest.mark.parametrize(
    ("said", "point"), [({}, "high-sensitivity"), ({"prevalence": "10"}, "balanced")]
)
def test_going_back_to_a_bare_address_keeps_the_operating_point(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], point: str
) -> None:
    page = open_page("predict", example="3")
    page.segmented_control(key="operating-point").set_value("high-sensitivity").run()
    going_back = partial(RerunData, is_history_navigation=True)
    monkeypatch.setattr("streamlit.testing.v1.local_script_runner.RerunData", going_back)
    page.query_params.clear()
    page.query_params.update({"example": "3", **said})
    page.run()
    assert not page.exception
    assert page.segmented_control(key="operating-point").value == point


def test_a_film_out_of_scope_is_grey_and_has_its_reasons(open_page: OpenPage, say: Say) -> None:
    say(0.9421, scope=("The film is upside down.",))
    page = open_page("predict", example="3")
    assert not page.exception
    assert page.subheader[0].value == (
        ":gray[:material/block: Outside what the model was trained on]"
    )
    assert page.warning[0].value == "The film is upside down."
    assert ":gray[Would lean to pneumonia, 94.21 %]" in words(page)


# Files ----------------------------------------------------------------------------------


def test_a_file_that_is_no_film_gets_its_reason_and_no_traceback(open_page: OpenPage) -> None:
    page = open_page("predict")
    page.file_uploader[0].upload("notes.jpeg", b"these are not the pixels", "image/jpeg").run()
    assert not page.exception
    assert "notes.jpeg" in page.error[0].value
    assert not page.subheader


def test_a_patient_name_in_a_dicom_file_is_never_shown(open_page: OpenPage) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    page = open_page("predict")
    data = to_bytes(dataset(pixels))
    page.file_uploader[0].upload("film.dcm", data, "application/dicom").run()
    assert not page.exception
    assert page.subheader, "the film was read"
    for identifier in (PATIENT, PATIENT.partition("^")[0], PATIENT_ID):
        assert identifier.encode() in data
        assert identifier not in words(page)


def test_without_any_model_it_says_where_to_train_one(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "folders", lambda settings: {})
    page = open_page("predict")
    assert not page.exception
    assert "Train one" in page.info[0].value


def test_no_markdown_in_what_is_said_of_a_damaged_model(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(folder: Path) -> Predictor:
        raise bundle.BundleError("_x_ must hold a card.json.")

    monkeypatch.setattr("pages.parts.models.load_predictor", load)
    page = open_page("predict")
    assert page.error[0].value == r"\_x\_ must hold a card.json."


def test_no_markdown_in_the_name_of_a_data_set(
    open_page: OpenPage, sample_root: Path, installation: Settings, tmp_path: Path
) -> None:
    (tmp_path / "_x_").symlink_to(sample_root)
    sources.choose(Source(kind="folder", folder=tmp_path / "_x_"), installation)
    page = open_page("predict", film="no.jpeg")
    assert page.warning[0].value == r"\_x\_ has no film of this name."


@pytest.mark.parametrize("exists", [True, False])
def test_the_address_can_name_a_film_of_the_data_set_and_nothing_else(
    open_page: OpenPage, sample_root: Path, installation: Settings, exists: bool
) -> None:
    sources.choose(Source(kind="folder", folder=sample_root), installation)
    film = min(sample_root.glob("test/PNEUMONIA/*_bacteria_*.jpeg")).relative_to(sample_root)
    page = open_page("predict", film=str(film) if exists else f"../{sample_root.name}/{film}")
    assert not page.exception
    assert bool(page.subheader) == exists
    if exists:
        assert "Pneumonia · bacterial" in words(page)
    else:
        assert "no film of this name" in page.warning[0].value
