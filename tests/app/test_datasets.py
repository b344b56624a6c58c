"""Every way to a data set, as the pages offer it, driven without a browser."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pneumo.datasets import catalog, kaggle, sources, unpacking
from pneumo.settings import Settings
from tests.app.conftest import words

Opening = Callable[..., AppTest]


@pytest.fixture
def films(sample_root: Path) -> dict[str, list[Path]]:
    """A few synthetic films of each class."""
    return {
        label: sorted((sample_root / "train" / label).iterdir())[:6] for label in catalog.LABELS
    }


@pytest.fixture
def other_layout(films: dict[str, list[Path]], tmp_path: Path, installation: Settings) -> Path:
    """A folder in a layout of its own, chosen."""
    root = tmp_path / "radiography"
    for folder, label in (("Normal/images", "NORMAL"), ("sick", "PNEUMONIA")):
        (root / folder).mkdir(parents=True)
        for film in films[label]:
            shutil.copy(film, root / folder)
    sources.choose(sources.at(root), installation)
    return root


@pytest.fixture
def archive(films: dict[str, list[Path]], tmp_path: Path) -> Path:
    """The same films in a ZIP file."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as file:
        for label, members in films.items():
            for film in members:
                file.write(film, f"chest_xray/train/{label}/{film.name}")
    return path


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    button.click().run()
    assert not app.exception
    return app


def count(app: AppTest) -> str:
    return app.metric[0].value


def test_another_layout_is_explained_and_mapped(
    open_page: Opening, other_layout: Path, installation: Settings
) -> None:
    app = open_page("browse")
    assert "Expected radiographs" in app.warning[0].value
    assert "Normal, sick" in app.warning[0].value
    # What the names tell is filled in.
    assert app.selectbox(key="class-of-Normal/images").value == "NORMAL"
    assert app.selectbox(key="class-of-sick").value == "Leave out"

    app.selectbox(key="class-of-sick").set_value("PNEUMONIA")
    app.selectbox(key="split-of-sick").set_value("test")
    press(app, "Read these films")

    assert count(app) == "12"
    rows = catalog.build(
        other_layout,
        class_folders=sources.locate(sources.chosen(installation), installation).class_folders,
    )
    assert set(rows.loc[rows["label"] == "PNEUMONIA", "split"]) == {"test"}
    assert len(list(other_layout.rglob("*.json"))) == 0


def test_a_mapping_without_a_class_is_asked_for_again(
    open_page: Opening, other_layout: Path
) -> None:
    app = open_page("browse")
    app.selectbox(key="class-of-Normal/images").set_value("Leave out")
    press(app, "Read these films")
    assert "at least one folder" in app.error[0].value
    assert app.selectbox(key="class-of-sick")


def test_a_folder_without_films_is_not_asked_about(
    open_page: Opening, tmp_path: Path, installation: Settings
) -> None:
    (tmp_path / "empty" / "papers").mkdir(parents=True)
    sources.choose(sources.at(tmp_path / "empty"), installation)
    app = open_page("browse")
    assert "no radiograph in any of its folders" in app.error[0].value
    assert not app.selectbox
    assert app.button(key="use-sample")


def test_a_zip_file_is_opened_unpacked_and_shown(
    open_page: Opening, other_layout: Path, archive: Path, installation: Settings
) -> None:
    app = open_page("browse")
    app.text_input(key="folder").set_value(f'"{archive}"')
    press(app, "Open")
    assert count(app) == "12"
    assert sources.chosen(installation).archive == archive
    assert sources.known(installation)[2:] == [sources.at(archive), sources.at(other_layout)]


def test_a_damaged_zip_file_is_explained(
    open_page: Opening, tmp_path: Path, installation: Settings
) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK\x03\x04")
    sources.choose(sources.at(tmp_path / "set.zip"), installation)
    app = open_page("browse")
    assert "no complete ZIP file" in app.error[0].value
    assert app.button(key="use-sample")


def test_a_forgotten_zip_file_leaves_no_copy(
    open_page: Opening, other_layout: Path, archive: Path, installation: Settings
) -> None:
    copy = unpacking.unpack(archive, installation)
    sources.choose(sources.at(archive), installation)
    sources.choose(sources.at(other_layout), installation)
    app = open_page("browse")

    app.button(key=f"forget-{archive}").click().run()

    assert not app.exception
    assert not copy.exists() and archive.exists()
    assert sources.known(installation)[2:] == [sources.at(other_layout)]


@pytest.mark.parametrize(
    ("entered", "told"),
    [
        ("", "Enter the path"),
        ("/nowhere/set.zip", "no such file"),
        ("~nobody-of-that-name/films", "home directory"),
    ],
)
def test_what_cannot_be_opened_is_explained_where_it_was_entered(
    entered: str, told: str, open_page: Opening, other_layout: Path, installation: Settings
) -> None:
    app = open_page("browse")
    app.text_input(key="folder").set_value(entered)
    press(app, "Open")
    assert told in app.error[0].value
    assert sources.chosen(installation).folder == other_layout


def test_kaggle_unreachable_offers_a_folder_and_a_zip_file(
    open_page: Opening, archive: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(archive.parent / "kagglehub"))
    failed = kaggle.Download(status="failed", message="Kaggle cannot be reached.")
    monkeypatch.setattr(kaggle, "progress", lambda settings: failed)
    sources.choose(sources.Source(kind="kaggle"), installation)

    app = open_page("browse")

    assert kaggle.OTHER_WAYS in words(app)
    app.text_input(key="other-way").set_value(str(archive))
    app.button(key="FormSubmitter:other-way-form-Open").click().run()
    assert count(app) == "12"


def test_a_cancelled_download_can_be_resumed(
    open_page: Opening, tmp_path: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    cancelled = kaggle.Download(status="cancelled", message="Cancelled.")
    monkeypatch.setattr(kaggle, "progress", lambda settings: cancelled)
    sources.choose(sources.Source(kind="kaggle"), installation)
    assert open_page("browse").button(key="start-download").label == "Resume"
