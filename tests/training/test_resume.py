"""A training that is killed at any moment ends as if nothing had happened."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest

from pneumo.background import ProcessIdentity
from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Dataset
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import launcher, queue, runs
from pneumo.training.recipe import Augmentation, HeadDesign, Phase, Recipe
from pneumo.training.runs import Run

RECIPE = Recipe(
    name="survivor",
    start="shipped",
    image_size=96,
    head=HeadDesign(dropout=0.3),
    augmentation=Augmentation(rotation=10, zoom=0.1, horizontal_flip=True, noise=5),
    cached_views=2,
    phases=(
        Phase(epochs=3),
        Phase(epochs=4, learning_rate=1e-3, unfrozen=0.15, schedule="cosine", warm_up=0.2),
    ),
    batch_size=8,
    class_weights=True,
    label_smoothing=0.05,
    weight_averaging=0.9,
    early_stopping=3,
    restore_best=True,
    validation_share=0.3,
)
"""Everything that has a state: two phases, dropout, averages, a schedule, early stopping."""

KILLS = int(os.environ.get("PNEUMO_KILLS", "5"))
"""Eight seconds each: the suite makes do with one run of them, `PNEUMO_KILLS=20` takes three."""

KILLS_A_RUN = 7
MEASURED = {"seconds", "images_per_second", "memory"}


@pytest.fixture
def make(
    installation: Settings, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Run]:
    """Makes a run that waits for `go_on`: no worker takes it."""
    monkeypatch.setattr(queue, "ensure_worker", lambda settings: None)
    monkeypatch.setenv("PNEUMO_DETERMINISTIC", "1")
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    images = catalog.build(sample_root)
    return lambda: launcher.start(installation, recipe=RECIPE, dataset=dataset, catalog=images)


def wait_for(run: Run, condition: Callable[[], object]) -> bool:
    """Whether the condition came true before the run ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if condition():
            return True
        if run.state.status not in runs.PENDING:
            return False
        time.sleep(0.002)
    raise AssertionError(f"{run.name} neither went on nor ended: {run.log_tail()}")


def kill(run: Run) -> None:
    identity = ProcessIdentity.load(run.process_file)
    process = identity and identity.find()
    if process is not None:
        process.kill()
        psutil.wait_procs([process], timeout=10)


def go_on_and_kill(run: Run, installation: Settings, chance: random.Random) -> bool:
    """Let a run go on and kill it at a random moment; False where it ended before."""
    queue.launch(run, installation)
    if chance.random() < 0.25:
        time.sleep(chance.uniform(0, 4))  # TensorFlow, the network, features
    elif wait_for(run, lambda: run.state.activity.startswith("Training")):
        time.sleep(chance.uniform(0, 2))  # steps, validation, checkpoints, the bundle
    kill(run)
    return run.state.status != "finished"


def what_it_learned(run: Run) -> list[np.ndarray]:
    model = keras.saving.load_model(bundle.load(run.bundle).keras, compile=False)
    return [np.asarray(weights) for weights in model.get_weights()]


def test_kills_leave_no_trace(make: Callable[[], Run], installation: Settings) -> None:
    untouched = make()
    queue.launch(untouched, installation)
    wait_for(untouched, lambda: False)
    assert untouched.state.status == "finished", untouched.log_tail()
    expected, epochs = what_it_learned(untouched), untouched.epochs()
    steps = untouched.steps()

    kills, chance = 0, random.Random(0)
    while kills < KILLS:
        run, killed = make(), 0
        while killed < KILLS_A_RUN and go_on_and_kill(run, installation, chance):
            assert run.state.status == "interrupted"
            killed += 1
        if run.state.status != "finished":
            queue.launch(run, installation)
            wait_for(run, lambda: False)
        assert run.state.status == "finished", run.log_tail()
        kills += killed

        for found, wanted in zip(what_it_learned(run), expected, strict=True):
            assert found == pytest.approx(wanted, abs=1e-6)
        for column, values in run.steps().items():
            assert values == pytest.approx(steps[column], abs=1e-6)
        for row, wanted in zip(run.epochs(), epochs, strict=True):
            for column in wanted.keys() - MEASURED:
                assert row[column] == pytest.approx(wanted[column], abs=1e-6), column
        assert not run.checkpoint.exists()


def test_a_stopped_training_goes_on(make: Callable[[], Run], installation: Settings) -> None:
    run = make()
    queue.launch(run, installation)
    assert wait_for(run, lambda: len(run.epochs()) >= 2)
    run.request_stop()
    wait_for(run, lambda: False)
    assert run.state.status == "stopped", run.log_tail()
    stopped = bundle.load(run.bundle).card
    assert 2 <= stopped.epochs < RECIPE.epochs and stopped.kept_epoch <= stopped.epochs

    queue.append(run, installation)
    assert run.state.status == "queued" and not run.stop_requested
    queue.launch(run, installation)
    wait_for(run, lambda: False)
    assert run.state.status == "finished", run.log_tail()
    assert [row["epoch"] for row in run.epochs()] == [1, 2, 3, 4, 5, 6, 7]
    assert bundle.load(run.bundle).card.epochs == RECIPE.epochs


def test_a_full_disk_fails_the_run_and_says_so(
    make: Callable[[], Run], installation: Settings
) -> None:
    run, other = make(), make()
    (run.folder / "steps.csv").symlink_to("/dev/full")
    queue.launch(run, installation)
    wait_for(run, lambda: False)
    assert run.state.status == "failed"
    assert "No space left on device" in run.state.message
    assert other.state.status == "queued"

    (run.folder / "steps.csv").unlink()  # room was made
    queue.append(run, installation)
    queue.launch(run, installation)
    wait_for(run, lambda: False)
    assert run.state.status == "finished", run.log_tail()


def test_a_deleted_folder_is_not_made_again(
    make: Callable[[], Run], installation: Settings, tmp_path: Path
) -> None:
    run, other = make(), make()
    queue.launch(run, installation)
    assert wait_for(run, run.epochs)
    identity = ProcessIdentity.load(run.process_file)
    assert identity is not None
    process = identity.find()
    assert process is not None
    run.folder.rename(tmp_path / "gone")
    psutil.wait_procs([process], timeout=60)
    assert runs.all_runs(installation) == [other]
    assert not process.is_running()
