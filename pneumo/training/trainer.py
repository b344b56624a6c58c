"""Epoch after epoch through the phases of a recipe, with a checkpoint after each.

A loop of our own instead of `Model.fit`: curves come from exact metrics, a stop takes effect
within a step, an interrupted training goes on as if nothing had happened, and a frozen backbone
runs outside Keras.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from pneumo import background
from pneumo.evaluation.metrics import roc_auc
from pneumo.settings import Settings
from pneumo.training import checkpoint, optimization, runs
from pneumo.training.checkpoint import Arrays, Checkpoint, CheckpointMismatch, Progress
from pneumo.training.classifier import Classifier, backbone_digest, pneumonia_logits
from pneumo.training.features import FeatureExtractor
from pneumo.training.feeds import FeatureFeed, Feed, PictureFeed
from pneumo.training.journal import Journal
from pneumo.training.pipeline import Pictures, split_into
from pneumo.training.recipe import Phase, Recipe
from pneumo.training.runs import Run

TOGETHER = 16
"""Pictures that go through a whole network at the same time on a processor: larger batches go in
parts, since more pictures at a time are no faster there and take more memory."""


class Trainer:
    """A classifier on its way through a recipe.

    Args:
        run: its folder has the checkpoint, and says when to stop.
        recipe: what to do.
        classifier: as it starts; it is left with the weights to keep.
        splits: pictures to train on and to validate with.
        journal: is told every step and epoch.
        settings: where the cache is.
        strategy: of the devices to train on; the classifier was built in its scope.
        began: when the work on the run began, by `time.perf_counter`.

    Raises:
        CheckpointMismatch: the checkpoint does not belong to this training.
    """

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        classifier: Classifier,
        splits: dict[str, Pictures],
        journal: Journal,
        settings: Settings,
        strategy: tf.distribute.Strategy,
        began: float,
    ) -> None:
        self.progress = Progress()
        self.stopped = False
        self._run = run
        self._recipe = recipe
        self._classifier = classifier
        self._train, self._validation = splits["train"], splits["validation"]
        self._journal = journal
        self._settings = settings
        self._strategy = strategy
        self._on_gpu = bool(tf.config.list_logical_devices("GPU"))
        self._targets = optimization.targets(self._train.classes, recipe)
        self._class_weights = optimization.class_weights(self._train.classes, recipe)
        self._network = classifier.trained
        fine_tunes = any(phase.unfrozen for phase in recipe.phases)
        self._variables = (self._network if fine_tunes else classifier.head).variables
        self._started_from = backbone_digest(classifier, recipe)
        self._steps_an_epoch = -(-len(self._train) // recipe.batch_size)
        self._best: Arrays = ()
        self._optimizer_state: Arrays = ()  # of the phase that a checkpoint was written in
        self._began = began
        self._resume()

    @property
    def seconds(self) -> float:
        """Spent so far, by this process and those before it."""
        return self.progress.seconds + time.perf_counter() - self._began

    def train(self) -> np.ndarray:
        """Work off the phases until the last is over, or until somebody asks for a stop.

        The weights kept are those of the best epoch where the recipe asks for it or the training
        was stopped, else those of the last.

        Returns: what the head gives for the validation pictures, float32, shape (images, 1 or 3).
        """
        for number, phase in enumerate(self._recipe.phases):
            if number < self.progress.phase:
                continue
            if number > self.progress.phase:
                self.progress = replace(
                    self.progress, phase=number, epochs_in_phase=0, epochs_without_gain=0
                )
            self._begin(phase)
            while not self._is_over(phase) and not self.stopped:
                self._run_epoch(phase)
            self._adopt_averages()
            if self._best and (self._recipe.restore_best or self.stopped):
                _assign(self._variables, self._best)
            if self.stopped:
                break
        values = self._validation_values()
        del self._step, self._evaluate, self._feed, self._optimizer
        background.give_back_memory()  # the model is yet to be written, which takes some
        return values

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are kept, from 1; 0 for those of a first, broken-off one."""
        best = self._recipe.restore_best or self.stopped
        return self.progress.best_epoch if best else self.progress.epochs

    def _is_over(self, phase: Phase) -> bool:
        patience = self._recipe.early_stopping
        exhausted = 0 < patience <= self.progress.epochs_without_gain
        return exhausted or self.progress.epochs_in_phase >= phase.epochs

    def _begin(self, phase: Phase) -> None:
        """Make ready what a phase works with: what learns, what it is fed, and its optimizer."""
        with self._strategy.scope():
            self._classifier.unfreeze(phase.unfrozen)
            self._model = self._network if phase.unfrozen else self._classifier.head
            mixed = self._model.compute_dtype == "float16"
            self._optimizer = optimization.optimizer(self._recipe, loss_scaling=mixed)
            self._optimizer.build(self._model.trainable_variables)
        if self._optimizer_state:
            _assign(self._optimizer.variables, self._optimizer_state)
            self._optimizer_state = ()
        self._step = optimization.compile_step(
            self._model,
            self._optimizer,
            self._strategy,
            batch_size=self._recipe.batch_size,
            together=TOGETHER if phase.unfrozen and not self._on_gpu else None,
        )
        self._evaluate = optimization.compile_evaluation(self._model)
        self._feed = self._make_feed(phase)
        background.give_back_memory()
        self._steps_at_begin = self.progress.epochs_in_phase * self._steps_an_epoch

    def _make_feed(self, phase: Phase) -> Feed:
        if phase.unfrozen:
            return PictureFeed(self._recipe, self._train, self._validation)
        return FeatureFeed(
            self._recipe,
            FeatureExtractor(
                self._classifier,
                self._recipe,
                self._settings,
                on_gpu=self._on_gpu,
            ),
            self._train,
            self._validation,
            announce=self._journal.preparation,
        )

    def _run_epoch(self, phase: Phase) -> None:
        """One pass over the training pictures; where it ends well, a checkpoint."""
        before, begin = self.progress, time.perf_counter()
        rng = np.random.default_rng((self._recipe.seed, before.epochs))
        batches = split_into(rng.permutation(len(self._train)), self._recipe.batch_size)
        total = phase.epochs * self._steps_an_epoch
        outputs, images = [], 0
        inputs = self._feed.training(batches, before.epochs)
        for number, (rows, pictures) in enumerate(zip(batches, inputs, strict=True)):
            done = before.epochs_in_phase * self._steps_an_epoch + number
            rate = optimization.learning_rate(phase, done, total)
            self._optimizer.learning_rate.assign(rate)
            weights = self._class_weights[self._train.classes[rows]]
            loss, values = self._step(pictures, self._targets[rows], weights)
            outputs.append(values)
            images += len(rows)
            pace = images / (time.perf_counter() - begin)
            self._journal.step(
                {
                    "epoch": before.epochs + 1,
                    "step": before.steps + number + 1,
                    "loss": float(loss),
                    "learning_rate": rate,
                }
            )
            self._journal.activity(
                self._activity(phase),
                done + 1,
                total,
                begun_at=self._steps_at_begin,
                images_per_second=pace,
            )
            if self._run.stop_requested:
                self.stopped = True
                return
        shown = self._train.classes[np.concatenate(batches)]
        row = {
            "epoch": before.epochs + 1,
            "phase": before.phase + 1,
            "seconds": 0.0,  # until validation is over
            "learning_rate": rate,
            "images_per_second": pace,
            **self._figures("train", shown, np.concatenate(outputs)),
        }
        with self._averages():
            values = self._validation_values()
            row |= self._figures("validation", self._validation.classes, values)
            self._judge(runs.score(row, self._recipe))
        row["seconds"] = time.perf_counter() - begin
        self.progress = replace(
            self.progress,
            epochs_in_phase=before.epochs_in_phase + 1,
            epochs=before.epochs + 1,
            steps=before.steps + self._steps_an_epoch,
        )
        self._journal.epoch(row)
        self._save()

    def _activity(self, phase: Phase) -> str:
        what = "backbone and head" if phase.unfrozen else "the head"
        place = f"phase {self.progress.phase + 1} of {len(self._recipe.phases)}"
        return f"Training {what}" + (f", {place}" if len(self._recipe.phases) > 1 else "")

    def _judge(self, score: float) -> None:
        """Keep the weights of the epoch if none before it was better."""
        if score > self.progress.best_score or not self._best:
            self._best = [variable.numpy() for variable in self._variables]
            self.progress = replace(
                self.progress,
                best_score=score,
                best_epoch=self.progress.epochs + 1,
                epochs_without_gain=0,
            )
        else:
            waited = self.progress.epochs_without_gain + 1
            self.progress = replace(self.progress, epochs_without_gain=waited)

    def _validation_values(self) -> np.ndarray:
        """What the head gives for the validation pictures, float32, shape (images, 1 or 3)."""
        return np.concatenate([self._evaluate(inputs) for inputs in self._feed.validation()])

    def _figures(self, split: str, classes: np.ndarray, values: np.ndarray) -> dict[str, float]:
        """A split's columns of `epochs.csv`; calls are made at logit 0."""
        logits, is_pneumonia = pneumonia_logits(values), classes > 0
        called = logits >= 0
        losses = optimization.losses(values, classes) * self._class_weights[classes]
        auc = roc_auc(is_pneumonia, logits)
        return {
            f"{split}_loss": float(np.mean(losses)),
            f"{split}_accuracy": float(np.mean(called == is_pneumonia)),
            f"{split}_auc": float("nan") if auc is None else auc,
            f"{split}_sensitivity": float(np.mean(called[is_pneumonia])),
            f"{split}_specificity": float(np.mean(~called[~is_pneumonia])),
        }

    # Averaged weights ------------------------------------------------------------------

    def _adopt_averages(self) -> None:
        """Put the moving averages of the weights in the place of the weights."""
        if self._recipe.weight_averaging and self._optimizer.iterations > 0:
            self._optimizer.finalize_variable_values(self._model.trainable_variables)

    @contextmanager
    def _averages(self) -> Iterator[None]:
        """The averages in the place of the weights for as long as the block lasts."""
        learning = self._model.trainable_variables
        values = [variable.numpy() for variable in learning]
        self._adopt_averages()
        yield
        _assign(learning, values)

    # Checkpoints -----------------------------------------------------------------------

    def _save(self) -> None:
        checkpoint.save(
            self._run.checkpoint,
            Checkpoint(
                progress=replace(self.progress, seconds=self.seconds),
                backbone=self._started_from,
                arrays={
                    "weights": [variable.numpy() for variable in self._variables],
                    "optimizer": [variable.numpy() for variable in self._optimizer.variables],
                    "best": self._best,
                },
            ),
        )

    def _resume(self) -> None:
        """Go back to the last complete epoch, if there is one."""
        saved = checkpoint.load(self._run.checkpoint)
        if saved is not None:
            if saved.backbone != self._started_from:
                raise CheckpointMismatch(
                    "A training must go on from the weights that it started from. Received: a "
                    f"backbone of {self._classifier.started_from} weights that is another than "
                    "the checkpoint's. Start a new training."
                )
            self.progress = saved.progress
            self._best = saved.arrays["best"]
            self._optimizer_state = saved.arrays["optimizer"]
            _assign(self._variables, saved.arrays["weights"])
            self._journal.log(f"Going on after epoch {self.progress.epochs}")
        self._journal.rewind(self.progress.epochs)


def _assign(variables: Sequence[keras.Variable], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
