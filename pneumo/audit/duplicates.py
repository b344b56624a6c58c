"""Films that show the same image: in the same bytes, or saved again in other bytes.

A perceptual hash finds pairs that may be the same image without comparing every film with every
other; their thumbnails, compared pixel by pixel, decide.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from pneumo.audit.films import THUMBNAIL

FREQUENCIES = 9
"""Lowest ones of the cosine transform along each axis; all but the mean and the last give a bit."""

FARTHEST = 7
"""Bits that the hashes of the same image may differ in. Of eight bytes one is then the same."""

SAME = 0.95
"""Correlation of the local contrast of two thumbnails from which they show the same image."""

EXHAUSTIVE = 512
"""So few films are all compared with each other: they do not show what is usual among films."""

_BLOCK = 256
_COMPARED_TOGETHER = 8192


def near_duplicates(thumbnails: np.ndarray) -> np.ndarray:
    """Pairs of films that show the same image.

    Args:
        thumbnails: uint8, shape (films, THUMBNAIL, THUMBNAIL), of films with different bytes.

    Returns:
        int64, shape (pairs, 2), the smaller place first.
    """
    if len(thumbnails) <= EXHAUSTIVE:
        candidates = np.stack(np.triu_indices(len(thumbnails), 1), axis=1)
    else:
        candidates = _close_pairs(hashes(thumbnails))
    parts = range(0, len(candidates), _COMPARED_TOGETHER)
    found = [
        pairs[correlation(thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]]) >= SAME]
        for pairs in (candidates[start : start + _COMPARED_TOGETHER] for start in parts)
    ]
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """A perceptual hash of each film: its low frequencies against what is usual in the set.

    As in pHash (Zauner, 2010) a bit says whether a coefficient of the cosine transform is large,
    but by the median of that coefficient over the set, not over the film: chest films are so alike
    that most of their bits would agree otherwise.

    Args:
        thumbnails: uint8, shape (films, THUMBNAIL, THUMBNAIL).

    Returns: uint64, shape (films,).
    """
    coefficients = np.stack([_low_frequencies(film) for film in thumbnails])
    bits = coefficients > np.median(coefficients, axis=0)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Normalised correlation of the local contrast of films, pair by pair.

    What a film has in common with every other chest film, its broad light and dark, is taken out.
    Brightness and contrast play no part.

    Args:
        first, second: uint8, shape (pairs, THUMBNAIL, THUMBNAIL).

    Returns: float32, shape (pairs,); 0 where a film is blank.
    """
    return np.einsum("ij,ij->i", _local_contrast(first), _local_contrast(second))


def _low_frequencies(film: np.ndarray) -> np.ndarray:
    grey = film.astype(np.float32)
    grey = (grey - grey.mean()) / (grey.std() or 1)
    return cv2.dct(grey)[:FREQUENCIES, :FREQUENCIES].ravel()[1:65]


def _local_contrast(films: np.ndarray) -> np.ndarray:
    """float32, shape (films, THUMBNAIL²), of mean 0 and length 1."""
    grey = films.astype(np.float32)
    # Films side by side as the channels of one picture would be blurred as well, but slower.
    blurred = np.stack([cv2.GaussianBlur(film, (0, 0), THUMBNAIL / 16) for film in grey])
    contrast = (grey - blurred).reshape(len(films), -1)
    contrast -= contrast.mean(axis=1, keepdims=True)
    length = np.linalg.norm(contrast, axis=1, keepdims=True)
    return contrast / np.where(length > 1e-3, length, np.inf)


def _close_pairs(words: np.ndarray) -> np.ndarray:
    """Pairs of hashes at most `FARTHEST` bits apart, shape (pairs, 2).

    Two hashes that differ in fewer bits than there are bytes agree in a byte: only those that do
    are compared (multi-index hashing: Norouzi et al., CVPR 2012).
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for band in words.view(np.uint8).reshape(len(words), -1).T:
        for members in _alike(band):
            for start in range(0, len(members), _BLOCK):
                ours, theirs = members[start : start + _BLOCK], members[start:]
                apart = np.bitwise_count(words[ours][:, np.newaxis] ^ words[theirs])
                one, other = np.nonzero(apart <= FARTHEST)
                pairs = np.stack([ours[one], theirs[other]], axis=1)
                found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.unique(np.concatenate(found), axis=0)


def _alike(values: np.ndarray) -> Iterator[np.ndarray]:
    """Places of equal values, in ascending order, value by value."""
    order = np.argsort(values, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
