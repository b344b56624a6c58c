"""Heat, peaks and agreement by hand; and a model that has lost its head explains nothing."""

import cv2
import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.evaluation.explanations import (
    agreement,
    enlarge,
    intersection_over_union,
    mean_overlap,
    overlap,
    points_at,
    share_inside,
    widen,
)
from pneumo.inference import bundle
from pneumo.inference.explanation import DenseLayer, Head, grad_cam
from pneumo.inference.interpreter import InterpreterPool
from pneumo.radiograph import Radiograph, to_model_input
from pneumo.settings import REPOSITORY

HEAT = np.array([[0, 1, 0], [0, 4, 2], [0, 0, 1]], np.float32)
LEFT = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0]], bool)


def test_share_of_the_heat_inside() -> None:
    assert share_inside(HEAT, LEFT) == 5 / 8
    assert share_inside(HEAT, ~LEFT) == 3 / 8
    assert share_inside(np.ones((3, 3)), LEFT) == 6 / 9  # even heat: the share of the area
    assert share_inside(np.zeros((3, 3)), LEFT) is None
    with pytest.raises(ValueError, match=r"same shape.*\(3, 3\) and \(3, 2\)"):
        share_inside(HEAT, LEFT[:, :2])


def test_widening_by_a_radius() -> None:
    region = np.zeros((7, 7), bool)
    region[3, 3] = True
    assert np.array_equal(widen(region, by=0), region)
    assert widen(region, by=1).sum() == 5  # a cross
    assert widen(region, by=2).sum() == 13  # of lattice points in a circle of radius 2
    assert not widen(region, by=2)[1, 2]  # √5 away
    assert not widen(np.zeros((7, 7), bool), by=3).any()


def test_pointing_with_and_without_tolerance() -> None:
    heat, lesion = np.zeros((9, 9), np.float32), np.zeros((9, 9), bool)
    heat[4, 6], heat[4, 2] = 1, 0.9  # more heat on the lesion is no peak on it
    lesion[3:6, 1:4] = True
    assert not points_at(heat, lesion, tolerance=0)
    assert not points_at(heat, lesion, tolerance=2.9)
    assert points_at(heat, lesion, tolerance=3)
    assert points_at(heat[:, ::-1], lesion, tolerance=0)
    assert not points_at(np.zeros((9, 9)), np.ones((9, 9), bool), tolerance=0)


def test_the_peak_of_an_enlarged_map_is_the_centre_of_its_hottest_cell() -> None:
    heat_map = np.zeros((7, 7), np.float32)
    heat_map[2, 4] = 1
    heat = enlarge(heat_map, size=224)
    assert (heat.shape, heat.min(), heat.max() <= 1) == ((224, 224), 0, True)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    # Cells of 32 pixels: 2·32 + 15.5 and 4·32 + 15.5.
    assert (row, column) == (pytest.approx(79.5, abs=0.5), pytest.approx(143.5, abs=0.5))


def test_intersection_over_union() -> None:
    assert intersection_over_union(LEFT, LEFT) == 1
    assert intersection_over_union(LEFT, ~LEFT) == 0
    assert intersection_over_union(LEFT, LEFT.T) == 4 / 8
    assert intersection_over_union(LEFT & ~LEFT, LEFT & ~LEFT) == 1


def test_rank_correlation_of_two_maps() -> None:
    first = np.array([[0.1, 0.2], [0.3, 1.0]], np.float32)
    # Ranks 1, 2, 3, 4 beside 2, 1, 3, 4: 1 - 6·(1 + 1) / (4·15).
    second = np.array([[0.2, 0.1], [0.3, 1.0]], np.float32)
    assert agreement(first, second).rank_correlation == pytest.approx(0.8)
    assert agreement(first, first**2).rank_correlation == pytest.approx(1)
    assert agreement(first, 1 - first).rank_correlation == pytest.approx(-1)


def test_overlap_of_the_hottest_fifths() -> None:
    top = np.zeros((10, 10), np.float32)
    top[:2] = np.linspace(0.9, 1, 20).reshape(2, 10)
    middle = np.roll(top, 1, axis=0)
    assert agreement(top, top, size=10).overlap == 1
    assert agreement(top, middle, size=10).overlap == 10 / 30
    assert agreement(top, np.roll(top, 5, axis=0), size=10).overlap == 0


def test_a_flat_map_agrees_with_none() -> None:
    flat = agreement(HEAT, np.zeros_like(HEAT))
    assert (flat.rank_correlation, flat.overlap) == (0, 0)


def test_mean_overlap_over_all_pairs() -> None:
    top = np.zeros((10, 10), np.float32)
    top[:2] = np.linspace(0.9, 1, 20).reshape(2, 10)
    middle, bottom = np.roll(top, 1, axis=0), np.roll(top, 8, axis=0)
    # 10 / 30, 0 and 0; and once more, with the first twice: 1, 10 / 30 twice, and thrice 0.
    assert mean_overlap([top, middle, bottom], size=10) == pytest.approx(1 / 9)
    assert mean_overlap([top, top, middle, bottom], size=10) == pytest.approx((1 + 2 / 3) / 6)


def test_maps_of_different_grids_are_compared_on_one() -> None:
    coarse = np.array([[1, 0], [0, 0]], np.float32)
    assert overlap(coarse, enlarge(coarse, size=8), size=8) == 1
    assert overlap(coarse, enlarge(coarse[::-1, ::-1], size=8), size=8) == 0


def test_an_empty_map_agrees_with_none_not_even_with_an_empty_one() -> None:
    empty = np.zeros((7, 7), np.float32)
    assert overlap(HEAT, empty) == overlap(empty, empty) == 0
    assert mean_overlap([HEAT, HEAT, empty]) == pytest.approx(1 / 3)


def test_shuffling_a_head_keeps_its_weights_and_loses_their_places() -> None:
    kernel = np.arange(60, dtype=np.float32).reshape(20, 3)
    bias = np.array([1, 2, 3], np.float32)
    head = Head(pooling="average", layers=(DenseLayer(kernel=kernel, bias=bias),))
    (layer,) = head.shuffled(np.random.default_rng(0)).layers
    assert layer.kernel.shape == (20, 3)
    assert np.array_equal(np.sort(layer.kernel, axis=None), kernel.ravel())
    assert np.mean(layer.kernel == kernel) < 0.2
    assert np.array_equal(layer.bias, bias)
    assert np.array_equal(head.layers[0].kernel.ravel(), np.arange(60))  # the original is whole


def test_a_shuffled_head_destroys_the_map_that_recompression_leaves_alone() -> None:
    model = bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL)
    pool, head = InterpreterPool(model.litert, workers=1), Head.load(model.head)
    pixels = phantom.acquire("bacterial", seed=11, height=256).pixels
    film = Radiograph(pixels=pixels, format="JPEG", bit_depth=8)
    picture = to_model_input(film, size=model.card.image_size)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])
    recompressed = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    features, again = (
        pool.run(it[np.newaxis])["feature_map"][0] for it in (picture, np.asarray(recompressed))
    )
    heat_map = grad_cam(features, head.gradient(features))
    kept = agreement(heat_map, grad_cam(again, head.gradient(again)))
    random = np.random.default_rng(0)
    lost = [
        agreement(heat_map, grad_cam(features, other.gradient(features)))
        for other in (head.shuffled(random) for _ in range(20))
    ]
    assert kept.rank_correlation > 0.9
    assert np.mean([it.rank_correlation for it in lost]) < 0.5 * kept.rank_correlation
    assert np.mean([it.overlap for it in lost]) < 0.5 * kept.overlap
