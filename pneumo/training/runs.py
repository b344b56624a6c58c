"""A training on disk. Whoever reads a run folder needs nothing else.

recipe.json   what decides the training
data.json     which data set, its fingerprint and counts
images.csv    every picture with its label, patient and split (train or validation)
process.json  process id and its creation time, written by whoever started it
state.json    what the training process is doing, written by that process alone
steps.csv     one line a step, appended
epochs.csv    one line an epoch, appended
log.txt       the process's own words
stop          exists once somebody asked for a graceful stop
bundle/       the finished model
"""

import csv
import dataclasses
import io
import itertools
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pneumo import background
from pneumo.settings import Settings, write_text
from pneumo.training import recipe as recipes
from pneumo.training.recipe import Recipe

Status = Literal["starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
PACE_SECONDS = 1.5
"""How long an activity runs before its pace says when it ends."""

ACTIVE: frozenset[Status] = frozenset({"starting", "running", "stopping"})


class UnknownRun(LookupError):
    """No run has this name; the message lists those there are."""


@dataclass(frozen=True, kw_only=True)
class TrainingImage:
    """A line of `images.csv`.

    Attributes:
        path: absolute.
        label: "NORMAL" or "PNEUMONIA".
        split: "train" or "validation".
    """

    path: str
    label: str
    patient: str
    split: str


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
    """

    name: str
    synthetic: bool
    population: str
    credit: str
    fingerprint: str
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What the training process last said of itself.

    Attributes:
        activity: what it is doing, for people, such as "Computing features".
        done: units of the activity that are complete, of `total`; 0 of 0 where unknown.
        activity_began: when it began with that, in seconds since the epoch.
        heartbeat: when it said so, in seconds since the epoch.
        message: the outcome, or why it failed.
        failure: a short code for a failure that a page has a remedy for, else "".
    """

    status: Status
    activity: str = ""
    done: int = 0
    total: int = 0
    activity_began: float = 0.0
    heartbeat: float = 0.0
    message: str = ""
    failure: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Until the activity is complete, at the pace so far; None while there is no pace."""
        elapsed = self.heartbeat - self.activity_began
        if not 0 < self.done <= self.total or elapsed < PACE_SECONDS:
            return None
        return elapsed * (self.total - self.done) / self.done


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
    def recipe(self) -> Recipe:
        """The recipe as it was started."""
        return recipes.from_dict(json.loads((self.folder / "recipe.json").read_text()))

    @property
    def data(self) -> TrainingData:
        """The data set that it learns from."""
        return TrainingData(**json.loads((self.folder / "data.json").read_text()))

    @property
    def state(self) -> RunState:
        """The process's last words, corrected by whether it is alive and asked to stop."""
        # Asked first: a process that has ended has already written its last word.
        ended = background.has_ended(
            self.folder / "process.json",
            announced=(self.folder / "data.json").stat().st_mtime,
        )
        state = RunState(**json.loads((self.folder / "state.json").read_text()))
        if state.status not in ACTIVE:
            return state
        if ended:
            message = "The training process ended without a word. Its log may say why."
            return dataclasses.replace(state, status="interrupted", message=message)
        if self.stop_requested:
            return dataclasses.replace(state, status="stopping")
        return state

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked for a graceful stop."""
        return (self.folder / "stop").exists()

    def request_stop(self) -> None:
        """Ask the training to end after the step at hand; it keeps what it has learned."""
        (self.folder / "stop").touch()

    def images(self) -> list[TrainingImage]:
        """Every picture of the training and validation splits."""
        with (self.folder / "images.csv").open(newline="") as file:
            return [TrainingImage(**row) for row in csv.DictReader(file)]

    def epochs(self) -> list[dict[str, float]]:
        """One dict an epoch: "epoch" (from 1), "seconds", and "train_…" and "validation_…"."""
        return _read_numbers(self.folder / "epochs.csv")

    def steps(self) -> list[dict[str, float]]:
        """One dict a step: "epoch" (from 1), "step" (over all epochs, from 1), "loss"."""
        return _read_numbers(self.folder / "steps.csv")

    def log_tail(self, *, lines: int = 30) -> str:
        """The last lines of the log."""
        try:
            text = (self.folder / "log.txt").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def create(
    settings: Settings, *, recipe: Recipe, data: TrainingData, images: Iterable[TrainingImage]
) -> Run:
    """Make the folder of a new run; `launcher.launch` starts it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    label = re.sub(r"[^\w-]+", "-", recipe.name).strip("-").lower() or "run"
    folder = settings.runs / f"{stamp}-{label}"
    settings.runs.mkdir(parents=True, exist_ok=True)
    for copy in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            folder = settings.runs / f"{stamp}-{label}-{copy}"
    write_text(folder / "recipe.json", recipe.to_json())
    write_text(folder / "data.json", json.dumps(dataclasses.asdict(data), indent=2))
    table = io.StringIO(newline="")
    columns = [field.name for field in dataclasses.fields(TrainingImage)]
    writer = csv.DictWriter(table, columns)
    writer.writeheader()
    writer.writerows(dataclasses.asdict(image) for image in images)
    write_text(folder / "images.csv", table.getvalue())
    write_state(folder, RunState(status="starting", heartbeat=time.time()))
    return Run(folder)


def write_state(folder: Path, state: RunState) -> None:
    """Replace the state that readers see."""
    write_text(folder / "state.json", json.dumps(dataclasses.asdict(state)))


def all_runs(settings: Settings) -> list[Run]:
    """Every run of this home, newest first."""
    if not settings.runs.is_dir():
        return []
    folders = (path.parent for path in settings.runs.glob("*/state.json"))
    return [Run(folder) for folder in sorted(folders, reverse=True)]


def active_run(settings: Settings) -> Run | None:
    """The training under way, if there is one."""
    return next((run for run in all_runs(settings) if run.state.status in ACTIVE), None)


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


def _read_numbers(path: Path) -> list[dict[str, float]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    complete = text[: text.rfind("\n") + 1]  # the writer may be in the middle of a line
    rows: Iterable[dict[str, Any]] = csv.DictReader(io.StringIO(complete))
    return [{name: float(value) for name, value in row.items()} for row in rows]
