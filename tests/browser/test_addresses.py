"""Every page by its address: the same frame, navigation and theme, also after a reload."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

PAGES = ("Browse", "Train", "Models", "Predict")
DARK, LIGHT = "rgb(13, 17, 23)", "rgb(255, 255, 255)"  # as in .streamlit/config.toml


def expect_frame(page: Page, title: str, *, background: str = DARK) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_test_id("stTopNavLink")).to_have_count(len(PAGES))
    for name in PAGES:
        expect(page.get_by_test_id("stTopNavLink").filter(has_text=name)).to_be_visible()
    expect(page.get_by_test_id("stHeaderLogo")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
    expect(page.get_by_role("dialog")).to_have_count(0)  # "Page not found" is one


@pytest.mark.parametrize("title", PAGES)
def test_each_address_and_its_reload(page: Page, server: str, title: str) -> None:
    page.goto(f"{server}/{title.lower()}")
    expect_frame(page, title)
    page.reload()
    expect_frame(page, title)


def test_the_root_leads_to_browse(page: Page, server: str) -> None:
    page.goto(server)
    expect_frame(page, "Browse")
    expect(page).to_have_url(f"{server}/browse")


def test_a_page_opened_first_on_a_fresh_server_has_its_frame(
    page: Page, tmp_path: Path, start_server: Callable[[Path], AbstractContextManager[str]]
) -> None:
    with start_server(tmp_path) as address:
        page.goto(f"{address}/predict")
        expect_frame(page, "Predict")
        page.reload()
        expect_frame(page, "Predict")


def test_the_navigation_leads_everywhere(page: Page, server: str) -> None:
    page.goto(server)
    expect_frame(page, "Browse")
    for title in reversed(PAGES):
        page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
        expect_frame(page, title)
        expect(page).to_have_url(f"{server}/{title.lower()}")


def test_nothing_is_fetched_from_elsewhere(page: Page, server: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server}/browse")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []


def test_dark_comes_first_whatever_the_system_prefers(page: Page, server: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{server}/browse")
    expect_frame(page, "Browse", background=DARK)


def test_a_chosen_theme_holds_on_every_page(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    expect_frame(page, "Browse")
    page.wait_for_function("localStorage.getItem('pneumoTheme')")  # the first visit has settled
    page.get_by_test_id("stMainMenu").click()
    page.get_by_test_id("stMainMenuItem-theme-Light").click()
    expect_frame(page, "Browse", background=LIGHT)
    # Stored a moment after it shows; and a page that settles its theme may reload while it loads.
    page.wait_for_function("localStorage['stActiveTheme-/browse-v2']?.includes('Light')")
    page.goto(f"{server}/train", wait_until="commit")
    expect_frame(page, "Train", background=LIGHT)
