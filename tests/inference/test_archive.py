"""ZIPs from strangers: what is read, what is refused, and that no header is believed."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pneumo.inference import archive
from pneumo.inference.archive import Entry, UnreadableArchive, entries, is_hidden, plain_name
from pneumo.settings import ImageLimits

LIMITS = ImageLimits(max_bytes=1000)


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as writer:
        for name, content in files:
            writer.writestr(name, content)
    return packed.getvalue()


def opened(data: bytes, **options: int) -> list[Entry]:
    return entries(io.BytesIO(data), limits=LIMITS, **options)


def test_entries_are_read_in_their_order() -> None:
    data = zipped(("a.png", b"first"), ("b/c.png", b"second"), ("b/a.png", b"third"))
    assert [(it.name, it.read()) for it in opened(data)] == [
        ("a.png", b"first"),
        ("c.png", b"second"),
        ("a.png", b"third"),
    ]


def test_what_is_passed_over() -> None:
    data = zipped(
        ("films/", b""),
        ("__MACOSX/films/._a.png", b"x"),
        ("films/.DS_Store", b"x"),
        (".git/a.png", b"x"),
        ("films/Thumbs.db", b"x"),
        ("films/a.png", b"film"),
    )
    assert [it.name for it in opened(data)] == ["a.png"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.png", "a.png"),
        ("/a.png", "a.png"),
        ("films/", "films"),
        ("a\nb\x1b[31m\u202egnp.jpeg", "ab[31mgnp.jpeg"),
        ("", "unnamed"),
        ("..", ".."),
    ],
)
def test_names_are_for_people(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_the_way_up_is_hidden_too() -> None:
    assert is_hidden("../a.png") and is_hidden("films\\.a.png")
    assert not is_hidden("films.d/a.png")


def test_what_begins_like_a_zip() -> None:
    assert archive.is_archive(zipped(("a", b""))[:4])
    assert archive.is_archive(zipped()[:4]), "an empty one too"
    assert not archive.is_archive(b"\xff\xd8\xff\xe0") and not archive.is_archive(b"")


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(UnreadableArchive) as refused:
        read()
    return str(refused.value)


def test_a_bomb_is_refused_for_what_it_inflates_to() -> None:
    data = zipped(("small.png", b"x" * 1000), ("bomb.png", b"\0" * 1001))
    small, bomb = opened(data)
    assert len(small.read()) == 1000
    assert "at most 1,000 bytes. Received: more, once inflated." in refusal(bomb.read)


def declare_size(data: bytes, size: int) -> bytes:
    """The same ZIP, its (only) entry said to inflate to this many bytes."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, data.index(b"PK\x03\x04") + 22, size)
    struct.pack_into("<I", changed, data.index(b"PK\x01\x02") + 24, size)
    return bytes(changed)


def test_a_bomb_that_declares_little_comes_to_nothing() -> None:
    (bomb,) = opened(declare_size(zipped(("bomb.png", b"\0" * 10**6)), 10))
    assert "cut short or damaged" in refusal(bomb.read)


def test_a_declared_size_is_not_believed_either_way() -> None:
    (film,) = opened(declare_size(zipped(("film.png", b"film")), 2**31))
    assert film.read() == b"film"


def test_all_entries_together_have_a_limit() -> None:
    data = zipped(*((f"{number}.png", bytes([number]) * 600) for number in range(4)))
    films = opened(data, most_inflated=1000)
    assert [len(it.read()) for it in films[:2]] == [600, 600]
    assert len(films[0].read()) == 600, "read again it costs nothing"
    assert "1,000 bytes together. Received: more" in refusal(films[2].read)
    assert "1,000 bytes together" in refusal(films[3].read)


def test_the_number_of_entries_has_a_limit_whatever_is_declared() -> None:
    data = zipped(*((f"{number}.png", b"") for number in range(4)))
    assert len(opened(data, most_entries=4)) == 4
    lying = bytearray(data)
    struct.pack_into("<HH", lying, data.index(b"PK\x05\x06") + 8, 1, 1)
    for received in (data, bytes(lying)):
        complaint = refusal(partial(opened, received, most_entries=3))
        assert complaint == "A ZIP may hold at most 3 files. Received: more. Split it."


def test_entries_are_counted_across_the_blocks_that_are_read() -> None:
    needle, block = b"PK\x01\x02", 2**20
    for before in (block - 3, block - 1, block, 10):
        file = io.BytesIO(b"x" * before + needle + b"x" * block)
        assert archive._occurs_more_often(needle, file, 0)
        assert not archive._occurs_more_often(needle, file, 1)


@pytest.mark.parametrize(
    ("method", "said"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA"), (97, "97")]
)
def test_other_compressions_are_refused(method: int, said: str) -> None:
    known = method != 97
    data = bytearray(zipped(("a.png", b"film"), method=method if known else zipfile.ZIP_DEFLATED))
    if not known:
        struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, method)
    (film,) = opened(bytes(data))
    assert f"{said}. Pack it again" in refusal(film.read)


def test_an_encrypted_entry_and_a_zip_in_a_zip_do_not_stop_the_others() -> None:
    data = bytearray(
        zipped(("secret.png", b"film"), ("inner.zip", zipped(("a", b""))), ("a.png", b"film"))
    )
    data[data.index(b"PK\x01\x02") + 8] |= 1
    secret, inner, film = opened(bytes(data))
    assert "must not be encrypted" in refusal(secret.read)
    assert "another ZIP in it" in refusal(inner.read)
    assert film.read() == b"film"


def test_entries_that_share_bytes_are_refused() -> None:
    """One content listed twice: the first step to a ZIP that inflates without end."""
    data = zipped(("a.png", b"film"), ("b.png", b"other"), ("c.png", b"third"))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    changed = bytearray(data)
    struct.pack_into("<I", changed, second + 42, 0)  # where the first one starts
    one, other, third = opened(bytes(changed))
    assert "shares its bytes with another" in refusal(one.read)
    assert "shares its bytes with another" in refusal(other.read)
    assert third.read() == b"third"


def test_a_wrong_checksum() -> None:
    data = zipped(("a.png", b"film film film"), method=zipfile.ZIP_STORED)
    (film,) = opened(data.replace(b"film film film", b"film fibm film"))
    assert "cut short or damaged. Pack it again." in refusal(film.read)


@pytest.mark.parametrize(
    "data",
    [b"PK\x03\x04", zipped(("a", b"x"))[:-8], b"PK\x03\x04" * 40],
    ids=["a beginning", "no end", "beginnings"],
)
def test_a_damaged_zip(data: bytes) -> None:
    assert refusal(lambda: opened(data)) == (
        "A ZIP must be complete. Received: one that is cut short or damaged. Copy or pack it again."
    )


@pytest.mark.parametrize(
    "data",
    [zipped(), zipped(("films/", b""), (".hidden", b"x"))],
    ids=["nothing in it", "no film in it"],
)
def test_an_empty_zip(data: bytes) -> None:
    assert "must hold at least one film. Received: none" in refusal(lambda: opened(data))


def test_whatever_is_broken_has_its_reason() -> None:
    """Three hundred ZIPs with a few bytes changed: an answer or a refusal, never anything else."""
    rng = random.Random(0)
    data = zipped(("a.png", b"film" * 50), ("b.png", bytes(range(256))))
    refused = 0
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            for entry in opened(bytes(broken)):
                assert len(entry.read()) <= 1000
        except UnreadableArchive:
            refused += 1
    assert 100 < refused < 300


def test_from_a_file_on_disk(tmp_path: Path) -> None:
    (tmp_path / "films.zip").write_bytes(zipped(("a.png", b"film")))
    with (tmp_path / "films.zip").open("rb") as file:
        (film,) = entries(file, limits=LIMITS)
        assert film.read() == b"film"
