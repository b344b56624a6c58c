"""Processes that outlive whoever started them."""

import os
import time
from pathlib import Path

import psutil
import pytest

from pneumo import background
from pneumo.background import ProcessIdentity


def test_a_started_process_lives_in_a_session_of_its_own_and_leaves_no_corpse(
    tmp_path: Path,
) -> None:
    # `python -m timeit FOLDER` would measure its argument as a statement: here, it never ends.
    process = background.start(
        "timeit", Path("while True: pass"), log=tmp_path / "log.txt", environment={}
    )
    running = process.find()
    assert running is not None
    assert os.getsid(process.pid) == process.pid
    running.kill()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(process.pid)
    assert process.find() is None


def test_what_it_prints_is_added_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    process = background.start("this", tmp_path, log=log)
    deadline = time.monotonic() + 10
    while process.find() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.read_text().startswith("before\nThe Zen of Python")


def test_an_identity_survives_on_disk(tmp_path: Path) -> None:
    identity = ProcessIdentity(pid=os.getpid(), created=psutil.Process().create_time())
    identity.save(tmp_path / "process.json")
    assert ProcessIdentity.load(tmp_path / "process.json") == identity
    assert ProcessIdentity.load(tmp_path / "nobody.json") is None
    assert identity.find() == psutil.Process()


def test_another_process_under_the_same_id_is_another() -> None:
    created = psutil.Process().create_time() - 60
    another = ProcessIdentity(pid=os.getpid(), created=created)
    assert another.find() is None
    another.end()  # or else this test would not go on


def test_a_process_is_ended(tmp_path: Path) -> None:
    process = background.start("timeit", Path("while True: pass"), log=tmp_path / "log.txt")
    assert process.find() is not None
    process.end()
    assert process.find() is None
    process.end()


@pytest.mark.parametrize(("seconds", "ended"), [(0.0, False), (29.0, False), (31.0, True)])
def test_what_was_to_be_started_and_never_was_has_ended(
    tmp_path: Path, seconds: float, ended: bool
) -> None:
    announced = time.time() - seconds
    assert background.has_ended(tmp_path / "process.json", announced=announced) == ended


def test_a_process_that_is_noted_decides(tmp_path: Path) -> None:
    """However long ago it was decided to start it."""
    path = tmp_path / "process.json"
    created = psutil.Process().create_time()
    ProcessIdentity(pid=os.getpid(), created=created).save(path)
    assert not background.has_ended(path, announced=0.0)
    ProcessIdentity(pid=os.getpid(), created=created - 60).save(path)
    assert background.has_ended(path, announced=time.time())
