"""Candidates for the shipped model side by side: validation patients, plain and under nuisances.

    python -m benchmarks.candidates --data DIR [--mirrored] MODEL …

MODEL is a shipped model, a finished run, a bundle's folder, or several of these joined by `+`: an
ensemble that answers with the mean of their log odds. With `--mirrored` each answers with the mean
of a film and its mirror image. The test split is never looked at: whoever chooses by this table has
no need to know it.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from pneumo import settings
from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Source
from pneumo.evaluation.calibration import binary_cross_entropy
from pneumo.evaluation.stress import FRAME_SWAPPED, LUNGS_BLACKED_OUT, stress
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import model_inputs, rows_of_split


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What validation says of a model; every figure an AUC but the loss.

    Attributes:
        loss: cross-entropy of the calibrated probabilities, in nats.
        nuisances: mean over the nuisances that leave the whole film in its place.
        worst: of those.
        frame_swapped: each film in the frame of one of the other class.
        lungs_blacked_out: with nothing left to read but the frame.
    """

    name: str
    plain: float
    loss: float
    nuisances: float
    worst: float
    frame_swapped: float
    lungs_blacked_out: float


def measure(names: list[str], data: Path, *, mirrored: bool) -> Candidate:
    """A model, or several together, on the validation patients that the first one's recipe set
    apart.
    """
    installation = settings.load()
    dataset = sources.locate(Source(kind="folder", folder=data.resolve()), installation)
    predictors = [Predictor(bundle.find(installation, name)) for name in names]
    cards = [it.bundle.card for it in predictors]
    images = catalog.build(dataset.root, cache=installation.found_of(dataset.root))
    rows = rows_of_split(images, "validation", cards[0])
    pictures, is_pneumonia = model_inputs(
        rows, dataset.root, size=cards[0].image_size, limits=installation.image_limits
    )

    def probabilities(shown: np.ndarray) -> np.ndarray:
        views = (shown, shown[:, :, ::-1]) if mirrored else (shown,)
        log_odds = [logit(it.probabilities(view)) for it in predictors for view in views]
        return np.asarray(expit(np.mean(log_odds, axis=0)))

    under = {
        figure.nuisance: float(figure.roc_auc or np.nan)
        for figure in stress(pictures, is_pneumonia, probabilities, threshold=0.5)
    }
    plain, frame_swapped, blacked_out = map(under.pop, ("none", FRAME_SWAPPED, LUNGS_BLACKED_OUT))
    return Candidate(
        name=" + ".join(card.recipe["name"] for card in cards) + ", mirrored" * mirrored,
        plain=plain,
        loss=binary_cross_entropy(is_pneumonia, probabilities(pictures)),
        nuisances=float(np.mean(list(under.values()))),
        worst=min(under.values()),
        frame_swapped=frame_swapped,
        lungs_blacked_out=blacked_out,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--mirrored", action="store_true")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    options = parser.parse_args()
    print("| Candidate | AUC | Loss | Under nuisances | Worst | Frame swapped | No lungs |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in options.models:
        found = measure(name.split("+"), options.data, mirrored=options.mirrored)
        print(
            f"| {found.name} | {found.plain:.4f} | {found.loss:.3f} | {found.nuisances:.4f} "
            f"| {found.worst:.3f} | {found.frame_swapped:.3f} | {found.lungs_blacked_out:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
