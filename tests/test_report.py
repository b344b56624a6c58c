"""Reports: what they say, in which languages, and whom they do not name."""

import dataclasses
import io
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pypdf
import pytest

from pneumo import cli, identifiers, radiograph, report, secondary_capture, settings
from pneumo.inference import batch, bundle, heat_maps
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.heat_maps import GRAD_CAM
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.report import Terms, typesetting
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, to_bytes

LIMITS = settings.ImageLimits()
MADE_AT = datetime(2026, 3, 1, 9, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
FAMILY_NAME, GIVEN_NAME = PATIENT.split("^")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.find(settings.load()))


@pytest.fixture(scope="module")
def film() -> bytes:
    """A DICOM film with a made-up patient."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 260), dtype=np.uint8)
    return to_bytes(dataset(pixels, StudyDate="20260228", AccessionNumber="ACC-5512"))


@pytest.fixture(scope="module")
def answer(predictor: Predictor, film: bytes) -> Answer:
    question = Question(name=f"{FAMILY_NAME}.dcm", key="a", read=lambda: film)
    return batch.answer(predictor, question, limits=LIMITS)


Change = Callable[..., Answer]


@pytest.fixture
def change(answer: Answer) -> Change:
    """The answer with other things predicted."""

    def change_(**values: object) -> Answer:
        prediction = answer.prediction
        assert prediction is not None
        return dataclasses.replace(answer, prediction=dataclasses.replace(prediction, **values))

    return change_


@pytest.fixture
def terms(predictor: Predictor) -> Terms:
    card = predictor.bundle.card
    reading = Reading(name="balanced", point=card.operating_points["balanced"])
    return Terms(card=card, reading=reading, made_at=MADE_AT)


def of_film(answer: Answer, terms: Terms) -> bytes:
    prediction = answer.prediction
    assert isinstance(prediction, Prediction)
    evidence = heat_maps.evidence(prediction.heat_map, GRAD_CAM, "PNEUMONIA")
    film = radiograph.read(answer.question.read())
    return report.of_film(answer, film, terms, heat_map=prediction.heat_map, evidence=evidence)


def pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def everything(pdf: bytes) -> bytes:
    """All that a PDF file holds: as it lies there, decompressed, and as text."""
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    objects = (reader.get_object(number) for number in range(1, len(reader.xref[0]) + 1))
    streams = [it.get_data() for it in objects if isinstance(it, pypdf.generic.StreamObject)]
    said = [*pages(pdf), str(reader.metadata), str(reader.trailer)]
    return b"\n".join([pdf, *streams, *(it.encode() for it in said)])


# What it says ---------------------------------------------------------------------------


def test_a_page_says_what_the_verdict_rests_on(
    change: Change, terms: Terms, film: bytes, predictor: Predictor
) -> None:
    answer = change(probability=0.9421, flags=("Small image: 100×120 pixels.",), scope=())
    pdf = of_film(answer, terms)
    (page,) = pages(pdf)
    card = predictor.bundle.card
    point = card.operating_points["balanced"]
    low, high = point.sensitivity_interval.low, point.sensitivity_interval.high
    for words in (
        "Prediction: Pneumonia, confidence 94.21 %",
        "Probability of pneumonia 94.21 %, called pneumonia from 50 %, unsure from 25 % to 75 %.",
        f"sensitivity {100 * point.sensitivity:.1f} % ({100 * low:.1f} to {100 * high:.1f})",
        "of whom 50 % have pneumonia",
        "Grad-CAM: the brighter, the more the place speaks for pneumonia.",
        "Small image: 100×120 pixels.",
        "Film: 260 × 300 pixels, DICOM, 8 bit",
        "Children aged one to five from a single hospital",
        card.name,
        predictor.bundle.digest,
        "Read 2026-03-01 09:05, UTC+05:30",
        "Decision support, not a diagnosis.",
    ):
        assert words in page.replace("\n", " "), words
    assert "Note" not in page
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert reader.metadata is not None
    assert reader.metadata.title == f"Chest radiograph, read by the model {card.name}"
    assert reader.metadata.author is None
    assert reader.metadata.creation_date == MADE_AT
    width, height = (float(it) / 72 * 25.4 for it in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)
    assert len(reader.pages[0].images) == 2
    assert max(max(image.image.size) for image in reader.pages[0].images) == 300


def test_a_large_film_is_reduced(predictor: Predictor, terms: Terms) -> None:
    data = to_bytes(dataset(np.zeros((2400, 1200), np.uint8)))
    question = Question(name="large.dcm", key="large", read=lambda: data)
    pdf = of_film(batch.answer(predictor, question, limits=LIMITS), terms)
    images = pypdf.PdfReader(io.BytesIO(pdf)).pages[0].images
    assert [image.image.size for image in images] == [(500, 1000)] * 2


def test_a_page_says_how_a_film_without_a_window_was_read(
    predictor: Predictor, terms: Terms
) -> None:
    data = to_bytes(dataset(np.arange(300 * 260).reshape(300, 260).astype(np.uint16)))
    question = Question(name="film.dcm", key="deep", read=lambda: data)
    (page,) = pages(of_film(batch.answer(predictor, question, limits=LIMITS), terms))
    assert "stretched from its 0.1st to its 99.9th percentile" in page.replace("\n", " ")


def test_out_of_scope_stands_before_the_verdict(change: Change, terms: Terms) -> None:
    (page,) = pages(of_film(change(probability=0.9421, scope=("It is upside down.",)), terms))
    outside, reason = page.index("Outside what the model"), page.index("It is upside down.")
    assert outside < reason < page.index("Would lean to pneumonia, 94.21 %")


def test_a_film_that_was_read_is_not_read_again(
    answer: Answer, terms: Terms, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, identified = radiograph.read(film), dataclasses.replace(terms, identified=True)
    monkeypatch.setattr(radiograph, "read", lambda *_, **__: pytest.fail("read again"))
    pdf = report.of_film(answer, known, identified, heat_map=np.eye(7), evidence="")
    assert FAMILY_NAME in pages(pdf)[0]


def test_equal_input_makes_equal_files(answer: Answer, terms: Terms) -> None:
    terms = dataclasses.replace(terms, note="北京 مرحبا")
    assert of_film(answer, terms) == of_film(answer, terms)
    later = dataclasses.replace(terms, made_at=MADE_AT + timedelta(minutes=1))
    assert of_film(answer, later) != of_film(answer, terms)


def test_a_time_without_its_zone_is_refused(terms: Terms) -> None:
    with pytest.raises(ValueError, match="`made_at` must have a time zone"):
        dataclasses.replace(terms, made_at=datetime(2026, 3, 1))


def test_a_batch_is_a_table_and_a_page_for_each_film(change: Change, terms: Terms) -> None:
    def refuse() -> bytes:
        raise OSError

    unread = Answer(
        question=Question(name="x", key="x", read=refuse), prediction=None, error="Cut short."
    )
    answers = [
        change(probability=0.1, scope=()),
        unread,
        change(probability=0.6, scope=()),
        change(probability=0.99, scope=("A photograph.",)),
        change(probability=0.99999, scope=()),
    ]
    table, *films = pages(report.of_batch(answers, terms, limits=LIMITS))
    assert "5 chest radiographs" in table
    row = r"(\d) [0-9a-f]{16} (?:\? )?(Pneumonia|Unsure|Normal|Out of scope) ([\d.]+ %)"
    rows = re.findall(row, " ".join(table.split()))
    assert rows == [
        ("5", "Pneumonia", "99.99 %"),
        ("3", "Unsure", "60.00 %"),
        ("1", "Normal", "10.00 %"),
        ("4", "Out of scope", "99.00 %"),
    ]
    for remark in ("Leans to pneumonia.", "A photograph.", "Cut short."):
        assert remark in table
    assert [page.split("\n")[1] for page in films] == ["Film 5", "Film 3", "Film 1", "Film 4"]
    (table,) = pages(report.of_batch(answers, terms, limits=LIMITS, pages=False))
    assert "Film 5" not in table


def test_a_long_table_goes_on_under_its_heads(change: Change, terms: Terms) -> None:
    table = pages(report.of_batch([change(scope=())] * 60, terms, limits=LIMITS, pages=False))
    assert len(table) == 2
    assert all("Probability of pneumonia" in page for page in table)
    numbers = re.findall(r"(\d+) [0-9a-f]{16} ", " ".join(" ".join(table).split()))
    assert sorted(map(int, numbers)) == list(range(1, 61))


# Notes ----------------------------------------------------------------------------------

NOTES = {
    "German": "Größer als vor ½ Jahr",
    "Polish": "Łódź, świeży naciek",
    "Vietnamese": "Bệnh nhân sốt",
    "Greek": "Κλινική εικόνα",
    "Russian": "Состояние стабильное",
    "Arabic": "المريض يعاني من السعال",
    "Hebrew": "החולה משתעל",
    "Hindi": "रोगी को बुखार है",
    "Bengali": "রোগীর জ্বর আছে",
    "Tamil": "நோயாளிக்கு இருமல்",
    "Telugu": "రోగికి జ్వరం",
    "Thai": "ผู้ป่วยมีไข้",
    "Georgian": "პაციენტი",
    "Amharic": "ታካሚው",
    "Chinese": "患者发热三天",
    "Japanese": "患者は発熱がある",
    "Korean": "환자는 발열이 있습니다",
    "signs": "≥ 38 °C → ✓ µ",
}


@pytest.mark.parametrize("language", NOTES)
def test_a_note_prints_in(language: str, answer: Answer, terms: Terms) -> None:
    note = NOTES[language]
    assert report.unprintable(note) == ""
    (page,) = pages(of_film(answer, dataclasses.replace(terms, note=note)))
    said = page[page.index("Note\n") :]
    # Joined letters come back whole; their order in the line is the reader's affair.
    assert set(note) - set(said) == set()
    assert "cannot be printed" not in said


def test_what_no_font_has_is_said(answer: Answer, terms: Terms) -> None:
    note = "Well 😀 so far \U00012000😀"
    assert report.unprintable(note) == "😀\U00012000"
    (page,) = pages(of_film(answer, dataclasses.replace(terms, note=note)))
    assert "Well □ so far □□" in page
    assert "An empty box stands for what cannot be printed: U+1F600, U+12000." in page


def test_signs_that_steer_others_are_no_signs() -> None:
    assert typesetting.printable("a\x00b\r\nc\td\ufe0f") == "ab\nc    d"
    assert report.unprintable("a\x00\u2066b\ufe0f") == ""


def test_a_long_note_goes_on_on_the_next_page(answer: Answer, terms: Terms) -> None:
    note = "\n".join(f"Line {number}." for number in range(60))
    said = pages(of_film(answer, dataclasses.replace(terms, note=note)))
    assert len(said) == 2
    assert all(f"Line {number}." in "".join(said) for number in range(60))
    assert all("Decision support, not a diagnosis." in page for page in said)


def test_a_word_is_set_in_one_font() -> None:
    assert typesetting.fonts_for("abc")[0] == "NotoSans-Regular"
    # Joiners and the space are in both fonts.
    assert typesetting.fonts_for("र्‍क ख")[0] == "NotoSansDevanagari-Regular"
    assert typesetting.fonts_for("CT 肺炎であり")[0] == "WenQuanYiMicroHei"


def test_every_font_is_licensed_and_small_enough() -> None:
    files = list(typesetting.FONTS.glob("*.ttf"))
    assert sum(path.stat().st_size for path in files) < 8_000_000
    readme = (typesetting.FONTS / "README.md").read_text()
    assert all(path.name.startswith("NotoSans") or path.name in readme for path in files)
    assert (typesetting.FONTS / "OFL-1.1.txt").is_file()
    assert (typesetting.FONTS / "Apache-2.0.txt").is_file()


# Privacy --------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True])
def test_nobody_is_named_unless_the_user_wants_it(
    many: bool, answer: Answer, terms: Terms, film: bytes
) -> None:
    def make(identified: bool) -> bytes:
        asked = dataclasses.replace(terms, identified=identified)
        if many:
            return everything(report.of_batch([answer, answer], asked, limits=LIMITS))
        return everything(of_film(answer, asked))

    # The date is everywhere in files of another century; the others are nowhere by chance.
    planted = (FAMILY_NAME, GIVEN_NAME, PATIENT_ID, "1903-06-09", "19030609", "ACC-5512")
    assert all(it.encode() in film for it in (FAMILY_NAME, GIVEN_NAME, PATIENT_ID, "19030609"))
    unnamed, named = make(False), make(True)
    for identifier in planted:
        assert identifier.encode() not in unnamed
    for identifier in (FAMILY_NAME, GIVEN_NAME, PATIENT_ID, "1903-06-09", "ACC-5512"):
        assert identifier.encode() in named
    assert f"{FAMILY_NAME}.dcm".encode() in named


def test_identifiers_are_not_even_read_unless_the_user_wants_it(
    answer: Answer, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(identifiers, "read", refuse)
    of_film(answer, terms)
    with pytest.raises(AssertionError, match="read"):
        of_film(answer, dataclasses.replace(terms, identified=True))


def test_a_file_that_is_no_dicom_has_a_name_and_no_patient(
    predictor: Predictor, terms: Terms, sample_root: Path
) -> None:
    path = min(sample_root.glob("test/PNEUMONIA/*.jpeg"))
    question = Question(name="Smith_John.jpeg", key="a", read=path.read_bytes)
    answer = batch.answer(predictor, question, limits=LIMITS)
    (page,) = pages(of_film(answer, terms))
    assert "Smith" not in page
    (page,) = pages(of_film(answer, dataclasses.replace(terms, identified=True)))
    assert "Smith_John.jpeg" in page
    assert "Patient" not in page


def test_identifiers_in_words() -> None:
    data = to_bytes(
        dataset(
            np.zeros((64, 64), np.uint8),
            SpecificCharacterSet="ISO_IR 192",
            PatientName="Yamada^Tarou=山田^太郎",
            PatientBirthDate="",
            PatientSex="M",
        )
    )
    assert identifiers.in_words(data) == {
        "Patient": "Yamada Tarou · 山田 太郎",
        "Patient ID": PATIENT_ID,
        "Sex": "M",
    }


def test_the_time_zone_may_be_utc(answer: Answer, terms: Terms) -> None:
    now = dataclasses.replace(terms, made_at=datetime(2026, 3, 1, 9, 5, tzinfo=UTC))
    assert "UTC+00:00" in pages(of_film(answer, now))[0]


# The command line -----------------------------------------------------------------------


def test_predict_writes_a_report_and_secondary_captures(
    film: bytes, sample_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dicom, jpeg = tmp_path / "film.dcm", min(sample_root.glob("test/PNEUMONIA/*.jpeg"))
    dicom.write_bytes(film)
    pdf, captures = tmp_path / "out" / "report.pdf", tmp_path / "captures"
    options = ["--report", str(pdf), "--note", "Κλινική", "--secondary-capture", str(captures)]
    assert cli.main(["predict", str(dicom), *options]) == 0
    (page,) = pages(pdf.read_bytes())
    assert "Κλινική" in page
    assert FAMILY_NAME.encode() not in everything(pdf.read_bytes())
    (capture,) = captures.iterdir()
    assert capture.name == "film-overlay.dcm"
    assert FAMILY_NAME.encode() not in capture.read_bytes()
    capsys.readouterr()
    assert cli.main(["predict", str(dicom), str(jpeg), *options, "--identifiers"]) == 0
    table, first, second = pages(pdf.read_bytes())
    assert "2 chest radiographs" in table
    assert FAMILY_NAME in first + second
    assert FAMILY_NAME.encode() in capture.read_bytes()
    out, err = capsys.readouterr()
    assert f"{jpeg} is no DICOM file" in err
    assert FAMILY_NAME not in out + err


def test_predict_asks_for_highdicom_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secondary_capture, "available", lambda: False)
    assert cli.main(["predict", "film.dcm", "--secondary-capture", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "pip install -r requirements-dicom.txt" in err


def test_nothing_is_loaded_before_the_first_report() -> None:
    program = """
import sys
import pneumo.report, pneumo.secondary_capture
heavy = {"fpdf", "fontTools", "uharfbuzz", "highdicom", "pydicom"}
print(*sorted(heavy & set(sys.modules)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.REPOSITORY, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, "")
