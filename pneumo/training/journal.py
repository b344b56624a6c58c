"""What a training process writes into its run folder while it works."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from pneumo.training.runs import Run, RunState, write_state

STATE_INTERVAL = 0.2
"""Seconds between two writes of the state for mere progress."""


class StopRequested(Exception):
    """Somebody asked for a stop before there was anything to keep."""


class Journal:
    """The writing side of a run; a context manager whose end states the outcome.

    An exception that leaves the block marks the run as failed with the exception's words, and
    goes on. Its attribute `failure_code`, where it has one, tells pages which remedy to offer.
    `StopRequested` ends the block quietly.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._state = RunState(status="running", heartbeat=time.time())
        self._tables: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        write_state(self._run.folder, self._state)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        for table in self._tables.values():
            table.close()
        self._tables.clear()
        if isinstance(error, StopRequested):
            self.finish(stopped=True, message="Stopped before the training began: no model.")
            return True
        if error is not None:
            failure = getattr(error, "failure_code", "")
            message = str(error) or type(error).__name__
            self._write(RunState(status="failed", message=message, failure=failure))
        return False

    def activity(self, name: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done and how far it is."""
        changed = name != self._state.activity
        if changed:
            self.log(name)
        now = time.time()
        if changed or done == total or now - self._state.heartbeat > STATE_INTERVAL:
            began = now if changed else self._state.activity_began
            self._write(
                RunState(
                    status="running", activity=name, done=done, total=total, activity_began=began
                )
            )

    def preparation(self, name: str, done: int, total: int) -> None:
        """The same for what comes before the training.

        Raises:
            StopRequested: somebody asked for a stop.
        """
        self.activity(name, done, total)
        if self._run.stop_requested:
            raise StopRequested

    def step(self, row: Mapping[str, float]) -> None:
        """Append a line to `steps.csv`."""
        self._append("steps.csv", row)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Append a line to `epochs.csv`."""
        self._append("epochs.csv", row)
        for table in self._tables.values():
            table.flush()

    def log(self, text: str) -> None:
        """A line with the time of day; the process's output goes to `log.txt`."""
        print(time.strftime("%H:%M:%S"), text, file=sys.stdout, flush=True)

    def finish(self, *, stopped: bool, message: str) -> None:
        """The training is over and its bundle is in place."""
        self.log(message)
        self._write(RunState(status="stopped" if stopped else "finished", message=message))

    def _write(self, state: RunState) -> None:
        for table in self._tables.values():
            table.flush()
        self._state = dataclasses.replace(state, heartbeat=time.time())
        write_state(self._run.folder, self._state)

    def _append(self, name: str, row: Mapping[str, float]) -> None:
        if name not in self._tables:
            path: Path = self._run.folder / name
            self._tables[name] = path.open("a")
            if path.stat().st_size == 0:
                self._tables[name].write(",".join(row) + "\n")
        self._tables[name].write(",".join(f"{value:.9g}" for value in row.values()) + "\n")
