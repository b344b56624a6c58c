"""What the folders of a data set hold, where somebody has said so because their names do not.

A mapping is kept in the home folder; nothing is written into the folder that it is about.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from pneumo.datasets.catalog import (
    BY_PATIENT,
    LABELS,
    SPLITS,
    ClassFolder,
    DatasetUnavailable,
    is_image_name,
)
from pneumo.settings import Settings, folder_key, write_text

MOST_FOLDERS = 10_000
"""Folders that are looked into: somebody may have named the whole disk."""

_SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val"} | {
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_LABEL_WORDS = {"normal": "NORMAL", "healthy": "NORMAL"} | dict.fromkeys(
    ("pneumonia", "bacteria", "bacterial", "viral", "virus"), "PNEUMONIA"
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a folder of images holds.

    Attributes:
        split: "train", "val", "test", or `BY_PATIENT` to divide its patients.
        label: "NORMAL" or "PNEUMONIA".

    Raises:
        ValueError: anything else.
    """

    split: str
    label: str

    def __post_init__(self) -> None:
        if self.split not in (*SPLITS, BY_PATIENT) or self.label not in LABELS:
            raise ValueError(
                f"What a folder holds must be a class ({', '.join(LABELS)}), or a split "
                f"({', '.join(SPLITS)}) and a class, as in train/NORMAL. Received: {self}"
            )

    def __str__(self) -> str:
        return self.label if self.split == BY_PATIENT else f"{self.split}/{self.label}"


@dataclass(frozen=True, kw_only=True)
class FoundFolder:
    """A folder with images in it.

    Attributes:
        path: relative to the data set, with forward slashes; "." for the data set itself.
        images: how many files look like images.
        content: what its name suggests; None where it suggests nothing.
    """

    path: str
    images: int
    content: Content | None


def parse(text: str) -> Content:
    """What `str` of a content gives: "train/PNEUMONIA", or "PNEUMONIA" to divide by patient.

    Raises:
        ValueError: the text says neither.
    """
    split, slash, label = text.strip().rpartition("/")
    return Content(split=split.lower() if slash else BY_PATIENT, label=label.upper())


def read(file: Path) -> dict[str, Content]:
    """A mapping from a JSON file, as in {"scans/sick": "train/PNEUMONIA"}.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a mapping.
    """
    stated = json.loads(file.read_text())
    if not isinstance(stated, dict) or not stated:
        raise ValueError(
            f"{file} must map folders to what they hold, as in "
            f'{{"scans/sick": "train/PNEUMONIA"}}. Received: {stated}'
        )
    return {folder: parse(str(content)) for folder, content in stated.items()}


def save(root: Path, contents: Mapping[str, Content], settings: Settings) -> None:
    """Keep what the folders below `root` hold.

    Raises:
        ValueError: there is nothing to keep.
        DatasetUnavailable: one of the folders is not there.
    """
    if not contents:
        raise ValueError("Say of at least one folder which class it holds.")
    class_folders(root, contents)
    stated = {folder: str(content) for folder, content in contents.items()}
    write_text(_file(root, settings), json.dumps(stated, indent=2))


def load(root: Path, settings: Settings) -> dict[str, Content] | None:
    """What was kept for `root`; None where nothing was, or nothing that makes sense."""
    try:
        return read(_file(root, settings))
    except (FileNotFoundError, ValueError):
        return None


def forget(root: Path, settings: Settings) -> None:
    """Delete what was kept for `root`."""
    _file(root, settings).unlink(missing_ok=True)


def class_folders(root: Path, contents: Mapping[str, Content]) -> tuple[ClassFolder, ...]:
    """The folders as `catalog.build` takes them.

    Raises:
        DatasetUnavailable: one of them is not there, or not below `root`.
    """
    found = []
    for path, content in contents.items():
        relative = PurePosixPath(path)
        folder = root / relative
        if relative.is_absolute() or ".." in relative.parts or not folder.is_dir():
            raise DatasetUnavailable(
                f"Expected a folder {path} in {root}, said to hold {content}. Found none. Put it "
                "back, or say anew what the folders hold."
            )
        found.append(ClassFolder(content.split, content.label, folder))
    return tuple(found)


def find_folders(root: Path) -> list[FoundFolder]:
    """Every folder at or below `root` that has images, with what its name suggests."""
    found = []
    for folder, subfolders, names in islice(os.walk(root), MOST_FOLDERS):
        subfolders[:] = sorted(
            name for name in subfolders if not name.startswith((".", "__MACOSX"))
        )
        images = sum(map(is_image_name, names))
        if images:
            path = Path(folder).relative_to(root).as_posix()
            found.append(FoundFolder(path=path, images=images, content=_suggested(path)))
    return found


def _suggested(path: str) -> Content | None:
    words = [word for part in path.split("/") for word in re.split(r"[\W_\d]+", part.lower())]
    labels = [_LABEL_WORDS[word] for word in words if word in _LABEL_WORDS]
    splits = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
    if not labels or {"mask", "masks"} & set(words):
        return None
    return Content(split=splits[-1] if splits else BY_PATIENT, label=labels[-1])


def _file(root: Path, settings: Settings) -> Path:
    return settings.home / "mappings" / f"{folder_key(root)}.json"
