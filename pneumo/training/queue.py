"""One training at a time; others wait in order: `python -m pneumo.training.queue HOME`.

A small process works off the queue, so that the next training starts whatever became of the
one before and whether or not anybody looks. It holds a lock for as long as it lives. Where it
has died, whoever looks next starts another one; a training it had started goes on meanwhile.
"""

import json
import os
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from pneumo import background, settings
from pneumo.background import ProcessIdentity
from pneumo.settings import Settings, write_text
from pneumo.training import runs
from pneumo.training.runs import Run, Status

POLL_SECONDS = 0.3
HANDOVER_SECONDS = 5.0
"""How long a new worker waits for an old one that may be about to leave."""


def waiting(installation: Settings) -> list[Run]:
    """The queued runs, next first."""
    order = {name: place for place, name in enumerate(_read_order(installation))}
    queued = [run for run, it in runs.states(installation).items() if it.status == "queued"]
    # A run that the order does not know has come last; names sort by time.
    return sorted(queued, key=lambda run: (order.get(run.name, len(order)), run.name))


def append(run: Run, installation: Settings) -> None:
    """Queue a run behind the others, and see that somebody works the queue off.

    Args:
        run: new, or ended before its time: then it goes on from its last complete epoch.

    Raises:
        ValueError: the run is pending already, or has finished.
    """
    with _lock(installation, "order"):
        status = run.state.status
        if status not in runs.RESUMABLE | {"queued"}:
            raise ValueError(
                f"Only a run that ended before its time can be resumed. {run.name} is {status}."
            )
        order = [other.name for other in waiting(installation) if other.name != run.name]
        run.announce("queued")
        _write_order(installation, [*order, run.name])
    ensure_worker(installation)


def move(run: Run, installation: Settings, *, place: int) -> None:
    """Give a queued run another place.

    Args:
        place: from 1, the next to start; beyond the end means last.

    Raises:
        ValueError: the run does not wait, or the place is below 1.
    """
    if place < 1:
        raise ValueError(f"`place` must be at least 1. Received: place={place}")
    with _lock(installation, "order"):
        status = run.state.status
        if status != "queued":
            raise ValueError(f"Only a run in the queue can be moved. {run.name} is {status}.")
        order = [other.name for other in waiting(installation) if other.name != run.name]
        order.insert(place - 1, run.name)
        _write_order(installation, order)


def stop(run: Run, installation: Settings, *, insist: bool = False) -> Status:
    """End a run before its time, whatever has become of it meanwhile; it can be resumed later.

    A run that waits is taken out of the queue. One under way is asked to end after the step at
    hand and to keep its best epoch so far.

    Args:
        insist: end the process of a run that has been asked already; its last complete epoch is
            kept.

    Returns: the status that the run has then.

    Raises:
        ValueError: the run has ended.
    """
    with _lock(installation, "order"):
        status = run.state.status
        if status not in runs.PENDING:
            raise ValueError(
                f"Only a run that waits or is under way can be stopped. {run.name} is {status}."
            )
        if status == "queued":
            run.announce("cancelled", message="Taken out of the queue before it started.")
        elif status != "stopping":
            run.request_stop()
        elif insist:
            _end(run)
        return run.state.status


def ensure_worker(installation: Settings) -> None:
    """Start a worker where runs wait and none is at work."""
    if waiting(installation) and not _worker_at_work(installation):
        background.start(
            "pneumo.training.queue",
            installation.runs,
            log=installation.runs / "queue.log",
            environment={"PNEUMO_HOME": str(installation.home)},
        )


def work(installation: Settings) -> None:
    """Start the queued runs one after the other until none is left."""
    while waiting(installation):  # once more after the lock is free: one may have come meanwhile
        try:
            with _lock(installation, "worker", timeout=HANDOVER_SECONDS):
                while waiting(installation):
                    if runs.active_run(installation) is None:
                        _start_next(installation)
                    time.sleep(POLL_SECONDS)
        except Timeout:
            return  # another worker is there to stay


def launch(run: Run, installation: Settings) -> None:
    """Start the process of a run and note who it is."""
    run.announce("starting")
    process = background.start(
        "pneumo.training.fit",
        run.folder,
        log=run.folder / "log.txt",
        environment={"PNEUMO_HOME": str(installation.home), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    process.save(run.process_file)


def _start_next(installation: Settings) -> None:
    with _lock(installation, "order"):
        queue = waiting(installation)
        if not queue:
            return
        run = queue[0]
        try:
            launch(run, installation)
        except OSError as error:
            run.announce("failed", message=f"The training could not be started: {error}")


def _end(run: Run) -> None:
    process = ProcessIdentity.load(run.process_file)
    if process is not None:
        process.end()
    if run.state.status == "interrupted":  # unless it had its last word in time
        run.announce("interrupted", message="The training was ended before it had stopped.")


def _worker_at_work(installation: Settings) -> bool:
    try:
        with _lock(installation, "worker", timeout=0):
            return False
    except Timeout:
        return True


def _lock(installation: Settings, name: str, *, timeout: float = -1) -> FileLock:
    """The system releases it when its holder dies."""
    installation.runs.mkdir(parents=True, exist_ok=True)
    return FileLock(installation.runs / f".{name}.lock", timeout=timeout)


def _read_order(installation: Settings) -> list[str]:
    try:
        return list(json.loads((installation.runs / "queue.json").read_text()))
    except (FileNotFoundError, ValueError):
        return []


def _write_order(installation: Settings, names: list[str]) -> None:
    write_text(installation.runs / "queue.json", json.dumps(names))


if __name__ == "__main__":
    os.environ["PNEUMO_HOME"] = str(Path(sys.argv[1]).parent)
    work(settings.load())
