"""The Predict page with many files: the worklist, and everything that films can come in."""

import dataclasses
import io
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import predict_many
from pneumo.datasets import sources
from pneumo.datasets.sources import Source
from pneumo.inference.batch import Reading
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import Radiograph
from pneumo.settings import Settings
from tests.app.conftest import words

OpenPage = Callable[..., AppTest]
Upload = tuple[str, bytes, str]


def film(name: str, level: int) -> Upload:
    """A film of one grey level."""
    _, encoded = cv2.imencode(".png", np.full((80, 80), level, np.uint8))
    return name, encoded.tobytes(), "image/png"


def table_of_labels(*rows: str) -> Upload:
    return "labels.csv", "\n".join(["file,label", *rows]).encode(), "text/csv"


def zipped(name: str, *uploads: Upload) -> Upload:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as writer:
        for inner, content, _ in uploads:
            writer.writestr(inner, content)
    return name, packed.getvalue(), "application/zip"


BAD: Upload = ("letter.png", b"Dear colleague", "image/png")
UPSIDE_DOWN = 250


@pytest.fixture(autouse=True)
def grey_is_suspicious(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The model reads a probability from the grey level: 90 is 0.9; it is out of scope at 250.

    Gives the levels that it was asked about.
    """
    predict = Predictor.predict
    asked: list[float] = []

    def told(predictor: Predictor, film: Radiograph, **options: bool) -> Prediction:
        level = float(film.pixels.mean())
        asked.append(level)
        answer = dataclasses.replace(predict(predictor, film, **options), scope=(), flags=())
        if level == UPSIDE_DOWN:
            return dataclasses.replace(answer, probability=0.99, scope=("Upside down.",))
        return dataclasses.replace(answer, probability=level / 100)

    monkeypatch.setattr(Predictor, "predict", told)
    return asked


@pytest.fixture
def drop(open_page: OpenPage) -> Callable[..., AppTest]:
    """Opens the page, drops files, waits until all are answered."""

    def drop_(*uploads: Upload) -> AppTest:
        page = open_page("predict")
        page.file_uploader[0].set_value(list(uploads)).run()
        return settle(page)

    return drop_


Drop = Callable[..., AppTest]


def settle(page: AppTest) -> AppTest:
    assert page.session_state["batch"].wait(60)
    page.run()
    assert not page.exception
    return page


def column(page: AppTest, name: str) -> list[object]:
    return list(page.dataframe[0].value[name])


# The worklist ---------------------------------------------------------------------------


def test_the_most_suspicious_come_first_and_what_has_no_answer_last(drop: Drop) -> None:
    page = drop(
        *(film("a.png", 10), BAD, film("b.png", 60), film("c.png", UPSIDE_DOWN)),
        *(film("d.png", 90), film("e.png", 40)),
    )
    assert column(page, "File") == [*("d.png", "b.png", "e.png", "a.png", "c.png", "letter.png")]
    assert column(page, "Verdict") == [
        *("Pneumonia", "Unsure", "Unsure", "Normal", "Out of scope", "Not read")
    ]
    remarks = column(page, "Remarks")
    assert remarks[1:3] == ["Leans to pneumonia.", "Leans to normal."]
    assert remarks[4] == "Upside down."
    assert column(page, "Probability")[3] == 0.1
    assert pd.isna(column(page, "Probability")[4]), "no bar beside what is no verdict"
    assert "must be a JPEG, PNG or DICOM" in str(remarks[5])
    assert all(str(it).startswith("data:image/jpeg") for it in column(page, "Film")[:5])
    # The first is shown below.
    assert "Prediction: Pneumonia, confidence 90.00 %" in page.subheader[0].value
    assert "1 of 6" in words(page)


def test_the_operating_point_turns_verdicts_without_asking_again(
    drop: Drop, grey_is_suspicious: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), film("d.png", 90))
    assert sorted(grey_is_suspicious) == [10, 60, 90]
    read, of = [], Reading.of
    monkeypatch.setattr(Reading, "of", lambda self, it: read.append(it) or of(self, it))
    page.segmented_control(key="operating-point").set_value("high-specificity").run()
    assert column(page, "Verdict") == ["Unsure", "Normal", "Normal"]
    assert len(read) == 3 + 1, "for the table once each, and the one that is shown"
    page.slider(key="prevalence").set_value(10).run()
    # Odds of 9, of which a ninth is left.
    assert column(page, "Probability")[0] == pytest.approx(0.5)
    assert len(grey_is_suspicious) == 3


def test_no_film_makes_a_model_certain(drop: Drop) -> None:
    page = drop(film("a.png", 0), film("b.png", 50), film("c.png", 100))
    assert column(page, "Probability") == [0.9999, 0.5, 0.0001]


def kinds(page: AppTest) -> list[str]:
    return [it.content.rpartition(": ")[2] for it in page.pills(key="kind").proto.options]


def test_kinds_have_counts_and_filter(drop: Drop) -> None:
    page = drop(film("a.png", 10), BAD, film("b.png", 60), film("d.png", 90), film("e.png", 30))
    assert kinds(page) == [
        *("All 5", "Pneumonia 1", "Unsure 2", "Normal 1", "Out of scope 0", "Not read 1")
    ]
    page.pills(key="kind").set_value("Unsure").run()
    assert column(page, "File") == ["b.png", "e.png"]
    assert "leans to pneumonia, 60.00 %" in page.subheader[0].value, "the first of those listed"
    page.pills(key="kind").set_value("Not read").run()
    assert not page.subheader
    assert "letter.png" in page.error[0].value
    page.pills(key="kind").set_value("Out of scope").run()
    assert not page.dataframe and not page.exception
    # A filter outlives a change of what it counts.
    page.pills(key="kind").set_value("Unsure").run()
    page.segmented_control(key="operating-point").set_value("high-sensitivity").run()
    assert page.pills(key="kind").value == "Unsure"
    assert column(page, "File") == ["a.png"]


def test_next_and_previous_walk_what_is_listed(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), film("d.png", 90), film("e.png", 40))
    page.pills(key="kind").set_value("Unsure").run()
    assert page.button(key="previous").disabled
    page.button(key="next").click().run()
    assert "leans to normal, 60.00 %" in page.subheader[0].value
    assert "2 of 2" in words(page)
    assert page.button(key="next").disabled
    page.pills(key="kind").set_value("All").run()
    assert "leans to normal, 60.00 %" in page.subheader[0].value, "the same film stays"
    assert "3 of 4" in words(page)
    page.button(key="previous").click().run()
    assert "leans to pneumonia, 60.00 %" in page.subheader[0].value


@pytest.mark.parametrize(
    ("seconds", "cells", "shown"),
    [(0.5, [], "a.png"), (60, [], "b.png"), (0.5, [(1, "File")], "b.png")],
)
def test_a_table_that_reports_late_undoes_no_step(
    seconds: float, cells: list[tuple[int, str]], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {
        "chosen": "a.png",
        "walked-from": {"b.png": time.monotonic() - seconds},
        "table": {"selection": {"rows": [1], "cells": cells}},
    }
    monkeypatch.setattr(predict_many.st, "session_state", state)
    predict_many._choose("table", ["a.png", "b.png"])
    assert state["chosen"] == shown


def test_cancelled_it_keeps_what_it_has_and_can_go_on(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.parts.predict_many._pool", lambda workers: Idle())
    page = open_page("predict")
    page.file_uploader[0].set_value([film("a.png", 10), film("b.png", 60), BAD]).run()
    assert not page.exception
    page.session_state["batch"]._pool.work(2)
    page.run()
    assert not page.subheader, "no film is chosen for the user while more come"
    page.button(key="cancel").click().run()
    assert "Cancelled after 2 of 3 films." in words(page)
    assert column(page, "File") == ["b.png", "a.png"]
    assert "leans to pneumonia" in page.subheader[0].value
    page.button(key="go-on").click().run()
    page.session_state["batch"]._pool.work(1)
    page.run()
    assert not page.exception
    assert column(page, "File") == ["b.png", "a.png", "letter.png"]
    assert "Cancelled" not in words(page)


def test_a_row_keeps_its_place_until_all_answers_have_come(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.parts.predict_many._pool", lambda workers: Idle())
    page = open_page("predict")
    films = [film("a.png", 60), film("b.png", 10), film("c.png", 70), film("d.png", 90)]
    page.file_uploader[0].set_value(films).run()
    pool = page.session_state["batch"]._pool
    later = "As answers come; sorted by urgency when all are there."
    for turns, rows in ((2, ["a.png", "b.png"]), (1, ["a.png", "b.png", "c.png"])):
        pool.work(turns)
        page.run()
        assert column(page, "File") == rows
        assert page.dataframe(key="table-live")
        assert later in words(page)
    page.pills(key="kind").set_value("Unsure").run()
    assert column(page, "File") == ["a.png", "c.png"]
    page.pills(key="kind").set_value("All").run()
    pool.work(1)
    page.run()
    assert not page.exception
    assert column(page, "File") == ["d.png", "c.png", "a.png", "b.png"]
    assert page.dataframe(key="table"), "another: rows of the one before mean what they meant"
    assert later not in words(page)


class Idle:
    """A pool that works when it is told to."""

    def __init__(self) -> None:
        self._turns: list[Callable[[], object]] = []

    def submit(
        self, function: Callable[..., object], *arguments: object, **options: object
    ) -> Future[object]:
        future: Future[object] = Future()
        self._turns.append(lambda: future.set_result(function(*arguments, **options)))
        return future

    def work(self, turns: int) -> None:
        for _ in range(turns):
            self._turns.pop(0)()


# What films come in ---------------------------------------------------------------------


def test_a_zip_with_others_beside_it(drop: Drop) -> None:
    inner = zipped("films.zip", film("NORMAL/a.png", 10), film("PNEUMONIA/a.png", 90), BAD)
    page = drop(inner, film("b.png", 60), ("torn.zip", b"PK\x03\x04", "application/zip"))
    assert column(page, "File") == [*("a (2).png", "b.png", "a (1).png", "letter.png", "torn.zip")]
    assert "A ZIP must be complete." in str(column(page, "Remarks")[4])


def test_a_zip_with_one_film_is_that_film(open_page: OpenPage) -> None:
    page = open_page("predict")
    page.file_uploader[0].set_value([zipped("films.zip", film("a.png", 90))]).run()
    assert not page.exception
    assert not page.dataframe
    assert "confidence 90.00 %" in page.subheader[0].value


def test_a_folder(open_page: OpenPage) -> None:
    page = open_page("predict")
    page.segmented_control(key="choose").set_value("Folder").run()
    assert page.file_uploader[0].accept_directory
    page.file_uploader[0].set_value(
        [film("films/x/a.png", 10), film("films/b.png", 60), ("films/.DS_Store", b"x", "")]
    ).run()
    settle(page)
    assert column(page, "File") == ["b.png", "a.png"]


def test_the_batch_is_forgotten_with_its_files(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60))
    batch = page.session_state["batch"]
    page.file_uploader[0].set_value([film("d.png", 90)]).run()
    assert "confidence 90.00 %" in page.subheader[0].value
    assert "batch" not in page.session_state and batch.progress.ended
    page.file_uploader[0].set_value(None).run()
    assert not page.exception and not page.subheader
    for kept in ("answer", "film", "explained", "cases"):
        assert kept not in page.session_state


def test_the_files_of_an_uploader_before_are_still_there(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60))
    batch = page.session_state["batch"]
    page.segmented_control(key="choose").set_value("Folder").run()  # another uploader
    assert not page.exception
    assert page.session_state["batch"] is batch, "nothing is asked again"
    assert "From before: a.png and 1 more" in words(page)
    page.file_uploader[0].set_value([film("folder/d.png", 90)]).run()
    settle(page)
    assert column(page, "File") == ["d.png", "b.png", "a.png"]

    # Taken away: first what is in this uploader, then the others.
    page.file_uploader[0].set_value(None).run()
    settle(page)
    assert column(page, "File") == ["b.png", "a.png"]
    page.button(key="let-go").click().run()
    assert not page.exception
    assert "batch" not in page.session_state
    assert "From before" not in words(page)


def test_an_uploader_that_comes_back_with_its_files_has_them_once(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), table_of_labels("a.png,0", "b.png,1"))
    page.session_state["kept-files"] = list(page.session_state["shown-files"])
    page.run()
    assert not page.exception
    assert column(page, "File") == ["b.png", "a.png"]
    assert column(page, "Label") == ["Pneumonia", "Normal"]
    assert "From before" not in words(page)


def test_all_files_are_taken_away_at_once(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60))
    page.segmented_control(key="choose").set_value("Folder").run()
    page.file_uploader[0].set_value([film("folder/d.png", 90)]).run()
    settle(page)
    page.button(key="let-go-of-all").click().run()
    assert not page.exception
    assert not page.file_uploader[0].value
    assert "batch" not in page.session_state and not page.dataframe
    assert "From before" not in words(page)
    page.run()
    assert not page.dataframe, "nor do they come back"
    page.file_uploader[0].set_value([film("folder/d.png", 90)]).run()
    assert "confidence 90.00 %" in page.subheader[0].value
    assert "let-go-of-all" not in {it.key for it in page.button}, "there is one file only"


def test_a_film_that_a_link_names_comes_before_files_from_before(
    drop: Drop, sample_root: Path, installation: Settings
) -> None:
    sources.choose(Source(kind="folder", folder=sample_root), installation)
    named = min(sample_root.glob("test/PNEUMONIA/*_bacteria_*.jpeg")).relative_to(sample_root)
    page = drop(film("a.png", 10), film("b.png", 60))
    batch = page.session_state["batch"]
    page.segmented_control(key="choose").set_value("Folder")
    page.query_params["film"] = str(named)
    page.run()
    assert not page.exception
    assert "Pneumonia · bacterial" in words(page)
    page.button(key="show-kept").click().run()
    assert not page.exception
    assert page.session_state["batch"] is batch
    assert column(page, "File") == ["b.png", "a.png"]


# Labels ---------------------------------------------------------------------------------


def test_labels_of_other_films_are_said_to_be_of_no_use(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), table_of_labels("x.png,normal", "y.png,1"))
    assert "does not name any of these 2 films" in page.warning[0].value
    assert "Agreement with the labels" not in words(page)


def test_agreement_with_labels(drop: Drop) -> None:
    page = drop(
        *(film("a.png", 10), film("b.png", 60), film("c.png", 20), film("d.png", 90), BAD),
        table_of_labels("x/A.png,normal", "b.png,0", "c.png,1", "d.png,1", "letter.png,1"),
    )
    assert column(page, "Label") == ["Pneumonia", "Normal", "Pneumonia", "Normal", "Pneumonia"]
    assert "**Agreement with the labels** of 4 of 5 films: accuracy 50.0 %" in words(page)
    assert "Missed 1 of 2 with pneumonia, false alarms on 1 of 2 without." in words(page)
    page.pills(key="kind").set_value("Disagrees with label").run()
    assert column(page, "File") == ["b.png", "c.png"]
    assert "the model disagrees." in words(page)
    page.segmented_control(key="operating-point").set_value("high-sensitivity").run()
    assert "Missed 0 of 2" in words(page)


@pytest.mark.parametrize(("label", "word"), [("1", "agrees"), ("normal", "disagrees")])
def test_a_film_by_itself_is_compared_with_its_label(
    open_page: OpenPage, label: str, word: str
) -> None:
    page = open_page("predict")
    page.file_uploader[0].set_value([film("d.png", 90), table_of_labels(f"d.png,{label}")]).run()
    assert not page.exception
    assert f": the model {word}." in words(page)
    page.file_uploader[0].set_value([film("d.png", 90)]).run()
    assert "the model agrees" not in words(page) and "disagrees" not in words(page)


def test_labels_that_are_not_all_clear(drop: Drop) -> None:
    page = drop(
        *(film("a.png", 10), film("b.png", 60)),
        table_of_labels("a.png,perhaps", "b.png,1", "c.png,0", "c.png,1"),
    )
    assert "of 1 of 2 films" in words(page)
    assert "1 rows of labels.csv say neither NORMAL nor PNEUMONIA." in words(page)
    assert "1 films of labels.csv are called both." in words(page)


def test_a_film_that_is_dropped_twice_is_one(drop: Drop) -> None:
    page = drop(
        *(film("a.png", 10), film("b.png", 60), film("a.png", 10), film("copy.png", 10)),
        table_of_labels("a.png,0", "b.png,1"),
    )
    assert column(page, "File") == ["b.png", "a.png", "copy.png"]
    assert "of 2 of 3 films" in words(page)


def test_labels_that_could_mean_several_films(drop: Drop) -> None:
    page = drop(
        *(film("a.png", 10), film("b.png", 60), zipped("x.zip", film("a.png", 10))),
        table_of_labels("a.png,0", "b.png,1"),
    )
    assert column(page, "File") == ["b.png", "a (1).png", "a (2).png"]
    assert "of 1 of 3 films" in words(page)
    assert (
        "2 films share a name with another one. As labels.csv does not say which is meant, they "
        "are not labelled."
    ) in words(page)


def test_labels_that_are_none(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), ("x.csv", b"name,age\na,3\n", "text/csv"))
    assert "**x.csv**" in page.warning[0].value
    assert "Received the headings" in page.warning[0].value
    assert len(page.dataframe[0].value) == 2
    assert "Disagrees with label 0" not in kinds(page)


def test_a_filter_by_labels_ends_with_them(drop: Drop) -> None:
    page = drop(film("a.png", 10), film("b.png", 60), table_of_labels("a.png,1", "b.png,1"))
    page.pills(key="kind").set_value("Disagrees with label").run()
    assert column(page, "File") == ["a.png"]
    page.file_uploader[0].set_value([film("a.png", 10), film("b.png", 60)]).run()
    settle(page)
    assert column(page, "File") == ["b.png", "a.png"]


def test_labels_alone(open_page: OpenPage) -> None:
    page = open_page("predict")
    page.file_uploader[0].set_value([table_of_labels("a.png,1")]).run()
    assert not page.exception
    assert "no film among these files" in page.info[0].value


def test_no_markdown_in_a_name(drop: Drop) -> None:
    page = drop(("**x**.png", b"no film", "image/png"), film("a.png", 10))
    page.button(key="next").click().run()
    assert "\\*\\*x\\*\\*.png" in page.error[0].value
