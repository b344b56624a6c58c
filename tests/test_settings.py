"""Folders and limits from the environment; choices that are remembered."""

from pathlib import Path
from threading import Event, Thread

import pytest

from pneumo import settings
from pneumo.settings import Settings


def test_home_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path / "here"))
    installation = settings.load()
    assert installation.home == tmp_path / "here"
    assert installation.runs == tmp_path / "here" / "runs"
    assert installation.recipes == tmp_path / "here" / "recipes"
    assert not installation.home.exists()  # nothing is written by asking

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PNEUMO_HOME")
    assert settings.load().home == tmp_path / ".pneumo"


def test_limits_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMO_MAX_FILE_MIB", "1.5")
    monkeypatch.setenv("PNEUMO_MAX_MEGAPIXELS", "2")
    limits = settings.load().image_limits
    assert (limits.max_bytes, limits.max_pixels) == (1_572_864, 2_000_000)


@pytest.mark.parametrize("variable", ["PNEUMO_MAX_FILE_MIB", "PNEUMO_MAX_MEGAPIXELS"])
@pytest.mark.parametrize("text", ["0", "-3", "many", "", "nan"])
def test_a_limit_that_is_no_positive_number_is_refused(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=f"`{variable}` must be a positive number.*{text!r}"):
        settings.load()


def test_choices_are_remembered_beside_each_other(installation: Settings) -> None:
    assert settings.choice(installation, "theme") is None
    settings.remember(installation, "theme", "dark")
    settings.remember(installation, "columns", [3, 4])
    settings.remember(installation, "theme", "light")
    assert settings.choice(installation, "theme") == "light"
    assert settings.choice(installation, "columns") == [3, 4]
    assert settings.choice(installation, "unheard of") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_choices_that_cannot_be_read_are_forgotten(installation: Settings, text: str) -> None:
    settings.write_text(installation.choices_file, text)
    assert settings.choice(installation, "theme") is None
    settings.remember(installation, "theme", "dark")
    assert settings.choice(installation, "theme") == "dark"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    texts = {letter * 200_000 for letter in "ab"}
    settings.write_text(path, "a" * 200_000)
    done = Event()

    def write() -> None:
        for _ in range(50):
            for text in texts:
                settings.write_text(path, text)
        done.set()

    writer = Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_text() in texts
    writer.join()
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


def test_a_failing_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), settings.written_whole(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    with settings.written_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_that_was_deleted_is_made_again_only_by_those_who_want_it(tmp_path: Path) -> None:
    path = tmp_path / "deleted" / "state.json"
    with pytest.raises(FileNotFoundError), settings.written_whole(path) as temporary:
        temporary.write_text("x")
    assert not path.parent.exists()
    settings.write_bytes(path, b"x")
    assert path.read_bytes() == b"x"
