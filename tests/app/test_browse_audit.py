"""The audit of a data set and its remedies, on the pages but without a browser."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import browse_audit, work
from pneumo.audit import findings
from pneumo.audit.examine import examine
from pneumo.audit.films import READING
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import sources, splits
from pneumo.datasets.film_store import Cancelled
from pneumo.settings import Settings
from pneumo.training import runs
from tests.app.conftest import words
from tests.audit.planted import film, healthy_set, write

Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy within `train`, an image under both labels, a file that is no film; read only."""
    root = tmp_path_factory.mktemp("planted")
    healthy_set(root, persons=12)
    normal, ill = root / "train" / "NORMAL", root / "train" / "PNEUMONIA"
    for number in range(7):
        shutil.copy(normal / f"IM-{number:04}-0001.jpeg", normal / f"IM-09{number:02}-0001.jpeg")
    shutil.copy(normal / "IM-0008-0001.jpeg", ill / "person903_virus_1.jpeg")
    (ill / "person5_bacteria_5.jpeg").write_text("not a film")
    return root


@pytest.fixture
def root(planted: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The planted set, chosen."""
    monkeypatch.setattr(findings, "FEW_FILMS", 10)
    sources.choose(sources.at(planted), installation)
    return planted


@pytest.fixture
def audited(root: Path, installation: Settings) -> pd.DataFrame:
    """Its catalogue, after an audit in which nobody doubts labels."""
    table = catalogs.build(root, cache=installation.found_of(root))
    examine(table, installation, name="planted")
    return table


def until(page: AppTest, found: Callable[[AppTest], object]) -> None:
    """Draw the page anew until something is there."""
    for _ in range(600):
        if found(page):
            assert not page.exception
            return
        time.sleep(0.1)
        page.run()
    raise AssertionError(words(page))


def keys(page: AppTest) -> set[str]:
    return {button.key for button in page.button if button.key}


def titles(page: AppTest) -> list[str]:
    return [it.label for it in page.expander]


def open_finding(page: AppTest, code: str) -> AppTest:
    page.query_params["finding"] = code
    return page.run()


def test_an_audit_at_a_click(open_page: Open, root: Path) -> None:
    page = open_page("browse", view="audit")
    assert "has not been audited yet" in words(page)
    assert "Of films that it was trained on it has learned the labels" in words(page)
    page.button(key="audit").click().run()
    until(page, titles)
    assert titles(page)[0] == ":red-badge[:material/error: Serious] 1 image under both labels"
    assert any("8 images stored more than once" in it for it in titles(page))
    assert "79 films audited" in words(page)
    assert ":red-badge[:material/error: 1 serious]" in words(page)


def test_what_is_kept_is_there_at_once(
    open_page: Open, audited: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "begin", lambda *arguments: pytest.fail("nothing is to be done"))
    page = open_page("browse", view="audit", witness="Nobody")
    assert titles(page)
    assert "The audit looks for everything else." in words(page)
    (chart,) = page.get("plotly_chart")
    assert "AUC of" in chart.proto.alt and "all of these together: " in chart.proto.alt
    assert [it.proto.label for it in page.get("download_button")] == [
        *("Cleaned list (CSV)", "Report (HTML)", "All findings (JSON)")
    ]


def test_the_films_behind_a_finding_are_a_click_away(
    open_page: Open, audited: pd.DataFrame
) -> None:
    page = open_finding(open_page("browse", view="audit", witness="Nobody"), "duplicates")
    assert "count double in training" in words(page)
    assert "**What to do.** Keep one of each" in words(page)
    listed = [it.key for it in page.button if (it.key or "").startswith("open-duplicates-")]
    assert len(listed) == browse_audit.SHOWN
    assert "16 films" in words(page)
    page.button(key=listed[0]).click().run()
    assert page.query_params["film"] == listed[0].removeprefix("open-duplicates-")
    assert "1 of 16" in words(page), "it is among the films of the finding"
    page.button(key="next").click().run()
    assert page.query_params["film"] == listed[1].removeprefix("open-duplicates-")
    page.button(key="back").click().run()
    assert not page.exception
    assert set(listed) <= keys(page), "what was open is open"


def test_one_finding_is_open_at_a_time_and_the_address_says_which(
    open_page: Open, audited: pd.DataFrame
) -> None:
    page = open_page("browse", view="audit", witness="Nobody", finding="duplicates", page="2")
    assert "open-contradictory_labels" not in " ".join(keys(page))
    on_second_page = {it for it in keys(page) if it.startswith("open-duplicates-")}
    assert len(on_second_page) == 16 - browse_audit.SHOWN


def test_files_that_cannot_be_read_have_their_reasons(
    open_page: Open, audited: pd.DataFrame
) -> None:
    page = open_finding(open_page("browse", view="audit", witness="Nobody"), "unreadable")
    (table,) = page.dataframe
    assert list(table.value["File"]) == ["train/PNEUMONIA/person5_bacteria_5.jpeg"]
    assert table.value["Reason"][0].startswith("A radiograph must be a JPEG")


def test_an_audit_says_where_it_is_and_can_be_cancelled(
    open_page: Open, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def endless(*rest: object, progress: Callable[..., None], **options: object) -> None:
        cancelled = options["cancelled"]
        progress(READING, 40, 80)
        asked.set()
        while not cancelled():  # type: ignore[operator]
            time.sleep(0.01)
        raise Cancelled

    monkeypatch.setattr(browse_audit, "examine", endless)
    page = open_page("browse", view="audit", witness="Nobody")
    page.button(key="audit").click().run()
    assert asked.wait(30)
    (bar,) = page.get("progress")
    assert bar.proto.text == "Reading the films: 40 of 80 films"
    page.button(key="cancel-work").click().run()
    until(page, lambda page: "audit" in keys(page))
    assert "Cancelled. What it has read it need not read again." in words(page)


# The new split --------------------------------------------------------------------------


def in_use(root: Path, installation: Settings) -> pd.DataFrame:
    dataset = sources.locate(sources.at(root), installation)
    return sources.read_catalog(dataset, installation)


def test_a_new_split_is_used_by_all_pages_until_it_is_undone(
    open_page: Open, audited: pd.DataFrame, root: Path, installation: Settings
) -> None:
    page = open_page("browse", view="audit", witness="Nobody")
    page.button(key="resplit").click().run()
    until(page, lambda page: "undo-split-here" in keys(page))
    assert titles(page), "the new split has been audited"
    divided = in_use(root, installation)
    same = divided[divided["path"].str.endswith(("IM-0008-0001.jpeg", "person903_virus_1.jpeg"))]
    assert same["split"].nunique() == 1
    train = int((divided["split"] == "train").sum())
    assert train != int((audited["split"] == "train").sum())

    browse = open_page("browse", split="Train")
    assert f"**{train:,}** films" in words(browse)
    assert "Patients and duplicates are dealt anew" in words(browse)
    assert "Patients and duplicates are dealt anew" in words(open_page("models"))

    browse.button(key="undo-split").click().run()
    assert not browse.exception
    assert "dealt anew" not in words(browse)
    assert "resplit" not in in_use(root, installation).attrs


def test_a_training_learns_from_the_new_split(
    open_page: Open, audited: pd.DataFrame, root: Path, installation: Settings
) -> None:
    file = splits.split_file(installation, root)
    splits.save_split(splits.resplit(audited, splits.persons(audited)), file)
    page = open_page("train")
    page.button(key="start").click().run()
    assert not page.exception
    run = runs.find(installation, "latest")
    divided = in_use(root, installation)
    assert run.data.resplit == divided.attrs["resplit"]
    trained = {Path(it.path).relative_to(root).as_posix() for it in run.images()}
    assert trained == set(divided.loc[divided["split"] == "train", "path"])


def test_a_lesion_is_found_whatever_split_is_in_use(
    open_page: Open, sample_root: Path, installation: Settings
) -> None:
    sources.choose(sources.at(sample_root), installation)
    table = catalogs.build(sample_root)
    divided = splits.resplit(table, splits.persons(table))
    splits.save_split(divided, splits.split_file(installation, sample_root))
    moved = (divided["split"] != table["split"]) & (table["label"] == "PNEUMONIA")
    page = open_page("browse", film=table.loc[moved, "path"].iloc[0], shown="Label")
    page.toggle(key="outline").set_value(True).run()
    assert not page.exception


def test_too_few_patients_are_not_split(
    open_page: Open, tmp_path: Path, installation: Settings
) -> None:
    root = tmp_path / "few"
    for number in range(2):
        for label, ill in (("NORMAL", False), ("PNEUMONIA", True)):
            write(root / "train" / label / f"IM-{number}-1.jpeg", film(number, ill=ill))
    sources.choose(sources.at(root), installation)
    examine(catalogs.build(root), installation, name="few")
    page = open_page("browse", view="audit", witness="Nobody")
    assert "There are too few patients to say" in words(page)
    page.button(key="resplit").click().run()
    assert not page.exception
    assert "would hold no" in page.error[0].value
    assert not splits.split_file(installation, root).exists()


def test_a_split_from_before_a_film_was_added_stops_the_page_and_can_be_undone(
    open_page: Open, audited: pd.DataFrame, root: Path, installation: Settings
) -> None:
    file = splits.split_file(installation, root)
    divided = splits.resplit(audited, splits.persons(audited))
    splits.save_split(divided.iloc[1:], file)
    page = open_page("browse")
    assert "must name every film" in page.error[0].value
    page.button(key="undo-split").click().run()
    assert not page.exception and not page.error
    assert page.metric[0].value == "79"
