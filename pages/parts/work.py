"""Something long that goes on while pages come and go: its progress, its end, its cancelling."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

import streamlit as st

from pages.parts.frame import duration, escape
from pneumo.datasets.film_store import Cancelled
from pneumo.inference.batch import Progress
from pneumo.inference.bundle import BundleError


class Report(Protocol):
    """Told what is done of how much; a work of several stages also says of what, in which unit."""

    def __call__(self, done: int, total: int, *, doing: str = "", unit: str = "") -> None:
        """Take note of it."""


Task = Callable[[Report, Callable[[], bool]], object]
"""Is given two functions: to report what is done of how much, and to ask whether it was cancelled,
upon which it raises `Cancelled`."""

GRACE = 0.4
"""Seconds that a page waits for the end: what is short needs no progress."""


class Work:
    """A task in a thread of its own, which goes on when nobody looks.

    Args:
        task: what to do.

    Attributes:
        cancelled: whether somebody asked for an end.
        problem: what went wrong, once it is over; "" when nothing did.
        stage: what it is doing and the unit of that; "" where it did not say.
        result: what the task returned, once it is over.
    """

    def __init__(self, task: Task) -> None:
        self.cancelled = False
        self.problem = ""
        self.stage = "", ""
        self.result: object = None
        # Moment and amount of the first report of a stage.
        self._begun: tuple[float, int] | None = None
        self._done, self._total = 0, 0
        self._thread = threading.Thread(target=self._run, args=(task,), daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """How far it is; of nothing before the first report."""
        ended = not self._thread.is_alive()
        left = None
        if self._begun is not None and not ended:
            moment, before = self._begun
            if self._done > before:
                pace = (time.monotonic() - moment) / (self._done - before)
                left = pace * (self._total - self._done)
        return Progress(done=self._done, total=self._total, seconds_left=left, ended=ended)

    def cancel(self) -> None:
        """Ask for an end; it comes soon."""
        self.cancelled = True

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long at most."""
        self._thread.join(seconds)

    def _run(self, task: Task) -> None:
        self.problem = "It ended unexpectedly. The server's log says why."
        try:
            self.result = task(self._report, lambda: self.cancelled)
        except Cancelled:
            pass
        except (BundleError, OSError, ValueError) as error:
            self.problem = str(error)
            return
        self.problem = ""

    def _report(self, done: int, total: int, *, doing: str = "", unit: str = "") -> None:
        self._done, self._total = done, total
        if self._begun is None or self.stage != (doing, unit):
            self._begun = time.monotonic(), done
        self.stage = doing, unit


def begin(name: str, task: Task) -> None:
    """Begin a task, unless one of this name is under way for anybody."""
    if not _is_under_way(name):
        _works()[name] = Work(task)
        _works()[name].wait(GRACE)


def last(name: str) -> Work | None:
    """The last work of this name that was begun on this server."""
    return _works().get(name)


def follow(name: str, *, doing: str, unit: str, kept: bool = True) -> bool:
    """How far the work of this name is, and a button that ends it.

    The page is drawn anew when it is over. What went wrong with the last is said.

    Args:
        doing: what is being done, for people, where the work does not say so itself.
        unit: of the progress, likewise.
        kept: whether what is done when somebody ends it need not be done again.

    Returns: whether it is under way.
    """
    work = last(name)
    if work is None:
        return False
    if work.progress.ended:
        if work.problem:
            st.error(escape(work.problem), icon=":material/error:")
        return False
    st.fragment(_follow, run_every=0.5)(work, doing=doing, unit=unit, kept=kept)
    return True


def _follow(work: Work, *, doing: str, unit: str, kept: bool) -> None:
    progress = work.progress
    if progress.ended:
        st.rerun()
    stage, unit_of_stage = work.stage
    text, unit = stage or doing, unit_of_stage or unit
    if progress.total:
        text += f": {progress.done:,} of {progress.total:,} {unit}"
    if progress.seconds_left is not None:
        text += f", about {duration(progress.seconds_left)} left"
    with st.container(horizontal=True, vertical_alignment="center", key="work"):
        st.progress(progress.done / max(progress.total, 1), text=text, width="stretch")
        st.button(
            "Cancel",
            icon=":material/stop_circle:",
            key="cancel-work",
            on_click=work.cancel,
            disabled=work.cancelled,
            help="What is done is kept." if kept else None,
        )


def _is_under_way(name: str) -> bool:
    work = last(name)
    return work is not None and not work.progress.ended


@st.cache_resource(show_spinner=False)
def _works() -> dict[str, Work]:
    """What was begun on this server, for all sessions."""
    return {}
