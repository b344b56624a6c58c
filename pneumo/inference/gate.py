"""Is this a picture of the kind that the model was trained on?

A network answers whatever it is shown. The gate looks at the file, at the picture and at what the
network made of it, which is there anyway, and says in plain words what is foreign:

1. The file: in colour, blank, or a narrow strip.
2. A linear classifier that learned to tell training films from the same films inverted, turned
   and cut up, and from drawn junk (outlier exposure: Hendrycks et al., ICLR 2019).
3. The distance from the training films, among the features of the network's last layer and in the
   coarse layout of light and dark: the Mahalanobis distance along the few directions in which
   training films differ most (Lee et al., NeurIPS 2018), and what these leave unexplained (ViM:
   Wang et al., CVPR 2022).

What counts as too far is read off the validation films.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from pneumo.radiograph import Radiograph

KINDS = ("film", "inverted", "turned", "foreign")
"""What the classifier tells apart."""

COLOURED = 6.0
"""Grey levels between the strongest and the weakest primary colour, on average."""
LEAST_CONTRAST = 32
"""Grey levels between the darkest and the brightest pixel."""
LONGEST_STRIP = 3.5
"""Longer side of a file by its shorter one."""

FLAGGED = 0.004
"""Share of the validation films that a distance may flag."""
LAYOUT_SIDE = 16
MOST_DIRECTIONS = 48


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Pictures and what the network made of them.

    Attributes:
        pictures: uint8, shape (pictures, size, size).
        features: the last feature map averaged over positions, float32, shape (pictures,
            channels).
    """

    pictures: np.ndarray
    features: np.ndarray

    @cached_property
    def layouts(self) -> np.ndarray:
        """Of the pictures, see `layouts`."""
        return layouts(self.pictures)


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """Where training films lie among vectors of one kind, and how far from there is too far.

    Attributes:
        centre: float32, shape (numbers,): their mean.
        directions: float32, shape (directions, numbers): orthonormal, in which they differ most.
        variances: float32, shape (directions,): along each.
        unexplained: float32, shape (): mean squared length of what the directions leave out.
        farthest: float32, shape (): distances beyond are flagged.
    """

    centre: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    unexplained: np.ndarray
    farthest: np.ndarray

    @classmethod
    def of(cls, films: np.ndarray, validation: np.ndarray) -> Self:
        """Fit to the vectors of training films; the farthest distance is that of validation.

        Args:
            films, validation: float32, shape (films, numbers).
        """
        centre = films.mean(axis=0)
        _, lengths, directions = np.linalg.svd(films - centre, full_matrices=False)
        variances = lengths**2 / len(films) + 1e-9  # films may be all alike
        count = max(1, min(MOST_DIRECTIONS, len(films) // 4))  # few films tell few directions
        fitted = cls(
            centre=_single(centre),
            directions=_single(directions[:count]),
            variances=_single(variances[:count]),
            unexplained=_single(variances[count:].sum() + 1e-9),
            farthest=_single(np.inf),
        )
        distances = fitted.distances(validation)
        # A few films have seen too little of the tail: there, three standard deviations.
        logs = np.log(distances + 1e-9)
        beyond = np.exp(logs.mean() + 3 * logs.std())
        farthest = max(np.quantile(distances, 1 - FLAGGED), beyond)
        return cls(**{**vars(fitted), "farthest": _single(farthest)})

    def distances(self, vectors: np.ndarray) -> np.ndarray:
        """How far vectors lie from the films: float32, shape (pictures,).

        A training film is at about 2: 1 along the directions, 1 by what they leave out.

        Args:
            vectors: float32, shape (pictures, numbers).
        """
        offsets = vectors - self.centre
        along = offsets @ self.directions.T
        rest = np.maximum((offsets**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return (along**2 / self.variances).mean(axis=1) + rest / self.unexplained

    def scaled(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors from the centre, such that training films have a mean squared length of 1."""
        return (vectors - self.centre) / np.sqrt(self.variances.sum() + self.unexplained)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Tells films of the kind that a model was trained on from everything else.

    Attributes:
        by_features: training films among the network's features.
        by_layout: training films among the layouts of light and dark.
        weights: of the classifier, float32, shape (channels + layout, kinds).
    """

    by_features: Neighbourhood
    by_layout: Neighbourhood
    weights: np.ndarray

    @classmethod
    def fit(cls, films: Seen, outside: Seen, kinds: np.ndarray, validation: Seen) -> Self:
        """Learn from training films and from pictures out of scope.

        Args:
            films: of the training patients.
            outside: pictures out of scope.
            kinds: of those, places in `KINDS`, int64, shape (pictures,).
            validation: films of the validation patients, for the farthest distances.
        """
        by_features = Neighbourhood.of(films.features, validation.features)
        by_layout = Neighbourhood.of(films.layouts, validation.layouts)
        unlearned = cls(by_features=by_features, by_layout=by_layout, weights=np.empty(0))
        vectors = np.vstack([unlearned._vectors(films), unlearned._vectors(outside)])
        targets = np.eye(len(KINDS))[np.concatenate([np.zeros(len(films.features), int), kinds])]
        # Ridge regression in its dual form: more numbers than pictures. What lies at the centre
        # of the films is a film, so their target is the intercept.
        inner = vectors @ vectors.T + np.eye(len(vectors))
        weights = vectors.T @ np.linalg.solve(inner, targets - targets[0])
        return cls(by_features=by_features, by_layout=by_layout, weights=_single(weights))

    def kinds(self, seen: Seen) -> np.ndarray:
        """What pictures look most like: places in `KINDS`, int64, shape (pictures,)."""
        return (self._vectors(seen) @ self.weights + np.eye(len(KINDS))[0]).argmax(axis=1)

    def strange(self, seen: Seen) -> np.ndarray:
        """Which pictures lie too far from the training films: bool, shape (pictures,)."""
        far = self.by_features.distances(seen.features) > self.by_features.farthest
        return far | (self.by_layout.distances(seen.layouts) > self.by_layout.farthest)

    def flagged(self, seen: Seen) -> np.ndarray:
        """Which pictures are foreign, whatever file they come from: bool, shape (pictures,)."""
        blank = np.ptp(seen.pictures, axis=(1, 2)) < LEAST_CONTRAST
        return blank | (self.kinds(seen) > 0) | self.strange(seen)

    def reasons(
        self, radiograph: Radiograph, picture: np.ndarray, features: np.ndarray
    ) -> tuple[str, ...]:
        """Why a film is unlike those the model was trained on; empty if it is like them.

        Args:
            radiograph: as it was read.
            picture: as the network saw it, uint8, shape (size, size).
            features: its last feature map averaged over positions, float32, shape (channels,).
        """
        reasons = []
        if radiograph.colour > COLOURED:
            reasons.append("In colour: radiographs are grey.")
        height, width = radiograph.shape
        strip = max(height, width) / min(height, width)
        if strip > LONGEST_STRIP:
            reasons.append(f"A strip: one side is {strip:.1f} times the other.")
        seen = Seen(pictures=picture[np.newaxis], features=features[np.newaxis])
        if np.ptp(picture) < LEAST_CONTRAST:
            reasons.append("Hardly any contrast: this may be a blank image.")
        elif kind := self.kinds(seen)[0]:
            reasons.append(_LOOKS[KINDS[kind]])
        elif self.strange(seen)[0]:
            reasons.append("Unlike the radiographs that the model was trained on.")
        return tuple(reasons)

    def save(self, path: Path) -> None:
        """Write the gate as an `.npz` file."""
        parts = {"features": self.by_features, "layout": self.by_layout}
        arrays = {
            f"{part}_{name}": value
            for part, neighbourhood in parts.items()
            for name, value in vars(neighbourhood).items()
        }
        np.savez(path, allow_pickle=False, weights=self.weights, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:

            def neighbourhood(part: str) -> Neighbourhood:
                names = [field.name for field in fields(Neighbourhood)]
                return Neighbourhood(**{name: arrays[f"{part}_{name}"] for name in names})

            return cls(
                by_features=neighbourhood("features"),
                by_layout=neighbourhood("layout"),
                weights=arrays["weights"],
            )

    def _vectors(self, seen: Seen) -> np.ndarray:
        """What the classifier sees of pictures: float32, shape (pictures, channels + layout)."""
        features = self.by_features.scaled(seen.features)
        return np.hstack([features, self.by_layout.scaled(seen.layouts)])


_LOOKS = {
    "inverted": "Looks inverted: bone must be bright and air dark.",
    "turned": "Looks turned: the head must be above.",
    "foreign": "Does not look like a chest radiograph.",
}


def _single(values: np.ndarray | float) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def layouts(pictures: np.ndarray) -> np.ndarray:
    """Where pictures are light and where dark, whatever their exposure.

    Args:
        pictures: uint8, shape (pictures, size, size).

    Returns: float32, shape (pictures, LAYOUT_SIDE²): of each picture with mean 0 and, unless it is
        nearly blank, standard deviation 1.
    """
    side = (LAYOUT_SIDE, LAYOUT_SIDE)
    coarse = np.stack([cv2.resize(it, side, interpolation=cv2.INTER_AREA) for it in pictures])
    levels = coarse.reshape(len(pictures), -1).astype(np.float32)
    levels -= levels.mean(axis=1, keepdims=True)
    return levels / np.maximum(levels.std(axis=1, keepdims=True), 8)
