"""Do methods of explaining agree, and does a verdict hold? On validation patients, in one run.

    python -m benchmarks.stability --data DIR [--model NAME] [--films N]

DIR holds the Kaggle set, or a set in its layout; of it, only validation patients are looked at.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.explanations import print_table
from pneumo import settings
from pneumo.datasets import catalog, sources
from pneumo.datasets.sources import Source
from pneumo.evaluation.explanations import mean_overlap, overlap
from pneumo.evaluation.metrics import roc_auc
from pneumo.evaluation.operating_point import BALANCED
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle
from pneumo.inference.heat_maps import METHODS, OCCLUSION, Method, heat_maps
from pneumo.inference.predictor import Predictor, Verdict
from pneumo.inference.scoring import model_inputs, rows_of_split
from pneumo.inference.stability import Stability, vary


def read_films(options: argparse.Namespace, model: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """What the model is given of all validation patients, and the truth."""
    installation = settings.load()
    dataset = sources.locate(Source(kind="folder", folder=options.data.absolute()), installation)
    images = catalog.build(dataset.root, cache=installation.found_of(dataset.root))
    rows = rows_of_split(images, "validation", model.card)
    return model_inputs(
        rows, dataset.root, size=model.card.image_size, limits=installation.image_limits
    )


def draw(is_pneumonia: np.ndarray, films: int) -> np.ndarray:
    """Places of so many films, half of them of each class, at random."""
    random = np.random.default_rng(0)
    of_class = (np.flatnonzero(is_pneumonia == label) for label in (False, True))
    return np.concatenate([random.choice(it, films // 2, replace=False) for it in of_class])


def check_agreement(predictor: Predictor, pictures: np.ndarray, verdicts: list[Verdict]) -> None:
    """How far methods agree: with one another, with those of another film, with themselves."""

    def explain(pictures: np.ndarray) -> list[dict[Method, np.ndarray]]:
        return [
            {method: heat_maps(predictor, picture, method)[verdict] for method in METHODS}
            for picture, verdict in zip(pictures, verdicts, strict=True)
        ]

    own, mirrored = explain(pictures), explain(pictures[:, :, ::-1])
    random, called = np.random.default_rng(0), np.array(verdicts)
    others = [
        own[random.choice(np.setdiff1d(np.flatnonzero(called == verdict), number))]
        for number, verdict in enumerate(verdicts)
    ]
    overlaps = {"all pairs": [mean_overlap(list(maps.values())) for maps in own]}
    for one, two in itertools.combinations(METHODS, 2):
        overlaps[f"{one}, {two}"] = [overlap(maps[one], maps[two]) for maps in own]
    for title, second, back in (("another film", others, 1), ("mirrored", mirrored, -1)):
        for method in METHODS:
            overlaps[f"{method}, {title}"] = [
                overlap(maps[method], other[method][:, ::back])
                for maps, other in zip(own, second, strict=True)
            ]
    for method in METHODS[:-1]:
        overlaps[f"{method}, {OCCLUSION} of another film"] = [
            overlap(maps[method], other[OCCLUSION]) for maps, other in zip(own, others, strict=True)
        ]
    table = pd.DataFrame(overlaps)
    columns = {
        "mean": table.mean(),
        "10th": table.quantile(0.1),
        "median": table.median(),
        "90th": table.quantile(0.9),
        "PNEUMONIA": table[called == "PNEUMONIA"].mean(),
        "NORMAL": table[called == "NORMAL"].mean(),
    }
    print_table(
        "Overlap of the hottest fifths",
        pd.DataFrame(columns).rename_axis("maps").reset_index(),
        note=f"Of the maps of the verdict, {len(verdicts)} films; 0.11 by chance. Another film: "
        "with the same verdict. Mirrored: the map of the mirrored film, mirrored back.",
    )


def check_stability(
    judged: list[Stability], is_pneumonia: np.ndarray, band: tuple[float, float]
) -> None:
    """How far probabilities move, whether verdicts hold, and whether it tells mistakes."""
    table = pd.DataFrame(
        {
            "is PNEUMONIA": is_pneumonia,
            "probability": [it.probability for it in judged],
            "spread": [it.spread for it in judged],
            "holds": [not it.turned for it in judged],
        }
    )
    distance = table["probability"] - judged[0].threshold
    table["wrong"] = (distance >= 0) != table["is PNEUMONIA"]
    table["nearness"] = -distance.abs()
    table["unsure"] = table["probability"].between(*band, inclusive="neither")
    sure = table[~table["unsure"]]
    groups = {
        "all": table,
        "PNEUMONIA": table[table["is PNEUMONIA"]],
        "NORMAL": table[~table["is PNEUMONIA"]],
        "right": table[~table["wrong"]],
        "wrong": table[table["wrong"]],
        "sure": sure,
        "unsure": table[table["unsure"]],
    }
    print_table(
        "Spread of the probability over the variations, verdicts that hold in all",
        pd.DataFrame(
            {
                "films": name,
                "number": len(rows),
                "median": rows["spread"].median(),
                "90th": rows["spread"].quantile(0.9),
                "holds": rows["holds"].mean(),
            }
            for name, rows in groups.items()
        ),
    )
    mistakes = table.groupby(["unsure", "holds"])["wrong"].agg(["size", "sum", "mean"])
    print_table("Mistakes", mistakes.reset_index())
    print_table(
        "Telling mistakes: AUC of the spread, and of nearness to the threshold",
        pd.DataFrame(
            {
                "films": name,
                "mistakes": rows["wrong"].sum(),
                "spread": roc_auc(rows["wrong"].to_numpy(), rows["spread"].to_numpy()),
                "nearness": roc_auc(rows["wrong"].to_numpy(), rows["nearness"].to_numpy()),
            }
            for name, rows in (("all", table), ("sure", sure))
        ),
    )
    print_table(
        "By variation",
        pd.DataFrame(
            {
                "variation": name,
                "mean move": np.mean([it.varied[name] - it.probability for it in judged]),
                "mean distance": np.mean([abs(it.varied[name] - it.probability) for it in judged]),
                "verdicts turned": np.mean([name in it.turned for it in judged]),
            }
            for name in judged[0].varied
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default=bundle.DEFAULT_MODEL, metavar="NAME")
    parser.add_argument(
        "--films",
        type=int,
        default=50,
        metavar="N",
        help="whose heat maps are compared, half of each class; default: %(default)s",
    )
    options = parser.parse_args()
    model = bundle.find(settings.load(), options.model)
    predictor, point = Predictor(model), model.card.operating_points[BALANCED]
    pictures, is_pneumonia = read_films(options, model)
    print(f"{model.card.name}, {len(pictures)} validation films", flush=True)
    judged = [
        Stability(
            probability=probability,
            varied=vary(predictor, picture),
            threshold=point.threshold,
            band=point.band,
        )
        for picture, probability in zip(
            pictures, predictor.probabilities(pictures).tolist(), strict=True
        )
    ]
    check_stability(judged, is_pneumonia, point.band)
    drawn = draw(is_pneumonia, options.films)
    verdicts: list[Verdict] = [
        "PNEUMONIA" if judged[it].probability >= point.threshold else "NORMAL" for it in drawn
    ]
    check_agreement(predictor, pictures[drawn], verdicts)


if __name__ == "__main__":
    main()
