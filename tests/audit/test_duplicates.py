"""Which films show the same image, and which only look alike."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pneumo.audit import duplicates
from pneumo.audit.films import THUMBNAIL
from tests.audit.planted import film


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def recompressed(pixels: np.ndarray) -> np.ndarray:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 10])
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def brighter(pixels: np.ndarray) -> np.ndarray:
    return (255 * (pixels / 255) ** 0.7).astype(np.uint8)


def stretched(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (300, 200), interpolation=cv2.INTER_AREA)


FILMS = np.stack([thumbnail(film(seed, ill=seed % 2 == 1)) for seed in range(600)])


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("change", [recompressed, brighter, stretched])
def test_an_image_saved_again_is_found_among_few_and_among_many(
    change: Callable[[np.ndarray], np.ndarray], few: bool
) -> None:
    others = FILMS[:40] if few else FILMS
    again = np.stack([thumbnail(change(film(seed, ill=seed % 2 == 1))) for seed in (3, 20)])
    pairs = duplicates.near_duplicates(np.concatenate([others, again]))
    assert pairs.tolist() == [[3, len(others)], [20, len(others) + 1]]


def test_other_images_are_not_found() -> None:
    assert duplicates.near_duplicates(FILMS).tolist() == []
    assert duplicates.near_duplicates(FILMS[:1]).tolist() == []


def test_blank_films_are_no_duplicates() -> None:
    blank = np.zeros((3, THUMBNAIL, THUMBNAIL), np.uint8)
    assert duplicates.correlation(blank, blank).tolist() == [0, 0, 0]
    assert duplicates.near_duplicates(blank).tolist() == []


def test_correlation_of_a_film_with_itself_its_negative_and_another_exposure() -> None:
    shown = np.stack([FILMS[0], 255 - FILMS[0], FILMS[0] // 2])
    same, negative, darker = duplicates.correlation(np.stack([FILMS[0]] * 3), shown)
    assert same == pytest.approx(1, abs=1e-5)
    assert negative == pytest.approx(-1, abs=1e-5)
    assert darker == pytest.approx(1, abs=1e-3)


def test_hashes_within_seven_bits_are_candidates_and_no_others() -> None:
    base = np.uint64(0x0123456789ABCDEF)
    seven, eight = np.uint64(0x0001010101010101), np.uint64(0x0101010101010101)
    words = np.array([base, base ^ seven, base ^ eight, ~base], dtype=np.uint64)
    # The second and the third are one bit apart, the first and the third eight.
    assert duplicates._close_pairs(words).tolist() == [[0, 1], [1, 2]]


def test_candidates_are_those_of_a_comparison_of_all() -> None:
    words = np.random.default_rng(0).integers(0, 2**16, 400, dtype=np.uint64)
    apart = np.bitwise_count(words[:, np.newaxis] ^ words)
    all_pairs = np.argwhere(np.triu(apart <= duplicates.FARTHEST, 1))
    assert len(all_pairs) > 10_000
    assert duplicates._close_pairs(words).tolist() == all_pairs.tolist()
