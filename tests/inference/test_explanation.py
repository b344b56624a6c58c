"""The head in NumPy and class activation maps: by hand, by finite differences, by formula."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pneumo.inference.explanation import (
    DenseLayer,
    Head,
    grad_cam,
    grad_cam_plus_plus,
    layer_cam,
)

POOLINGS: tuple[Literal["average", "flatten"], ...] = ("average", "flatten")

# Two rows, two columns, two channels.
FEATURES = np.array([[[1, 0], [2, 1]], [[3, 4], [0, 1]]], np.float32)


def dense(kernel: list, bias: list) -> DenseLayer:
    return DenseLayer(kernel=np.array(kernel, np.float32), bias=np.array(bias, np.float32))


AVERAGE = Head(
    pooling="average",
    layers=(
        # Means 1.5 and 1.5: hidden values 1.5·1 + 1.5·2 + 0.5 = 5 and 1.5·(1 - 3) = -3 → 0.
        dense([[1, 1], [2, -3]], [0.5, 0]),
        dense([[2], [7]], [1]),
    ),
)
CAUSES = Head(
    pooling="average",
    layers=(
        # Means 1.5 and 1.5: 1.5·2 = 3 of normal, 1.5 + ln 3 of bacterial, 1.5 of viral.
        dense([[2, 1, 0], [0, 0, 1]], [0, np.log(3), 0]),
    ),
)
FLAT = Head(
    pooling="flatten",
    layers=(
        # In the order row, column, channel: 1, 0, 2, 1, 3, 4, 0, 1.
        # First hidden value 1 + 2·4 - 5 = 4; second 2·1 - 3 = -1 → 0.
        dense([[1, 0], [0, 0], [0, 1], [0, 0], [0, -1], [2, 0], [9, 9], [0, 0]], [-5, 0]),
        dense([[3], [5]], [0.25]),
    ),
)


def test_average_pooling_by_hand() -> None:
    assert AVERAGE.logit(FEATURES) == 2 * 5 + 1
    gradient = AVERAGE.gradient(FEATURES)
    # Only the first hidden unit is awake: 2·1 and 2·2, shared by four positions.
    assert gradient.shape == (2, 2, 2)
    assert gradient.tolist() == [[[0.5, 1.0]] * 2] * 2
    # 0.5·channel 0 + 1·channel 1: 0.5, 2, 5.5, 1; over 5.5.
    assert grad_cam(FEATURES, gradient) == pytest.approx(
        np.array([[0.5, 2], [5.5, 1]]) / 5.5, rel=1e-6
    )


def test_three_classes_by_hand() -> None:
    # ln (3·e^1.5 + e^1.5) - 3 = ln 4 - 1.5.
    assert CAUSES.logit(FEATURES) == pytest.approx(np.log(4) - 1.5)
    # By normal, bacterial, viral: -1, 3/4, 1/4. By the means: -2 + 3/4 and 1/4.
    expected = np.broadcast_to([-1.25 / 4, 0.25 / 4], (2, 2, 2))
    assert CAUSES.gradient(FEATURES) == pytest.approx(expected)


def test_extreme_logits_of_three_classes() -> None:
    head = Head(pooling="average", layers=(dense([[0, 0, 0], [0, 0, 0]], [500, -500, 500]),))
    assert head.logit(FEATURES) == pytest.approx(0)
    assert np.isfinite(head.gradient(FEATURES)).all()


def test_flattening_by_hand() -> None:
    assert FLAT.logit(FEATURES) == 3 * 4 + 0.25
    gradient = FLAT.gradient(FEATURES)
    # The second hidden unit sleeps: three times the first column of the kernel.
    assert gradient.tolist() == [[[3, 0], [0, 0]], [[0, 6], [27, 0]]]
    # Channel weights: (3 + 27) / 4 = 7.5 and 6 / 4 = 1.5.
    expected = np.array([[7.5, 16.5], [28.5, 1.5]]) / 28.5
    assert grad_cam(FEATURES, gradient) == pytest.approx(expected, rel=1e-6)


def test_what_speaks_for_normal_is_the_map_of_the_negated_gradient() -> None:
    head = Head(pooling="average", layers=(dense([[4], [-8]], [0]),))
    gradient = head.gradient(FEATURES)
    # Weights 1 and -2: 1, 0, -5, -2. For NORMAL: -1, 0, 5, 2.
    assert grad_cam(FEATURES, gradient).tolist() == [[1, 0], [0, 0]]
    assert grad_cam(FEATURES, -gradient) == pytest.approx(np.array([[0, 0], [1, 0.4]]))


def test_grad_cam_plus_plus_by_hand() -> None:
    # Either channel sums to 6. Weights 4 · 0.5 / (2 + 0.5·6) = 0.4 and 4 · 1 / (2 + 6) = 0.5.
    expected = np.array([[0.4, 1.3], [3.2, 0.5]]) / 3.2
    assert grad_cam_plus_plus(FEATURES, AVERAGE.gradient(FEATURES)) == pytest.approx(expected)
    # Weights 3 / (2 + 3·6) + 27 / (2 + 27·6) and 6 / (2 + 6·6).
    first, second = 0.15 + 27 / 164, 6 / 38
    expected = np.array([[first, 2 * first + second], [3 * first + 4 * second, second]])
    assert grad_cam_plus_plus(FEATURES, FLAT.gradient(FEATURES)) == pytest.approx(
        expected / expected.max()
    )


def test_grad_cam_plus_plus_against_the_formula_of_its_paper() -> None:
    random = np.random.default_rng(0)
    features, gradient = random.uniform(0.1, 1, (3, 4, 5)), random.normal(size=(3, 4, 5))
    alpha = gradient**2 / (2 * gradient**2 + features.sum(axis=(0, 1)) * gradient**3)
    expected = features @ (alpha * np.maximum(gradient, 0)).sum(axis=(0, 1))
    assert grad_cam_plus_plus(features, gradient) == pytest.approx(expected / expected.max())


def test_layer_cam_by_hand() -> None:
    # Under average pooling and without a channel against the score it is Grad-CAM.
    gradient = AVERAGE.gradient(FEATURES)
    assert layer_cam(FEATURES, gradient) == pytest.approx(grad_cam(FEATURES, gradient))
    # 3·1 and 6·4; the gradient of 27 meets a feature of 0.
    assert layer_cam(FEATURES, FLAT.gradient(FEATURES)).tolist() == [[0.125, 0], [1, 0]]


@pytest.mark.parametrize("method", [grad_cam_plus_plus, layer_cam])
def test_they_leave_out_what_speaks_against_the_score(method: Callable[..., np.ndarray]) -> None:
    gradient = np.broadcast_to(np.array([1, -2], np.float32), (2, 2, 2))
    # Grad-CAM subtracts channel 1, and is left with one cell: see above.
    assert method(FEATURES, gradient) == pytest.approx(np.array([[1, 2], [3, 0]]) / 3)
    assert method(FEATURES, -gradient) == pytest.approx(np.array([[0, 1], [4, 1]]) / 4)


@pytest.mark.parametrize("method", [grad_cam, grad_cam_plus_plus, layer_cam])
@pytest.mark.parametrize("features", [np.zeros((2, 2, 2)), np.full((2, 2, 2), 3.0)])
@pytest.mark.parametrize("sign", [-1, 0])
def test_where_nothing_speaks_for_it_the_map_is_zero(
    method: Callable[..., np.ndarray], features: np.ndarray, sign: int
) -> None:
    heat = method(features.astype(np.float32), np.full((2, 2, 2), sign, np.float32))
    assert heat.tolist() == [[0, 0], [0, 0]]
    assert heat.dtype == np.float32


def test_features_below_zero_leave_every_number_finite() -> None:
    # Σ A = -2 at a gradient of 1 would make the denominator of Grad-CAM++ zero.
    features = np.array([[[-1.0], [-1.0]], [[-1.0], [1.0]]], np.float32)
    heat = grad_cam_plus_plus(features, np.ones((2, 2, 1), np.float32))
    assert heat.tolist() == [[0, 0], [0, 1]]


def random_head(
    pooling: Literal["average", "flatten"], *, hidden: int, outputs: int = 1, seed: int = 0
) -> Head:
    rng = np.random.default_rng(seed)
    inputs = 5 if pooling == "average" else 3 * 4 * 5
    widths = [inputs, hidden, outputs] if hidden else [inputs, outputs]
    layers = tuple(
        DenseLayer(
            kernel=rng.normal(size=(before, after)).astype(np.float32),
            bias=rng.normal(size=after).astype(np.float32),
        )
        for before, after in pairwise(widths)
    )
    return Head(pooling=pooling, layers=layers)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("outputs", [1, 3])
def test_gradient_against_finite_differences(
    pooling: Literal["average", "flatten"], hidden: int, outputs: int
) -> None:
    head = random_head(pooling, hidden=hidden, outputs=outputs)
    features = np.random.default_rng(1).normal(size=(3, 4, 5))
    gradient = head.gradient(features)
    step = 1e-4
    for place in np.ndindex(features.shape):
        moved = np.zeros_like(features)
        moved[place] = step
        slope = (head.logit(features + moved) - head.logit(features - moved)) / (2 * step)
        assert gradient[place] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("hidden", [0, 6])
def test_a_head_is_read_as_it_was_written(
    pooling: Literal["average", "flatten"], hidden: int, tmp_path: Path
) -> None:
    head = random_head(pooling, hidden=hidden)
    head.save(tmp_path / "head.npz")
    read = Head.load(tmp_path / "head.npz")
    assert read.pooling == pooling
    assert len(read.layers) == len(head.layers)
    for before, after in zip(head.layers, read.layers, strict=True):
        assert np.array_equal(before.kernel, after.kernel)
        assert np.array_equal(before.bias, after.bias)
        assert after.kernel.dtype == np.float32
