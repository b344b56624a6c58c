"""Start a training in a process of its own, which survives whoever started it."""

import hashlib

import pandas as pd

from pneumo import background
from pneumo.datasets.sources import Dataset
from pneumo.datasets.splits import carve_validation
from pneumo.settings import Settings
from pneumo.training import runs
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run, TrainingData, TrainingImage


class TrainingUnderWay(RuntimeError):
    """Another training is running; two would starve each other."""


def start(settings: Settings, *, recipe: Recipe, dataset: Dataset, catalog: pd.DataFrame) -> Run:
    """Carve out the validation patients, make the run's folder, and launch its process.

    Raises:
        TrainingUnderWay: one training at a time.
        ValueError: the data set has no usable `train` split.
    """
    active = runs.active_run(settings)
    if active is not None:
        raise TrainingUnderWay(
            f"One training at a time: {active.name} is under way. Wait for it, or stop it with "
            f"`python -m pneumo runs stop {active.name}`."
        )
    rows = carve_validation(catalog, share=recipe.validation_share, seed=recipe.seed)
    rows = rows[rows["split"].isin(["train", "validation"])]
    run = runs.create(
        settings,
        recipe=recipe,
        data=describe(dataset, rows),
        images=[
            TrainingImage(path=str(dataset.root / path), label=label, patient=patient, split=split)
            for path, label, patient, split in zip(
                rows["path"], rows["label"], rows["patient"], rows["split"], strict=True
            )
        ],
    )
    launch(run, settings)
    return run


def launch(run: Run, settings: Settings) -> None:
    """Start the process of a run and note who it is."""
    process = background.start(
        "pneumo.training.fit",
        run.folder,
        log=run.folder / "log.txt",
        environment={"PNEUMO_HOME": str(settings.home), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    process.save(run.folder / "process.json")


def describe(dataset: Dataset, rows: pd.DataFrame) -> TrainingData:
    """What a model card says of these catalog rows."""
    ordered = rows.sort_values(["split", "label", "path"])
    lines = ordered["split"] + " " + ordered["label"] + " " + ordered["digest"]
    fingerprint = hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
    counts = {
        str(split): {
            str(label): int(count) for label, count in group["label"].value_counts().items()
        }
        for split, group in rows.groupby("split")
    }
    return TrainingData(
        name=dataset.name,
        synthetic=dataset.synthetic,
        population=dataset.provenance.population,
        credit=dataset.provenance.credit,
        fingerprint=fingerprint,
        counts=counts,
    )
