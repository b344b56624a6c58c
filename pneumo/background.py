"""Processes that do long work in the background and outlive whoever started them."""

import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from pneumo.settings import REPOSITORY, write_text

START_SECONDS = 30.0
"""How long something that is to be started may be without a process before it has failed."""

END_SECONDS = 2.0
"""How long to wait for the end of a process that has been killed."""

CLOCK_TOLERANCE = 2.0
"""Seconds by which a corrected clock may move the time at which a process was created."""


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """A process, for good: a process id alone is given to another one later.

    Attributes:
        pid: process id.
        created: when the process was created, in seconds since the epoch.
    """

    pid: int
    created: float

    def save(self, path: Path) -> None:
        """Note who the process is, as JSON."""
        write_text(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Who `save` noted; None where nobody did."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None

    def find(self) -> psutil.Process | None:
        """The process, unless it has ended."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > CLOCK_TOLERANCE:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None

    def end(self) -> None:
        """End the process at once, unless it has ended."""
        process = self.find()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            psutil.wait_procs([process], timeout=END_SECONDS)


def give_back_memory() -> None:
    """Return to the system what this process has freed; glibc would keep it for later."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def has_ended(process_file: Path, *, announced: float) -> bool:
    """Whether the process noted in a file is no more, or was never started.

    Args:
        process_file: written by `ProcessIdentity.save` once the process runs.
        announced: when it was decided to start it, in seconds since the epoch.
    """
    process = ProcessIdentity.load(process_file)
    if process is None:
        return time.time() - announced > START_SECONDS
    return process.find() is None


def start(
    module: str, folder: Path, *, log: Path, environment: Mapping[str, str] | None = None
) -> ProcessIdentity:
    """Run `python -m module folder` in a session of its own.

    Neither Ctrl-C in the server's terminal nor the end of the server reaches it.

    Args:
        module: of this repository.
        folder: its only argument.
        log: takes what it prints, at the end of what is there.
        environment: variables besides those of this process.

    Raises:
        OSError: the process cannot be started, or the log not be written.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    identity = ProcessIdentity(pid=process.pid, created=psutil.Process(process.pid).create_time())
    # Takes note of its end, however late, so that no dead process stays in the system's table.
    threading.Thread(target=process.wait, daemon=True).start()
    return identity
