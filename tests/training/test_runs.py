"""Run folders: written once, read by anybody, honest about a process that died."""

import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from pneumo.background import ProcessIdentity
from pneumo.settings import Settings
from pneumo.training import runs
from pneumo.training.recipe import QUICK
from pneumo.training.runs import Run, RunState, TrainingImage, UnknownRun

MakeRun = Callable[..., Run]


def of_process(run: Run, process: psutil.Process, *, created_earlier: float = 0.0) -> None:
    created = process.create_time() - created_earlier
    ProcessIdentity(pid=process.pid, created=created).save(run.folder / "process.json")


def test_a_run_is_read_as_it_was_made(make_run: MakeRun, installation: Settings) -> None:
    images = [
        TrainingImage(path="/films/å, b.jpeg", label="NORMAL", patient='the "1st"', split="train"),
        TrainingImage(path="/films/c.jpeg", label="PNEUMONIA", patient="2", split="validation"),
    ]
    run = make_run(images, epochs=7)
    assert run.folder.parent == installation.runs
    assert run.recipe == QUICK.changed(start="shipped", epochs=7)
    assert run.data.name == "films" and run.data.synthetic is True
    assert run.images() == images
    assert run.state.status == "starting"
    assert run.epochs() == [] and run.steps() == [] and run.log_tail() == ""


@pytest.mark.parametrize(
    ("name", "label"),
    [("My best run!", "my-best-run"), ("../../etc/x", "etc-x"), ("???", "run"), ("a b", "a-b")],
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
    assert run.steps() == [{"epoch": 1, "step": 1, "loss": 0.25}]


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


def test_files_of_a_run(make_run: MakeRun) -> None:
    names = {path.name for path in make_run().folder.iterdir()}
    assert names == {"recipe.json", "data.json", "images.csv", "state.json"}
