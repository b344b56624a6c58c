"""Our warp of a batch beside TensorFlow's batched warp and Keras' random layers, in one run.

    python -m benchmarks.augmentation

Rotation, zoom, shift and mirroring of 224×224 pictures, on all cores; medians over the rounds.
"""

import argparse
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pneumo.training.augmentation import augment, random_transform
from pneumo.training.pipeline import made_ahead, split_into
from pneumo.training.recipe import Augmentation

SIDE, BATCH, BATCHES, ROUNDS = 224, 32, 8, 5
GEOMETRY = Augmentation(rotation=10, zoom=0.2, shift=0.05, horizontal_flip=True)


def ours(pictures: np.ndarray) -> None:
    """One OpenCV warp a picture, uint8 throughout, a batch a thread."""

    def make(rows: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(0)
        return np.stack([augment(pictures[row], GEOMETRY, rng) for row in rows])

    for _ in made_ahead(make, split_into(np.arange(len(pictures)), BATCH)):
        pass


def batched_warp(pictures: np.ndarray) -> None:
    """One `ImageProjectiveTransformV3` a batch, its matrices made as ours are."""
    rng = np.random.default_rng(0)
    for rows in split_into(np.arange(len(pictures)), BATCH):
        matrices = [random_transform(GEOMETRY, rng, height=SIDE, width=SIDE) for _ in rows]
        flat = np.stack([(matrix / matrix[2, 2]).ravel()[:8] for matrix in matrices])
        tf.raw_ops.ImageProjectiveTransformV3(
            images=pictures[rows][..., np.newaxis],
            transforms=flat.astype(np.float32),
            output_shape=(SIDE, SIDE),
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )


def random_layers() -> Callable[[np.ndarray], None]:
    """Keras' layers one after the other, compiled."""
    layers = [
        keras.layers.RandomRotation(10 / 360, fill_mode="nearest"),
        keras.layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
        keras.layers.RandomTranslation(0.05, 0.05, fill_mode="nearest"),
        keras.layers.RandomFlip("horizontal"),
    ]

    @tf.function
    def chain(batch: tf.Tensor) -> tf.Tensor:
        batch = tf.cast(batch, tf.float32)
        for layer in layers:
            batch = layer(batch, training=True)
        return batch

    def work(pictures: np.ndarray) -> None:
        for rows in split_into(np.arange(len(pictures)), BATCH):
            chain(pictures[rows][..., np.newaxis])

    return work


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (BATCHES * BATCH, SIDE, SIDE), np.uint8)
    ways = {
        "ours": ours,
        "ImageProjectiveTransformV3": batched_warp,
        "Keras random layers": random_layers(),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(ROUNDS + 1):
        for name, work in ways.items():
            begin = time.perf_counter()
            work(pictures)
            if round_:  # the first compiles
                times[name].append(1000 * (time.perf_counter() - begin) / len(pictures))
    fastest = float(np.median(times["ours"]))
    for name, found in times.items():
        median = float(np.median(found))
        print(f"{name:<28}{median:8.3f} ms a picture   {median / fastest:6.1f} times ours")


if __name__ == "__main__":
    main()
