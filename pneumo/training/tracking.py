"""Trackers that a training tells of its steps and epochs: TensorBoard and MLflow.

Both are optional. Their packages are imported when a training begins, and not before.
"""

import dataclasses
import importlib.util
import json
import os
import re
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pneumo.settings import write_text
from pneumo.training import recipe as recipes
from pneumo.training.runs import Run

EXPERIMENT = "pneumo"
"""What MLflow files the runs under."""

SEND_INTERVAL = 1.0
"""Seconds between two messages to MLflow, at least."""

WAITING_SHARE = 0.05
"""Of its time, the most that a training waits for MLflow."""

MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # it may ask for an hour
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""For the training process, where its environment says nothing else: a server that does not
answer holds it up for ten seconds once, not for minutes."""

_INSTALL = "`pip install -r requirements-tracking.txt`"


class TrackerMissing(ValueError):
    """A tracker was asked for whose package is not installed; the message has the remedy."""


class Tracker(Protocol):
    """Is told what a training does. It must never harm the training: it raises nothing."""

    def step(self, row: Mapping[str, float]) -> None:
        """A step is done: "epoch", "step", "loss", "learning_rate"."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is done: a line of `epochs.csv`."""

    def finish(self, status: str) -> None:
        """The training has ended, "finished", "stopped" or "failed"."""


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Who is to be told of a training, besides its run folder.

    Attributes:
        tensorboard: write event files for TensorBoard into the run folder.
        mlflow_tracking_uri: of an MLflow server; "" for none.
    """

    tensorboard: bool = False
    mlflow_tracking_uri: str = ""

    @classmethod
    def requested(cls, *, tensorboard: bool) -> Self:
        """What is asked for here and now: MLflow where `MLFLOW_TRACKING_URI` names a server.

        The training runs later, in a process that may have another environment.
        """
        uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
        return cls(tensorboard=tensorboard, mlflow_tracking_uri=uri)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What was asked for when the run of this folder was made; nothing where none is said."""
        try:
            return cls(**json.loads((folder / "tracking.json").read_text()))
        except FileNotFoundError:
            return cls()

    def save(self, folder: Path) -> None:
        """Write `tracking.json` into the folder of a run.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        write_text(folder / "tracking.json", json.dumps(dataclasses.asdict(self), indent=2))


def check(tracking: Tracking) -> None:
    """See that what is asked for can be had.

    Raises:
        TrackerMissing: a package is not installed.
    """
    if tracking.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise TrackerMissing(
            "Event files for TensorBoard were asked for, and the package `tensorboard` is not "
            f"installed. Install it: {_INSTALL}."
        )
    uri = tracking.mlflow_tracking_uri
    if uri and importlib.util.find_spec("mlflow") is None:
        raise TrackerMissing(
            f"`MLFLOW_TRACKING_URI` asks for tracking with MLflow ({_without_logins(uri)}), "
            f"and the package `mlflow-skinny` is not installed. Install it: {_INSTALL}. Or unset "
            "MLFLOW_TRACKING_URI."
        )


def trackers(run: Run, log: Callable[[str], None]) -> list[Tracker]:
    """The trackers that a run asks for, ready to be told.

    Args:
        run: its folder has `tracking.json`.
        log: is told once of each tracker that fails, and is then told no more.
    """
    tracking = Tracking.load(run.folder)
    asked: list[Tracker] = []
    if tracking.tensorboard:
        asked.append(_TensorBoard(run, log, dataclasses.replace(tracking, mlflow_tracking_uri="")))
    if tracking.mlflow_tracking_uri:
        asked.append(_MLflow(run, log, dataclasses.replace(tracking, tensorboard=False)))
    return asked


class _Tracker:
    """Goes silent at its first failure, and says so.

    Subclasses write `_begin`, `_tell` and `_finish`, which may raise any of `_failures`.
    """

    name: str

    def __init__(self, run: Run, log: Callable[[str], None], tracking: Tracking) -> None:
        self._run = run
        self._log = log
        self._tracking = tracking
        # A ValueError: a package is missing, an address is malformed, an answer is no JSON.
        self._failures: tuple[type[Exception], ...] = (OSError, ImportError, ValueError)
        self._silent = False
        self._attempt(lambda: check(tracking))
        self._attempt(self._begin)

    def step(self, row: Mapping[str, float]) -> None:
        values = {f"step/{name}": row[name] for name in row if name not in ("epoch", "step")}
        self._attempt(lambda: self._tell(values, int(row["step"])))

    def epoch(self, row: Mapping[str, float]) -> None:
        values = {_epoch_name(name): row[name] for name in row if name != "epoch"}
        self._attempt(lambda: self._tell(values, int(row["epoch"]), flush=True))

    def finish(self, status: str) -> None:
        self._attempt(lambda: self._finish(status))

    def _begin(self) -> None:
        raise NotImplementedError

    def _tell(self, values: Mapping[str, float], step: int, *, flush: bool = False) -> None:
        raise NotImplementedError

    def _finish(self, status: str) -> None:
        raise NotImplementedError

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._silent:
            return
        try:
            action()
        except self._failures as error:
            self._silent = True
            reason = _without_logins(str(error))
            reason = textwrap.shorten(reason or type(error).__name__, 400, placeholder=" …")
            self._log(f"{self.name} hears no more of this training, which goes on: {reason}")


class _TensorBoard(_Tracker):
    """Event files in the folder `tensorboard` of the run."""

    name = "TensorBoard"

    def _begin(self) -> None:
        import tensorflow as tf

        self._failures = (*self._failures, tf.errors.OpError)
        self._scalar = tf.summary.scalar
        self._writer = tf.summary.create_file_writer(str(self._run.folder / "tensorboard"))

    def _tell(self, values: Mapping[str, float], step: int, *, flush: bool = False) -> None:
        with self._writer.as_default():
            for name, value in values.items():
                self._scalar(name, value, step=step)
        if flush:
            self._writer.flush()

    def _finish(self, status: str) -> None:
        self._writer.close()


class _MLflow(_Tracker):
    """A run of an MLflow server, the same after the training was interrupted."""

    name = "MLflow"

    def _begin(self) -> None:
        for variable, value in MLFLOW_DEFAULTS.items():
            os.environ.setdefault(variable, value)
        import mlflow
        from google.protobuf import json_format
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException

        # The errors of requests are OSErrors; those of protobuf come with an answer that is JSON
        # and not MLflow's.
        self._failures = (*self._failures, MlflowException, json_format.Error)
        self._metric = Metric
        self._waiting: list[Metric] = []
        self._send_after = 0.0
        self._client = mlflow.MlflowClient(tracking_uri=self._tracking.mlflow_tracking_uri)
        id_file = self._run.folder / "mlflow_run.txt"
        if id_file.exists():
            self._id = id_file.read_text().strip()
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._create()
            write_text(id_file, self._id)
        # Also to a run that is there already: its params may not have come through.
        recipe = recipes.flat(dataclasses.asdict(self._run.recipe))
        params = [Param(name, str(value)) for name, value in recipe.items()]
        self._client.log_batch(self._id, params=params)

    def _create(self) -> str:
        data = self._run.data
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        created = self._client.create_run(
            experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT),
            run_name=self._run.name,
            tags={"data.fingerprint": data.fingerprint, "data.name": data.name},
        )
        return created.info.run_id

    def _tell(self, values: Mapping[str, float], step: int, *, flush: bool = False) -> None:
        # Epochs may take less than a message, which is why their ends do not send one at once.
        now = int(time.time() * 1000)
        self._waiting += [self._metric(name, value, now, step) for name, value in values.items()]
        if time.monotonic() >= self._send_after:
            self._send()

    def _send(self) -> None:
        began = time.monotonic()
        self._client.log_batch(self._id, metrics=self._waiting)
        self._waiting = []
        ended = time.monotonic()
        self._send_after = ended + max(SEND_INTERVAL, (ended - began) / WAITING_SHARE)

    def _finish(self, status: str) -> None:
        self._send()
        outcome = {"finished": "FINISHED", "stopped": "KILLED"}.get(status, "FAILED")
        self._client.set_terminated(self._id, outcome)


def _epoch_name(column: str) -> str:
    """The name of a figure of an epoch, such as "validation/auc" for "validation_auc"."""
    split, _, figure = column.partition("_")
    return f"{split}/{figure}" if split in ("train", "validation") else f"epoch/{column}"


def _without_logins(text: str) -> str:
    """A text whose addresses have lost the user's name and password."""
    return re.sub(r"//[^/\s@]*@", "//", text)
