"""The gate of a model, fitted to its films and to what lies out of its scope.

Nobody has to collect the latter: films are inverted, turned, cut up or enlarged, and pages, slices,
sectors and shapes are drawn.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pneumo.inference.gate import Gate, Seen
from pneumo.inference.interpreter import InterpreterPool
from pneumo.training.augmentation import augment
from pneumo.training.features import CHUNK
from pneumo.training.picture_cache import MappedPictures
from pneumo.training.pipeline import made_ahead, split_into
from pneumo.training.recipe import Augmentation

FRAMED_OTHERWISE = Augmentation(rotation=8, zoom=0.2, shift=0.08, shear=5, gamma=0.3)
"""A film from elsewhere is not foreign: every second training film is changed by as much."""

FILMS = 320
VALIDATION_FILMS = 480

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""A film, uint8, shape (size, size), and chance to a picture of the same shape."""


def inverted(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright where the film is dark."""
    return 255 - film


def turned(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By a quarter to either side, by a half, or upside down."""
    turn = int(rng.integers(4))
    return np.rot90(film, turn) if turn else film[::-1]


def cut_up(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Its tiles in another order."""
    number = int(rng.integers(2, 6))
    size = len(film)
    edges = np.linspace(0, size, number + 1).astype(int)
    side = -(-size // number)
    places = [(row, column) for row in range(number) for column in range(number)]
    picture = np.empty_like(film)
    for (row, column), place in zip(places, rng.permutation(len(places)), strict=True):
        top, left = edges[place // number], edges[place % number]
        tile = film[top : top + side, left : left + side]
        target = picture[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        target[:] = cv2.resize(tile, target.shape[::-1])
    return picture


def close_up(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small part, enlarged."""
    side = int(len(film) * rng.uniform(0.2, 0.4))
    top, left = rng.integers(len(film) - side, size=2)
    return cv2.resize(film[top : top + side, left : left + side], film.shape)


def clouds(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of any grain, from white to a mere gradient, from hardly visible to glaring."""
    size = len(film)
    frequency = np.hypot(np.fft.fftfreq(size)[:, np.newaxis], np.fft.rfftfreq(size))
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency ** rng.uniform(0, 3)
    noise = np.fft.irfft2(spectrum, (size, size))
    levels = rng.uniform(0, 255) + noise / noise.std() * 10 ** rng.uniform(-0.5, 2)
    return np.clip(levels, 0, 255).astype(np.uint8)


def page(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines of text, boxes and perhaps the film itself, small, on a plain ground."""
    size = len(film)
    ground, ink = (245, 20) if rng.random() < 0.6 else (20, 230)
    picture = np.full_like(film, ground)
    if rng.random() < 0.4:
        side = int(size * rng.uniform(0.25, 0.5))
        top, left = rng.integers(size - side, size=2)
        picture[top : top + side, left : left + side] = cv2.resize(film, (side, side))
    for _ in range(rng.integers(0, 5)):
        left, top, width, height, level = rng.integers(0, size, 5).tolist()
        cv2.rectangle(picture, (left, top, width, height), level, -1 if rng.random() < 0.5 else 1)
    height = int(rng.integers(6, 30)) * size // 224 + 2
    for bottom in range(height, size, height + 3):
        letters = "".join(map(chr, rng.integers(33, 123, rng.integers(2, 45))))
        place = (int(rng.integers(0, size // 3)), bottom)
        cv2.putText(picture, letters, place, cv2.FONT_HERSHEY_SIMPLEX, height / 40, ink)
    return picture


def slice_through_a_body(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ellipses within an ellipse on black, mottled: a stand-in for CT and MR."""
    size = len(film)
    width, height = rng.uniform(0.5, 0.96, 2) * size
    tissue = np.zeros_like(film)
    cv2.ellipse(tissue, ((size / 2, size / 2), (width, height), rng.uniform(0, 180)), 1, -1)
    levels = np.full_like(film, rng.integers(60, 256))
    for _ in range(rng.integers(2, 12)):
        x, y = size / 2 + rng.uniform(-0.35, 0.35, 2) * (width, height)
        axes = (rng.uniform(0.05, 0.5) * width, rng.uniform(0.05, 0.5) * height)
        cv2.ellipse(levels, ((x, y), axes, rng.uniform(0, 180)), int(rng.integers(256)), -1)
    mottle = cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), rng.uniform(0.5, 3))
    mottled = levels + mottle / mottle.std() * rng.uniform(0, 30)
    picture = cv2.GaussianBlur(tissue * mottled, (0, 0), rng.uniform(0.5, 2))
    return np.clip(picture, 0, 255).astype(np.uint8)


def sector(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fan of speckle on black: a stand-in for ultrasound."""
    size = len(film)
    speckle = cv2.GaussianBlur(
        rng.exponential(1, (size, size)), (0, 0), sigmaX=rng.uniform(1, 4), sigmaY=1
    )
    coarse = cv2.resize(rng.uniform(0, 1, (6, 6)), (size, size), interpolation=cv2.INTER_CUBIC)
    fan = np.zeros((size, size), np.uint8)
    apex = (int(size * rng.uniform(0.3, 0.7)), int(size * rng.uniform(-0.1, 0.1)))
    radius, half = int(size * rng.uniform(0.7, 1)), rng.uniform(20, 50)
    cv2.ellipse(fan, apex, (radius, radius), 90, -half, half, 1, -1)
    levels = fan * speckle * coarse * rng.uniform(80, 220)
    return np.clip(levels, 0, 255).astype(np.uint8)


def shapes(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Polygons over each other, plain or shaded, as in a drawing or a photograph of things."""
    size = len(film)
    picture = np.full((size, size), rng.uniform(0, 255))
    for _ in range(rng.integers(3, 25)):
        corners = rng.integers(0, size, 2) + rng.normal(0, 0.2 * size, (rng.integers(3, 8), 2))
        polygon = np.zeros_like(film)
        cv2.fillPoly(polygon, [corners.astype(np.int32)], 1)
        down, right = rng.normal(0, 0.3, 2) * rng.integers(2)
        shade = np.add.outer(down * np.arange(size), right * np.arange(size))
        picture = np.where(polygon, rng.uniform(0, 255) + shade, picture)
    picture = picture + rng.standard_normal((size, size)) * rng.uniform(0, 12)
    return np.clip(picture, 0, 255).astype(np.uint8)


FOREIGN: tuple[Make, ...] = (
    *(cut_up, close_up, clouds, page, slice_through_a_body, sector, shapes),
)


def out_of_scope(films: np.ndarray, number: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that no model of chest films is made for: half altered, half foreign.

    Args:
        films: uint8, shape (films, size, size).
        number: how many to make.
        seed: of what is drawn at random.

    Returns: uint8, shape (number, size, size), and the place of each in `gate.KINDS`: int64,
        shape (number,).
    """
    kinds = np.resize([1, 3, 2, 3], number)
    pictures = np.empty((number, *films.shape[1:]), np.uint8)
    for row, kind in enumerate(kinds):
        rng = np.random.default_rng((seed, row))
        make = (inverted, turned, FOREIGN[row // 2 % len(FOREIGN)])[kind - 1]
        pictures[row] = make(films[rng.integers(len(films))], rng)
    return pictures, kinds


def features_of(
    network: InterpreterPool,
    pictures: MappedPictures | np.ndarray,
    *,
    heartbeat: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The last feature map averaged over positions, on all cores.

    Args:
        network: with batches of `CHUNK`.
        pictures: uint8, shape (images, size, size).
        heartbeat: called after each batch.

    Returns: float32, shape (images, channels).
    """

    def features(rows: np.ndarray) -> np.ndarray:
        return network.run(pictures[rows])["feature_map"].mean(axis=(1, 2))

    parts = []
    for part in made_ahead(features, split_into(np.arange(len(pictures)), CHUNK)):
        parts.append(part)
        heartbeat()
    return np.concatenate(parts)


def fit_gate(
    network: InterpreterPool,
    training: MappedPictures | np.ndarray,
    features: np.ndarray,
    validation: MappedPictures | np.ndarray,
    *,
    seed: int,
) -> tuple[Gate, float]:
    """A gate for a model, from some hundred films.

    Args:
        network: the model in LiteRT, with batches of `CHUNK`.
        training, validation: pictures of their patients, uint8, shape (images, size, size).
        features: of the training pictures, see `features_of`.
        seed: of the choice of films and of what is made of them.

    Returns: the gate, and the share of the validation films that it flags.
    """

    def seen(pictures: np.ndarray) -> Seen:
        return Seen(pictures=pictures, features=features_of(network, pictures))

    rows = some_rows(len(training), FILMS, seed=seed)
    films = Seen(pictures=training[rows], features=features[rows])
    for row in range(0, len(rows), 2):
        rng = np.random.default_rng((seed, row))
        films.pictures[row] = augment(films.pictures[row], FRAMED_OTHERWISE, rng)
    films.features[::2] = features_of(network, films.pictures[::2])
    checked = seen(validation[some_rows(len(validation), VALIDATION_FILMS, seed=seed)])
    outside, kinds = out_of_scope(films.pictures, min(FILMS, 4 * len(rows)), seed=seed)
    gate = Gate.fit(films, seen(outside), kinds, checked)
    return gate, float(gate.flagged(checked).mean())


def some_rows(number: int, most: int, *, seed: int) -> np.ndarray:
    """Rows of at most so many of a number of films, in their order: int64, shape (films,)."""
    return np.sort(np.random.default_rng(seed).permutation(number)[:most])
