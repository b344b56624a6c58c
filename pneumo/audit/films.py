"""One pass over the films of a data set: everything that an audit needs of their pixels.

Each film is read once, at a reduced scale where its format allows, and what was found is kept by
the digest of its file: the next audit reads new films only, and one that was broken off goes on.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumo import radiograph
from pneumo.datasets.film_store import FilmStore, complete
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import MODEL_INPUT_VERSION, Radiograph, UnreadableRadiograph
from pneumo.settings import ImageLimits

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

READING = "Reading the films"
"""The activity whose progress counts films; that of any other counts steps."""

SIDE = 224
"""Pixels of the square that films are squeezed to, as a network sees them."""

THUMBNAIL = 32
"""Pixels along a side of what is kept of a film."""

EDGE = SIDE // 14
CORNER = SIDE // 6

# The names of the stores change with their columns.
_FORMAT = 2
_NUMBERS = (
    *("channels", "jpeg", "bit_depth", "mean", "spread", "black", "white", "sharpness"),
    *("edge_mean", "edge_spread", "edge_black", "upper_left_mean", "upper_left_spread"),
    *("upper_right_mean", "upper_right_spread", "lower_left_mean", "lower_left_spread"),
    *("lower_right_mean", "lower_right_spread"),
)
_MEASURES = {"problem": "str", "thumbnail": "object", **dict.fromkeys(_NUMBERS, "float64")}
_FEATURES = {"problem": "str", "features": "object"}


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """What turns a film into features, to find labels that disagree with it.

    Attributes:
        name: for people.
        digest: another one gives other features.
        size: side of the square picture that it takes, in pixels.
        extract: from a picture, uint8, shape (size, size), to features, shape (features,); called
            from several threads.
    """

    name: str
    digest: str
    size: int
    extract: Callable[[np.ndarray], np.ndarray]


def features_of(predictor: Predictor) -> FeatureSource:
    """The pooled last feature map of a model."""
    return FeatureSource(
        name=predictor.bundle.card.name,
        digest=predictor.bundle.digest,
        size=predictor.bundle.card.image_size,
        extract=lambda picture: predictor.feature_map(picture).mean(axis=(0, 1)),
    )


def kept_measures(catalog: pd.DataFrame, *, store: Path) -> pd.DataFrame | None:
    """What `measure_films` found of the films, if it has measured all of them; else None.

    Args:
        catalog: as `catalog.build` returns it.
        store: the folder that the measurements are kept in.

    Returns: a row per digest, as `measure_films` does.
    """
    table = _measures_in(store).read()
    digests = pd.Index(catalog["digest"].unique(), name="digest")
    return table.loc[digests] if digests.isin(table.index).all() else None


def stamp(store: Path) -> int:
    """Another one whenever more films have been measured; 0 when none has."""
    return _measures_in(store).stamp


def measure_films(
    catalog: pd.DataFrame,
    *,
    source: FeatureSource | None,
    limits: ImageLimits,
    store: Path,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Measure every film that is not in the store yet.

    Args:
        catalog: as `catalog.build` returns it.
        source: of features; None for none.
        store: a folder to keep the measurements in.
        cancelled: asked after each film.

    Returns:
        A row per digest (the index): `problem` (str, why the pixels cannot be decoded, else ""),
        `thumbnail` (bytes, uint8 of `THUMBNAIL` × `THUMBNAIL`) and numbers, which are NaN where
        there is a problem; and the features by digest (bytes, float16), for readable films.

    Raises:
        Cancelled: `cancelled` said so.
        OSError: the store cannot be written.
    """
    stores = [_measures_in(store)]
    if source is not None:
        folder = store / f"features-{_FORMAT}.{MODEL_INPUT_VERSION}-{source.digest[:16]}"
        stores.append(FilmStore(folder=folder, columns=_FEATURES))
    root = Path(catalog.attrs["root"])
    measures, *features = complete(
        stores,
        catalog,
        lambda path: _measure(root / path, source, limits),
        progress=lambda done, total: progress(READING, done, total),
        cancelled=cancelled,
    )
    return measures, features[0]["features"] if features else None


def thumbnails(measures: pd.DataFrame) -> np.ndarray:
    """uint8, shape (films, THUMBNAIL, THUMBNAIL), of readable films in their order."""
    return np.frombuffer(b"".join(measures["thumbnail"]), np.uint8).reshape(
        -1, THUMBNAIL, THUMBNAIL
    )


def _measure(
    path: Path, source: FeatureSource | None, limits: ImageLimits
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of one film in both stores."""
    try:
        data = path.read_bytes()
        film = radiograph.read(data, limits=limits, model_size=SIDE)
        picture = radiograph.to_model_input(film, size=SIDE)
        features = b""
        if source is not None:
            shown = picture
            if source.size != SIDE:
                film = radiograph.read(data, limits=limits, model_size=source.size)
                shown = radiograph.to_model_input(film, size=source.size)
            features = source.extract(shown).astype(np.float16).tobytes()
    except (UnreadableRadiograph, OSError) as error:
        problem = {"problem": str(error)}
        return {**problem, "thumbnail": b""}, {**problem, "features": b""}
    thumbnail = cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    measures = {**_of_the_file(data, film), **_look_at(picture)}
    return (
        {"problem": "", "thumbnail": thumbnail.tobytes(), **measures},
        {"problem": "", "features": features},
    )


def _of_the_file(data: bytes, film: Radiograph) -> dict[str, float]:
    """How the film was stored, apart from what the catalogue knows."""
    channels = 1
    if film.format != "DICOM":
        opened = JpegImageFile if film.format == "JPEG" else PngImageFile
        channels = len(opened(io.BytesIO(data)).getbands())  # from the header
    return {
        "channels": float(channels),
        "jpeg": float(film.format == "JPEG"),
        "bit_depth": float(film.bit_depth),
    }


def _look_at(picture: np.ndarray) -> dict[str, float]:
    """Grey levels of the whole, of the edge and of the corners, and how sharp the film is.

    Args:
        picture: uint8, shape (SIDE, SIDE).
    """
    edge = np.concatenate(
        [
            *(picture[:EDGE].ravel(), picture[-EDGE:].ravel()),
            *(picture[EDGE:-EDGE, :EDGE].ravel(), picture[EDGE:-EDGE, -EDGE:].ravel()),
        ]
    )
    corners = {
        "upper_left": picture[:CORNER, :CORNER],
        "upper_right": picture[:CORNER, -CORNER:],
        "lower_left": picture[-CORNER:, :CORNER],
        "lower_right": picture[-CORNER:, -CORNER:],
    }
    spread = float(picture.std())
    found = {
        "mean": float(picture.mean()),
        "spread": spread,
        "black": float(np.mean(picture <= 8)),
        "white": float(np.mean(picture >= 247)),
        "sharpness": float(cv2.Laplacian(picture, cv2.CV_32F).std()) / (spread or 1),
        "edge_mean": float(edge.mean()),
        "edge_spread": float(edge.std()),
        "edge_black": float(np.mean(edge <= 8)),
    }
    for name, corner in corners.items():
        found[f"{name}_mean"] = float(corner.mean())
        found[f"{name}_spread"] = float(corner.std())
    return found


def _measures_in(store: Path) -> FilmStore:
    folder = store / f"films-{_FORMAT}.{MODEL_INPUT_VERSION}"
    return FilmStore(folder=folder, columns=_MEASURES)
