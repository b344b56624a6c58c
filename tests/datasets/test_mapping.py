"""What folders hold, said by hand."""

import json
from pathlib import Path

import pytest

from pneumo.datasets import mapping
from pneumo.datasets.catalog import BY_PATIENT, DatasetUnavailable
from pneumo.datasets.mapping import Content, FoundFolder
from pneumo.settings import Settings

SICK = Content(split="train", label="PNEUMONIA")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("train/PNEUMONIA", SICK),
        (" Train/pneumonia ", SICK),
        ("NORMAL", Content(split=BY_PATIENT, label="NORMAL")),
    ],
)
def test_contents_in_words(text: str, content: Content) -> None:
    assert mapping.parse(text) == content
    assert mapping.parse(str(content)) == content


@pytest.mark.parametrize("text", ["", "train", "train/", "PNEUMONIA/train", "night/NORMAL", "sick"])
def test_what_is_no_content_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a class \(NORMAL, PNEUMONIA\)"):
        mapping.parse(text)


def test_a_mapping_is_kept_outside_the_folder(installation: Settings, tmp_path: Path) -> None:
    root = tmp_path / "films"
    (root / "a").mkdir(parents=True)
    assert mapping.load(root, installation) is None

    mapping.save(root, {"a": SICK}, installation)

    assert mapping.load(root, installation) == {"a": SICK}
    assert [path.name for path in root.rglob("*")] == ["a"]
    mapping.forget(root, installation)
    assert mapping.load(root, installation) is None


@pytest.mark.parametrize("folder", ["gone", "../films", "/etc"])
def test_a_folder_that_is_not_there_is_refused(
    folder: str, installation: Settings, tmp_path: Path
) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(DatasetUnavailable, match="Expected a folder"):
        mapping.save(tmp_path / "films", {folder: SICK}, installation)


@pytest.mark.parametrize("stated", ["[]", "{}", '"train/NORMAL"'])
def test_a_file_that_is_no_mapping_is_refused(stated: str, tmp_path: Path) -> None:
    (tmp_path / "mapping.json").write_text(stated)
    with pytest.raises(ValueError, match="must map folders to what they hold"):
        mapping.read(tmp_path / "mapping.json")


def test_a_mapping_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mapping.json").write_text(json.dumps({"a": "train/PNEUMONIA"}))
    assert mapping.read(tmp_path / "mapping.json") == {"a": SICK}


@pytest.mark.parametrize(
    ("folder", "suggested"),
    [
        ("Normal/images", "NORMAL"),
        ("Viral Pneumonia/images", "PNEUMONIA"),
        ("training/sick/bacterial_2", "train/PNEUMONIA"),
        ("normal_vs_pneumonia/valid/normal", "val/NORMAL"),
        ("abnormal", None),
        ("Normal/masks", None),
        ("COVID", None),
    ],
)
def test_names_suggest_what_they_hold(folder: str, suggested: str | None, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "a.png").touch()

    (found,) = mapping.find_folders(tmp_path)

    assert found.path == folder
    assert (None if found.content is None else str(found.content)) == suggested


def test_folders_with_images_are_found_and_litter_is_not(tmp_path: Path) -> None:
    for file in ("a.png", "b/c/d.dcm", "b/c/e.JPG", "b/notes.txt", "__MACOSX/f.png", ".g/h.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    assert mapping.find_folders(tmp_path) == [
        FoundFolder(path=".", images=1, content=None),
        FoundFolder(path="b/c", images=2, content=None),
    ]
