"""From a data set and a recipe to a queued run; a training in its own process."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo.background import ProcessIdentity
from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Dataset
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import launcher, queue, runs
from pneumo.training.recipe import SEED, InvalidRecipe, Recipe
from pneumo.training.runs import Run
from pneumo.training.tracking import TrackerMissing, Tracking

ENDLESS = SEED.changed(start="shipped", image_size=96, batch_size=8, epochs=1000)


@pytest.fixture
def start(installation: Settings, sample_root: Path) -> Callable[[Recipe], Run]:
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    images = catalog.build(sample_root)

    def start_(recipe: Recipe) -> Run:
        return launcher.start(installation, recipe=recipe, dataset=dataset, catalog=images)

    return start_


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Nobody works the queue off."""
    called: list[Settings] = []
    monkeypatch.setattr(queue, "ensure_worker", called.append)
    return called


def wait(condition: Callable[[], object], *, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_the_next_training_starts_when_the_one_before_has_ended(
    start: Callable[[Recipe], Run], installation: Settings
) -> None:
    run, killed = start(ENDLESS), start(ENDLESS)
    assert run.state.status in runs.PENDING and killed.state.status == "queued"
    assert runs.all_runs(installation) == [killed, run]

    wait(lambda: run.epochs() or run.state.status not in runs.PENDING)
    assert run.state.status == "running"
    assert runs.active_run(installation) == run and queue.waiting(installation) == [killed]
    run.request_stop()
    assert run.state.status in ("stopping", "stopped")
    wait(lambda: run.state.status not in runs.ACTIVE)

    state, epochs = run.state, len(run.epochs())
    assert state.status == "stopped", run.log_tail()
    assert 1 <= epochs < 1000
    assert state.message.startswith(f"Stopped after {epochs} of 1000 epochs")
    card = bundle.load(run.bundle).card
    assert card.epochs == epochs and 1 <= card.kept_epoch <= epochs
    assert (card.recipe["phases"][0]["epochs"], card.recipe["start"]) == (1000, "shipped")
    assert card.data["credit"].startswith("Images: synthetic")
    assert run.checkpoint.exists()  # it can go on

    wait(lambda: killed.process_file.exists())
    identity = ProcessIdentity.load(killed.process_file)
    assert identity is not None
    process = identity.find()
    assert process is not None
    assert killed.state.status in ("starting", "running")
    process.kill()
    wait(lambda: killed.state.status not in runs.ACTIVE, seconds=5)
    assert killed.state.status == "interrupted"
    assert runs.active_run(installation) is None
    assert not killed.bundle.exists()


def test_a_run_waits_with_all_that_it_needs(
    start: Callable[[Recipe], Run],
    installation: Settings,
    sample_root: Path,
    no_worker: list[Settings],
) -> None:
    run = start(ENDLESS)
    assert run.state.status == "queued" and queue.waiting(installation) == [run]
    assert no_worker == [installation]
    assert run.recipe == ENDLESS
    expected = launcher.split(catalog.build(sample_root), ENDLESS)
    assert [
        (image.path, image.label, image.subtype, image.patient, image.split, image.digest)
        for image in run.images()
    ] == [
        (str(sample_root / row.path), row.label, row.subtype, row.patient, row.split, row.digest)
        for row in expected.itertuples()
    ]
    assert {image.split for image in run.images()} == {"train", "validation"}
    assert sum(sum(labels.values()) for labels in run.data.counts.values()) == 100


def test_who_is_told_of_a_training_is_decided_when_it_is_queued(
    start: Callable[[Recipe], Run], no_worker: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Tracking.load(start(ENDLESS).folder) == Tracking()


def test_a_missing_tracker_starts_nothing(
    installation: Settings, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tracking: Tracking) -> None:
        raise TrackerMissing("not installed")

    monkeypatch.setattr(launcher, "check", refuse)
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    with pytest.raises(TrackerMissing):
        launcher.start(
            installation,
            recipe=ENDLESS,
            dataset=dataset,
            catalog=catalog.build(sample_root),
            tracking=Tracking(tensorboard=True),
        )
    assert runs.all_runs(installation) == []


def test_a_data_set_without_enough_patients_starts_nothing(
    installation: Settings, sample_root: Path
) -> None:
    images = catalog.build(sample_root)
    normal = images[(images["label"] == "NORMAL") | (images["split"] != "train")]
    dataset = Dataset(name="films", root=sample_root, synthetic=True, provenance=sources.SYNTHETIC)
    with pytest.raises(ValueError, match="patients of every label"):
        launcher.start(installation, recipe=ENDLESS, dataset=dataset, catalog=normal)
    assert runs.all_runs(installation) == []


def test_three_classes_need_films_of_known_cause(
    start: Callable[[Recipe], Run], sample_root: Path, no_worker: list[Settings]
) -> None:
    three = ENDLESS.changed(classes=3, validation_share=0.3)
    images = catalog.build(sample_root)
    train = images["split"] == "train"
    assert set(images.loc[train, "subtype"]) == {"normal", "bacterial", "viral"}
    rows = launcher.split(images, three)
    assert {(image.split, image.subtype) for image in start(three).images()} == {
        (split, subtype)
        for split in ("train", "validation")
        for subtype in ("normal", "bacterial", "viral")
    }
    assert set(rows["split"]) == {"train", "validation"}

    unknown = images.assign(subtype=images["subtype"].replace("viral", "unknown"))
    with pytest.raises(InvalidRecipe) as refusal:
        launcher.split(unknown, three)
    assert str(refusal.value).startswith("`classes=3` needs normal, bacterial and viral films")
    assert "'unknown': " in str(refusal.value) and "in `train`" in str(refusal.value)
    bacterial = images[images["subtype"] != "viral"]
    with pytest.raises(InvalidRecipe, match="`classes=3` needs"):
        launcher.split(bacterial, three)
    launcher.split(unknown, three.changed(classes=2))


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
