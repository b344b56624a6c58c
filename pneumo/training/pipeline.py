"""Training pictures: decoded once into a cache, augmented on the way to the network."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pneumo import __version__, radiograph
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits, written_whole
from pneumo.training.augmentation import augment
from pneumo.training.recipe import Augmentation
from pneumo.training.runs import TrainingImage

Progress = Callable[[int, int], None]

CORES = os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The readable pictures of one split, ready for a network.

    Attributes:
        pixels: uint8, shape (images, size, size).
        is_pneumonia: float32 0 or 1, shape (images,).
    """

    pixels: np.ndarray
    is_pneumonia: np.ndarray

    def __len__(self) -> int:
        return len(self.is_pneumonia)


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A picture that was left out."""

    path: str
    reason: str


def read_pictures(
    images: Sequence[TrainingImage],
    *,
    size: int,
    limits: ImageLimits,
    cache: Path,
    progress: Progress,
) -> tuple[dict[str, Pictures], list[Unreadable]]:
    """Decode every image, or map what an earlier run of the same data has decoded.

    Args:
        images: of all splits.
        size: side of the network's input, in pixels.
        cache: folder for the decoded pictures.

    Returns: the pictures by split, and the images that could not be read.
    """
    pixels_file = cache / f"pictures-{_cache_key(images, size)}.npy"
    if pixels_file.is_file():
        pixels = np.load(pixels_file, mmap_mode="r")
        unreadable: list[Unreadable] = []
    else:
        pixels, unreadable = _decode(images, size=size, limits=limits, progress=progress)
        if not unreadable:
            with written_whole(pixels_file) as temporary:
                np.save(temporary, pixels)
    left_out = {entry.path for entry in unreadable}
    splits = {}
    for split in sorted({image.split for image in images}):
        rows = [
            row
            for row, image in enumerate(images)
            if image.split == split and image.path not in left_out
        ]
        labels = [images[row].label == "PNEUMONIA" for row in rows]
        splits[split] = Pictures(
            pixels=pixels[rows], is_pneumonia=np.array(labels, dtype=np.float32)
        )
    return splits, unreadable


def augmented_batches(
    pictures: Pictures,
    augmentation: Augmentation,
    *,
    order: np.ndarray,
    batch: int,
    seed: tuple[int, ...],
) -> Iterator[np.ndarray]:
    """Augmented copies of the pictures in the given order, `batch` at a time.

    Each picture has a random state of its own, so that the result depends neither on the batch
    nor on the threads.

    Yields: uint8, shape (up to batch, size, size).
    """

    def picture(row: int) -> np.ndarray:
        return augment(pictures.pixels[row], augmentation, np.random.default_rng((*seed, row)))

    with ThreadPoolExecutor(CORES) as pool:
        for start in range(0, len(order), batch):
            yield np.stack(list(pool.map(picture, order[start : start + batch].tolist())))


def _decode(
    images: Sequence[TrainingImage], *, size: int, limits: ImageLimits, progress: Progress
) -> tuple[np.ndarray, list[Unreadable]]:
    pixels = np.zeros((len(images), size, size), dtype=np.uint8)

    def decode(row: int) -> Unreadable | None:
        path = images[row].path
        try:
            film = radiograph.read_file(Path(path), limits=limits)
        except (UnreadableRadiograph, OSError) as error:
            return Unreadable(path=path, reason=str(error))
        pixels[row] = radiograph.to_model_input(film, size=size)
        return None

    unreadable = []
    with ThreadPoolExecutor(CORES) as pool:
        for done, failure in enumerate(pool.map(decode, range(len(images))), start=1):
            if failure is not None:
                unreadable.append(failure)
            progress(done, len(images))
    return pixels, unreadable


def _cache_key(images: Sequence[TrainingImage], size: int) -> str:
    """Names what decoding these files gives, however they are split."""
    # Another release may decode or resample differently.
    key = hashlib.blake2b(f"{__version__} {size}".encode(), digest_size=8)
    for image in images:
        try:
            status = Path(image.path).stat()
        except OSError:  # found out, and told, when it is decoded
            continue
        key.update(f"\n{image.path} {status.st_size} {status.st_mtime_ns}".encode())
    return key.hexdigest()
