"""Browse in a browser: what AppTest cannot press or see."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect


def test_filter_by_class(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    cards = page.locator("[class*=st-key-open-films-]")
    expect(cards).to_have_count(24)
    page.locator(".st-key-label").get_by_text("Pneumonia").click()
    expect(page.locator(".st-key-toolbar")).to_contain_text("74 films")
    expect(cards.filter(has_text="Pneumonia")).to_have_count(24)
    expect(cards.filter(has_text="Normal")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"label=Pneumonia"))

    page.reload()
    expect(page.locator(".st-key-toolbar")).to_contain_text("74 films")
    expect(cards.filter(has_text="Pneumonia")).to_have_count(24)


def test_every_film_says_its_class_in_words(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?split=Test")
    pictures = page.locator(".st-key-films img")
    expect(pictures).to_have_count(20)
    words = [picture.get_attribute("alt") or "" for picture in pictures.all()]
    assert sum(word.endswith(", normal") for word in words) == 8
    assert sum(word.endswith(", pneumonia") for word in words) == 12


def test_a_click_on_the_picture_opens_the_film_and_escape_closes_it(
    page: Page, server: str
) -> None:
    page.goto(f"{server}/browse")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    page.locator(".st-key-card-films-2").click(position={"x": 60, "y": 40})
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("img").first).to_be_visible()
    expect(dialog).to_contain_text("3 of 124")
    expect(page).to_have_url(re.compile(r"film=train"))

    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("4 of 124")
    page.reload()
    expect(dialog).to_contain_text("4 of 124")

    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile(r"film="))


def test_films_open_from_the_keyboard(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    page.locator(".st-key-open-films-0 button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("1 of 124")


def test_a_page_turn_is_remembered(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    first = page.locator(".st-key-card-films-0 img")
    before = first.get_attribute("alt") or ""
    page.locator(".st-key-page").get_by_text("2", exact=True).click()
    expect(first).not_to_have_attribute("alt", before)
    after = first.get_attribute("alt") or ""
    page.reload()
    expect(first).to_have_attribute("alt", after)


def test_nothing_is_cut_off_on_a_telephone(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}/browse")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    one, two = (page.locator(f".st-key-card-films-{n}").bounding_box() for n in (0, 1))
    assert one is not None and two is not None
    assert one["y"] == two["y"] and two["x"] + two["width"] <= 390  # side by side


def test_a_folder_is_opened_and_another_layout_explained(
    page: Page, server: str, served_home: Path, sample_root: Path
) -> None:
    page.goto(f"{server}/browse")
    page.locator(".st-key-switcher button").first.click()
    page.locator(".st-key-folder input").fill(str(served_home))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Expected radiographs")
    page.locator(".st-key-switcher button").first.click()
    page.locator(".st-key-folder input").fill(str(sample_root))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".st-key-switcher")).to_contain_text(sample_root.name)
    # Back, for the other tests.
    page.locator(".st-key-switcher button").first.click()
    page.locator(".st-key-choose-sample button").click()
    expect(page.locator(".st-key-switcher")).to_contain_text("Sample set")
