"""The radiograph viewer of the Predict page: what happens in the browser alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from pneumo.datasets import phantom
from tests.browser.test_predict import open_predict

PIXELS = "canvas => canvas.toDataURL()"
CONTRAST = """canvas => {
    const side = 60, [x, y] = [(canvas.width - side) / 2, (canvas.height - side) / 2];
    const data = canvas.getContext("2d").getImageData(x, y, side, side).data;
    const greys = Array.from({length: side * side}, (_, i) => data[4 * i]);
    const mean = greys.reduce((sum, grey) => sum + grey) / greys.length;
    return Math.sqrt(greys.reduce((sum, grey) => sum + (grey - mean) ** 2, 0) / greys.length);
}"""
"""The standard deviation of the grey levels in the middle of a canvas."""


@pytest.fixture(scope="session")
def large_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 2,000 rows with stripes in its middle, each a pixel wide."""
    film = phantom.acquire("bacterial", seed=3).pixels
    height, width = 2000, round(2000 * film.shape[1] / film.shape[0])
    film = cv2.resize(film, (width, height), interpolation=cv2.INTER_CUBIC)
    middle = film[height // 2 - 300 : height // 2 + 300, width // 2 - 300 : width // 2 + 300]
    middle[:] = np.tile(np.array([20, 220], np.uint8), 300)
    path = tmp_path_factory.mktemp("large") / "large.png"
    cv2.imwrite(str(path), film)
    return path


def open_film(page: Page, server: str, film: Path) -> Locator:
    """Opens a film on the Predict page. Returns the stage of its viewer."""
    open_predict(page, server)
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(film)
    expect(page.locator(".badge")).to_contain_text("1.0×")
    return page.locator(".stage")


def press(page: Page, stage: Locator, *keys: str) -> None:
    stage.focus()
    for key in keys:
        page.keyboard.press(key)


def canvases(page: Page) -> list[str]:
    """What original and overlay show, once all is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return [canvas.evaluate(PIXELS) for canvas in page.locator(".stage canvas").all()]


def test_zooming_in_brings_the_region_in_full_detail(
    server: str, page: Page, large_film: Path
) -> None:
    received: list[int] = []
    page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda it: received.append(len(it)))
    )
    stage = open_film(page, server, large_film)
    original = page.locator(".stage canvas").first
    assert original.evaluate(CONTRAST) < 20, "reduced, the stripes are grey"
    received.clear()
    press(page, stage, *"++++++")
    expect(page.locator(".badge")).to_have_text("11.4×, full detail")
    assert original.evaluate(CONTRAST) > 50
    assert 0 < sum(received) < 500_000
    press(page, stage, "0")
    expect(page.locator(".badge")).to_have_text("1.0×")


def test_the_two_panes_stay_in_step(server: str, page: Page, large_film: Path) -> None:
    stage = open_film(page, server, large_film)
    whole = canvases(page)
    assert whole[0] != whole[1], "one has a heat map"
    press(page, stage, "h", "+", "+", "ArrowLeft", "ArrowUp")
    expect(page.locator(".badge")).to_contain_text("2.3×")
    original, overlay = canvases(page)
    assert original == overlay != whole[0]


def test_what_changes_the_picture_needs_no_server(
    server: str, page: Page, sample_root: Path
) -> None:
    sent: list[bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda it: sent.append(it)))
    stage = open_film(page, server, min(sample_root.glob("test/PNEUMONIA/*_bacteria_*.jpeg")))
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    sent.clear()
    seen = [canvases(page)]

    def expect_change(*, original: bool) -> None:
        now = canvases(page)
        assert now[1] not in [before[1] for before in seen]
        assert (now[0] != seen[-1][0]) == original
        seen.append(now)

    page.locator("[name=opacity]").fill("80")
    expect_change(original=False)
    page.locator("[name=outline]").fill("50")
    expect_change(original=False)
    page.locator("[name=palette]").select_option("viridis")
    expect_change(original=False)
    press(page, stage, "i")
    expect_change(original=True)
    press(page, stage, "f")
    expect_change(original=True)
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 40, box["y"] + 120)
    page.mouse.up(button="right")
    expect_change(original=True)
    expect(page.locator(".badge")).to_have_text(
        "1.0×, full detail · flipped · inverted · window 196, level 148"
    )
    reruns = [BackMsg.FromString(it).rerun_script for it in sent]
    assert not [it for it in reruns if not it.is_auto_rerun], "pages redraw some parts by the clock"


def test_swiping_uncovers_the_heat_map(server: str, page: Page, sample_root: Path) -> None:
    stage = open_film(page, server, min(sample_root.glob("test/PNEUMONIA/*.jpeg")))
    divider = page.get_by_role("slider", name="Divider")
    expect(divider).to_be_hidden()
    page.get_by_text("Swipe", exact=True).click()
    box = stage.bounding_box()
    assert box is not None
    divider.hover()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "25")
    expect(page.locator(".pane").last).to_have_css("clip-path", "inset(0px 0px 0px 25%)")
    divider.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "27")


def test_the_wheel_is_the_pages_until_the_film_is_in_focus(
    server: str, page: Page, sample_root: Path
) -> None:
    stage = open_film(page, server, min(sample_root.glob("test/PNEUMONIA/*.jpeg")))
    badge = page.locator(".badge")
    stage.hover()
    page.mouse.wheel(0, -100)
    expect(page.locator(".hint")).to_have_css("opacity", "1")
    expect(badge).to_contain_text("1.0×")
    stage.click()
    page.mouse.wheel(0, -100)
    expect(badge).to_contain_text("1.2×")
    page.keyboard.press("Escape")
    page.mouse.wheel(0, -100)
    expect(badge).to_contain_text("1.2×")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    expect(badge).to_contain_text("1.5×")


def test_another_film_keeps_the_settings_and_shows_itself_whole(server: str, page: Page) -> None:
    open_predict(page, server)
    page.get_by_role("button", name="Bacterial").first.click()
    expect(page.locator(".badge")).to_contain_text("1.0×")
    press(page, page.locator(".stage"), "+", "+", "i")
    expect(page.locator(".badge")).to_have_text("2.3×, full detail · inverted")
    before = canvases(page)
    page.get_by_role("button", name="Viral").first.click()
    expect(page.locator(".badge")).to_have_text("1.0×, full detail · inverted")
    assert canvases(page) != before


def test_on_a_phone_one_pane_is_swiped(server: str, chromium: Browser, sample_root: Path) -> None:
    # Dark, so that the first visit need not reload the page for the theme under our hands.
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark"
    )
    page = context.new_page()
    stage = open_film(page, server, min(sample_root.glob("test/PNEUMONIA/*.jpeg")))
    expect(page.get_by_role("slider", name="Divider")).to_be_visible()
    expect(page.get_by_text("Side by side", exact=True)).to_be_hidden()
    for button in page.locator(".viewer .bar button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    box = stage.bounding_box()
    assert box is not None
    assert box["width"] <= 390
    context.close()
