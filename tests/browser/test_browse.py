"""Browse in a browser: what AppTest cannot press or see."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from pages.parts.browse_address import AT_ONCE
from tests.browser.test_viewer import PIXELS


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


def test_a_click_that_also_ends_a_search_keeps_it(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    expect(page.locator("[class*=st-key-open-films-]")).to_have_count(24)
    page.locator(".st-key-search input").fill("bacteria")
    page.locator(".st-key-split").get_by_text("Test").click(delay=20)  # at its heels
    expect(page).to_have_url(re.compile(r"(?=.*search=bacteria)(?=.*split=Test)"))


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
    page.goto(f"{server}/browse?split=Train&shown=Label")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    page.locator(".st-key-card-films-2").click(position={"x": 60, "y": 40})
    toolbar = page.locator(".st-key-film-toolbar")
    expect(toolbar).to_contain_text("3 of 100")
    expect(page.locator(".stage")).to_be_visible()
    expect(page).to_have_url(re.compile(r"split=Train.*film=train"))

    page.keyboard.press("ArrowRight")
    expect(toolbar).to_contain_text("4 of 100")
    page.reload()
    expect(toolbar).to_contain_text("4 of 100")

    # With the film in focus these keys are the viewer's.
    expect(page.locator(".badge")).to_contain_text("1.0×")
    page.locator(".stage").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".badge")).to_contain_text("1.5×")
    page.keyboard.press("Escape")
    expect(toolbar).to_contain_text("4 of 100")

    page.keyboard.press("Escape")
    expect(toolbar).to_have_count(0)
    expect(page.locator(".st-key-toolbar")).to_contain_text("100 films")
    expect(page).not_to_have_url(re.compile(r"film="))
    page.wait_for_timeout(1000 * AT_ONCE)  # nobody is quicker
    page.go_back()
    expect(toolbar).to_contain_text("4 of 100")


def test_films_are_shown_from_their_top_and_the_grid_as_it_was_left(
    page: Page, server: str
) -> None:
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    page.goto(f"{server}/browse?shown=Label")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    last = page.locator(".st-key-card-films-23")
    last.scroll_into_view_if_needed()
    left = page.evaluate(scrolled)
    assert left > 100
    last.click(position={"x": 60, "y": 40})
    expect(page.locator(".st-key-film-toolbar")).to_contain_text("24 of 124")
    expect(page.locator(".stage")).to_be_in_viewport()
    page.wait_for_function(f"{scrolled} === 0")
    page.keyboard.press("Escape")
    page.wait_for_function(f"Math.abs({scrolled} - {left}) <= 1")  # the list grows on its way
    expect(last).to_be_in_viewport()


def test_a_blinded_reader_is_told_on_request(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?split=Test")
    page.locator(".st-key-blinding button").click()
    page.get_by_text("Film only", exact=True).click()
    cards = page.locator("[class*=st-key-open-films-]")
    expect(cards.filter(has_text=re.compile(r"^Film \w{6}$"))).to_have_count(20)
    cards.first.locator("button").click()
    expect(page.get_by_text("What do you see?")).to_be_visible()
    assert "NORMAL" not in page.url and "PNEUMONIA" not in page.url
    assert not re.search("IM-|person", page.content())
    page.keyboard.press("l")
    expect(page.get_by_text("Labelled")).to_be_visible()
    expect(page.get_by_text("Decision support, not a diagnosis.")).to_be_visible()


def test_films_open_from_the_keyboard(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?shown=Label")
    page.locator(".st-key-open-films-0 button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-film-toolbar")).to_contain_text("1 of 124")


def test_compared_films_are_zoomed_as_one(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?shown=Label")
    for place in (0, 3):
        box = page.locator(f".st-key-card-films-{place}").get_by_text("Compare")
        box.locator("xpath=ancestor::label").click()
        expect(page.locator(".st-key-view")).to_contain_text(f"Compare ({1 if place == 0 else 2})")
    expect(page.locator(".st-key-toolbar")).to_be_visible()  # the film did not open
    page.locator(".st-key-view").get_by_text("Compare").click()
    expect(page.locator(".stage canvas")).to_have_count(2)
    expect(page.locator(".badge")).to_contain_text("1.0×")
    before = [pane.evaluate(PIXELS) for pane in page.locator(".stage canvas").all()]
    page.locator(".stage").focus()
    page.keyboard.press("+")
    expect(page.locator(".badge")).to_contain_text("1.5×")
    after = [pane.evaluate(PIXELS) for pane in page.locator(".stage canvas").all()]
    assert all(one != other for one, other in zip(before, after, strict=True))

    page.reload()
    expect(page.locator(".stage canvas")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"compare=.*compare="))


def test_a_click_in_a_chart_filters(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?view=charts")
    composition = page.locator("[class*=st-key-chart-composition]")
    composition.locator(".point path").nth(0).click(force=True)  # a layer above takes the click
    expect(page).to_have_url(re.compile(r"split=Train&label=Normal"))
    expect(page.get_by_text("Of the 40 films that fit")).to_be_visible()

    # The charts are drawn afresh: the old ones take no click.
    second = page.locator(".st-key-chart-series-1 .point path").nth(1)
    expect(second).to_be_visible()
    second.click(force=True)
    expect(page).to_have_url(re.compile(r"series=2..2"))
    expect(page.locator(".st-key-drop-series")).to_contain_text("Films of the patient: 2")
    page.reload()
    expect(page.locator(".st-key-drop-series")).to_contain_text("Films of the patient: 2")

    page.locator(".st-key-reset button").click()
    expect(page.get_by_text("Of the 124 films that fit")).to_be_visible()


def test_a_box_in_a_chart_filters(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?view=charts")
    area = page.locator("[class*=st-key-chart-shapes] .nsewdrag")
    expect(area).to_be_visible()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 5, steps=5)
    page.mouse.up()
    expect(page.locator(".st-key-drop-ratio")).to_contain_text("Width to height")
    expect(page).to_have_url(re.compile(r"side=.*ratio="))


def test_a_page_turn_is_remembered(page: Page, server: str) -> None:
    page.goto(f"{server}/browse")
    first = page.locator(".st-key-card-films-0 img")
    before = first.get_attribute("alt") or ""
    below = page.locator(".st-key-page-below")
    below.scroll_into_view_if_needed()
    expect(page.locator(".st-key-toolbar")).not_to_be_in_viewport()
    below.get_by_text("2", exact=True).click()
    expect(first).not_to_have_attribute("alt", before)
    expect(page.locator(".st-key-toolbar")).to_be_in_viewport()  # another page from its first film
    after = first.get_attribute("alt") or ""
    page.reload()
    expect(first).to_have_attribute("alt", after)


def test_browse_is_found_as_it_was_left(page: Page, server: str) -> None:
    page.goto(f"{server}/browse?split=Test&label=Normal")
    cards = page.locator("[class*=st-key-open-films-]")
    expect(cards).to_have_count(8)
    page.get_by_role("link", name="Models").click()
    expect(page.locator("h1")).to_have_text("Models")
    page.get_by_role("link", name="Browse").click()
    expect(cards).to_have_count(8)
    expect(page).to_have_url(re.compile(r"browse\?split=Test&label=Normal"))


def test_nothing_is_cut_off_on_a_telephone(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}/browse")
    expect(page.locator(".st-key-films img")).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    one, two = (page.locator(f".st-key-card-films-{n}").bounding_box() for n in (0, 1))
    assert one is not None and two is not None
    assert one["y"] == two["y"] and two["x"] + two["width"] <= 390  # side by side


def test_a_folder_is_opened_and_one_without_films_is_explained(
    page: Page, server: str, served_home: Path, sample_root: Path
) -> None:
    page.goto(f"{server}/browse")
    page.locator(".st-key-switcher button").first.click()
    page.locator(".st-key-folder input").fill(str(served_home))
    page.get_by_test_id("stBaseButton-secondaryFormSubmit").click()
    # It holds no film that anybody could map: the form says so, and the data set stays.
    expect(page.get_by_role("alert")).to_contain_text("Expected radiographs")
    expect(page.locator("[class*=st-key-open-films-]")).to_have_count(24)
    page.locator(".st-key-folder input").fill(str(sample_root))
    page.get_by_test_id("stBaseButton-secondaryFormSubmit").click()
    expect(page.locator(".st-key-switcher")).to_contain_text(sample_root.name)
    # Back, for the other tests.
    page.locator(".st-key-switcher button").first.click()
    page.locator(".st-key-choose-sample button").click()
    expect(page.locator(".st-key-switcher")).to_contain_text("Sample set")
