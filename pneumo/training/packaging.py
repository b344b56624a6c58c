"""A trained classifier as a model bundle: files, checks, calibration, card."""

import datetime
import importlib.metadata
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from pneumo import export
from pneumo.datasets.catalog import in_layout
from pneumo.evaluation import calibration, operating_point
from pneumo.evaluation.metrics import measure, measure_causes
from pneumo.inference import bundle
from pneumo.inference.card import Measurement, ModelCard
from pneumo.inference.cases import Cases, TrainingFilm, fingerprints
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import Settings, write_text
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier
from pneumo.training.features import CHUNK
from pneumo.training.picture_cache import CORES, MappedPictures
from pneumo.training.pipeline import Pictures
from pneumo.training.recipe import PRESETS, Recipe
from pneumo.training.runs import Run, TrainingImage, ValidationAnswer, write_rows
from pneumo.training.scope import FILMS, features_of, fit_gate, some_rows

LARGEST_LOGIT_DIFFERENCE = 0.01
"""What conversion to LiteRT may change in a logit: less than any figure we show."""

STEPS = 5
"""Of writing a bundle, as they are announced."""

MOST_CASES = 8192
"""Training films that a bundle keeps, at most, to look for the nearest."""


def write_bundle(
    run: Run,
    classifier: Classifier,
    training: Pictures,
    validation: Pictures,
    *,
    validation_values: np.ndarray,
    validation_seen: float,
    even_logit: float,
    epochs: int,
    kept_epoch: int,
    seconds: float,
    settings: Settings,
    announce: Callable[[str, int], None],
) -> None:
    """Write every file of a run's bundle, check the LiteRT model, calibrate on validation.

    The bundle appears whole or not at all, in the place of one that an earlier stop has left.
    Among its cases are the names of training films' files: whose names tell patients should
    rename them before the training, or share no bundle.

    Args:
        run: its recipe and data go into the card.
        classifier: trained.
        training: pictures that it was trained on, for the gate and the cases.
        validation: pictures of the patients set apart.
        validation_values: what the head gives for those pictures, shape (images, 1 or 3).
        validation_seen: share of them that the starting weights are known to have learned from.
        even_logit: the logit at which both classes are equally likely.
        epochs: completed.
        kept_epoch: the epoch whose weights the classifier has, from 1.
        seconds: that the training took.
        settings: of this installation.
        announce: called with each step, for people, and its number of `STEPS`; again and again
            where one takes long.

    Raises:
        ParityError: the LiteRT model answers differently.
    """
    recipe = run.recipe.changed(start=classifier.started_from)
    folder = run.folder / ".bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    announce("converting it", 1)
    network = classifiers.in_full_precision(classifier, recipe, settings)
    network.save(folder / bundle.KERAS)
    export.to_litert(network, folder / bundle.LITERT)
    announce("checking its answers", 2)
    sample = validation.pixels[:16]
    difference = export.largest_logit_difference(network, folder / bundle.LITERT, sample)
    if difference > LARGEST_LOGIT_DIFFERENCE:
        raise export.ParityError(
            f"The LiteRT model must agree with the network within {LARGEST_LOGIT_DIFFERENCE} in "
            f"the logit. Received: a difference of {difference:.4f}"
        )
    write_text(folder / bundle.RECIPE, run.recipe.to_json())
    classifiers.numpy_head(classifier.head, recipe.head).save(folder / bundle.HEAD)
    describing = partial(announce, "describing training films", 3)
    describing()
    interpreters = InterpreterPool(folder / bundle.LITERT, workers=CORES, batch=CHUNK)
    rows = some_rows(len(training), _cases_of(recipe), seed=recipe.seed)
    films = training.pixels if len(rows) == len(training) else training.pixels[rows]
    features = features_of(interpreters, films, heartbeat=describing)
    fit_cases([training.images[row] for row in rows], films, features).save(folder / bundle.CASES)
    announce("fitting the gate", 4)
    gate, flagged = fit_gate(interpreters, films, features, validation.pixels, seed=recipe.seed)
    gate.save(folder / bundle.GATE)

    announce("measuring it", 5)
    truth, logits = validation.is_pneumonia, classifiers.pneumonia_logits(validation_values)
    calibrated = calibration.fit(truth, logits, offset=even_logit)
    probabilities = calibrated.probability(logits)
    points = operating_point.every_point(truth, probabilities)
    threshold = points[operating_point.BALANCED].threshold
    data = run.data
    card = ModelCard(
        name=run.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        recipe=asdict(recipe),
        data=asdict(data),
        image_size=recipe.image_size,
        calibration=calibrated,
        operating_points=points,
        measurements=(
            Measurement(
                data=data.name,
                split="validation",
                metrics=measure(truth, probabilities, threshold=threshold),
                causes=measure_causes(validation.classes, validation_values.argmax(axis=1))
                if recipe.classes == 3
                else None,
            ),
        ),
        training_command=_training_command(run.recipe),
        training_seconds=seconds,
        epochs=epochs,
        kept_epoch=kept_epoch,
        versions={
            name: importlib.metadata.version(name)
            for name in ("tensorflow", "keras", "ai-edge-litert", "numpy")
        },
        validation_flagged=flagged,
        validation_seen=validation_seen,
        files={name: bundle.sha256(folder / name) for name in bundle.HASHED},
    )
    bundle.write_card(folder, card)
    answers = zip(validation.images, logits.tolist(), probabilities.tolist(), strict=True)
    write_rows(
        run.folder / "validation.csv",
        ValidationAnswer,
        (
            ValidationAnswer(
                path=image.path,
                digest=image.digest,
                label=image.label,
                logit=logit,
                probability=probability,
            )
            for image, logit, probability in answers
        ),
    )
    shutil.rmtree(run.bundle, ignore_errors=True)
    folder.replace(run.bundle)


def fit_cases(
    images: Sequence[TrainingImage], pictures: MappedPictures | np.ndarray, features: np.ndarray
) -> Cases:
    """The films of a training, to look for the nearest.

    Args:
        images: of the training patients.
        pictures: of those, unaltered, uint8, shape (images, size, size).
        features: what the model makes of them, see `scope.features_of`.
    """
    root = Path(os.path.commonpath([Path(image.path).parent for image in images]))

    def place(path: Path) -> str:
        """Within the data set, which may lie elsewhere tomorrow."""
        inside = PurePosixPath(*path.parts[-3:])
        return str(inside) if in_layout(inside) else path.relative_to(root).as_posix()

    films = [
        TrainingFilm(path=place(Path(image.path)), label=image.label, subtype=image.subtype)
        for image in images
    ]
    return Cases.fit(films, features, fingerprints(pictures[row] for row in range(len(films))))


def _cases_of(recipe: Recipe) -> int:
    """How many films to describe: as few as the gate needs where training takes mere seconds."""
    quick = recipe.cached_views > 0 and not any(phase.unfrozen for phase in recipe.phases)
    return FILMS if quick else MOST_CASES


def _training_command(recipe: Recipe) -> str:
    """What to type to train by this recipe; what no option says is in the bundle's recipe file."""
    for name, preset in PRESETS.items():
        changes = {
            option: value
            for option, value in recipe.options().items()
            if value != preset.options()[option]
        }
        if preset.changed(**changes) == recipe:
            options = [
                f" --{option.replace('_', '-')} {shlex.quote(str(value))}"
                for option, value in changes.items()
            ]
            return f"python -m pneumo train --data DIR --recipe {name}{''.join(options)}"
    return f"python -m pneumo train --data DIR --recipe {bundle.RECIPE}"
