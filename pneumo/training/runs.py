"""A training on disk. Whoever reads a run folder needs nothing else.

recipe.json     what decides the training
data.json       which data set, its fingerprint and counts
images.csv      every picture with its class, patient and split (train or validation)
tracking.json   which other tools are told of it
process.json    process id and its creation time, written by whoever started it
state.json      what the training is doing, written by its process while it runs
steps.csv       one line a step, appended
epochs.csv      one line an epoch, appended
left_out.csv    pictures that could not be read, with the reason
log.txt         the process's own words
stop            exists once somebody asked for a graceful stop
checkpoint.npz  where to go on from, after each epoch, until the training has finished
validation.csv  what the finished model says of each validation picture
bundle/         the finished model
"""

import contextlib
import csv
import dataclasses
import functools
import io
import itertools
import json
import math
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from pneumo import background
from pneumo.evaluation import comparison
from pneumo.evaluation.comparison import Comparison
from pneumo.settings import Settings, write_text, written_whole
from pneumo.training import recipe as recipes
from pneumo.training.recipe import Recipe

Status = Literal[
    "queued",
    "starting",
    "running",
    "stopping",
    "stopped",
    "finished",
    "failed",
    "interrupted",
    "cancelled",
]
Row = TypeVar("Row")

PACE_SECONDS = 1.5
"""How long an activity runs before its pace says when it ends."""

ACTIVE: frozenset[Status] = frozenset({"starting", "running", "stopping"})
"""A process works on it."""
PENDING: frozenset[Status] = ACTIVE | {"queued"}
"""Its end is yet to come."""
CONCLUDED: frozenset[Status] = frozenset({"stopped", "finished"})
"""It ended as it should; a bundle of any other run is of an earlier stop."""
RESUMABLE: frozenset[Status] = frozenset({"stopped", "failed", "interrupted", "cancelled"})
"""It ended before its time and can go on from its last complete epoch."""


class UnknownRun(LookupError):
    """No run has this name; the message lists those there are."""


@dataclass(frozen=True, kw_only=True, slots=True)  # there may be very many
class TrainingImage:
    """A line of `images.csv`.

    Attributes:
        path: absolute.
        label: "NORMAL" or "PNEUMONIA".
        subtype: "normal", "bacterial", "viral" or "unknown".
        split: "train" or "validation".
        digest: of the file's content, hexadecimal.
    """

    path: str
    label: str
    subtype: str
    patient: str
    split: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A line of `left_out.csv`: a picture that could not be read."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ValidationAnswer:
    """A line of `validation.csv`.

    Attributes:
        digest: of the file's content: the same picture in another run has the same.
        label: "NORMAL" or "PNEUMONIA".
        logit: of the finished model.
        probability: of PNEUMONIA, calibrated.
    """

    path: str
    digest: str
    label: str
    logit: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a model card says of the data that a run learned from.

    Attributes:
        name: of the data set.
        synthetic: made by software, not by an X-ray machine.
        population: whose films they are, to follow "trained on".
        credit: who is to be named, and the licence.
        fingerprint: hash over every image's content, label and split.
        counts: images by split and label, such as {"train": {"NORMAL": 3}}.
        resplit: which new split was in use, see `splits.apply_split`; "" for the data set's own.
    """

    name: str
    synthetic: bool
    population: str
    credit: str
    fingerprint: str
    counts: dict[str, dict[str, int]]
    resplit: str = ""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What the training process last said of itself.

    Attributes:
        activity: what it is doing, for people, such as "Computing features".
        done: units of the activity that are complete, of `total`; 0 of 0 where unknown.
        pace_from: units that were complete when its pace began to count.
        activity_began: when it began with that, in seconds since the epoch.
        heartbeat: when it said so, in seconds since the epoch.
        images_per_second: that go through the training, 0 where it does not train.
        memory: that the process holds, in bytes.
        message: the outcome, or why it failed.
        failure: a short code for a failure that a page has a remedy for, else "".
    """

    status: Status
    activity: str = ""
    done: int = 0
    total: int = 0
    pace_from: int = 0
    activity_began: float = 0.0
    heartbeat: float = 0.0
    images_per_second: float = 0.0
    memory: int = 0
    message: str = ""
    failure: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Until the activity is complete, at the pace so far; None while there is no pace."""
        elapsed = self.heartbeat - self.activity_began
        if not self.pace_from < self.done <= self.total or elapsed < PACE_SECONDS:
            return None
        return elapsed * (self.total - self.done) / (self.done - self.pace_from)


@dataclass(frozen=True)
class Run:
    """A run folder, read afresh at each question."""

    folder: Path

    @property
    def name(self) -> str:
        """Unique among the runs of this home; sorts by time."""
        return self.folder.name

    @property
    def bundle(self) -> Path:
        """Where the finished model is, or will be."""
        return self.folder / "bundle"

    @property
    def checkpoint(self) -> Path:
        """Where to go on from; there from the first complete epoch to the end."""
        return self.folder / "checkpoint.npz"

    @property
    def process_file(self) -> Path:
        """Who works on it."""
        return self.folder / "process.json"

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was started.

        Raises:
            InvalidRecipe: it is damaged, or of a release that wrote recipes otherwise.
        """
        return recipes.read(self.folder / "recipe.json")

    @property
    def data(self) -> TrainingData:
        """The data set that it learns from."""
        return TrainingData(**json.loads((self.folder / "data.json").read_text()))

    @property
    def state(self) -> RunState:
        """The process's last words, corrected by whether it is alive and asked to stop.

        Words that cannot be read are those of a run that failed.

        Raises:
            FileNotFoundError: the run has been deleted.
        """
        state = self._written_state()
        if state.status not in ACTIVE:
            return state
        if background.has_ended(self.process_file, announced=state.heartbeat):
            # Its last word may have come between the two looks.
            state = self._written_state()
            if state.status not in ACTIVE:
                return state
            message = "The training process ended without a word. Its log may say why."
            return dataclasses.replace(state, status="interrupted", message=message)
        if self.stop_requested:
            return dataclasses.replace(state, status="stopping")
        return state

    def _written_state(self) -> RunState:
        path = self.folder / "state.json"
        status = path.stat()
        return _read_state(path, status.st_ino, status.st_mtime_ns)

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked for a graceful stop."""
        return (self.folder / "stop").exists()

    def request_stop(self) -> None:
        """Ask the training to end after the step at hand and to keep its best epoch so far."""
        (self.folder / "stop").touch()

    def announce(self, status: Status, *, message: str = "") -> None:
        """Say what becomes of the run, for as long as no process speaks for it."""
        self.process_file.unlink(missing_ok=True)
        (self.folder / "stop").unlink(missing_ok=True)
        write_state(self.folder, RunState(status=status, heartbeat=time.time(), message=message))

    def images(self) -> list[TrainingImage]:
        """Every picture of the training and validation splits."""
        return _read_rows(self.folder / "images.csv", TrainingImage)

    def left_out(self) -> list[LeftOut]:
        """The pictures that could not be read."""
        return _read_rows(self.folder / "left_out.csv", LeftOut)

    def validation_answers(self) -> list[ValidationAnswer]:
        """What the finished model says of each validation picture; empty before the end."""
        return _read_rows(self.folder / "validation.csv", ValidationAnswer)

    def epochs(self) -> list[dict[str, float]]:
        """One dict an epoch: "epoch" (from 1), "phase" (from 1), "seconds", "learning_rate",
        "images_per_second", "memory" (bytes), and "train_…" and "validation_…"."""
        columns = read_columns(self.folder / "epochs.csv")
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, map(float, row), strict=True)) for row in rows]

    def steps(self) -> dict[str, np.ndarray]:
        """Columns with a number a step: "epoch" (from 1), "step" (over all epochs, from 1),
        "loss", "learning_rate". float64, shape (steps,); no columns before the first step."""
        return read_columns(self.folder / "steps.csv")

    def log_tail(self, *, lines: int = 30) -> str:
        """The last lines of the log."""
        try:
            with (self.folder / "log.txt").open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - 500 * lines))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


# Most runs have long ended, and whoever lists them asks for all of their states.
@functools.lru_cache(maxsize=1024)
def _read_state(path: Path, inode: int, modified: int) -> RunState:
    try:
        state = RunState(**json.loads(path.read_text()))
        if state.status not in get_args(Status):
            raise ValueError(f"unknown status {state.status!r}")
    except (TypeError, ValueError) as error:  # damaged, or of another release
        message = (
            f"{path} cannot be read as the state of a run ({error}). Resume or delete the run."
        )
        return RunState(status="failed", message=message)
    return state


def score(epoch: dict[str, float], recipe: Recipe) -> float:
    """How well an epoch did by the recipe's monitor, larger is better; -inf where it has none."""
    value = epoch[recipe.monitor]
    if math.isnan(value):
        return -math.inf
    return -value if recipe.monitor == "validation_loss" else value


def best_epoch(epochs: Sequence[dict[str, float]], recipe: Recipe) -> int | None:
    """The number of the epoch that the recipe's monitor prefers, the earliest of equals."""
    if not epochs:
        return None
    return int(max(epochs, key=lambda epoch: score(epoch, recipe))["epoch"])


def create(
    settings: Settings, *, recipe: Recipe, data: TrainingData, images: Iterable[TrainingImage]
) -> Run:
    """Make the folder of a new run, ready to be queued or started."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    label = recipes.slug(recipe.name)
    settings.runs.mkdir(parents=True, exist_ok=True)
    # Under a hidden name until everything is there: nobody sees half a run.
    hidden = settings.runs / f".{stamp}-{label}-{time.time_ns()}"
    hidden.mkdir()
    write_text(hidden / "recipe.json", recipe.to_json())
    write_text(hidden / "data.json", json.dumps(dataclasses.asdict(data), indent=2))
    write_rows(hidden / "images.csv", TrainingImage, images)
    write_state(hidden, RunState(status="queued", heartbeat=time.time()))
    for copy in itertools.count(1):
        folder = settings.runs / (f"{stamp}-{label}" + (f"-{copy}" if copy > 1 else ""))
        try:
            hidden.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        else:
            return Run(folder)
    raise AssertionError("unreachable")


def compare(first: Run, second: Run) -> Comparison:
    """Two models judged on the validation images of both.

    Raises:
        ValueError: a run has not finished, or they share no such images.
    """
    answers = [run.validation_answers() for run in (first, second)]
    for run, found in zip((first, second), answers, strict=True):
        if not found:
            raise ValueError(
                f"Only runs with a model can be compared. {run.name} is {run.state.status}."
            )
    others = {answer.digest: answer for answer in answers[1]}
    pairs = [(answer, others[answer.digest]) for answer in answers[0] if answer.digest in others]
    if not pairs:
        raise ValueError(
            f"Runs are compared on validation images of both. {first.name} and {second.name} "
            "share none: train them on the same data set with the same seed."
        )
    return comparison.compare(
        np.array([one.label == "PNEUMONIA" for one, _ in pairs]),
        np.array([one.probability for one, _ in pairs]),
        np.array([other.probability for _, other in pairs]),
        # Calibrated for even odds: see `optimization.even_logit`.
        first_threshold=0.5,
        second_threshold=0.5,
    )


def delete(run: Run) -> None:
    """Remove a run with everything that it made.

    Raises:
        ValueError: a process works on it, or it waits for one.
    """
    if run.state.status in PENDING:
        raise ValueError(
            f"Only a run that has ended can be deleted. {run.name} is {run.state.status}: stop "
            "or cancel it first."
        )
    # Under a hidden name first: nobody sees half a run.
    hidden = run.folder.with_name(f".{run.name}-{time.time_ns()}")
    run.folder.rename(hidden)
    shutil.rmtree(hidden)


def write_state(folder: Path, state: RunState) -> None:
    """Replace the state that readers see.

    Raises:
        OSError: the disk is full, or the folder is gone: it is not made again.
    """
    with written_whole(folder / "state.json") as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(state)))


def all_runs(settings: Settings) -> list[Run]:
    """Every run of this home, newest first."""
    if not settings.runs.is_dir():
        return []
    folders = (path.parent for path in settings.runs.glob("[!.]*/state.json"))
    return [Run(folder) for folder in sorted(folders, reverse=True)]


def states(settings: Settings) -> dict[Run, RunState]:
    """Every run with its state, newest first, but for those that are deleted meanwhile."""
    found = {}
    for run in all_runs(settings):
        with contextlib.suppress(FileNotFoundError):
            found[run] = run.state
    return found


def active_run(settings: Settings) -> Run | None:
    """The training under way, if there is one."""
    return next((run for run, it in states(settings).items() if it.status in ACTIVE), None)


def find(settings: Settings, name: str) -> Run:
    """The run with this name; "latest" is the newest.

    Raises:
        UnknownRun: there is none.
    """
    known = all_runs(settings)
    if name == "latest" and known:
        return known[0]
    for run in known:
        if run.name == name:
            return run
    if not known:
        raise UnknownRun("There are no runs yet. Start one with `python -m pneumo train`.")
    raise UnknownRun(f"No run is named {name!r}. Runs: {', '.join(run.name for run in known)}.")


def write_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """A CSV file with a line for each dataclass instance of a kind."""
    columns = [field.name for field in dataclasses.fields(kind)]
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in rows)
    write_text(path, table.getvalue())


def _read_rows(path: Path, kind: type[Row]) -> list[Row]:
    numbers = [f.name for f in dataclasses.fields(kind) if f.type is float]  # type: ignore[arg-type]
    try:
        with path.open(newline="") as file:
            return [
                kind(**{**row, **{name: float(row[name]) for name in numbers}})
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a CSV file of numbers, without a last line that is yet being written."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return _read_columns(path, status.st_size, status.st_mtime_ns)


# A page asks every second, several pages ask for the same, and most runs have long ended.
@functools.lru_cache(maxsize=64)
def _read_columns(path: Path, size: int, modified: int) -> dict[str, np.ndarray]:
    text = path.read_text()
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if not lines:
        return {}
    table = np.loadtxt(lines, delimiter=",", ndmin=2)
    return dict(zip(header.split(","), table.T, strict=True))
