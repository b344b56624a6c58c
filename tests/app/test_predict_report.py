"""Reports offered on the Predict page: what is made when, and whom it names."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pypdf
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.parts import predict_report
from pneumo import report, secondary_capture, settings
from pneumo.inference import batch, bundle
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import UnreadableRadiograph
from tests.app.conftest import words
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, to_bytes

LIMITS = settings.ImageLimits()
FILMS = {
    "film.dcm": to_bytes(dataset(np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8))),
}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the page offers for download in its last run, by name."""
    offered: dict[str, bytes] = {}
    download = st.download_button

    def offer(label: str, data: bytes, file_name: str, **options: Any) -> bool:
        offered[file_name] = data
        return download(label, data, file_name, **options)

    monkeypatch.setattr(predict_report.st, "download_button", offer)
    return offered


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.find(settings.load()))


Show = Callable[..., AppTest]


@pytest.fixture
def show(predictor: Predictor, sample_root: Any) -> Show:
    """A page with nothing but the offer for these films."""
    jpeg = min(sample_root.glob("test/PNEUMONIA/*.jpeg")).read_bytes()
    card = predictor.bundle.card
    reading = Reading(name="balanced", point=card.operating_points["balanced"])

    def answered(name: str, synthetic: bool) -> Answer:
        data = FILMS.get(name, jpeg)
        question = Question(name=name, key=name, read=lambda: data, synthetic=synthetic)
        return batch.answer(predictor, question, limits=LIMITS)

    def show_(*names: str, synthetic: bool = False) -> AppTest:
        answers = [answered(name, synthetic) for name in names]

        def page(answers: list, card: object, reading: object) -> None:
            from pages.parts import predict_report
            from pneumo import radiograph
            from pneumo.settings import ImageLimits

            terms = {"card": card, "reading": reading}
            if len(answers) > 1:
                predict_report.offer_batch_report(answers, **terms)
                return
            film = radiograph.read(answers[0].question.read(), limits=ImageLimits())
            heat_map = answers[0].prediction.heat_map
            predict_report.offer_report(answers[0], film, heat_map, evidence="Grad-CAM.", **terms)

        arguments = {"answers": answers, "card": card, "reading": reading}
        return AppTest.from_function(page, kwargs=arguments, default_timeout=30).run()

    return show_


def make(page: AppTest) -> AppTest:
    (button,) = (it for it in page.button if it.label == "Make the report")
    return button.click().run()


def text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def test_nothing_is_made_before_somebody_asks(
    show: Show, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> bytes:
        raise AssertionError("made")

    monkeypatch.setattr(report, "of_film", refuse)
    monkeypatch.setattr(secondary_capture, "write", refuse)
    page = show("film.dcm")
    assert not page.exception
    assert not files


def test_a_film_goes_out_as_pdf_with_the_note(show: Show, files: dict[str, bytes]) -> None:
    page = show("film.jpeg")
    page.text_area[0].set_value("Cough, 発熱 😀")
    make(page)
    assert not page.exception
    assert list(files) == ["pneumo-report.pdf"]
    said = text(files["pneumo-report.pdf"])
    assert "Cough, 発熱 □" in said
    assert "film.jpeg" not in said
    assert "No font here has 😀" in words(page)


def test_the_name_of_a_file_is_printed_where_that_is_ticked(
    show: Show, files: dict[str, bytes]
) -> None:
    page = show("film.jpeg")
    (tick,) = page.checkbox
    assert (tick.label, tick.value) == ("Include the name of the file", False)
    tick.check()
    make(page)
    assert "film.jpeg" in text(files["pneumo-report.pdf"])


@pytest.mark.parametrize("identified", [False, True])
def test_a_dicom_film_names_its_patient_only_where_that_is_ticked(
    show: Show, files: dict[str, bytes], identified: bool
) -> None:
    page = show("film.dcm")
    (tick,) = page.checkbox
    assert (tick.label, tick.value) == ("Include patient identifiers", False)
    if identified:
        tick.check()
    make(page)
    assert not page.exception
    image = pydicom.dcmread(io.BytesIO(files["pneumo-overlay.dcm"]))
    for identifier in (PATIENT.partition("^")[0], PATIENT_ID):
        assert (identifier in text(files["pneumo-report.pdf"])) == identified
        assert (identifier.encode() in files["pneumo-overlay.dcm"]) == identified
        assert identifier not in words(page)
    assert bool(image.PatientName) == identified


def test_without_highdicom_the_page_says_how_to_get_it(
    show: Show, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secondary_capture, "available", lambda: False)
    page = make(show("film.dcm"))
    assert list(files) == ["pneumo-report.pdf"]
    assert "pip install -r requirements-dicom.txt" in words(page)


@pytest.mark.parametrize("names", [("film.dcm",), ("film.dcm", "film.jpeg")])
@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", PATIENT), "No such file or directory."),
        (UnreadableRadiograph("empty", "A file must have content."), "A file must have content."),
    ],
)
def test_a_film_whose_file_is_lost_has_no_report_and_no_traceback(
    show: Show,
    files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    loss: Exception,
    reason: str,
) -> None:
    def lose(*arguments: object, **options: object) -> bytes:
        raise loss

    monkeypatch.setattr(report, "of_film", lose)
    monkeypatch.setattr(report, "of_batch", lose)
    page = make(show(*names))
    assert not page.exception and not files
    assert page.error[0].value == f"There is no report: a film can no longer be read. {reason}"


def test_a_synthetic_film_has_nobody_to_name(show: Show, files: dict[str, bytes]) -> None:
    page = show("Synthetic film, made as viral", synthetic=True)
    assert not page.checkbox
    make(page)
    assert "Synthetic film, made as viral" in text(files["pneumo-report.pdf"])


def test_many_films_go_out_as_a_table_and_with_their_pages(
    show: Show, files: dict[str, bytes]
) -> None:
    page = show("film.dcm", "film.jpeg")
    make(page)
    assert not page.exception
    said = text(files["pneumo-report.pdf"])
    assert "2 chest radiographs" in said
    assert "Film 1" not in said
    page.checkbox(key="report-pages").check()
    make(page)
    said = text(files["pneumo-report.pdf"])
    assert "Film 1" in said
    assert "film.jpeg" not in said
    assert PATIENT.partition("^")[0] not in said
