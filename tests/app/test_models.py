"""The states of the Models page."""

import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import work
from pneumo.datasets import sources
from pneumo.datasets.sources import Source
from pneumo.inference import bundle, scoring
from pneumo.inference.scoring import Evaluation
from pneumo.settings import REPOSITORY, Settings
from tests.app.conftest import words
from tests.conftest import Training

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def small_set(installation: Settings, sample_root: Path) -> None:
    """The small sample set is the chosen one, and nothing has been measured on it."""
    sources.choose(Source(kind="folder", folder=sample_root), installation)
    work._works.clear()


def test_the_shipped_model_is_listed_with_its_card(open_page: OpenPage) -> None:
    page = open_page("models")
    assert not page.exception
    assert list(page.dataframe[0].value["Model"]) == [bundle.DEFAULT_MODEL]
    assert page.header[0].value == bundle.DEFAULT_MODEL
    measured = page.dataframe[1].value
    assert list(measured["Split"]) == ["validation", "test"]
    assert measured["Brier"].between(0, 0.25).all()
    assert "doi:10.1016/j.cell.2018.02.010" in words(page)


def measure(page: AppTest) -> None:
    """Have the shipped model measured on the test films, and wait for it."""
    page.segmented_control(key="split").set_value("test").run()
    page.button(key="measure").click().run()
    for _ in range(600):
        if "cancel-work" not in {button.key for button in page.button}:
            break
        time.sleep(0.1)
        page.run()
    assert not page.exception


def test_measuring_shows_figures_with_intervals_and_the_command(open_page: OpenPage) -> None:
    page = open_page("models")
    measure(page)
    figures = {metric.label: metric for metric in page.metric}
    assert set(figures) >= {"AUC", "Accuracy", "Sensitivity", "Specificity", "Loss"}
    low, _, high = figures["Accuracy"].delta.partition(" to ")
    assert float(low) <= float(figures["Accuracy"].value) <= float(high)
    assert "--split test" in page.code[0].value
    assert len(page.get("plotly_chart")) == 4
    (measured,) = work._works().values()
    assert isinstance(measured.result, Evaluation)
    assert figures["Brier score"].value == f"{measured.result.metrics.brier_score:.3f}"
    assert "60 % of whose films are pneumonia" in words(page)  # 12 of 20


def test_figures_stay_until_the_films_are_others(
    open_page: OpenPage, sample_root: Path, installation: Settings, tmp_path: Path
) -> None:
    root = shutil.copytree(sample_root, tmp_path / "films")
    sources.choose(Source(kind="folder", folder=root), installation)
    measure(open_page("models"))
    page = open_page("models")  # again, or by somebody else
    page.segmented_control(key="split").set_value("test").run()
    assert "AUC" in {metric.label for metric in page.metric}
    min(root.glob("test/NORMAL/*.jpeg")).unlink()
    page.button(key="read-again").click().run()
    assert not page.exception and not page.metric


def test_measuring_goes_on_until_it_is_cancelled(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def endless(*rest: object, progress: Callable[[int, int], None], **options: object) -> None:
        while True:
            progress(3, 17)
            asked.set()
            time.sleep(0.01)

    monkeypatch.setattr(scoring, "evaluate", endless)
    page = open_page("models")
    page.button(key="measure").click().run()
    assert asked.wait(30)
    page = open_page("models")  # left and opened again
    (bar,) = page.get("progress")
    assert bar.proto.text.startswith("Predicting: 3 of 17 films")
    page.button(key="cancel-work").click().run()
    (cancelled,) = work._works().values()
    cancelled.wait(30)
    page.run()
    assert not page.exception and not page.metric and not page.error
    assert not page.get("progress")


def test_films_that_a_model_has_learned_from_are_no_measure(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*rest: object, **options: object) -> None:
        raise ValueError("A model must be measured on films that it has not learned from.")

    monkeypatch.setattr(scoring, "require_unseen", refuse)
    page = open_page("models")
    measure(page)
    assert "must be measured on films" in page.error[0].value and not page.metric


def test_no_film_makes_a_model_certain() -> None:
    def page() -> None:
        from pages.parts import datasets, models_result
        from pneumo.settings import ImageLimits

        dataset, catalog = datasets.require_dataset()
        films = catalog[catalog["label"] == "NORMAL"].head(1)
        wrong = films.assign(verdict="PNEUMONIA", probability=0.99999)
        models_result._show_mistakes(wrong, dataset, 0.5, ImageLimits())

    shown = AppTest.from_function(page).run()
    assert not shown.exception
    assert "called pneumonia at 99.99 %" in words(shown)


def test_the_operating_points_have_their_price(open_page: OpenPage) -> None:
    page = open_page("models")
    points = page.dataframe[2].value.set_index("Operating point")
    assert list(points.index) == ["Balanced", "High sensitivity", "High specificity"]
    assert list(points["Threshold"]) == ["50 %", "10 %", "90 %"]
    assert list(points["Unsure between"]) == ["25 % and 75 %", "3.6 % and 25 %", "75 % and 96 %"]
    balanced = bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL).card.operating_points[
        "balanced"
    ]
    low = f"{balanced.sensitivity_interval.low:.3f}"
    assert points["Sensitivity"]["Balanced"].startswith(f"{balanced.sensitivity:.3f} ({low} to ")
    assert points["Left unanswered"]["Balanced"] == f"{100 * balanced.unanswered:.1f} %"


def test_without_a_data_set_it_says_how_to_get_one(
    open_page: OpenPage, installation: Settings, tmp_path: Path
) -> None:
    sources.choose(Source(kind="folder", folder=tmp_path / "gone"), installation)
    page = open_page("models")
    assert not page.exception
    assert "gone" in page.error[0].value
    assert page.header[0].value == bundle.DEFAULT_MODEL, "the card needs no data set"


def test_a_trained_model_stands_beside_the_shipped_one(
    open_page: OpenPage, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMO_HOME", str(training.installation.home))
    page = open_page("models", model=training.run.name)
    assert not page.exception
    assert list(page.dataframe[0].value["Model"]) == [bundle.DEFAULT_MODEL, training.run.name]


def test_figures_that_flatter_say_so(
    open_page: OpenPage, training: Training, installation: Settings
) -> None:
    folder = installation.runs / "20260101-000000-again" / "bundle"
    shutil.copytree(training.run.bundle, folder)
    card = bundle.load(folder).card
    bundle.write_card(folder, dataclasses.replace(card, validation_seen=0.5))
    assert not open_page("models").warning
    page = open_page("models", model="20260101-000000-again")
    assert "At least 50 % of the validation films" in page.warning[0].value


def test_a_model_stays_chosen_when_a_newer_one_takes_its_row(
    open_page: OpenPage, training: Training, installation: Settings
) -> None:
    older, newer = "20260101-000000-older", "20260102-000000-newer"
    shutil.copytree(training.run.bundle, installation.runs / older / "bundle")
    page = open_page("models", model=older)
    shutil.copytree(training.run.bundle, installation.runs / newer / "bundle")
    page.run()
    assert list(page.dataframe[0].value["Model"]) == [bundle.DEFAULT_MODEL, newer, older]
    assert page.session_state["models"]["selection"]["rows"] == [2]
    shutil.rmtree(installation.runs / older)
    page.run()
    assert page.session_state["models"]["selection"]["rows"] == [0], "it is gone"


def test_the_picked_model_is_in_the_address_and_stays_after_a_look_elsewhere(
    open_page: OpenPage, training: Training, installation: Settings
) -> None:
    name = "20260101-000000-mine"
    shutil.copytree(training.run.bundle, installation.runs / name / "bundle")
    page = open_page("models")
    assert not page.query_params, "nobody has picked one"
    states = page._tree.get_widget_states()
    picked = json.dumps({"selection": {"rows": [1], "columns": [], "cells": []}})
    states.widgets.add(id=page.dataframe(key="models").proto.id, string_value=picked)
    page._run(states)
    assert not page.exception
    assert page.query_params["model"] == name
    del page.session_state["models"]  # as the way to another page and back does
    page.query_params.clear()
    page.run()
    assert page.session_state["models"]["selection"]["rows"] == [1]


def test_a_damaged_model_is_named_and_the_others_stay(
    open_page: OpenPage, training: Training, installation: Settings
) -> None:
    copy = installation.runs / "20260101-000000-damaged" / "bundle"
    shutil.copytree(training.run.bundle, copy)
    (copy / bundle.HEAD).write_bytes(b"altered")
    page = open_page("models")
    assert not page.exception
    assert "20260101-000000-damaged" in page.warning[0].value
    assert list(page.dataframe[0].value["Model"]) == [bundle.DEFAULT_MODEL]
