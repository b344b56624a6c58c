"""Which films of a catalogue to look at, and how to show many of them quickly."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo import radiograph
from pneumo.settings import ImageLimits


def select(
    catalog: pd.DataFrame,
    *,
    split: str | None = None,
    label: str | None = None,
    subtype: str | None = None,
    search: str = "",
) -> pd.DataFrame:
    """The rows that meet every condition given, in the order of the catalogue.

    Args:
        catalog: as `catalog.build` returns it.
        split: e.g. "train"; None for any.
        label: "NORMAL" or "PNEUMONIA"; None for any.
        subtype: "normal", "bacterial", "viral" or "unknown"; None for any.
        search: part of a path or of a patient, in either case; empty for any.
    """
    meets = pd.Series(True, index=catalog.index)
    for column, value in (("split", split), ("label", label), ("subtype", subtype)):
        if value is not None:
            meets &= catalog[column] == value
    if search.strip():
        sought = search.strip().lower()
        meets &= catalog["path"].str.lower().str.contains(sought, regex=False) | (
            catalog["patient"].str.lower().str.contains(sought, regex=False)
        )
    return catalog[meets]


def shuffle(catalog: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """The same rows in an order that the seed decides; seed 0 keeps the order as it is."""
    return catalog if seed == 0 else catalog.sample(frac=1, random_state=seed)


def of_the_same_patient(catalog: pd.DataFrame, film: pd.Series) -> pd.DataFrame:
    """The other films of a film's patient; patient names are unique within a label only."""
    same = (catalog["patient"] == film["patient"]) & (catalog["label"] == film["label"])
    return catalog[same & (catalog["path"] != film["path"])]


def thumbnails(
    root: Path, films: pd.DataFrame, *, side: int, limits: ImageLimits
) -> list[bytes | radiograph.UnreadableRadiograph]:
    """Small pictures of films, several decoded at once and remembered for the next time.

    Args:
        root: the folder that the paths of the catalogue are relative to.
        films: rows of a catalogue.
        side: longest side of a picture, in pixels.
        limits: what each file must respect.

    Returns:
        One JPEG for each row, or the reason why there is none.
    """

    def picture(path: str, digest: str) -> bytes | radiograph.UnreadableRadiograph:
        try:
            return _thumbnail(root / path, digest, side, limits)
        except radiograph.UnreadableRadiograph as unreadable:
            return unreadable
        except OSError as error:
            return radiograph.UnreadableRadiograph(
                "missing", f"The file cannot be read ({error.strerror}). Read the folder again."
            )

    with ThreadPoolExecutor() as pool:
        return list(pool.map(picture, films["path"], films["digest"]))


def shrink(pixels: np.ndarray, *, side: int) -> np.ndarray:
    """A film whose longest side is at most `side` pixels, in its own proportions.

    Args:
        pixels: uint8, shape (height, width) or (height, width, 3).
        side: in pixels; a smaller film stays as it is.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def to_jpeg(pixels: np.ndarray, *, quality: int = 88) -> bytes:
    """Encode a film for a page.

    Args:
        pixels: uint8, grey of shape (height, width) or RGB of shape (height, width, 3).
        quality: of the JPEG, 0 to 100.
    """
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


# The digest stands among the arguments so that a file that changed is decoded anew.
# 4,096 pictures of about 10 kB each: 40 MB.
@lru_cache(maxsize=4096)
def _thumbnail(path: Path, digest: str, side: int, limits: ImageLimits) -> bytes:
    return to_jpeg(shrink(radiograph.read_file(path, limits=limits).pixels, side=side))


__all__: Sequence[str] = [
    "of_the_same_patient",
    "select",
    "shrink",
    "shuffle",
    "thumbnails",
    "to_jpeg",
]
