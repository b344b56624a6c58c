"""Something long that goes on while pages come and go."""

import threading
from collections.abc import Callable

import pytest

from pages.parts.work import Work
from pneumo.inference.opinions import Cancelled

Report, Asked = Callable[[int, int], None], Callable[[], bool]


def test_progress_while_it_goes_on_and_after() -> None:
    reported, go_on = threading.Event(), threading.Event()

    def task(report: Report, cancelled: Asked) -> None:
        report(3, 10)
        report(4, 10)
        reported.set()
        go_on.wait(30)
        report(10, 10)

    work = Work(task)
    assert reported.wait(30)
    progress = work.progress
    assert (progress.done, progress.total, progress.ended) == (4, 10, False)
    assert progress.seconds_left is not None
    assert progress.seconds_left > 0
    go_on.set()
    work.wait(30)
    progress = work.progress
    assert (progress.done, progress.seconds_left, progress.ended) == (10, None, True)
    assert work.problem == ""


def test_a_cancelled_work_has_no_problem() -> None:
    def task(report: Report, cancelled: Asked) -> None:
        while not cancelled():
            report(1, 2)
        raise Cancelled

    work = Work(task)
    work.cancel()
    work.wait(30)
    assert work.progress.ended
    assert (work.cancelled, work.problem) == (True, "")


def test_what_cannot_be_written_is_said() -> None:
    def task(report: Report, cancelled: Asked) -> None:
        raise OSError("No space left")

    work = Work(task)
    work.wait(30)
    assert (work.cancelled, work.problem) == (False, "No space left")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_goes_to_the_log_and_is_said() -> None:
    def task(report: Report, cancelled: Asked) -> None:
        raise ZeroDivisionError

    work = Work(task)
    work.wait(30)
    assert "log" in work.problem
