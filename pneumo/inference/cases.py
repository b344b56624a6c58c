"""Cases like this: the training films that are nearest to a film, as the network sees them.

Of every training film a bundle keeps its name, its classes, a short vector of what the network
made of it, and a fingerprint by which the very film is recognised at any size.

The vector: the last feature map averaged over positions, along the few directions in which training
films differ most, each divided by the root of the standard deviation. Undivided, the first of them,
pneumonia against normal, holds nine tenths of the variance of the shipped model and drowns what
else films have in common. Alike are films whose vectors point the same way: their similarity is the
cosine of the angle, 1 at most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from pneumo import radiograph
from pneumo.radiograph import Radiograph, UnreadableRadiograph
from pneumo.settings import ImageLimits

NEAREST = 6
"""Training films that are shown beside a film."""
MOST_DIRECTIONS = 64
NEIGHBOURS_FROM = 2048
"""Training films, at most, whose neighbours say what is usual."""

FINGERPRINT_SIDE = 16
SAME_FILM = 10
"""Bits in which two fingerprints of one film differ at most, of 256."""


@dataclass(frozen=True, kw_only=True)
class TrainingFilm:
    """A film that a model learned from.

    Attributes:
        path: as in a catalogue: split, class and file name, with forward slashes.
        label: "NORMAL" or "PNEUMONIA".
        subtype: "normal", "bacterial", "viral" or "unknown".
    """

    path: str
    label: str
    subtype: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training film that is near to the film that was asked about.

    Attributes:
        film: which.
        similarity: cosine of the angle between the two vectors, from -1 to 1.
        closeness: share of the neighbours among training films that are less alike, from 0 to 1.
        same: it is the very film that was asked about.
        fingerprint: of the training film, see `fingerprints`.
    """

    film: TrainingFilm
    similarity: float
    closeness: float
    same: bool
    fingerprint: np.ndarray

    @property
    def wording(self) -> str:
        """How alike, in a few words."""
        if self.same:
            return "The film itself"
        return "Far" if self.far else f"Closer than {100 * self.closeness:.0f} %"

    @property
    def far(self) -> bool:
        """Whether hardly any neighbours among training films are less alike."""
        return self.closeness < 0.05


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The training films of a model, to look for the nearest.

    Attributes:
        films: which.
        centre: mean of their features, float32, shape (channels,).
        directions: float16, shape (directions, channels): each divided by the root of the
            standard deviation along it.
        vectors: of length 1, float16, shape (films, directions).
        fingerprints: uint8, shape (films, 32).
        usual: similarity of a training film and one of its `NEAREST`, 101 percentiles, float32.
    """

    films: Sequence[TrainingFilm]
    centre: np.ndarray
    directions: np.ndarray
    vectors: np.ndarray
    fingerprints: np.ndarray
    usual: np.ndarray

    @classmethod
    def fit(
        cls, films: Sequence[TrainingFilm], features: np.ndarray, fingerprints: np.ndarray
    ) -> Self:
        """Films, what the network made of them unaltered, and their fingerprints.

        Args:
            films: two or more, of training patients.
            features: the last feature map averaged over positions, float32, shape (films,
                channels).
            fingerprints: see `fingerprints`.
        """
        from sklearn.decomposition import PCA

        number, channels = features.shape
        count = max(1, min(MOST_DIRECTIONS, channels, number // 4))  # few films tell few directions
        fitted = PCA(count, random_state=0).fit(features)
        deviations = np.sqrt(fitted.explained_variance_[:, np.newaxis] + 1e-9)  # may be all alike
        cases = cls(
            films=films,
            centre=fitted.mean_.astype(np.float32),
            directions=(fitted.components_ / np.sqrt(deviations)).astype(np.float16),
            vectors=np.empty((0, count), np.float16),
            fingerprints=fingerprints,
            usual=np.empty(0, np.float32),
        )
        vectors = cases._vectors_of(features)
        some = np.random.default_rng(0).permutation(len(films))[:NEIGHBOURS_FROM]
        similarities = vectors[some] @ vectors.T
        similarities[np.arange(len(some)), some] = -np.inf  # nobody is a neighbour of himself
        nearest = min(NEAREST, len(films) - 1)
        neighbours = np.partition(similarities, -nearest, axis=1)[:, -nearest:]
        usual = np.percentile(neighbours, np.arange(101)).astype(np.float32)
        return cls(**{**vars(cases), "vectors": vectors.astype(np.float16), "usual": usual})

    def nearest(
        self, picture: np.ndarray, features: np.ndarray, *, count: int = NEAREST
    ) -> list[Case]:
        """The training films that are most alike, the film itself before all others.

        Args:
            picture: as the network saw it, uint8, shape (size, size).
            features: its last feature map averaged over positions, float32, shape (channels,).
            count: how many at most.
        """
        (vector,) = self._vectors_of(features[np.newaxis])
        similarities = self._vectors @ vector
        same = are_same(self.fingerprints, fingerprints([picture])[0])
        order = np.lexsort((-similarities, ~same))[:count]
        closeness = np.searchsorted(self.usual, similarities[order]) / len(self.usual)
        return [
            Case(
                film=self.films[row],
                similarity=float(similarities[row]),
                closeness=float(share),
                same=bool(same[row]),
                fingerprint=self.fingerprints[row],
            )
            for row, share in zip(order, closeness, strict=True)
        ]

    def save(self, path: Path) -> None:
        """Write the cases as an `.npz` file."""
        columns = {name: [vars(film)[name] for film in self.films] for name in _FILM}
        arrays = {name: value for name, value in vars(self).items() if name in _ARRAYS}
        np.savez_compressed(path, allow_pickle=False, **columns, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            rows = zip(*(arrays[name].tolist() for name in _FILM), strict=True)
            films = [TrainingFilm(**dict(zip(_FILM, row, strict=True))) for row in rows]
            return cls(films=films, **{name: arrays[name] for name in _ARRAYS})

    @cached_property
    def _vectors(self) -> np.ndarray:
        return self.vectors.astype(np.float32)  # ten times as quick to multiply

    def _vectors_of(self, features: np.ndarray) -> np.ndarray:
        """float32, shape (films, directions), of length 1."""
        along = (features - self.centre) @ self.directions.T.astype(np.float32)
        return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)


_FILM = ("path", "label", "subtype")
_ARRAYS = ("centre", "directions", "vectors", "fingerprints", "usual")


def fingerprints(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Where films grow brighter from left to right, on a coarse grid: a difference hash.

    Args:
        pictures: uint8, shape (size, size) each.

    Returns: uint8, shape (pictures, 32): a bit for each place.
    """
    size = (FINGERPRINT_SIDE + 1, FINGERPRINT_SIDE)
    coarse = [cv2.resize(it, size, interpolation=cv2.INTER_AREA) for it in pictures]
    brighter = [np.packbits(it[:, 1:] > it[:, :-1]) for it in coarse]
    return np.stack(brighter)


def are_same(known: np.ndarray, fingerprint: np.ndarray) -> np.ndarray:
    """Which fingerprints are of one film: bool, shape (films,).

    Args:
        known: uint8, shape (films, 32).
        fingerprint: uint8, shape (32,).
    """
    return np.bitwise_count(known ^ fingerprint).sum(axis=1) <= SAME_FILM


def find(
    case: Case, roots: Iterable[Path], *, size: int, limits: ImageLimits
) -> tuple[Path, Radiograph] | None:
    """A training film in the data sets at hand, by its name; another film of that name is not it.

    Args:
        roots: folders that hold the splits.
        size: of the model's input, in pixels.
        limits: what the file must respect.

    Returns: the root where it is, and the film.
    """
    for root in roots:
        try:
            film = radiograph.read_file(root / case.film.path, limits=limits, model_size=size)
        except (UnreadableRadiograph, OSError):
            continue
        found = fingerprints([radiograph.to_model_input(film, size=size)])
        if are_same(found, case.fingerprint)[0]:
            return root, film
    return None
