"""Pictures by split with their classes, and augmented copies made ahead of their use."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pneumo import radiograph
from pneumo.settings import Settings
from pneumo.training.picture_cache import MappedPictures
from pneumo.training.pipeline import (
    Pictures,
    augmented,
    made_ahead,
    read_pictures,
    split_into,
)
from pneumo.training.recipe import QUICK, Augmentation, Recipe
from pneumo.training.runs import LeftOut, TrainingImage
from tests.training.films import image_of, write_film, write_noise

RECIPE = QUICK.changed(image_size=96)


# Augmented copies -----------------------------------------------------------------------


def mapped(folder: Path, pixels: np.ndarray) -> MappedPictures:
    path = folder / f"{pixels.shape[0]}.pixels"
    path.write_bytes(pixels.tobytes())
    return MappedPictures(path, size=pixels.shape[1], rows=np.arange(len(pixels)))


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """Noise; every third picture is normal."""
    pixels = np.random.default_rng(0).integers(0, 256, (11, 32, 32)).astype("uint8")
    return Pictures(images=[], pixels=mapped(tmp_path, pixels), classes=np.arange(11) % 3)


def batches(
    pictures: Pictures, *, batch: int, seed: tuple[int, ...] = (0, 1), workers: int = 2
) -> np.ndarray:
    order = split_into(np.random.default_rng(3).permutation(len(pictures)), batch)
    made = made_ahead(
        lambda rows: augmented(pictures, rows, QUICK.augmentation, seed=seed),
        order,
        workers=workers,
    )
    parts = list(made)
    assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    return np.concatenate(parts)


def test_batches_depend_on_the_seed_and_not_on_their_size(pictures: Pictures) -> None:
    whole = batches(pictures, batch=11)
    assert whole.shape == (11, 32, 32) and whole.dtype == np.uint8
    assert np.array_equal(whole, batches(pictures, batch=4))
    assert np.array_equal(whole, batches(pictures, batch=1))
    assert np.array_equal(whole, batches(pictures, batch=1, workers=7))
    assert not np.array_equal(whole, batches(pictures, batch=11, seed=(0, 2)))
    assert not np.array_equal(whole, batches(pictures, batch=11, seed=(1, 1)))


def test_a_picture_changes_alike_wherever_it_stands(pictures: Pictures) -> None:
    forward, backward = (
        augmented(pictures, order, QUICK.augmentation, seed=(7,))
        for order in (np.arange(11), np.arange(11)[::-1])
    )
    assert np.array_equal(forward, backward[::-1])


def test_frames_come_from_either_class_alike(tmp_path: Path) -> None:
    # One normal picture, dark, among seven of pneumonia.
    levels = np.array([0, *[250] * 7], np.uint8)
    pixels = np.broadcast_to(levels[:, np.newaxis, np.newaxis], (8, 32, 32))
    classes = np.array([0, 1, 2, 1, 2, 1, 2, 1])
    pictures = Pictures(images=[], pixels=mapped(tmp_path, pixels), classes=classes)
    dark: list[bool] = []
    for epoch in range(50):
        made = augmented(pictures, np.arange(8), Augmentation(frame_swap=1), seed=(0, epoch))
        assert made[:, 16, 16].tolist() == levels.tolist()
        dark += (made[:, 0, 0] < 125).tolist()
    assert 160 < sum(dark) < 240  # of 400; by their number, normal frames would be 50


def test_equal_pictures_change_differently(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    twins = mapped(tmp_path, np.stack([picture] * 2))
    one, other = batches(Pictures(images=[], pixels=twins, classes=np.array([0, 1])), batch=2)
    assert not np.array_equal(one, other)


# Made ahead -----------------------------------------------------------------------------


def test_results_come_in_order_and_few_are_made_ahead() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def make(rows: np.ndarray) -> np.ndarray:
        with lock:
            begun.append(int(rows[0]))
        time.sleep(0.02 if rows[0] % 3 == 0 else 0)
        return rows * 10

    results = made_ahead(make, [np.array([n]) for n in range(20)], workers=4, ahead=3)
    assert begun == []  # nobody has asked yet
    for number in range(20):
        assert next(results).tolist() == [10 * number]
        assert len(begun) <= number + 1 + 3
    with pytest.raises(StopIteration):
        next(results)


def test_batches_may_come_from_a_generator_without_end() -> None:
    def endless() -> Iterator[np.ndarray]:
        while True:
            yield np.ones(1)

    results = made_ahead(lambda rows: rows, endless(), workers=1, ahead=2)
    assert [next(results).sum() for _ in range(5)] == [1] * 5
    results.close()  # type: ignore[attr-defined]


def test_a_reader_that_leaves_early_waits_for_little() -> None:
    made = []

    def make(rows: np.ndarray) -> np.ndarray:
        made.append(rows)
        time.sleep(0.01)
        return rows

    results = made_ahead(make, [np.ones(1)] * 1000, workers=1, ahead=100)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(made) < 101


def test_a_failure_reaches_the_reader() -> None:
    def make(rows: np.ndarray) -> np.ndarray:
        if rows[0] == 2:
            raise ValueError("picture 2")
        return rows

    results = made_ahead(make, [np.array([n]) for n in range(5)])
    assert [next(results)[0] for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="picture 2"):
        next(results)


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (0, 4, [])]
)
def test_parts(count: int, size: int, lengths: list[int]) -> None:
    parts = split_into(np.arange(count), size)
    assert [len(part) for part in parts] == lengths
    assert [row for part in parts for row in part] == list(range(count))


# By split -------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> list[TrainingImage]:
    """Two films of each split, 80 × 100 grey pixels, then a text file and a missing file."""
    found = []
    for number, split in enumerate(("train", "train", "validation", "validation")):
        label = "PNEUMONIA" if number % 2 else "NORMAL"
        path = tmp_path / f"{number}.png"
        film = write_film(path, grey=50 * number + 7, label=label, patient=path.stem, split=split)
        found.append(film)
    (tmp_path / "notes.jpeg").write_text("not a film")
    (tmp_path / "missing.png").write_text("there for a moment")
    found += [image_of(tmp_path / name, patient=name) for name in ("notes.jpeg", "missing.png")]
    (tmp_path / "missing.png").unlink()
    return found


def read(
    images: list[TrainingImage], installation: Settings, recipe: Recipe = RECIPE
) -> tuple[dict[str, Pictures], list[LeftOut]]:
    return read_pictures(
        images, recipe=recipe, settings=installation, progress=lambda done, total: None
    )


def test_pictures_and_classes_by_split(images: list[TrainingImage], installation: Settings) -> None:
    splits, left_out = read(images, installation)
    assert list(splits) == ["train", "validation"]
    train, validation = splits["train"], splits["validation"]
    assert train.images == images[:2] and validation.images == images[2:4]
    assert train.classes.tolist() == [0, 1] and train.is_pneumonia.tolist() == [False, True]
    assert validation.classes.tolist() == [0, 1] and validation.classes.dtype == np.int64
    assert len(train) == len(train.pixels) == 2
    assert train.pixels[:].shape == (2, 96, 96)
    assert [picture.max() for picture in train.pixels[:]] == [7, 57]
    assert [picture.max() for picture in validation.pixels[:]] == [107, 157]
    assert [Path(entry.path).name for entry in left_out] == ["notes.jpeg", "missing.png"]
    assert "JPEG" in left_out[0].reason
    assert "No such file" in left_out[1].reason


def test_three_classes(installation: Settings, tmp_path: Path) -> None:
    subtypes = ("viral", "normal", "bacterial", "viral")
    films = [
        write_film(
            tmp_path / f"{number}.png",
            grey=20 + number,
            label="NORMAL" if subtype == "normal" else "PNEUMONIA",
            subtype=subtype,
        )
        for number, subtype in enumerate(subtypes)
    ]
    splits, _ = read(films, installation, RECIPE.changed(classes=3))
    assert splits["train"].classes.tolist() == [2, 0, 1, 2]
    assert splits["train"].is_pneumonia.tolist() == [True, False, True, True]
    splits, _ = read(films, installation)
    assert splits["train"].classes.tolist() == [1, 0, 1, 1]
    with pytest.raises(ValueError, match=r"normal and bacterial and viral images\. Received: 1 n"):
        read(films[:2], installation, RECIPE.changed(classes=3))


def test_pixels_are_those_that_predictions_see(installation: Settings, tmp_path: Path) -> None:
    films = [
        write_noise(tmp_path / f"{label}.png", seed=seed, label=label)
        for seed, label in enumerate(("NORMAL", "PNEUMONIA"))
    ]
    splits, _ = read(films, installation)
    for film, picture in zip(films, splits["train"].pixels[:], strict=True):
        expected = radiograph.to_model_input(radiograph.read_file(Path(film.path)), size=96)
        assert np.array_equal(picture, expected)


def test_the_second_reading_decodes_nothing(
    images: list[TrainingImage], installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable = images[:4]
    read(images[:2], installation)
    first, _ = read(readable, installation)
    decoded = []
    monkeypatch.setattr(radiograph, "read_file", lambda path, **rest: decoded.append(path))
    second, left_out = read(readable, installation)
    assert left_out == [] and decoded == []
    for split, pictures in first.items():
        assert np.array_equal(second[split].pixels[:], pictures.pixels[:])
    resplit = [image_of(Path(image.path), label=image.label) for image in readable]
    assert len(read(resplit, installation)[0]["train"]) == 4 and decoded == []


def test_what_could_not_be_read_is_tried_again(
    images: list[TrainingImage], installation: Settings
) -> None:
    _, left_out = read(images[:5], installation)
    assert len(left_out) == 1
    Path(images[4].path).write_bytes(Path(images[0].path).read_bytes())
    splits, left_out = read(images[:5], installation)
    assert left_out == []
    assert np.array_equal(splits["train"].pixels[2], splits["train"].pixels[0])


def test_twins_that_cannot_be_read_are_both_left_out(
    images: list[TrainingImage], installation: Settings, tmp_path: Path
) -> None:
    (tmp_path / "twin.jpeg").write_text("not a film")  # as notes.jpeg is
    splits, left_out = read([*images[:5], image_of(tmp_path / "twin.jpeg")], installation)
    assert [Path(entry.path).name for entry in left_out] == ["notes.jpeg", "twin.jpeg"]
    assert len(splits["train"]) == 2


def test_progress_counts_every_image(images: list[TrainingImage], installation: Settings) -> None:
    told: list[tuple[int, int]] = []
    read_pictures(
        images,
        recipe=RECIPE,
        settings=installation,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(1, 7)]
