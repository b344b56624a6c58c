"""The states of the Train page."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from pneumo.background import ProcessIdentity
from pneumo.datasets import sources
from pneumo.datasets.sources import Source
from pneumo.settings import Settings
from pneumo.training import launcher, runs
from pneumo.training.recipe import QUICK, SEED, Recipe
from pneumo.training.runs import Run, RunState, TrainingData
from tests.app.conftest import words
from tests.conftest import Training

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def small_set(installation: Settings, sample_root: Path) -> None:
    """The small sample set is the chosen one."""
    sources.choose(Source(kind="folder", folder=sample_root), installation)


@pytest.fixture
def make_run(installation: Settings, sample_root: Path) -> Callable[..., Run]:
    """A run in any state, as its process would have left it."""

    def make(recipe: Recipe = QUICK, *, alive: bool = False, **state: object) -> Run:
        data = TrainingData(
            name=sample_root.name,
            synthetic=True,
            population="",
            credit="",
            fingerprint="f",
            counts={},
        )
        run = runs.create(installation, recipe=recipe, data=data, images=[])
        runs.write_state(run.folder, RunState(**state))
        created = psutil.Process().create_time() if alive else 1.0
        ProcessIdentity(pid=os.getpid(), created=created).save(run.folder / "process.json")
        return run

    return make


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, make_run: Callable[..., Run]) -> list[Recipe]:
    """The recipes that the page has started; no process is."""
    recipes: list[Recipe] = []

    def start(settings: Settings, *, recipe: Recipe, **rest: object) -> Run:
        recipes.append(recipe)
        return make_run(recipe, status="finished")

    monkeypatch.setattr(launcher, "start", start)
    return recipes


def test_before_the_first_training_it_says_what_will_happen(open_page: OpenPage) -> None:
    page = open_page("train")
    assert not page.exception
    assert "Nothing has been trained" in page.info[0].value
    assert not page.button(key="start").disabled


def test_the_form_starts_what_it_shows(open_page: OpenPage, started: list[Recipe]) -> None:
    page = open_page("train")
    page.segmented_control(key="recipe").set_value("seed").run()
    page.number_input(key="epochs-seed").set_value(3).run()
    page.selectbox(key="weights-seed").set_value("shipped").run()
    page.button(key="start").click().run()
    assert not page.exception
    assert started == [SEED.changed(epochs=3, start="shipped")]


def test_untouched_the_form_starts_the_preset(open_page: OpenPage, started: list[Recipe]) -> None:
    page = open_page("train")
    page.button(key="start").click().run()
    assert started == [QUICK]


def test_a_refused_start_is_explained(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ValueError("`share` must leave a patient of each class. Received: share=0.9")

    monkeypatch.setattr(launcher, "start", refuse)
    page = open_page("train")
    page.button(key="start").click().run()
    assert not page.exception
    assert "must leave a patient" in page.error[0].value


@pytest.mark.parametrize(
    ("state", "alive", "shown"),
    [
        ({"status": "starting"}, True, "Starting"),
        ({"status": "running", "activity": "Training", "done": 3, "total": 9}, True, "Running"),
        ({"status": "running"}, False, "Interrupted"),
        ({"status": "stopped", "message": "Stopped after 2 of 5 epochs"}, False, "Stopped"),
        ({"status": "finished"}, False, "Finished"),
        ({"status": "failed", "message": "No space left on device"}, False, "Failed"),
    ],
)
def test_every_state_of_a_run_is_shown(
    open_page: OpenPage,
    make_run: Callable[..., Run],
    state: dict[str, object],
    alive: bool,
    shown: str,
) -> None:
    make_run(alive=alive, heartbeat=time.time(), **state)
    page = open_page("train")
    assert not page.exception
    assert f" {shown}]" in words(page)
    assert str(state.get("message", "")) in words(page)
    assert page.button(key="start").disabled == alive


def test_the_stop_button_asks_for_a_stop(open_page: OpenPage, make_run: Callable[..., Run]) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time())
    page = open_page("train")
    page.button(key="stop").click().run()
    assert run.stop_requested
    page.run()
    assert "Stopping]" in words(page)


def test_without_imagenet_weights_it_offers_the_shipped_ones(
    open_page: OpenPage, make_run: Callable[..., Run], started: list[Recipe]
) -> None:
    make_run(SEED, status="failed", message="No ImageNet weights.", failure="starting_weights")
    page = open_page("train")
    page.button(key="start-shipped").click().run()
    assert not page.exception
    assert started == [SEED.changed(start="shipped")]


def test_the_address_names_the_run(open_page: OpenPage, make_run: Callable[..., Run]) -> None:
    first = make_run(status="failed", message="The first one.")
    make_run(status="failed", message="The second one.")
    assert "The second one." in words(open_page("train"))
    assert "The first one." in words(open_page("train", run=first.name))


def test_a_finished_run_shows_its_curves_and_its_model(
    open_page: OpenPage, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMO_HOME", str(training.installation.home))
    page = open_page("train")
    assert not page.exception
    assert "Finished]" in words(page)
    assert "Model ready" in words(page)
    assert page.button(key="use-model")
    assert len(page.get("plotly_chart")) == 3
