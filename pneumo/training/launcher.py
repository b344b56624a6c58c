"""From a data set and a recipe to a run in the queue."""

import dataclasses
import hashlib

import pandas as pd

from pneumo.datasets.sources import Dataset
from pneumo.datasets.splits import carve_validation
from pneumo.settings import Settings
from pneumo.training import queue, runs
from pneumo.training.recipe import InvalidRecipe, Recipe
from pneumo.training.runs import Run, TrainingData, TrainingImage
from pneumo.training.tracking import Tracking, check


def start(
    settings: Settings,
    *,
    recipe: Recipe,
    dataset: Dataset,
    catalog: pd.DataFrame,
    tracking: Tracking | None = None,
) -> Run:
    """Carve out the validation patients, make the run's folder, and queue it.

    Args:
        tracking: which other tools are told of the steps and epochs; by default MLflow where
            MLFLOW_TRACKING_URI is set.

    Raises:
        TrackerMissing: such a tool is not installed.
        InvalidRecipe: the data set has not the classes that the recipe asks for.
        ValueError: the data set has no usable `train` split.
    """
    tracking = tracking or Tracking.requested(tensorboard=False)
    check(tracking)
    run = create(settings, recipe=recipe, dataset=dataset, rows=split(catalog, recipe))
    tracking.save(run.folder)
    queue.append(run, settings)
    return run


def create(settings: Settings, *, recipe: Recipe, dataset: Dataset, rows: pd.DataFrame) -> Run:
    """Make the folder of a run.

    Args:
        rows: of the catalogue, as `split` returns them.
    """
    columns = [field.name for field in dataclasses.fields(TrainingImage)]
    return runs.create(
        settings,
        recipe=recipe,
        data=describe(dataset, rows),
        images=(
            TrainingImage(
                **{**dict(zip(columns, values, strict=True)), "path": str(dataset.root / values[0])}
            )
            for values in rows[columns].itertuples(index=False, name=None)
        ),
    )


def split(catalog: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows that a recipe trains on and validates with, "train" and "validation".

    Raises:
        InvalidRecipe: the data set has not the classes that the recipe asks for.
        ValueError: the data set has no usable `train` split.
    """
    rows = carve_validation(catalog, share=recipe.validation_share, seed=recipe.seed)
    rows = rows[rows["split"].isin(["train", "validation"])]
    if recipe.classes == 3:
        for name, part in rows.groupby("split"):
            found = part["subtype"].value_counts().to_dict()
            if set(found) != {"normal", "bacterial", "viral"}:
                raise InvalidRecipe(
                    "`classes=3` needs normal, bacterial and viral films, and no pneumonia of "
                    f"unknown cause. Received: {found} in `{name}`. Train with `classes=2`."
                )
    return rows


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
        resplit=rows.attrs.get("resplit", ""),
    )
