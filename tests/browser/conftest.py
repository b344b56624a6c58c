"""A running server and a browser to look at it with."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from pneumo.settings import REPOSITORY

expect.set_options(timeout=30_000)  # the machine that runs the tests may be busy

REMEDY = "Chromium is missing. Install Debian's chromium: apt-get install chromium"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_server(home: Path) -> Iterator[str]:
    """The address of a server that keeps everything in `home`."""
    port = free_port()
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "streamlit_app.py"),
                *("--server.port", str(port), "--server.headless", "true"),
            ],
            cwd=REPOSITORY,
            env=os.environ | {"PNEUMO_HOME": str(home), "KAGGLEHUB_CACHE": str(home / "kagglehub")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    # Not by the proxy that some other test has set and urllib remembers.
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with without_proxy.open(f"{address}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def start_server() -> Callable[[Path], AbstractContextManager[str]]:
    """Start a server of one's own: `with start_server(home) as address`."""
    return running_server


@pytest.fixture(scope="session")
def served_home(tmp_path_factory: pytest.TempPathFactory, sample_root: Path) -> Path:
    """The home of the shared server, with a sample set that is ready."""
    home = tmp_path_factory.mktemp("served_home")
    (home / "datasets").mkdir()
    (home / "datasets" / "sample").symlink_to(sample_root)
    return home


@pytest.fixture(scope="session")
def server(served_home: Path) -> Iterator[str]:
    """The address of a server that all browser tests share."""
    with running_server(served_home) as address:
        yield address


def launch_chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium, headless and offline."""
    return playwright.chromium.launch(
        executable_path=find_chromium(),
        args=[
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update"),
        ],
    )


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser that all tests share; where there is none, they skip, but not in CI."""
    if find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(REMEDY)
        pytest.skip(REMEDY)
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page with nothing remembered."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    # The machine that runs the tests may be busy with others.
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()
