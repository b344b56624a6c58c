"""Getting the Kaggle set where Kaggle cannot be reached."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

StartServer = Callable[[Path], AbstractContextManager[str]]


def test_a_download_that_fails_says_why_and_what_else_there_is(
    start_server: StartServer,
    page: Page,
    tmp_path: Path,
    sample_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # where nobody listens
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sample").symlink_to(sample_root)
    with start_server(tmp_path) as server:
        page.goto(f"{server}/browse")
        page.wait_for_function("localStorage.getItem('pneumoTheme')")
        page.goto(f"{server}/browse")
        page.locator(".st-key-switcher button").first.click()
        page.get_by_role("button", name="Kaggle Chest X-Ray Images").click()
        page.locator(".st-key-start-download button").click()
        problem = page.get_by_test_id("stAlert")
        expect(problem).to_contain_text("Kaggle cannot be reached")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        page.locator(".st-key-use-sample button").click()
        expect(page.get_by_text("These films are synthetic")).to_be_visible()
