"""Pictures and their classes on the way to the network, made ahead of the step that needs them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pneumo.evaluation.metrics import CLASSES
from pneumo.settings import ImageLimits, Settings
from pneumo.training.augmentation import augment
from pneumo.training.picture_cache import CORES, MappedPictures, PictureCache, Progress
from pneumo.training.recipe import Augmentation, Recipe
from pneumo.training.runs import LeftOut, TrainingImage

BATCHES_AHEAD = 2 * CORES


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The readable pictures of one split, ready for a network.

    Attributes:
        images: where each comes from.
        pixels: uint8, shape (images, size, size) when indexed.
        classes: int64, shape (images,): 0 for NORMAL; 1 for PNEUMONIA, or with three classes 1
            for bacterial and 2 for viral.
    """

    images: Sequence[TrainingImage]
    pixels: MappedPictures
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def is_pneumonia(self) -> np.ndarray:
        """bool, shape (images,)."""
        return self.classes > 0

    def of_either_class(self, rng: np.random.Generator) -> np.ndarray:
        """A random picture, as likely NORMAL as PNEUMONIA: uint8, shape (size, size)."""
        rows = self._rows_by_label[rng.integers(2)]
        return self.pixels[rows[rng.integers(len(rows))]]

    @cached_property
    def _rows_by_label(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of NORMAL and of PNEUMONIA."""
        return np.flatnonzero(~self.is_pneumonia), np.flatnonzero(self.is_pneumonia)


def read_pictures(
    images: Sequence[TrainingImage],
    *,
    recipe: Recipe,
    settings: Settings,
    progress: Progress,
) -> tuple[dict[str, Pictures], list[LeftOut]]:
    """Decode every image that no earlier run has decoded, and map all of them into memory.

    Args:
        images: of all splits.
        recipe: decides the size of the pictures and the classes.
        settings: where the cache is, and the limits of a file.

    Returns: the pictures by split, and the images that could not be read.

    Raises:
        ValueError: a split has no readable picture of one of the classes.
    """
    cache = PictureCache(settings.cache, size=recipe.image_size)
    limits: ImageLimits = settings.image_limits
    left_out = cache.add(images, limits=limits, progress=progress)
    missing = {entry.path for entry in left_out}
    readable = [image for image in images if image.path not in missing]
    splits = {}
    for split in sorted({image.split for image in images}):
        chosen = [image for image in readable if image.split == split]
        classes = np.array([_class(image, recipe.classes) for image in chosen], dtype=np.int64)
        _check_classes(split, classes, recipe.classes, left_out)
        splits[split] = Pictures(images=chosen, pixels=cache.pictures(chosen), classes=classes)
    return splits, left_out


def augmented(
    pictures: Pictures,
    rows: np.ndarray,
    augmentation: Augmentation,
    *,
    seed: tuple[int, ...],
) -> np.ndarray:
    """Augmented copies of some pictures.

    Each picture has a random state of its own, so that the result depends neither on the batch
    nor on the threads.

    Returns: uint8, shape (rows, size, size).
    """
    copies = pictures.pixels[rows]
    for copy, row in zip(copies, rows.tolist(), strict=True):
        rng = np.random.default_rng((*seed, row))
        other = pictures.of_either_class(rng) if augmentation.frame_swap else None
        copy[:] = augment(copy, augmentation, rng, other=other)
    return copies


def made_ahead(
    make: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[np.ndarray],
    *,
    workers: int = CORES,
    ahead: int = BATCHES_AHEAD,
) -> Iterator[np.ndarray]:
    """`make` of each batch, in order, computed in threads while the ones before are used."""
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[np.ndarray]] = deque()
        try:
            for batch in batches:
                pending.append(pool.submit(make, batch))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:  # the reader has left early
                future.cancel()


def split_into(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Consecutive parts of at most `size`."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _class(image: TrainingImage, classes: int) -> int:
    return CLASSES.index(image.subtype) if classes == 3 else int(image.label == "PNEUMONIA")


def _check_classes(
    split: str, classes: np.ndarray, number: int, left_out: Sequence[LeftOut]
) -> None:
    """What cannot end in a model is refused before it takes time."""
    names = CLASSES if number == 3 else ("NORMAL", "PNEUMONIA")
    counts = np.bincount(classes, minlength=number)
    if not counts.all():
        received = ", ".join(f"{count} {name}" for count, name in zip(counts, names, strict=True))
        reason = f" ({left_out[0].reason})" if left_out else ""
        raise ValueError(
            f"`{split}` must hold readable {' and '.join(names)} images. Received: {received}; "
            f"{len(left_out)} could not be read{reason}"
        )
