"""A data set in a ZIP file, honest or not."""

import shutil
import zipfile
from pathlib import Path

import pytest

from pneumo.datasets import kaggle, unpacking
from pneumo.datasets.catalog import DatasetUnavailable
from pneumo.settings import ImageLimits, Settings


def pack(archive: Path, *names: str, content: bytes = b"film") -> Path:
    """A ZIP file in which each file says its own name after `content`."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content + name.encode())
    return archive


def unpacked(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "unpacked.json"
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """As Kaggle packs it: everything twice, and litter."""
    names = [
        f"{top}/{split}/{label}/{number}.jpeg"
        for top in ("chest_xray/chest_xray", "chest_xray", "chest_xray/__MACOSX")
        for split in ("train", "test")
        for label in ("NORMAL", "PNEUMONIA")
        for number in range(2)
    ]
    return pack(
        tmp_path / "archive.zip", *names, "chest_xray/train/NORMAL/._0.jpeg", "chest_xray/.DS_Store"
    )


def test_the_first_copy_is_unpacked_without_litter(archive: Path, installation: Settings) -> None:
    calls: list[tuple[int, int]] = []

    folder = unpacking.unpack(archive, installation, progress=lambda *call: calls.append(call))

    assert folder.parent == installation.datasets
    assert len(unpacked(folder)) == 8
    film = folder / "train/NORMAL/1.jpeg"
    assert film.read_bytes() == b"filmchest_xray/train/NORMAL/1.jpeg"
    total = sum(path.stat().st_size for path in folder.glob("*/*/*"))
    assert len(calls) == 8 and calls[-1] == (total, total)
    assert unpacking.is_complete(archive, installation)


def test_an_interrupted_unpacking_goes_on(archive: Path, installation: Settings) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpacking.unpack(archive, installation, progress=interrupt)
    assert len(unpacked(unpacking.folder_for(archive, installation))) == 1
    assert not unpacking.is_complete(archive, installation)

    calls: list[int] = []
    folder = unpacking.unpack(archive, installation, progress=lambda *call: calls.append(call[0]))
    assert len(calls) == 7  # the first is not unpacked again
    assert len(unpacked(folder)) == 8


def test_what_is_discarded_meanwhile_is_not_made_again(
    archive: Path, installation: Settings
) -> None:
    with pytest.raises(DatasetUnavailable, match="cannot be unpacked into"):
        unpacking.unpack(
            archive,
            installation,
            progress=lambda done, total: unpacking.discard(archive, installation),
        )
    assert list(installation.datasets.iterdir()) == []


def test_what_is_unpacked_outlives_its_archive_but_not_another_of_its_name(
    archive: Path, installation: Settings
) -> None:
    unpacking.unpack(archive, installation)
    archive.unlink()
    assert unpacking.is_complete(archive, installation)

    pack(archive, "train/NORMAL/new.png")
    assert not unpacking.is_complete(archive, installation)
    folder = unpacking.unpack(archive, installation)
    assert unpacked(folder) == ["train/NORMAL/new.png"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["films/Train/normal/a.png", "films/readme.txt"], ["Train/normal/a.png"]),
        (["Normal/images/a.png", "b.dcm"], ["Normal/images/a.png", "b.dcm"]),
        (
            ["one/train/NORMAL/a.png", "two/train/NORMAL/a.png"],
            ["one/train/NORMAL/a.png", "two/train/NORMAL/a.png"],
        ),
    ],
)
def test_other_layouts_are_kept_for_somebody_to_explain(
    names: list[str], expected: list[str], tmp_path: Path, installation: Settings
) -> None:
    assert unpacked(unpacking.unpack(pack(tmp_path / "a.zip", *names), installation)) == expected


@pytest.mark.parametrize(
    "name", ["../a.png", "train/../../a.png", "/tmp/a.png", "C:\\a.png", "train\\..\\..\\a.png"]
)
def test_nothing_is_written_outside(name: str, tmp_path: Path, installation: Settings) -> None:
    bad = pack(tmp_path / "a.zip", "train/NORMAL/a.png", name)

    with pytest.raises(DatasetUnavailable, match="wants to write outside"):
        unpacking.unpack(bad, installation)

    assert not installation.datasets.exists()


def test_an_image_that_no_page_would_read_is_refused(tmp_path: Path) -> None:
    small = Settings(home=tmp_path / "home", image_limits=ImageLimits(max_bytes=2**20))
    bomb = pack(tmp_path / "a.zip", "train/NORMAL/a.png", content=bytes(3 * 2**20))
    assert bomb.stat().st_size < 10_000

    with pytest.raises(DatasetUnavailable, match=r"has 3 MiB\. Images may have 1 MiB"):
        unpacking.unpack(bomb, small)


def test_a_full_disk_is_noticed_before_it_is(
    archive: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(archive)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)

    with pytest.raises(DatasetUnavailable, match="Make room"):
        unpacking.unpack(archive, installation)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "no complete ZIP file"), (b"PK\x03\x04 and no more", "no complete ZIP file")],
)
def test_damage_is_explained(
    content: bytes, told: str, tmp_path: Path, installation: Settings
) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DatasetUnavailable, match=told):
        unpacking.unpack(tmp_path / "a.zip", installation)


def test_a_changed_byte_is_noticed(tmp_path: Path, installation: Settings) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:  # stored as it is
        file.writestr("train/NORMAL/a.png", b"a film")
    content = (tmp_path / "a.zip").read_bytes().replace(b"a film", b"b film")
    (tmp_path / "a.zip").write_bytes(content)

    with pytest.raises(DatasetUnavailable, match="no complete ZIP file"):
        unpacking.unpack(tmp_path / "a.zip", installation)

    assert unpacked(unpacking.folder_for(tmp_path / "a.zip", installation)) == []


def test_an_archive_without_images_is_explained(tmp_path: Path, installation: Settings) -> None:
    with pytest.raises(DatasetUnavailable, match=r"Found: labels\.csv, notes"):
        unpacking.unpack(pack(tmp_path / "a.zip", "labels.csv", "notes/a.txt"), installation)


def test_the_kaggle_set_is_known_by_its_numbers(
    archive: Path, tmp_path: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "IMAGES", {"train": 4, "test": 4})
    unpacking.unpack(archive, installation)
    assert unpacking.holds_kaggle_set(archive, installation)

    other = pack(tmp_path / "other.zip", "train/NORMAL/a.png")
    unpacking.unpack(other, installation)
    assert not unpacking.holds_kaggle_set(other, installation)
