import zipfile
from pathlib import Path

import pytest

from pneumo.datasets import kaggle, mapping, sample_set, sources, splits, unpacking
from pneumo.datasets.sources import DatasetUnavailable, Source
from pneumo.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    (folder / "train" / "NORMAL").mkdir(parents=True)
    return folder


def test_the_sample_set_is_the_first_choice(settings: Settings) -> None:
    assert sources.chosen(settings) == Source(kind="sample")


def test_a_choice_is_remembered(settings: Settings, folder: Path) -> None:
    for source in (Source(kind="kaggle"), Source(kind="folder", folder=folder)):
        sources.choose(source, settings)
        assert sources.chosen(settings) == source


def test_what_was_opened_stays_on_offer_the_latest_first(
    settings: Settings, tmp_path: Path
) -> None:
    first, second = (sources.at(tmp_path / name) for name in ("first", "second.zip"))
    assert (first.kind, second.kind) == ("folder", "archive")
    for source in (first, second, Source(kind="kaggle"), first):
        sources.choose(source, settings)

    assert sources.known(settings)[2:] == [first, second]
    assert sources.chosen(settings) == first


def test_what_is_forgotten_leaves_nothing_behind(settings: Settings, tmp_path: Path) -> None:
    films = tmp_path / "films"
    (films / "sick").mkdir(parents=True)
    source = sources.at(films)
    sources.choose(source, settings)
    content = mapping.parse("train/PNEUMONIA")
    mapping.save(films, {"sick": content}, settings)
    assert sources.locate(source, settings).class_folders == (
        ("train", "PNEUMONIA", films / "sick"),
    )

    found, split = settings.found_of(films), splits.split_file(settings, films)
    for file in (found / "audit.json", split):
        file.parent.mkdir(parents=True)
        file.touch()
    films.rename(tmp_path / "elsewhere")

    sources.forget(source, settings)

    assert sources.chosen(settings) == Source(kind="sample")
    assert source not in sources.known(settings)
    assert not found.exists() and not split.exists()
    (tmp_path / "elsewhere").rename(films)
    with pytest.raises(sources.OtherLayout):
        sources.locate(source, settings)


def test_a_forgotten_archive_is_kept_but_not_what_was_unpacked(
    settings: Settings, tmp_path: Path
) -> None:
    archive = tmp_path / "films.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("films/train/NORMAL/a.png", b"a")
    source = sources.at(archive)
    sources.choose(source, settings)
    with pytest.raises(DatasetUnavailable, match="Found it packed"):
        sources.locate(source, settings)

    root = unpacking.unpack(archive, settings)
    assert sources.locate(source, settings).root == root
    sources.forget(source, settings)

    assert archive.exists() and not root.exists()


def test_a_folder_that_ends_like_an_archive_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "films.zip").mkdir()
    assert sources.at(tmp_path / "films.zip").kind == "folder"


def test_a_relative_folder_is_remembered_as_absolute(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)

    sources.choose(Source(kind="folder", folder=Path("films")), settings)

    assert sources.chosen(settings).folder == folder


def test_a_folder_is_located_at_its_splits(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "films/chest_xray/train/NORMAL").mkdir(parents=True)

    dataset = sources.locate(Source(kind="folder", folder=tmp_path / "films"), settings)

    assert dataset.root == tmp_path / "films" / "chest_xray"
    assert (dataset.name, dataset.synthetic) == ("films", False)


def test_a_remembered_folder_that_vanished_is_unavailable(settings: Settings, folder: Path) -> None:
    sources.choose(Source(kind="folder", folder=folder), settings)
    (folder / "train" / "NORMAL").rmdir()
    (folder / "train").rmdir()
    folder.rmdir()

    with pytest.raises(DatasetUnavailable, match="does not exist"):
        sources.locate(sources.chosen(settings), settings)


def test_the_kaggle_set_counts_when_marked_complete(settings: Settings) -> None:
    source = Source(kind="kaggle")
    with pytest.raises(DatasetUnavailable, match="Found nothing"):
        sources.locate(source, settings)

    (kaggle.cache_folder() / "chest_xray/train/NORMAL").mkdir(parents=True)
    with pytest.raises(DatasetUnavailable, match="Found an unfinished download"):
        sources.locate(source, settings)

    (kaggle.cache_folder().parents[1] / "2.complete").touch()
    assert sources.locate(source, settings).root == kaggle.cache_folder() / "chest_xray"


def test_the_sample_set_says_how_to_make_it(settings: Settings) -> None:
    with pytest.raises(DatasetUnavailable, match="python -m pneumo data get sample"):
        sources.locate(Source(kind="sample"), settings)


def test_a_complete_sample_set_is_located(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sources.sample_root(settings)
    (root / "train" / "NORMAL").mkdir(parents=True)
    monkeypatch.setattr(sample_set, "is_complete", lambda folder: folder == root)

    dataset = sources.locate(Source(kind="sample"), settings)

    assert dataset.root == root
    assert dataset.synthetic


def test_the_switcher_offers_all_with_their_problems(settings: Settings, folder: Path) -> None:
    assert [(it.source.kind, it.ready) for it in sources.available(settings)] == [
        ("sample", False),
        ("kaggle", False),
    ]

    sources.choose(Source(kind="folder", folder=folder), settings)
    sources.choose(Source(kind="kaggle"), settings)

    offered = sources.available(settings)
    assert [(it.name, it.ready) for it in offered] == [
        ("Sample set (synthetic)", False),
        ("Kaggle Chest X-Ray Images (Pneumonia)", False),
        ("films", True),
    ]
    assert "python -m pneumo data get kaggle" in offered[1].problem


@pytest.mark.parametrize("text", ["{", '{"dataset": "folder"}', '{"dataset": 5}', "[]"])
def test_senseless_memories_mean_the_sample_set(settings: Settings, text: str) -> None:
    settings.home.mkdir()
    settings.choices_file.write_text(text)

    assert sources.chosen(settings) == Source(kind="sample")


@pytest.mark.parametrize("arguments", [{"kind": "folder"}, {"kind": "kaggle", "folder": Path()}])
def test_a_folder_goes_with_its_kind_only(arguments: dict) -> None:
    with pytest.raises(ValueError, match="`folder` goes with the kind 'folder'"):
        Source(**arguments)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="`kind` must be one of"):
        Source(kind="web")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "cannot be read"), ('{"population": "adults"}', "must hold `population` and `credit`")],
)
def test_a_provenance_that_says_nothing_is_refused(
    settings: Settings, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(DatasetUnavailable, match=told):
        sources.locate(Source(kind="folder", folder=tmp_path), settings)


def test_a_folder_is_what_it_says_it_is_and_nothing_is_guessed(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    source = Source(kind="folder", folder=tmp_path)
    guessed = sources.locate(source, settings).provenance
    assert guessed.population == f"the films of {tmp_path.name}"
    (tmp_path / "provenance.json").write_text('{"population": "adults", "credit": "Images: us."}')
    stated = sources.locate(source, settings).provenance
    assert (stated.population, stated.credit) == ("adults", "Images: us.")
