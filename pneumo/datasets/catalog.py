"""One table of a data set: a row per image, with everything known before its pixels are read."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow

from pneumo import radiograph
from pneumo.settings import written_whole

LABELS = ("NORMAL", "PNEUMONIA")
SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".dcm", ".dicom"})
COLUMNS = (
    "path",
    "split",
    "label",
    "subtype",
    "patient",
    "width",
    "height",
    "bytes",
    "digest",
)

_SPLIT_OF_FOLDER = {name: name for name in SPLITS} | {"valid": "val", "validation": "val"}
_SUBTYPES = {"bacteria": "bacterial", "virus": "viral"}
_PNEUMONIA_NAME = re.compile(r"(?P<patient>person\d+)_(?P<cause>bacteria|virus)_\d+", re.IGNORECASE)
_NORMAL_NAME = re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+", re.IGNORECASE)

EXAMINED_TOGETHER = 4096
"""Files whose examinations wait at the same time: each waiting one takes memory."""

# The name of a cache file changes with its columns.
_CACHE_FORMAT = 1
_CACHE_TYPES = {
    "path": "str",
    "bytes": "int64",
    "modified": "int64",  # ns since the epoch
    "height": "int64",
    "width": "int64",
    "digest": "str",
    "problem": "str",
}


class DatasetUnavailable(Exception):
    """A data set is not there; the message says what was expected, what was found, what to do."""


class ClassFolder(NamedTuple):
    """One folder of images, `<split>/<label>`."""

    split: str
    label: str
    folder: Path


def find_layout(root: Path) -> tuple[Path, list[ClassFolder]]:
    """Find the folder that holds the splits, at `root` or in a `chest_xray` folder below it.

    The Kaggle archive holds the splits at `chest_xray/` and a second copy of them at
    `chest_xray/chest_xray/`; the outermost copy is taken, the other left alone.

    Returns:
        The folder that holds the splits, and its class folders in the order of
        `SPLITS` and `LABELS`.

    Raises:
        DatasetUnavailable: no folder `<split>/<label>` was found, or none may be listed.
    """
    try:
        candidate = root
        while candidate.is_dir():
            class_folders = _class_folders(candidate)
            if class_folders:
                return candidate, class_folders
            candidate = candidate / "chest_xray"
        found = _found(root)
    except OSError as error:
        found = f"a folder that cannot be listed ({error.strerror})"
    raise DatasetUnavailable(
        f"Expected radiographs in {root} as <split>/<class>/<image>, for example "
        f"train/NORMAL and train/PNEUMONIA (splits: {', '.join(SPLITS)}). Found: {found}. "
        "Choose the folder that holds the splits, or sort the images into that layout."
    )


def build(
    root: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
) -> pd.DataFrame:
    """Index every image of a data set once; pixels are not decoded.

    Args:
        root: the folder with the splits, or the top of the Kaggle archive.
        progress: called with (images read, images to read), about a hundred times.
        cache: a folder to remember sizes and digests in. Files whose length and
            modification time are unchanged are not read again.

    Returns:
        One row per readable image, ordered by split, label and path (`img2` before `img10`):

        - path (str): relative to the folder with the splits, with forward slashes;
        - split (str): "train", "val" or "test";
        - label (str): "NORMAL" or "PNEUMONIA";
        - subtype (str): "normal", "bacterial", "viral" or "unknown";
        - patient (str): read from the file name, meaningful within a label only;
        - width, height (int): pixels; bytes (int): length of the file;
        - digest (str): BLAKE2b of the content, 32 hexadecimal digits.

        `attrs["root"]` is the folder that `path` is relative to (str), `attrs["unreadable"]`
        maps the paths of the images that were left out to the reason.

    Raises:
        DatasetUnavailable: the folder is not in the layout or holds no readable image.
    """
    root, class_folders = find_layout(root)
    files = pd.DataFrame(
        (
            (path, split, label, *_patient_and_subtype(label, path), bytes_, modified)
            for split, label, folder in class_folders
            for path, bytes_, modified in _image_files(root, folder)
        ),
        columns=["path", "split", "label", "patient", "subtype", "bytes", "modified"],
    )
    if files.empty:
        raise DatasetUnavailable(
            f"Expected images ({', '.join(sorted(IMAGE_SUFFIXES))}) in the class folders of "
            f"{root}. Found none. Choose another folder, or copy the radiographs there."
        )

    contents = _contents(root, files, progress=progress, cache=cache)
    rows = files.merge(contents, on=["path", "bytes", "modified"], how="left")
    readable = rows["problem"] == ""
    unreadable = rows.loc[~readable].set_index("path")["problem"].to_dict()
    if not readable.any():
        path, reason = next(iter(unreadable.items()))
        raise DatasetUnavailable(
            f"None of the {len(rows)} images in {root} can be read; the first, {path}: {reason}"
        )
    catalog = rows.loc[readable, list(COLUMNS)].reset_index(drop=True)
    catalog.attrs = {"root": str(root), "unreadable": unreadable}
    return catalog


def _class_folders(root: Path) -> list[ClassFolder]:
    found = [
        ClassFolder(_SPLIT_OF_FOLDER[split.name.lower()], label.name.upper(), label)
        for split in _subfolders(root)
        if split.name.lower() in _SPLIT_OF_FOLDER
        for label in _subfolders(split)
        if label.name.upper() in LABELS
    ]
    return sorted(
        found, key=lambda it: (SPLITS.index(it.split), LABELS.index(it.label), str(it.folder))
    )


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def _found(root: Path) -> str:
    if not root.exists():
        return "nothing, the folder does not exist"
    if not root.is_dir():
        return "a file, not a folder"
    names = sorted(entry.name for entry in root.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or (
        "an empty folder"
    )


def _image_files(root: Path, folder: Path) -> list[tuple[str, int, int]]:
    """Path relative to root, length and modification time (ns) of each image, in natural order."""
    prefix = folder.relative_to(root).as_posix()
    with os.scandir(folder) as entries:
        found = [
            (f"{prefix}/{entry.name}", entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in entries
            # macOS leaves `._name.jpeg` beside `name.jpeg`.
            if not entry.name.startswith(".")
            and os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - faster
            and entry.is_file()
        ]
    return sorted(found, key=lambda it: _natural(it[0]))


def _natural(text: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)
    ]


def _patient_and_subtype(label: str, path: str) -> tuple[str, str]:
    stem = Path(path).stem
    if label == "NORMAL":
        named = _NORMAL_NAME.match(stem)
        return (named["patient"] if named else stem), "normal"
    named = _PNEUMONIA_NAME.match(stem)
    if named:
        return named["patient"], _SUBTYPES[named["cause"].lower()]
    return stem, "unknown"


def _contents(
    root: Path,
    files: pd.DataFrame,
    *,
    progress: Callable[[int, int], None] | None,
    cache: Path | None,
) -> pd.DataFrame:
    """Size, digest and problem ("" when there is none) of each file, from the cache if possible."""
    cache_file = None if cache is None else _cache_file(cache, root)
    known = _read_cache(cache_file)
    key = ["path", "bytes", "modified"]
    new = files[key].merge(known[key], how="left", indicator=True).query("_merge == 'left_only'")
    if new.empty:
        return known
    examined = pd.DataFrame(
        _examine_all(root, new["path"], progress=progress),
        columns=["height", "width", "digest", "problem"],
        index=new.index,
    )
    contents = pd.concat([known, new[key].join(examined)], ignore_index=True)
    # A changed file has an old row as well; files of this listing are all that matters.
    contents = contents.merge(files[key])
    if cache_file is not None:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(cache_file) as temporary:
            contents.to_parquet(temporary)
    return contents


def _cache_file(cache: Path, root: Path) -> Path:
    key = hashlib.blake2b(str(root.resolve()).encode(), digest_size=8).hexdigest()
    return cache / f"catalog-{_CACHE_FORMAT}-{key}.parquet"


def _read_cache(cache_file: Path | None) -> pd.DataFrame:
    if cache_file is not None:
        try:
            return pd.read_parquet(cache_file)
        except (OSError, pyarrow.ArrowInvalid):
            pass  # Not there yet, or damaged: it is made again.
    return pd.DataFrame(columns=list(_CACHE_TYPES)).astype(_CACHE_TYPES)


def _examine_all(
    root: Path, paths: Iterable[str], *, progress: Callable[[int, int], None] | None
) -> list[tuple[int, int, str, str]]:
    paths = list(paths)
    step = max(1, len(paths) // 100)
    rows = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), EXAMINED_TOGETHER):
            part = paths[start : start + EXAMINED_TOGETHER]
            # `progress` is called from this thread: a page may draw in its own thread only.
            for row in pool.map(_examine, (root / path for path in part)):
                rows.append(row)
                done = len(rows)
                if progress is not None and (done % step == 0 or done == len(paths)):
                    progress(done, len(paths))
    return rows


def _examine(path: Path) -> tuple[int, int, str, str]:
    """Height, width, digest and problem of one file."""
    try:
        height, width = radiograph.measure(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except (radiograph.UnreadableRadiograph, OSError) as error:
        return 0, 0, "", str(error)
    return height, width, digest.hexdigest(), ""
