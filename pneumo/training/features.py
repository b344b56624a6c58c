"""Features of a frozen backbone, computed on LiteRT: several times faster than Keras on a CPU."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from pneumo import export
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import Settings
from pneumo.training.classifier import Classifier, backbone_digest
from pneumo.training.recipe import Recipe

CHUNK = 8
"""Pictures a call of the interpreter: larger chunks fall out of the processor's cache."""


class FeatureExtractor:
    """Maps pictures to the last feature map of a classifier's frozen backbone.

    The backbone is converted once and kept in the cache.

    Args:
        classifier: its backbone is frozen.
        recipe: decides the pooling: for "average", features come pooled to 1 × 1 positions.
        settings: where the cache is.
    """

    def __init__(self, classifier: Classifier, recipe: Recipe, settings: Settings) -> None:
        digest = backbone_digest(classifier, recipe)
        model = settings.cache / f"backbone-{digest}.tflite"
        if not model.is_file():
            model.parent.mkdir(parents=True, exist_ok=True)
            radiographs, feature_map = classifier.backbone.input, classifier.backbone.output
            export.to_litert(keras.Model(radiographs, {"feature_map": feature_map}), model)
        self._interpreters = InterpreterPool(model, batch=CHUNK)
        self._pooled = recipe.head.pooling == "average"

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Features of pictures, in their order.

        Args:
            pictures: uint8, shape (images, size, size).

        Returns: float32, shape (images, rows, columns, channels); 1 × 1 where pooled.
        """
        return np.concatenate(list(self.chunks(pictures)))

    def chunks(self, pictures: np.ndarray) -> Iterator[np.ndarray]:
        """The same, a few pictures at a time."""

        def extract(start: int) -> np.ndarray:
            chunk = pictures[start : start + CHUNK]
            missing = CHUNK - len(chunk)
            padded = np.pad(chunk, ((0, missing), (0, 0), (0, 0)))
            maps = self._interpreters.run(padded)["feature_map"][: len(chunk)]
            return maps.mean(axis=(1, 2), keepdims=True) if self._pooled else maps

        with ThreadPoolExecutor(self._interpreters.workers) as pool:
            yield from pool.map(extract, range(0, len(pictures), CHUNK))
