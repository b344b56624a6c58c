"""The training process: `python -m pneumo.training.fit RUN_FOLDER`.

A loop of our own instead of `Model.fit`: curves come from exact metrics, a stop takes effect
within a step, and the frozen backbone runs outside Keras.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pneumo import settings
from pneumo.evaluation.metrics import roc_auc
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier
from pneumo.training.features import FeatureExtractor
from pneumo.training.journal import Journal
from pneumo.training.packaging import write_bundle
from pneumo.training.pipeline import Pictures, Unreadable, augmented_batches, read_pictures
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run


def train(run: Run, installation: Settings) -> None:
    """Work off a run from its folder: read, fit, calibrate, write the bundle.

    Args:
        run: made by `runs.create`.
        installation: folders and limits.
    """
    with Journal(run) as journal:
        begin = time.time()
        recipe = run.recipe
        journal.activity("Building the network")
        shipped = installation.shipped_models / bundle.DEFAULT_MODEL / bundle.KERAS
        classifier = classifiers.build(recipe, shipped=shipped)
        journal.log(f"The backbone starts from {classifier.started_from} weights")
        splits, unreadable = read_pictures(
            run.images(),
            size=recipe.image_size,
            limits=installation.image_limits,
            cache=installation.cache,
            progress=lambda done, total: journal.preparation("Reading images", done, total),
        )
        for entry in unreadable:
            journal.log(f"Left out {entry.path}: {entry.reason}")
        _check_classes(splits, unreadable)
        extractor = FeatureExtractor(classifier, recipe, installation)
        fitted = _Fit(run, recipe, classifier, extractor, splits, journal)
        fitted.run_epochs()
        journal.activity("Writing the model")
        write_bundle(
            run,
            classifier,
            splits["validation"],
            validation_logits=fitted.validation_logits(),
            even_logit=fitted.even_logit,
            epochs=fitted.epochs_done,
            seconds=time.time() - begin,
        )
        stopped = fitted.epochs_done < recipe.epochs
        journal.finish(
            stopped=stopped,
            message=f"{'Stopped' if stopped else 'Finished'} after {fitted.epochs_done} of "
            f"{recipe.epochs} epochs and {time.time() - begin:.0f} s",
        )


class _Fit:
    """The state of a fit: head, optimizer, features, and how far it is."""

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        classifier: Classifier,
        extractor: FeatureExtractor,
        splits: dict[str, Pictures],
        journal: Journal,
    ) -> None:
        self.recipe = recipe
        self.extractor = extractor
        self.epochs_done = 0
        self._run = run
        self._journal = journal
        self._pictures = splits["train"]
        self._head = classifier.head
        self._optimizer = keras.optimizers.Adam(
            recipe.learning_rate, weight_decay=recipe.weight_decay or None
        )
        self._weights = _class_weights(self._pictures, enabled=recipe.class_weights)
        self._validation_truth = splits["validation"].is_pneumonia
        validation = splits["validation"].pixels
        self._validation_features = self._collect(
            "Computing features of validation", extractor.chunks(validation), len(validation)
        )
        self._view_features = [self._view(number) for number in range(recipe.cached_views)]

    @property
    def even_logit(self) -> float:
        """The logit at which both classes are equally likely.

        The head learns the odds of the classes as the loss weighs them; without these odds, what
        is left is the film's own evidence (Elkan, IJCAI 2001). Validation patients resemble the
        training patients too much to find a better threshold on them.
        """
        counts = np.bincount(self._pictures.is_pneumonia.astype(int), minlength=2)
        normal, pneumonia = counts * self._weights.numpy()
        return float(np.log(pneumonia / normal))

    def run_epochs(self) -> None:
        """Train until the last epoch, or until somebody asks for a stop."""
        steps = int(np.ceil(len(self._pictures) / self.recipe.batch_size))
        total = steps * self.recipe.epochs
        for epoch in range(self.recipe.epochs):
            begin = time.perf_counter()
            truth, logits = [], []
            for step, (features, is_pneumonia) in enumerate(self._batches(epoch), start=1):
                loss, batch_logits = self._step(features, is_pneumonia)
                truth.append(is_pneumonia)
                logits.append(batch_logits.numpy())
                done = epoch * steps + step
                self._journal.step({"epoch": epoch + 1, "step": done, "loss": float(loss)})
                self._journal.activity("Training", done, total)
                if self._run.stop_requested:
                    return
            row = {"epoch": epoch + 1, "seconds": time.perf_counter() - begin}
            row |= self._figures("train", np.concatenate(truth), np.concatenate(logits))
            row |= self._figures("validation", self._validation_truth, self.validation_logits())
            self._journal.epoch(row)
            self.epochs_done = epoch + 1

    def validation_logits(self) -> np.ndarray:
        """Logits of the validation pictures, without dropout, float32, shape (images,)."""
        return self._head.predict(self._validation_features, batch_size=256, verbose=0)[:, 0]

    @tf.function(reduce_retracing=True)
    def _step(self, features: tf.Tensor, is_pneumonia: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One update of the head. Returns the weighted loss and the logits before it."""
        with tf.GradientTape() as tape:
            logits = self._head(features, training=True)[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(is_pneumonia, logits)
            loss = tf.reduce_mean(
                losses * tf.gather(self._weights, tf.cast(is_pneumonia, tf.int32))
            )
        variables = self._head.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, logits

    def _batches(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features and labels of one epoch, shuffled."""
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self._pictures))
        size = self.recipe.batch_size
        rows = (order[start : start + size] for start in range(0, len(order), size))
        if self._view_features:
            view = self._view_features[epoch % len(self._view_features)]
            features = (view[chosen] for chosen in rows)
        else:
            augmented = augmented_batches(
                self._pictures,
                self.recipe.augmentation,
                order=order,
                batch=size,
                seed=(self.recipe.seed, epoch),
            )
            features = (self.extractor.features(pictures) for pictures in augmented)
        labels = self._pictures.is_pneumonia[order]
        for start, batch in zip(range(0, len(order), size), features, strict=True):
            yield batch, labels[start : start + size]

    def _view(self, number: int) -> np.ndarray:
        """Features of an augmented view of every training picture."""
        views = augmented_batches(
            self._pictures,
            self.recipe.augmentation,
            order=np.arange(len(self._pictures)),
            batch=64,
            seed=(self.recipe.seed, number),
        )
        return self._collect(
            f"Computing features, view {number + 1} of {self.recipe.cached_views}",
            map(self.extractor.features, views),
            len(self._pictures),
        )

    def _collect(self, name: str, parts: Iterable[np.ndarray], total: int) -> np.ndarray:
        """Features that come in parts, with progress."""
        features, done = [], 0
        for part in parts:
            features.append(part)
            done += len(part)
            self._journal.preparation(name, done, total)
        return np.concatenate(features)

    def _figures(self, split: str, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """A split's columns of `epochs.csv`, at logit 0."""
        called, is_pneumonia = logits >= 0, truth == 1
        losses = np.logaddexp(0, logits) - truth * logits
        auc = roc_auc(truth, logits)
        return {
            f"{split}_loss": float(np.mean(losses * self._weights.numpy()[truth.astype(int)])),
            f"{split}_accuracy": float(np.mean(called == is_pneumonia)),
            f"{split}_auc": float("nan") if auc is None else auc,
            f"{split}_sensitivity": float(np.mean(called[is_pneumonia])),
            f"{split}_specificity": float(np.mean(~called[~is_pneumonia])),
        }


def _check_classes(splits: dict[str, Pictures], unreadable: list[Unreadable]) -> None:
    """What cannot end in a model is refused before it takes time."""
    for split, pictures in splits.items():
        pneumonia = int(pictures.is_pneumonia.sum())
        normal = len(pictures) - pneumonia
        if not normal or not pneumonia:
            reason = f" ({unreadable[0].reason})" if unreadable else ""
            raise ValueError(
                f"`{split}` must hold readable NORMAL and PNEUMONIA images. Received: {normal} "
                f"NORMAL, {pneumonia} PNEUMONIA; {len(unreadable)} could not be read{reason}"
            )


def _class_weights(pictures: Pictures, *, enabled: bool) -> tf.Tensor:
    """The weight in the loss of a NORMAL and of a PNEUMONIA picture."""
    if not enabled:
        return tf.ones(2)
    counts = np.bincount(pictures.is_pneumonia.astype(int), minlength=2)
    return tf.constant(len(pictures) / (2 * counts), dtype=tf.float32)


def main() -> None:
    """Entry of the training process."""
    os.nice(10)  # pages and predictions come first
    train(Run(Path(sys.argv[1])), settings.load())


if __name__ == "__main__":
    main()
