"""A training watched in the browser, from the start button to the finished model."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

Server = Callable[[Path], AbstractContextManager[str]]


def points(page: Page) -> int:
    """Points of the validation curve of the AUC."""
    return page.locator(".st-key-curve-auc .scatterlayer .trace:last-child .point").count()


def wait_for_points(page: Page, more_than: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if points(page) > more_than:
            return points(page)
        page.wait_for_timeout(100)
    raise AssertionError(f"The curve has {points(page)} points, not more than {more_than}")


def test_a_training_grows_survives_a_reload_and_predicts(
    start_server: Server,
    served_home: Path,
    tmp_path: Path,
    page: Page,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nothing cached and nobody to download from: the training takes the shipped backbone.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    home = tmp_path / "home"
    home.mkdir()
    (home / "datasets").symlink_to(served_home / "datasets")
    with start_server(home) as address:
        page.goto(f"{address}/train")
        epochs = page.locator(".st-key-epochs-quick input")
        epochs.fill("400")
        epochs.press("Enter")
        page.locator(".st-key-start button").click()
        first = wait_for_points(page, 0)
        wait_for_points(page, first)

        page.reload()
        after_reload = wait_for_points(page, first)
        wait_for_points(page, after_reload)

        page.get_by_role("button", name="Stop").click()
        expect(page.locator("p", has_text="Stopped after")).to_be_visible(timeout=120_000)
        expect(page.locator(".st-key-start button")).to_be_enabled()
        run = next((home / "runs").iterdir()).name
        page.locator(".st-key-use-model button").click()
        expect(page).to_have_url(f"{address}/predict?model={run}")
        page.locator(".st-key-example-1 button").click()
        expect(page.locator(".st-key-verdict")).to_contain_text("Prediction: ")
        expect(page.locator(".st-key-verdict")).to_contain_text("synthetic films only")
