"""Does a verdict rest on the lungs? The same films under changes that leave the disease as it is.

A network can read shape, sharpness, compression, markers or the scanner instead of the lungs
(DeGrave et al., AI for radiographic COVID-19 detection selects shortcuts over signal, Nature
Machine Intelligence 2021). Each nuisance takes one such thing away or forges it. With the lungs
blacked out there is nothing left to read, and an honest model is left with chance; in the frame
of a film of the other class, the lungs speak against all that surrounds them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from pneumo.evaluation.metrics import roc_auc

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""A picture, uint8, shape (size, size), to a changed one of the same shape."""
Nuisance = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Pictures, uint8, shape (images, size, size), whether they are PNEUMONIA, and a seed, to changed
pictures."""

LETTER_FACE = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, kw_only=True)
class StressFigure:
    """A model's answers under one nuisance.

    Attributes:
        nuisance: its name in `NUISANCES`, or "none".
        roc_auc: None where only one class is present.
        sensitivity, specificity: at the model's own threshold; None without such images.
        flipped: share of the verdicts that are other than without the nuisance.
    """

    nuisance: str
    roc_auc: float | None
    sensitivity: float | None
    specificity: float | None
    flipped: float


def stress(
    pictures: np.ndarray,
    is_pneumonia: np.ndarray,
    answer: Callable[[np.ndarray], np.ndarray],
    *,
    threshold: float,
    nuisances: Iterable[str] | None = None,
    seed: int = 0,
) -> list[StressFigure]:
    """A model's answers on the same pictures under each nuisance, "none" first.

    Args:
        pictures: as the model is given them, uint8, shape (images, size, size).
        is_pneumonia: bool, shape (images,).
        answer: pictures to calibrated probabilities, shape (images,).
        threshold: the verdict is PNEUMONIA where the probability reaches it.
        nuisances: names in `NUISANCES`; all by default.
        seed: of what is drawn at random, for each picture anew.

    Raises:
        ValueError: a nuisance is unknown.
    """
    names = list(NUISANCES if nuisances is None else nuisances)
    unknown = [name for name in names if name not in NUISANCES]
    if unknown:
        raise ValueError(
            f"`nuisances` must be among {', '.join(NUISANCES)}. Received: {', '.join(unknown)}"
        )
    truth = np.asarray(is_pneumonia, dtype=bool)
    untouched = answer(pictures)
    figures = [_figure("none", truth, untouched, untouched, threshold)]
    for name in names:
        changed = apply(name, pictures, truth, seed=seed)
        figures.append(_figure(name, truth, answer(changed), untouched, threshold))
    return figures


def apply(
    nuisance: str, pictures: np.ndarray, is_pneumonia: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Pictures under a nuisance, uint8, of the same shape.

    What is drawn at random depends on the seed and a picture's place alone.
    """
    return NUISANCES[nuisance](pictures, is_pneumonia, seed)


def _each(change: Change) -> Nuisance:
    """A nuisance that changes each picture by itself."""

    def change_each(pictures: np.ndarray, is_pneumonia: np.ndarray, seed: int) -> np.ndarray:
        return np.stack([change(it, rng) for it, rng in _with_chance(pictures, seed)])

    return change_each


def _with_chance(
    pictures: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    for place, picture in enumerate(pictures):
        yield picture, np.random.default_rng((seed, place))


def _figure(
    nuisance: str,
    truth: np.ndarray,
    probabilities: np.ndarray,
    untouched: np.ndarray,
    threshold: float,
) -> StressFigure:
    called = probabilities >= threshold
    return StressFigure(
        nuisance=nuisance,
        roc_auc=roc_auc(truth, probabilities),
        sensitivity=float(called[truth].mean()) if truth.any() else None,
        specificity=float((~called[~truth]).mean()) if not truth.all() else None,
        flipped=float(np.mean(called != (untouched >= threshold))),
    )


# Geometry ------------------------------------------------------------------------------


def _warp(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture through a matrix from output to input, about its centre, edges repeated."""
    size = picture.shape[0]
    centre = np.array([[1, 0, (size - 1) / 2], [0, 1, (size - 1) / 2], [0, 0, 1]])
    placed = centre @ matrix @ np.linalg.inv(centre)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        picture, placed[:2], (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped)


def _scale(columns: float, rows: float) -> Change:
    """Stretch the content; above 1 enlarges."""
    return lambda picture, rng: _warp(picture, np.diag([1 / columns, 1 / rows, 1]))


def _rotate(degrees: float) -> Change:
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return lambda picture, rng: _warp(picture, np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]))


def _shift(columns: float, rows: float) -> Change:
    """Move the content by shares of the side."""

    def shift(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = picture.shape[0]
        return _warp(picture, np.array([[1, 0, -columns * size], [0, 1, -rows * size], [0, 0, 1]]))

    return shift


# Sharpness, compression, grey levels ---------------------------------------------------


def _recompress(quality: int) -> Change:
    def recompress(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))

    return recompress


def _downsample(factor: int) -> Change:
    def downsample(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = picture.shape[0]
        small = cv2.resize(picture, (size // factor,) * 2, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR))

    return downsample


def _blur(deviation: float) -> Change:
    return lambda picture, rng: np.asarray(cv2.GaussianBlur(picture, (0, 0), deviation))


def _grey_levels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Grey levels in [0, 1] through a function, clipped."""
    levels = np.rint(255 * np.clip(change(np.arange(256) / 255), 0, 1)).astype(np.uint8)
    return lambda picture, rng: levels[picture]


def _noise(deviation: float) -> Change:
    def add_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noisy = picture + rng.normal(0, deviation, picture.shape)
        return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)

    return add_noise


# Markers and borders -------------------------------------------------------------------


def _corners(picture: np.ndarray, share: float) -> list[tuple[slice, slice]]:
    size = picture.shape[0]
    side = round(share * size)
    near, far = slice(0, side), slice(size - side, size)
    return [(rows, columns) for rows in (near, far) for columns in (near, far)]


def _black_out_corners(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = picture.copy()
    for corner in _corners(picture, 0.18):
        changed[corner] = 0
    return changed


def _swap_marker(height: float) -> Change:
    """Corners smoothed until no letter is left, then an `R` or `L` pasted into one of them.

    Args:
        height: of the letter, as a share of the side.
    """

    def swap(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        changed, size = picture.copy(), picture.shape[0]
        corners = _corners(picture, 0.2)
        for corner in corners:
            changed[corner] = cv2.GaussianBlur(changed[corner], (0, 0), 0.06 * size)
        rows, columns = corners[rng.integers(len(corners))]
        thickness = max(1, round(height * size / 9))
        pixels = round(height * size)
        scale = cv2.getFontScaleFromHeight(LETTER_FACE, pixels, thickness)
        origin = (columns.start + round(0.05 * size), rows.start + pixels + round(0.03 * size))
        cv2.putText(
            changed, "RL"[rng.integers(2)], origin, LETTER_FACE, scale, 235, thickness, cv2.LINE_AA
        )
        return changed

    return swap


def _crop_border(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = picture.shape[0]
    edge = round(0.1 * size)
    inner = picture[edge : size - edge, edge : size - edge]
    return np.asarray(cv2.resize(inner, (size, size), interpolation=cv2.INTER_LINEAR))


# Around the lungs ----------------------------------------------------------------------

LUNG_ROWS, LUNG_COLUMNS = (0.12, 0.85), (0.1, 0.9)
"""Where lungs reach in a centred frontal film, as shares of the side; the rest is its frame."""


def _lungs(size: int) -> tuple[slice, slice]:
    rows, columns = (
        slice(round(begin * size), round(end * size)) for begin, end in (LUNG_ROWS, LUNG_COLUMNS)
    )
    return rows, columns


def _black_out_lungs(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = picture.copy()
    changed[_lungs(len(picture))] = 0
    return changed


def _swap_frames(pictures: np.ndarray, is_pneumonia: np.ndarray, seed: int) -> np.ndarray:
    """Each film in the frame of a random one of the other class, behind a soft seam."""
    size = pictures.shape[1]
    lungs = np.zeros((size, size), np.float32)
    lungs[_lungs(size)] = 1
    lungs = np.asarray(cv2.GaussianBlur(lungs, (0, 0), size / 56))
    of_class = {label: np.flatnonzero(is_pneumonia == label) for label in (False, True)}
    swapped = []
    for label, (picture, rng) in zip(is_pneumonia, _with_chance(pictures, seed), strict=True):
        others = of_class[not label]
        # Where all films are of one class, there is no other frame to be had.
        other = pictures[rng.choice(others)] if len(others) else picture
        swapped.append(cv2.blendLinear(picture, other, lungs, 1 - lungs))
    return np.stack(swapped)


FRAME_SWAPPED = "frame of the other class"
"""The hardest: what a model reads in the frame speaks for the wrong class."""
LUNGS_BLACKED_OUT = "lungs blacked out"
"""Not a nuisance but the proof: what a model still answers here, it does not read in the lungs."""

_CHANGES: Mapping[str, Change] = {
    "wider by 30 %": _scale(1.3, 1),
    "narrower by 30 %": _scale(1 / 1.3, 1),
    "taller by 30 %": _scale(1, 1.3),
    "flatter by 30 %": _scale(1, 1 / 1.3),
    **{f"JPEG quality {quality}": _recompress(quality) for quality in (95, 70, 50, 30)},
    "half resolution": _downsample(2),
    "quarter resolution": _downsample(4),
    "blur": _blur(1.5),
    "gamma 0.6": _grey_levels(lambda grey: grey**0.6),
    "gamma 1.6": _grey_levels(lambda grey: grey**1.6),
    "less contrast": _grey_levels(lambda grey: 0.5 + 0.6 * (grey - 0.5)),
    "more contrast": _grey_levels(lambda grey: 0.5 + 1.4 * (grey - 0.5)),
    "noise": _noise(8.0),
    "border cropped by 10 %": _crop_border,
    "corners blacked out": _black_out_corners,
    "marker swapped, small": _swap_marker(0.05),
    "marker swapped, large": _swap_marker(0.12),
    "rotated by 7° left": _rotate(7),
    "rotated by 7° right": _rotate(-7),
    "moved by 6 %": _shift(0.06, 0.06),
    "mirrored": lambda picture, rng: picture[:, ::-1].copy(),
}

NUISANCES: Mapping[str, Nuisance] = {
    **{name: _each(change) for name, change in _CHANGES.items()},
    FRAME_SWAPPED: _swap_frames,
    LUNGS_BLACKED_OUT: _each(_black_out_lungs),
}
"""By name, in the order of the table."""
