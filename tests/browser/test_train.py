"""Trainings watched in the browser, from the start button to the finished model."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pneumo.settings import Settings
from pneumo.training import pace, recipe
from pneumo.training.pace import Pace
from pneumo.training.recipe import QUICK, Recipe

Server = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture
def home(served_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the sample set, and nothing else."""
    # Nothing cached and nobody to download from: the training takes the shipped backbone.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    home = tmp_path / "home"
    home.mkdir()
    (home / "datasets").symlink_to(served_home / "datasets")
    return home


def keep_pace(chosen: Recipe, home: Path) -> None:
    """No measurement beside the training."""
    known = Pace(
        startup=9,
        reading=0.01,
        features=0.01,
        head_step=0.001,
        fine_tuning_steps=(0.0,),
        evaluation=0.01,
        writing=1,
    )
    known.save(pace._folder(chosen, Settings(home=home)) / "pace.json")


def epoch(page: Page) -> int:
    """The last epoch that the page tells of; 0 before the first."""
    found = re.search(
        r"(\d+) of \d+", "".join(page.locator(".st-key-last-epoch").all_inner_texts())
    )
    return int(found[1]) if found else 0


def wait_for_epoch(page: Page, after: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if epoch(page) > after:
            return epoch(page)
        page.wait_for_timeout(100)
    raise AssertionError(f"The page is at epoch {epoch(page)}, not beyond {after}")


WATCH_FRAMES = """() => {
  window.frames_seen = window.frames_blank = 0;
  const watch = () => {
    const charts = [...document.querySelectorAll('.st-key-curve-auc')];
    const visible = charts.some((it) => it.offsetHeight > 0 && it.querySelector('.trace'));
    window.frames_seen += 1;
    if (!visible) window.frames_blank += 1;
    requestAnimationFrame(watch);
  };
  watch();
}"""


def share_of_blank_frames(page: Page) -> float:
    return page.evaluate("window.frames_blank / window.frames_seen")


def predict(page: Page, address: str, run: str) -> None:
    page.locator(".st-key-use-model button").click()
    expect(page).to_have_url(f"{address}/predict?model={run}")
    page.locator(".st-key-example-1 button").click()
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
    expect(page.locator(".st-key-verdict")).to_contain_text("synthetic films only")


def test_a_training_grows_survives_a_reload_and_predicts(
    start_server: Server, home: Path, page: Page
) -> None:
    keep_pace(QUICK, home)
    with start_server(home) as address:
        page.goto(f"{address}/train")
        expect(page.get_by_text("Takes about")).to_be_visible()
        epochs = page.locator(".st-key-epochs-quick input")
        epochs.fill("1000")
        epochs.press("Enter")
        expect(page.get_by_text("Differs from quick in 1 setting")).to_be_visible()
        page.locator(".st-key-start button").click()
        first = wait_for_epoch(page, 0)
        second = wait_for_epoch(page, first)

        page.reload()
        after_reload = wait_for_epoch(page, second)
        expect(page.locator(".st-key-curve-auc .trace").first).to_be_visible()
        page.evaluate(WATCH_FRAMES)
        again = wait_for_epoch(page, after_reload)
        wait_for_epoch(page, again)
        assert share_of_blank_frames(page) < 0.02  # the chart does not flicker

        page.get_by_role("button", name="Stop").click()
        expect(page.locator("p", has_text="Stopped after").first).to_be_visible(timeout=120_000)
        expect(page.locator(".st-key-start button")).to_be_enabled()
        (run,) = (path.name for path in (home / "runs").glob("*-quick"))
        predict(page, address, run)


def test_a_training_survives_the_server_and_its_end_is_told_on_another_page(
    start_server: Server, home: Path, page: Page
) -> None:
    slow = QUICK.changed(name="slow", start="shipped", batch_size=4, epochs=300)
    recipe.save(Settings(home=home), slow)
    keep_pace(slow, home)
    with start_server(home) as address:
        page.goto(f"{address}/train?recipe=slow")
        page.locator(".st-key-start button").click()
        before = wait_for_epoch(page, 0)
    with start_server(home) as address:
        page.goto(f"{address}/train")
        expect(page.get_by_text("Running").first).to_be_visible()
        wait_for_epoch(page, before)
        (run,) = (path.name for path in (home / "runs").glob("*-slow"))

        page.goto(f"{address}/browse")
        toast = page.locator("[data-testid=stToast]")
        expect(toast).to_contain_text(f"{run} finished", timeout=120_000)
        expect(toast).to_contain_text("AUC")

        page.goto(f"{address}/train")
        expect(page.get_by_text("Model ready")).to_be_visible()
        predict(page, address, run)
