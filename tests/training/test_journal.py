"""What the training process writes, as readers see it."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from pneumo.background import ProcessIdentity
from pneumo.training import journal as journals
from pneumo.training.classifier import StartingWeightsUnavailable
from pneumo.training.journal import Journal, StopRequested
from pneumo.training.runs import LeftOut, Run
from tests.training.conftest import MakeRun


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    """A run that this process works on."""
    made = make_run()
    process = psutil.Process()
    ProcessIdentity(pid=process.pid, created=process.create_time()).save(made.process_file)
    return made


def columns(table: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in table.items()}


def without_memory(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Epochs without what a journal adds to them: the memory of its process, here of Python."""
    assert all(2**24 < row.pop("memory") < 2**36 for row in rows)
    return rows


def test_tables_grow_a_line_at_a_time(run: Run) -> None:
    with Journal(run) as journal:
        assert run.state.status == "running"
        journal.step({"epoch": 1, "step": 1, "loss": 0.123456789})
        journal.step({"epoch": 1, "step": 2, "loss": 1e-12})
        journal.epoch({"epoch": 1, "seconds": 2.5})
        assert columns(run.steps()) == {
            "epoch": [1, 1],
            "step": [1, 2],
            "loss": [0.123456789, 1e-12],
        }
        assert without_memory(run.epochs()) == [{"epoch": 1, "seconds": 2.5}]
        journal.epoch({"epoch": 2, "seconds": 3})
        assert len(run.epochs()) == 2
        journal.finish(stopped=False, message="Finished after 2")
    assert (run.state.status, run.state.message) == ("finished", "Finished after 2")
    header, *lines = (run.folder / "epochs.csv").read_text().splitlines()
    assert header == "epoch,seconds,memory"
    assert [line.rpartition(",")[0] for line in lines] == ["1,2.5", "2,3"]


def test_a_second_journal_appends(run: Run) -> None:
    for epoch in (1, 2):
        with Journal(run) as journal:
            journal.epoch({"epoch": epoch})
    assert without_memory(run.epochs()) == [{"epoch": 1}, {"epoch": 2}]


def test_steps_may_wait_for_the_next_word_and_no_longer(run: Run) -> None:
    with Journal(run) as journal:
        journal.activity("Training", 1, 9)
        journal.step({"epoch": 1, "step": 1})
        journal.activity("Training", 9, 9)
        assert columns(run.steps()) == {"epoch": [1], "step": [1]}
        journal.step({"epoch": 1, "step": 2})
    assert columns(run.steps()) == {"epoch": [1, 1], "step": [1, 2]}


def test_stopped(run: Run) -> None:
    with Journal(run) as journal:
        journal.finish(stopped=True, message="Stopped after 1")
    assert run.state.status == "stopped"


def test_activity_is_written_when_it_matters(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    with Journal(run) as journal:
        journal.activity("Reading", 1, 100)
        assert (run.state.activity, run.state.done, run.state.total) == ("Reading", 1, 100)
        now += journals.STATE_INTERVAL / 2
        journal.activity("Reading", 2, 100)
        assert run.state.done == 1  # so soon, mere progress is kept back
        now += journals.STATE_INTERVAL
        journal.activity("Reading", 3, 100)
        assert (run.state.done, run.state.heartbeat) == (3, now)
        journal.activity("Reading", 100, 100)
        assert run.state.done == 100
        assert (run.state.activity_began, run.state.images_per_second) == (1000.0, 0)
        assert 2**24 < run.state.memory < 2**36  # of Python with TensorFlow, in bytes
        journal.activity("Training")
        assert (run.state.activity, run.state.done) == ("Training", 0)
        assert run.state.activity_began == now
        journal.activity("Training", 9, 9, begun_at=5, images_per_second=12.5)
        assert (run.state.pace_from, run.state.images_per_second) == (5, 12.5)
    said = [line.split(maxsplit=1)[1] for line in capfd.readouterr().out.splitlines()]
    assert said == ["Reading", "Training"]


@pytest.mark.parametrize(
    ("error", "message", "failure"),
    [
        (ValueError("`x` must be 3. Received: 4"), "`x` must be 3. Received: 4", ""),
        (MemoryError(), "MemoryError", ""),
        (StartingWeightsUnavailable("No weights."), "No weights.", "starting_weights"),
    ],
)
def test_a_failure_is_told_and_goes_on(
    run: Run, error: Exception, message: str, failure: str
) -> None:
    with pytest.raises(type(error)), Journal(run) as journal:
        journal.step({"loss": 1})
        raise error
    assert run.state.status == "failed"
    assert (run.state.message, run.state.failure) == (message, failure)
    assert columns(run.steps()) == {"loss": [1]}


def test_a_stop_before_the_training_ends_it_quietly(run: Run) -> None:
    with Journal(run) as journal:
        journal.preparation("Reading images", 3, 9)
        run.request_stop()
        with pytest.raises(StopRequested):
            journal.preparation("Reading images", 4, 9)
        journal.preparation("Computing features", 1, 9)
        raise AssertionError("not reached")
    assert (run.state.status, run.state.failure) == ("stopped", "")
    assert run.state.message == "Stopped before the training began: no model."


def test_a_stop_before_a_training_goes_on_does_not_deny_what_it_has_learned(run: Run) -> None:
    run.checkpoint.touch()
    run.request_stop()
    with Journal(run) as journal:
        journal.preparation("Reading images", 3, 9)
    assert run.state.status == "stopped"
    assert run.state.message.startswith("Stopped before the training went on.")


def test_what_was_there_says_nothing_of_the_pace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    with Journal(run) as journal:
        journal.preparation("Reading images", 60, 100)  # 60 are known from an earlier run
        now += 4
        journal.preparation("Reading images", 80, 100)
        assert run.state.pace_from == 60
        assert run.state.seconds_left == pytest.approx(4)  # 20 took 4 s, 20 are left
        journal.preparation("Computing features", 1, 50)
        assert run.state.pace_from == 1


def test_left_out(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    with Journal(run) as journal:
        journal.left_out([])
        assert not (run.folder / "left_out.csv").exists()
        entry = LeftOut(path="/films/a.jpeg", reason="It is cut, short.")
        journal.left_out([entry])
    assert run.left_out() == [entry]
    assert "Left out /films/a.jpeg: It is cut, short." in capfd.readouterr().out


@pytest.mark.parametrize("epochs", [0, 1, 2, 11, 12])
@pytest.mark.parametrize("cut", ["", "1", "12", "12,0.", "12,0.25,9"])
def test_rewinding(run: Run, epochs: int, cut: str) -> None:
    """Lines of later epochs go, and with them one that was cut short: "1" is no epoch 1."""
    lines = ["epoch,loss,memory", *(f"{epoch},{epoch / 8},9" for epoch in range(1, 12))]
    steps = ["epoch,step", *(f"{(step + 2) // 3},{step}" for step in range(1, 34))]
    (run.folder / "epochs.csv").write_text("\n".join(lines) + f"\n{cut}")
    (run.folder / "steps.csv").write_text("\n".join(steps) + f"\n{cut}")
    with Journal(run) as journal:
        journal.rewind(epochs)
        kept = min(epochs, 11)
        assert (run.folder / "epochs.csv").read_text() == "\n".join(lines[: 1 + kept]) + "\n"
        assert (run.folder / "steps.csv").read_text() == "\n".join(steps[: 1 + 3 * kept]) + "\n"
        journal.epoch({"epoch": kept + 1, "loss": 0.5})
    assert [row["epoch"] for row in run.epochs()] == list(range(1, kept + 2))


@pytest.mark.parametrize("content", ["", "epo", "epoch,loss"])
def test_rewinding_a_table_that_has_no_line_yet(run: Run, content: str) -> None:
    """A process may be killed between making a file and writing into it."""
    (run.folder / "steps.csv").write_text(content)
    with Journal(run) as journal:
        journal.rewind(0)
        journal.step({"epoch": 1, "step": 1, "loss": 0.5})
    assert columns(run.steps()) == {"epoch": [1], "step": [1], "loss": [0.5]}


def test_rewinding_before_there_is_a_table(run: Run) -> None:
    with Journal(run) as journal:
        journal.rewind(0)
    assert run.steps() == {} and not (run.folder / "steps.csv").exists()


class Recorder:
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def step(self, row: Mapping[str, float]) -> None:
        self.told.append(dict(row))

    def epoch(self, row: Mapping[str, float]) -> None:
        self.told.append(sorted(row))

    def finish(self, status: str) -> None:
        self.told.append(status)


def test_trackers_are_told_and_hear_of_the_end(run: Run) -> None:
    trackers = [Recorder(), Recorder()]
    with Journal(run, trackers=trackers) as journal:
        journal.step({"epoch": 1, "step": 1})
        journal.epoch({"epoch": 1, "seconds": 2})
        journal.finish(stopped=False, message="")
    for tracker in trackers:
        assert tracker.told == [{"epoch": 1, "step": 1}, ["epoch", "memory", "seconds"], "finished"]
    with pytest.raises(ZeroDivisionError), Journal(run, trackers=trackers[:1]):
        1 / 0  # noqa: B018
    assert trackers[0].told[-1] == "failed" and trackers[1].told[-1] == "finished"


def test_room_to_say_that_the_disk_is_full(run: Run) -> None:
    reserve = run.folder / ".reserve"
    with Journal(run):
        assert reserve.stat().st_size == journals.RESERVE_BYTES
    assert not reserve.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_a_failed_run(run: Run) -> None:
    (run.folder / "steps.csv").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), Journal(run) as journal:
        journal.step({"epoch": 1, "step": 1})
        journal.activity("Training")
    assert run.state.status == "failed" and "No space left" in run.state.message
