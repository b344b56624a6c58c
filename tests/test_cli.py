"""The command line: what it prints where, in words and in JSON, and its exit codes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pneumo import cli, radiograph
from pneumo.datasets import kaggle, sample_set
from pneumo.datasets.sample_set import Counts
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.settings import REPOSITORY, Settings
from pneumo.training import launcher, runs
from pneumo.training.recipe import QUICK, SEED, Recipe
from pneumo.training.runs import Run, RunState, TrainingData
from tests.conftest import Training


@pytest.fixture
def pneumo(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; gives exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's own way out
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def at_home(training: Training, monkeypatch: pytest.MonkeyPatch) -> Training:
    """The command line finds the finished training."""
    monkeypatch.setenv("PNEUMO_HOME", str(training.installation.home))
    return training


# Data ----------------------------------------------------------------------------------


def test_data_get_sample(
    pneumo: Command, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Counts(normal=1, pneumonia=1)
    monkeypatch.setattr(
        sample_set.create,
        "__kwdefaults__",
        sample_set.create.__kwdefaults__ | {"train": few, "val": few, "test": few, "height": 64},
    )
    code, out, _ = pneumo("data", "get", "sample", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer == {
        "name": "Sample set (synthetic)",
        "root": str(installation.datasets / "sample"),
        "synthetic": True,
    }
    assert len(list(Path(answer["root"]).glob("*/*/*.jpeg"))) == 6
    code, out, _ = pneumo("data", "get", "sample")
    assert (code, out) == (0, f"Sample set (synthetic): {answer['root']}\n")


def test_data_get_folder_is_remembered(pneumo: Command, sample_root: Path) -> None:
    code, out, _ = pneumo("data", "get", sample_root, "--json")
    assert (code, json.loads(out)["root"]) == (0, str(sample_root))
    code, out, _ = pneumo("data", "list", "--json")
    listed = {row["kind"]: row for row in json.loads(out)}
    assert code == 0
    assert set(listed) == {"sample", "kaggle", "folder"}
    assert set(listed["folder"]) == {"name", "kind", "chosen", "ready", "problem"}
    assert listed["folder"]["chosen"] and listed["folder"]["ready"]
    assert not listed["sample"]["chosen"] and not listed["sample"]["ready"]
    assert "data get sample" in listed["sample"]["problem"]
    code, out, _ = pneumo("data", "list")
    assert code == 0
    assert f"* folder  {sample_root.name}" in out.splitlines()
    assert "  sample  Sample set (synthetic)" in out.splitlines()


def test_data_get_from_a_folder_that_is_none(pneumo: Command, tmp_path: Path) -> None:
    code, out, err = pneumo("data", "get", tmp_path / "nowhere")
    assert (code, out) == (1, "")
    assert err.startswith("pneumo: Expected radiographs in ")
    assert "Traceback" not in err
    code, out, err = pneumo("data", "get", tmp_path / "nowhere", "--json")
    assert (code, err) == (1, "")
    assert list(json.loads(out)) == ["error"]


def test_data_get_kaggle_that_fails(pneumo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    download = kaggle.Download(status="failed", message="Kaggle cannot be reached. Try later.")
    monkeypatch.setattr(kaggle, "is_downloaded", lambda: False)
    monkeypatch.setattr(kaggle, "start", lambda installation: download)
    code, out, err = pneumo("data", "get", "kaggle")
    assert (code, out, err) == (1, "", "pneumo: Kaggle cannot be reached. Try later.\n")


# Trainings -----------------------------------------------------------------------------


def test_train_in_json(training: Training) -> None:
    answer = json.loads(training.out)
    assert training.exit_code == 0
    assert set(answer) == {
        *("run", "status", "message", "recipe", "epochs_done", "last_epoch", "bundle", "log")
    }
    assert (answer["run"], answer["status"]) == (training.run.name, "finished")
    assert (answer["epochs_done"], answer["last_epoch"]["epoch"]) == (30, 30)
    assert Path(answer["bundle"]) == training.run.bundle
    # Progress goes to standard error: every epoch, once.
    told = [line for line in training.err.splitlines() if line.startswith("epoch ")]
    assert [int(line.split()[1]) for line in told] == list(range(1, 31))
    assert f"Copied to {training.output}" in training.err


def test_train_copies_the_model(training: Training) -> None:
    copied = bundle.load(training.output)
    assert copied.card.name == "copy"
    assert copied.digest == bundle.load(training.run.bundle).digest


class Recorded(Exception):
    """Ends a command where the training would begin."""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Recipes that trainings would have been started with."""
    recipes: list[Recipe] = []

    def start(installation: Settings, *, recipe: Recipe, **data: Any) -> Run:
        recipes.append(recipe)
        raise Recorded

    monkeypatch.setattr(launcher, "start", start)
    return recipes


def test_options_change_the_recipe(
    pneumo: Command, sample_root: Path, tmp_path: Path, recorded: list[Recipe]
) -> None:
    written = tmp_path / "mine.json"
    written.write_text(SEED.changed(name="mine", epochs=3).to_json())
    train = ("train", "--data", sample_root)
    for arguments in (
        (),
        ("--recipe", "seed"),
        ("--recipe", written, "--epochs", "9"),
        ("--name", "x", "--start", "shipped", "--batch-size", "7", "--learning-rate", "0.5"),
        ("--seed", "3"),
    ):
        with pytest.raises(Recorded):
            pneumo(*train, *arguments)
    assert recorded == [
        QUICK,
        SEED,
        SEED.changed(name="mine", epochs=9),
        QUICK.changed(name="x", start="shipped", batch_size=7, learning_rate=0.5),
        QUICK.changed(seed=3),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epochs", "0"], "`epochs` must be a whole number between 1 and 1000. Received: epoch"),
        (["--recipe", "tutorial"], "`recipe` must be one of quick, seed, or a JSON file."),
        (["--recipe", "LIST"], "fields of `Recipe`"),
        (["--recipe", "BROKEN"], "BROKEN is not JSON"),
    ],
)
def test_recipes_that_are_refused(
    pneumo: Command,
    sample_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("LIST").write_text("[1]")
    Path("BROKEN").write_text('{"name":')
    code, out, err = pneumo("train", "--data", sample_root, *arguments)
    assert (code, out) == (1, "")
    assert complaint in err and "Traceback" not in err


def test_runs_of_a_fresh_home(pneumo: Command) -> None:
    assert pneumo("runs", "list") == (0, "No runs yet.\n", "")
    assert pneumo("runs", "list", "--json") == (0, "[]\n", "")
    code, out, err = pneumo("runs", "show")
    assert (code, out) == (1, "")
    assert err == "pneumo: There are no runs yet. Start one with `python -m pneumo train`.\n"


def test_runs_list_and_show(pneumo: Command, at_home: Training) -> None:
    code, out, _ = pneumo("runs", "list", "--json")
    assert code == 0
    assert [(row["run"], row["status"]) for row in json.loads(out)] == [
        (at_home.run.name, "finished")
    ]
    code, out, _ = pneumo("runs", "list")
    assert out.split()[:3] == [at_home.run.name, "finished", "Finished"]

    code, out, _ = pneumo("runs", "show", "--json")
    assert code == 0
    assert json.loads(out)["epochs"] == at_home.run.epochs()
    code, out, _ = pneumo("runs", "show", at_home.run.name)
    assert code == 0
    assert out.startswith(f"{at_home.run.name}: finished. Finished after 30 of 30 epochs")
    assert "validation: AUC 0." in out or "validation: AUC 1." in out
    assert out.endswith(f"{at_home.run.log_tail()}\n")


def test_runs_stop(pneumo: Command, installation: Settings, at_home: Training) -> None:
    code, out, err = pneumo("runs", "stop", at_home.run.name)
    assert (code, out) == (1, "")
    assert err.endswith(f"can be stopped. {at_home.run.name} is finished.\n")


def test_runs_stop_of_a_run_under_way(pneumo: Command, installation: Settings) -> None:
    data = TrainingData(
        name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
    )
    run = runs.create(installation, recipe=QUICK, data=data, images=[])
    runs.write_state(run.folder, RunState(status="running"))
    code, out, _ = pneumo("runs", "stop", "--json")
    assert (code, json.loads(out)["status"]) == (0, "stopping")
    assert run.stop_requested
    code, out, _ = pneumo("runs", "stop")
    assert (code, out) == (0, f"{run.name} is asked to stop; it keeps its model.\n")


def test_a_training_that_fails(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = TrainingData(
        name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
    )
    run = runs.create(installation, recipe=QUICK, data=data, images=[])
    runs.write_state(run.folder, RunState(status="failed", message="No weights. Fetch them."))
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, out, err = pneumo("train", "--data", sample_root)
    assert (code, out) == (1, "")
    assert "pneumo: the training failed: No weights. Fetch them.\n" in err
    assert str(run.folder / "log.txt") in err
    code, out, _ = pneumo("train", "--data", sample_root, "--json")
    assert (code, json.loads(out)["status"]) == (1, "failed")


def test_detached(
    pneumo: Command, installation: Settings, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingData(
        name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
    )
    run = runs.create(installation, recipe=QUICK, data=data, images=[])
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, out, _ = pneumo("train", "--data", sample_root, "--detach")
    assert (code, out) == (0, f"{run.name}\n")


# Models --------------------------------------------------------------------------------


def test_models_list(pneumo: Command, at_home: Training) -> None:
    code, out, _ = pneumo("models", "list", "--json")
    shipped, trained = json.loads(out)
    assert code == 0
    assert set(shipped) == {"name", "folder", "recipe", "data", "validation_roc_auc"}
    assert shipped["name"] == bundle.DEFAULT_MODEL
    assert trained["name"] == at_home.run.name
    assert trained["validation_roc_auc"] == pytest.approx(
        at_home.run.epochs()[-1]["validation_auc"]
    )
    code, out, _ = pneumo("models", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [shipped["name"], trained["name"]]


def test_evaluate(pneumo: Command, at_home: Training) -> None:
    evaluate = ("evaluate", "--model", at_home.run.name, "--data", at_home.root)
    code, out, err = pneumo(*evaluate, "--split", "test", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert {name: answer[name] for name in ("model", "data", "split", "images", "unreadable")} == {
        "model": at_home.run.name,
        "data": "films",
        "split": "test",
        "images": 20,
        "unreadable": 0,
    }
    metrics = answer["metrics"]
    assert {"roc_auc", "accuracy", "sensitivity", "specificity", "loss"} <= set(metrics)
    assert answer["threshold"] == (
        bundle.load(at_home.run.bundle).card.operating_points["balanced"].threshold
    )
    correct = metrics["true_positives"] + metrics["true_negatives"]
    assert metrics["accuracy"] == correct / 20
    assert metrics["sensitivity"] == metrics["true_positives"] / 12

    code, out, _ = pneumo(*evaluate)
    assert code == 0
    first, *figures = out.splitlines()
    assert first == "test: 20 images of films"
    assert dict(line.split() for line in figures) == {
        name: f"{metrics[name]:.4f}"
        for name in ("roc_auc", "accuracy", "sensitivity", "specificity", "loss")
    }


def test_evaluate_the_validation_patients(pneumo: Command, at_home: Training) -> None:
    evaluate = ("evaluate", "--model", at_home.output, "--data", at_home.root)
    code, out, err = pneumo(*evaluate, "--split", "validation", "--json")
    answer = json.loads(out)
    stated = bundle.load(at_home.output).card.measurement("validation")
    assert code == 0 and stated is not None
    assert answer["images"] == stated.metrics.images
    assert answer["metrics"]["roc_auc"] == stated.metrics.roc_auc
    # The damaged film is one of `train`, and is told of.
    code, out, err = pneumo(*evaluate, "--split", "train", "--json")
    assert (code, json.loads(out)["unreadable"]) == (0, 1)
    assert err.startswith(f"Left out {at_home.damaged}: ")


def test_predict_writes_overlays(pneumo: Command, sample_root: Path, tmp_path: Path) -> None:
    film = min(sample_root.glob("test/PNEUMONIA/*.jpeg"))
    code, _, _ = pneumo("predict", film, "--overlays", tmp_path / "maps", "--json")
    overlay = cv2.imread(str(tmp_path / "maps" / f"{film.stem}-overlay.png"))
    assert code == 0
    assert overlay.shape[:2] == radiograph.read_file(film).pixels.shape
    assert np.ptp(overlay.astype(int), axis=2).max() > 30, "the heat is in colour"


def test_evaluate_records_in_the_card(pneumo: Command, at_home: Training, tmp_path: Path) -> None:
    copied = bundle.copy(bundle.load(at_home.output), tmp_path / "recorded")
    code, _, _ = pneumo(
        *("evaluate", "--model", copied.folder, "--data", at_home.root),
        *("--record", "half of it"),
    )
    card = bundle.load(copied.folder).card
    recorded = card.measurement("test")
    assert code == 0 and recorded is not None
    assert (recorded.note, recorded.metrics.images) == ("half of it", 20)
    assert card.measurement("validation") is not None
    assert "films, half of it" in (copied.folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "eagle"], "No model is named 'eagle'. Models: mobilenetv2"),
        (["--data", "nowhere"], "Expected radiographs in "),
        ([], "python -m pneumo data get sample"),
        (["--data", "SAMPLE", "--split", "tset"], "known: train, val, test, validation"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_evaluate_refuses(
    pneumo: Command, sample_root: Path, arguments: list[str], complaint: str, as_json: bool
) -> None:
    given = [str(sample_root) if word == "SAMPLE" else word for word in arguments]
    code, out, err = pneumo("evaluate", *given, *(["--json"] if as_json else []))
    assert code == 1
    complaint = complaint.removeprefix("known: ")
    if as_json:
        assert complaint in json.loads(out)["error"] and err == ""
    else:
        assert complaint in err and out == ""
    assert "Traceback" not in err


# Predictions ---------------------------------------------------------------------------


def test_predict_in_json(pneumo: Command, sample_root: Path, tmp_path: Path) -> None:
    first, second, *_ = sorted(sample_root.glob("test/*/*.jpeg"))
    broken = tmp_path / "broken.jpeg"
    broken.write_text("not a film")
    code, out, err = pneumo("predict", first, broken, second, tmp_path / "missing.png", "--json")
    answers = json.loads(out)
    assert code == 1
    assert "Traceback" not in err
    assert [Path(answer["path"]) for answer in answers] == [
        *(first, broken, second, tmp_path / "missing.png")
    ]
    predictor = Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))
    for path, answer in ((first, answers[0]), (second, answers[2])):
        expected = predictor.predict(radiograph.read_file(path))
        assert answer == {
            "path": str(path),
            "verdict": expected.verdict,
            "probability": expected.probability,
            "logit": expected.logit,
            "flags": list(expected.flags),
        }
    for answer in (answers[1], answers[3]):
        assert set(answer) == {"path", "error"} and answer["error"]


def test_predict_in_words(pneumo: Command, sample_root: Path, tmp_path: Path) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    code, out, err = pneumo("predict", path)
    assert code == 0
    predictor = Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))
    wording = predictor.predict(radiograph.read_file(path)).wording
    assert out.startswith(f"{path}: {wording}")
    assert len(out.splitlines()) == 1
    assert err == "Decision support, not a diagnosis.\n"
    code, out, _ = pneumo("predict", path, tmp_path / "missing.png")
    assert code == 1
    assert out.splitlines()[1] == (
        f"{tmp_path / 'missing.png'}: The file cannot be opened: No such file or directory."
    )


def test_predict_with_another_model(pneumo: Command, at_home: Training, sample_root: Path) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    by_name, by_path, shipped = (
        json.loads(pneumo("predict", path, "--json", *model)[1])[0]["logit"]
        for model in (("--model", at_home.run.name), ("--model", at_home.output), ())
    )
    assert by_name == by_path != shipped


def test_an_unknown_model(pneumo: Command, sample_root: Path) -> None:
    (path, *_) = sample_root.glob("test/*/*.jpeg")
    code, out, err = pneumo("predict", "--model", "eagle", path)
    assert (code, out) == (1, "")
    assert err.startswith("pneumo: No model is named 'eagle'. Models: mobilenetv2.")


# Usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["data"],
        ["predict"],
        ["train", "--epochs", "many"],
        ["train", "--start", "random"],
        ["evaluate", "--frobnicate"],
    ],
)
def test_wrong_usage(pneumo: Command, arguments: list[str]) -> None:
    code, out, err = pneumo(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: python -m pneumo")


def test_help_names_every_command(pneumo: Command) -> None:
    code, out, _ = pneumo("--help")
    assert code == 0
    for command in ("data", "train", "runs", "models", "evaluate", "predict"):
        assert f"    {command} " in out


def test_settings_that_are_wrong(pneumo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMO_MAX_MEGAPIXELS", "lots")
    code, _, err = pneumo("runs", "list")
    assert code == 1
    assert err == "pneumo: `PNEUMO_MAX_MEGAPIXELS` must be a positive number. Received: 'lots'\n"


def test_as_a_program(sample_root: Path) -> None:
    (path, *_) = sample_root.glob("test/*/*.jpeg")
    answer = subprocess.run(
        [sys.executable, "-m", "pneumo", "predict", "--json", str(path), "nowhere.png"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 1
    good, bad = json.loads(answer.stdout)
    assert good["verdict"] in ("NORMAL", "PNEUMONIA") and "error" in bad
    assert "Traceback" not in answer.stderr
