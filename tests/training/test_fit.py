"""The training process, from a run's folder to its bundle."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo.datasets import catalog
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import evaluate, rows_of_split
from pneumo.settings import Settings
from pneumo.training import fit, runs
from pneumo.training.pipeline import Pictures
from pneumo.training.runs import Run, TrainingImage
from tests.conftest import Training

COLUMNS = ["loss", "accuracy", "auc", "sensitivity", "specificity"]


def test_it_finished(training: Training) -> None:
    state = training.run.state
    assert (state.status, state.failure) == ("finished", "")
    assert state.message.startswith("Finished after 30 of 30 epochs")
    names = {path.name for path in training.run.folder.iterdir()}
    assert names == {
        *("recipe.json", "data.json", "images.csv", "process.json", "state.json"),
        *("steps.csv", "epochs.csv", "log.txt", "bundle"),
    }


def test_every_epoch_and_step_is_on_record(training: Training) -> None:
    epochs, steps = training.run.epochs(), training.run.steps()
    assert [row["epoch"] for row in epochs] == list(range(1, 31))
    assert list(epochs[0]) == [
        *("epoch", "seconds"),
        *(f"{split}_{column}" for split in ("train", "validation") for column in COLUMNS),
    ]
    values = np.array([list(row.values()) for row in epochs])
    assert np.isfinite(values).all() and values.min() >= 0
    trained_on = sum(image.split == "train" for image in training.run.images()) - 1  # damaged
    per_epoch = int(np.ceil(trained_on / training.run.recipe.batch_size))
    assert [row["step"] for row in steps] == list(range(1, 30 * per_epoch + 1))
    assert [row["epoch"] for row in steps] == list(np.repeat(range(1, 31), per_epoch))


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


def test_its_bundle(training: Training) -> None:
    card = bundle.load(training.run.bundle).card
    run = training.run
    assert card.name == run.name
    assert card.recipe == json.loads(run.recipe.to_json())
    assert card.data == json.loads((run.folder / "data.json").read_text())
    assert card.data["synthetic"] is True and card.data["name"] == "films"
    assert sum(sum(labels.values()) for labels in card.data["counts"].values()) == 100
    assert card.epochs == 30 and card.training_seconds > 0
    assert card.training_command == "python -m pneumo train --data DIR --recipe recipe.json"


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


def test_class_weights_by_hand() -> None:
    # One NORMAL, three PNEUMONIA: 4 / (2 · 1) and 4 / (2 · 3).
    pictures = Pictures(
        pixels=np.zeros((4, 1, 1), np.uint8), is_pneumonia=np.array([0, 1, 1, 1], np.float32)
    )
    assert fit._class_weights(pictures, enabled=True).numpy() == pytest.approx([2, 2 / 3])
    assert fit._class_weights(pictures, enabled=False).numpy().tolist() == [1, 1]


@pytest.fixture
def films(tmp_path: Path) -> list[TrainingImage]:
    """A NORMAL and a PNEUMONIA film for each split."""
    found = []
    for split in ("train", "validation"):
        for label in ("NORMAL", "PNEUMONIA"):
            path = tmp_path / f"{split}-{label}.png"
            cv2.imwrite(str(path), np.full((100, 100), 99, np.uint8))
            found.append(TrainingImage(path=str(path), label=label, patient=label, split=split))
    return found


@pytest.mark.parametrize(
    ("damaged", "received"),
    [
        ("*.png", "0 NORMAL, 0 PNEUMONIA; 4 could not be read"),
        ("train-NORMAL.png", "`train` must.* 0 NORMAL, 1 PNEUMONIA; 1 could not be read"),
        ("validation-P*", "`validation` must.* 1 NORMAL, 0 PNEUMONIA; 1 could not be read"),
    ],
)
def test_a_run_without_both_classes_fails_at_once(
    make_run: Callable[..., Run],
    films: list[TrainingImage],
    installation: Settings,
    tmp_path: Path,
    damaged: str,
    received: str,
    monkeypatch: pytest.MonkeyPatch,
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
    make_run: Callable[..., Run], installation: Settings
) -> None:
    run = make_run()
    (run.folder / "recipe.json").write_text('{"name": "x", "epochs": 0}')
    with pytest.raises(ValueError, match="`epochs`"):
        fit.train(run, installation)
    assert run.state.status == "failed"
    assert runs.active_run(installation) is None
