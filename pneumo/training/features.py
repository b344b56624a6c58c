"""Features of a frozen backbone: computed once, kept on disk, mapped into memory."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from pneumo import export, radiograph
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import Settings
from pneumo.training.classifier import Classifier, backbone_digest
from pneumo.training.optimization import compile_evaluation
from pneumo.training.pipeline import Pictures, augmented, made_ahead, split_into
from pneumo.training.recipe import Augmentation, Recipe

CHUNK = 8
"""Pictures a call of the interpreter: larger chunks fall out of the processor's cache."""

KEPT_BYTES = 4 * 2**30
"""Features that other runs may need again; the ones unused for longest go first."""


class FeatureExtractor:
    """Maps pictures to the last feature map of a classifier's frozen backbone.

    On a processor LiteRT does it, several times faster than Keras; the backbone is converted
    once and kept in the cache. On a GPU Keras does it.

    Args:
        classifier: its backbone is as the features are wanted.
        recipe: decides the pooling: for "average", features come pooled to 1 × 1 positions.
        settings: where the cache is.
    """

    def __init__(
        self, classifier: Classifier, recipe: Recipe, settings: Settings, *, on_gpu: bool = False
    ) -> None:
        self._pooled = recipe.head.pooling == "average"
        self._cache = settings.cache
        self._backbone = classifier.backbone
        self._digest = backbone_digest(classifier, recipe)
        self._interpreters = None if on_gpu else self._load()
        self._evaluate = compile_evaluation(self._backbone)
        _, rows, columns, channels = classifier.backbone.output.shape
        self.shape = (1, 1, channels) if self._pooled else (rows, columns, channels)

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Features of pictures, in their order, on the calling thread.

        Args:
            pictures: uint8, shape (images, size, size).

        Returns: float32, shape (images, rows, columns, channels); 1 × 1 where pooled.
        """
        if self._interpreters is None:
            maps = self._evaluate(pictures[..., np.newaxis])
            return self._pool(np.asarray(maps, dtype=np.float32))
        return np.concatenate(
            [
                self._pool(self._interpreters.run(part)["feature_map"])
                for part in split_into(pictures, CHUNK)
            ]
        )

    def view(
        self,
        pictures: Pictures,
        augmentation: Augmentation | None,
        *,
        seed: tuple[int, ...],
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Features of an augmented view of every picture, or of the pictures as they are.

        They are kept: the next run that asks for the same view finds it. A view that was broken
        off is continued.

        Args:
            pictures: of one split.
            augmentation: None for none.
            seed: of the augmentation.
            progress: called with pictures done and their number.

        Returns: float32, shape (images, rows, columns, channels), read from disk as needed.

        Raises:
            OSError: the features cannot be written.
        """
        path = self._cache / "features" / self._key(pictures, augmentation, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (len(pictures), *self.shape)
        if not path.is_file():
            partial = path.with_suffix(".partial")
            row_bytes = 4 * int(np.prod(self.shape))
            done = partial.stat().st_size // row_bytes if partial.is_file() else 0

            def make(rows: np.ndarray) -> np.ndarray:
                if augmentation is None:
                    return self.features(pictures.pixels[rows])
                return self.features(augmented(pictures, rows, augmentation, seed=seed))

            with partial.open("ab") as file:
                file.truncate(done * row_bytes)
                rows = split_into(np.arange(done, len(pictures)), CHUNK)
                for features in made_ahead(make, rows):
                    file.write(features.tobytes())
                    done += len(features)
                    progress(done, len(pictures))
            partial.rename(path)
            _drop_oldest(path.parent, keep=path)
        path.touch()
        return np.memmap(path, np.float32, "r", shape=shape)

    def _pool(self, maps: np.ndarray) -> np.ndarray:
        return maps.mean(axis=(1, 2), keepdims=True) if self._pooled else maps

    def _load(self) -> InterpreterPool:
        model = self._cache / f"backbone-{self._digest}.tflite"
        if not model.is_file():
            model.parent.mkdir(parents=True, exist_ok=True)
            outputs = {"feature_map": self._backbone.output}
            export.to_litert(keras.Model(self._backbone.input, outputs), model)
        return InterpreterPool(model, batch=CHUNK)

    def _key(
        self, pictures: Pictures, augmentation: Augmentation | None, seed: tuple[int, ...]
    ) -> str:
        """Names everything that the features depend on."""
        values = [self._digest, self._pooled, augmentation and asdict(augmentation)]
        values += [radiograph.MODEL_INPUT_VERSION]
        values += [seed if augmentation else None, [image.digest for image in pictures.images]]
        values += [pictures.is_pneumonia.tolist()]  # decides whose frames are had
        return hashlib.blake2b(json.dumps(values).encode(), digest_size=12).hexdigest() + ".f32"


def _drop_oldest(folder: Path, *, keep: Path) -> None:
    """Delete the views unused for longest, beyond `KEPT_BYTES`."""
    views = [(path.stat(), path) for path in folder.iterdir() if path != keep]
    total = keep.stat().st_size
    for status, path in sorted(views, key=lambda it: it[0].st_mtime, reverse=True):
        total += status.st_size
        if total > KEPT_BYTES:
            path.unlink(missing_ok=True)
