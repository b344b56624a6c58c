"""What the weights that a training starts from have learned before."""

from collections.abc import Iterator

import numpy as np

from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle, BundleError
from pneumo.inference.cases import Cases, are_same, fingerprints
from pneumo.settings import Settings
from pneumo.training.pipeline import Pictures
from pneumo.training.recipe import EARLIER_RUN
from pneumo.training.runs import TrainingData


def ancestors(start: str, settings: Settings) -> Iterator[Bundle]:
    """The model that a training starts from, the one that this has started from, and so on.

    Args:
        start: "shipped" or "run:NAME"; other weights have no ancestors.
        settings: where the shipped model and earlier runs are.
    """
    known = set()
    while start == "shipped" or start.startswith(EARLIER_RUN):
        name = bundle.DEFAULT_MODEL if start == "shipped" else start.removeprefix(EARLIER_RUN)
        try:
            model = bundle.find(settings, name)
        except BundleError:  # it has been deleted since
            return
        if model.digest in known:  # a copy has taken the place of what it started from
            return
        known.add(model.digest)
        yield model
        start = model.card.recipe["start"]


def share_seen(
    validation: Pictures, data: TrainingData, *, start: str, settings: Settings
) -> float:
    """Share of the validation films that the starting weights are known to have learned from.

    A model of the same films in the same split has learned from none of them. What others have
    learned from are the films that their bundles keep as cases: of many trainings all of them, of
    quick ones some hundred.

    Args:
        validation: pictures of the patients set apart.
        data: the run's.
        start: which weights, as `Classifier.started_from` has it.
        settings: where the shipped model and earlier runs are.
    """
    seen = np.zeros(len(validation), dtype=bool)
    for model in ancestors(start, settings):
        if model.cases is None or model.card.data["fingerprint"] == data.fingerprint:
            continue
        known = Cases.load(model.cases).fingerprints
        films = fingerprints(validation.pixels[row] for row in range(len(validation)))
        seen |= [bool(are_same(known, film).any()) for film in films]
    return float(seen.mean())
