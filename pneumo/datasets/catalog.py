"""One table of a data set: a row per image, with everything known before its pixels are read."""

import contextlib
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd
import pyarrow

from pneumo import radiograph
from pneumo.settings import written_whole

LABELS = ("NORMAL", "PNEUMONIA")
SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".dcm", ".dicom", ".jpeg", ".jpg", ".png")
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

PATIENT = ("split", "label", "patient")
"""Columns that tell patients apart. Names are unique within a label only, and whether a name that
occurs in two splits is one person is unknown: where people are counted or shown together, it is
two. Where that would be a risk, as in `splits`, it is one."""

_SPLIT_OF_FOLDER = {name: name for name in SPLITS} | {"valid": "val", "validation": "val"}
_SUBTYPES = {"bacteria": "bacterial", "virus": "viral"}
_PNEUMONIA_NAME = re.compile(r"(?P<patient>person\d+)_(?P<cause>bacteria|virus)_\d+", re.IGNORECASE)
_NORMAL_NAME = re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+", re.IGNORECASE)

BY_PATIENT = "by patient"
"""The split of a class folder whose patients are divided between "train" and "test"."""

TEST_SHARE = 0.2
"""Share of the patients of a `BY_PATIENT` folder that are for testing."""

EXAMINED_TOGETHER = 4096
"""Files that are examined between two writes to the cache: an interrupted index loses none."""

# The name of a stored catalogue changes with its columns.
_STORED_FORMAT = 2
_STORED_TYPES = {
    "path": "str",
    "split": "str",
    "label": "str",
    "subtype": "str",
    "patient": "str",
    "width": "int64",
    "height": "int64",
    "bytes": "int64",
    "digest": "str",
    "modified": "int64",  # ns since the epoch
    "problem": "str",  # why it cannot be read, "" when it can
}
_KEY = ["path", "bytes", "modified"]


class DatasetUnavailable(Exception):
    """A data set is not there; the message says what was expected, what was found, what to do."""


class OtherLayout(DatasetUnavailable):
    """There is a folder, but what its folders hold somebody has to say: see `mapping`."""


class _Content(NamedTuple):
    """What a file holds; only a problem of the file itself stays the same until it changes."""

    height: int = 0
    width: int = 0
    digest: str = ""
    problem: str = ""
    stays: bool = True


class ClassFolder(NamedTuple):
    """One folder of images. `split` is one of `SPLITS`, or `BY_PATIENT`."""

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
        OtherLayout: the folder has no `<split>/<label>`.
        DatasetUnavailable: it does not exist, or may not be listed.
    """
    problem: type[DatasetUnavailable] = DatasetUnavailable
    try:
        candidate = root
        while candidate.is_dir():
            class_folders = _class_folders(candidate)
            if class_folders:
                return candidate, class_folders
            candidate = candidate / "chest_xray"
        found = _found(root)
        problem = OtherLayout if root.is_dir() else DatasetUnavailable
    except OSError as error:
        found = f"a folder that cannot be listed ({error.strerror})"
    or_say = ", or say what each folder holds" if problem is OtherLayout else ""
    raise problem(
        f"Expected radiographs in {root} as <split>/<class>/<image>, for example "
        f"train/NORMAL and train/PNEUMONIA (splits: {', '.join(SPLITS)}). Found: {found}. "
        f"Choose the folder that holds the splits{or_say}."
    )


def in_layout(path: PurePosixPath) -> bool:
    """Whether a path ends in `<split>/<label>/<image>`."""
    *_, split, label, _ = ("", "", *path.parts)
    return split.lower() in _SPLIT_OF_FOLDER and label.upper() in LABELS


def build(
    root: Path,
    *,
    class_folders: Sequence[ClassFolder] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
) -> pd.DataFrame:
    """Index every image of a data set once; pixels are not decoded.

    Args:
        root: the folder with the splits, or the top of the Kaggle archive.
        class_folders: folders below `root`, where somebody has said what each holds; by
            default those of the layout.
        progress: called with (images read, images to read), about a hundred times.
        cache: a folder to keep the catalogue of this data set in. Files whose length and
            modification time are unchanged are not read again, even when the last index was
            interrupted.

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
    mapped = class_folders is not None
    if class_folders is None:
        root, class_folders = find_layout(root)
    files, misnamed = _image_files(root, class_folders)
    if files.empty:
        raise DatasetUnavailable(
            f"Expected images ({', '.join(IMAGE_SUFFIXES)}) in the class folders of "
            f"{root}. Found none. Choose another folder, or copy the radiographs there."
        )
    store = None
    if cache is not None:
        # What a folder of the layout holds, its path tells; of others somebody may change it.
        store = _store(cache, class_folders if mapped else ())
    rows = _rows(root, files, class_folders, progress=progress, store=store)
    readable = rows["problem"] == ""
    unreadable = rows.loc[~readable].set_index("path")["problem"].to_dict() | misnamed
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
    with os.scandir(folder) as entries:  # `iterdir` would ask for the status of every image
        return [folder / entry.name for entry in entries if entry.is_dir()]


def _found(root: Path) -> str:
    if not root.exists():
        return "nothing, the folder does not exist"
    if not root.is_dir():
        return "a file, not a folder"
    names = sorted(entry.name for entry in root.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or (
        "an empty folder"
    )


def _image_files(
    root: Path, class_folders: Sequence[ClassFolder]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Path, length, modification time and number of the class folder of each image.

    And those with a name that no table can hold, with what is wrong with it.

    Raises:
        DatasetUnavailable: a class folder may not be listed.
    """
    paths, lengths, times, places = [], [], [], []
    misnamed = {}
    for place, (_, _, folder) in enumerate(class_folders):
        prefix = f"{folder.relative_to(root).as_posix()}/".removeprefix("./")
        try:
            listed = list(_listing(folder))
        except OSError as error:
            raise DatasetUnavailable(
                f"{folder} cannot be listed: {error.strerror}. Give leave to read it, or choose "
                "another folder."
            ) from error
        for name, status in listed:
            path = prefix + name
            shown = path.encode(errors="backslashreplace").decode()
            if shown != path:
                misnamed[shown] = "Its name is not in UTF-8. Rename the file."
                continue
            paths.append(path)
            lengths.append(status.st_size)
            times.append(status.st_mtime_ns)
            places.append(place)
    files = pd.DataFrame(
        {
            "path": pd.Series(paths, dtype="str"),
            "bytes": pd.Series(lengths, dtype="int64"),
            "modified": pd.Series(times, dtype="int64"),
            "place": pd.Series(places, dtype="int64"),
        }
    )
    return files, misnamed


def _listing(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name and status of each image in a folder. A link counts as the file that it leads to."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_image_name(entry.name):
                continue
            try:
                status = entry.stat()
            except OSError:
                continue  # a link to nowhere or to itself, or deleted just now
            if stat.S_ISREG(status.st_mode):
                yield entry.name, status


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for a radiograph."""
    # macOS leaves `._name.jpeg` beside `name.jpeg`.
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _rows(
    root: Path,
    files: pd.DataFrame,
    class_folders: Sequence[ClassFolder],
    *,
    progress: Callable[[int, int], None] | None,
    store: Path | None,
) -> pd.DataFrame:
    """The stored row of each file, or a new one, in the order of the catalogue."""
    stored = _read_stored(store)
    compared = files.merge(stored[_KEY], how="left", indicator=True)
    new = compared.loc[compared["_merge"] == "left_only", files.columns]
    if new.empty and len(stored) == len(files) and not _stored_parts(store):
        return stored
    kept = stored.merge(files[_KEY])
    parts = _examine_all(root, new, class_folders, progress=progress, store=store)
    rows = _in_order(pd.concat([kept, *parts], ignore_index=True))
    if store is not None:
        with contextlib.suppress(OSError):  # all that it costs is time, the next time
            _write_stored(rows, store)
            for examined in _stored_parts(store):
                examined.unlink(missing_ok=True)
    return rows


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    order = pd.DataFrame(
        {
            "split": rows["split"].map(SPLITS.index),
            "label": rows["label"].map(LABELS.index),
            "path": sortable(rows["path"]),
        }
    ).sort_values(["split", "label", "path"])
    return rows.loc[order.index].reset_index(drop=True)


def sortable(texts: pd.Series) -> pd.Series:
    """Texts that sort as these do when numbers in them count as numbers: `img2` before `img10`."""
    digits = 20
    padded = texts.str.replace(r"(\d+)", "0" * digits + r"\1", regex=True)
    return padded.str.replace(rf"0*(\d{{{digits},}})", r"\1", regex=True)


def _patient_and_subtype(label: str, path: str) -> tuple[str, str]:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    if label == "NORMAL":
        named = _NORMAL_NAME.match(stem)
        return (named["patient"] if named else stem), "normal"
    named = _PNEUMONIA_NAME.match(stem)
    if named:
        return named["patient"], _SUBTYPES[named["cause"].lower()]
    return stem, "unknown"


def _divide(patient: str) -> str:
    """The split of a patient, for ever: films that are added move nobody."""
    drawn = hashlib.blake2b(patient.encode(), digest_size=4).digest()
    return "test" if int.from_bytes(drawn) < TEST_SHARE * 2**32 else "train"


def _store(cache: Path, mapped: Sequence[ClassFolder]) -> Path:
    name = f"catalog-{_STORED_FORMAT}"
    if mapped:
        said = "\n".join(f"{split} {label} {folder}" for split, label, folder in mapped)
        name += "." + hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
    return cache / f"{name}.parquet"


def _stored_parts(store: Path | None) -> list[Path]:
    """What an index that was interrupted, or is under way, has examined."""
    return [] if store is None else list(store.parent.glob(f"{store.stem}-*.parquet"))


def _read_stored(store: Path | None) -> pd.DataFrame:
    tables = []
    for path in [] if store is None else [store, *_stored_parts(store)]:
        # Not there yet, or damaged: it is made again.
        with contextlib.suppress(OSError, pyarrow.ArrowInvalid):
            tables.append(pd.read_parquet(path))
    if len(tables) == 1:
        return tables[0]
    none = pd.DataFrame(columns=list(_STORED_TYPES)).astype(_STORED_TYPES)
    return pd.concat([none, *tables], ignore_index=True).drop_duplicates(_KEY, ignore_index=True)


def _write_stored(rows: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        rows.to_parquet(temporary)


def _examine_all(
    root: Path,
    files: pd.DataFrame,
    class_folders: Sequence[ClassFolder],
    *,
    progress: Callable[[int, int], None] | None,
    store: Path | None,
) -> list[pd.DataFrame]:
    step = max(1, len(files) // 100)
    done = 0
    parts = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), EXAMINED_TOGETHER):
            part = files.iloc[start : start + EXAMINED_TOGETHER]
            contents: list[_Content] = []
            try:
                # `progress` is called from this thread: a page may draw in its own thread only.
                examined = pool.map(partial(_examine, root), _tasks(list(part["path"])))
                for content in chain.from_iterable(examined):
                    contents.append(content)
                    done += 1
                    if progress is not None and (done % step == 0 or done == len(files)):
                        progress(done, len(files))
            finally:
                # Also when it is interrupted, by Ctrl-C or by a click on the page.
                parts.append(_examined(part[: len(contents)], contents, class_folders))
                if store is not None:
                    name = f"{store.stem}-{uuid.uuid4().hex}"
                    with contextlib.suppress(OSError):
                        _write_stored(parts[-1], store.with_stem(name))
    return parts


def _examined(
    files: pd.DataFrame,
    contents: list[_Content],
    class_folders: Sequence[ClassFolder],
) -> pd.DataFrame:
    """The rows of files whose contents are known."""
    rows = []
    for (path, length, modified, place), content in zip(
        files.itertuples(index=False), contents, strict=True
    ):
        split, label, _ = class_folders[place]
        patient, subtype = _patient_and_subtype(label, path)
        if split == BY_PATIENT:
            split = _divide(patient)
        described = (split, label, subtype, patient, content.width, content.height)
        known_since = modified if content.stays else 0  # no file is that old: it is read again
        rows.append((path, *described, length, content.digest, known_since, content.problem))
    return pd.DataFrame(rows, columns=list(_STORED_TYPES)).astype(_STORED_TYPES)


def _tasks(paths: list[str]) -> list[list[str]]:
    """Paths in small lots: handing over a single file takes as long as examining it."""
    return [paths[start : start + 64] for start in range(0, len(paths), 64)]


def _examine(root: Path, paths: list[str]) -> list[_Content]:
    return [_content(root / path) for path in paths]


def _content(path: Path) -> _Content:
    try:
        height, width = radiograph.measure(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except (radiograph.UnreadableRadiograph, OSError) as error:
        is_damaged = isinstance(error, radiograph.UnreadableRadiograph)
        return _Content(problem=radiograph.why_unreadable(error), stays=is_damaged)
    return _Content(height, width, digest.hexdigest())
