"""Can the heat maps be trusted? Three checks of Grad-CAM, in one run.

    python -m benchmarks.explanations --data DIR [--model NAME] [--films N]

DIR holds the Kaggle set, or a set in its layout; of it, only validation patients are looked at.
The pointing game needs lesions whose place is known: a model is trained for it on phantoms, with
the command line, or named with `--phantom-model`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo import radiograph, settings
from pneumo.datasets import catalog, phantom, sample_set, sources
from pneumo.datasets.phantom import Phantom
from pneumo.datasets.sample_set import Counts, Film
from pneumo.datasets.sources import Source
from pneumo.evaluation.explanations import (
    agreement,
    enlarge,
    intersection_over_union,
    points_at,
    share_inside,
    widen,
)
from pneumo.evaluation.thorax import ThoraxAtlas
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle
from pneumo.inference.explanation import Head, grad_cam
from pneumo.inference.interpreter import InterpreterPool
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import rows_of_split
from pneumo.radiograph import Radiograph, to_model_input
from pneumo.settings import REPOSITORY
from pneumo.training import recipe
from pneumo.training.augmentation import recompress
from pneumo.training.recipe import QUICK, Phase, Recipe

SIDE = 224
RIM = 16
"""Half a cell of a map of 7 × 7, in pixels of 224: no heat can be placed more closely."""
TOLERANCE = 15
"""Of the pointing game, in pixels of 224, as in its paper."""

# Seeds of children who are in no two of these, nor in the sample set, whose seed is 0.
ATLAS, OUTLINED = 4_000_000, 5_000_000
TRAINED_ON, POINTED_AT = 1, 2

PHANTOMS = Counts(normal=200, pneumonia=300)
HELD_OUT = 200
PHANTOM_RECIPE = QUICK.changed(
    name="phantoms",
    batch_size=32,
    phases=(
        Phase(epochs=10),
        Phase(epochs=6, learning_rate=3e-4, unfrozen=1.0, schedule="cosine", warm_up=0.1),
    ),
)
"""Of what was tried the one whose peaks fell on the most lesions of its validation phantoms."""


def read_films(options: argparse.Namespace, model: Bundle) -> list[Radiograph]:
    """Films of validation patients, all or so many drawn at random."""
    installation = settings.load()
    dataset = sources.locate(Source(kind="folder", folder=options.data.absolute()), installation)
    images = catalog.build(dataset.root, cache=installation.found_of(dataset.root))
    rows = rows_of_split(images, "validation", model.card)
    if options.films is not None:
        rows = rows.sample(min(options.films, len(rows)), random_state=0)
    return [radiograph.read_file(dataset.root / path) for path in rows["path"]]


def as_film(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels=pixels, format="PNG", bit_depth=8)


def print_table(title: str, table: pd.DataFrame, *, note: str = "") -> None:
    print(f"\n## {title}\n")
    if note:
        print(f"{note}\n")
    print(table.to_string(index=False, float_format=lambda number: f"{number:.3f}"), flush=True)


# Inside the thorax ----------------------------------------------------------------------


def check_outlines(atlas: ThoraxAtlas, phantoms: int) -> None:
    """The estimated thorax of phantoms beside the true one."""
    overlaps = []
    for number in range(phantoms):
        taken = phantom.acquire(phantom.SUBTYPES[number % 3], seed=OUTLINED + number)
        overlaps.append(intersection_over_union(atlas.thorax(taken.pixels), taken.thorax))
    table = pd.DataFrame(
        [
            {
                "phantoms": phantoms,
                "mean": np.mean(overlaps),
                "median": np.median(overlaps),
                "lowest": np.min(overlaps),
            }
        ]
    )
    print_table("Outline of the thorax: intersection over union with the true one", table)


def check_heat(predictor: Predictor, films: list[Radiograph], atlas: ThoraxAtlas) -> None:
    """Where the heat lies on films: in the thorax, on its rim, elsewhere."""
    rows = []
    for film in films:
        prediction = predictor.predict(film)
        verdict = prediction.verdict
        thorax = atlas.thorax(to_model_input(film, size=SIDE))
        near = widen(thorax, by=RIM)
        regions = {"thorax": thorax, "rim": near & ~thorax, "elsewhere": ~near}
        of_verdict = enlarge(prediction.evidence_for(verdict), size=SIDE)
        maps = {
            "the verdict": of_verdict,
            "PNEUMONIA, any verdict": enlarge(prediction.heat_map, size=SIDE),
            f"the verdict, {verdict}": of_verdict,
        }
        for explained, heat in maps.items():
            for name, region in regions.items():
                rows.append(
                    {
                        "heat for": explained,
                        "region": name,
                        "area": region.mean(),
                        "heat": share_inside(heat, region),
                        "peak": float(points_at(heat, region, tolerance=0)),
                    }
                )
    # Films on which nothing speaks for a class have no heat to share out.
    shares = pd.DataFrame(rows).dropna(subset="heat")
    table = shares.groupby(["heat for", "region"], sort=False).agg(
        films=("heat", "count"),
        area=("area", "mean"),
        mean=("heat", "mean"),
        median=("heat", "median"),
        peak=("peak", "mean"),
    )
    table["mean / area"] = table["mean"] / table["area"]
    print_table(
        "Share of the heat by region",
        table.reset_index(),
        note=f"Area: share of the film, which even heat would give. Rim: {RIM} of {SIDE} pixels "
        "around the thorax. Peak: share of the films whose hottest pixel lies there.",
    )


# Pointing game --------------------------------------------------------------------------


def train_on_phantoms(chosen: Recipe, folder: Path) -> Bundle:
    """Train with the command line, in a home of its own."""
    few = Counts(normal=1, pneumonia=1)
    films = folder / "phantoms"
    sample_set.create(films, seed=TRAINED_ON, train=PHANTOMS, val=few, test=few)
    written = folder / "recipe.json"
    written.write_text(chosen.to_json())
    command = [sys.executable, "-m", "pneumo", "train", "--data", films, "--recipe", written]
    subprocess.run(
        [*command, "--output", folder / "model"],
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {"PNEUMO_HOME": str(folder / "home"), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return bundle.load(folder / "model")


def in_one_lung(child: Film, random: np.random.Generator) -> Phantom:
    """A child whose pneumonia is in the right or the left lung alone.

    The other half is that of the same child's normal film, which differs in nothing else.
    """
    ill = phantom.acquire(child.subtype, seed=child.patient, exam=child.exam)
    well = phantom.acquire("normal", seed=child.patient, exam=child.exam)
    middle = round(np.nonzero(ill.thorax)[1].mean())
    half = np.zeros(ill.lesion.shape, np.float32)
    half[:, slice(middle) if random.random() < 0.5 else slice(middle, None)] = 1
    seam = cv2.GaussianBlur(half, (0, 0), len(half) / 56)
    pixels = cv2.blendLinear(ill.pixels, well.pixels, seam, 1 - seam)
    return replace(ill, pixels=np.asarray(pixels), lesion=ill.lesion & (half > 0))


def play_pointing_game(predictor: Predictor, phantoms: int) -> None:
    """Whether the peak falls on the lesion, on PNEUMONIA phantoms of children never seen."""
    none, held_out = Counts(normal=0, pneumonia=0), Counts(normal=0, pneumonia=phantoms)
    children = sample_set.plan(seed=POINTED_AT, train=none, val=none, test=held_out)
    random = np.random.default_rng(0)
    games: dict[str, Callable[[Film], Phantom]] = {
        "as drawn": lambda child: phantom.acquire(
            child.subtype, seed=child.patient, exam=child.exam
        ),
        "in one lung": lambda child: in_one_lung(child, random),
    }
    rows = []
    for game, take in games.items():
        for child in children:
            taken = take(child)
            covered = cv2.resize(
                taken.lesion.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
            lesion = covered > 0.5
            if not lesion.any():  # all of it was in the other lung
                continue
            prediction = predictor.predict(as_film(taken.pixels))
            heat = enlarge(prediction.heat_map, size=SIDE)
            for subtype in (child.subtype, "both"):
                for tolerance in (0, TOLERANCE):
                    rows.append(
                        {
                            "lesion": game,
                            "subtype": subtype,
                            "tolerance": tolerance,
                            "target": widen(lesion, by=tolerance),
                            "hit": float(points_at(heat, lesion, tolerance=tolerance)),
                            "heat inside": share_inside(heat, lesion),
                            "found": float(prediction.verdict == "PNEUMONIA"),
                        }
                    )
    groups = pd.DataFrame(rows).groupby(["lesion", "subtype", "tolerance"])
    table = groups.agg(
        phantoms=("hit", "size"),
        area=("target", lambda targets: np.mean(list(targets))),
        fixed=("target", lambda targets: np.mean(list(targets), axis=0).max()),
        hit=("hit", "mean"),
        inside=("heat inside", "mean"),
        found=("found", "mean"),
    )
    print_table(
        "Pointing game",
        table.reset_index(),
        note=f"Tolerance: in pixels of {SIDE}. Area: share of the film that counts as a hit, which "
        "a blind guess would have. Fixed: hits of the one spot that is best in hindsight. Inside: "
        "share of the heat on the lesion itself. Found: the verdict is PNEUMONIA.",
    )


# Sanity ---------------------------------------------------------------------------------


def random_network(model: Bundle) -> tuple[Callable[[np.ndarray], np.ndarray], Head]:
    """Feature maps and head of a network of the model's design that has learned nothing."""
    from pneumo.training import classifier

    own = recipe.read(model.folder / bundle.RECIPE)
    built = classifier.build(own.changed(start="random"), settings=settings.load())

    def features(picture: np.ndarray) -> np.ndarray:
        return np.asarray(built.backbone(picture[np.newaxis, ..., np.newaxis], training=False))[0]

    return features, classifier.numpy_head(built.head, own.head)


def check_sanity(model: Bundle, films: list[Radiograph]) -> None:
    """What is left of a map under changes that should leave it, and that should not."""
    pool, head = InterpreterPool(model.litert, workers=1), Head.load(model.head)
    size = model.card.image_size
    random_features, random_head = random_network(model)
    random = np.random.default_rng(0)
    pictures = [to_model_input(film, size=size) for film in films]
    of_film = [pool.run(picture[np.newaxis])["feature_map"][0] for picture in pictures]
    # The side that the logit takes, before calibration, is the one that is explained.
    signs = np.array([1 if head.logit(features) > 0 else -1 for features in of_film])

    rows = []
    for number, (sign, picture, features) in enumerate(zip(signs, pictures, of_film, strict=True)):
        recompressed = recompress(picture, 70)[np.newaxis]
        explained = {
            "film recompressed": (pool.run(recompressed)["feature_map"][0], head),
            "head shuffled": (features, head.shuffled(random)),
            "network random": (random_features(picture), random_head),
        }
        others = np.setdiff1d(np.flatnonzero(signs == sign), number)
        if len(others):
            explained["another film, same verdict"] = (of_film[random.choice(others)], head)
        own = grad_cam(features, sign * head.gradient(features))
        for change, (changed, by) in explained.items():
            found = agreement(own, grad_cam(changed, sign * by.gradient(changed)), size=size)
            rows.append(
                {
                    "change": change,
                    "rank correlation": found.rank_correlation,
                    "without sign": abs(found.rank_correlation),
                    "overlap": found.overlap,
                }
            )
    table = pd.DataFrame(rows).groupby("change", sort=False).mean()
    table.insert(0, "films", len(films))
    print_table(
        "Agreement with the model's own map",
        table.reset_index(),
        note="Means; of the rank correlation also without its sign. Overlap: of the hottest "
        "fifths; 0.11 by chance.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default=bundle.DEFAULT_MODEL, metavar="NAME")
    parser.add_argument("--films", type=int, metavar="N", help="default: all of validation")
    parser.add_argument("--phantom-model", metavar="NAME", help="default: trained for the occasion")
    options = parser.parse_args()
    model = bundle.find(settings.load(), options.model)
    films = read_films(options, model)
    atlas = ThoraxAtlas.of_phantoms(seed=ATLAS)
    print(f"{model.card.name}, {len(films)} validation films", flush=True)
    check_outlines(atlas, HELD_OUT)
    check_heat(Predictor(model), films, atlas)
    check_sanity(model, films)
    with tempfile.TemporaryDirectory() as folder:
        if options.phantom_model:
            pointing = bundle.find(settings.load(), options.phantom_model)
        else:
            pointing = train_on_phantoms(PHANTOM_RECIPE, Path(folder))
        play_pointing_game(Predictor(pointing), HELD_OUT)


if __name__ == "__main__":
    main()
