"""Many files: none stops the others, few are looked at ahead, nothing outlives its session."""

import dataclasses
import io
import threading
import weakref
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pneumo import radiograph
from pneumo.datasets import gallery
from pneumo.inference import batch
from pneumo.inference.batch import Answer, Batch, Question, Reading, told_apart
from pneumo.inference.predictor import Predictor
from pneumo.settings import ImageLimits

LIMITS = ImageLimits()


@pytest.fixture(scope="module")
def film(sample_root: Path) -> bytes:
    return min(sample_root.glob("test/*/*.jpeg")).read_bytes()


def about(*contents: bytes) -> list[Question]:
    """Questions about files with this content, named and keyed by number."""
    return [
        Question(name=f"{number}.jpeg", key=str(number), read=partial(bytes, it))
        for number, it in enumerate(contents)
    ]


# Questions ------------------------------------------------------------------------------


def test_files_of_one_name_are_told_apart() -> None:
    names = ["a.png", "b.png", "films.zip/a.png", "a.png", "c", "c"]
    questions = [Question(name=it, key=it, read=bytes) for it in names]
    assert [it.name for it in told_apart(questions)] == [
        *("a (1).png", "b.png", "films.zip/a.png", "a (2).png", "c (1)", "c (2)")
    ]


def test_a_zip_is_the_films_in_it(predictor: Predictor, film: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as writer:
        writer.writestr("NORMAL/a.jpeg", film)
        writer.writestr("notes.txt", b"not a film")
    questions = batch.about_archive(packed, name="films.zip", key="7", limits=LIMITS, within="z/")
    assert [(it.name, it.key) for it in questions] == [("z/a.jpeg", "7/0"), ("z/notes.txt", "7/1")]
    good, bad = batch.answers(predictor, questions, limits=LIMITS)
    assert good.prediction is not None
    assert good.prediction.logit == predictor.predict(radiograph.read(film)).logit
    assert bad.prediction is None and "must be a JPEG, PNG or DICOM" in bad.error


def test_a_damaged_zip_is_a_file_that_cannot_be_read(predictor: Predictor) -> None:
    damaged = io.BytesIO(b"PK\x03\x04 and no more")
    questions = batch.about_archive(damaged, name="films.zip", key="7", limits=LIMITS)
    (answer,) = batch.answers(predictor, questions, limits=LIMITS)
    assert answer.question.name == "films.zip"
    assert answer.error.startswith("A ZIP must be complete.")


# Answers --------------------------------------------------------------------------------


def test_unreadable_files_do_not_stop_the_others(
    predictor: Predictor, sample_root: Path, tmp_path: Path
) -> None:
    films = sorted(sample_root.glob("test/*/*.jpeg"))[:3]
    (tmp_path / "empty.jpeg").touch()
    (tmp_path / "cut.jpeg").write_bytes(films[0].read_bytes()[:3000])
    paths = [
        *(films[0], tmp_path / "empty.jpeg", films[1], tmp_path / "cut.jpeg"),
        *(tmp_path / "missing.png", tmp_path, films[2]),
    ]
    questions = [batch.about_file(path, limits=LIMITS) for path in paths]
    answers = list(batch.answers(predictor, questions, limits=LIMITS))
    assert [answer.question.name for answer in answers] == [str(path) for path in paths]
    assert [answer.prediction is not None for answer in answers] == [1, 0, 1, 0, 0, 0, 1]
    assert [bool(answer.error) for answer in answers] == [0, 1, 0, 1, 1, 1, 0]
    assert answers[4].error == "The file cannot be opened: No such file or directory."
    assert answers[5].error == "The file cannot be opened: Is a directory."


def test_a_file_that_is_too_large_is_not_read(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.jpeg").write_bytes(b"x" * 101)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    limits = ImageLimits(max_bytes=100)
    question = batch.about_file(tmp_path / "large.jpeg", limits=limits)
    answer = batch.answer(predictor, question, limits=limits)
    assert "at most 100 bytes. Received: 101 bytes." in answer.error


def test_a_thumbnail_only_where_one_is_asked_for(predictor: Predictor, film: bytes) -> None:
    (question,) = about(film)
    assert batch.answer(predictor, question, limits=LIMITS).thumbnail == b""
    small = batch.answer(predictor, question, limits=LIMITS, thumbnail=True).thumbnail
    pixels = radiograph.read(small).pixels
    expected = gallery.letterbox(radiograph.read(film).pixels, width=96, height=96)
    assert pixels.shape == (96, 96)
    assert np.abs(pixels.astype(int) - expected).mean() < 5, "but for what JPEG loses"


def test_few_questions_are_looked_at_ahead(predictor: Predictor) -> None:
    looked_at = 0

    def endless() -> Iterator[Question]:
        nonlocal looked_at
        while True:
            looked_at += 1
            yield Question(name="x", key=str(looked_at), read=lambda: b"no film")

    answers = batch.answers(predictor, endless(), limits=LIMITS)
    for taken in range(1, 30):
        next(answers)
        assert looked_at <= taken + 2 * predictor.workers
    answers.close()  # type: ignore[attr-defined]


def test_an_answer_is_read_at_a_point(predictor: Predictor, film: bytes) -> None:
    point = predictor.bundle.card.operating_points["high-sensitivity"]
    reading = Reading(name="high-sensitivity", point=point, prevalence=0.1)
    good, bad = batch.answers(predictor, about(film, b"no film"), limits=LIMITS)
    assert good.prediction is not None
    read = reading.of(good).prediction
    assert read is not None
    assert (read.threshold, read.prevalence) == (pytest.approx(1 / 82), 0.1)
    assert read.logit == good.prediction.logit
    assert reading.of(bad) == bad


# In the background ----------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


Start = Callable[..., Batch]


@pytest.fixture
def start(predictor: Predictor, pool: ThreadPoolExecutor) -> Start:
    def start_(questions: list[Question], **options: object) -> Batch:
        return Batch(predictor, questions, limits=LIMITS, pool=pool, **options)  # type: ignore[arg-type]

    return start_


def test_a_batch_answers_everything(start: Start, predictor: Predictor, film: bytes) -> None:
    running = start(about(film, b"no film", film, b"", film, film, film, b"no film"))
    assert running.wait(60)
    progress = running.progress
    assert (progress.done, progress.total, progress.ended) == (8, 8, True)
    assert progress.seconds_left is None
    assert [answer.question.key for answer in running.answers] == list("01234567")
    assert [answer.prediction is not None for answer in running.answers] == [1, 0, 1, 0, 1, 1, 1, 0]
    assert [bool(answer.thumbnail) for answer in running.answers] == [1, 0, 1, 0, 1, 1, 1, 0]


def test_an_empty_batch_has_ended(start: Start) -> None:
    assert start([]).progress.ended


class Gate:
    """A file whose content comes when somebody lets it."""

    def __init__(self) -> None:
        self.asked, self.open = threading.Semaphore(0), threading.Semaphore(0)

    def read(self) -> bytes:
        self.asked.release()
        assert self.open.acquire(timeout=60)
        return b"no film"


def held_back(gate: Gate, count: int) -> list[Question]:
    return [Question(name="x", key=str(number), read=gate.read) for number in range(count)]


def let_pass(gate: Gate, count: int) -> None:
    """Let files be read, and wait until as many others have been asked for."""
    for _ in range(count):
        gate.open.release()
        assert gate.asked.acquire(timeout=60)


def test_how_far_a_batch_is_and_for_how_long_yet(
    start: Start, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "workers", 1)
    seconds = 100.0
    monkeypatch.setattr(batch.time, "monotonic", lambda: seconds)
    gate = Gate()
    running = start(held_back(gate, 20))
    assert gate.asked.acquire(timeout=60)
    let_pass(gate, 4)
    assert running.progress.seconds_left is None, "too few to go by"
    let_pass(gate, 1)
    seconds = 110.0  # five in ten seconds, fifteen to go
    progress = running.progress
    assert (progress.done, progress.total, progress.ended) == (5, 20, False)
    assert progress.seconds_left == pytest.approx(30)
    assert [answer.question.key for answer in running.answers] == list("01234")
    running.cancel()
    gate.open.release()


def test_a_cancelled_batch_asks_nothing_further(
    start: Start, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "workers", 1)
    gate = Gate()
    running = start(held_back(gate, 20))
    assert gate.asked.acquire(timeout=60)
    let_pass(gate, 3)
    running.cancel()
    gate.open.release()
    pool.shutdown(wait=True)
    assert not gate.asked.acquire(blocking=False)
    assert (running.progress.done, running.progress.ended) == (3, True)
    assert len(running.answers) == 3


def test_a_batch_that_nobody_keeps_ends(
    start: Start, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "workers", 1)
    gate = Gate()
    running = start(held_back(gate, 20))
    kept = weakref.ref(running)
    assert gate.asked.acquire(timeout=60)
    del running
    assert kept() is None, "not even while it waits for a file"
    gate.open.release(20)
    pool.shutdown(wait=True)
    assert not gate.asked.acquire(blocking=False), "no other file is asked for"


def test_what_is_known_is_not_asked_again(start: Start, film: bytes) -> None:
    first = start(about(film, b"no film"))
    assert first.wait(60)
    known = {it.question.key: it for it in first.answers}
    refused = Question(name="x", key="0", read=lambda: pytest.fail("asked again"))
    second = start([refused, *about(b"", b"", film)[2:]], known=known)
    assert second.wait(60)
    assert second.answers[0] is first.answers[0]
    assert [it.question.key for it in second.answers] == ["0", "2"]


def test_answers_in_the_order_in_which_they_come(start: Start, film: bytes) -> None:
    first, slow, *others = about(film, film, film, film)
    quick = start([first, *others])
    assert quick.wait(60)
    running = start([slow, *others], known={it.question.key: it for it in quick.answers})
    assert running.wait(60)
    assert [it.question.key for it in running.answers] == ["1", "2", "3"]
    assert [it.question.key for it in running.arrivals] == ["2", "3", "1"]


def test_a_mistake_of_ours_is_not_hidden(start: Start) -> None:
    def fail() -> bytes:
        raise ZeroDivisionError

    running = start([Question(name="x", key="0", read=fail)])
    assert running.wait(60)
    with pytest.raises(ZeroDivisionError):
        _ = running.progress
    assert running.answers == []


def test_batches_take_turns(
    start: Start, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two batches in one pool the later does not wait for the earlier to end."""
    monkeypatch.setattr(Predictor, "workers", 1)
    order: list[str] = []

    def told(name: str) -> Callable[[], bytes]:
        def read() -> bytes:
            order.append(name)
            return b"no film"

        return read

    gate = Gate()
    with ThreadPoolExecutor(1) as alone:
        alone.submit(gate.read)
        many, few = (
            Batch(
                predictor,
                [Question(name=name, key=str(it), read=told(name)) for it in range(count)],
                limits=LIMITS,
                pool=alone,
            )
            for name, count in (("many", 9), ("few", 3))
        )
        gate.open.release()
        assert many.wait(60) and few.wait(60)
    assert order[:6] == ["many", "few"] * 3


def test_an_answer_is_small(predictor: Predictor, film: bytes) -> None:
    """Five thousand of them stay in memory: no film among their fields."""
    (question,) = about(film)
    answer: Answer = batch.answer(predictor, question, limits=LIMITS, thumbnail=True)
    assert answer.prediction is not None
    arrays = [
        value
        for value in dataclasses.asdict(answer.prediction).values()
        if isinstance(value, np.ndarray)
    ]
    assert sum(array.nbytes for array in arrays) + len(answer.thumbnail) < 10_000
    assert all(array.base is None or array.base.nbytes < 10_000 for array in arrays)
