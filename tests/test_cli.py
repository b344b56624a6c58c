"""The command line: what it prints where, in words and in JSON, and its exit codes."""

import csv
import dataclasses
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from pneumo import cli, radiograph
from pneumo.background import ProcessIdentity
from pneumo.cli import models, trainings
from pneumo.datasets import catalog, kaggle, sample_set, sources
from pneumo.datasets.sample_set import Counts
from pneumo.evaluation import stress
from pneumo.evaluation.metrics import measure_causes
from pneumo.inference import bundle
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.inference.scoring import Evaluation
from pneumo.settings import REPOSITORY, Settings
from pneumo.training import launcher, pace, queue, runs
from pneumo.training import recipe as recipes
from pneumo.training.pace import Pace, PaceUnknown
from pneumo.training.recipe import BEST, QUICK, SEED, Phase, Recipe
from pneumo.training.runs import Run, RunState, TrainingData, ValidationAnswer
from pneumo.training.tracking import Tracking
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
    assert set(listed["folder"]) == {"name", "kind", "path", "chosen", "ready", "problem"}
    assert listed["folder"]["chosen"] and listed["folder"]["ready"]
    assert not listed["sample"]["chosen"] and not listed["sample"]["ready"]
    assert "data get sample" in listed["sample"]["problem"]
    code, out, _ = pneumo("data", "list")
    assert code == 0
    assert f"* folder  {sample_root}" in out.splitlines()
    assert "  sample  Sample set (synthetic)" in out.splitlines()


def test_data_get_asks_what_folders_hold_and_takes_the_answer(
    pneumo: Command, sample_root: Path, tmp_path: Path, installation: Settings
) -> None:
    root = tmp_path / "radiography"
    shutil.copytree(sample_root / "test" / "NORMAL", root / "Normal" / "images")
    shutil.copytree(sample_root / "test" / "PNEUMONIA", root / "sick")

    code, _, err = pneumo("data", "get", root)
    assert code == 1
    assert "--map 'Normal/images=NORMAL'" in err and "--map 'sick=SPLIT/CLASS'" in err
    mapped = ("--map", "Normal/images=NORMAL", "--map", "sick=val/PNEUMONIA")
    code, out, _ = pneumo("data", "get", root, *mapped)
    assert (code, out) == (0, f"radiography: {root}\n")
    first = sources.locate(sources.chosen(installation), installation).class_folders

    answers = tmp_path / "answers.json"
    answers.write_text('{"Normal/images": "NORMAL", "sick": "val/PNEUMONIA"}')
    assert pneumo("data", "get", root, "--mapping", answers)[0] == 0
    assert sources.locate(sources.chosen(installation), installation).class_folders == first
    code, _, err = pneumo("data", "get", root, "--map", "sick")
    assert (code, err) == (1, "pneumo: `--map` takes FOLDER=SPLIT/CLASS. Received: 'sick'\n")


def test_data_get_unpacks_a_zip_file_and_forgets_it(
    pneumo: Command, sample_root: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "films"), "zip", sample_root, "test")
    code, out, _ = pneumo("data", "get", archive, "--json")
    unpacked = Path(json.loads(out)["root"])
    assert code == 0
    assert len(list(unpacked.glob("test/*/*.jpeg"))) == 20

    assert pneumo("data", "forget", archive)[:2] == (0, f"{archive} is forgotten.\n")
    assert Path(archive).exists() and not unpacked.exists()
    code, _, err = pneumo("data", "forget", archive)
    assert code == 1
    assert "`data list` shows them" in err


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
    told = f"pneumo: Kaggle cannot be reached. Try later. {kaggle.OTHER_WAYS}\n"
    assert (code, out, err) == (1, "", told)


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
    started: list[Recipe] = []

    def start(installation: Settings, *, recipe: Recipe, **data: Any) -> Run:
        started.append(recipe)
        raise Recorded

    monkeypatch.setattr(launcher, "start", start)
    return started


def test_options_change_the_recipe(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    tmp_path: Path,
    recorded: list[Recipe],
) -> None:
    recipes.save(installation, BEST.changed(name="Our own"))
    written = tmp_path / "mine.json"
    written.write_text(SEED.changed(name="mine", epochs=3).to_json())
    train = ("train", "--data", sample_root)
    for arguments in (
        (),
        ("--recipe", "seed"),
        ("--recipe", written, "--epochs", "9"),
        ("--name", "x", "--start", "shipped", "--batch-size", "7", "--learning-rate", "0.5"),
        ("--seed", "3"),
        ("--recipe", "best", "--epochs", "2", "--learning-rate", "0.001"),
        ("--backbone", "DenseNet121", "--classes", "3", "--start", "run:x"),
        ("--recipe", "our-own", "--start", "random"),
    ):
        with pytest.raises(Recorded):
            pneumo(*train, *arguments)
    assert recorded == [
        QUICK,
        SEED,
        SEED.changed(name="mine", epochs=9),
        QUICK.changed(name="x", start="shipped", batch_size=7, learning_rate=0.5),
        QUICK.changed(seed=3),
        # Of the last phase: the first stays as it is.
        BEST.changed(
            phases=(
                BEST.phases[0],
                dataclasses.replace(BEST.phases[1], epochs=2, learning_rate=0.001),
            )
        ),
        QUICK.changed(backbone="DenseNet121", classes=3, start="run:x"),
        BEST.changed(name="Our own", start="random"),
    ]


@pytest.mark.parametrize(("arguments", "tensorboard"), [([], False), (["--tensorboard"], True)])
def test_who_is_told_of_a_training(
    pneumo: Command,
    sample_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    tensorboard: bool,
) -> None:
    asked: list[Tracking] = []

    def start(installation: Settings, *, tracking: Tracking, **others: Any) -> Run:
        asked.append(tracking)
        raise Recorded

    monkeypatch.setattr(launcher, "start", start)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    with pytest.raises(Recorded):
        pneumo("train", "--data", sample_root, *arguments)
    assert asked == [Tracking(tensorboard=tensorboard, mlflow_tracking_uri="http://127.0.0.1:5000")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epochs", "0"], "`epochs` must be a whole number between 1 and 1000. Received: epoch"),
        (["--recipe", "tutorial"], "`recipe` must be one of quick, best, seed, or a JSON file."),
        (
            ["--start", "scratch"],
            "`start` must be one of ('imagenet', 'shipped', 'auto', 'random')",
        ),
        (["--backbone", "VGG16"], "`backbone` must be one of ('MobileNetV2', "),
        (["--classes", "4"], "`classes` must be 2 or 3. Received: classes=4"),
        (["--recipe", "NUMBER"], "`name` must be 1 to 40 characters. Received: name=7"),
        (["--recipe", "LIST"], "fields of `Recipe`"),
        (["--recipe", "BROKEN"], "BROKEN must be a JSON file. Received: "),
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
    Path("NUMBER").write_text('{"name": 7}')
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


def make_run(
    installation: Settings,
    status: runs.Status = "queued",
    *,
    recipe: Recipe = QUICK,
    message: str = "",
) -> Run:
    """A run that says of itself to be so far, and whose process, if it has one, is this."""
    data = TrainingData(
        name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
    )
    run = runs.create(installation, recipe=recipe, data=data, images=[])
    runs.write_state(run.folder, RunState(status=status, message=message))
    process = psutil.Process()
    ProcessIdentity(pid=process.pid, created=process.create_time()).save(run.process_file)
    return run


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Nobody works the queue off; gives how often somebody was called for."""
    called: list[Settings] = []
    monkeypatch.setattr(queue, "ensure_worker", called.append)
    return called


def test_runs_stop_of_a_run_under_way(pneumo: Command, installation: Settings) -> None:
    run = make_run(installation, "running")
    code, out, _ = pneumo("runs", "stop", "--json")
    assert (code, json.loads(out)["status"]) == (0, "stopping")
    assert run.stop_requested


def test_runs_stop_of_a_run_that_heeds_no_request(
    pneumo: Command, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(installation, "running")
    ended: list[ProcessIdentity] = []

    def end(process: ProcessIdentity) -> None:
        ended.append(process)
        ProcessIdentity(pid=process.pid, created=1.0).save(run.process_file)

    monkeypatch.setattr(ProcessIdentity, "end", end)
    code, out, _ = pneumo("runs", "stop")
    assert code == 0 and out.startswith(f"{run.name} is asked to stop; it keeps its best epoch")
    assert ended == []
    code, out, _ = pneumo("runs", "stop")
    assert code == 0 and out.startswith(f"{run.name} was ended; it can be resumed")
    assert [process.pid for process in ended] == [psutil.Process().pid]


def test_runs_stop_of_a_queued_run(pneumo: Command, installation: Settings) -> None:
    run = make_run(installation)
    code, out, _ = pneumo("runs", "stop", run.name)
    assert (code, out) == (0, f"{run.name} was taken out of the queue.\n")
    assert run.state.status == "cancelled" and not run.stop_requested


def test_runs_move(pneumo: Command, installation: Settings) -> None:
    first, second, third = (
        make_run(installation, recipe=QUICK.changed(name=name)) for name in ("a", "b", "c")
    )
    code, out, _ = pneumo("runs", "move", third.name, "1")
    assert code == 0
    assert out.splitlines() == [f"1. {third.name}", f"2. {first.name}", f"3. {second.name}"]
    code, out, _ = pneumo("runs", "move", third.name, "9", "--json")
    assert (code, json.loads(out)) == (0, [first.name, second.name, third.name])
    runs.write_state(first.folder, RunState(status="running"))
    for place, complaint in (("1", "can be moved"), ("0", "`place` must be at least")):
        code, out, err = pneumo("runs", "move", first.name, place)
        assert (code, out) == (1, "") and complaint in err


def test_runs_resume(pneumo: Command, installation: Settings, no_worker: list[Settings]) -> None:
    run = make_run(installation, "stopped", message="Stopped after 3")
    run.request_stop()
    code, out, _ = pneumo("runs", "resume", "--detach")
    assert (code, out) == (0, f"{run.name}\n")
    assert run.state.status == "queued" and not run.stop_requested
    assert queue.waiting(installation) == [run] and len(no_worker) == 1


def test_a_resumed_run_is_followed_from_where_it_goes_on(
    pneumo: Command, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(installation, "failed")
    figures = "train_loss,train_auc,validation_loss,validation_auc"
    table = f"epoch,{figures}\n1,0.5,0.75,0.625,0.5\n"
    (run.folder / "epochs.csv").write_text(table)

    calls: list[Settings] = []

    def work(settings: Settings) -> None:
        calls.append(settings)
        if len(calls) == 1:  # by whoever queued it; again by whoever follows it
            return
        (run.folder / "epochs.csv").write_text(f"{table}2,0.25,0.875,0.5,0.75\n")
        runs.write_state(run.folder, RunState(status="failed", message="Once more."))

    monkeypatch.setattr(queue, "ensure_worker", work)
    code, out, err = pneumo("runs", "resume", run.name)
    assert (code, out) == (1, "")
    assert [line for line in err.splitlines() if line.startswith("epoch")] == [
        "epoch   2  loss 0.2500  AUC 0.8750  validation loss 0.5000  AUC 0.7500"
    ]
    assert "pneumo: the training failed: Once more." in err


def test_a_finished_run_is_not_resumed(pneumo: Command, at_home: Training) -> None:
    code, out, err = pneumo("runs", "resume", at_home.run.name)
    assert (code, out) == (1, "")
    assert err.endswith(f"can be resumed. {at_home.run.name} is finished.\n")


def test_runs_delete(pneumo: Command, installation: Settings) -> None:
    run, other = make_run(installation, "failed"), make_run(installation)
    code, out, _ = pneumo("runs", "delete", run.name, "--json")
    assert (code, json.loads(out)) == (0, {"deleted": run.name})
    assert runs.all_runs(installation) == [other]
    code, out, err = pneumo("runs", "delete", other.name)
    assert (code, out) == (1, "") and "stop or cancel it first" in err
    assert runs.all_runs(installation) == [other]
    runs.write_state(other.folder, RunState(status="stopped"))
    code, out, _ = pneumo("runs", "delete", other.name)
    assert (code, out) == (0, f"{other.name} is deleted.\n")
    code, _, _ = pneumo("runs", "delete")  # never just the newest
    assert code == 2


def test_runs_compare(pneumo: Command, installation: Settings) -> None:
    probabilities = {"first": [0.9, 0.4, 0.3, 0.6], "second": [0.8, 0.7, 0.2, 0.1]}
    made = {}
    for name, values in probabilities.items():
        seed = {"first": 0, "second": 1}[name]
        run = make_run(
            installation, "finished", recipe=QUICK.changed(name=name, batch_size=8 + seed)
        )
        answers = [
            ValidationAnswer(
                path=f"{number}.png",
                digest=str(number),
                label="PNEUMONIA" if number < 2 else "NORMAL",
                logit=0.0,
                probability=value,
            )
            for number, value in enumerate(values)
        ]
        runs.write_rows(run.folder / "validation.csv", ValidationAnswer, answers)
        made[name] = run
    first, second = made["first"].name, made["second"].name
    code, out, _ = pneumo("runs", "compare", first, second, "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["first"], answer["second"]) == (first, second)
    assert answer["differences"] == [
        {"setting": "name", "first": "first", "second": "second"},
        {"setting": "batch_size", "first": 8, "second": 9},
    ]
    # The first has the second film below the fourth, and is wrong about both.
    found = answer["comparison"]
    assert (found["images"], found["first_auc"], found["second_auc"]) == (4, 0.75, 1)
    assert (found["first_accuracy"], found["second_accuracy"]) == (0.5, 1)
    assert (found["only_first_correct"], found["only_second_correct"]) == (0, 2)
    code, out, _ = pneumo("runs", "compare", first, second)
    assert code == 0
    for words in ("batch_size", "On 4 validation images", "AUC       0.7500 and 1.0000", "McNemar"):
        assert words in out
    queued = make_run(installation)
    code, out, err = pneumo("runs", "compare", first, queued.name)
    assert (code, out) == (1, "") and f"{queued.name} is queued" in err


def test_figures_that_flatter_say_so(
    pneumo: Command, installation: Settings, training: Training
) -> None:
    run = make_run(installation, "finished", recipe=QUICK)
    shutil.copytree(training.run.bundle, run.bundle)
    shutil.copy(training.run.folder / "validation.csv", run.folder)
    card = bundle.load(run.bundle).card
    bundle.write_card(run.bundle, dataclasses.replace(card, validation_seen=0.5))
    _, out, _ = pneumo("runs", "show")
    assert "At least 50 % of the validation films" in out
    _, out, _ = pneumo("runs", "compare", run.name, run.name)
    assert f"{run.name}: At least 50 % of the validation films" in out


def test_two_runs_that_cannot_tell(pneumo: Command, installation: Settings) -> None:
    """One film of each class: DeLong's test has no answer, and the command has one."""
    names = []
    for values in ([0.9, 0.3], [0.2, 0.4]):
        run = make_run(installation, "finished")
        answers = [
            ValidationAnswer(path="", digest=label, label=label, logit=0.0, probability=value)
            for label, value in zip(("PNEUMONIA", "NORMAL"), values, strict=True)
        ]
        runs.write_rows(run.folder / "validation.csv", ValidationAnswer, answers)
        names.append(run.name)
    code, out, _ = pneumo("runs", "compare", *names)
    assert code == 0 and "difference -1.0000" in out and "p = unknown (DeLong)" in out
    code, out, _ = pneumo("runs", "compare", *names, "--json")
    assert code == 0 and json.loads(out)["comparison"]["auc_p_value"] is None


# How long it would take -----------------------------------------------------------------


def test_an_estimate(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Recipe, list[Path]]] = []

    def measure(recipe: Recipe, settings: Settings, *, images: list[Path]) -> Pace:
        asked.append((recipe, images))
        return Pace(
            startup=60.0,
            reading=0.1,
            features=0.0,
            head_step=1.0,
            fine_tuning_steps=(0.0,),
            evaluation=0.0,
            writing=5.0,
        )

    monkeypatch.setattr(pace, "measure", measure)
    rows = launcher.split(catalog.build(sample_root), QUICK)
    steps = -(-int((rows["split"] == "train").sum()) // 64)
    expected = 60 + 100 * 0.1 + 3 * steps * 1.0 + 5
    train = ("train", "--data", sample_root, "--epochs", "3", "--estimate")
    code, out, _ = pneumo(*train, "--json")
    assert (code, json.loads(out)) == (0, {"seconds": pytest.approx(expected)})
    code, out, _ = pneumo(*train)
    minutes, seconds = divmod(round(expected), 60)
    assert (code, out) == (0, f"About {minutes}:{seconds:02d} minutes\n")
    assert runs.all_runs(installation) == []  # nothing was started
    recipe, images = asked[0]
    assert recipe == QUICK.changed(epochs=3)
    assert len(images) == pace.SAMPLE and all(path.is_file() for path in images)


def test_a_pace_that_cannot_be_measured(
    pneumo: Command, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*arguments: object, **options: object) -> Pace:
        raise PaceUnknown("The pace of this machine could not be measured. See log.txt.")

    monkeypatch.setattr(pace, "measure", measure)
    code, out, err = pneumo("train", "--data", sample_root, "--estimate")
    assert (code, out) == (1, "")
    assert err.endswith("pneumo: The pace of this machine could not be measured. See log.txt.\n")


# Recipes --------------------------------------------------------------------------------


def test_recipes_of_a_fresh_home(pneumo: Command) -> None:
    assert pneumo("recipes", "list") == (0, "quick\nbest\nseed\n", "")
    code, out, _ = pneumo("recipes", "list", "--json")
    assert (code, json.loads(out)) == (0, ["quick", "best", "seed"])


def test_a_recipe_of_ones_own(pneumo: Command, installation: Settings, tmp_path: Path) -> None:
    code, out, _ = pneumo("recipes", "show", "best")
    assert code == 0 and recipes.from_dict(json.loads(out)) == BEST
    mine = json.loads(out) | {"name": "My own", "seed": 7}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    code, out, _ = pneumo("recipes", "save", tmp_path / "mine.json")
    path = installation.recipes / "my-own.json"
    assert (code, out) == (0, f"my-own: {path}\n")
    code, out, _ = pneumo("recipes", "save", tmp_path / "mine.json", "--json")
    assert (code, json.loads(out)) == (0, {"recipe": "my-own", "file": str(path)})
    assert pneumo("recipes", "list")[1] == "quick\nbest\nseed\nmy-own\n"
    code, out, _ = pneumo("recipes", "show", "my-own")
    assert recipes.from_dict(json.loads(out)) == BEST.changed(name="My own", seed=7)


def test_recipes_diff(pneumo: Command, tmp_path: Path) -> None:
    other = QUICK.changed(name="other", phases=(*QUICK.phases, Phase(epochs=2)))
    (tmp_path / "other.json").write_text(other.to_json())
    code, out, _ = pneumo("recipes", "diff", "quick", tmp_path / "other.json", "--json")
    found = {row["setting"]: (row["first"], row["second"]) for row in json.loads(out)}
    assert code == 0
    assert found["name"] == ("quick", "other") and found["phases.2.epochs"] == (None, 2)
    code, out, _ = pneumo("recipes", "diff", "quick", tmp_path / "other.json")
    assert code == 0
    assert ["name", "quick", "other"] in [line.split() for line in out.splitlines()]
    assert ["phases.2.epochs", "None", "2"] in [line.split() for line in out.splitlines()]
    assert pneumo("recipes", "diff", "quick", "quick") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "tutorial"], "`recipe` must be one of quick, best, seed, or a JSON file"),
        (["diff", "quick", "tutorial"], "`recipe` must be one of"),
        (["save", "nowhere.json"], "No such file"),
        (["save", "BROKEN"], "BROKEN must be a JSON file"),
        (["save", "PRESET"], "`name` must be another than a preset's (quick, best, seed)"),
    ],
)
def test_what_recipes_refuse(
    pneumo: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("BROKEN").write_text("{")
    Path("PRESET").write_text(QUICK.to_json())
    code, out, err = pneumo("recipes", *arguments)
    assert (code, out) == (1, "")
    assert complaint in err and "Traceback" not in err


def test_a_training_that_fails(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(installation, "failed", message="No weights. Fetch them.")
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, out, err = pneumo("train", "--data", sample_root)
    assert (code, out) == (1, "")
    assert "pneumo: the training failed: No weights. Fetch them.\n" in err
    assert str(run.folder / "log.txt") in err
    code, out, _ = pneumo("train", "--data", sample_root, "--json")
    assert (code, json.loads(out)["status"]) == (1, "failed")


@pytest.mark.parametrize(
    ("status", "then"), [("queued", "cancelled"), ("running", "stopped"), ("starting", "stopped")]
)
def test_control_c_asks_for_a_stop(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    no_worker: list[Settings],
    monkeypatch: pytest.MonkeyPatch,
    status: runs.Status,
    then: runs.Status,
) -> None:
    run = make_run(installation, status)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            raise KeyboardInterrupt
        assert run.stop_requested  # the process hears it
        runs.write_state(run.folder, RunState(status="stopped", message="Stopped after 2"))

    monkeypatch.setattr(trainings.time, "sleep", sleep)
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, _, err = pneumo("train", "--data", sample_root)
    assert run.state.status == then
    assert code == (0 if then == "stopped" else 1)
    assert f"{run.name} {'is asked to stop' if then == 'stopped' else 'was taken out'}" in err
    assert len(no_worker) == (1 if status == "queued" else 0)


def test_control_c_when_the_worker_has_just_taken_the_run(
    pneumo: Command,
    installation: Settings,
    sample_root: Path,
    no_worker: list[Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(installation)

    def sleep(seconds: float) -> None:
        if run.stop_requested:
            runs.write_state(run.folder, RunState(status="stopped"))
            return
        runs.write_state(run.folder, RunState(status="running"))
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings.time, "sleep", sleep)
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, _, err = pneumo("train", "--data", sample_root)
    assert (code, run.state.status) == (0, "stopped")
    assert "is asked to stop" in err


def test_control_c_before_the_first_look_and_after_the_last(
    pneumo: Command, installation: Settings, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(installation, "running")
    looks: list[Run] = []

    def state(run: Run) -> RunState:
        looks.append(run)
        if len(looks) == 1:
            raise KeyboardInterrupt
        return RunState(status="stopped", message="Just now.")

    monkeypatch.setattr(Run, "state", property(state))
    monkeypatch.setattr(launcher, "start", lambda *arguments, **options: run)
    code, out, _ = pneumo("train", "--data", sample_root)
    assert (code, out) == (0, f"{run.name}: stopped. Just now.\n")


def test_detached(
    pneumo: Command, installation: Settings, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(installation)
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
        for name in (
            *("roc_auc", "accuracy", "sensitivity", "specificity"),
            *("loss", "brier_score", "calibration_error"),
        )
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


def test_evaluate_records_causes(
    pneumo: Command, at_home: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = measure_causes(np.array([0, 1, 2]), np.array([0, 1, 1]))
    evaluate = models.evaluate

    def tell_apart(*arguments: Any, **options: Any) -> Evaluation:
        return dataclasses.replace(evaluate(*arguments, **options), causes=causes)

    monkeypatch.setattr(models, "evaluate", tell_apart)
    copied = bundle.copy(bundle.load(at_home.output), tmp_path / "recorded")
    code, _, _ = pneumo(
        "evaluate", "--model", copied.folder, "--data", at_home.root, "--record", ""
    )
    recorded = bundle.load(copied.folder).card.measurement("test")
    assert code == 0 and recorded is not None and recorded.causes == causes


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
            "verdict": "UNSURE" if expected.unsure else expected.verdict,
            "leans_to": expected.verdict,
            "unsure": expected.unsure,
            "out_of_scope": False,
            "probability": expected.probability,
            "threshold": 0.5,
            "operating_point": "balanced",
            "prevalence": 0.5,
            "logit": expected.logit,
            "cause": {},
            "scope": [],
            "flags": list(expected.flags),
            "remarks": " ".join(expected.flags),
        }
    for answer in (answers[1], answers[3]):
        assert set(answer) == {"path", "verdict", "error"} and answer["error"]
        assert answer["verdict"] == "NOT_READ"


def test_predict_in_words(pneumo: Command, sample_root: Path, tmp_path: Path) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    code, out, err = pneumo("predict", path)
    assert code == 0
    predictor = Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))
    wording = predictor.predict(radiograph.read_file(path)).wording
    assert out.startswith(f"{path}: ") and wording in out
    assert len(out.splitlines()) == 1
    assert err == "Decision support, not a diagnosis.\n"
    code, out, _ = pneumo("predict", path, tmp_path / "missing.png")
    assert code == 1
    assert out.splitlines()[1] == (
        f"{tmp_path / 'missing.png'}: The file cannot be opened: No such file or directory."
    )


def test_predict_at_another_point_and_for_other_patients(
    pneumo: Command, sample_root: Path
) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    (plain,) = json.loads(pneumo("predict", path, "--json")[1])
    options = ("--operating-point", "high-sensitivity", "--prevalence", "0.1")
    code, out, _ = pneumo("predict", path, *options, "--json")
    (answer,) = json.loads(out)
    assert code == 0
    assert (answer["operating_point"], answer["prevalence"]) == ("high-sensitivity", 0.1)
    # A ninth of the odds.
    assert answer["threshold"] == pytest.approx(1 / 82)
    odds = plain["probability"] / (1 - plain["probability"])
    assert answer["probability"] == pytest.approx(odds / (9 + odds))
    assert answer["logit"] == plain["logit"]
    assert answer["leans_to"] == ("PNEUMONIA" if plain["probability"] >= 0.1 else "NORMAL")


def test_predict_says_what_is_out_of_scope(
    pneumo: Command, sample_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    predict = Predictor.predict

    def outside(*arguments: Any, **options: Any) -> Prediction:
        answer = predict(*arguments, **options)
        return dataclasses.replace(answer, scope=("The film is upside down.",))

    monkeypatch.setattr(Predictor, "predict", outside)
    code, out, _ = pneumo("predict", path)
    assert code == 0
    assert out.startswith(
        f"{path}: Outside what the model was trained on. The film is upside down. "
    )
    (answer,) = json.loads(pneumo("predict", path, "--json")[1])
    assert answer["verdict"] == "OUT_OF_SCOPE"
    assert answer["scope"] == ["The film is upside down."]


@pytest.fixture
def ward(sample_root: Path, tmp_path: Path) -> Path:
    """A folder of three films, two of one name and one without an ending, and of other things."""
    films = sorted(sample_root.glob("test/*/*.jpeg"))[:3]
    for name, film in zip(("a/film.jpeg", "b/film.jpeg", "b/IM.0001"), films, strict=True):
        (tmp_path / "ward" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, tmp_path / "ward" / name)
    for name in ("labels.csv", "b/.hidden.jpeg", "b/notes.txt"):
        (tmp_path / "ward" / name).write_text("no film")
    return tmp_path / "ward"


def test_predict_a_folder_and_a_zip(pneumo: Command, ward: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "films"), "zip", ward / "b"))
    code, out, _ = pneumo("predict", ward, archive, "--json")
    answers = json.loads(out)
    paths = [answer["path"] for answer in answers]
    assert code == 1
    assert paths[:3] == [str(ward / it) for it in ("a/film.jpeg", "b/IM.0001", "b/film.jpeg")]
    assert sorted(paths[3:]) == [f"{archive}/{it}" for it in ("IM.0001", "film.jpeg", "notes.txt")]
    assert [path for path, it in zip(paths, answers, strict=True) if "error" in it] == [
        f"{archive}/notes.txt"
    ]
    by_path = dict(zip(paths, answers, strict=True))
    assert by_path[f"{archive}/IM.0001"]["logit"] == by_path[str(ward / "b/IM.0001")]["logit"]


def test_predict_a_folder_without_films(pneumo: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    code, out, err = pneumo("predict", tmp_path)
    assert (code, out) == (1, "")
    assert "A folder must hold films." in err and "Traceback" not in err


def test_overlays_of_one_name_do_not_meet(pneumo: Command, ward: Path, tmp_path: Path) -> None:
    code, _, _ = pneumo("predict", ward, "--overlays", tmp_path / "maps")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        *("IM-overlay.png", "film-2-overlay.png", "film-overlay.png")
    ]


def test_predict_with_labels_and_a_table(
    pneumo: Command, sample_root: Path, tmp_path: Path
) -> None:
    films = sorted(sample_root.glob("test/*/*.jpeg"))
    labels, table = tmp_path / "labels.csv", tmp_path / "answers.csv"
    labels.write_text(
        "\n".join(["file,label", *(f"{film.name},{film.parent.name}" for film in films[1:])])
    )
    command = ("predict", sample_root / "test", "--labels", labels)
    code, out, _ = pneumo(*command, "--csv", table)
    lines = out.splitlines()
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    right = [row["agrees"] == "True" for row in rows if row["label"]]
    assert code == 0
    assert len(lines) == len(films) + 4
    assert lines[-4] == "19 of 20 films have a verdict and a label, 95 % intervals"
    assert lines[-3].split()[:2] == ["accuracy", f"{sum(right) / 19:.4f}"]
    assert [row["file"] for row in rows] == [str(film) for film in films]
    assert [row["label"] for row in rows] == ["", *(film.parent.name for film in films[1:])]
    # As JSON the agreement goes to standard error, so that the answers stay what they are.
    code, out, err = pneumo(*command, "--json")
    answers = json.loads(out)
    assert code == 0
    assert "label" not in answers[0] and answers[1]["label"] == films[1].parent.name
    assert err.splitlines() == lines[-4:]


def test_predict_with_labels_that_could_mean_several_films(
    pneumo: Command, sample_root: Path, tmp_path: Path
) -> None:
    film = min(sample_root.glob("test/*/*.jpeg"))
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        shutil.copy(film, tmp_path / folder / "a.jpeg")
    (tmp_path / "labels.csv").write_text("file,label\na.jpeg,1\n")
    command = ("predict", tmp_path / "x", tmp_path / "y", "--labels", tmp_path / "labels.csv")
    _, out, err = pneumo(*command)
    assert out.splitlines()[-1] == "No film has a verdict and a label."
    assert "2 films share a name with another one: they are not labelled." in err


def test_predict_with_labels_that_are_none(
    pneumo: Command, sample_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("name,age\nx,3\n")
    code, out, err = pneumo("predict", sample_root, "--labels", tmp_path / "labels.csv")
    assert (code, out) == (1, "")
    assert "must have a column `file` and a column `label`" in err


def test_predict_for_an_impossible_prevalence(pneumo: Command, sample_root: Path) -> None:
    (path, *_) = sorted(sample_root.glob("test/*/*.jpeg"))
    code, out, err = pneumo("predict", path, "--prevalence", "5")
    assert (code, out) == (1, "")
    assert "`prevalence` must be between 0 and 1. Received: prevalence=5.0" in err


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
        ["train", "--classes", "both"],
        ["runs", "move", "x"],
        ["runs", "compare", "x"],
        ["recipes"],
        ["recipes", "diff", "quick"],
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
    for command in ("data", "train", "runs", "recipes", "models", "evaluate", "predict"):
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
    assert good["leans_to"] in ("NORMAL", "PNEUMONIA") and "error" in bad
    assert "Traceback" not in answer.stderr


def test_whoever_stops_reading_is_not_complained_to(installation: Settings) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "pneumo", "data", "list"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    assert command.wait(60) == 1
    assert command.stderr.read() == ""


def test_evaluate_under_nuisances(
    pneumo: Command, at_home: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stress, "NUISANCES", {"mirrored": stress.NUISANCES["mirrored"]})
    copied = bundle.copy(bundle.load(at_home.output), tmp_path / "stressed")
    evaluate = ("evaluate", "--model", copied.folder, "--data", at_home.root, "--stress", "--keras")
    code, out, _ = pneumo(*evaluate, "--json", "--record", "")
    answer = json.loads(out)
    assert code == 0
    assert [figure["nuisance"] for figure in answer["stress"]] == ["none", "mirrored"]
    assert answer["stress"][0]["roc_auc"] == answer["metrics"]["roc_auc"]
    recorded = bundle.load(copied.folder).card.measurement("test")
    assert recorded is not None
    assert [dataclasses.asdict(figure) for figure in recorded.stress] == answer["stress"]
    assert recorded.parity is not None
    assert dataclasses.asdict(recorded.parity) == answer["parity"]
    assert recorded.parity.verdicts_changed == 0
    _, out, _ = pneumo(*evaluate)
    assert "mirrored" in out and "flipped" in out
