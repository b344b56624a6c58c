"""Many radiographs on the Predict page: what only a browser shows."""

import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_predict import open_predict


@pytest.fixture
def films(sample_root: Path) -> list[Path]:
    return sorted(sample_root.glob("test/*/*.jpeg"))


def choose(page: Page, *files: Path) -> None:
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(files)


def shown(page: Page) -> str:
    """The name of the film that the page shows."""
    return page.locator(".st-key-verdict p").first.inner_text()


def expect_kind(page: Page, text: str) -> None:
    expect(page.locator(".st-key-kind").get_by_text(text, exact=True)).to_be_visible()


def test_bad_files_among_many_and_the_way_through(
    server: str, page: Page, films: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "letter.jpeg").write_text("no film")
    (tmp_path / "labels.csv").write_text(
        "\n".join(["file;label", *(f"{film.name};{film.parent.name}" for film in films)])
    )
    open_predict(page, server)
    choose(page, *films, tmp_path / "letter.jpeg", tmp_path / "labels.csv")
    expect_kind(page, f"All {len(films) + 1}")
    expect_kind(page, "Not read 1")
    expect(page.get_by_text(f"of {len(films)} of {len(films) + 1} films")).to_be_visible()
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
    # By keyboard, there and back.
    first = shown(page)
    page.keyboard.press("n")
    expect(page.locator(".st-key-walk")).to_contain_text("2 of 21")
    expect(page.locator(".st-key-verdict")).not_to_contain_text(first)
    second = shown(page)
    page.keyboard.press("p")
    expect(page.locator(".st-key-verdict")).to_contain_text(first)
    # By a click on the second row.
    table = page.locator(".st-key-table .dvn-scroller")
    table.click(position={"x": 300, "y": 110})
    expect(page.locator(".st-key-verdict")).to_contain_text(second)
    expect(page.locator(".st-key-walk")).to_contain_text("2 of 21")
    # The same answers to take away.
    with page.expect_download() as download:
        page.locator(".st-key-json button").click()
    answers = json.loads(download.value.path().read_text())
    assert [it["file"] for it in answers["files"]][:2] == [first, second]
    assert [it["file"] for it in answers["files"] if "error" in it] == ["letter.jpeg"]
    # A further file changes neither the film that is shown nor what is known.
    (tmp_path / "other.jpeg").write_text("no film either")
    choose(page, tmp_path / "other.jpeg")
    expect_kind(page, "Not read 2")
    expect(page.locator(".st-key-verdict")).to_contain_text(second)


def test_a_zip_with_a_bomb_and_a_letter_in_it(
    server: str, page: Page, films: list[Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for film in films[:3]:
            packed.write(film, f"ward/{film.name}")
        packed.writestr("__MACOSX/ward/._x.jpeg", b"x")
        packed.writestr("ward/letter.txt", b"Dear colleague")
        packed.writestr("ward/bomb.jpeg", b"\0" * (100 * 2**20 + 1))
    assert (tmp_path / "films.zip").stat().st_size < 2**20
    open_predict(page, server)
    choose(page, tmp_path / "films.zip")
    expect_kind(page, "All 5")
    expect_kind(page, "Not read 2")
    page.locator(".st-key-kind").get_by_text("Not read 2").click()
    expect(page.get_by_role("alert")).to_contain_text("letter.txt")
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("bomb.jpeg")
    expect(page.get_by_role("alert")).to_contain_text("Received: more, once inflated")


def test_results_come_one_by_one_until_cancelled(
    server: str, page: Page, films: list[Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as packed:
        for number in range(2000):
            packed.write(films[number % len(films)], f"{number}.jpeg")
    open_predict(page, server)
    choose(page, tmp_path / "films.zip")
    progress = page.locator(".st-key-progress")
    expect(progress).to_contain_text("of 2,000 films, about")
    expect(page.locator(".st-key-table-live canvas").first).to_be_visible()
    expect(page.locator(".st-key-verdict")).to_have_count(0)
    page.locator(".st-key-cancel button").click()
    expect(progress).to_contain_text("Cancelled after")
    page.locator(".st-key-table .dvn-scroller").click(position={"x": 300, "y": 60})
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
