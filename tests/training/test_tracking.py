"""What TensorBoard and MLflow are told, and that they never harm a training."""

import http.server
import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pneumo.settings import REPOSITORY
from pneumo.training import tracking as trackings
from pneumo.training.runs import Run
from pneumo.training.tracking import Tracker, TrackerMissing, Tracking

mlflow = pytest.importorskip("mlflow")
event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

MakeRun = Callable[..., Run]

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the client has no other without server
    for variable in trackings.MLFLOW_DEFAULTS:
        monkeypatch.setenv(variable, "")  # noted, so that what a tracker sets is undone
        monkeypatch.delenv(variable)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a web server that gives one answer to everything; returns its address."""
    servers = []

    def start(answer: bytes, *, status: int = 200, kind: str = "text/html") -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Retry-After", "3600")
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def begin(run: Run, log: list[str], **tracking: object) -> Tracker:
    Tracking(**tracking).save(run.folder)  # type: ignore[arg-type]
    (tracker,) = trackings.trackers(run, log.append)
    return tracker


def tell(tracker: Tracker, epoch: int, *, steps: int = 2) -> None:
    """Of an epoch in which each step's loss is 1 / its number."""
    for step in range((epoch - 1) * steps + 1, epoch * steps + 1):
        tracker.step({"epoch": epoch, "step": step, "loss": 1 / step, "learning_rate": 0.01})
    tracker.epoch(
        {
            "epoch": epoch,
            "phase": 1,
            "seconds": 2.5,
            "train_loss": 0.5,
            "validation_auc": 0.75,
            "validation_loss": math.nan,
            "memory": 3e9,
        }
    )


EPOCH_NAMES = {
    *("epoch/phase", "epoch/seconds", "epoch/memory"),
    *("train/loss", "validation/auc", "validation/loss"),
}


# What is asked for -----------------------------------------------------------------------


def test_nothing_is_asked_for_unless_somebody_does(make_run: MakeRun) -> None:
    run = make_run()
    assert Tracking.load(run.folder) == Tracking()
    assert trackings.trackers(run, pytest.fail) == []


def test_what_is_asked_for_now_is_kept_for_later(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Tracking.requested(tensorboard=False) == Tracking()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " http://here:5000 ")
    asked = Tracking.requested(tensorboard=True)
    assert asked == Tracking(tensorboard=True, mlflow_tracking_uri="http://here:5000")
    folder = make_run().folder
    asked.save(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    assert Tracking.load(folder) == asked
    assert json.loads((folder / "tracking.json").read_text())["tensorboard"] is True


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def find(name: str, parent: str | None = None) -> ModuleSpec | None:
        return None if name == package else find_spec(name, parent)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def test_a_missing_tensorboard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trackings.check(Tracking(tensorboard=True, mlflow_tracking_uri=UNREACHABLE))
    without("tensorboard", monkeypatch)
    trackings.check(Tracking(mlflow_tracking_uri=UNREACHABLE))
    with pytest.raises(TrackerMissing) as refusal:
        trackings.check(Tracking(tensorboard=True))
    for part in ("TensorBoard", "`tensorboard`", "pip install -r requirements-tracking.txt"):
        assert part in str(refusal.value)


def test_a_missing_mlflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without("mlflow", monkeypatch)
    trackings.check(Tracking(tensorboard=True))
    with pytest.raises(TrackerMissing) as refusal:
        trackings.check(Tracking(mlflow_tracking_uri="http://ann:secret@there"))
    for part in ("(http://there)", "`mlflow-skinny`", "-r requirements-tracking.txt", "unset"):
        assert part in str(refusal.value)


def test_the_requirements_file_names_what_is_needed() -> None:
    lines = (REPOSITORY / "requirements-tracking.txt").read_text().splitlines()
    packages = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    assert packages == {"tensorboard", "mlflow-skinny"}


def test_a_check_imports_no_tracker() -> None:
    program = f"""
import sys
from pneumo.training import tracking
tracking.check(tracking.Tracking(tensorboard=True, mlflow_tracking_uri="{UNREACHABLE}"))
print(*{{"tensorflow", "tensorboard", "mlflow"}} & set(sys.modules))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert (answer.stdout.strip(), answer.returncode) == ("", 0), answer.stderr


# TensorBoard -----------------------------------------------------------------------------


def scalars(run: Run) -> dict[str, dict[int, float]]:
    """Of the event files: values by name and step."""
    events = event_files.EventAccumulator(str(run.folder / "tensorboard")).Reload()
    return {
        name: {
            event.step: float(event.tensor_proto.float_val[0])
            if event.tensor_proto.float_val
            else float(memoryview(event.tensor_proto.tensor_content).cast("f")[0])
            for event in events.Tensors(name)
        }
        for name in events.Tags()["tensors"]
    }


def test_tensorboard_reads_steps_and_epochs(make_run: MakeRun) -> None:
    run, log = make_run(), []
    tracker = begin(run, log, tensorboard=True)
    tell(tracker, 1)
    after_an_epoch = scalars(run)
    tell(tracker, 2)
    tracker.finish("finished")
    assert after_an_epoch["validation/auc"] == {1: 0.75}
    found = scalars(run)
    assert set(found) == {"step/loss", "step/learning_rate", *EPOCH_NAMES}
    assert found["step/loss"] == pytest.approx({1: 1, 2: 1 / 2, 3: 1 / 3, 4: 1 / 4})
    assert found["step/learning_rate"] == pytest.approx(dict.fromkeys(range(1, 5), 0.01))
    assert found["validation/auc"] == {1: 0.75, 2: 0.75}
    assert found["train/loss"] == {1: 0.5, 2: 0.5}
    assert found["epoch/memory"] == pytest.approx({1: 3e9, 2: 3e9})
    assert all(map(math.isnan, found["validation/loss"].values()))
    assert log == []


def test_tensorboard_goes_on_after_a_resume(make_run: MakeRun) -> None:
    run, log = make_run(), []
    tell(begin(run, log, tensorboard=True), 1)  # ends without a word
    tracker = begin(run, log, tensorboard=True)
    tell(tracker, 1)
    tell(tracker, 2)
    tracker.finish("stopped")
    assert set(scalars(run)["step/loss"]) == {1, 2, 3, 4}
    assert log == []


def test_event_files_that_cannot_be_written_are_said_once(make_run: MakeRun) -> None:
    run, log = make_run(), []
    (run.folder / "tensorboard").write_text("a file where the folder belongs")
    tracker = begin(run, log, tensorboard=True)
    tell(tracker, 1)
    tell(tracker, 2)
    tracker.finish("finished")
    (said,) = log
    assert said.startswith("TensorBoard hears no more of this training, which goes on: ")


def test_a_package_that_is_gone_when_the_training_begins(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, log = make_run(), []
    without("tensorboard", monkeypatch)
    tracker = begin(run, log, tensorboard=True)
    tell(tracker, 1)
    tracker.finish("finished")
    (said,) = log
    assert "requirements-tracking.txt" in said


# MLflow ----------------------------------------------------------------------------------


def mlflow_runs(store: str) -> list:  # type: ignore[type-arg]
    client = mlflow.MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(trackings.EXPERIMENT)
    return client.search_runs([experiment.experiment_id])


def history(store: str, run_id: str, name: str) -> list[tuple[int, float]]:
    client = mlflow.MlflowClient(tracking_uri=store)
    return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]


def test_mlflow_has_the_recipe_the_data_and_the_figures(make_run: MakeRun, store: str) -> None:
    run, log = make_run(), []
    tracker = begin(run, log, mlflow_tracking_uri=store)
    (kept,) = mlflow_runs(store)
    assert kept.info.status == "RUNNING"
    assert (run.folder / "mlflow_run.txt").read_text() == kept.info.run_id
    tell(tracker, 1)
    tell(tracker, 2)
    tracker.finish("finished")
    (kept,) = mlflow_runs(store)
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", run.name)
    params = kept.data.params
    assert (params["name"], params["start"]) == ("quick", "shipped")
    assert params["phases.1.epochs"] == str(run.recipe.epochs)
    assert params["augmentation.zoom"] == str(run.recipe.augmentation.zoom)
    data = run.data
    assert kept.data.tags["data.fingerprint"] == data.fingerprint
    assert kept.data.tags["data.name"] == data.name
    assert set(kept.data.metrics) == {"step/loss", "step/learning_rate", *EPOCH_NAMES}
    assert kept.data.metrics["validation/auc"] == 0.75
    losses = history(store, kept.info.run_id, "step/loss")
    assert losses == [(1, 1), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4)]
    assert history(store, kept.info.run_id, "epoch/seconds") == [(1, 2.5), (2, 2.5)]
    assert log == []


@pytest.mark.parametrize(("status", "kept_as"), [("stopped", "KILLED"), ("failed", "FAILED")])
def test_mlflow_goes_on_with_the_same_run(
    make_run: MakeRun, store: str, status: str, kept_as: str
) -> None:
    run, log = make_run(), []
    tracker = begin(run, log, mlflow_tracking_uri=store)
    tell(tracker, 1)
    tracker.finish(status)
    (kept,) = mlflow_runs(store)
    assert kept.info.status == kept_as
    tracker = begin(run, log, mlflow_tracking_uri=store)
    (resumed,) = mlflow_runs(store)
    assert (resumed.info.run_id, resumed.info.status) == (kept.info.run_id, "RUNNING")
    tell(tracker, 2)
    tracker.finish("finished")
    (kept,) = mlflow_runs(store)
    assert kept.info.status == "FINISHED"
    assert [step for step, _ in history(store, kept.info.run_id, "step/loss")] == [1, 2, 3, 4]
    assert log == []


def test_a_second_training_joins_the_experiment(make_run: MakeRun, store: str) -> None:
    log: list[str] = []
    for _ in range(2):
        begin(make_run(), log, mlflow_tracking_uri=store).finish("finished")
    assert len({kept.info.run_id for kept in mlflow_runs(store)}) == 2
    assert log == []


def test_mlflow_is_sent_batches_at_intervals(
    make_run: MakeRun, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, cost, batches = 1000.0, 0.01, []

    def log_batch(*_: object, metrics: list[object], **__: object) -> None:
        nonlocal now
        now += cost
        batches.append(len(metrics))

    monkeypatch.setattr(time, "monotonic", lambda: now)
    run, log = make_run(), []
    tracker = begin(run, log, mlflow_tracking_uri=store)
    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", log_batch)

    def step(number: int) -> None:
        tracker.step({"epoch": 1, "step": number, "loss": 1.0, "learning_rate": 0.1})

    for number in range(10):  # at once: the first goes out, the others wait
        step(number)
    assert batches == [2]
    now += trackings.SEND_INTERVAL
    cost = 3.0  # a slow server is sent larger batches, less often
    step(10)
    assert batches == [2, 20]
    now += 10 * trackings.SEND_INTERVAL
    step(11)
    assert batches == [2, 20]
    now += cost / trackings.WAITING_SHARE
    step(12)
    assert batches == [2, 20, 4]
    step(13)
    tracker.finish("finished")
    assert batches == [2, 20, 4, 2]
    assert log == []


def test_an_unreachable_server_is_said_once_and_soon(make_run: MakeRun) -> None:
    run, log = make_run(), []
    began = time.monotonic()
    tracker = begin(run, log, mlflow_tracking_uri="http://ann:secret@127.0.0.1:9")
    for epoch in range(1, 50):
        tell(tracker, epoch)
    tracker.finish("finished")
    assert time.monotonic() - began < 5
    (said,) = log
    assert said.startswith("MLflow hears no more of this training, which goes on: ")
    assert "127.0.0.1" in said
    assert "secret" not in said
    assert not (run.folder / "mlflow_run.txt").exists()


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (b"<html>Some other server</html>", 200, "text/html"),
        (b"<html>Not here</html>", 404, "text/html"),
        (b"busy", 503, "text/plain"),
        (b"[]", 200, "application/json"),
        (b'{"experiment": 3}', 200, "application/json"),
    ],
)
def test_a_server_of_another_kind_is_said_once_and_soon(
    make_run: MakeRun, serve: Callable[..., str], answer: bytes, status: int, kind: str
) -> None:
    log: list[str] = []
    began = time.monotonic()
    uri = serve(answer, status=status, kind=kind)
    tracker = begin(make_run(), log, mlflow_tracking_uri=uri)
    tell(tracker, 1)
    tracker.finish("finished")
    assert time.monotonic() - began < 10
    assert len(log) == 1


@pytest.mark.parametrize("uri", ["nonsense://there", "http://[broken", "databricks", "sqlite:///x"])
def test_an_address_that_mlflow_cannot_use_is_said_once(
    make_run: MakeRun, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log: list[str] = []
    tracker = begin(make_run(), log, mlflow_tracking_uri=uri)
    tell(tracker, 1)
    tracker.finish("finished")
    assert len(log) == 1


def test_a_run_that_the_server_has_lost_is_said_once(make_run: MakeRun, store: str) -> None:
    run, log = make_run(), []
    begin(run, log, mlflow_tracking_uri=store).finish("stopped")
    (run.folder / "mlflow_run.txt").write_text("0" * 32)
    tell(begin(run, log, mlflow_tracking_uri=store), 1)
    assert len(log) == 1


def test_the_users_own_patience_counts(
    make_run: MakeRun, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    begin(make_run(), [], mlflow_tracking_uri=store).finish("finished")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


def test_both_at_once(make_run: MakeRun, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one goes on where the other cannot."""
    run, log = make_run(), []
    without("mlflow", monkeypatch)
    Tracking(tensorboard=True, mlflow_tracking_uri=store).save(run.folder)
    both = trackings.trackers(run, log.append)
    assert len(both) == 2
    for tracker in both:
        tell(tracker, 1)
        tracker.finish("finished")
    assert scalars(run)["validation/auc"] == {1: 0.75}
    (said,) = log
    assert said.startswith("MLflow ")
