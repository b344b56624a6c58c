"""Model cards: their JSON form and the readable page."""

import dataclasses
import json

import numpy as np
import pytest

from pneumo.evaluation.metrics import measure_causes
from pneumo.evaluation.stress import StressFigure
from pneumo.inference import bundle
from pneumo.inference import card as cards
from pneumo.inference.card import Measurement, ModelCard, Parity
from pneumo.inference.predictor import Predictor
from pneumo.training.backbones import BACKBONES


def test_what_is_written_is_read(card: ModelCard) -> None:
    assert cards.from_json(card.to_json()) == card


def without(card: ModelCard, name: str) -> str:
    values = json.loads(card.to_json())
    del values[name]
    return json.dumps(values)


@pytest.mark.parametrize(
    "name", ["calibration", "operating_points", "measurements", "files", "kept_epoch"]
)
def test_a_card_lacks_nothing(card: ModelCard, name: str) -> None:
    with pytest.raises((KeyError, TypeError), match=name):
        cards.from_json(without(card, name))


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_other_text_is_no_card(text: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        cards.from_json(text)


def test_newer_figures_take_the_place_of_older_ones(card: ModelCard) -> None:
    (validation, test) = card.measurements
    newer = dataclasses.replace(validation, note="again")
    assert card.with_measurement(newer).measurements == (test, newer)
    third = Measurement(data="Some films", split="train", metrics=validation.metrics)
    assert card.with_measurement(third).measurements == (validation, test, third)
    assert card.measurement("test") == test
    assert card.measurement("train") is None


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"pooling": "flatten", "hidden_units": 128}, "flatten pooling, 128 hidden units"),
        ({"pooling": "average", "hidden_units": 0}, "average pooling"),
    ],
)
def test_architecture_in_words(card: ModelCard, head: dict, words: str) -> None:
    changed = dataclasses.replace(card, recipe=card.recipe | {"head": head})
    assert changed.architecture == f"MobileNetV2, {words}"


def cells_of_probabilities(line: str) -> list[str]:
    """Brier score and calibration error in a line of figures."""
    return [cell.strip() for cell in line.strip("|").split("|")][-2:]


def test_the_page_has_figures_and_commands(card: ModelCard) -> None:
    page = cards.to_markdown(card)
    lines = page.splitlines()
    assert lines[0] == "# sparrow"
    # AUC of (0.9, 0.3) against (0.4, 0.1): 3 of 4 pairs. Wilson of 1 of 2: 0.095 to 0.905.
    (validation,) = (line for line in lines if line.startswith("| Some films"))
    cells = [cell.strip() for cell in validation.strip("|").split("|")]
    assert cells[:3] == ["Some films", "validation", "4"]
    assert cells[3].startswith("0.750 [")
    assert cells[4:7] == ["0.500 [0.150, 0.850]", "0.500 [0.095, 0.905]", "0.500 [0.095, 0.905]"]
    (test,) = (line for line in lines if line.startswith("| Other films, half of it"))
    cells = [cell.strip() for cell in test.strip("|").split("|")]
    assert cells[3] == "–" and cells[6] == "–"  # AUC and specificity of PNEUMONIA alone
    # Half are PNEUMONIA, so nothing is restated: (0.01 + 0.49 + 0.16 + 0.01) / 4, and the bins
    # are 0.1, 0.7, 0.4 and 0.1 off.
    assert cells_of_probabilities(validation) == ["0.167", "0.325"]
    assert cells_of_probabilities(test) == ["–", "–"]
    # Odds of 3 to 5: a third is 1 to 5, three times is 9 to 5. Only 0.9 and 0.1 are beyond.
    (balanced,) = (line for line in lines if line.startswith("| balanced"))
    assert balanced == (
        "| balanced | 0.375 | 0.167 and 0.643 | 0.500 [0.095, 0.905] | 0.500 [0.095, 0.905] "
        "| 50.0 % | 1.000 |"
    )
    for command in (
        "    python -m pneumo train --data DIR --recipe seed",
        "    python -m pneumo evaluate --model sparrow --data DIR --split validation",
        "    python -m pneumo evaluate --model sparrow --data DIR --split test  # DIR: half of it",
    ):
        assert command in lines
    for words in (
        cards.INTENDED_USE,
        "1,200 NORMAL, 3 PNEUMONIA",
        "`abcd1234`",
        "20 epochs, of which the weights of epoch 17 were kept, seed 0, in 61 s",
        "temperature 1.250",
        "probability of 0.375",
        "keras 3.15.1",
        "Images: Swift.",
        "Trained on giants.",
        "It flags 1.2 % of the validation films.",
        "Recipe `seed`, from ImageNet weights, 20 epochs",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("backbone", "start", "made", "credit"),
    [
        (
            *("MobileNetV2", "imagenet", "from ImageNet weights"),
            "MobileNetV2 (Sandler et al., CVPR 2018) with ImageNet weights, Apache 2.0.",
        ),
        (
            *("DenseNet121", "imagenet", "from ImageNet weights"),
            "DenseNet121 (Huang et al., CVPR 2017) with ImageNet weights, BSD 3-Clause.",
        ),
        (
            *("EfficientNetV2B0", "random", "from random weights"),
            "EfficientNetV2B0 (Tan and Le, ICML 2021).",
        ),
        (
            *("MobileNetV2", "shipped", "from the backbone of the shipped model"),
            "MobileNetV2 (Sandler et al., CVPR 2018) from the backbone of the shipped model, whose "
            "attribution holds here too.",
        ),
        (
            *("DenseNet121", "run:eagle", "from the model of `run:eagle`"),
            "DenseNet121 (Huang et al., CVPR 2017) from the model of `run:eagle`, whose "
            "attribution holds here too.",
        ),
    ],
)
def test_the_page_says_what_weights_it_started_from(
    card: ModelCard, backbone: str, start: str, made: str, credit: str
) -> None:
    recipe = card.recipe | {"backbone": backbone, "start": start}
    lines = cards.to_markdown(dataclasses.replace(card, recipe=recipe)).splitlines()
    assert f"- Backbone: {credit}" in lines
    assert any(line.startswith(f"- Recipe `seed`, {made}, 20 epochs") for line in lines)


def test_every_backbone_has_its_credit() -> None:
    assert set(cards.BACKBONE_CREDITS) == set(BACKBONES)


def test_the_page_of_the_shipped_model_is_that_of_its_card(predictor: Predictor) -> None:
    model = predictor.bundle
    assert (model.folder / bundle.README).read_text() == cards.to_markdown(model.card)


@pytest.fixture
def with_causes(card: ModelCard) -> ModelCard:
    """A card of a model that tells causes apart, whose figures on one data set say how well."""
    truth, called = np.array([0, 0, 1, 1, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 1, 2, 2, 0])
    first, second = card.measurements
    return dataclasses.replace(
        card,
        recipe=card.recipe | {"classes": 3},
        measurements=(dataclasses.replace(first, causes=measure_causes(truth, called)), second),
    )


def test_causes_are_written_and_read(with_causes: ModelCard) -> None:
    assert cards.from_json(with_causes.to_json()) == with_causes


def test_the_page_tells_causes_apart(with_causes: ModelCard, card: ModelCard) -> None:
    page = cards.to_markdown(with_causes)
    assert "NORMAL or PNEUMONIA, bacterial or viral." in page
    # Right: 1 of 2 normal, 3 of 4 bacterial, 1 of 2 viral; 5 of 8 in all.
    assert "| Some films | validation | 0.625 | 0.500 | 0.750 | 0.500 |" in page.splitlines()
    assert page.count("Recall") == 3
    plain = cards.to_markdown(card)
    assert "NORMAL or PNEUMONIA.\n" in plain and "Recall" not in plain


def test_stress_is_written_read_and_shown(card: ModelCard) -> None:
    figures = (
        StressFigure(nuisance="none", roc_auc=0.9, sensitivity=0.8, specificity=0.75, flipped=0.0),
        StressFigure(
            nuisance="blur", roc_auc=None, sensitivity=None, specificity=0.5, flipped=0.125
        ),
    )
    stressed = card.with_measurement(dataclasses.replace(card.measurements[0], stress=figures))
    assert cards.from_json(stressed.to_json()) == stressed
    page = cards.to_markdown(stressed)
    assert "| none | 0.900 | 0.800 | 0.750 | 0.000 |" in page
    assert "| blur | – | – | 0.500 | 0.125 |" in page
    assert "Nuisance" not in cards.to_markdown(card)


def test_parity_is_written_read_and_shown(card: ModelCard) -> None:
    parity = Parity(largest_logit_difference=0.000123, verdicts_changed=0)
    compared = card.with_measurement(dataclasses.replace(card.measurements[0], parity=parity))
    assert cards.from_json(compared.to_json()) == compared
    assert "differ by at most 1.2e-04 in the logit and in 0 verdicts" in cards.to_markdown(compared)
    assert "Keras model differ" not in cards.to_markdown(card)


def test_a_new_split_is_named(card: ModelCard) -> None:
    assert "split anew" not in cards.to_markdown(card)
    anew = dataclasses.replace(card, data=card.data | {"resplit": "0123456789abcdef"})
    assert "split anew by patients and duplicates (`0123456789abcdef`)" in cards.to_markdown(anew)


def test_validation_films_that_the_starting_weights_knew_are_confessed(card: ModelCard) -> None:
    assert card.caveat == "" and "flatter this model" not in cards.to_markdown(card)
    seen = dataclasses.replace(
        card, validation_seen=2 / 3, recipe=card.recipe | {"start": "run:sparrow"}
    )
    assert seen.caveat.startswith("At least 66.7 % of the validation films are among those that")
    assert "(run:sparrow)" in seen.caveat and seen.caveat in cards.to_markdown(seen).splitlines()
    assert cards.from_json(seen.to_json()) == seen
    assert cards.from_json(without(seen, "validation_seen")).caveat == ""  # of a release before
