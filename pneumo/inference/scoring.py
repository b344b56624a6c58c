"""What a model is worth: its figures on a split, and under nuisances."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo import radiograph
from pneumo.datasets.splits import carve_validation
from pneumo.evaluation import stress
from pneumo.evaluation.metrics import CLASSES, CauseMetrics, Metrics, measure, measure_causes
from pneumo.evaluation.operating_point import BALANCED
from pneumo.evaluation.stress import StressFigure
from pneumo.inference import batch
from pneumo.inference.batch import Answer
from pneumo.inference.bundle import Bundle
from pneumo.inference.card import ModelCard
from pneumo.inference.cases import Cases, are_same, fingerprints
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import ImageLimits

_LOOKED_AT = 20
"""Films of the same name, of which the pictures tell whether they are the same films."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model's answers on a split.

    Attributes:
        predictions: one row an image: path, label, subtype, patient, digest, logit, probability,
            verdict.
        causes: where the model tells causes apart and the images' causes are known.
        unreadable: files left out, with their reasons.
    """

    metrics: Metrics
    predictions: pd.DataFrame
    causes: CauseMetrics | None
    unreadable: tuple[Answer, ...]


def rows_of_split(catalog: pd.DataFrame, split: str, card: ModelCard) -> pd.DataFrame:
    """The rows of one split of a data set.

    "validation" is carved out of `train` as it was for this model, so that its training has
    learned from none of its films when the data set is the same. Its starting weights may have:
    see `ModelCard.validation_seen`.

    Raises:
        ValueError: the data set has no such split.
    """
    if split == "validation":
        share, seed = card.recipe["validation_share"], card.recipe["seed"]
        catalog = carve_validation(catalog, share=share, seed=seed)
    rows = catalog[catalog["split"] == split]
    if rows.empty:
        known = ", ".join([*catalog["split"].unique(), "validation"])
        raise ValueError(f"`split` must be one of the data set's: {known}. Received: {split!r}")
    return rows


def require_unseen(images: pd.DataFrame, root: Path, model: Bundle, *, limits: ImageLimits) -> None:
    """Refuse films that a model has learned from, as where the data set has been split anew.

    Known are the training films that its bundle keeps as cases: of many trainings all of them, of
    quick ones some hundred.

    Args:
        images: rows of a catalog that the model is to be measured on.
        root: the folder that their paths are relative to.

    Raises:
        ValueError: it has learned from some of them.
    """
    if model.cases is None:
        return
    known = Cases.load(model.cases)
    place = {film.path: row for row, film in enumerate(known.films)}
    shared = [path for path in images["path"] if path in place]
    size = model.card.image_size
    for path in shared[:_LOOKED_AT]:
        try:
            film = radiograph.read_file(root / path, limits=limits, model_size=size)
        except (UnreadableRadiograph, OSError):
            continue
        (found,) = fingerprints([radiograph.to_model_input(film, size=size)])
        if are_same(known.fingerprints[[place[path]]], found)[0]:
            raise ValueError(
                "A model must be measured on films that it has not learned from. Received: "
                f"{len(images):,} films, of which {model.card.name} has learned from "
                f"{len(shared):,} at least: it was trained on another split of them. Go back to "
                "the split that it was trained on, or measure a model trained on this one."
            )


def evaluate(
    predictor: Predictor,
    images: pd.DataFrame,
    root: Path,
    *,
    limits: ImageLimits,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """A model's answers on catalogued images, and their figures.

    Args:
        images: rows of a catalog.
        root: the folder that their paths are relative to.
        progress: called with the images done and their number.

    Raises:
        ValueError: not a single image can be read.
    """
    logits, probabilities, readable, unreadable = [], [], [], []
    called = []
    questions = (batch.about_file(root / path, limits=limits) for path in images["path"])
    answers = batch.answers(predictor, questions, limits=limits)
    for done, answer in enumerate(answers, start=1):
        readable.append(answer.prediction is not None)
        if answer.prediction is None:
            unreadable.append(answer)
        else:
            logits.append(answer.prediction.logit)
            probabilities.append(answer.prediction.probability)
            called.append(_called_class(answer.prediction))
        if progress is not None:
            progress(done, len(images))
    threshold = predictor.bundle.card.operating_points[BALANCED].threshold
    table = images.loc[
        np.array(readable, dtype=bool), ["path", "label", "subtype", "patient", "digest"]
    ]
    table = table.assign(logit=logits, probability=probabilities)
    table["verdict"] = np.where(table["probability"] >= threshold, "PNEUMONIA", "NORMAL")
    metrics = measure(
        (table["label"] == "PNEUMONIA").to_numpy(),
        table["probability"].to_numpy(),
        threshold=threshold,
    )
    known = table["subtype"].isin(CLASSES).all()
    return Evaluation(
        metrics=metrics,
        predictions=table,
        causes=measure_causes(
            table["subtype"].map(CLASSES.index).to_numpy(), np.array(called, dtype=int)
        )
        if known and predictor.bundle.card.recipe["classes"] == 3
        else None,
        unreadable=tuple(unreadable),
    )


def model_inputs(
    images: pd.DataFrame, root: Path, *, size: int, limits: ImageLimits
) -> tuple[np.ndarray, np.ndarray]:
    """What a model is given of catalogued images; those that cannot be read are left out.

    Args:
        images: rows of a catalog.
        root: the folder that their paths are relative to.
        size: of the model's input, in pixels.

    Returns: pictures, uint8, shape (images, size, size), and whether they are PNEUMONIA, bool,
        shape (images,).

    Raises:
        ValueError: not a single image can be read.
    """
    pictures, is_pneumonia = [], []
    for path, label in zip(images["path"], images["label"], strict=True):
        try:
            film = radiograph.read_file(root / path, limits=limits, model_size=size)
        except (UnreadableRadiograph, OSError):
            continue
        pictures.append(radiograph.to_model_input(film, size=size))
        is_pneumonia.append(label == "PNEUMONIA")
    if not pictures:
        raise ValueError(f"`images` must hold a readable image. Received: {len(images)}, none is")
    return np.stack(pictures), np.array(is_pneumonia)


def stress_test(
    predictor: Predictor,
    pictures: np.ndarray,
    is_pneumonia: np.ndarray,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[StressFigure]:
    """A model's answers on the same images under every nuisance of `evaluation.stress`.

    Args:
        pictures, is_pneumonia: as `model_inputs` gives them.
        progress: called with the passes over the images that are done, and their number.
    """
    passes = 0

    def answer(changed: np.ndarray) -> np.ndarray:
        nonlocal passes
        probabilities = predictor.probabilities(changed)
        passes += 1
        if progress is not None:
            progress(passes, len(stress.NUISANCES) + 1)
        return probabilities

    return stress.stress(
        pictures,
        is_pneumonia,
        answer,
        threshold=predictor.bundle.card.operating_points[BALANCED].threshold,
    )


def _called_class(prediction: Prediction) -> int:
    """The likeliest of `CLASSES`, before calibration."""
    pneumonia = 1 / (1 + np.exp(-prediction.logit))
    causes = [pneumonia * share for share in prediction.cause.values()]
    return int(np.argmax([1 - pneumonia, *causes]))
