"""Trainings in their own process: started, stopped, killed; one at a time."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Dataset
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import launcher, runs
from pneumo.training.launcher import TrainingUnderWay
from pneumo.training.recipe import SEED, Recipe
from pneumo.training.runs import Run

ENDLESS = SEED.changed(start="shipped", image_size=96, batch_size=8, epochs=1000)


@pytest.fixture
def start(installation: Settings, sample_root: Path) -> Callable[[Recipe], Run]:
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    images = catalog.build(sample_root)

    def start_(recipe: Recipe) -> Run:
        return launcher.start(installation, recipe=recipe, dataset=dataset, catalog=images)

    return start_


def wait(condition: Callable[[], object], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_a_stop_keeps_the_model(start: Callable[[Recipe], Run], installation: Settings) -> None:
    run = start(ENDLESS)
    assert run.state.status in runs.ACTIVE
    assert runs.active_run(installation) == run
    with pytest.raises(TrainingUnderWay, match=f"`python -m pneumo runs stop {run.name}`"):
        start(ENDLESS)
    assert runs.all_runs(installation) == [run]

    wait(run.epochs)
    run.request_stop()
    assert run.state.status == "stopping"
    wait(lambda: run.state.status not in runs.ACTIVE)

    state, epochs = run.state, len(run.epochs())
    assert state.status == "stopped", run.log_tail()
    assert 1 <= epochs < 1000
    assert state.message.startswith(f"Stopped after {epochs} of 1000 epochs")
    card = bundle.load(run.bundle).card
    assert card.epochs == epochs
    assert (card.recipe["epochs"], card.recipe["start"]) == (1000, "shipped")
    assert card.data["credit"].startswith("Images: synthetic")
    assert runs.active_run(installation) is None


def test_a_killed_training_reads_interrupted(
    start: Callable[[Recipe], Run], installation: Settings
) -> None:
    run = start(ENDLESS)
    (child,) = (
        child for child in psutil.Process().children() if str(run.folder) in child.cmdline()
    )
    assert run.state.status in ("starting", "running")
    child.kill()
    wait(lambda: run.state.status not in runs.ACTIVE, seconds=5)
    assert run.state.status == "interrupted"
    assert runs.active_run(installation) is None
    assert not run.bundle.exists()


def test_a_data_set_without_enough_patients_starts_nothing(
    installation: Settings, sample_root: Path
) -> None:
    images = catalog.build(sample_root)
    normal = images[(images["label"] == "NORMAL") | (images["split"] != "train")]
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    with pytest.raises(ValueError, match="patients of every label"):
        launcher.start(installation, recipe=ENDLESS, dataset=dataset, catalog=normal)
    assert runs.all_runs(installation) == []


def rows(**changes: list[str]) -> pd.DataFrame:
    columns = {
        "split": ["train", "train", "validation"],
        "label": ["NORMAL", "PNEUMONIA", "NORMAL"],
        "path": ["a", "b", "c"],
        "digest": ["1", "2", "3"],
    }
    return pd.DataFrame(columns | changes)


def test_the_fingerprint_is_of_content_labels_and_splits() -> None:
    dataset = Dataset(
        name="films", root=Path("/films"), synthetic=True, provenance=sources.SYNTHETIC
    )
    data = launcher.describe(dataset, rows())
    assert (data.name, data.synthetic) == ("films", True)
    assert data.counts == {"train": {"NORMAL": 1, "PNEUMONIA": 1}, "validation": {"NORMAL": 1}}
    same = [rows().iloc[::-1], rows(path=["x/a", "x/b", "x/c"])]
    assert {launcher.describe(dataset, other).fingerprint for other in same} == {data.fingerprint}
    others = [
        rows(digest=["1", "2", "4"]),
        rows(label=["PNEUMONIA", "PNEUMONIA", "NORMAL"]),
        rows(split=["train", "validation", "validation"]),
    ]
    found = {launcher.describe(dataset, other).fingerprint for other in others}
    assert len(found) == 3 and data.fingerprint not in found
