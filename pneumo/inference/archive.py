"""The files in a ZIP, one at a time, for whoever would rather not trust it.

Nothing is unpacked to disk and no name becomes a path. What a header declares is never believed:
sizes are those that were inflated, and reading stops where a limit is passed. Only stored and
deflated entries are read, whose output can be stopped at any byte.
"""

import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import PurePosixPath
from typing import BinaryIO

from pneumo.settings import ImageLimits

MOST_ENTRIES = 5_000
MOST_INFLATED = 8 * 2**30  # bytes of all entries of an archive together

_LEFT_BY_SYSTEMS = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
_ENCRYPTED = 1  # bit of an entry's flags
_LOCAL_HEADER = 30  # bytes before a name, at the least
_SIGNS_OF_DAMAGE = (  # what `zipfile` raises
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, NotImplementedError),
    *(OSError, OverflowError, RuntimeError, ValueError),
)


class UnreadableArchive(ValueError):
    """A ZIP, or a file in one, that cannot be read. `str` says why and what to do next."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file in a ZIP.

    Attributes:
        name: for people, without folders.
        read: its content, inflated when it is called; raises `UnreadableArchive`.
    """

    name: str
    read: Callable[[], bytes]


def is_archive(start: bytes) -> bool:
    """Whether a file that begins with these bytes, four at least, is a ZIP."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def entries(
    file: BinaryIO,
    *,
    limits: ImageLimits,
    most_entries: int = MOST_ENTRIES,
    most_inflated: int = MOST_INFLATED,
) -> list[Entry]:
    """The files in a ZIP, in its order.

    Folders, hidden files and what operating systems leave behind are passed over. Entries can be
    read from several threads.

    Args:
        file: the ZIP, open for as long as its entries are read.
        limits: what each of them must respect.
        most_entries: of the ZIP, folders and hidden files too.
        most_inflated: bytes of all entries together, from where on no further one is read.

    Raises:
        UnreadableArchive: the ZIP is damaged, empty, or has too many entries.
    """
    # An entry is listed behind this signature. Counted before the list is parsed: a ZIP of a
    # gigabyte can list millions, whatever number it declares.
    if _occurs_more_often(b"PK\x01\x02", file, most_entries):
        raise UnreadableArchive(
            f"A ZIP may hold at most {most_entries:,} files. Received: more. Split it."
        )
    try:
        opened = zipfile.ZipFile(file)
    except _SIGNS_OF_DAMAGE:
        raise UnreadableArchive(
            "A ZIP must be complete. Received: one that is cut short or damaged. Copy or pack it "
            "again."
        ) from None
    reader = _Reader(opened, limits, most_inflated)
    found = [
        Entry(name=plain_name(it.filename), read=partial(reader.read, it))
        for it in opened.infolist()
        if not it.is_dir() and not is_hidden(it.filename)
    ]
    if not found:
        raise UnreadableArchive(
            "A ZIP must hold at least one film. Received: none. Pack the films themselves."
        )
    return found


def plain_name(name: str) -> str:
    """A file's name without its folders, and without what could upset a page or a terminal."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(it for it in last if it.isprintable()) or "unnamed"


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder that it lies in, is not meant for people."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(it.startswith(".") or it in _LEFT_BY_SYSTEMS for it in parts)


class _Reader:
    """Reads the entries of an archive and keeps count of what they inflate to."""

    def __init__(self, opened: zipfile.ZipFile, limits: ImageLimits, most_inflated: int) -> None:
        self._opened = opened
        self._limits = limits
        self._most_inflated = most_inflated
        self._overlapping = _overlapping(opened.infolist())
        self._sizes: dict[int, int] = {}  # by where it starts; one read again counts once
        self._inflated = 0
        self._lock = threading.Lock()

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """The content of an entry.

        Raises:
            UnreadableArchive: it breaks a rule.
        """
        self._check_header(entry)
        try:
            with self._opened.open(entry) as stream:
                content = stream.read(self._limits.max_bytes + 1)
        except _SIGNS_OF_DAMAGE:
            raise UnreadableArchive(
                "A file in a ZIP must be complete. Received: one that is cut short or damaged. "
                "Pack it again."
            ) from None
        with self._lock:
            self._inflated += len(content) - self._sizes.get(entry.header_offset, 0)
            self._sizes[entry.header_offset] = len(content)
        if len(content) > self._limits.max_bytes:
            raise UnreadableArchive(
                f"A file in a ZIP may hold at most {self._limits.max_bytes:,} bytes. Received: "
                "more, once inflated. Compress the film, or raise `PNEUMO_MAX_FILE_MIB`."
            )
        if is_archive(content):
            raise UnreadableArchive(
                "A ZIP must hold films. Received: another ZIP in it. Unpack that one first."
            )
        return content

    def _check_header(self, entry: zipfile.ZipInfo) -> None:
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadableArchive(
                "A file in a ZIP must not be encrypted. Received: one that is. Pack it again "
                "without a password."
            )
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = _METHODS.get(entry.compress_type, f"method {entry.compress_type}")
            raise UnreadableArchive(
                f"A file in a ZIP must be stored or deflated. Received: {method}. Pack it again "
                "with the usual compression."
            )
        if entry.header_offset in self._overlapping:
            raise UnreadableArchive(
                "The files in a ZIP must lie one behind the other. Received: one that shares its "
                "bytes with another, as in a ZIP made to fill a disk. Pack it again."
            )
        if self._inflated > self._most_inflated and entry.header_offset not in self._sizes:
            raise UnreadableArchive(
                f"The files in a ZIP may hold {self._most_inflated:,} bytes together. Received: "
                "more, before this one was reached. Split the ZIP."
            )


def _overlapping(listed: list[zipfile.ZipInfo]) -> set[int]:
    """Where those entries start that reach into the next, or are reached into."""
    in_order = sorted(listed, key=lambda it: it.header_offset)
    return {
        it.header_offset
        for first, second in pairwise(in_order)
        if first.header_offset + _LOCAL_HEADER + first.compress_size > second.header_offset
        for it in (first, second)
    }


def _occurs_more_often(needle: bytes, file: BinaryIO, times: int) -> bool:
    """Whether bytes occur in a file more often than this."""
    file.seek(0)
    count, before = 0, b""
    while block := file.read(2**20):
        count += (before + block).count(needle)
        if count > times:
            return True
        before = block[1 - len(needle) :]
    return False
