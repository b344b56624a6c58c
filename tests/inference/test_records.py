"""Answers written down: the same facts as JSON and as a table that no spreadsheet runs."""

import csv
import dataclasses
import io

import numpy as np
import pytest

from pneumo.inference import records
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.bundle import Bundle
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.inference.records import Labelled

NOTHING = np.zeros((7, 7), np.float32)


@pytest.fixture(scope="module")
def model(predictor: Predictor) -> Bundle:
    return predictor.bundle


@pytest.fixture(scope="module")
def reading(model: Bundle) -> Reading:
    return Reading(name="balanced", point=model.card.operating_points["balanced"])


def answer(name: str, probability: float | None, **changed: tuple[str, ...]) -> Answer:
    """What a model that is unsure between 0.25 and 0.75 says; without a probability, nothing."""
    question = Question(name=name, key=name, read=bytes)
    if probability is None:
        return Answer(question=question, prediction=None, error="It must be a film.")
    prediction = Prediction(
        logit=-1.5,
        probability=probability,
        threshold=0.5,
        band=(0.25, 0.75),
        cause={},
        flags=(),
        scope=(),
        heat_map=NOTHING,
        heat_map_normal=NOTHING,
        milliseconds=1.0,
        model="sparrow",
        model_digest="0",
    )
    return Answer(question=question, prediction=dataclasses.replace(prediction, **changed))  # type: ignore[arg-type]


SURE = Labelled(answer=answer("sure.png", 0.9), label="PNEUMONIA")
UNSURE = Labelled(answer=answer("unsure.png", 0.6), label="NORMAL")
OUTSIDE = Labelled(answer=answer("=1+1.png", 0.1, scope=("Upside down.",), flags=("Small.",)))
UNREAD = Labelled(answer=answer("@letter.txt", None), label="NORMAL")
ALL = [SURE, UNSURE, OUTSIDE, UNREAD]


def test_who_agrees() -> None:
    assert [it.agrees for it in ALL] == [True, False, None, None]
    found = records.agreement_of(ALL)
    assert found is not None
    assert (found.films, found.true_positives, found.false_positives) == (2, 1, 1)
    assert records.agreement_of([OUTSIDE, UNREAD]) is None


def test_remarks() -> None:
    assert [records.remarks(it.answer) for it in ALL] == [
        [],
        ["Leans to pneumonia."],
        ["Upside down.", "Small."],
        ["It must be a film."],
    ]


def test_the_document(model: Bundle, reading: Reading) -> None:
    document = records.document(ALL, reading, model)
    files = document.pop("files")
    agreement = document.pop("agreement")
    assert document == {
        "model": model.card.name,
        "model_digest": model.digest,
        "operating_point": "balanced",
        "prevalence": 0.5,
    }
    assert (agreement["accuracy"], agreement["sensitivity"]) == (0.5, 1.0)
    assert files[0] == {
        "file": "sure.png",
        "verdict": "PNEUMONIA",
        "leans_to": "PNEUMONIA",
        "unsure": False,
        "out_of_scope": False,
        "probability": 0.9,
        "threshold": 0.5,
        "operating_point": "balanced",
        "prevalence": 0.5,
        "logit": -1.5,
        "cause": {},
        "scope": [],
        "flags": [],
        "remarks": "",
        "label": "PNEUMONIA",
        "agrees": True,
    }
    assert [file["verdict"] for file in files[1:]] == ["UNSURE", "OUT_OF_SCOPE", "NOT_READ"]
    assert files[2]["file"] == "=1+1.png" and files[2]["scope"] == ["Upside down."]
    assert files[3] == {
        "file": "@letter.txt",
        "verdict": "NOT_READ",
        "error": "It must be a film.",
        "label": "NORMAL",
    }
    keys = {"error", "model", "model_digest"}.union(*files[:3])
    assert set(records.COLUMNS) <= keys, "the table says nothing that the document does not"
    assert records.document([], reading, model)["agreement"] is None


def test_the_table(model: Bundle, reading: Reading) -> None:
    rows = list(csv.DictReader(io.StringIO(records.table(ALL, reading, model))))
    assert tuple(rows[0]) == records.COLUMNS
    assert rows[0] | {"probability": "0.9", "agrees": "True", "logit": "-1.5"} == rows[0]
    assert [row["verdict"] for row in rows] == [
        *("PNEUMONIA", "UNSURE", "OUT_OF_SCOPE", "NOT_READ")
    ]
    assert [row["leans_to"] for row in rows] == ["PNEUMONIA", "PNEUMONIA", "NORMAL", ""]
    assert [row["out_of_scope"] for row in rows] == ["False", "False", "True", ""]
    assert [row["remarks"] for row in rows] == [
        *("", "Leans to pneumonia.", "Upside down. Small.", "")
    ]
    assert rows[3]["error"] == "It must be a film."
    assert [row["model_digest"] for row in rows] == [model.digest] * 3 + [""]


def test_names_are_no_formulas(model: Bundle, reading: Reading) -> None:
    rows = csv.DictReader(io.StringIO(records.table(ALL, reading, model)))
    assert [row["file"] for row in rows] == [
        *("sure.png", "unsure.png", "'=1+1.png", "'@letter.txt")
    ]
