"""Dropping radiographs on the Predict page."""

import base64
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

COLOURED = """canvas => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) coloured += Math.abs(data[i] - data[i + 2]) > 30;
    return coloured / (data.length / 4);
}"""
"""The share of a picture's pixels whose red and blue differ clearly."""


def open_predict(page: Page, server: str) -> None:
    """Open the page; the first visit settles the theme and may reload it under our hands."""
    page.goto(server)
    page.wait_for_function("localStorage.getItem('pneumoTheme')")
    page.goto(f"{server}/predict")
    expect(page.locator(".st-key-examples img")).to_have_count(6)


def drop(target: Locator, film: Path) -> None:
    """Drop a file as a hand would, with the events of a real drag."""
    target.evaluate(
        """(target, [name, content]) => {
            const dataTransfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            dataTransfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
            for (const event of ["dragenter", "dragover", "drop"])
                target.dispatchEvent(new DragEvent(event, {bubbles: true, dataTransfer}));
        }""",
        [film.name, base64.b64encode(film.read_bytes()).decode()],
    )


def drop_one(page: Page, server: str, sample_root: Path) -> Path:
    """Open the page and drop a film of pneumonia on it. Returns the film."""
    film = min(sample_root.glob("test/PNEUMONIA/*.jpeg"))
    open_predict(page, server)
    drop(page.get_by_test_id("stFileUploaderDropzone"), film)
    return film


def test_a_dropped_film_shows_verdict_and_overlay(
    server: str, page: Page, sample_root: Path
) -> None:
    film = drop_one(page, server, sample_root)
    verdict = page.locator(".st-key-verdict")
    expect(verdict).to_contain_text("Probability of pneumonia")
    expect(verdict).to_contain_text("Decision support, not a diagnosis")
    expect(page.locator(".st-key-verdict .js-plotly-plot")).to_be_visible()
    original = page.get_by_role("img", name=f"Chest radiograph {film.name}, original")
    overlay = page.get_by_role("img", name="with a heat map")
    expect(original).to_be_visible()
    expect(overlay).to_be_visible()
    expect(page.locator(".badge")).to_have_text("1.0×, full detail")
    assert original.evaluate(COLOURED) == 0
    assert overlay.evaluate(COLOURED) > 0.01


def test_an_example_answers_who_has_no_file(server: str, page: Page) -> None:
    open_predict(page, server)
    page.locator(".st-key-card-example-3").click(position={"x": 40, "y": 30})  # the picture
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
    page.reload()
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")


def test_a_dropped_film_is_still_there_after_a_look_at_another_page(
    server: str, page: Page, sample_root: Path
) -> None:
    film = drop_one(page, server, sample_root)
    verdict = page.locator(".st-key-verdict")
    expect(verdict).to_contain_text("Probability of pneumonia")
    page.get_by_role("link", name="Browse").click()
    expect(page.locator(".st-key-films img")).to_have_count(24)
    page.get_by_role("link", name="Predict").click()
    expect(page.locator(".st-key-kept")).to_contain_text(film.name)
    expect(verdict).to_contain_text("Probability of pneumonia")
    page.locator(".st-key-let-go button").click()
    expect(verdict).to_have_count(0)
    expect(page.locator(".st-key-kept")).to_have_count(0)


def test_going_back_to_a_film_keeps_how_it_was_read(
    server: str, page: Page, sample_root: Path
) -> None:
    film = drop_one(page, server, sample_root)
    verdict = page.locator(".st-key-verdict")
    verdict.get_by_role("radio", name="High sensitivity").click()
    expect(page).to_have_url(f"{server}/predict?operating-point=High+sensitivity")
    page.get_by_role("link", name="Train").click()
    expect(page).to_have_url(f"{server}/train")
    page.go_back()
    expect(page.locator(".st-key-kept")).to_contain_text(film.name)
    expect(verdict.get_by_role("radio", name="High sensitivity")).to_be_checked()
    expect(page).to_have_url(f"{server}/predict?operating-point=High+sensitivity")
