"""A small data set with planted faults, drawn so that nothing else is wrong with it."""

from pathlib import Path

import cv2
import numpy as np

from pneumo.audit.films import FeatureSource

SIDE = 240


def film(seed: int, *, ill: bool) -> np.ndarray:
    """Soft random blobs; an ill one has a fine ripple across its middle.

    Returns: uint8, shape (SIDE, SIDE).
    """
    rng = np.random.default_rng(seed)
    grey = cv2.resize(rng.uniform(40, 200, (9, 9)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    middle = slice(SIDE // 3, 2 * SIDE // 3)
    ripple = 20 * np.sin(np.arange(SIDE) * 2 * np.pi / 6)
    grey[middle, middle] += ripple[middle] if ill else ripple[middle, np.newaxis]
    return np.clip(grey, 0, 255).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, *, quality: int = 95) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def healthy_set(root: Path, *, persons: int = 24) -> None:
    """As many persons of each class in every split, a film each; nothing wrong with them."""
    for first, split in ((0, "train"), (1000, "val"), (2000, "test")):
        for number in range(first, first + persons):
            normal, ill = film(2 * number, ill=False), film(2 * number + 1, ill=True)
            write(root / split / "NORMAL" / f"IM-{number:04}-0001.jpeg", normal)
            write(root / split / "PNEUMONIA" / f"person{number}_bacteria_{number}.jpeg", ill)


def ripple(picture: np.ndarray) -> np.ndarray:
    """Which way the ripple runs: the features of a perfect network."""
    middle = picture[75:150, 75:150].astype(np.float32)
    across, along = np.abs(np.diff(middle, axis=1)).mean(), np.abs(np.diff(middle, axis=0)).mean()
    return np.repeat([across - along, across + along], 50)


RIPPLE = FeatureSource(name="ripple", digest="0123456789abcdef", size=224, extract=ripple)
