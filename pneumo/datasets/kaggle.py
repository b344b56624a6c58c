"""The Kaggle data set, downloaded in a process of its own.

The download outlives the page, and the server, that started it: what it is doing is
written to `state.json` in the data sets folder, and whoever reads that needs nothing else.
`kagglehub` keeps the partial archive, so that starting again goes on where it stopped.
"""

import contextlib
import errno
import io
import json
import os
import re
import sys
import threading
import time
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from pneumo import background
from pneumo.background import ProcessIdentity
from pneumo.settings import Settings, write_text

OWNER, NAME, VERSION = "paultimothymooney", "chest-xray-pneumonia", 2

# Without a version, kagglehub asks Kaggle for the newest even when a copy is cached.
HANDLE = f"{OWNER}/{NAME}/versions/{VERSION}"

ADDRESS = f"https://www.kaggle.com/datasets/{OWNER}/{NAME}"
IMAGES = {"train": 5216, "val": 16, "test": 624}

STALLED_AFTER = 60.0  # seconds without news

OTHER_WAYS = (
    "Other ways: open a folder on this machine that holds the set, or the ZIP file that a browser "
    f"downloads from {ADDRESS}."
)
_starting = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Download:
    """What a download is doing, as stored in `state.json`.

    Attributes:
        status: "idle" when none was ever started.
        bytes_done: length of the partial archive.
        bytes_total: length of the whole archive; 0 until Kaggle has told.
        bytes_per_second: recent speed.
        message: one or two sentences for people.
        updated: time of the last news, in seconds since the epoch.
    """

    status: Literal["idle", "downloading", "extracting", "finished", "failed", "cancelled"] = "idle"
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_second: float = 0.0
    message: str = ""
    updated: float = 0.0

    @property
    def running(self) -> bool:
        """Whether there is something to wait for, or to cancel."""
        return self.status in ("downloading", "extracting")

    @property
    def fraction(self) -> float:
        """Share of the archive that is here, in [0, 1]."""
        return self.bytes_done / self.bytes_total if self.bytes_total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the archive is here; None while there is nothing to tell it by."""
        if self.status != "downloading" or not (self.bytes_total and self.bytes_per_second):
            return None
        return (self.bytes_total - self.bytes_done) / self.bytes_per_second


def cache_folder() -> Path:
    """Where kagglehub keeps the files; `KAGGLEHUB_CACHE` moves it."""
    cache = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    return Path(cache, "datasets", OWNER, NAME, "versions", str(VERSION))


def is_downloaded() -> bool:
    """Whether the set is here and complete, by the marker that kagglehub leaves at the end."""
    return cache_folder().is_dir() and _beside("complete").exists()


def is_started() -> bool:
    """Whether a part of the set is here, as an archive or as extracted files."""
    return _beside("archive").exists() or cache_folder().exists()


def start(settings: Settings) -> Download:
    """Start the download, or go on with an unfinished one; a running one is left alone.

    Returns:
        Its first progress.

    Raises:
        OSError: the process cannot be started or its state not be written.
    """
    with _starting:
        download = progress(settings)
        if download.running:
            return download
        folder = _folder(settings)
        folder.mkdir(parents=True, exist_ok=True)
        archive = _beside("archive")  # What an earlier attempt got is kept.
        download = Download(
            status="downloading",
            bytes_done=archive.stat().st_size if archive.exists() else 0,
            bytes_total=download.bytes_total,
            message="Asking Kaggle for the archive.",
            updated=time.time(),
        )
        # Written before the process starts: from then on the state is its own.
        (folder / "process.json").unlink(missing_ok=True)
        _write(folder, download)
        process = background.start("pneumo.datasets.kaggle", folder, log=folder / "log.txt")
        process.save(folder / "process.json")
        return download


def progress(settings: Settings) -> Download:
    """What the download is doing now, whichever process started it."""
    download = _read(_folder(settings))
    process_file = _folder(settings) / "process.json"
    if download.running and background.has_ended(process_file, announced=download.updated):
        # It may have ended well between these lines.
        download = _read(_folder(settings))
        if download.running:
            return replace(
                download,
                status="failed",
                bytes_per_second=0.0,
                message="The download was interrupted. Start it again: it goes on where it "
                f"stopped. Details: {_folder(settings) / 'log.txt'}",
            )
    if download.status == "finished" and not is_downloaded():
        return Download()  # Deleted since.
    silence = time.time() - download.updated
    if download.status == "downloading" and silence > STALLED_AFTER:
        return replace(
            download,
            bytes_per_second=0.0,
            message=f"Nothing has come from Kaggle for {silence:.0f} s. Wait, or cancel and start "
            "again: it goes on where it stopped.",
        )
    return download


def cancel(settings: Settings) -> Download:
    """Stop a running download and keep what has been downloaded.

    Returns:
        Its last progress.
    """
    download = progress(settings)
    identity = ProcessIdentity.load(_folder(settings) / "process.json")
    process = identity.find() if download.running and identity is not None else None
    if process is None:
        return download
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(timeout=5)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)
    # Read again: it may have gone on, or even finished, until it was stopped.
    download = _read(_folder(settings))
    if download.running:
        download = replace(
            download,
            status="cancelled",
            bytes_per_second=0.0,
            message="Cancelled. Start it again: it goes on where it stopped.",
            updated=time.time(),
        )
        _write(_folder(settings), download)
    return download


def main(folder: Path) -> None:
    """Download in this process and keep `state.json` in `folder` up to date."""
    report = _Report(folder, _read(folder))
    # kagglehub has no callback, but shows its progress with tqdm, and tqdm takes its defaults
    # from the environment when it is imported. A report for each MiB is not too many.
    os.environ |= {
        "TQDM_BAR_FORMAT": "progress {n} {total} {rate_noinv}",
        "TQDM_MININTERVAL": "0",
        "TQDM_MINITERS": "1",
        "TQDM_SMOOTHING": "0.1",
    }
    with contextlib.redirect_stdout(report), contextlib.redirect_stderr(report):
        problem = _download(report)
    if problem:
        report.update(status="failed", bytes_per_second=0.0, message=problem)
        sys.exit(1)
    report.update(
        status="finished", bytes_per_second=0.0, message="The Kaggle set is complete and ready."
    )


def _download(report: "_Report") -> str:
    """Download and unpack; the problem in words, or nothing when all went well."""
    # Only now: pages that ask for the progress need not wait for these, and tqdm must find
    # its defaults set.
    import kagglehub
    import requests
    from kagglehub import exceptions

    try:
        folder = kagglehub.dataset_download(HANDLE)
    except exceptions.DataCorruptionError:
        return "The archive came damaged and was deleted. Start the download again."
    except requests.exceptions.HTTPError as error:
        return _refusal(error.response.status_code if error.response is not None else 0)
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ReadTimeout):
        return "The connection broke. Start the download again: it goes on where it stopped."
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
        return (
            "Kaggle cannot be reached. Check the internet connection, or the proxy settings, and "
            "start the download again."
        )
    except (zipfile.BadZipFile, ValueError) as error:
        if report.status != "extracting":
            return f"kagglehub cannot start: {error}"
        # Left there, it would be taken for complete at the next start.
        _beside("archive").unlink(missing_ok=True)
        return f"The archive cannot be unpacked ({error}) and was deleted. Start again."
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return (
                f"The disk that holds {cache_folder()} is full. The set needs about 5 GB while it "
                "is unpacked: make room, or set KAGGLEHUB_CACHE to a folder on another disk."
            )
        return f"The files cannot be written: {error}"
    if not is_downloaded():
        # On Kaggle's own machines nothing is downloaded, the set is mounted.
        return f"kagglehub has the set in {folder}: choose that folder."
    return ""


def _refusal(status: int) -> str:
    if status in (401, 403):
        return (
            f"Kaggle refused the download ({status}). The set is public and needs no account, but "
            "wrong credentials are refused: correct or remove those in ~/.kaggle and in the "
            f"variables KAGGLE_USERNAME, KAGGLE_KEY and KAGGLE_API_TOKEN."
        )
    return f"Kaggle answered with an error ({status}). Try again later."


class _Report(io.TextIOBase):
    """Takes what kagglehub prints, keeps the state up to date by it and logs the rest."""

    _progress = re.compile(r"progress (\d+) (\d+) (\S+)")

    def __init__(self, folder: Path, download: Download) -> None:
        self._folder = folder
        self._state = download
        self._log = sys.__stdout__

    @property
    def status(self) -> str:
        return self._state.status

    def write(self, text: str) -> int:
        steps = self._progress.findall(text)
        if steps:
            done, total, rate = steps[-1]
            self.update(
                bytes_done=int(done),
                bytes_total=int(total),
                bytes_per_second=0.0 if rate == "None" else float(rate),
                message="Downloading the archive from Kaggle.",
            )
        elif "Extracting" in text:
            self.update(
                status="extracting",
                bytes_done=self._state.bytes_total,
                bytes_per_second=0.0,
                message="Unpacking the archive, which takes about a minute.",
            )
        if not steps and text.strip() and self._log is not None:
            print(text.strip(), file=self._log, flush=True)
        return len(text)

    def update(self, **changes: Any) -> None:
        self._state = replace(self._state, updated=time.time(), **changes)
        _write(self._folder, self._state)


def _folder(settings: Settings) -> Path:
    return settings.datasets / "kaggle-download"


def _beside(suffix: str) -> Path:
    return cache_folder().parent.parent / f"{VERSION}.{suffix}"


def _read(folder: Path) -> Download:
    try:
        return Download(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return Download()


def _write(folder: Path, download: Download) -> None:
    write_text(folder / "state.json", json.dumps(asdict(download), indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
