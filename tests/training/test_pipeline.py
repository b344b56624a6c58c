"""Decoding into the cache, and augmented batches."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo import radiograph
from pneumo.settings import ImageLimits, Settings
from pneumo.training import pipeline
from pneumo.training.pipeline import Pictures, augmented_batches, read_pictures
from pneumo.training.recipe import QUICK
from pneumo.training.runs import TrainingImage


@pytest.fixture
def pictures() -> Pictures:
    rng = np.random.default_rng(0)
    return Pictures(
        pixels=rng.integers(0, 256, (11, 32, 32)).astype(np.uint8),
        is_pneumonia=np.zeros(11, np.float32),
    )


def batches(pictures: Pictures, *, batch: int, seed: tuple[int, ...] = (0, 1)) -> np.ndarray:
    order = np.random.default_rng(3).permutation(len(pictures))
    parts = list(
        augmented_batches(pictures, QUICK.augmentation, order=order, batch=batch, seed=seed)
    )
    assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    return np.concatenate(parts)


def test_batches_depend_on_the_seed_and_not_on_their_size(pictures: Pictures) -> None:
    whole = batches(pictures, batch=11)
    assert np.array_equal(whole, batches(pictures, batch=4))
    assert np.array_equal(whole, batches(pictures, batch=1))
    assert not np.array_equal(whole, batches(pictures, batch=11, seed=(0, 2)))
    assert not np.array_equal(whole, batches(pictures, batch=11, seed=(1, 1)))


def test_a_picture_changes_alike_wherever_it_stands(pictures: Pictures) -> None:
    forward, backward = (
        np.concatenate(
            list(augmented_batches(pictures, QUICK.augmentation, order=order, batch=3, seed=(7,)))
        )
        for order in (np.arange(11), np.arange(11)[::-1])
    )
    assert np.array_equal(forward, backward[::-1])


def test_equal_pictures_change_differently() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    twins = Pictures(pixels=np.stack([picture] * 2), is_pneumonia=np.zeros(2, np.float32))
    one, other = batches(twins, batch=2)
    assert not np.array_equal(one, other)


@pytest.fixture
def images(tmp_path: Path) -> list[TrainingImage]:
    """Three films of 80 × 100 grey pixels, then a text file and a missing file."""
    found = []
    for number, split in enumerate(("train", "train", "validation")):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((80, 100), 50 * number + 7, np.uint8))
        label = "PNEUMONIA" if number else "NORMAL"
        found.append(TrainingImage(path=str(path), label=label, patient=str(number), split=split))
    (tmp_path / "notes.jpeg").write_text("not a film")
    for name in ("notes.jpeg", "missing.png"):
        path = tmp_path / name
        found.append(TrainingImage(path=str(path), label="NORMAL", patient=name, split="train"))
    return found


def read(
    images: list[TrainingImage], installation: Settings
) -> tuple[dict[str, Pictures], list[pipeline.Unreadable]]:
    return read_pictures(
        images,
        size=64,
        limits=ImageLimits(),
        cache=installation.cache,
        progress=lambda done, total: None,
    )


def test_pictures_and_labels_by_split(images: list[TrainingImage], installation: Settings) -> None:
    splits, unreadable = read(images, installation)
    assert splits["train"].is_pneumonia.tolist() == [0, 1]
    assert splits["validation"].is_pneumonia.tolist() == [1]
    assert splits["train"].pixels.shape == (2, 64, 64)
    assert [picture.max() for picture in splits["train"].pixels] == [7, 57]
    assert splits["validation"].pixels.max() == 107
    assert [Path(entry.path).name for entry in unreadable] == ["notes.jpeg", "missing.png"]
    assert "JPEG" in unreadable[0].reason
    assert "No such file" in unreadable[1].reason


def test_pixels_are_those_that_predictions_see(installation: Settings, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 130)).astype(np.uint8)
    cv2.imwrite(str(path), noise)
    image = TrainingImage(path=str(path), label="NORMAL", patient="p", split="train")
    splits, _ = read([image], installation)
    expected = radiograph.to_model_input(radiograph.read_file(path), size=64)
    assert np.array_equal(splits["train"].pixels[0], expected)


def test_the_second_reading_decodes_nothing(
    images: list[TrainingImage], installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable = images[:3]
    first, _ = read(readable, installation)
    read(images[:2], installation)
    decoded = []
    monkeypatch.setattr(radiograph, "read_file", lambda path, limits: decoded.append(path))
    second, unreadable = read(readable, installation)
    assert unreadable == [] and decoded == []
    for split, pictures in first.items():
        assert np.array_equal(second[split].pixels, pictures.pixels)
    resplit = [dataclasses.replace(image, split="train") for image in readable]
    assert len(read(resplit, installation)[0]["train"]) == 3 and decoded == []
    Path(readable[0].path).touch()
    with pytest.raises(AttributeError):  # a file that was written anew is decoded anew
        read(readable, installation)
    assert decoded


def test_what_could_not_be_read_is_tried_again(
    images: list[TrainingImage], installation: Settings
) -> None:
    _, unreadable = read(images[:4], installation)
    assert len(unreadable) == 1
    Path(images[3].path).write_bytes(Path(images[0].path).read_bytes())
    splits, unreadable = read(images[:4], installation)
    assert unreadable == []
    assert np.array_equal(splits["train"].pixels[2], splits["train"].pixels[0])


def test_progress_counts_every_image(images: list[TrainingImage], installation: Settings) -> None:
    told: list[tuple[int, int]] = []
    read_pictures(
        images,
        size=64,
        limits=ImageLimits(),
        cache=installation.cache,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 5) for done in range(1, 6)]
