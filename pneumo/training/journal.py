"""What a training process writes into its run folder while it works."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import psutil

from pneumo.settings import write_text
from pneumo.training.runs import LeftOut, Run, RunState, write_rows, write_state
from pneumo.training.tracking import Tracker

STATE_INTERVAL = 0.2
"""Seconds between two writes of the state for mere progress."""

RESERVE_BYTES = 64 * 1024
"""Set aside on the disk, so that a run can still say that the disk is full."""


class StopRequested(Exception):
    """Somebody asked for a stop before there was anything to keep."""


class Journal:
    """The writing side of a run; a context manager whose end states the outcome.

    An exception that leaves the block marks the run as failed with the exception's words, and
    goes on. Its attribute `failure_code`, where it has one, tells pages which remedy to offer.
    `StopRequested` ends the block quietly.

    Args:
        run: its folder is written to.
        trackers: are told each step and epoch too.
    """

    def __init__(self, run: Run, *, trackers: Sequence[Tracker] = ()) -> None:
        self._run = run
        self._trackers = trackers
        self._state = RunState(status="running", heartbeat=time.time())
        self._tables: dict[str, TextIO] = {}
        self._process = psutil.Process()
        self._reserve = run.folder / ".reserve"

    def __enter__(self) -> Self:
        write_state(self._run.folder, self._state)
        with contextlib.suppress(OSError):  # a disk that is full already will say so soon
            self._reserve.write_bytes(bytes(RESERVE_BYTES))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._reserve.unlink(missing_ok=True)
        for table in self._tables.values():
            with contextlib.suppress(OSError):  # what could not be written is why we are here
                table.close()
        self._tables.clear()
        if isinstance(error, StopRequested):
            message = "Stopped before the training began: no model."
            if self._run.checkpoint.exists():
                message = "Stopped before the training went on. Its last complete epoch is kept."
            self.finish(stopped=True, message=message)
        elif error is not None:
            failure = getattr(error, "failure_code", "")
            message = str(error) or type(error).__name__
            self._write(RunState(status="failed", message=message, failure=failure))
        for tracker in self._trackers:
            tracker.finish(self._state.status)
        return isinstance(error, StopRequested)

    def activity(
        self,
        name: str,
        done: int = 0,
        total: int = 0,
        *,
        begun_at: int = 0,
        images_per_second: float = 0.0,
    ) -> None:
        """Say what is being done and how far it is.

        Args:
            name: for people.
            done: units that are complete.
            total: units that there are.
            begun_at: units that were complete when this process began with the activity.
            images_per_second: that go through the training.
        """
        changed = name != self._state.activity
        if changed:
            self.log(name)
        now = time.time()
        if changed or done == total or now - self._state.heartbeat > STATE_INTERVAL:
            self._write(
                RunState(
                    status="running",
                    activity=name,
                    done=done,
                    total=total,
                    pace_from=begun_at,
                    activity_began=now if changed else self._state.activity_began,
                    images_per_second=images_per_second,
                )
            )

    def preparation(self, name: str, done: int, total: int) -> None:
        """The same for what comes before the training.

        Raises:
            StopRequested: somebody asked for a stop.
        """
        # What is there from an earlier run comes at once, and says nothing of the pace.
        known = name == self._state.activity
        self.activity(name, done, total, begun_at=self._state.pace_from if known else done)
        if self._run.stop_requested:
            raise StopRequested

    def rewind(self, epochs: int) -> None:
        """Forget what is on record of steps and epochs behind the last complete epoch."""
        for name in ("epochs.csv", "steps.csv"):
            path = self._run.folder / name
            if not path.is_file():
                continue
            text = path.read_text()
            # A line that was cut short belongs to an epoch that was not complete.
            header, *lines = text[: text.rfind("\n") + 1].splitlines(keepends=True) or [""]
            kept = [line for line in lines if int(line.partition(",")[0]) <= epochs]
            write_text(path, "".join((header, *kept)))

    def left_out(self, pictures: Sequence[LeftOut]) -> None:
        """Put on record, and into the log, which pictures could not be read."""
        for entry in pictures:
            self.log(f"Left out {entry.path}: {entry.reason}")
        if pictures:
            write_rows(self._run.folder / "left_out.csv", LeftOut, pictures)

    def step(self, row: Mapping[str, float]) -> None:
        """Append a line to `steps.csv`."""
        self._append("steps.csv", row)
        for tracker in self._trackers:
            tracker.step(row)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Append a line to `epochs.csv`; steps and epochs are on disk when this returns."""
        row = {**row, "memory": self._memory()}
        self._append("epochs.csv", row)
        self._flush()
        for tracker in self._trackers:
            tracker.epoch(row)

    def log(self, text: str) -> None:
        """A line with the time of day; the process's output goes to `log.txt`."""
        print(time.strftime("%H:%M:%S"), text, file=sys.stdout, flush=True)

    def finish(self, *, stopped: bool, message: str) -> None:
        """The training is over and its bundle is in place."""
        self.log(message)
        self._write(RunState(status="stopped" if stopped else "finished", message=message))

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)

    def _flush(self) -> None:
        for table in self._tables.values():
            table.flush()

    def _write(self, state: RunState) -> None:
        self._flush()
        self._state = dataclasses.replace(state, heartbeat=time.time(), memory=self._memory())
        write_state(self._run.folder, self._state)

    def _append(self, name: str, row: Mapping[str, float]) -> None:
        if name not in self._tables:
            path: Path = self._run.folder / name
            self._tables[name] = path.open("a")
            if path.stat().st_size == 0:
                self._tables[name].write(",".join(row) + "\n")
        self._tables[name].write(",".join(f"{value:.9g}" for value in row.values()) + "\n")
