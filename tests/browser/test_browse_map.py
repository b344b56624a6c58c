"""The map of a data set in a browser: films are chosen by drawing round them."""

import re

from playwright.sync_api import Page, expect


def drag(page: Page, *corners: tuple[float, float]) -> None:
    """Draw across the map from corner to corner, given as shares of its width and height."""
    area = page.locator(".js-plotly-plot .nsewdrag")
    expect(area).to_be_visible()
    box = area.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def test_films_that_are_drawn_round_are_listed_and_open(server: str, page: Page) -> None:
    page.goto(f"{server}/browse?view=Map&label=Pneumonia")
    page.locator(".st-key-ask-all button:visible").click()
    expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=120_000)
    listed = page.locator(".st-key-map-selected-films img")
    expect(page.get_by_text("Draw round points on the map")).to_be_visible()

    # With the lasso: all of them, and then but some.
    drag(page, (0.005, 0.005), (0.995, 0.005), (0.995, 0.995), (0.005, 0.995), (0.005, 0.005))
    expect(page.get_by_text("74 films selected")).to_be_visible()
    expect(listed).to_have_count(12)
    drag(page, (0.01, 0.01), (0.6, 0.01), (0.6, 0.99), (0.01, 0.99), (0.01, 0.01))
    expect(page.get_by_text("74 films selected")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"^\d+ films? selected"))).to_be_visible()

    # A film opens among them, and the selection is there on the way back and after a reload.
    words = page.get_by_text(re.compile(r"^\d+ films? selected")).inner_text()
    page.locator("[class*=st-key-open-map-selected-films-] button").first.click()
    expect(page).to_have_url(re.compile("film="))
    expect(page.locator(".st-key-film-toolbar")).to_contain_text(f"1 of {words.split()[0]}")
    page.locator(".st-key-back button").click()
    expect(page.get_by_text(words)).to_be_visible()
    expect(page).not_to_have_url(re.compile("film="))
    page.reload()
    expect(page.get_by_text(words)).to_be_visible()
    page.locator(".st-key-map-clear button").click()
    expect(page.get_by_text("Draw round points on the map")).to_be_visible()

    # With the box, once the chart has made way for one without a selection.
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    page.locator(".modebar-btn[data-val=select]").click()
    drag(page, (0.005, 0.005), (0.995, 0.995))
    expect(page.get_by_text("74 films selected")).to_be_visible()
