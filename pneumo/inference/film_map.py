"""A map of a data set: films that a model finds alike lie near each other.

The network's features of each film, already reduced to the directions in which training films
differ most (PCA, see `opinions`), are laid out in the plane by t-SNE (van der Maaten and Hinton,
JMLR 9, 2008), in the implementation of openTSNE (Poličar et al., Journal of Statistical Software
109, 2024). It keeps neighbours together. How far groups lie from each other, how large they are
and where on the map, it does not say.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow

from pneumo.datasets.film_store import Cancelled
from pneumo.inference.opinions import Opinions
from pneumo.settings import Settings, written_whole

MOST_FILMS = 20_000
"""Films on a map, at most: more take minutes, and hide each other."""

PERPLEXITY = 30.0
"""Neighbours that a film is kept together with, about."""

TOGETHER_FIRST, AFTERWARDS = 250, 500
"""Iterations: with attraction exaggerated, so that groups form, and then as it is."""

LEAST_FILMS = 12
"""Fewer have too few neighbours: they are laid out along the two strongest directions."""

SEED = 0

Outline = tuple[tuple[float, float], ...]
"""What is drawn round on a map: the corners, x and y, in turn."""

DETAIL = 0.005
"""How far a simplified outline may be from the one that was drawn, as a share of its extent."""

# The name of a stored map changes with how maps are made.
_FORMAT = 1
_REPORTED_EVERY = 10  # iterations


def films_on_map(opinions: Opinions, catalog: pd.DataFrame) -> pd.DataFrame:
    """The films of a catalogue that have a place on its map.

    All that can be read, one of each content; of more than `MOST_FILMS` a sample by digest, which
    is as good as drawn by lot, and the same whatever the order of the catalogue.
    """
    readable = catalog[(opinions.table["problem"] == "").to_numpy()]
    return readable.drop_duplicates("digest").sort_values("digest").iloc[:MOST_FILMS]


def cached(settings: Settings, opinions: Opinions, catalog: pd.DataFrame) -> pd.DataFrame | None:
    """The map of a catalogue, see `make`; None where it has not been made."""
    try:
        places = pd.read_parquet(_path(settings, opinions, films_on_map(opinions, catalog)))
    except (OSError, pyarrow.ArrowInvalid):  # not there, or damaged: it is made again
        return None
    return _of_films(places, catalog)


def stamp(settings: Settings) -> int:
    """Another one whenever a map is kept; 0 when there is none."""
    try:
        return _folder(settings).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def make(
    opinions: Opinions,
    catalog: pd.DataFrame,
    *,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> pd.DataFrame:
    """Lay out the films of a catalogue, always in the same way, and keep the map.

    Args:
        opinions: of the films.
        catalog: as `catalog.build` returns it.
        settings: where the cache is.
        progress: called from this thread with the iterations done and their number.
        cancelled: asked every few iterations.

    Returns: x and y (float32) by the index of the catalogue, of the films that have a place. Copies
        of a film lie where it lies.

    Raises:
        Cancelled: `cancelled` said so.
        OSError: the cache cannot be written.
    """
    films = films_on_map(opinions, catalog)
    done = 0

    def report(iteration: int, divergence: float, places: np.ndarray) -> bool:
        nonlocal done
        if cancelled():
            raise Cancelled
        done += _REPORTED_EVERY
        progress(done, TOGETHER_FIRST + AFTERWARDS)
        return False

    laid_out = _lay_out(opinions.features[catalog.index.get_indexer(films.index)], report)
    places = pd.DataFrame(laid_out, columns=["x", "y"], index=films["digest"], dtype="float32")
    path = _path(settings, opinions, films)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        places.to_parquet(temporary)
    return _of_films(places, catalog)


def simplified(outline: Outline) -> Outline:
    """The outline with no more corners than its shape needs (Douglas and Peucker, 1973)."""
    corners = np.array(outline, np.float32)
    extent = float(np.ptp(corners, axis=0).max())
    kept = cv2.approxPolyDP(corners, DETAIL * extent, closed=True)
    return tuple((float(x), float(y)) for x, y in kept.reshape(-1, 2))


def inside(places: pd.DataFrame, outline: Outline) -> np.ndarray:
    """Which places lie within an outline: bool, shape (places,)."""
    corners = np.array(outline, np.float32)
    return np.array(
        [
            cv2.pointPolygonTest(corners, (float(x), float(y)), measureDist=False) >= 0
            for x, y in places[["x", "y"]].to_numpy()
        ],
        dtype=bool,
    )


def _lay_out(features: np.ndarray, report: Callable[[int, float, np.ndarray], bool]) -> np.ndarray:
    """Places in the plane, shape (films, 2)."""
    if len(features) < LEAST_FILMS:
        strongest = np.zeros((len(features), 2), np.float32)
        strongest[:, : features.shape[1]] = features[:, :2]
        return strongest
    from openTSNE import TSNE

    layout = TSNE(
        perplexity=min(PERPLEXITY, (len(features) - 1) / 3),
        early_exaggeration_iter=TOGETHER_FIRST,
        n_iter=AFTERWARDS,
        neighbors="exact",  # of so few films and numbers faster than an index
        callbacks=report,
        callbacks_every_iters=_REPORTED_EVERY,
        n_jobs=1,  # several wait for each other more than they help, and most beside a training
        random_state=SEED,
    )
    return np.asarray(layout.fit(features))


def _of_films(places: pd.DataFrame, catalog: pd.DataFrame) -> pd.DataFrame:
    placed = catalog[catalog["digest"].isin(places.index)]
    return places.loc[placed["digest"]].set_axis(placed.index)


def _path(settings: Settings, opinions: Opinions, films: pd.DataFrame) -> Path:
    """Named by everything that a map depends on."""
    key = hashlib.blake2b(opinions.key.encode(), digest_size=12)
    for value in (PERPLEXITY, TOGETHER_FIRST, AFTERWARDS, LEAST_FILMS, SEED, *films["digest"]):
        key.update(f"\n{value}".encode())
    return _folder(settings) / f"{key.hexdigest()}.parquet"


def _folder(settings: Settings) -> Path:
    return settings.cache / f"maps-{_FORMAT}"
