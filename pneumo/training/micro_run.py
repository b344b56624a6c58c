"""The measurement behind `pace`: `python -m pneumo.training.micro_run FOLDER`.

The real parts of a training, on a few pictures of noise.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf

from pneumo import export, radiograph, settings
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import optimization, recipe
from pneumo.training.augmentation import augment
from pneumo.training.classifier import Classifier
from pneumo.training.features import CHUNK, FeatureExtractor
from pneumo.training.pace import Pace
from pneumo.training.picture_cache import CORES
from pneumo.training.pipeline import made_ahead, split_into
from pneumo.training.recipe import Phase, Recipe
from pneumo.training.trainer import TOGETHER

REPEATS = 3


def measure(chosen: Recipe, images: list[Path], installation: Settings) -> Pace:
    """The pace of the parts of a training, on the processor or GPU at hand."""
    rng = np.random.default_rng(0)
    size = chosen.image_size
    pictures = rng.integers(0, 256, (4 * CORES * CHUNK, size, size), np.uint8)
    classifier = classifiers.build(chosen.changed(start="random"), settings=installation)
    with tempfile.TemporaryDirectory() as folder:
        scratch = dataclasses.replace(installation, home=Path(folder))
        extractor = FeatureExtractor(classifier, chosen, scratch)
        startup = time.time() - psutil.Process().create_time()

        def features(rows: np.ndarray) -> np.ndarray:
            views = [
                augment(pictures[row], chosen.augmentation, rng, other=pictures[0]) for row in rows
            ]
            return extractor.features(np.stack(views))

        rows = split_into(np.arange(len(pictures)), CHUNK)
        feature_seconds = _seconds(lambda: [*made_ahead(features, rows)]) / len(pictures)
        batch = rng.random((chosen.batch_size, *extractor.shape), np.float32)
        head_step = _step_seconds(Phase(epochs=1), chosen, classifier, batch)
        batch = rng.integers(0, 256, (chosen.batch_size, size, size, 1), np.uint8)
        steps = tuple(
            _step_seconds(phase, chosen, classifier, batch) if phase.unfrozen else 0.0
            for phase in chosen.phases
        )
        evaluate = optimization.compile_evaluation(classifier.trained)
        evaluation = _seconds(lambda: evaluate(batch)) / len(batch)
        begin = time.perf_counter()
        export.to_litert(classifier.network, Path(folder) / "model.tflite")
        classifier.network.save(Path(folder) / "model.keras")
        writing = time.perf_counter() - begin
    return Pace(
        startup=startup,
        reading=_reading_seconds(images, chosen, installation),
        features=feature_seconds,
        head_step=head_step,
        fine_tuning_steps=steps,
        evaluation=evaluation,
        writing=writing,
    )


def _step_seconds(phase: Phase, chosen: Recipe, classifier: Classifier, batch: np.ndarray) -> float:
    classifier.unfreeze(phase.unfrozen)
    model = classifier.trained if phase.unfrozen else classifier.head
    optimizer = optimization.optimizer(chosen, loss_scaling=False)
    optimizer.build(model.trainable_variables)
    step = optimization.compile_step(
        model,
        optimizer,
        tf.distribute.get_strategy(),
        batch_size=chosen.batch_size,
        together=TOGETHER if phase.unfrozen else None,
    )
    classes = np.zeros(len(batch), np.int64)
    wanted = optimization.targets(classes, chosen)
    weights = np.ones(len(batch), np.float32)
    return _seconds(lambda: float(step(batch, wanted, weights)[0]))


def _reading_seconds(images: list[Path], chosen: Recipe, installation: Settings) -> float:
    """Of one image, when all cores read."""
    begin, read = time.perf_counter(), 0
    for path in images:
        try:
            film = radiograph.read_file(
                path, limits=installation.image_limits, model_size=chosen.image_size
            )
        except (UnreadableRadiograph, OSError):
            continue
        radiograph.to_model_input(film, size=chosen.image_size)
        read += 1
    return (time.perf_counter() - begin) / max(read, 1) / CORES


def _seconds(work: Callable[[], object]) -> float:
    """The median of a few times, after one that compiles."""
    work()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def main() -> None:
    """Entry of the process."""
    os.nice(10)
    folder = Path(sys.argv[1])
    images = [Path(path) for path in json.loads((folder / "images.json").read_text())]
    chosen = recipe.read(folder / "recipe.json")
    measure(chosen, images, settings.load()).save(folder / "pace.json")


if __name__ == "__main__":
    main()
