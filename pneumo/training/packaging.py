"""A trained classifier as a model bundle: files, checks, calibration, card."""

import datetime
import importlib.metadata
import shlex
import shutil
from dataclasses import asdict

import numpy as np

from pneumo import export
from pneumo.evaluation import calibration, operating_point
from pneumo.evaluation.metrics import measure
from pneumo.inference import bundle
from pneumo.inference.card import Measurement, ModelCard
from pneumo.settings import write_text
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier
from pneumo.training.pipeline import Pictures
from pneumo.training.recipe import OPTIONS, PRESETS, Recipe
from pneumo.training.runs import Run

LARGEST_LOGIT_DIFFERENCE = 0.01
"""What conversion to LiteRT may change in a logit: less than any figure we show."""


def write_bundle(
    run: Run,
    classifier: Classifier,
    validation: Pictures,
    *,
    validation_logits: np.ndarray,
    even_logit: float,
    epochs: int,
    seconds: float,
) -> None:
    """Write every file of a run's bundle, check the LiteRT model, calibrate on validation.

    The bundle appears whole or not at all.

    Args:
        run: its recipe and data go into the card.
        classifier: trained.
        validation: pictures of the patients set apart.
        validation_logits: of those pictures, shape (images,).
        even_logit: the logit at which both classes are equally likely.
        epochs: completed.
        seconds: that the training took.

    Raises:
        ParityError: the LiteRT model answers differently.
    """
    recipe = run.recipe.changed(start=classifier.started_from)
    folder = run.folder / ".bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    network = classifier.network
    network.save(folder / bundle.KERAS)
    export.to_litert(network, folder / bundle.LITERT)
    sample = validation.pixels[:16]
    difference = export.largest_logit_difference(network, folder / bundle.LITERT, sample)
    if difference > LARGEST_LOGIT_DIFFERENCE:
        raise export.ParityError(
            f"The LiteRT model must agree with the network within {LARGEST_LOGIT_DIFFERENCE} in "
            f"the logit. Received: a difference of {difference:.4f}"
        )
    write_text(folder / bundle.RECIPE, run.recipe.to_json())
    classifiers.numpy_head(classifier.head, recipe.head).save(folder / bundle.HEAD)

    truth, logits = validation.is_pneumonia == 1, validation_logits
    calibrated = calibration.fit(truth, logits, offset=even_logit)
    probabilities = calibrated.probability(logits)
    balanced = operating_point.at(truth, probabilities, threshold=0.5)
    data = run.data
    card = ModelCard(
        name=run.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        recipe=asdict(recipe),
        data=asdict(data),
        image_size=recipe.image_size,
        calibration=calibrated,
        operating_points={"balanced": balanced},
        measurements=(
            Measurement(
                data=data.name,
                split="validation",
                metrics=measure(truth, probabilities, threshold=balanced.threshold),
            ),
        ),
        training_command=_training_command(run.recipe),
        training_seconds=seconds,
        epochs=epochs,
        versions={
            name: importlib.metadata.version(name)
            for name in ("tensorflow", "keras", "ai-edge-litert", "numpy")
        },
        files={
            name: bundle.sha256(folder / name)
            for name in (bundle.KERAS, bundle.LITERT, bundle.HEAD, bundle.RECIPE)
        },
    )
    bundle.write_card(folder, card)
    folder.replace(run.bundle)


def _training_command(recipe: Recipe) -> str:
    """What to type to train by this recipe; what no option says is in the bundle's recipe file."""
    for name, preset in PRESETS.items():
        changes = {option: getattr(recipe, option) for option in OPTIONS}
        if preset.changed(**changes) == recipe:
            options = [
                f" --{option.replace('_', '-')} {shlex.quote(str(value))}"
                for option, value in changes.items()
                if value != getattr(preset, option)
            ]
            return f"python -m pneumo train --data DIR --recipe {name}{''.join(options)}"
    return f"python -m pneumo train --data DIR --recipe {bundle.RECIPE}"
