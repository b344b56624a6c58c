"""Decoded pictures on disk: found by content, complete whatever a writer was killed at."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from pneumo import radiograph
from pneumo.radiograph import Radiograph
from pneumo.settings import ImageLimits, Settings
from pneumo.training import picture_cache
from pneumo.training.picture_cache import DIGEST_BYTES, MappedPictures, PictureCache
from pneumo.training.runs import LeftOut, TrainingImage
from tests.training.films import image_of, write_film, write_noise

SIZE = 64
READ_FILE = radiograph.read_file


def add(cache: PictureCache, images: list[TrainingImage]) -> list[LeftOut]:
    return cache.add(images, limits=ImageLimits(), progress=lambda done, total: None)


def expected(image: TrainingImage, *, size: int = SIZE) -> np.ndarray:
    return radiograph.to_model_input(READ_FILE(Path(image.path)), size=size)


@pytest.fixture
def cache(installation: Settings) -> PictureCache:
    return PictureCache(installation.cache, size=SIZE)


@pytest.fixture
def images(tmp_path: Path) -> list[TrainingImage]:
    return [write_noise(tmp_path / f"{seed}.png", seed=seed) for seed in range(5)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded."""
    names = []

    def read(path: Path, *, limits: ImageLimits, model_size: int) -> Radiograph:
        names.append(path.name)
        return READ_FILE(path, limits=limits, model_size=model_size)

    monkeypatch.setattr(radiograph, "read_file", read)
    return names


def files(installation: Settings) -> tuple[Path, Path]:
    """Where pixels and index are."""
    (folder,) = installation.cache.glob("pictures-*")
    return folder / "pixels", folder / "index"


def test_pictures_are_those_that_predictions_see(
    cache: PictureCache, images: list[TrainingImage]
) -> None:
    assert add(cache, images) == []
    pictures = cache.pictures(images)
    assert len(pictures) == 5
    for found, image in zip(pictures[:], images, strict=True):
        assert np.array_equal(found, expected(image))
    # In the order that is asked for, whatever the order of adding.
    assert np.array_equal(cache.pictures(images[::-1])[:], pictures[:][::-1])


def test_only_new_content_is_decoded(
    cache: PictureCache,
    images: list[TrainingImage],
    decoded: list[str],
    installation: Settings,
    tmp_path: Path,
) -> None:
    add(cache, images[:3])
    assert sorted(decoded) == ["0.png", "1.png", "2.png"]
    add(cache, images[:2])
    assert len(decoded) == 3
    add(PictureCache(installation.cache, size=SIZE), images)  # another process
    assert sorted(decoded[3:]) == ["3.png", "4.png"]

    # Content decides: moved, copied, touched, relabelled, resplit.
    copied = Path(shutil.copy(images[0].path, tmp_path / "copy.png"))
    moved = Path(images[1].path).rename(tmp_path / "moved.png")
    Path(images[2].path).touch()
    others = [
        image_of(copied, label="PNEUMONIA", split="validation"),
        image_of(moved),
        image_of(Path(images[2].path)),
    ]
    assert add(cache, others) == [] and len(decoded) == 5
    assert np.array_equal(cache.pictures(others)[:], cache.pictures(images[:3])[:])

    # And other content under an old name is decoded.
    changed = write_film(Path(images[3].path), grey=7)
    add(cache, [changed])
    assert decoded[5:] == ["3.png"]
    assert cache.pictures([changed])[0].max() == 7
    assert cache.pictures([images[3]])[0].max() > 200


def test_pictures_of_another_size_are_others(
    cache: PictureCache, images: list[TrainingImage], decoded: list[str], installation: Settings
) -> None:
    add(cache, images[:1])
    larger = PictureCache(installation.cache, size=96)
    with pytest.raises(KeyError):
        larger.pictures(images[:1])
    add(larger, images[:1])
    assert decoded == ["0.png", "0.png"]
    assert np.array_equal(larger.pictures(images[:1])[0], expected(images[0], size=96))
    assert np.array_equal(cache.pictures(images[:1])[0], expected(images[0]))


def test_another_release_decodes_anew(
    cache: PictureCache,
    images: list[TrainingImage],
    decoded: list[str],
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(cache, images[:1])
    monkeypatch.setattr(picture_cache, "__version__", "99.0")
    add(PictureCache(installation.cache, size=SIZE), images[:1])
    assert len(decoded) == 2


def test_images_of_equal_content_share_a_picture(
    cache: PictureCache, decoded: list[str], installation: Settings, tmp_path: Path
) -> None:
    twins = [write_film(tmp_path / name, grey=9) for name in ("a.png", "b.png", "c.png")]
    other = write_film(tmp_path / "d.png", grey=90)
    told: list[tuple[int, int]] = []
    cache.add(
        [*twins, other],
        limits=ImageLimits(),
        progress=lambda done, total: told.append((done, total)),
    )
    assert len(decoded) == 2 and told == [(3, 4), (4, 4)]
    pixels, index = files(installation)
    assert (pixels.stat().st_size, index.stat().st_size) == (2 * SIZE**2, 2 * DIGEST_BYTES)
    greys = [picture.max() for picture in cache.pictures([twins[0], other, *twins[1:]])[:]]
    assert greys == [9, 90, 9, 9]


def test_every_image_of_an_unreadable_content_is_left_out(
    cache: PictureCache, tmp_path: Path
) -> None:
    """Two files that are cut at the same place may have the same bytes."""
    good = write_film(tmp_path / "good.png")
    cut = Path(good.path).read_bytes()[:60]
    for name in ("first.png", "second.png"):
        (tmp_path / name).write_bytes(cut)
    damaged = [image_of(tmp_path / name) for name in ("first.png", "second.png")]
    left_out = add(cache, [damaged[0], good, damaged[1]])
    assert [entry.path for entry in left_out] == [image.path for image in damaged]
    assert all(entry.reason for entry in left_out)
    assert len(cache.pictures([good])) == 1


def test_what_cannot_be_read_is_left_out_and_tried_again(
    cache: PictureCache, images: list[TrainingImage], tmp_path: Path
) -> None:
    missing = dataclasses.replace(images[0], path=str(tmp_path / "missing.png"))
    (text,) = add(cache, [missing])
    assert text.path == missing.path and "No such file" in text.reason
    with pytest.raises(KeyError):
        cache.pictures([missing])
    shutil.copy(images[0].path, missing.path)
    assert add(cache, [missing]) == []
    assert np.array_equal(cache.pictures([missing])[0], expected(images[0]))


def test_limits_are_respected(cache: PictureCache, images: list[TrainingImage]) -> None:
    left_out = cache.add(
        images[:1], limits=ImageLimits(max_bytes=100), progress=lambda done, total: None
    )
    assert len(left_out) == 1


@pytest.mark.parametrize("extra", [1, SIZE**2 // 2, SIZE**2, 3 * SIZE**2 + 5])
@pytest.mark.parametrize("half_a_digest", [0, 1, DIGEST_BYTES - 1])
def test_a_writer_that_was_killed(
    cache: PictureCache,
    images: list[TrainingImage],
    decoded: list[str],
    installation: Settings,
    extra: int,
    half_a_digest: int,
) -> None:
    """Pixels come first: they may be there without their digest, or with half of it."""
    add(cache, images[:2])
    pixels, index = files(installation)
    with pixels.open("ab") as file:
        file.write(b"\x07" * extra)
    with index.open("ab") as file:
        file.write(bytes.fromhex(images[2].digest)[:half_a_digest])
    # A reader sees the complete pictures only.
    assert np.array_equal(cache.pictures(images[1:2])[0], expected(images[1]))
    with pytest.raises(KeyError):
        cache.pictures(images[2:3])
    # The next writer goes on behind them.
    del decoded[:]
    assert add(cache, images) == []
    assert sorted(decoded) == ["2.png", "3.png", "4.png"]
    for found, image in zip(cache.pictures(images)[:], images, strict=True):
        assert np.array_equal(found, expected(image))
    assert pixels.stat().st_size == 5 * SIZE**2 and index.stat().st_size == 5 * DIGEST_BYTES


class Killed(BaseException):
    """Stands for the end of a process in the middle of its work."""


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_writer_that_is_broken_off(
    cache: PictureCache,
    images: list[TrainingImage],
    decoded: list[str],
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    monkeypatch.setattr(picture_cache, "APPENDED_TOGETHER", 2)

    def progress(done: int, total: int) -> None:
        if done == after:
            raise Killed

    with pytest.raises(Killed):
        cache.add(images, limits=ImageLimits(), progress=progress)
    complete = (after - 1) // 2 * 2
    for image in images[:complete]:
        assert np.array_equal(cache.pictures([image])[0], expected(image))
    with pytest.raises(KeyError):
        cache.pictures(images[complete : complete + 1])
    del decoded[:]
    add(cache, images)
    assert sorted(decoded) == [f"{number}.png" for number in range(complete, 5)]
    for found, image in zip(cache.pictures(images)[:], images, strict=True):
        assert np.array_equal(found, expected(image))


def test_progress_counts_images_and_begins_with_those_that_are_known(
    cache: PictureCache, images: list[TrainingImage]
) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    for count, expected_calls in (
        (3, [(1, 3), (2, 3), (3, 3)]),
        (5, [(4, 5), (5, 5)]),
        (5, []),
    ):
        cache.add(images[:count], limits=ImageLimits(), progress=progress)
        assert told == expected_calls
        told.clear()


# Mapped pictures ------------------------------------------------------------------------


@pytest.fixture
def mapped(tmp_path: Path) -> MappedPictures:
    """Pictures of 2 × 2 pixels: places 3, 0, 3, 1 of four whose pixels are 0–3, 10–13, …"""
    stored = np.array([[0, 1, 2, 3]], np.uint8) + np.array([[0], [10], [20], [30]], np.uint8)
    (tmp_path / "pixels").write_bytes(stored.tobytes())
    return MappedPictures(tmp_path / "pixels", size=2, rows=np.array([3, 0, 3, 1]))


def test_indexing(mapped: MappedPictures) -> None:
    assert len(mapped) == 4
    assert mapped[0].tolist() == [[30, 31], [32, 33]]
    assert mapped[-1].tolist() == [[10, 11], [12, 13]]
    assert mapped[1:3][:, 0, 0].tolist() == [0, 30]
    assert mapped[:][:, 1, 1].tolist() == [33, 3, 33, 13]
    assert mapped[np.array([3, 3, 1])][:, 0, 1].tolist() == [11, 11, 1]
    assert mapped[np.array([], int)].shape == (0, 2, 2)
    assert mapped[0].dtype == np.uint8
    for beyond in (4, -5):
        with pytest.raises(IndexError):
            mapped[beyond]


def test_pictures_are_copies(mapped: MappedPictures) -> None:
    for chosen in (0, slice(0, 2), np.array([0, 1])):
        pictures = mapped[chosen]
        pictures[:] = 99
    assert mapped[0].tolist() == [[30, 31], [32, 33]]


def test_memory_is_given_back_and_read_again(
    mapped: MappedPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_cache, "RESIDENT_BYTES", 7)
    for _ in range(5):
        assert mapped[:][:, 0, 0].tolist() == [30, 0, 30, 10]
