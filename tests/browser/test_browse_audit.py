"""The audit in a browser: it goes on while its page is left, and its films open."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from playwright.sync_api import Page, expect

Server = Callable[[Path], AbstractContextManager[str]]


def test_an_audit_its_films_its_report_and_a_new_split(
    start_server: Server, tmp_path: Path, sample_root: Path, page: Page
) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sample").symlink_to(sample_root)
    with start_server(tmp_path) as server:
        page.goto(f"{server}/browse?view=Audit")
        page.locator(".st-key-audit button").click()
        small = page.locator("[class*=st-key-finding-small_validation]")
        expect(small).to_contain_text("4 films in val", timeout=120_000)
        expect(page.locator(".st-key-probes .js-plotly-plot")).to_be_visible()

        # A film behind a finding opens, and what was open is open on the way back.
        small.locator("summary").click()
        films = page.locator("[class*=st-key-card-small_validation] img")
        expect(films).to_have_count(4)
        page.locator("[class*=st-key-open-small_validation] button").nth(2).click()
        expect(page).to_have_url(re.compile("film=val"))
        page.locator(".st-key-back button").click()
        expect(films).to_have_count(4)

        # A file that is made on a click is that of the page as it was drawn last.
        expect(page.locator("[data-test-script-state=notRunning]")).to_be_visible()
        with page.expect_download() as report:
            page.get_by_role("button", name="Report (HTML)").click()
        assert report.value.suggested_filename == "audit.html"
        html = report.value.path().read_text()
        assert html.startswith("<!doctype html>") and "data:image/jpeg;base64," in html

        # A new split is in use on every page, and undone on any.
        page.locator(".st-key-resplit-asked button").click()
        page.locator(".st-key-resplit button").click()
        expect(page.locator(".st-key-undo-split-here")).to_be_visible(timeout=60_000)
        page.goto(f"{server}/train")
        page.locator(".st-key-new-split button").click()
        page.locator(".st-key-undo-split button").click()
        expect(page.locator(".st-key-new-split")).to_have_count(0)


def test_nothing_is_cut_off_on_a_telephone(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}/browse?view=Audit&witness=Nobody")
    page.locator(".st-key-audit button").click()
    expect(page.locator(".st-key-resplit-asked")).to_be_visible(timeout=120_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
