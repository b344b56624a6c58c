"""What a model makes of a whole data set: its answers, and where each film lies among others.

Each film is asked about once, ever: answers are kept by model and by the digest of the film, for
all data sets together. An asking that was broken off goes on where it ended.

Of the network's features the place along the directions is kept in which training films differ
most, as the gate has them (48 numbers of 1,280), and the distance from the training films: some 150
bytes a film on disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo import radiograph
from pneumo.datasets.film_store import FilmStore, complete
from pneumo.evaluation.operating_point import BALANCED
from pneumo.inference import bundle as bundles
from pneumo.inference.bundle import Bundle
from pneumo.inference.gate import Gate
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import MODEL_INPUT_VERSION, UnreadableRadiograph
from pneumo.settings import Settings

# The name of the store changes with its columns.
_FORMAT = 1
_COLUMNS = {
    "problem": "str",
    "logit": "float64",
    "distance": "float64",
    "flagged": "bool",
    "features": "object",  # bytes, float16
}


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """What a model makes of the films of a data set.

    Attributes:
        model: its name, for people.
        key: identifies what was asked; another network or another gate has another.
        table: a row for each film, with the index of the catalogue:

            - problem (str): why the film could not be read; "" where it could. All else is then
              NaN, "" or False;
            - logit (float): as the network gives it;
            - probability (float): of PNEUMONIA, calibrated, where both classes are equally common;
            - verdict (str): "NORMAL" or "PNEUMONIA", at the balanced point;
            - unsure (bool): in the band where the model leaves the verdict open;
            - flagged (bool): outside what the model was trained on, as the gate sees it;
            - distance (float): of the features from the training films, whose own are at about 2.
        features: where each film lies among the directions in which training films differ most,
            float32, shape (films, directions): each divided by the root of its standard deviation,
            as in `cases`. Of a film that could not be read, zeros.
    """

    model: str
    key: str
    table: pd.DataFrame
    features: np.ndarray


def cached(settings: Settings, model: Bundle, catalog: pd.DataFrame) -> Opinions | None:
    """The answers about all films of a catalogue; None unless all of them are there."""
    known = _store(settings, model).read()
    if not catalog["digest"].isin(known.index).all():
        return None
    return _opinions(model, catalog, known)


def stamp(settings: Settings, model: Bundle) -> int:
    """Another one whenever more answers of a model are kept; 0 when there are none."""
    return _store(settings, model).stamp


def ask(
    predictor: Predictor,
    catalog: pd.DataFrame,
    root: Path,
    *,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Opinions:
    """Ask a model about every film that it has not answered yet, on all cores.

    Args:
        catalog: as `catalog.build` returns it.
        root: the folder that its paths are relative to.
        settings: where the cache is, and the limits of a file.
        progress: called from this thread with the films answered and their number.
        cancelled: asked after each film.

    Raises:
        Cancelled: `cancelled` said so; the answers so far are kept.
        OSError: the cache cannot be written.
    """
    gate = Gate.load(predictor.bundle.gate)
    (known,) = complete(
        [_store(settings, predictor.bundle)],
        catalog,
        lambda path: [_answer(predictor, gate, root / path, settings)],
        progress=progress,
        cancelled=cancelled,
        threads=predictor.workers,
    )
    return _opinions(predictor.bundle, catalog, known)


def _answer(predictor: Predictor, gate: Gate, path: Path, settings: Settings) -> dict[str, object]:
    """The row of one film."""
    size = predictor.bundle.card.image_size
    try:
        film = radiograph.read_file(path, limits=settings.image_limits, model_size=size)
    except (UnreadableRadiograph, OSError) as error:
        return {
            "problem": str(error),
            **{"logit": np.nan, "distance": np.nan, "flagged": False, "features": b""},
        }
    picture = radiograph.to_model_input(film, size=size)
    feature_map = predictor.feature_map(picture)
    pooled = feature_map.mean(axis=(0, 1))
    near = gate.by_features
    return {
        "problem": "",
        "logit": predictor.head.logit(feature_map),
        "distance": float(near.distances(pooled[np.newaxis])[0]),
        "flagged": bool(gate.reasons(film, picture, pooled)),
        "features": _place(pooled, gate).astype(np.float16).tobytes(),
    }


def _place(pooled: np.ndarray, gate: Gate) -> np.ndarray:
    """Where features lie among the directions: float32, shape (directions,)."""
    near = gate.by_features
    return np.asarray(near.directions @ (pooled - near.centre) / near.variances**0.25)


def _opinions(model: Bundle, catalog: pd.DataFrame, known: pd.DataFrame) -> Opinions:
    rows = known.loc[catalog["digest"]].set_axis(catalog.index)
    point = model.card.operating_points[BALANCED]
    read = (rows["problem"] == "").to_numpy()
    probability = np.full(len(rows), np.nan)
    probability[read] = model.card.calibration.probability(rows["logit"].to_numpy()[read])
    low, high = point.band
    verdict = np.where(probability >= point.threshold, "PNEUMONIA", "NORMAL")
    table = pd.DataFrame(
        {
            "problem": rows["problem"],
            "logit": rows["logit"],
            "probability": probability,
            "verdict": np.where(read, verdict, ""),
            "unsure": (low < probability) & (probability < high),
            "flagged": rows["flagged"],
            "distance": rows["distance"],
        },
        index=catalog.index,
    )
    nothing = np.zeros_like(Gate.load(model.gate).by_features.variances, np.float16).tobytes()
    features = b"".join(it or nothing for it in rows["features"])
    return Opinions(
        model=model.card.name,
        key=_key(model),
        table=table,
        features=np.frombuffer(features, np.float16).reshape(len(rows), -1).astype(np.float32),
    )


def _key(model: Bundle) -> str:
    return f"{model.digest[:16]}-{model.card.files[bundles.GATE][:16]}"


def _store(settings: Settings, model: Bundle) -> FilmStore:
    folder = settings.cache / f"opinions-{_FORMAT}.{MODEL_INPUT_VERSION}" / _key(model)
    return FilmStore(folder=folder, columns=_COLUMNS)
