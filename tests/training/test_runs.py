"""Run folders: written once, read by anybody, honest about a process that died."""

import dataclasses
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import psutil
import pytest

from pneumo.background import ProcessIdentity
from pneumo.settings import Settings
from pneumo.training import runs
from pneumo.training.recipe import QUICK, InvalidRecipe
from pneumo.training.runs import LeftOut, Run, RunState, TrainingImage, UnknownRun, ValidationAnswer
from tests.training.conftest import MakeRun


def of_process(run: Run, process: psutil.Process, *, created_earlier: float = 0.0) -> None:
    created = process.create_time() - created_earlier
    ProcessIdentity(pid=process.pid, created=created).save(run.process_file)


def image(path: str, **values: str) -> TrainingImage:
    known = {
        **{"label": "NORMAL", "subtype": "normal", "patient": "1"},
        **{"split": "train", "digest": "00"},
    }
    return TrainingImage(path=path, **{**known, **values})


def test_a_run_is_read_as_it_was_made(make_run: MakeRun, installation: Settings) -> None:
    images = [
        image("/films/å, b.jpeg", patient='the "1st"', digest="0123"),
        image("/films/c.jpeg", label="PNEUMONIA", subtype="viral", patient="2", split="validation"),
    ]
    run = make_run(images, epochs=7)
    assert run.folder.parent == installation.runs
    assert run.recipe == QUICK.changed(start="shipped", epochs=7)
    assert run.data.name == "films" and run.data.synthetic is True
    assert run.images() == images
    assert run.state.status == "queued"
    assert run.epochs() == [] and run.steps() == {} and run.log_tail() == ""
    assert run.left_out() == [] and run.validation_answers() == []
    assert runs.active_run(installation) is None


@pytest.mark.parametrize(
    ("name", "label"),
    [("My best run!", "my-best-run"), ("../../etc/x", "etc-x"), ("???", "recipe"), ("a b", "a-b")],
)
def test_folder_names_are_tame(make_run: MakeRun, name: str, label: str) -> None:
    run = make_run(name=name)
    date, time_of_day, *rest = run.name.split("-")
    assert (len(date), len(time_of_day)) == (8, 6)
    assert "-".join(rest) == label


def test_runs_of_the_same_second_are_told_apart(
    make_run: MakeRun, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20260102-030405")
    names = [make_run().name for _ in range(3)]
    assert names == [f"20260102-030405-quick{copy}" for copy in ("", "-2", "-3")]
    assert [run.name for run in runs.all_runs(installation)] == names[::-1]
    assert runs.find(installation, "latest").name == names[2]
    assert runs.find(installation, names[0]).name == names[0]


def test_unknown_runs(make_run: MakeRun, installation: Settings) -> None:
    assert runs.all_runs(installation) == []
    for name in ("latest", "x"):
        with pytest.raises(UnknownRun, match="There are no runs yet"):
            runs.find(installation, name)
    run = make_run()
    with pytest.raises(UnknownRun, match=f"Runs: {run.name}"):
        runs.find(installation, "x")


def test_a_living_process(make_run: MakeRun, installation: Settings) -> None:
    run = make_run()
    of_process(run, psutil.Process())
    runs.write_state(run.folder, RunState(status="running", activity="Training", done=3, total=9))
    assert run.state.status == "running"
    assert (run.state.activity, run.state.done, run.state.total) == ("Training", 3, 9)
    assert runs.active_run(installation) == run
    run.request_stop()
    assert run.stop_requested
    assert run.state.status == "stopping"
    assert runs.active_run(installation) == run
    runs.write_state(run.folder, RunState(status="stopped", message="Stopped after 2"))
    assert run.state == RunState(status="stopped", message="Stopped after 2")
    assert runs.active_run(installation) is None


@pytest.mark.parametrize("status", ["starting", "running"])
def test_a_dead_process_is_an_interrupted_run(
    make_run: MakeRun, installation: Settings, status: runs.Status
) -> None:
    run = make_run()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        of_process(run, psutil.Process(process.pid))
        runs.write_state(run.folder, RunState(status=status))
        assert run.state.status == status
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)
        assert run.state.status == "interrupted"  # dead, though nobody has waited for it yet
    assert run.state.status == "interrupted"
    assert "log" in run.state.message
    assert runs.active_run(installation) is None


def test_another_process_with_the_same_id_is_another_process(make_run: MakeRun) -> None:
    run = make_run()
    of_process(run, psutil.Process(), created_earlier=60)
    runs.write_state(run.folder, RunState(status="running"))
    assert run.state.status == "interrupted"


def test_the_last_word_of_a_process_that_ends_at_this_moment_is_heard(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    of_process(run, psutil.Process())
    runs.write_state(run.folder, RunState(status="running"))

    def end(process: ProcessIdentity) -> None:
        runs.write_state(run.folder, RunState(status="finished", message="in time"))

    monkeypatch.setattr(ProcessIdentity, "find", end)
    assert (run.state.status, run.state.message) == ("finished", "in time")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"status": "running", "speed": 3}', '{"status": "?"}']
)
def test_a_state_that_cannot_be_read_is_that_of_a_run_that_failed(
    make_run: MakeRun, installation: Settings, text: str
) -> None:
    run, other = make_run(), make_run()
    (run.folder / "state.json").write_text(text)
    assert run.state.status == "failed"
    assert f"{run.folder / 'state.json'} cannot be read" in run.state.message
    assert runs.states(installation) == {other: other.state, run: run.state}
    assert runs.active_run(installation) is None
    runs.delete(run)
    assert runs.all_runs(installation) == [other]


def test_a_run_that_is_deleted_while_all_are_read_is_left_out(
    make_run: MakeRun, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = make_run(), make_run()
    monkeypatch.setattr(runs, "all_runs", lambda settings: [run, other])
    shutil.rmtree(run.folder)
    assert list(runs.states(installation)) == [other]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "old", "speed": 1}'])
def test_a_recipe_that_cannot_be_read_is_refused(make_run: MakeRun, text: str) -> None:
    run = make_run()
    (run.folder / "recipe.json").write_text(text)
    with pytest.raises(InvalidRecipe):
        _ = run.recipe


def test_a_half_written_line_is_not_read(make_run: MakeRun) -> None:
    run = make_run()
    table = run.folder / "epochs.csv"
    for text, rows in (
        ("epo", []),
        ("epoch,train_auc\n", []),
        ("epoch,train_auc\n1,0.5\n2,0.", [{"epoch": 1, "train_auc": 0.5}]),
        (
            "epoch,train_auc\n1,0.5\n2,0.625\n",
            [{"epoch": 1, "train_auc": 0.5}, {"epoch": 2, "train_auc": 0.625}],
        ),
    ):
        table.write_text(text)
        assert run.epochs() == rows
    (run.folder / "steps.csv").write_text("epoch,step,loss\n1,1,0.25\n1,2,0.1")
    steps = run.steps()
    assert {name: values.tolist() for name, values in steps.items()} == {
        "epoch": [1],
        "step": [1],
        "loss": [0.25],
    }
    assert all(values.dtype == np.float64 for values in steps.values())


def test_the_end_of_the_log(make_run: MakeRun) -> None:
    run = make_run()
    (run.folder / "log.txt").write_bytes(b"one\ntwo\xff\nthree\n")
    assert run.log_tail(lines=2) == "two\ufffd\nthree"
    assert run.log_tail() == "one\ntwo\ufffd\nthree"


def test_what_is_no_run_is_not_listed(installation: Settings, make_run: MakeRun) -> None:
    run = make_run()
    (installation.runs / "notes").mkdir()
    (installation.runs / "file.txt").touch()
    assert runs.all_runs(installation) == [run]


def test_files_of_a_run(make_run: MakeRun, installation: Settings) -> None:
    names = {path.name for path in make_run().folder.iterdir()}
    assert names == {"recipe.json", "data.json", "images.csv", "state.json"}
    (entry,) = installation.runs.iterdir()  # nothing hidden stays behind
    assert not entry.name.startswith(".")


def test_nobody_sees_half_a_run(
    make_run: MakeRun, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(write: Callable[..., None]) -> Callable[..., None]:
        def write_and_look(*arguments: object) -> None:
            write(*arguments)
            seen.append(runs.all_runs(installation))

        return write_and_look

    monkeypatch.setattr(runs, "write_text", watched(runs.write_text))
    monkeypatch.setattr(runs, "write_state", watched(runs.write_state))
    run = make_run()
    assert seen == [[]] * 4
    assert runs.all_runs(installation) == [run]


def test_what_could_not_be_read(make_run: MakeRun) -> None:
    run = make_run()
    entries = [
        LeftOut(path="/films/a, b.jpeg", reason='It says "no".'),
        LeftOut(path="c", reason=""),
    ]
    runs.write_rows(run.folder / "left_out.csv", LeftOut, entries)
    assert run.left_out() == entries


def test_a_state_is_not_written_into_a_folder_that_is_gone(make_run: MakeRun) -> None:
    run = make_run()
    shutil.rmtree(run.folder)
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        runs.write_state(run.folder, RunState(status="running"))
    assert not run.folder.exists()


@pytest.mark.parametrize("status", ["queued", "stopped", "cancelled", "finished", "failed"])
def test_only_a_run_under_way_needs_a_process(make_run: MakeRun, status: runs.Status) -> None:
    run = make_run()
    runs.write_state(run.folder, RunState(status=status))  # long ago, and nobody works on it
    run.request_stop()
    assert run.state.status == status


def test_a_run_speaks_again(make_run: MakeRun) -> None:
    run = make_run()
    of_process(run, psutil.Process(), created_earlier=60)
    runs.write_state(run.folder, RunState(status="running"))
    run.request_stop()
    assert run.state.status == "interrupted"
    begin = time.time()
    run.announce("queued", message="Once more.")
    assert (run.state.status, run.state.message) == ("queued", "Once more.")
    assert begin <= run.state.heartbeat <= time.time()
    assert not run.stop_requested and not run.process_file.exists()
    run.announce("starting")
    assert run.state.status == "starting"  # its process may still be on the way


@pytest.mark.parametrize(
    ("done", "total", "pace_from", "seconds", "left"),
    [
        (30, 100, 0, 6.0, 14.0),  # 5 a second, 70 to go
        (30, 100, 20, 2.0, 14.0),  # 20 were there already: 10 in 2 s
        (100, 100, 0, 6.0, 0.0),
        (30, 100, 0, 1.4, None),  # too early to tell
        (30, 100, 30, 6.0, None),
        (0, 0, 0, 6.0, None),
        (5, 0, 0, 6.0, None),
    ],
)
def test_seconds_left_by_hand(
    done: int, total: int, pace_from: int, seconds: float, left: float | None
) -> None:
    state = RunState(
        status="running",
        done=done,
        total=total,
        pace_from=pace_from,
        activity_began=1000.0,
        heartbeat=1000.0 + seconds,
    )
    assert state.seconds_left == (None if left is None else pytest.approx(left))


def test_the_best_epoch_by_hand() -> None:
    nan = float("nan")
    losses, aucs = [0.5, 0.3, 0.4, 0.3], [nan, 0.7, 0.9, 0.8]
    epochs = [
        {"epoch": number, "validation_loss": loss, "validation_auc": auc}
        for number, (loss, auc) in enumerate(zip(losses, aucs, strict=True), start=1)
    ]
    by_auc = QUICK.changed(monitor="validation_auc")
    assert runs.best_epoch(epochs, QUICK) == 2  # the earlier of two equals
    assert runs.best_epoch(epochs, by_auc) == 3
    assert runs.best_epoch([], QUICK) is None
    assert runs.score(epochs[1], QUICK) == -0.3 and runs.score(epochs[1], by_auc) == 0.7
    assert runs.score(epochs[0], by_auc) == -np.inf  # one class only: no AUC


# Runs side by side, and runs that go ----------------------------------------------------


def with_answers(run: Run, probabilities: dict[str, float]) -> Run:
    """A finished run that has answered films named "n…" or "p…" for their class."""
    answers = [
        ValidationAnswer(
            path=f"/films/{name}.jpeg",
            digest=name,
            label="PNEUMONIA" if name.startswith("p") else "NORMAL",
            logit=float(np.log(probability / (1 - probability))),
            probability=probability,
        )
        for name, probability in probabilities.items()
    ]
    runs.write_rows(run.folder / "validation.csv", ValidationAnswer, answers)
    runs.write_state(run.folder, RunState(status="finished"))
    assert run.validation_answers() == answers
    return run


def test_two_runs_are_compared_on_what_both_have_answered(make_run: MakeRun) -> None:
    first = with_answers(
        make_run(), {"p1": 0.9, "p2": 0.4, "n1": 0.3, "n2": 0.6, "n3": 0.2, "p9": 0.1}
    )
    # In another order, and with films of its own.
    second = with_answers(
        make_run(), {"n8": 0.9, "n3": 0.1, "n2": 0.2, "n1": 0.3, "p2": 0.5, "p1": 0.8}
    )
    found = runs.compare(first, second)
    assert (found.images, found.pneumonia) == (5, 2)
    # Of 6 pairs the first has only 0.4 against 0.6 in the wrong order, the second none.
    assert found.first_auc == pytest.approx(5 / 6) and found.second_auc == 1
    # The first is wrong about p2 and n2, the second about none: 0.5 calls PNEUMONIA.
    assert (found.first_accuracy, found.second_accuracy) == (0.6, 1.0)
    assert (found.only_first_correct, found.only_second_correct) == (0, 2)
    assert runs.compare(second, first).auc_difference == pytest.approx(-1 / 6)


def test_runs_that_cannot_be_compared(make_run: MakeRun) -> None:
    first, other = with_answers(make_run(), {"p1": 0.9, "n1": 0.3}), make_run()
    for pair in ((first, other), (other, first)):
        with pytest.raises(ValueError, match=f"Only runs with a model.* {other.name} is queued"):
            runs.compare(*pair)
    with_answers(other, {"p2": 0.9, "n2": 0.3})
    with pytest.raises(ValueError, match=f"{first.name} and {other.name} share none"):
        runs.compare(first, other)


@pytest.mark.parametrize("status", ["finished", "stopped", "failed", "cancelled"])
def test_a_run_that_has_ended_can_be_deleted(
    make_run: MakeRun, installation: Settings, status: runs.Status
) -> None:
    run, other = make_run(), make_run()
    runs.write_state(run.folder, RunState(status=status))
    runs.delete(run)
    assert runs.all_runs(installation) == [other]
    assert [path.name for path in installation.runs.iterdir()] == [other.name]


@pytest.mark.parametrize("status", ["queued", "starting", "running"])
def test_a_run_whose_end_is_yet_to_come_is_kept(make_run: MakeRun, status: runs.Status) -> None:
    run = make_run()
    of_process(run, psutil.Process())
    runs.write_state(run.folder, dataclasses.replace(run.state, status=status))
    with pytest.raises(ValueError, match=f"{run.name} is {status}: stop or cancel it first"):
        runs.delete(run)
    assert run.state.status == status


def test_an_interrupted_run_can_be_deleted(make_run: MakeRun, installation: Settings) -> None:
    run = make_run()
    of_process(run, psutil.Process(), created_earlier=60)
    runs.write_state(run.folder, RunState(status="running"))
    runs.delete(run)
    assert runs.all_runs(installation) == []
