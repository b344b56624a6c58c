"""Files to be answered, and what became of each."""

import dataclasses
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pneumo import radiograph
from pneumo.datasets import gallery
from pneumo.evaluation.operating_point import OperatingPoint
from pneumo.inference import archive
from pneumo.inference.archive import UnreadableArchive
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits

THUMBNAIL = 96  # pixels a side


@dataclass(frozen=True, kw_only=True)
class Question:
    """A file that somebody asks about.

    Attributes:
        name: for people.
        key: tells it from every other file of the session.
        read: its content, fetched when it is needed.
        synthetic: no patient's film.
    """

    name: str
    key: str
    read: Callable[[], bytes]
    synthetic: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says of a file, or the reason why it says nothing.

    Attributes:
        prediction: None where the file could not be read.
        error: "" where it could.
        thumbnail: the film as a small JPEG file, where one was asked for.
    """

    question: Question
    prediction: Prediction | None
    error: str = ""
    thumbnail: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """At which operating point, and for which patients, answers are read.

    Attributes:
        name: of the operating point.
        prevalence: the share of PNEUMONIA among the patients, between 0 and 1.
    """

    name: str
    point: OperatingPoint
    prevalence: float = 0.5

    def of(self, answer: Answer) -> Answer:
        """The same answer, read so."""
        if answer.prediction is None:
            return answer
        prediction = answer.prediction.at(self.point, prevalence=self.prevalence)
        return dataclasses.replace(answer, prediction=prediction)


# Questions ------------------------------------------------------------------------------


def about_file(path: Path, *, limits: ImageLimits) -> Question:
    """A file on this machine; one that is too large is refused before it is read."""

    def read() -> bytes:
        if path.stat().st_size > limits.max_bytes:
            radiograph.read_file(path, limits=limits)  # says why not
        return path.read_bytes()

    return Question(name=str(path), key=str(path), read=read)


def about_archive(
    file: BinaryIO, *, name: str, key: str, limits: ImageLimits, within: str = ""
) -> list[Question]:
    """The files in a ZIP; a ZIP that cannot be read is a file that cannot.

    Args:
        file: open for as long as the questions are asked.
        name, key: of the ZIP.
        within: what goes before the names of its files.
    """
    try:
        entries = archive.entries(file, limits=limits)
    except UnreadableArchive as unreadable:
        return [Question(name=name, key=key, read=partial(_refuse, str(unreadable)))]
    return [
        Question(name=f"{within}{entry.name}", key=f"{key}/{number}", read=entry.read)
        for number, entry in enumerate(entries)
    ]


def _refuse(reason: str) -> bytes:
    raise UnreadableArchive(reason)


def told_apart(questions: Iterable[Question]) -> list[Question]:
    """The same questions, files of the same name numbered."""
    questions = list(questions)
    names = Counter(it.name for it in questions)
    numbers: Counter[str] = Counter()

    def numbered(question: Question) -> Question:
        if names[question.name] == 1:
            return question
        numbers[question.name] += 1
        ending = PurePosixPath(question.name).suffix
        name = f"{question.name.removesuffix(ending)} ({numbers[question.name]}){ending}"
        return dataclasses.replace(question, name=name)

    return [numbered(it) for it in questions]


# Answers --------------------------------------------------------------------------------


def answer(
    predictor: Predictor,
    question: Question,
    *,
    limits: ImageLimits,
    thumbnail: bool = False,
    of_many: bool = False,
) -> Answer:
    """What the model says of one file.

    Args:
        thumbnail: whether the answer brings one.
        of_many: other threads answer meanwhile, see `Predictor.predict`.
    """
    size = predictor.bundle.card.image_size
    try:
        film = radiograph.read(question.read(), limits=limits, model_size=size)
    except (UnreadableRadiograph, UnreadableArchive) as unreadable:
        return Answer(question=question, prediction=None, error=str(unreadable))
    except OSError as error:
        reason = f"The file cannot be opened: {error.strerror}."
        return Answer(question=question, prediction=None, error=reason)
    small = b""
    if thumbnail:
        pixels = gallery.letterbox(film.pixels, width=THUMBNAIL, height=THUMBNAIL)
        small = gallery.to_jpeg(pixels, quality=80)
    prediction = predictor.predict(film, of_many=of_many)
    return Answer(question=question, prediction=prediction, thumbnail=small)


def answers(
    predictor: Predictor, questions: Iterable[Question], *, limits: ImageLimits
) -> Iterator[Answer]:
    """Answers in the order of the questions, as they come, on all cores.

    However many questions there are, only a few are looked at ahead of the answers.
    """
    asked: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(predictor.workers) as pool:
        for question in questions:
            asked.append(pool.submit(answer, predictor, question, limits=limits, of_many=True))
            if len(asked) > 2 * predictor.workers:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a batch is.

    Attributes:
        seconds_left: None where that is not known yet, or is over.
        ended: all are answered, or it was cancelled.
    """

    done: int
    total: int
    seconds_left: float | None
    ended: bool


class Batch:
    """Questions that are answered in the background, while a page looks in now and then.

    A batch has no thread of its own. It asks the pool that all batches share for a few turns,
    answers one file in each and asks for the next, so that all take turns. The pool knows it by a
    weak reference only: a batch that nobody keeps any more, because its session has ended, is
    gone, and its turns come to nothing.

    Args:
        predictor: whom to ask.
        questions: about what.
        limits: what each file must respect.
        pool: whose threads do it, `predictor.workers` at the most for this batch.
        known: answers of the same predictor by key of their question; these are not asked again.
    """

    def __init__(
        self,
        predictor: Predictor,
        questions: Iterable[Question],
        *,
        limits: ImageLimits,
        pool: Executor,
        known: Mapping[str, Answer] | None = None,
    ) -> None:
        self.predictor = predictor
        self.questions = tuple(questions)
        known = known or {}
        self._answers = {it.key: known[it.key] for it in self.questions if it.key in known}
        self._open = iter([it for it in self.questions if it.key not in known])
        self._limits = limits
        self._pool = pool
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._known = len(self._answers)
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        if self._known == len(self.questions):
            self._ended.set()
        for _ in range(predictor.workers):
            self._ask()

    @property
    def progress(self) -> Progress:
        """How far it is this moment.

        Raises:
            BaseException: whatever went wrong in a thread and no file is to blame for.
        """
        if self._failure is not None:
            raise self._failure
        with self._lock:
            done, ended = len(self._answers), self._ended.is_set()
        answered, left = done - self._known, len(self.questions) - done
        pace = (time.monotonic() - self._started) / answered if answered > 4 else None
        return Progress(
            done=done,
            total=len(self.questions),
            seconds_left=None if ended or pace is None else pace * left,
            ended=ended,
        )

    @property
    def answers(self) -> list[Answer]:
        """The answers so far, in the order of the questions."""
        with self._lock:
            return [self._answers[it.key] for it in self.questions if it.key in self._answers]

    @property
    def arrivals(self) -> list[Answer]:
        """The answers so far, in the order in which they came, after those that were known."""
        with self._lock:
            return list(self._answers.values())

    def wait(self, seconds: float) -> bool:
        """Wait for the end, so long at most. Returns whether it has ended."""
        return self._ended.wait(seconds)

    def cancel(self) -> None:
        """Ask nothing further; what was answered stays."""
        with self._lock:
            self._ended.set()

    def _ask(self) -> None:
        """Have the pool answer another question when its turn comes."""
        turn = self._pool.submit(
            _answer_next, weakref.ref(self), self.predictor, limits=self._limits
        )
        turn.add_done_callback(partial(_report_failure, weakref.ref(self)))

    def _next(self) -> Question | None:
        with self._lock:
            return None if self._ended.is_set() else next(self._open, None)

    def _take(self, answered: Answer) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._answers[answered.question.key] = answered
            if len(self._answers) == len(self.questions):
                self._ended.set()
        self._ask()

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._ended.set()


def _answer_next(batch: weakref.ref[Batch], predictor: Predictor, *, limits: ImageLimits) -> None:
    """A turn: answer a batch's next question, without keeping the batch meanwhile."""
    asking = batch()
    question = None if asking is None else asking._next()
    del asking
    if question is None:
        return
    answered = answer(predictor, question, limits=limits, thumbnail=True, of_many=True)
    asking = batch()
    if asking is not None:
        asking._take(answered)


def _report_failure(batch: weakref.ref[Batch], turn: Future[None]) -> None:
    asking, failure = batch(), turn.exception()
    if asking is not None and failure is not None:
        asking._fail(failure)
