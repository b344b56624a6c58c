"""What the training process writes, as readers see it."""

import time
from collections.abc import Callable

import pytest

from pneumo.training import journal as journals
from pneumo.training.classifier import StartingWeightsUnavailable
from pneumo.training.journal import Journal
from pneumo.training.runs import Run

MakeRun = Callable[..., Run]


def test_tables_grow_a_line_at_a_time(make_run: MakeRun) -> None:
    run = make_run()
    with Journal(run) as journal:
        assert run.state.status == "running"
        journal.step({"epoch": 1, "step": 1, "loss": 0.123456789})
        journal.step({"epoch": 1, "step": 2, "loss": 1e-12})
        journal.epoch({"epoch": 1, "seconds": 2.5})
        assert run.steps() == [
            {"epoch": 1, "step": 1, "loss": 0.123456789},
            {"epoch": 1, "step": 2, "loss": 1e-12},
        ]
        assert run.epochs() == [{"epoch": 1, "seconds": 2.5}]
        journal.epoch({"epoch": 2, "seconds": 3})
        assert len(run.epochs()) == 2
        journal.finish(stopped=False, message="Finished after 2")
    assert (run.state.status, run.state.message) == ("finished", "Finished after 2")
    assert (run.folder / "epochs.csv").read_text() == "epoch,seconds\n1,2.5\n2,3\n"


def test_a_second_journal_appends(make_run: MakeRun) -> None:
    run = make_run()
    for epoch in (1, 2):
        with Journal(run) as journal:
            journal.epoch({"epoch": epoch})
    assert run.epochs() == [{"epoch": 1}, {"epoch": 2}]


def test_stopped(make_run: MakeRun) -> None:
    run = make_run()
    with Journal(run) as journal:
        journal.finish(stopped=True, message="Stopped after 1")
    assert run.state.status == "stopped"


def test_activity_is_written_when_it_matters(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    run = make_run()
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
        journal.activity("Training")
        assert (run.state.activity, run.state.done) == ("Training", 0)
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
    make_run: MakeRun, error: Exception, message: str, failure: str
) -> None:
    run = make_run()
    with pytest.raises(type(error)), Journal(run) as journal:
        journal.step({"loss": 1})
        raise error
    assert run.state.status == "failed"
    assert (run.state.message, run.state.failure) == (message, failure)
    assert run.steps() == [{"loss": 1}]
