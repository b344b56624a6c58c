"""The training process: `python -m pneumo.training.fit RUN_FOLDER`."""

import os
import socket
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf

from pneumo import settings
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import tracking
from pneumo.training.journal import Journal
from pneumo.training.lineage import share_seen
from pneumo.training.optimization import even_logit
from pneumo.training.packaging import STEPS, write_bundle
from pneumo.training.pipeline import read_pictures
from pneumo.training.runs import Run
from pneumo.training.trainer import Trainer

SILENCE_SECONDS = 30.0
"""After which a download counts as failed."""


def train(run: Run, installation: Settings) -> None:
    """Work off a run from its folder: read, fit, calibrate, write the bundle.

    A run that was broken off goes on after its last complete epoch.

    Args:
        run: made by `runs.create`.
        installation: folders and limits.
    """
    began = time.perf_counter()
    with Journal(run, trackers=tracking.trackers(run, print)) as journal:
        recipe = run.recipe
        journal.activity("Building the network")
        strategy = training_strategy()
        with strategy.scope():
            classifier = classifiers.build(recipe, settings=installation)
        journal.log(f"The backbone starts from {classifier.started_from} weights")
        splits, left_out = read_pictures(
            run.images(),
            recipe=recipe,
            settings=installation,
            progress=lambda done, total: journal.preparation("Reading images", done, total),
        )
        journal.left_out(left_out)
        seen = share_seen(
            splits["validation"], run.data, start=classifier.started_from, settings=installation
        )
        if seen:
            journal.log(
                f"These weights have learned from {100 * seen:.3g} % of the validation films: "
                "figures on them will flatter"
            )
        trainer = Trainer(run, recipe, classifier, splits, journal, installation, strategy, began)
        validation_values = trainer.train()
        seconds = trainer.seconds
        write_bundle(
            run,
            classifier,
            splits["train"],
            splits["validation"],
            validation_values=validation_values,
            validation_seen=seen,
            even_logit=even_logit(splits["train"].classes, recipe),
            epochs=trainer.progress.epochs,
            kept_epoch=trainer.kept_epoch,
            seconds=seconds,
            settings=installation,
            announce=lambda step, number: journal.activity(
                f"Writing the model: {step}", number, STEPS, begun_at=number
            ),
        )
        if not trainer.stopped:
            run.checkpoint.unlink(missing_ok=True)
        journal.finish(
            stopped=trainer.stopped,
            message=f"{'Stopped' if trainer.stopped else 'Finished'} after "
            f"{trainer.progress.epochs} of {recipe.epochs} epochs and {seconds:.0f} s",
        )


def training_strategy() -> tf.distribute.Strategy:
    """All GPUs of this machine, in 16 bits where they gain by it; else the processor."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        # On a processor it is slower than full precision.
        keras.mixed_precision.set_global_policy("mixed_float16")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def main() -> None:
    """Entry of the training process."""
    os.nice(10)  # pages and predictions come first
    socket.setdefaulttimeout(SILENCE_SECONDS)  # Keras sets none for its downloads
    if os.environ.get("PNEUMO_DETERMINISTIC") == "1":
        tf.config.experimental.enable_op_determinism()
    train(Run(Path(sys.argv[1])), settings.load())


if __name__ == "__main__":
    main()
