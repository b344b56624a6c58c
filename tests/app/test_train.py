"""The states of the Train page."""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import frame, train_compare, train_estimate, train_watch
from pneumo import figures
from pneumo.background import ProcessIdentity
from pneumo.datasets import sources
from pneumo.datasets.sources import Source
from pneumo.evaluation import comparison
from pneumo.settings import REPOSITORY, Settings
from pneumo.training import launcher, pace, queue, runs
from pneumo.training import recipe as recipes
from pneumo.training.pace import Pace
from pneumo.training.recipe import BEST, QUICK, SEED, Recipe
from pneumo.training.runs import LeftOut, Run, RunState, TrainingData, ValidationAnswer
from tests.app.conftest import words
from tests.conftest import Training

OpenPage = Callable[..., AppTest]
MakeRun = Callable[..., Run]
METRICS = ("loss", "accuracy", "auc", "sensitivity", "specificity")


@pytest.fixture(autouse=True)
def small_set(installation: Settings, sample_root: Path) -> None:
    """The small sample set is the chosen one."""
    sources.choose(Source(kind="folder", folder=sample_root), installation)


@pytest.fixture
def make_run(installation: Settings, sample_root: Path) -> MakeRun:
    """A run in any state, as its process would have left it."""

    def make(
        recipe: Recipe = QUICK,
        *,
        alive: bool = False,
        epochs: int = 0,
        answers: np.ndarray | None = None,
        **state: object,
    ) -> Run:
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
        ProcessIdentity(pid=os.getpid(), created=created).save(run.process_file)
        if epochs:
            write_curves(run, epochs)
        if answers is not None:
            rows = [
                ValidationAnswer(
                    path=f"{number}.jpeg",
                    digest=str(number),
                    label="PNEUMONIA" if number % 2 else "NORMAL",
                    logit=0.0,
                    probability=float(probability),
                )
                for number, probability in enumerate(answers)
            ]
            runs.write_rows(run.folder / "validation.csv", ValidationAnswer, rows)
        return run

    return make


def write_curves(run: Run, epochs: int, *, steps_an_epoch: int = 3) -> None:
    """Steps and epochs, half of them in a second phase; the loss falls, the rest rises."""
    columns = ["epoch", "phase", "seconds", "learning_rate", "images_per_second", "memory"]
    columns += [f"{split}_{metric}" for split in ("train", "validation") for metric in METRICS]
    lines = [",".join(columns)]
    for epoch in range(1, epochs + 1):
        phase = 1 if epoch <= epochs / 2 else 2
        figures = [1 / epoch if metric == "loss" else 1 - 1 / (epoch + 1) for metric in METRICS]
        lines.append(",".join(map(str, [epoch, phase, 1.0, 1e-3, 50.0, 2**30, *figures, *figures])))
    (run.folder / "epochs.csv").write_text("\n".join(lines) + "\n")
    lines = ["epoch,step,loss,learning_rate"]
    for step in range(epochs * steps_an_epoch):
        lines.append(f"{step // steps_an_epoch + 1},{step + 1},{1 / (step + 1)},0.001")
    (run.folder / "steps.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, make_run: MakeRun) -> list[Recipe]:
    """The recipes that the page has started; no process is."""
    started: list[Recipe] = []

    def start(settings: Settings, *, recipe: Recipe, **rest: object) -> Run:
        started.append(recipe)
        return make_run(recipe, status="finished")

    monkeypatch.setattr(launcher, "start", start)
    return started


# A new training -------------------------------------------------------------------------


def test_before_the_first_training_it_says_what_will_happen(open_page: OpenPage) -> None:
    page = open_page("train")
    assert not page.exception
    assert "Nothing has been trained" in page.info[0].value
    assert not page.button(key="start").disabled
    assert "Train **83**: 32 normal, 51 pneumonia" in words(page)
    assert "Validation **17**: 8 normal, 9 pneumonia" in words(page)


def test_the_form_starts_what_it_shows(open_page: OpenPage, started: list[Recipe]) -> None:
    page = open_page("train")
    page.segmented_control(key="recipe").set_value("seed").run()
    page.number_input(key="epochs-seed").set_value(3).run()
    page.selectbox(key="weights-seed").set_value("shipped").run()
    page.slider(key="zoom-seed").set_value(0.3).run()
    assert "Differs from seed in 3 settings" in words(page)
    page.button(key="start").click().run()
    assert not page.exception
    augmentation = dataclasses.replace(SEED.augmentation, zoom=0.3)
    assert started == [SEED.changed(epochs=3, start="shipped", augmentation=augmentation)]


def test_the_next_training_does_not_take_away_the_one_that_is_watched(
    open_page: OpenPage, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = make_run(alive=True, status="running", heartbeat=time.time())
    make_run(status="queued", heartbeat=time.time())

    def start(settings: Settings, **rest: object) -> Run:
        return make_run(status="queued", heartbeat=time.time())

    monkeypatch.setattr(launcher, "start", start)
    page = open_page("train", run=watched.name)
    page.button(key="start").click().run()
    assert not page.exception
    assert "is queued. 1 before it." in page.toast[0].value
    assert page.query_params["run"] == watched.name
    assert page.selectbox(key="picked").value == watched.name


@pytest.mark.parametrize("preset", [QUICK, BEST, SEED])
def test_untouched_the_form_starts_the_preset(
    open_page: OpenPage, started: list[Recipe], preset: Recipe
) -> None:
    page = open_page("train")
    page.segmented_control(key="recipe").set_value(preset.name).run()
    page.button(key="start").click().run()
    assert not page.exception
    assert "Differs" not in words(page)
    # As text, too: what the pace of this machine is kept under.
    assert [recipe.to_json() for recipe in started] == [preset.to_json()]


def test_a_recipe_keeps_its_changes_while_another_is_looked_at(open_page: OpenPage) -> None:
    page = open_page("train")
    page.number_input(key="epochs-quick").set_value(7).run()
    page.segmented_control(key="recipe").set_value("best").run()
    page.segmented_control(key="recipe").set_value("quick").run()
    assert page.number_input(key="epochs-quick").value == 7


def test_an_invalid_recipe_is_refused_by_argument_rule_and_value(open_page: OpenPage) -> None:
    page = open_page("train")
    page.number_input(key="rate-quick").set_value(2.0).run()
    assert not page.exception
    assert page.error[0].value == (
        "`learning_rate` must be above 0, at most 1. Received: learning_rate=2.0"
    )
    assert page.button(key="start").disabled


def test_three_classes_are_counted(open_page: OpenPage) -> None:
    page = open_page("train")
    page.radio(key="classes-quick").set_value(3).run()
    assert not page.exception
    assert "bacterial" in words(page) and "viral" in words(page)


def test_a_refused_start_is_explained(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ValueError("`share` must leave a patient of each class. Received: share=0.9")

    monkeypatch.setattr(launcher, "start", refuse)
    page = open_page("train")
    page.button(key="start").click().run()
    assert not page.exception
    assert "must leave a patient" in page.error[0].value


def test_augmented_films_follow_the_sliders(open_page: OpenPage) -> None:
    page = open_page("train")
    assert not page.get("image")
    page.session_state["augmentation"] = True
    page.run()
    before = [image.proto.imgs[0].url for image in page.get("image")]
    assert len(before) == 6
    page.slider(key="rotation-quick").set_value(45.0).run()
    after = [image.proto.imgs[0].url for image in page.get("image")]
    assert set(after).isdisjoint(before)
    page.button(key="others").click().run()
    assert not page.exception
    assert set(after).isdisjoint(image.proto.imgs[0].url for image in page.get("image"))


# Recipes as files -----------------------------------------------------------------------


def test_a_recipe_is_saved_under_its_name_and_chosen(
    open_page: OpenPage, installation: Settings
) -> None:
    page = open_page("train")
    page.text_input(key="name-quick").set_value("My own").run()
    page.number_input(key="epochs-quick").set_value(9)  # in the same breath
    page.button(key="save-recipe").click().run()
    assert not page.exception
    assert recipes.find(installation, "my-own") == QUICK.changed(name="My own", epochs=9)
    assert page.segmented_control(key="recipe").value == "my-own"
    assert "Differs" not in words(page)


def test_a_name_of_a_preset_is_refused(open_page: OpenPage, installation: Settings) -> None:
    page = open_page("train")
    page.button(key="save-recipe").click().run()
    assert "`name` must be another than a preset's" in page.error[0].value
    assert not recipes.saved(installation)


def test_a_recipe_is_loaded_from_a_file(open_page: OpenPage, started: list[Recipe]) -> None:
    mine = BEST.changed(name="Mine", batch_size=8)
    page = open_page("train")
    page.file_uploader(key="load-recipe").upload("mine.json", mine.to_json().encode()).run()
    assert not page.exception
    assert page.segmented_control(key="recipe").value == "mine (file)"
    page.button(key="start").click().run()
    assert started == [mine]


@pytest.mark.parametrize(
    "unusual",
    [
        {"label_smoothing": 0, "weight_averaging": 0},  # whole numbers, as people write them
        {"label_smoothing": 0.995, "weight_averaging": 0.99995},  # more than the form offers
        {"phases": [{"epochs": 1, "learning_rate": 1, "unfrozen": 1}]},
        {"phases": [{"epochs": 1, "unfrozen": 0.01}]},
    ],
)
def test_a_recipe_written_by_hand_fits_the_form(
    open_page: OpenPage, started: list[Recipe], unusual: dict[str, object]
) -> None:
    mine = json.loads(QUICK.changed(name="mine", cached_views=0).to_json()) | unusual
    page = open_page("train")
    page.file_uploader(key="load-recipe").upload("mine.json", json.dumps(mine).encode()).run()
    assert not page.exception and not page.error
    page.button(key="start").click().run()
    assert not page.exception
    assert started == [recipes.from_dict(mine)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no json", "broken.json must be a JSON file"),
        (b"\xff\xfe\x00", "broken.json must be a JSON file"),
        (b"[1]", "A recipe must have the fields of `Recipe`"),
        (QUICK.to_json().replace("64", "0").encode(), "Received: batch_size=0"),
        (b'{"name": "x", "speed": 3}', "speed"),
    ],
)
def test_a_file_without_a_recipe_is_refused_and_nothing_is_lost(
    open_page: OpenPage, content: bytes, complaint: str
) -> None:
    page = open_page("train")
    page.number_input(key="epochs-quick").set_value(7).run()
    page.file_uploader(key="load-recipe").upload("broken.json", content).run()
    assert not page.exception
    assert complaint in page.error[0].value
    assert page.number_input(key="epochs-quick").value == 7


def test_a_saved_recipe_that_was_broken_by_hand_is_explained(
    open_page: OpenPage, installation: Settings
) -> None:
    path = recipes.save(installation, QUICK.changed(name="mine"))
    path.write_text(json.dumps({"name": "mine", "seed": -1}))
    page = open_page("train")
    page.segmented_control(key="recipe").set_value("mine").run()
    assert not page.exception
    assert "mine cannot be used" in page.error[0].value and "seed=-1" in page.error[0].value


def test_differences_from_another_recipe_are_listed(open_page: OpenPage) -> None:
    page = open_page("train")
    page.number_input(key="batch-quick").set_value(32).run()
    assert "batch_size" in words(page)
    page.selectbox(key="differences-quick").set_value("seed").run()
    assert "head.hidden_units" in words(page)


# How long it takes ----------------------------------------------------------------------

SECOND_EACH = Pace(
    startup=10,
    reading=0,
    features=0,
    head_step=0.5,
    fine_tuning_steps=(0.0,),
    evaluation=0,
    writing=1,
)


def keep_pace(recipe: Recipe, installation: Settings) -> None:
    SECOND_EACH.save(pace._folder(recipe, installation) / "pace.json")


def test_a_known_pace_is_told_at_once(open_page: OpenPage, installation: Settings) -> None:
    keep_pace(QUICK, installation)
    page = open_page("train")
    # 10 s, 1 s, and 40 epochs of two steps (83 films, 64 a step) of half a second.
    assert "about **51 s** here" in words(page)


def test_an_unknown_pace_is_measured_once_the_recipe_rests(
    open_page: OpenPage, measured: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page("train")
    assert measured == []
    monkeypatch.setattr(train_estimate, "PATIENCE", 0.0)
    page.run()
    assert "Measuring this machine" in words(page)
    assert measured == [QUICK]
    page.run()  # the process has ended, and left nothing
    assert "could not be measured" in words(page)
    assert measured == [QUICK]
    page.button(key="measure-again").click().run()
    assert measured == [QUICK, QUICK]
    assert not page.exception


def test_nothing_is_measured_beside_a_training(
    open_page: OpenPage,
    make_run: MakeRun,
    measured: list[Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train_estimate, "PATIENCE", 0.0)
    make_run(alive=True, status="running", heartbeat=time.time())
    assert "once no training is under way" in words(open_page("train"))
    assert measured == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (24.6, "25 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (1100, "18 min"),
        (3601, "1 h 0 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert frame.duration(seconds) == text


# States of a run ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "alive", "shown"),
    [
        ({"status": "queued"}, False, "Queued"),
        ({"status": "starting"}, True, "Starting"),
        ({"status": "running", "activity": "Training", "done": 3, "total": 9}, True, "Running"),
        ({"status": "running"}, False, "Interrupted"),
        ({"status": "stopped", "message": "Stopped after 2 of 5 epochs"}, False, "Stopped"),
        ({"status": "finished"}, False, "Finished"),
        ({"status": "failed", "message": "No space left on device"}, False, "Failed"),
        ({"status": "cancelled", "message": "Taken out of the queue"}, False, "Cancelled"),
    ],
)
def test_every_state_of_a_run_is_shown(
    open_page: OpenPage,
    make_run: MakeRun,
    state: dict[str, object],
    alive: bool,
    shown: str,
) -> None:
    make_run(alive=alive, heartbeat=time.time(), **state)
    page = open_page("train")
    assert not page.exception
    assert f" {shown}]" in words(page)
    assert str(state.get("message", "")) in words(page)
    assert not page.button(key="start").disabled
    waits = shown in ("Queued", "Starting", "Running")
    assert page.button(key="start").label == ("Add to the queue" if waits else "Start training")
    keys = {button.key for button in page.button}
    resumable = shown in ("Interrupted", "Stopped", "Failed", "Cancelled")
    assert any(it.startswith("resume-") for it in keys if it) == resumable
    assert any(it.startswith("delete-for-good-") for it in keys if it) == (not waits)


def test_progress_says_what_a_training_takes() -> None:
    state = RunState(
        status="running",
        activity="Training backbone and head, phase 2 of 2",
        done=250,
        total=1000,
        activity_began=time.time() - 100,
        heartbeat=time.time(),
        images_per_second=42.4,
        memory=3 * 2**29,
    )
    assert train_watch.progress_text(state) == (
        "Training backbone and head, phase 2 of 2 · 250 of 1,000 · **5 min** left in this phase · "
        "42 images a second · 1.5 GiB of memory"
    )


def test_the_stop_button_asks_for_a_stop(open_page: OpenPage, make_run: MakeRun) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time())
    page = open_page("train")
    page.button(key=f"stop-{run.name}").click().run()
    assert not page.exception
    assert run.stop_requested
    assert "Stopping]" in words(page)
    stop = page.button(key=f"stop-{run.name}")
    assert stop.label == "Stopping…" and stop.disabled


def test_a_run_that_heeds_no_stop_is_ended(
    open_page: OpenPage, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time())

    def end(process: ProcessIdentity) -> None:
        ProcessIdentity(pid=process.pid, created=1.0).save(run.process_file)

    monkeypatch.setattr(ProcessIdentity, "end", end)
    page = open_page("train")
    assert not any("end-at-once" in str(button.key) for button in page.button)
    page.button(key=f"stop-{run.name}").click().run()
    page.button(key=f"end-at-once-{run.name}").click().run()
    assert not page.exception
    assert run.state.status == "interrupted"
    assert page.button(key=f"resume-{run.name}")


def test_a_training_can_be_stopped_where_there_is_no_data_set(
    open_page: OpenPage, make_run: MakeRun, installation: Settings, tmp_path: Path
) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time())
    sources.choose(sources.Source(kind="folder", folder=tmp_path / "gone"), installation)
    page = open_page("train")
    assert "gone" in page.error[0].value
    page.button(key=f"stop-{run.name}").click().run()
    assert not page.exception
    assert run.stop_requested


def test_an_interrupted_run_is_resumed(open_page: OpenPage, make_run: MakeRun) -> None:
    run = make_run(status="running", heartbeat=time.time())
    page = open_page("train")
    assert "ended without a word" in page.warning[0].value
    page.button(key=f"resume-{run.name}").click().run()
    assert not page.exception
    assert run.state.status == "queued"
    assert "It is the next to start" in page.info[0].value


def test_a_run_is_deleted(open_page: OpenPage, make_run: MakeRun) -> None:
    run = make_run(status="finished", epochs=2)
    page = open_page("train", run=run.name)
    page.button(key=f"delete-for-good-{run.name}").click().run()
    assert not page.exception
    assert not run.folder.exists()
    assert "Nothing has been trained" in page.info[0].value
    assert not page.query_params and not page.warning


def test_a_label_of_a_deleted_run_does_not_get_into_the_address(
    open_page: OpenPage, make_run: MakeRun
) -> None:
    kept, deleted = (make_run(status="finished") for _ in range(2))
    page = open_page("train", run=deleted.name)
    page.button(key=f"delete-for-good-{deleted.name}").click().run()
    picked = page.selectbox(key="picked")
    picked.options.append(f"{deleted.name} · deleted")  # to a browser that has not heard of it
    picked.set_value(deleted.name).run()
    assert not page.exception and not page.query_params
    assert page.selectbox(key="picked").value == kept.name


def test_an_address_of_no_run_says_so(open_page: OpenPage, make_run: MakeRun) -> None:
    make_run(status="failed", message="The only one.")
    page = open_page("train", run="gone")
    assert "There is no run named gone" in page.warning[0].value
    assert "The only one." in words(page)


def test_without_imagenet_weights_it_offers_the_shipped_ones(
    open_page: OpenPage, make_run: MakeRun, started: list[Recipe]
) -> None:
    make_run(SEED, status="failed", message="No ImageNet weights.", failure="starting_weights")
    page = open_page("train")
    page.button(key="start-shipped").click().run()
    assert not page.exception
    assert started == [SEED.changed(start="shipped")]


def test_a_run_of_another_version_is_explained(open_page: OpenPage, make_run: MakeRun) -> None:
    run = make_run(status="finished")
    (run.folder / "recipe.json").write_text('{"name": "old", "speed": 1}')
    page = open_page("train")
    assert not page.exception
    assert "The recipe of this run cannot be read" in page.error[0].value


def test_the_address_names_the_run(open_page: OpenPage, make_run: MakeRun) -> None:
    first = make_run(status="failed", message="The first one.")
    make_run(status="failed", message="The second one.")
    assert "The second one." in words(open_page("train"))
    assert "The first one." in words(open_page("train", run=first.name))


def test_the_run_under_way_comes_before_newer_ones(open_page: OpenPage, make_run: MakeRun) -> None:
    make_run(alive=True, status="running", heartbeat=time.time())
    make_run(status="failed", message="The newer one.")
    assert "Running]" in words(open_page("train"))


def test_a_run_that_ends_stays_in_view(open_page: OpenPage, make_run: MakeRun) -> None:
    watched = make_run(alive=True, status="running", heartbeat=time.time())
    make_run(status="failed", message="The newer one.")
    page = open_page("train")
    runs.write_state(watched.folder, RunState(status="stopped", message="The watched one."))
    page.run()
    assert "The watched one." in words(page)
    states = page._tree.get_widget_states()
    (picked,) = (it for it in states.widgets if it.id == page.selectbox(key="picked").id)
    for label in (f"{watched.name} · running", f"{watched.name} · stopped"):  # late, and in time
        picked.string_value = label
        page._run(states)
        assert "The watched one." in words(page)
        assert not page.query_params, "nobody has picked it"


def test_pictures_left_out_are_listed_with_reasons(open_page: OpenPage, make_run: MakeRun) -> None:
    run = make_run(status="finished")
    rows = [LeftOut(path="a.jpeg", reason="The file is empty.")]
    runs.write_rows(run.folder / "left_out.csv", LeftOut, rows)
    assert "The file is empty." in words(open_page("train"))


def test_a_finished_run_shows_its_curves_and_its_model(
    open_page: OpenPage, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMO_HOME", str(training.installation.home))
    page = open_page("train")
    assert not page.exception
    assert "Finished]" in words(page)
    assert "Model ready" in words(page)
    assert page.button(key="use-model")
    assert len(page.get("plotly_chart")) == 7


def test_a_resumed_run_shows_how_it_goes_and_not_what_an_earlier_stop_left(
    open_page: OpenPage, make_run: MakeRun, training: Training
) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time(), epochs=6)
    shutil.copytree(training.run.bundle, run.bundle)
    page = open_page("train")
    assert "Model ready" not in words(page)
    assert page.metric[0].value == "6 of 40"
    runs.write_state(run.folder, RunState(status="stopped"))
    assert "Model ready" in words(page.run())


# Queue ----------------------------------------------------------------------------------


def test_the_queue_is_reordered_and_cancelled(
    open_page: OpenPage, make_run: MakeRun, installation: Settings
) -> None:
    made = [make_run(status="queued", heartbeat=time.time()) for _ in range(3)]
    first, second, third = (run.name for run in made)
    page = open_page("train")

    def names() -> list[str]:
        return [run.name for run in queue.waiting(installation)]

    assert names() == [first, second, third]
    assert page.button(key=f"arrow_upward-{first}").disabled
    assert page.button(key=f"arrow_downward-{third}").disabled
    page.button(key=f"arrow_upward-{third}").click().run()
    assert names() == [first, third, second]
    page.button(key=f"arrow_downward-{first}").click().run()
    assert names() == [third, first, second]
    page.button(key=f"close-{first}").click().run()
    assert names() == [third, second]
    assert not page.exception


def test_a_run_that_started_meanwhile_cannot_be_moved(
    open_page: OpenPage, make_run: MakeRun
) -> None:
    runs_ = [make_run(status="queued", heartbeat=time.time()) for _ in range(2)]
    page = open_page("train")
    runs.write_state(runs_[1].folder, RunState(status="finished"))
    page.button(key=f"close-{runs_[1].name}").click().run()
    assert not page.exception
    assert "Only a run that waits or is under way can be stopped" in page.toast[0].value


# Several runs ---------------------------------------------------------------------------


def test_other_runs_are_laid_over(open_page: OpenPage, make_run: MakeRun) -> None:
    earlier = make_run(status="finished", epochs=6)
    shown = make_run(status="finished", epochs=4)
    page = open_page("train")
    assert page.multiselect(key="overlaid").options == [earlier.name]
    page.multiselect(key="overlaid").set_value([earlier.name]).run()
    assert not page.exception
    (legend,) = (it.proto.body for it in page.get("html") if "Validation of" in it.proto.body)
    assert earlier.name in legend and figures.OVERLAID[0][0] in legend
    assert shown.name not in legend
    charts = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    named = [{trace.get("name") for trace in chart["data"]} for chart in charts]
    assert earlier.name in named[0] and earlier.name in named[1]


def test_a_deleted_run_is_laid_over_no_more(open_page: OpenPage, make_run: MakeRun) -> None:
    earlier = make_run(status="finished", epochs=6)
    make_run(status="finished", epochs=4)
    page = open_page("train")
    page.multiselect(key="overlaid").set_value([earlier.name]).run()
    runs.delete(earlier)
    page.run()
    assert not page.exception
    assert page.multiselect(key="overlaid").value == []


def test_two_runs_are_compared(open_page: OpenPage, make_run: MakeRun) -> None:
    truth = np.arange(40) % 2
    good = 0.2 + 0.6 * truth
    bad = np.where(np.arange(40) < 10, np.round(1 - good, 1), good)
    other = make_run(QUICK.changed(epochs=3), status="finished", answers=bad)
    make_run(status="finished", answers=good)
    page = open_page("train")
    page.selectbox(key="compared").set_value(other.name).run()
    assert not page.exception
    said = words(page)
    assert "phases.1.epochs" in said
    assert "**40 validation images**" in said
    assert "AUC 1.0000 for this run, 0.7500 for the other" in said
    assert "only this run is right on 10 images, only the other on 0, p = 0.002" in said


def test_runs_without_common_images_are_not_compared(
    open_page: OpenPage, make_run: MakeRun
) -> None:
    other = make_run(status="finished", answers=np.array([0.1, 0.9]))
    rows = other.validation_answers()
    moved = [dataclasses.replace(row, digest=f"x{row.digest}") for row in rows]
    runs.write_rows(other.folder / "validation.csv", ValidationAnswer, moved)
    make_run(status="finished", answers=np.array([0.1, 0.9]))
    page = open_page("train")
    page.selectbox(key="compared").set_value(other.name).run()
    assert not page.exception
    assert "share none" in page.warning[0].value


def test_too_few_images_are_not_tested() -> None:
    result = comparison.compare(
        np.array([True, False]),
        np.array([0.9, 0.1]),
        np.array([0.1, 0.9]),
        first_threshold=0.5,
        second_threshold=0.5,
    )
    assert "too few images for a test" in train_compare.in_words(result)[1]


def test_the_recipe_of_a_run_goes_into_the_form(
    open_page: OpenPage, make_run: MakeRun, started: list[Recipe]
) -> None:
    recipe = QUICK.changed(name="earlier", epochs=77)
    make_run(recipe, status="finished")
    page = open_page("train")
    page.button(key="reuse").click().run()
    assert page.segmented_control(key="recipe").value == "earlier (file)"
    page.button(key="start").click().run()
    assert not page.exception
    assert started == [recipe]


# The word on other pages ----------------------------------------------------------------


@pytest.fixture
def app() -> AppTest:
    """The frame around the pages, with Browse in it."""
    return AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=30)


def test_the_end_of_a_training_is_announced(app: AppTest, make_run: MakeRun) -> None:
    run = make_run(status="failed", message="No space left on *device*")
    app.session_state["pending-runs"] = {run.name}  # at the last look
    (toast,) = app.run().toast
    assert run.name in toast.value and r"No space left on \*device\*" in toast.value
    assert "`" not in toast.value
    assert app.session_state["pending-runs"] == set()


def test_what_ended_before_the_app_was_opened_is_not_announced(
    app: AppTest, make_run: MakeRun
) -> None:
    run = make_run(alive=True, status="running", heartbeat=time.time())
    make_run(status="failed", message="No space left on device")
    app.run()
    assert not app.exception and not app.toast
    assert app.session_state["pending-runs"] == {run.name}


def test_a_finished_training_is_announced_with_its_auc(
    app: AppTest, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMO_HOME", str(training.installation.home))
    sources.choose(Source(kind="folder", folder=training.root), training.installation)
    app.session_state["pending-runs"] = {training.run.name, "deleted meanwhile"}
    (toast,) = app.run().toast
    assert "finished" in toast.value and "AUC" in toast.value
