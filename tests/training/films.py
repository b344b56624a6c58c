"""Films on disk, as lines of `images.csv`."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from pneumo.training.runs import TrainingImage


def image_of(
    path: Path,
    *,
    label: str = "NORMAL",
    subtype: str = "",
    patient: str = "1",
    split: str = "train",
) -> TrainingImage:
    """The line for a file that is there."""
    return TrainingImage(
        path=str(path),
        label=label,
        subtype=subtype or {"NORMAL": "normal", "PNEUMONIA": "unknown"}[label],
        patient=patient,
        split=split,
        digest=hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(),
    )


def write_film(path: Path, *, grey: int = 99, **values: str) -> TrainingImage:
    """A film of one grey, 80 × 100 pixels, and its line."""
    cv2.imwrite(str(path), np.full((80, 100), grey, np.uint8))
    return image_of(path, **values)


def write_noise(path: Path, *, seed: int = 0, **values: str) -> TrainingImage:
    """A film of noise, 90 × 130 pixels, and its line."""
    noise = np.random.default_rng(seed).integers(0, 256, (90, 130)).astype(np.uint8)
    cv2.imwrite(str(path), noise)
    return image_of(path, **values)
