"""The queue: who comes next, what may enter it, and one worker that starts them in order."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from pneumo import background
from pneumo.background import ProcessIdentity
from pneumo.settings import Settings
from pneumo.training import queue, runs
from pneumo.training.runs import Run, RunState
from tests.training.conftest import MakeRun

MYSELF = ProcessIdentity(pid=psutil.Process().pid, created=psutil.Process().create_time())
NOBODY = ProcessIdentity(pid=MYSELF.pid, created=MYSELF.created - 60)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that workers would have been started with."""
    started: list[Path] = []
    monkeypatch.setattr(
        background, "start", lambda module, folder, **options: started.append(folder)
    )
    return started


@pytest.fixture
def three(make_run: MakeRun, installation: Settings, workers: list[Path]) -> list[Run]:
    """Three queued runs, in the order of their coming."""
    made = [make_run(name=name) for name in ("first", "second", "third")]
    for run in made:
        queue.append(run, installation)
    return made


def names(installation: Settings) -> list[str]:
    return [run.recipe.name for run in queue.waiting(installation)]


def end(run: Run, status: runs.Status) -> None:
    runs.write_state(run.folder, RunState(status=status))


# Order ----------------------------------------------------------------------------------


def test_first_come_first_served(
    three: list[Run], installation: Settings, workers: list[Path]
) -> None:
    assert queue.waiting(installation) == three
    assert [run.state.status for run in three] == ["queued"] * 3
    # Nobody works in this test: each time somebody is called for.
    assert workers == [installation.runs] * 3
    end(three[0], "running")
    assert names(installation) == ["second", "third"]


def test_an_empty_queue(installation: Settings, workers: list[Path]) -> None:
    assert queue.waiting(installation) == []
    queue.ensure_worker(installation)
    queue.work(installation)
    assert workers == []


@pytest.mark.parametrize(
    ("name", "place", "order"),
    [
        ("third", 1, ["third", "first", "second"]),
        ("third", 2, ["first", "third", "second"]),
        ("first", 2, ["second", "first", "third"]),
        ("first", 3, ["second", "third", "first"]),
        ("first", 99, ["second", "third", "first"]),
        ("second", 2, ["first", "second", "third"]),
    ],
)
def test_moving(
    three: list[Run], installation: Settings, name: str, place: int, order: list[str]
) -> None:
    (run,) = (run for run in three if run.recipe.name == name)
    queue.move(run, installation, place=place)
    assert names(installation) == order


def test_what_cannot_be_moved_or_stopped(three: list[Run], installation: Settings) -> None:
    with pytest.raises(ValueError, match=r"`place` must be at least 1\. Received: place=0"):
        queue.move(three[0], installation, place=0)
    for status in ("stopped", "finished", "failed", "cancelled"):
        end(three[0], status)  # type: ignore[arg-type]
        complaint = rf"{{}} can be {{}}\. {three[0].name} is {status}"
        with pytest.raises(ValueError, match=complaint.format("in the queue", "moved")):
            queue.move(three[0], installation, place=1)
        with pytest.raises(ValueError, match=complaint.format("is under way", "stopped")):
            queue.stop(three[0], installation, insist=True)
        assert three[0].state.status == status
    assert names(installation) == ["second", "third"]


def test_a_run_that_waits_is_taken_out(three: list[Run], installation: Settings) -> None:
    assert queue.stop(three[1], installation) == "cancelled"
    assert names(installation) == ["first", "third"]
    assert three[1].state.status == "cancelled" and "queue" in three[1].state.message
    queue.append(three[1], installation)  # behind the others, though it had come before
    assert names(installation) == ["first", "third", "second"]


@pytest.mark.parametrize("status", ["starting", "running"])
def test_a_run_under_way_is_asked_to_stop(
    make_run: MakeRun, installation: Settings, status: runs.Status
) -> None:
    run = make_run()
    end(run, status)
    MYSELF.save(run.process_file)
    assert queue.stop(run, installation, insist=True) == "stopping"  # the process of this test
    assert run.stop_requested
    assert queue.stop(run, installation) == "stopping"  # once more is not to insist


@pytest.fixture
def hanging() -> Iterator[ProcessIdentity]:
    """A process that heeds no request."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        created = psutil.Process(process.pid).create_time()
        yield ProcessIdentity(pid=process.pid, created=created)
        process.kill()


def test_a_run_that_does_not_heed_a_stop_is_ended(
    make_run: MakeRun, installation: Settings, workers: list[Path], hanging: ProcessIdentity
) -> None:
    run = make_run()
    end(run, "running")
    hanging.save(run.process_file)
    assert queue.stop(run, installation) == "stopping" and hanging.find() is not None
    assert queue.stop(run, installation, insist=True) == "interrupted"
    assert hanging.find() is None and not run.stop_requested
    assert run.state.message == "The training was ended before it had stopped."
    queue.append(run, installation)
    assert queue.waiting(installation) == [run]


def test_a_last_word_before_the_end_is_heard(
    make_run: MakeRun, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    end(run, "running")
    MYSELF.save(run.process_file)
    run.request_stop()
    monkeypatch.setattr(ProcessIdentity, "end", lambda process: end(run, "stopped"))
    assert queue.stop(run, installation, insist=True) == "stopped"


@pytest.mark.parametrize("status", ["stopped", "failed", "cancelled"])
def test_a_run_that_ended_before_its_time_can_go_on(
    make_run: MakeRun, installation: Settings, workers: list[Path], status: runs.Status
) -> None:
    run, other = make_run(name="before"), make_run(name="after")
    queue.append(other, installation)
    end(run, status)
    run.request_stop()
    NOBODY.save(run.process_file)
    queue.append(run, installation)
    assert run.state.status == "queued"
    assert not run.stop_requested and not run.process_file.exists()
    assert names(installation) == ["after", "before"]
    assert len(workers) == 2


def test_an_interrupted_run_can_go_on(
    make_run: MakeRun, installation: Settings, workers: list[Path]
) -> None:
    run = make_run()
    end(run, "running")
    NOBODY.save(run.process_file)
    assert run.state.status == "interrupted"
    queue.append(run, installation)
    assert queue.waiting(installation) == [run]


@pytest.mark.parametrize("status", ["starting", "running", "finished"])
def test_a_run_under_way_or_finished_cannot_be_queued(
    make_run: MakeRun, installation: Settings, workers: list[Path], status: runs.Status
) -> None:
    run = make_run()
    end(run, status)
    MYSELF.save(run.process_file)
    with pytest.raises(ValueError, match=rf"ended before its time.*{run.name} is {status}\."):
        queue.append(run, installation)
    assert run.state.status == status and workers == []


def test_queueing_twice_moves_to_the_end(three: list[Run], installation: Settings) -> None:
    queue.append(three[0], installation)
    assert names(installation) == ["second", "third", "first"]


@pytest.mark.parametrize("damage", [None, "", "{", '["no such run"]'])
def test_a_lost_order_is_that_of_their_coming(
    three: list[Run],
    make_run: MakeRun,
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
    damage: str | None,
) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "29991231-235959")
    late = make_run(name="late")
    queue.append(late, installation)
    queue.move(late, installation, place=1)
    order = installation.runs / "queue.json"
    if damage is None:
        order.unlink()
    else:
        order.write_text(damage)
    assert names(installation) == ["first", "second", "third", "late"]  # names sort by time
    queue.move(three[2], installation, place=1)
    assert names(installation) == ["third", "first", "second", "late"]


def test_a_run_that_was_deleted_leaves_the_order(three: list[Run], installation: Settings) -> None:
    queue.stop(three[1], installation)
    runs.delete(three[1])
    queue.move(three[2], installation, place=1)
    assert names(installation) == ["third", "first"]
    assert json.loads((installation.runs / "queue.json").read_text()) == [
        *(three[2].name, three[0].name)
    ]


def test_several_at_once(make_run: MakeRun, installation: Settings, workers: list[Path]) -> None:
    made = [make_run(name=f"r{number}") for number in range(8)]
    threads = [threading.Thread(target=queue.append, args=(run, installation)) for run in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order = json.loads((installation.runs / "queue.json").read_text())
    assert sorted(order) == sorted(run.name for run in made)


# The worker -----------------------------------------------------------------------------


class Launches:
    """Stands for the processes of runs: they live until they are told how to end."""

    def __init__(self) -> None:
        self.started: list[Run] = []
        self.at_once = 0
        self.fails: Callable[[Run], bool] = lambda run: False

    def launch(self, run: Run, installation: Settings) -> None:
        if self.fails(run):
            raise OSError("no more processes")
        others = [other for other in runs.all_runs(installation) if other != run]
        self.at_once += any(other.state.status in runs.ACTIVE for other in others)
        run.announce("starting")
        MYSELF.save(run.process_file)
        end(run, "running")
        self.started.append(run)

    def wait_for(self, run: Run) -> None:
        wait(lambda: run in self.started)


def wait(condition: Callable[[], object], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    made = Launches()
    monkeypatch.setattr(queue, "launch", made.launch)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(queue, "HANDOVER_SECONDS", 0.2)
    return made


@pytest.fixture
def work(launches: Launches, installation: Settings) -> Iterator[Callable[[], threading.Thread]]:
    """Starts a worker in a thread of this process."""
    threads: list[threading.Thread] = []

    def start() -> threading.Thread:
        threads.append(threading.Thread(target=queue.work, args=(installation,), daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for run in queue.waiting(installation):
        end(run, "cancelled")
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


Work = Callable[[], threading.Thread]


def test_the_next_starts_whatever_became_of_the_one_before(
    three: list[Run], launches: Launches, work: Work
) -> None:
    worker = work()
    first, second, third = three
    launches.wait_for(first)
    time.sleep(0.05)
    assert launches.started == [first]  # one at a time
    end(first, "finished")
    launches.wait_for(second)
    NOBODY.save(second.process_file)  # killed, without a word
    launches.wait_for(third)
    assert second.state.status == "interrupted"
    worker.join(timeout=10)
    # Nobody waits any more: the worker leaves, and the training goes on without it.
    assert not worker.is_alive() and third.state.status == "running"
    assert launches.started == three and launches.at_once == 0


def test_a_training_that_cannot_be_started_does_not_stop_the_others(
    three: list[Run], launches: Launches, work: Work
) -> None:
    launches.fails = lambda run: run == three[0]
    work()
    launches.wait_for(three[1])
    assert three[0].state.status == "failed"
    assert three[0].state.message == "The training could not be started: no more processes"


def test_a_worker_heeds_a_changed_order(
    three: list[Run], launches: Launches, work: Work, installation: Settings
) -> None:
    work()
    first, second, third = three
    launches.wait_for(first)
    queue.move(third, installation, place=1)
    queue.stop(second, installation)
    end(first, "stopped")
    launches.wait_for(third)
    end(third, "finished")
    queue.append(second, installation)
    if not queue._worker_at_work(installation):
        work()
    launches.wait_for(second)
    assert launches.started == [first, third, second]


def test_a_worker_goes_by_states_when_the_order_is_lost(
    three: list[Run], launches: Launches, work: Work, installation: Settings
) -> None:
    work()
    for run in three:
        launches.wait_for(run)
        (installation.runs / "queue.json").unlink(missing_ok=True)
        end(run, "finished")
    assert launches.started == three


def test_there_is_only_one_worker(
    three: list[Run], launches: Launches, work: Work, installation: Settings, workers: list[Path]
) -> None:
    first = work()
    launches.wait_for(three[0])
    others = [work() for _ in range(3)]
    for other in others:
        other.join(timeout=10)
        assert not other.is_alive()  # they give up, and the first stays
    assert first.is_alive()
    del workers[:]
    queue.ensure_worker(installation)
    assert workers == []  # none is called for
    for run in three:
        launches.wait_for(run)
        end(run, "finished")
    assert launches.started == three and launches.at_once == 0


def test_a_worker_is_called_for_where_the_old_one_died(
    three: list[Run], installation: Settings, workers: list[Path]
) -> None:
    del workers[:]
    with FileLock(installation.runs / ".worker.lock"):  # somebody holds it
        queue.ensure_worker(installation)
        assert workers == []
    queue.ensure_worker(installation)
    assert workers == [installation.runs]


def test_a_training_of_a_worker_that_died_is_waited_for(
    three: list[Run], launches: Launches, work: Work, installation: Settings
) -> None:
    launches.launch(three[0], installation)  # by the worker that died
    work()
    time.sleep(0.05)
    assert launches.started == three[:1]
    end(three[0], "finished")
    launches.wait_for(three[1])
    assert launches.at_once == 0


# Processes ------------------------------------------------------------------------------


def test_a_launch_notes_who_works_on_the_run(
    make_run: MakeRun, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    run = make_run()

    def start(module: str, folder: Path, **options: Any) -> ProcessIdentity:
        assert run.state.status == "starting" and not run.process_file.exists()
        calls.append({"module": module, "folder": folder, **options})
        return MYSELF

    monkeypatch.setattr(background, "start", start)
    run.request_stop()
    queue.launch(run, installation)
    assert not run.stop_requested
    assert ProcessIdentity.load(run.process_file) == MYSELF
    assert calls == [
        {
            "module": "pneumo.training.fit",
            "folder": run.folder,
            "log": run.folder / "log.txt",
            "environment": {"PNEUMO_HOME": str(installation.home), "TF_CPP_MIN_LOG_LEVEL": "3"},
        }
    ]


def test_a_worker_in_its_own_process(make_run: MakeRun, installation: Settings) -> None:
    """Runs that fail at once, as their recipe cannot be read: one after the other, all of them."""
    made = [make_run(), make_run()]
    for run in made:
        (run.folder / "recipe.json").write_text('{"name": 7}')
    for run in made:
        queue.append(run, installation)
    wait(lambda: all(run.state.status == "failed" for run in made), seconds=120)
    for run in made:
        assert "`name` must be 1 to 40 characters" in run.state.message
    first, second = (ProcessIdentity.load(run.process_file) for run in made)
    assert first is not None and second is not None and first.created < second.created
    assert (installation.runs / "queue.log").read_text() == ""
    wait(lambda: not queue._worker_at_work(installation))
