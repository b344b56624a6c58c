"""Our trainings beside the usual way, in one run on one machine.

    python -m benchmarks.training --data DIR [--usual-epochs 2]

DIR holds the Kaggle set, or a set in its layout. ImageNet weights must be at hand (`KERAS_HOME`).
Every training of ours starts with an empty cache, and its time is that of the whole process, from
the start of Python to the finished model; of the usual way only `fit` is counted.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo import settings
from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Dataset, Source
from pneumo.inference import bundle
from pneumo.settings import REPOSITORY, Settings
from pneumo.training import launcher
from pneumo.training.recipe import BEST, QUICK, SEED, Recipe
from pneumo.training.runs import Run

USUAL_EPOCHS = 20
"""Of the tutorial, to which the measured epochs are extrapolated."""

ROUNDS, STEPS = 5, 30


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A training of ours: how long the whole process took, and the most memory it held."""

    run: Run
    seconds: float
    peak_mib: float

    @property
    def validation_auc(self) -> float:
        measured = bundle.load(self.run.bundle).card.measurement("validation")
        assert measured is not None and measured.metrics.roc_auc is not None
        return measured.metrics.roc_auc


def new_run(recipe: Recipe, dataset: Dataset, rows: pd.DataFrame, home: Path) -> Run:
    return launcher.create(
        replace(settings.load(), home=home), recipe=recipe, dataset=dataset, rows=rows
    )


def train(run: Run, home: Path) -> Trained:
    """Run the training process to its end."""
    environment = os.environ | {"PNEUMO_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (run.folder / "log.txt").open("wb") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "pneumo.training.fit", str(run.folder)],
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    if status != 0:
        raise RuntimeError(f"{run.recipe.name} failed: {run.state.message}\n{run.log_tail()}")
    return Trained(run=run, seconds=seconds, peak_mib=usage.ru_maxrss / 1024)


def usual(rows: pd.DataFrame, root: Path, epochs: int) -> list[dict[str, float]]:
    """A line for each epoch of the usual way, and a last one with its peak memory."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for path, label, split in rows[["path", "label", "split"]].itertuples(index=False):
            writer.writerow([root / path, label, split])
        file.flush()
        script = Path(__file__).with_name("usual_training.py")
        answer = subprocess.run(
            [sys.executable, script, file.name, "--epochs", str(epochs)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    return [json.loads(line) for line in answer.stdout.splitlines()]


def fine_tuning_rates(run: Run, installation: Settings) -> tuple[float, float]:
    """Images a second of the same step, fed by our pipeline and from a constant batch.

    Both take turns in one process; medians over the rounds.
    """
    import tensorflow as tf

    from pneumo.training import classifier as classifiers
    from pneumo.training import optimization
    from pneumo.training.feeds import PictureFeed
    from pneumo.training.pipeline import read_pictures, split_into
    from pneumo.training.trainer import TOGETHER

    recipe = run.recipe
    pictures, _ = read_pictures(
        run.images(), recipe=recipe, settings=installation, progress=lambda done, total: None
    )
    splits = pictures["train"]
    feed = PictureFeed(recipe, splits, pictures["validation"])
    classifier = classifiers.build(recipe, settings=installation)
    classifier.unfreeze(recipe.phases[-1].unfrozen)
    model = classifier.trained
    optimizer = optimization.optimizer(recipe, loss_scaling=False)
    optimizer.build(model.trainable_variables)
    step = optimization.compile_step(
        model,
        optimizer,
        tf.distribute.get_strategy(),
        batch_size=recipe.batch_size,
        together=TOGETHER,
    )
    targets = optimization.targets(splits.classes, recipe)
    weights = np.ones(recipe.batch_size, np.float32)
    batches = split_into(np.arange(STEPS * recipe.batch_size), recipe.batch_size)
    constant = splits.pixels[batches[0]][..., np.newaxis]
    float(step(constant, targets[batches[0]], weights)[0])  # compiles

    rates: dict[str, list[float]] = {"fed": [], "constant": []}
    for number in range(ROUNDS):
        begin = time.perf_counter()
        for rows, inputs in zip(batches, feed.training(batches, number), strict=True):
            float(step(inputs, targets[rows], weights)[0])
        rates["fed"].append(STEPS * recipe.batch_size / (time.perf_counter() - begin))
        begin = time.perf_counter()
        for rows in batches:
            float(step(constant, targets[rows], weights)[0])
        rates["constant"].append(STEPS * recipe.batch_size / (time.perf_counter() - begin))
    return float(np.median(rates["fed"])), float(np.median(rates["constant"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--usual-epochs", type=int, default=2, help="measured, of 20")
    options = parser.parse_args()
    installation = settings.load()
    dataset = sources.locate(Source(kind="folder", folder=options.data.resolve()), installation)
    rows = launcher.split(catalog.build(dataset.root), QUICK)
    print(f"{len(rows):,} images: {rows['split'].value_counts().to_dict()}\n")

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        quick = train(new_run(QUICK, dataset, rows, home / "quick"), home / "quick")
        print(f"quick, whole process         {quick.seconds:8.1f} s   ", end="")
        print(f"validation AUC {quick.validation_auc:.4f}   peak {quick.peak_mib:.0f} MiB")

        recipe = SEED.changed(epochs=options.usual_epochs)
        seed = train(new_run(recipe, dataset, rows, home / "seed"), home / "seed")
        our_epoch = float(np.mean([row["seconds"] for row in seed.run.epochs()]))
        print(f"seed, ours, an epoch         {our_epoch:8.1f} s   ", end="")
        print(f"validation AUC {seed.validation_auc:.4f}   peak {seed.peak_mib:.0f} MiB")

        *epochs, last = usual(rows, dataset.root, options.usual_epochs)
        usual_epoch = float(np.mean([row["seconds"] for row in epochs]))
        usual_auc = epochs[-1]["validation_auc"]
        print(f"seed, the usual way, an epoch{usual_epoch:8.1f} s   ", end="")
        print(f"validation AUC {usual_auc:.4f}   peak {last['peak_mib']:.0f} MiB")

        tuning = BEST.changed(phases=BEST.phases[-1:], epochs=1, weight_averaging=0.0)
        tuned = train(new_run(tuning, dataset, rows, home / "quick"), home / "quick")
        (epoch,) = tuned.run.epochs()
        print(f"fine-tuning, an epoch        {epoch['seconds']:8.1f} s   ", end="")
        print(f"{epoch['images_per_second']:.1f} images/s   peak {tuned.peak_mib:.0f} MiB")
        fed, constant = fine_tuning_rates(tuned.run, replace(installation, home=home / "quick"))

    extrapolated = USUAL_EPOCHS * usual_epoch
    print(
        f"\n(a) quick: 1/{extrapolated / quick.seconds:.1f} of the usual way's {USUAL_EPOCHS} ",
        end="",
    )
    print(f"epochs ({extrapolated:.0f} s, from {options.usual_epochs} measured)")
    print(f"(b) seed: {usual_epoch / our_epoch:.2f} times as fast an epoch")
    print(
        f"(c) fine-tuning: {fed:.1f} images/s fed, {constant:.1f} from a constant batch: ", end=""
    )
    print(f"{fed / constant:.1%}")
    peak = max(it.peak_mib for it in (quick, seed, tuned))
    print(f"(d) peak memory: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
