"""Training the way most tutorials on this data set do it: the peer that ours is timed against.

Images are read from their files and augmented again in every epoch, and every epoch runs all of
them through the frozen backbone; only the head learns. Nothing here is ours but the stopwatch.

    KERAS_HOME=<folder with the ImageNet weights> python benchmarks/usual_training.py images.csv

`images.csv` has the columns `path` (absolute), `label` (NORMAL or PNEUMONIA) and `split` (train or
validation). The answer is one JSON object a line, on standard output; see `main`.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # first: on macOS it can hang when pandas was there before it

# isort: split
import numpy as np
import pandas as pd
import psutil

LABELS = ["NORMAL", "PNEUMONIA"]
SIDE = 224
BATCH = 32


class Stopwatch(tf.keras.callbacks.Callback):
    """Times epochs as `fit` runs them, and hands each on with what was scored after it.

    Attributes:
        scoring_seconds: what scoring took so far; in no epoch's seconds.
    """

    def __init__(
        self, score: Callable[[], float], report: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__()
        self.scoring_seconds = 0.0
        self._score = score
        self._report = report
        self._begun = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.perf_counter()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        # `fit` validates once an epoch, when its last batch has been learnt from.
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        ended = time.perf_counter()
        validation_auc = self._score()
        self.scoring_seconds += time.perf_counter() - ended
        self._report(
            {
                "epoch": epoch + 1,
                "seconds": round(ended - self._begun, 2),
                "train_seconds": round(self._trained - self._begun, 2),
                "validation_auc": round(validation_auc, 5),
            }
        )


def main() -> None:
    """Train, and print what it took.

    A line for each epoch: `epoch` (from 1), `seconds` (training and validation as `fit` does
    them), `train_seconds` (the former alone) and `validation_auc` (exact). The last line is of the
    whole process: `peak_mib`, its largest resident set, and `seconds_total`, since it was started,
    imports included, and what `fit` takes to return after its last epoch, which is in no epoch's
    seconds. The time that the exact AUC takes is in none of them.
    """
    parser = argparse.ArgumentParser(description="Time the usual way of training.")
    parser.add_argument("images", type=Path, help="CSV with columns path, label, split")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    scoring_seconds = train(
        read_images(options.images), epochs=options.epochs, seed=options.seed, report=_print
    )
    lived = time.time() - psutil.Process().create_time()
    _print(
        {
            # Linux counts in KiB.
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "seconds_total": round(lived - scoring_seconds, 2),
        }
    )


def read_images(path: Path) -> pd.DataFrame:
    """The table of `path`, `label` and `split`.

    Raises:
        ValueError: a split lacks one of the labels, or has others.
    """
    images = pd.read_csv(path, usecols=["path", "label", "split"])
    for split in ("train", "validation"):
        found = sorted(set(images.loc[images["split"] == split, "label"]))
        if found != LABELS:
            raise ValueError(f"`{split}` must hold the labels {LABELS}. Received: {found}")
    return images


def train(
    images: pd.DataFrame, *, epochs: int, seed: int, report: Callable[[dict[str, Any]], None]
) -> float:
    """Fit the model of the tutorials.

    Args:
        images: as `read_images` returns it.
        epochs: how often all training images are seen.
        seed: of the head's first weights, the order of the images and their augmentation.
        report: called with the figures of each epoch.

    Returns:
        Seconds that the exact AUC took, which is no part of the usual way.
    """
    tf.keras.utils.set_random_seed(seed)
    tf.keras.utils.disable_interactive_logging()  # standard output is for JSON
    training = images[images["split"] == "train"]
    validation = images[images["split"] == "validation"]
    # Keras 3 calls this deprecated, and keeps it for all the code that is written so.
    generator = tf.keras.preprocessing.image.ImageDataGenerator
    augmenter = generator(
        rescale=1 / 255, rotation_range=20, zoom_range=0.2, shear_range=0.2, horizontal_flip=True
    )
    plain = generator(rescale=1 / 255)
    model = build_model()
    to_score = flow(plain, validation, shuffle=False)

    def score() -> float:
        from sklearn.metrics import roc_auc_score

        probabilities = model.predict(to_score, verbose=0)
        return float(roc_auc_score(np.asarray(to_score.classes), probabilities[:, 0]))

    stopwatch = Stopwatch(score, report)
    model.fit(
        flow(augmenter, training, shuffle=True),
        validation_data=flow(plain, validation, shuffle=False),
        epochs=epochs,
        callbacks=[stopwatch],
        verbose=0,
    )
    return stopwatch.scoring_seconds


def flow(
    generator: tf.keras.preprocessing.image.ImageDataGenerator,
    images: pd.DataFrame,
    *,
    shuffle: bool,
) -> Any:
    """Batches of (images, 224, 224, 3) and (images,), 1 for PNEUMONIA, read as they are needed.

    Raises:
        ValueError: Keras would leave images out, where it gives no more than a warning.
    """
    batches = generator.flow_from_dataframe(
        images,
        x_col="path",
        y_col="label",
        classes=LABELS,
        class_mode="binary",
        color_mode="rgb",
        target_size=(SIDE, SIDE),
        batch_size=BATCH,
        shuffle=shuffle,
    )
    if batches.samples != len(images):
        raise ValueError(
            "`path` must name files that exist and that Keras reads. Received: "
            f"{len(images) - batches.samples} of {len(images)} that it does not"
        )
    return batches


def build_model() -> tf.keras.Model:
    """A frozen MobileNetV2 under a head of two dense layers, compiled."""
    backbone = tf.keras.applications.MobileNetV2(
        weights="imagenet", include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    backbone.trainable = False
    model = tf.keras.Sequential(
        [
            backbone,
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dropout(0.3),
            tf.keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer=tf.keras.optimizers.Adam(), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model


def _print(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
