"""What a model is worth: figures are those of their table, under nuisances too."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pneumo.datasets import catalog
from pneumo.evaluation.metrics import measure
from pneumo.evaluation.stress import NUISANCES
from pneumo.inference import batch, bundle
from pneumo.inference.card import ModelCard
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.inference.scoring import (
    evaluate,
    model_inputs,
    require_unseen,
    rows_of_split,
    stress_test,
)
from pneumo.radiograph import Radiograph
from pneumo.settings import ImageLimits
from tests.conftest import Training

LIMITS = ImageLimits()


@pytest.fixture(scope="module")
def test_split(sample_root: Path) -> pd.DataFrame:
    images = catalog.build(sample_root)
    return images[images["split"] == "test"]


def test_figures_are_those_of_the_table(
    predictor: Predictor, sample_root: Path, test_split: pd.DataFrame
) -> None:
    told: list[tuple[int, int]] = []
    result = evaluate(
        predictor,
        test_split,
        sample_root,
        limits=LIMITS,
        progress=lambda done, total: told.append((done, total)),
    )
    table = result.predictions
    assert list(table) == [
        *("path", "label", "subtype", "patient", "digest", "logit", "probability", "verdict")
    ]
    known = ["path", "label", "subtype", "patient", "digest"]
    assert table[known].equals(test_split[known])
    threshold = predictor.bundle.card.operating_points["balanced"].threshold
    assert result.metrics == measure(
        (table["label"] == "PNEUMONIA").to_numpy(),
        table["probability"].to_numpy(),
        threshold=threshold,
    )
    assert (result.metrics.images, result.metrics.pneumonia) == (20, 12)
    assert (table["verdict"] == "PNEUMONIA").sum() == (
        result.metrics.true_positives + result.metrics.false_positives
    )
    assert told == [(done, 20) for done in range(1, 21)]
    assert result.unreadable == ()
    # Row by row they are the answers for the files.
    files = [batch.about_file(sample_root / path, limits=LIMITS) for path in table["path"][:4]]
    alone = [answer.prediction for answer in batch.answers(predictor, files, limits=LIMITS)]
    assert [prediction.logit for prediction in alone if prediction] == list(table["logit"][:4])


def test_unreadable_images_are_left_out_and_told(
    predictor: Predictor, sample_root: Path, test_split: pd.DataFrame, tmp_path: Path
) -> None:
    images = test_split.iloc[[0, 1, -2, -1]]
    for path in images["path"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(sample_root / path, tmp_path / path)
    damaged = images["path"].iloc[1]
    (tmp_path / damaged).write_bytes(b"\xff\xd8\xff\xe0 cut")
    result = evaluate(predictor, images, tmp_path, limits=LIMITS)
    assert list(result.predictions["path"]) == list(images["path"].iloc[[0, 2, 3]])
    assert np.isfinite(result.predictions["logit"]).all()
    assert [it.question.name for it in result.unreadable] == [str(tmp_path / damaged)]
    assert result.metrics.images == 3


def test_nothing_to_evaluate(
    predictor: Predictor, test_split: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        evaluate(predictor, test_split, tmp_path, limits=LIMITS)


class Teller:
    """Stands for a model that tells causes apart: it has its answers, in the order of asking."""

    workers = 1

    def __init__(self, card: ModelCard, answers: list[tuple[float, float, float]]) -> None:
        self.bundle = SimpleNamespace(card=card)
        self._answers = iter(answers)

    def predict(self, film: Radiograph, *, of_many: bool) -> Prediction:
        normal, bacterial, viral = next(self._answers)
        nothing = np.zeros((7, 7), np.float32)
        return Prediction(
            logit=float(np.log((bacterial + viral) / normal)),
            probability=bacterial + viral,
            threshold=0.375,
            band=(1 / 6, 9 / 14),
            cause={
                "bacterial": bacterial / (bacterial + viral),
                "viral": viral / (bacterial + viral),
            },
            flags=(),
            scope=(),
            heat_map=nothing,
            heat_map_normal=nothing,
            milliseconds=1.0,
            model="teller",
            model_digest="0",
        )


ANSWERS = [(0.6, 0.3, 0.1), (0.4, 0.3, 0.3), (0.2, 0.5, 0.3), (0.3, 0.3, 0.4), (0.1, 0.2, 0.7)]


def test_causes_by_hand(card: ModelCard, sample_root: Path, test_split: pd.DataFrame) -> None:
    three = dataclasses.replace(card, recipe=card.recipe | {"classes": 3})
    subtypes = ["normal", "normal", "bacterial", "bacterial", "viral"]
    images = test_split[:5].assign(subtype=subtypes)
    teller = Teller(three, ANSWERS)
    result = evaluate(teller, images, sample_root, limits=LIMITS)  # type: ignore[arg-type]
    assert result.causes is not None
    # The likeliest: normal, normal, bacterial, viral, viral; the second though pneumonia has 0.6.
    assert result.causes.confusion == ((2, 0, 0), (0, 1, 1), (0, 0, 1))
    assert result.causes.accuracy == 4 / 5
    assert list(result.predictions["verdict"]) == ["PNEUMONIA"] * 5  # from 0.375 on


@pytest.mark.parametrize(("classes", "subtype"), [(2, "viral"), (3, "unknown")])
def test_no_causes(
    card: ModelCard, sample_root: Path, test_split: pd.DataFrame, classes: int, subtype: str
) -> None:
    """Neither of a model that does not tell them apart, nor of films whose cause nobody knows."""
    images = test_split[:5].assign(subtype=["normal"] * 4 + [subtype])
    teller = Teller(dataclasses.replace(card, recipe=card.recipe | {"classes": classes}), ANSWERS)
    result = evaluate(teller, images, sample_root, limits=LIMITS)  # type: ignore[arg-type]
    assert result.causes is None


def test_under_nuisances(
    predictor: Predictor, sample_root: Path, test_split: pd.DataFrame, tmp_path: Path
) -> None:
    few = test_split.groupby("label").head(2)
    pictures, is_pneumonia = model_inputs(few, sample_root, size=224, limits=LIMITS)
    told: list[tuple[int, int]] = []
    figures = stress_test(
        predictor,
        pictures,
        is_pneumonia,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [figure.nuisance for figure in figures] == ["none", *NUISANCES]
    assert told == [(done, len(figures)) for done in range(1, len(figures) + 1)]
    untouched = evaluate(predictor, few, sample_root, limits=LIMITS).metrics
    assert figures[0].roc_auc == untouched.roc_auc
    assert (figures[0].sensitivity, figures[0].specificity) == (
        untouched.sensitivity,
        untouched.specificity,
    )


def test_what_a_model_is_given(sample_root: Path, test_split: pd.DataFrame) -> None:
    few = test_split.groupby("label").head(2)
    missing = few.iloc[[0]].assign(path="missing.jpeg")
    pictures, is_pneumonia = model_inputs(
        pd.concat([missing, few]), sample_root, size=96, limits=LIMITS
    )
    assert (pictures.shape, pictures.dtype) == ((4, 96, 96), np.uint8)
    assert is_pneumonia.tolist() == (few["label"] == "PNEUMONIA").tolist()
    with pytest.raises(ValueError, match="`images` must hold a readable image"):
        model_inputs(missing, sample_root, size=96, limits=LIMITS)


def test_a_model_is_not_measured_on_films_that_it_has_learned_from(
    training: Training, tmp_path: Path
) -> None:
    model = bundle.load(training.run.bundle)
    films = catalog.build(training.root)
    own = rows_of_split(films, "validation", model.card)
    require_unseen(own, training.root, model, limits=LIMITS)
    require_unseen(rows_of_split(films, "test", model.card), training.root, model, limits=LIMITS)

    # Split anew, some of what it has learned from is for testing.
    learned = films[(films["split"] == "train") & ~films["path"].isin(own["path"])]
    mixed = pd.concat([learned.tail(3), own])
    with pytest.raises(ValueError, match="has learned from 3 at least"):
        require_unseen(mixed, training.root, model, limits=LIMITS)

    # Other films of the same names are other films.
    other = sorted((training.root / "test" / "NORMAL").iterdir())
    for path, copied in zip(learned["path"].tail(3), other, strict=False):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copied, tmp_path / path)
    require_unseen(learned.tail(3), tmp_path, model, limits=LIMITS)
