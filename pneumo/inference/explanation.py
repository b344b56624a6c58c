"""Why a network said what it said: the head in NumPy, its gradient, class activation maps.

Between the last feature map and the logit stand only a pooling and a few dense layers. Their
gradient is a handful of matrix products, so an explanation needs no second pass through the
backbone and no TensorFlow.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np


@dataclass(frozen=True, kw_only=True)
class DenseLayer:
    """A fully connected layer.

    Attributes:
        kernel: float32, shape (inputs, outputs).
        bias: float32, shape (outputs,).
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Head:
    """What turns the last feature map into a logit: pooling, dense layers with ReLU between.

    Attributes:
        pooling: "flatten" or "average".
        layers: the last one gives the logit of pneumonia, or the logits of normal, bacterial and
            viral, of which the logit of pneumonia follows.
    """

    pooling: Literal["flatten", "average"]
    layers: tuple[DenseLayer, ...]

    def logit(self, feature_map: np.ndarray) -> float:
        """The logit of a feature map of shape (rows, columns, channels)."""
        return _pneumonia_logit(self._activations(feature_map)[-1])[0]

    def gradient(self, feature_map: np.ndarray) -> np.ndarray:
        """The derivative of the logit by each number of the feature map.

        We explain the logit: a saturated sigmoid has vanishing gradients.

        Args:
            feature_map: float32, shape (rows, columns, channels).

        Returns: float32, of the same shape.
        """
        activations = self._activations(feature_map)
        gradient = self.layers[-1].kernel @ _pneumonia_logit(activations[-1])[1]
        for layer, output in zip(self.layers[-2::-1], activations[-2::-1], strict=True):
            gradient = layer.kernel @ (gradient * (output > 0))
        if self.pooling == "flatten":
            return np.asarray(gradient.reshape(feature_map.shape))
        positions = feature_map.shape[0] * feature_map.shape[1]
        return np.broadcast_to(gradient / positions, feature_map.shape)

    def _activations(self, feature_map: np.ndarray) -> list[np.ndarray]:
        """The output of each layer."""
        if self.pooling == "flatten":
            value = feature_map.reshape(-1)
        else:
            value = feature_map.mean(axis=(0, 1))
        outputs = []
        for layer in self.layers:
            value = value @ layer.kernel + layer.bias
            if layer is not self.layers[-1]:
                value = np.maximum(value, 0)
            outputs.append(value)
        return outputs

    def shuffled(self, random: np.random.Generator) -> Self:
        """The same head with the weights of each kernel in a random order: what it has learned is
        lost, their distribution is kept.
        """
        layers = tuple(
            replace(layer, kernel=random.permuted(layer.kernel, axis=None)) for layer in self.layers
        )
        return replace(self, layers=layers)

    def save(self, path: Path) -> None:
        """Write the head as an `.npz` file."""
        arrays: dict[str, np.ndarray] = {}
        for number, layer in enumerate(self.layers):
            arrays[f"kernel_{number}"], arrays[f"bias_{number}"] = layer.kernel, layer.bias
        np.savez(path, allow_pickle=False, pooling=self.pooling, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            count = sum(name.startswith("kernel_") for name in arrays.files)
            layers = tuple(
                DenseLayer(kernel=arrays[f"kernel_{number}"], bias=arrays[f"bias_{number}"])
                for number in range(count)
            )
            return cls(pooling=str(arrays["pooling"]), layers=layers)  # type: ignore[arg-type]


def _pneumonia_logit(outputs: np.ndarray) -> tuple[float, np.ndarray]:
    """The logit of pneumonia of what the last layer gives, and its derivative by that."""
    if len(outputs) == 1:
        return float(outputs[0]), np.ones(1, np.float32)
    either = np.logaddexp(outputs[1], outputs[2])
    bacterial, viral = np.exp(outputs[1:] - either)
    return float(either - outputs[0]), np.array([-1, bacterial, viral], np.float32)


# Class activation maps ------------------------------------------------------------------


def grad_cam(feature_map: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Gradient-weighted class activation map (Selvaraju et al., ICCV 2017).

    The weight of a channel is the mean of its gradient; the map is the positive part of the
    weighted sum of the channels, scaled so that its peak is 1.

    Args:
        feature_map: float32, shape (rows, columns, channels).
        gradient: of the score to explain by the feature map, of the same shape; negate it to
            explain the opposite score.

    Returns: float32, shape (rows, columns), in [0, 1]; all zero where nothing speaks for the
        score.
    """
    return scaled(feature_map @ gradient.mean(axis=(0, 1)))


def grad_cam_plus_plus(feature_map: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018): each position has a weight of its own.

    The weight of a channel is the sum of the positive parts of its gradient, each times
    α = g² / (2g² + g³ Σ A), where A is the channel and g its gradient at the position. As in the
    paper, the class score is exp(logit), whose second and third derivatives are powers of g
    times exp(logit) as long as the logit is piecewise linear; the factor exp(logit) goes with
    the scaling. A head of three classes is linear only nearly: the curvature of its log-sum-exp
    is left out. Channels that speak against the score have no weight: the map has heat even where
    far more speaks against the score than for it.

    Args, Returns: as for `grad_cam`.
    """
    positive = np.maximum(gradient, 0)
    # The paper assumes a ReLU in front. Behind other activations what is below zero is left out,
    # lest a denominator vanish.
    total = np.maximum(feature_map, 0).sum(axis=(0, 1))
    # α g with g² cancelled: the fraction is also right where g is zero.
    return scaled(feature_map @ (positive / (2 + positive * total)).sum(axis=(0, 1)))


def layer_cam(feature_map: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """LayerCAM (Jiang et al., IEEE Transactions on Image Processing 30, 2021).

    Each number of the feature map is weighted with the positive part of its own gradient. As in
    Grad-CAM++, what speaks against the score is not subtracted.

    Args, Returns: as for `grad_cam`.
    """
    return scaled(np.sum(np.maximum(gradient, 0) * feature_map, axis=2))


def scaled(evidence: np.ndarray) -> np.ndarray:
    """The positive part, scaled so that its peak is 1; float32, all zero where there is none."""
    heat = np.maximum(evidence, 0)
    peak = heat.max()
    return np.asarray(heat / peak if peak > 0 else heat, dtype=np.float32)
