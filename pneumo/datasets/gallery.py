"""Which films of a catalogue to look at, and how to show many of them quickly."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo import radiograph
from pneumo.datasets.catalog import PATIENT
from pneumo.settings import ImageLimits

DEALT_TOGETHER = 12
"""Films of either class that a random draw mixes: half a page."""


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of a film, or the reason why there is none.

    Attributes:
        jpeg: the encoded picture; empty when there is a problem.
        problem: why the film cannot be shown; empty when it can.
    """

    jpeg: bytes = b""
    problem: str = ""


def select(
    catalog: pd.DataFrame,
    *,
    split: str | None = None,
    label: str | None = None,
    subtype: str | None = None,
    patient: str | None = None,
    search: str = "",
) -> pd.DataFrame:
    """The rows that meet every condition given, in the order of the catalogue.

    Args:
        catalog: as `catalog.build` returns it.
        split: e.g. "train"; None for any.
        label: "NORMAL" or "PNEUMONIA"; None for any.
        subtype: "normal", "bacterial", "viral" or "unknown"; None for any.
        patient: as it is called; None for any.
        search: part of a path or of a patient, in either case; empty for any.
    """
    meets = pd.Series(True, index=catalog.index)
    wanted = {"split": split, "label": label, "subtype": subtype, "patient": patient}
    for column, value in wanted.items():
        if value is not None:
            meets &= catalog[column] == value
    sought = search.strip().lower()
    if sought:
        in_path, in_patient = (
            catalog[column].str.lower().str.contains(sought, regex=False)
            for column in ("path", "patient")
        )
        meets &= in_path | in_patient
    return catalog[meets]


def shuffle(catalog: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """The same rows in an order that the seed decides; seed 0 keeps the order as it is.

    For as long as both classes have films, every 24 are 12 of each, mixed: a page shows as many of
    either, and no film's place tells its class. What is left of the larger class comes last.
    """
    if seed == 0:
        return catalog
    drawn = catalog.sample(frac=1, random_state=seed)
    deal = drawn.groupby("label", sort=False).cumcount().to_numpy() // DEALT_TOGETHER
    mixed = np.random.default_rng(seed).random(len(drawn))
    return drawn.iloc[np.lexsort([mixed, deal])]


def of_the_same_patient(catalog: pd.DataFrame, film: pd.Series) -> pd.DataFrame:
    """The other films of a film's patient, see `catalog.PATIENT`."""
    same = np.logical_and.reduce([catalog[column] == film[column] for column in PATIENT])
    return catalog[same & (catalog["path"] != film["path"])]


def most_alike(features: np.ndarray, row: int, *, count: int) -> np.ndarray:
    """The films whose features point most nearly the same way as those of one film.

    Args:
        features: float32, shape (films, channels).
        row: of the film, which is not its own neighbour.
        count: how many at most.

    Returns: their rows, the nearest first.
    """
    lengths = np.linalg.norm(features, axis=1)
    alike = features @ features[row] / np.maximum(lengths, 1e-9)
    alike[row] = -np.inf
    count = min(count, len(features) - 1)
    nearest = np.argpartition(-alike, count - 1)[:count] if count else np.empty(0, int)
    return nearest[np.argsort(-alike[nearest], kind="stable")]


def thumbnails(
    root: Path, films: pd.DataFrame, *, width: int, height: int, limits: ImageLimits
) -> list[Thumbnail]:
    """Small pictures of films, several decoded at once and remembered for the next time.

    Args:
        root: the folder that the paths of the catalogue are relative to.
        films: rows of a catalogue.
        width, height: of every picture, in pixels. A film keeps its proportions; what it
            leaves of the picture is black, as on a viewing station.
        limits: what each file must respect.

    Returns:
        One for each row.
    """

    def make(path: str, digest: str) -> Thumbnail:
        try:
            return Thumbnail(jpeg=_thumbnail(root / path, digest, width, height, limits))
        except (radiograph.UnreadableRadiograph, OSError) as error:
            return Thumbnail(problem=radiograph.why_unreadable(error))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(make, films["path"], films["digest"]))


def fit(pixels: np.ndarray, *, width: int, height: int, enlarge: bool = False) -> np.ndarray:
    """Shrink a film, in its own proportions, until it fits.

    Args:
        pixels: uint8, shape (height, width) or (height, width, 3).
        width, height: of the space there is, in pixels.
        enlarge: whether a smaller film is enlarged to the space, or stays as it is.
    """
    rows, columns = pixels.shape[:2]
    scale = min(width / columns, height / rows)
    if scale >= 1 and not enlarge:
        return pixels
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=interpolation)


def letterbox(pixels: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """A film fitted into a picture of this size, what it leaves of it black.

    Args:
        pixels: uint8, shape (height, width).
        width, height: of the picture, in pixels.
    """
    film = fit(pixels, width=width, height=height, enlarge=True)
    rows, columns = film.shape
    picture = np.zeros((height, width), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    picture[top : top + rows, left : left + columns] = film
    return picture


def to_jpeg(pixels: np.ndarray, *, quality: int = 90) -> bytes:
    """Encode a film for a page.

    Args:
        pixels: uint8, grey of shape (height, width) or RGB of shape (height, width, 3).
        quality: of the JPEG, 0 to 100.
    """
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


# The digest is among the arguments so that a file that changed is decoded anew.
# 2,048 pictures of about 25 kB: 50 MB.
@lru_cache(maxsize=2048)
def _thumbnail(path: Path, digest: str, width: int, height: int, limits: ImageLimits) -> bytes:
    pixels = radiograph.read_file(path, limits=limits).pixels
    return to_jpeg(letterbox(pixels, width=width, height=height))
