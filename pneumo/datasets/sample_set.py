"""The sample set: synthetic radiographs in the folders and names of the Kaggle set.

For machines that cannot reach Kaggle, and for tests. Every film comes from
`pneumo.datasets.phantom`; each has a mask of its lesion, which the real set lacks.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pneumo import settings
from pneumo.datasets import phantom

VERSION = 2  # of the films; raise it when the phantom changes, and old sets are made again
RECEIPT = "sample_set.json"
MASKS = "lesion_masks"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Films of one split."""

    normal: int
    pneumonia: int


TRAIN = Counts(normal=90, pneumonia=150)
VAL = Counts(normal=8, pneumonia=8)
TEST = Counts(normal=24, pneumonia=40)


@dataclass(frozen=True, kw_only=True)
class Film:
    """One film of the set: what it shows, of whom, and where it is kept.

    Attributes:
        split: "train", "val" or "test".
        subtype: "normal", "bacterial" or "viral".
        patient: seed of the child; no two splits share one.
        exam: number of the examination of that child.
        stem: file name without its ending.
    """

    split: str
    subtype: phantom.Subtype
    patient: int
    exam: int
    stem: str

    @property
    def path(self) -> Path:
        """Of the radiograph, relative to the root of the set."""
        label = "NORMAL" if self.subtype == "normal" else "PNEUMONIA"
        return Path(self.split) / label / f"{self.stem}.jpeg"

    @property
    def mask_path(self) -> Path:
        """Of the mask of the lesion, relative to the root of the set."""
        return Path(MASKS) / self.split / f"{self.stem}.png"


def plan(
    *, seed: int = 0, train: Counts = TRAIN, val: Counts = VAL, test: Counts = TEST
) -> list[Film]:
    """Every film of a set, in the order of their making.

    About a quarter of the patients are examined two or three times. As in the real set, two
    thirds of the pneumonias are bacterial.
    """
    random = np.random.default_rng(seed)
    films: list[Film] = []
    patient = 0
    for split, counts in (("train", train), ("val", val), ("test", test)):
        for label, wanted in (("NORMAL", counts.normal), ("PNEUMONIA", counts.pneumonia)):
            made = 0
            while made < wanted:
                patient += 1
                exams = min(int(random.choice([1, 2, 3], p=[0.75, 0.18, 0.07])), wanted - made)
                subtype: phantom.Subtype = "normal"
                if label == "PNEUMONIA":
                    subtype = "bacterial" if random.random() < 0.65 else "viral"
                for exam in range(exams):
                    number = len(films) + 1
                    films.append(
                        Film(
                            split=split,
                            subtype=subtype,
                            patient=seed * 1_000_003 + patient,
                            exam=exam,
                            stem=_stem(subtype, patient=patient, exam=exam, number=number),
                        )
                    )
                made += exams
    return films


def _stem(subtype: phantom.Subtype, *, patient: int, exam: int, number: int) -> str:
    if subtype == "bacterial":
        return f"person{patient}_bacteria_{number}"
    if subtype == "viral":
        return f"person{patient}_virus_{number}"
    prefix = "NORMAL2-IM" if patient % 2 else "IM"
    return f"{prefix}-{patient:04d}-{exam + 1:04d}"


def create(
    root: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    train: Counts = TRAIN,
    val: Counts = VAL,
    test: Counts = TEST,
    height: int = phantom.HEIGHT,
) -> None:
    """Writes the sample set, or what is still missing of it.

    Radiographs go to `root/{train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg`, masks (0 or 255) to
    `root/lesion_masks/<split>/<stem>.png`. Safe to interrupt: the next call goes on where
    this one stopped. A finished set is left alone, one of an older version made again.

    Args:
        root: folder of the set; made where missing.
        seed: another seed gives other children.
        progress: called after each film with the films done and the films in all.
        train, val, test: films per split.
        height: of every film, in pixels.

    Raises:
        ValueError: `root` holds a sample set of this version made with other options.
    """
    options = {
        "version": VERSION,
        "seed": seed,
        "height": height,
        "train": asdict(train),
        "val": asdict(val),
        "test": asdict(test),
    }
    films = plan(seed=seed, train=train, val=val, test=test)
    found = _receipt(root)
    if found is not None and found["options"]["version"] != VERSION:
        _remove_films(root, found["options"])
        found = None
    if found is None:
        _write_receipt(root, options, complete=False)
    elif found["options"] != options:
        raise ValueError(
            f"`root` holds a sample set made with other options: {found['options']}. "
            f"Delete the folder or choose another one. Received: root={str(root)!r}"
        )
    missing = [film for film in films if not _is_written(root, film)]
    done = len(films) - len(missing)
    if progress is not None:
        progress(done, len(films))
    # Processes would be faster still, but cannot be started safely from a running dashboard.
    pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 4))
    try:
        for _ in pool.map(lambda film: _write(root, film, height), missing):
            done += 1
            if progress is not None:
                progress(done, len(films))
    finally:
        pool.shutdown(cancel_futures=True)
    _write_receipt(root, options, complete=True)


def is_complete(root: Path) -> bool:
    """Whether `root` holds a finished sample set of the present version."""
    receipt = _receipt(root)
    return receipt is not None and receipt["complete"] and receipt["options"]["version"] == VERSION


def _receipt(root: Path) -> dict[str, Any] | None:
    try:
        return json.loads((root / RECEIPT).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _write_receipt(root: Path, options: dict[str, Any], *, complete: bool) -> None:
    settings.write_text(
        root / RECEIPT, json.dumps({"complete": complete, "options": options}, indent=2)
    )


def _remove_films(root: Path, options: dict[str, Any]) -> None:
    counts = {split: Counts(**options[split]) for split in ("train", "val", "test")}
    for film in plan(seed=options["seed"], **counts):
        (root / film.path).unlink(missing_ok=True)
        (root / film.mask_path).unlink(missing_ok=True)


def _is_written(root: Path, film: Film) -> bool:
    return (root / film.path).exists() and (root / film.mask_path).exists()


def _write(root: Path, film: Film, height: int) -> None:
    taken = phantom.acquire(film.subtype, seed=film.patient, exam=film.exam, height=height)
    mask = taken.lesion.astype(np.uint8) * 255
    _write_image(root / film.mask_path, mask, [])
    _write_image(root / film.path, taken.pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])


def _write_image(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    _, encoded = cv2.imencode(path.suffix, pixels, options)
    settings.write_bytes(path, encoded.tobytes())
