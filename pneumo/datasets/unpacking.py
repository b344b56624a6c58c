"""A data set in a ZIP file on this machine, unpacked into the home folder.

Each image is written whole or not at all, so that an unpacking which was interrupted goes on
where it stopped.
"""

import contextlib
import hashlib
import json
import shutil
import uuid
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pneumo.datasets import kaggle
from pneumo.datasets.catalog import DatasetUnavailable, in_layout, is_image_name
from pneumo.settings import Settings, write_text, written_whole

_CHUNK = 2**20


@dataclass(frozen=True, kw_only=True)
class _Unpacked:
    """What a folder was unpacked from, as stored in it.

    Attributes:
        bytes, modified: length and modification time (ns) of the archive.
        complete: whether everything is there.
        kaggle: whether it is the Kaggle set.
    """

    bytes: int
    modified: int
    complete: bool = False
    kaggle: bool = False


def folder_for(archive: Path, settings: Settings) -> Path:
    """Where an archive is unpacked to."""
    key = hashlib.blake2b(str(archive.absolute()).encode(), digest_size=4).hexdigest()
    return settings.datasets / f"{archive.stem[:80]}-{key}"


def is_complete(archive: Path, settings: Settings) -> bool:
    """Whether all of an archive is unpacked. The archive itself may be gone since."""
    stored = _stored(folder_for(archive, settings))
    return stored is not None and stored.complete and _is_of(stored, archive)


def holds_kaggle_set(archive: Path, settings: Settings) -> bool:
    """Whether an unpacked archive is that of the Kaggle set, by its numbers of images."""
    stored = _stored(folder_for(archive, settings))
    return stored is not None and stored.kaggle


def unpack(
    archive: Path, settings: Settings, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Unpack the images of an archive, or go on with it.

    What is no image is left in the archive, and so is the second copy of the images that the
    Kaggle archive holds.

    Args:
        archive: a ZIP file.
        progress: called with (bytes unpacked, bytes to unpack) after each image.

    Returns:
        The folder with the images.

    Raises:
        DatasetUnavailable: it cannot be unpacked, or not safely; the message says why.
    """
    folder = folder_for(archive, settings)
    try:
        with zipfile.ZipFile(archive) as file:
            _unpack(file, archive, folder, settings, progress or (lambda done, total: None))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetUnavailable(
            f"{archive} is no complete ZIP file ({error}). Download or copy it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, an unknown compression
        raise DatasetUnavailable(
            f"{archive} cannot be unpacked ({error}). Unpack it with another program and open the "
            "folder."
        ) from error
    except OSError as error:
        raise DatasetUnavailable(
            f"{archive} cannot be unpacked into {folder}: {error.strerror}."
        ) from error
    return folder


def discard(archive: Path, settings: Settings) -> None:
    """Delete what was unpacked; the archive stays."""
    folder = folder_for(archive, settings)
    doomed = folder.with_name(f".{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        folder.replace(doomed)  # Whoever is still unpacking finds it gone at once.
        shutil.rmtree(doomed)


def _unpack(
    file: zipfile.ZipFile,
    archive: Path,
    folder: Path,
    settings: Settings,
    progress: Callable[[int, int], None],
) -> None:
    members = _members(file, archive, largest=settings.image_limits.max_bytes)
    status = archive.stat()
    stored = _stored(folder)
    if stored is not None and not _is_of(stored, archive):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = _Unpacked(bytes=status.st_size, modified=status.st_mtime_ns)
    _store(started, folder)

    total = sum(member.file_size for member in members.values())
    missing = {
        path: member
        for path, member in members.items()
        if not _is_there(folder / path, member.file_size)
    }
    needed = sum(member.file_size for member in missing.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DatasetUnavailable(
            f"{archive} needs {needed / 1e9:.1f} GB in {folder}. Found {free / 1e9:.1f} GB free. "
            "Make room, or move PNEUMO_HOME to another disk."
        )
    # All at the beginning: a folder that is discarded meanwhile is not made again.
    for parent in {path.parent for path in missing}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    done = total - needed
    for path, member in missing.items():
        with (
            file.open(member) as packed,
            written_whole(folder / path) as temporary,
            temporary.open("wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked, _CHUNK)
        done += member.file_size
        progress(done, total)

    splits = Counter(path.parts[0] for path in members if in_layout(path))
    _store(
        _Unpacked(
            bytes=started.bytes,
            modified=started.modified,
            complete=True,
            kaggle=splits == kaggle.IMAGES,
        ),
        folder,
    )


def _members(
    file: zipfile.ZipFile, archive: Path, *, largest: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The images worth unpacking, by the path that each gets.

    Where the splits are below other folders, paths begin at the splits.
    """
    images = {}
    for member in file.infolist():
        path = PurePosixPath(member.filename)
        if not is_image_name(path.name) or "__MACOSX" in path.parts:
            continue
        # As Windows reads it, which takes both slashes and knows drives.
        read = PureWindowsPath(member.filename)
        if read.drive or read.root or ".." in read.parts:
            raise DatasetUnavailable(
                f"{archive} wants to write outside its folder, to {member.filename!r}. "
                "It was not unpacked. Do not trust it."
            )
        if member.file_size > largest:
            raise DatasetUnavailable(
                f"{member.filename} in {archive} has {member.file_size / 2**20:,.0f} MiB. Images "
                f"may have {largest / 2**20:,.0f} MiB. Raise PNEUMO_MAX_FILE_MIB, or leave it out."
            )
        images[path] = member
    if not images:
        names = ", ".join(sorted({it.partition("/")[0] for it in file.namelist()})[:8])
        raise DatasetUnavailable(
            f"Expected radiographs in {archive}. Found: {names or 'nothing'}. Choose another file."
        )
    tops = {path.parts[:-3] for path in images if in_layout(path)}
    top = min(tops, key=len, default=())
    if not all(other[: len(top)] == top for other in tops):
        return images  # Several sets side by side: somebody has to say what they are.
    return {
        PurePosixPath(*path.parts[len(top) :]): member
        for path, member in images.items()
        if not tops or (in_layout(path) and path.parts[:-3] == top)
    }


def _is_there(path: Path, length: int) -> bool:
    return path.is_file() and path.stat().st_size == length


def _is_of(stored: _Unpacked, archive: Path) -> bool:
    try:
        status = archive.stat()
    except FileNotFoundError:
        return True
    return (stored.bytes, stored.modified) == (status.st_size, status.st_mtime_ns)


def _stored(folder: Path) -> _Unpacked | None:
    try:
        return _Unpacked(**json.loads((folder / "unpacked.json").read_text()))
    except FileNotFoundError:
        return None


def _store(unpacked: _Unpacked, folder: Path) -> None:
    write_text(folder / "unpacked.json", json.dumps(asdict(unpacked), indent=2))
