"""The download against a stand-in for Kaggle: the requests kagglehub makes, a small archive."""

import base64
import hashlib
import http.server
import io
import json
import os
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from pneumo import cli
from pneumo.background import ProcessIdentity
from pneumo.datasets import catalog, kaggle, sources
from pneumo.datasets.sources import DatasetUnavailable, Source
from pneumo.settings import Settings

MIB = 2**20
IMAGES = ("train/NORMAL/IM-0115-0001.jpeg", "test/PNEUMONIA/person1_virus_6.jpeg")


def archive(padding: int) -> bytes:
    """The layout of the Kaggle archive: everything twice, and litter; `padding` bytes larger."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for number, path in enumerate(IMAGES):
            jpeg = cv2.imencode(".jpeg", pixels + number)[1].tobytes()
            file.writestr(f"chest_xray/{path}", jpeg)
            file.writestr(f"chest_xray/chest_xray/{path}", jpeg)
            file.writestr(f"chest_xray/__MACOSX/{Path(path).parent}/._{Path(path).name}", b"litter")
        file.writestr("chest_xray/.DS_Store", np.random.default_rng(1).bytes(padding))
    return content.getvalue()


class StandIn(http.server.ThreadingHTTPServer):
    """Answers as Kaggle and its storage do; clients reach it as their HTTP proxy.

    Attributes:
        content: the archive.
        status: what the API answers; 302 sends on to the storage.
        digest_of: the content that the storage announces, where it is not what it sends.
        hold_after: bytes after which an answer from the storage waits for `release`.
        break_after: bytes after which the storage hangs up.
        ranges: the `Range` header of each request to the storage.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = archive(padding=4 * MIB)
        self.status = 302
        self.digest_of: bytes | None = None
        self.hold_after: int | None = None
        self.break_after: int | None = None
        self.release = threading.Event()
        self.ranges: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        assert urllib.parse.urlparse(self.path).path == (
            "/api/v1/datasets.DatasetApiService/DownloadDataset"
        )
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert request["ownerSlug"] == "paultimothymooney"
        assert request["datasetSlug"] == "chest-xray-pneumonia"
        assert request["datasetVersionNumber"] == 2
        self.send_response(self.server.status)
        self.send_header("Location", "http://storage.localhost/archive.zip?signature=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content = self.server.content
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - first))
        digest = base64.b64encode(hashlib.md5(self.server.digest_of or content).digest()).decode()
        self.send_header("x-goog-hash", f"crc32c=n03x6A==,md5={digest}")
        self.end_headers()
        middle = self.server.hold_after or self.server.break_after or len(content)
        try:
            self.wfile.write(content[first:middle])
            if self.server.hold_after:
                self.server.release.wait()
                self.wfile.write(content[max(first, middle) :])
        except (BrokenPipeError, ConnectionResetError):
            pass  # Cancelled.

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    for variable in list(os.environ):
        if variable.lower() in ("no_proxy", "all_proxy") or variable.startswith("KAGGLE"):
            monkeypatch.delenv(variable)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setenv("HOME", str(tmp_path))  # No credentials of whoever runs the tests.
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def downloading(settings: Settings) -> ProcessIdentity:
    """The process that downloads."""
    process = ProcessIdentity.load(settings.datasets / "kaggle-download" / "process.json")
    assert process is not None
    return process


def wait(settings: Settings, until: Callable[[kaggle.Download], bool]) -> kaggle.Download:
    deadline = time.monotonic() + 30
    while not until(download := kaggle.progress(settings)):
        assert time.monotonic() < deadline, download
        time.sleep(0.05)
    return download


def ended(download: kaggle.Download) -> bool:
    return not download.running


def test_a_download_moves_finishes_and_is_indexed_once(
    settings: Settings, stand_in: StandIn
) -> None:
    assert kaggle.progress(settings).status == "idle"
    with pytest.raises(DatasetUnavailable, match="Found nothing"):
        sources.locate(Source(kind="kaggle"), settings)
    stand_in.hold_after = 2 * MIB + 1000
    total = len(stand_in.content)

    started = kaggle.start(settings)
    assert started.running
    halfway = wait(settings, lambda it: it.bytes_done > 0)
    assert halfway.status == "downloading"
    assert halfway.bytes_total == total
    assert 0 < halfway.fraction < 1
    process = downloading(settings)
    assert kaggle.start(settings).running
    assert downloading(settings) == process  # Not a second one.
    assert os.getsid(process.pid) == process.pid  # Outlives the terminal and the server.

    stand_in.release.set()
    finished = wait(settings, ended)
    assert (finished.status, finished.bytes_done) == ("finished", total), finished
    assert stand_in.ranges == [None]

    dataset = sources.locate(Source(kind="kaggle"), settings)
    assert not dataset.synthetic
    assert catalog.build(dataset.root)["path"].tolist() == list(IMAGES)


def test_cancelled_midway_then_started_again_goes_on_where_it_stopped(
    settings: Settings, stand_in: StandIn
) -> None:
    stand_in.hold_after = 2 * MIB + 1000
    kaggle.start(settings)
    wait(settings, lambda it: it.bytes_done >= 2 * MIB)
    process = downloading(settings)

    cancelled = kaggle.cancel(settings)

    assert cancelled.status == kaggle.progress(settings).status == "cancelled"
    assert cancelled.bytes_done == 2 * MIB
    assert process.find() is None
    assert kaggle.cancel(settings) == cancelled
    with pytest.raises(DatasetUnavailable, match="Found an unfinished download"):
        sources.locate(Source(kind="kaggle"), settings)

    stand_in.hold_after = None
    assert kaggle.start(settings).bytes_done == 2 * MIB
    assert wait(settings, ended).status == "finished"
    # The first request, the one that asks for the length, and the rest.
    assert stand_in.ranges == [None, None, f"bytes={2 * MIB}-"]
    assert sources.locate(Source(kind="kaggle"), settings).root.is_dir()


def test_a_cached_copy_needs_no_network(settings: Settings, stand_in: StandIn) -> None:
    image = kaggle.cache_folder() / "chest_xray" / IMAGES[0]
    image.parent.mkdir(parents=True)
    image.write_bytes(b"")
    assert not kaggle.is_downloaded()  # kagglehub marks a complete copy.
    (kaggle.cache_folder().parents[1] / "2.complete").touch()
    assert kaggle.is_downloaded()
    stand_in.status = 500

    kaggle.start(settings)

    assert wait(settings, ended).status == "finished"


def test_offline_is_said_clearly_with_the_alternatives(
    settings: Settings,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert cli.main(["data", "get", "kaggle"]) == 1

    told = capsys.readouterr().err
    assert told.startswith("pneumo: Kaggle cannot be reached.")
    assert "a folder on this machine" in told
    assert "ZIP file that a browser downloads" in told
    assert (settings.datasets / "kaggle-download" / "log.txt").read_text().count("Traceback") == 0


@pytest.mark.parametrize(
    ("status", "words"), [(403, "wrong credentials are refused"), (503, "an error (503)")]
)
def test_a_refusal_is_said_clearly(
    settings: Settings, stand_in: StandIn, status: int, words: str
) -> None:
    stand_in.status = status

    kaggle.start(settings)
    failed = wait(settings, ended)

    assert failed.status == "failed"
    assert words in failed.message


def test_an_archive_that_is_none_is_deleted(settings: Settings, stand_in: StandIn) -> None:
    stand_in.content = b"<html>Sign in</html>" * 1000

    kaggle.start(settings)
    failed = wait(settings, ended)

    assert failed.status == "failed"
    assert "cannot be unpacked" in failed.message
    assert not list(kaggle.cache_folder().parents[1].glob("*.archive"))


def test_a_damaged_archive_is_deleted_and_comes_whole_the_next_time(
    settings: Settings, stand_in: StandIn
) -> None:
    content, stand_in.content = stand_in.content, stand_in.content[:-1000] + bytes(1000)
    stand_in.digest_of = content
    kaggle.start(settings)
    failed = wait(settings, ended)
    assert failed.status == "failed"
    assert "came damaged" in failed.message

    stand_in.content = content
    assert kaggle.start(settings).bytes_done == 0
    assert wait(settings, ended).status == "finished"


def test_a_connection_that_breaks_is_taken_up_again(settings: Settings, stand_in: StandIn) -> None:
    stand_in.break_after = 2 * MIB
    kaggle.start(settings)
    failed = wait(settings, ended)
    assert failed.status == "failed"
    assert "connection broke" in failed.message

    stand_in.break_after = None
    kaggle.start(settings)
    assert wait(settings, ended).status == "finished"
    assert stand_in.ranges[-1] == f"bytes={2 * MIB}-"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not there")
def test_a_full_disk_is_named(settings: Settings, stand_in: StandIn) -> None:
    folder = kaggle.cache_folder().parents[1]
    folder.mkdir(parents=True)
    (folder / "2.archive").symlink_to("/dev/full")

    kaggle.start(settings)
    failed = wait(settings, ended)

    assert failed.status == "failed"
    assert "is full" in failed.message


def test_broken_credentials_are_named(
    settings: Settings, stand_in: StandIn, tmp_path: Path
) -> None:
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text("not JSON")

    kaggle.start(settings)

    assert "Invalid Kaggle credentials file" in wait(settings, ended).message


def test_a_process_that_died_reads_as_interrupted(settings: Settings, stand_in: StandIn) -> None:
    stand_in.hold_after = MIB + 1000
    kaggle.start(settings)
    wait(settings, lambda it: it.bytes_done > 0)

    psutil.Process(downloading(settings).pid).kill()

    failed = wait(settings, ended)
    assert failed.status == "failed"
    assert "was interrupted" in failed.message


def test_another_process_under_the_same_pid_is_not_taken_for_the_download(
    settings: Settings,
) -> None:
    state = {
        "status": "downloading",
        "updated": time.time(),
    }
    file = settings.datasets / "kaggle-download" / "state.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(state))
    created = psutil.Process().create_time() - 100
    ProcessIdentity(pid=os.getpid(), created=created).save(file.with_name("process.json"))

    assert kaggle.progress(settings).status == "failed"
    assert kaggle.cancel(settings).status == "failed"  # And this process lives on.


def test_silence_is_noticed(settings: Settings) -> None:
    state = {
        "status": "downloading",
        "updated": time.time() - 90,
        "bytes_per_second": 1e6,
    }
    file = settings.datasets / "kaggle-download" / "state.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(state))
    created = psutil.Process().create_time()
    ProcessIdentity(pid=os.getpid(), created=created).save(file.with_name("process.json"))

    download = kaggle.progress(settings)

    assert download.running
    assert download.bytes_per_second == 0
    assert "Nothing has come from Kaggle for 90 s" in download.message


def test_time_left_follows_from_speed() -> None:
    download = kaggle.Download(
        status="downloading", bytes_done=25, bytes_total=100, bytes_per_second=15.0
    )

    assert download.fraction == 0.25
    assert download.seconds_left == 5.0
    assert kaggle.Download(status="downloading").seconds_left is None
