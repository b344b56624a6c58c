"""Something long that goes on while pages come and go."""

import threading
from collections.abc import Callable

import pytest

from pages.parts.work import Report, Work
from pneumo.datasets.film_store import Cancelled

Asked = Callable[[], bool]


def test_progress_while_it_goes_on_and_after() -> None:
    reported, go_on = threading.Event(), threading.Event()

    def task(report: Report, cancelled: Asked) -> str:
        report(3, 10)
        report(4, 10)
        reported.set()
        go_on.wait(30)
        report(10, 10)
        return "the answer"

    work = Work(task)
    assert work.result is None
    assert reported.wait(30)
    progress = work.progress
    assert (progress.done, progress.total, progress.ended) == (4, 10, False)
    assert progress.seconds_left is not None
    assert progress.seconds_left > 0
    go_on.set()
    work.wait(30)
    progress = work.progress
    assert (progress.done, progress.seconds_left, progress.ended) == (10, None, True)
    assert (work.problem, work.result) == ("", "the answer")


def test_each_stage_has_its_own_pace() -> None:
    reported, go_on = threading.Event(), threading.Event()

    def task(report: Report, cancelled: Asked) -> None:
        report(0, 10, doing="Reading", unit="films")
        report(9, 10, doing="Reading", unit="films")
        report(1, 3, doing="Judging", unit="steps")
        reported.set()
        go_on.wait(30)

    work = Work(task)
    assert reported.wait(30)
    assert work.stage == ("Judging", "steps")
    assert (work.progress.done, work.progress.seconds_left) == (1, None)
    go_on.set()
    work.wait(30)


def test_a_rule_that_was_broken_is_said() -> None:
    def task(report: Report, cancelled: Asked) -> None:
        raise ValueError("An audit needs films")

    work = Work(task)
    work.wait(30)
    assert work.problem == "An audit needs films"


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
