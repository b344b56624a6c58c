"""The training process, from a run's folder to its bundle."""

import dataclasses
import json
import os
import socket
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from pneumo import radiograph
from pneumo.datasets import catalog
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import evaluate, rows_of_split
from pneumo.settings import Settings
from pneumo.training import fit, runs
from pneumo.training.checkpoint import CheckpointMismatch
from pneumo.training.pipeline import Pictures, read_pictures
from pneumo.training.recipe import Augmentation, HeadDesign, Phase
from pneumo.training.runs import TrainingImage
from tests.conftest import Training
from tests.training.conftest import MakeRun
from tests.training.films import write_film, write_noise

COLUMNS = ["loss", "accuracy", "auc", "sensitivity", "specificity"]


def test_it_finished(training: Training) -> None:
    state = training.run.state
    assert (state.status, state.failure) == ("finished", "")
    assert state.message.startswith("Finished after 30 of 30 epochs")
    # No checkpoint, as it will not go on, and nothing hidden.
    names = {path.name for path in training.run.folder.iterdir()}
    assert names == {
        *("recipe.json", "data.json", "images.csv", "process.json", "state.json"),
        *("steps.csv", "epochs.csv", "log.txt", "bundle"),
        *("left_out.csv", "validation.csv", "tracking.json"),
    }


def test_every_epoch_and_step_is_on_record(training: Training) -> None:
    epochs, steps = training.run.epochs(), training.run.steps()
    assert [row["epoch"] for row in epochs] == list(range(1, 31))
    assert list(epochs[0]) == [
        *("epoch", "phase", "seconds", "learning_rate", "images_per_second"),
        *(f"{split}_{column}" for split in ("train", "validation") for column in COLUMNS),
        "memory",
    ]
    assert {(row["phase"], row["learning_rate"]) for row in epochs} == {(1, 1e-3)}
    values = np.array([list(row.values()) for row in epochs])
    assert np.isfinite(values).all() and values.min() >= 0
    trained_on = sum(image.split == "train" for image in training.run.images()) - 1  # damaged
    per_epoch = int(np.ceil(trained_on / training.run.recipe.batch_size))
    assert steps["step"].tolist() == list(range(1, 30 * per_epoch + 1))
    assert steps["epoch"].tolist() == list(np.repeat(range(1, 31), per_epoch))
    assert set(steps["learning_rate"]) == {1e-3}
    assert np.isfinite(steps["loss"]).all()


def test_it_learned(training: Training) -> None:
    first, *_, last = training.run.epochs()
    assert last["train_loss"] < 0.6 * first["train_loss"]
    assert last["validation_auc"] > 0.8  # 0.88 to 1.0 over six seeds, 0.4 to 0.7 untrained


def test_no_patient_is_on_both_sides(training: Training) -> None:
    sides: dict[tuple[str, str], set[str]] = {}
    for image in training.run.images():
        sides.setdefault((image.label, image.patient), set()).add(image.split)
    assert {frozenset(found) for found in sides.values()} == {
        frozenset({"train"}),
        frozenset({"validation"}),
    }
    assert {
        Path(image.path).relative_to(training.root).parts[0] for image in training.run.images()
    } == {"train"}


def test_a_damaged_image_is_left_out_and_told(training: Training) -> None:
    (line,) = (line for line in training.run.log_tail(lines=1000).splitlines() if "Left" in line)
    assert str(training.damaged) in line
    assert "damaged" in line or "truncated" in line or "ends" in line
    (entry,) = training.run.left_out()
    assert entry.path == str(training.damaged) and line.endswith(entry.reason)


def test_its_bundle(training: Training) -> None:
    card = bundle.load(training.run.bundle).card
    run = training.run
    assert card.name == run.name
    assert card.recipe == json.loads(run.recipe.to_json())
    assert card.data == json.loads((run.folder / "data.json").read_text())
    assert card.data["synthetic"] is True and card.data["name"] == "films"
    assert sum(sum(labels.values()) for labels in card.data["counts"].values()) == 100
    assert card.epochs == 30 and card.kept_epoch == 30 and card.training_seconds > 0
    assert run.state.message.endswith(f" epochs and {card.training_seconds:.0f} s")
    assert card.training_command == "python -m pneumo train --data DIR --recipe recipe.json"
    assert card.validation_seen == 0  # the shipped model has learned from other films


def test_its_figures_are_seen_again_by_evaluate(training: Training) -> None:
    model = bundle.load(training.run.bundle)
    stated = model.card.measurement("validation")
    assert stated is not None
    result = evaluate(
        Predictor(model),
        rows_of_split(catalog.build(training.root), "validation", model.card),
        training.root,
        limits=training.installation.image_limits,
    )
    found, expected = result.metrics, stated.metrics
    assert found.images == expected.images
    assert found.roc_auc == pytest.approx(expected.roc_auc)
    assert found.loss == pytest.approx(expected.loss, abs=1e-3)
    assert (found.sensitivity, found.specificity) == (expected.sensitivity, expected.specificity)
    # And they are those of the last epoch: nothing is learned or lost in writing.
    assert expected.roc_auc == pytest.approx(training.run.epochs()[-1]["validation_auc"])


def test_its_answers_are_on_record(training: Training) -> None:
    answers = training.run.validation_answers()
    images = {image.path: image for image in training.run.images()}
    assert {images[answer.path].split for answer in answers} == {"validation"}
    assert len(answers) == sum(image.split == "validation" for image in images.values())
    predictor = Predictor(bundle.load(training.run.bundle))
    for answer in answers[:3]:
        assert (answer.digest, answer.label) == (
            images[answer.path].digest,
            images[answer.path].label,
        )
        film = radiograph.read_file(Path(answer.path))
        assert predictor.predict(film).logit == pytest.approx(answer.logit, abs=0.01)


@pytest.fixture
def films(tmp_path: Path) -> list[TrainingImage]:
    """A NORMAL and a PNEUMONIA film for each split."""
    return [
        write_noise(
            tmp_path / f"{split}-{label}.png",
            seed=seed,
            label=label,
            patient=label,
            split=split,
        )
        for seed, (split, label) in enumerate(
            (split, label) for split in ("train", "validation") for label in ("NORMAL", "PNEUMONIA")
        )
    ]


@pytest.mark.parametrize(
    ("damaged", "received"),
    [
        ("*.png", "0 NORMAL, 0 PNEUMONIA; 4 could not be read"),
        ("train-NORMAL.png", "`train` must.* 0 NORMAL, 1 PNEUMONIA; 1 could not be read"),
        ("validation-P*", "`validation` must.* 1 NORMAL, 0 PNEUMONIA; 1 could not be read"),
    ],
)
def test_a_run_without_both_classes_fails_at_once(
    make_run: MakeRun,
    films: list[TrainingImage],
    installation: Settings,
    tmp_path: Path,
    damaged: str,
    received: str,
) -> None:
    for path in tmp_path.glob(damaged):
        path.write_bytes(b"not a film")
    run = make_run(films)
    with pytest.raises(ValueError, match=received):
        fit.train(run, installation)
    state = run.state
    assert state.status == "failed"
    assert "must hold readable NORMAL and PNEUMONIA images" in state.message
    assert not run.bundle.exists()


def test_a_recipe_that_cannot_be_read_is_a_failed_run(
    make_run: MakeRun, installation: Settings
) -> None:
    run = make_run()
    (run.folder / "recipe.json").write_text('{"name": "x", "phases": [{"epochs": 0}]}')
    with pytest.raises(ValueError, match="`epochs`"):
        fit.train(run, installation)
    assert run.state.status == "failed"
    assert runs.active_run(installation) is None


# Phases, early stopping, the epoch that is kept ------------------------------------------


@pytest.fixture
def few(tmp_path: Path) -> list[TrainingImage]:
    """Dark NORMAL, bright bacterial and grey viral films: easy to tell apart."""
    greys = {"normal": 20, "bacterial": 220, "viral": 120}
    return [
        write_film(
            tmp_path / f"{split}-{subtype}-{number}.png",
            grey=grey + 3 * number,
            label="NORMAL" if subtype == "normal" else "PNEUMONIA",
            subtype=subtype,
            patient=f"{subtype}{number}",
            split=split,
        )
        for split, count in (("train", 3), ("validation", 2))
        for subtype, grey in greys.items()
        for number in range(count)
    ]


SMALL = {
    "image_size": 96,
    "augmentation": Augmentation(),
    "cached_views": 1,
    "batch_size": 4,
    "head": HeadDesign(),
}


def test_three_classes_in_two_phases(
    make_run: MakeRun, few: list[TrainingImage], installation: Settings
) -> None:
    run = make_run(
        few,
        **SMALL,
        classes=3,
        weight_averaging=0.5,
        label_smoothing=0.1,
        phases=(
            Phase(epochs=3, learning_rate=0.01, warm_up=0.5),
            Phase(epochs=2, learning_rate=1e-4, unfrozen=0.2, schedule="cosine"),
        ),
    )
    fit.train(run, installation)
    assert run.state.status == "finished" and run.state.message.startswith("Finished after 5 of 5")
    epochs, steps = run.epochs(), run.steps()
    assert [row["phase"] for row in epochs] == [1, 1, 1, 2, 2]
    # Nine pictures are three steps of four, four and one; nine steps, of which 4.5 are warm.
    warm = [0.01 * (step + 1) / 5.5 for step in range(5)]
    cosine = [1e-4 / 2 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    assert steps["learning_rate"] == pytest.approx([*warm, *[0.01] * 4, *cosine], rel=1e-6)
    assert steps["epoch"].tolist() == list(np.repeat(range(1, 6), 3))
    assert epochs[-1]["learning_rate"] == pytest.approx(cosine[-1], rel=1e-6)
    card = bundle.load(run.bundle).card
    measured = card.measurement("validation")
    assert measured is not None and measured.causes is not None
    assert np.sum(measured.causes.confusion) == 6
    assert (card.epochs, card.kept_epoch) == (5, 5)
    # What was measured last is what was written: averages and all.
    assert measured.metrics.roc_auc == pytest.approx(epochs[-1]["validation_auc"])
    splits, _ = read_pictures(
        few, recipe=run.recipe, settings=installation, progress=lambda done, total: None
    )
    network = keras.saving.load_model(bundle.load(run.bundle).keras, compile=False)
    assert loss_of(network, splits["validation"]) == pytest.approx(
        epochs[-1]["validation_loss"], rel=1e-4
    )


def loss_of(network: keras.Model, pictures: Pictures) -> float:
    """Mean cross-entropy of three classes that are equally many."""
    values = network.predict_on_batch(pictures.pixels[:][..., np.newaxis].astype(np.float32))
    shares = np.exp(values["class_logits"]) / np.exp(values["class_logits"]).sum(1, keepdims=True)
    return float(-np.log(shares[np.arange(len(pictures)), pictures.classes]).mean())


def test_early_stopping_ends_a_phase_and_the_best_epoch_is_kept(
    make_run: MakeRun, few: list[TrainingImage], installation: Settings
) -> None:
    """At a learning rate of 1 the head soon gets worse: it is over two epochs later."""
    run = make_run(
        few,
        **SMALL,
        phases=(Phase(epochs=50, learning_rate=1.0), Phase(epochs=50, learning_rate=1e-9)),
        early_stopping=2,
        restore_best=True,
    )
    fit.train(run, installation)
    epochs = run.epochs()
    losses = [row["validation_loss"] for row in epochs]
    phases = [int(row["phase"]) for row in epochs]
    best = runs.best_epoch(epochs, run.recipe)
    assert best is not None
    waited, best_loss = 0, np.inf
    for place, (loss, phase) in enumerate(zip(losses, phases, strict=True)):
        begins = place == 0 or phases[place - 1] != phase
        if not begins:
            assert waited < 2  # else the phase was over
        waited = 0 if loss < best_loss else (1 if begins else waited + 1)
        best_loss = min(loss, best_loss)
        ends = place + 1 == len(phases) or phases[place + 1] != phase
        if ends:
            assert waited == 2 or phases.count(phase) == 50
    assert set(phases) == {1, 2}
    card = bundle.load(run.bundle).card
    assert (card.epochs, card.kept_epoch) == (len(epochs), best)
    measured = card.measurement("validation")
    assert measured is not None
    assert measured.metrics.roc_auc == pytest.approx(epochs[best - 1]["validation_auc"])


def test_a_stop_before_the_training_leaves_no_model(
    make_run: MakeRun, few: list[TrainingImage], installation: Settings
) -> None:
    run = make_run(few, **SMALL)
    run.request_stop()
    fit.train(run, installation)
    assert run.state.status == "stopped" and "no model" in run.state.message
    assert not run.bundle.exists() and not run.checkpoint.exists()
    assert run.state.status in runs.RESUMABLE


def test_validation_films_that_the_starting_weights_knew_are_told(
    make_run: MakeRun,
    films: list[TrainingImage],
    installation: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = make_run(films, **SMALL, epochs=1)
    fit.train(first, installation)
    assert bundle.load(first.bundle).card.validation_seen == 0
    other = {"train": "validation", "validation": "train"}
    swapped = [dataclasses.replace(film, split=other[film.split]) for film in films]
    second = make_run(swapped, **SMALL, epochs=1, start=f"run:{first.name}")
    data = dataclasses.asdict(first.data) | {"fingerprint": "of the other split"}
    (second.folder / "data.json").write_text(json.dumps(data))
    capfd.readouterr()
    fit.train(second, installation)
    assert bundle.load(second.bundle).card.validation_seen == 1
    assert "have learned from 100 % of the validation films" in capfd.readouterr().out


def test_a_checkpoint_of_another_backbone_is_refused(
    make_run: MakeRun,
    few: list[TrainingImage],
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no space for a model")

    monkeypatch.setattr(fit, "write_bundle", fail)
    first, other = (make_run(few, **SMALL, epochs=1, start="random", seed=seed) for seed in (1, 2))
    with pytest.raises(OSError, match="no space"):
        fit.train(first, installation)
    assert first.state.status == "failed" and first.checkpoint.exists()  # it can go on
    first.checkpoint.rename(other.checkpoint)
    with pytest.raises(CheckpointMismatch, match="Start a new training"):
        fit.train(other, installation)
    assert other.state.status == "failed"
    assert other.epochs() == []


def test_a_damaged_checkpoint_says_what_to_do(
    make_run: MakeRun, few: list[TrainingImage], installation: Settings
) -> None:
    run = make_run(few, **SMALL, epochs=1)
    run.checkpoint.write_text("half")
    with pytest.raises(CheckpointMismatch):
        fit.train(run, installation)
    assert run.state.status == "failed" and "Delete it to train from" in run.state.message
    run.checkpoint.unlink()
    fit.train(run, installation)
    assert run.state.status == "finished"


def test_the_process_does_not_wait_for_ever_for_an_answer(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, waits = make_run(), []
    monkeypatch.setattr(sys, "argv", ["fit", str(run.folder)])
    monkeypatch.setattr(os, "nice", lambda increment: None)
    monkeypatch.setattr(fit, "train", lambda *given: waits.append(socket.getdefaulttimeout()))
    try:
        fit.main()
    finally:
        socket.setdefaulttimeout(None)
    assert waits == [fit.SILENCE_SECONDS]
