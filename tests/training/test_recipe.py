"""Recipes: the presets' values, the form on disk, the rules."""

import dataclasses
import json
from typing import Any

import pytest

from pneumo.training import recipe as recipes
from pneumo.training.recipe import Augmentation, HeadDesign, InvalidRecipe, Recipe


def test_the_seed_preset_is_the_tutorial() -> None:
    assert dataclasses.asdict(recipes.SEED) == {
        "name": "seed",
        "backbone": "MobileNetV2",
        "image_size": 224,
        "scaling": "unit",
        "start": "imagenet",
        "head": {"pooling": "flatten", "hidden_units": 128, "dropout": 0.3},
        "augmentation": {
            "rotation": 20,
            "zoom": 0.2,
            "shear": 0.2,
            "shift": 0.0,
            "horizontal_flip": True,
            "contrast": 0.0,
            "gamma": 0.0,
            "blur": 0.0,
        },
        "cached_views": 0,
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "class_weights": False,
        "validation_share": 0.15,
        "seed": 0,
    }


def test_presets_are_found_by_name() -> None:
    assert {name: preset.name for name, preset in recipes.PRESETS.items()} == {
        "quick": "quick",
        "seed": "seed",
    }


@pytest.mark.parametrize("preset", recipes.PRESETS.values(), ids=lambda preset: preset.name)
def test_what_is_written_is_read(preset: Recipe) -> None:
    assert recipes.from_dict(json.loads(preset.to_json())) == preset


def test_what_is_left_out_takes_its_default() -> None:
    read = recipes.from_dict({"name": "mine", "head": {"hidden_units": 7}})
    assert read == Recipe(name="mine", head=HeadDesign(hidden_units=7))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "x", "epocs": 3},
        {"epochs": 3},
        {"name": "x", "head": {"units": 3}},
        {"name": "x", "augmentation": {"zooom": 0.1}},
        {"name": "x", "head": 3},
        {"name": "x", "head": None},
        ["name"],
        None,
    ],
)
def test_other_fields_are_refused(values: Any) -> None:
    with pytest.raises(InvalidRecipe, match=r"the fields of `Recipe` and no others\. Received: "):
        recipes.from_dict(values)


@pytest.mark.parametrize(
    ("argument", "rule", "received"),
    [
        ("name", "1 to 40 characters", ""),
        ("name", "1 to 40 characters", "x" * 41),
        ("name", "1 to 40 characters", 7),
        ("backbone", "'MobileNetV2'", "ResNet50"),
        ("image_size", "a multiple of 32 between 96 and 512", 64),
        ("image_size", "a multiple of 32 between 96 and 512", 230),
        ("image_size", "a multiple of 32 between 96 and 512", 544),
        ("image_size", "a multiple of 32 between 96 and 512", 224.0),
        ("scaling", "'unit' or 'symmetric'", "unity"),
        ("start", "one of ('imagenet', 'shipped', 'auto')", "random"),
        ("cached_views", "between 0 and 64", -1),
        ("cached_views", "between 0 and 64", 65),
        ("epochs", "between 1 and 1000", 0),
        ("epochs", "between 1 and 1000", 1001),
        ("epochs", "between 1 and 1000", "20"),
        ("epochs", "between 1 and 1000", 2.5),
        ("batch_size", "between 1 and 1024", 0),
        ("batch_size", "between 1 and 1024", 32.0),
        ("learning_rate", "above 0, at most 1", 0),
        ("learning_rate", "above 0, at most 1", 1.1),
        ("learning_rate", "above 0, at most 1", float("nan")),
        ("weight_decay", "at least 0, below 1", -1e-9),
        ("weight_decay", "at least 0, below 1", 1),
        ("class_weights", "True or False", "no"),
        ("validation_share", "between 0.05 and 0.5", 0.04),
        ("validation_share", "between 0.05 and 0.5", 0.51),
        ("seed", "between 0 and 2147483647", -1),
        ("seed", "between 0 and 2147483647", 2**31),
    ],
)
def test_rules_of_a_recipe(argument: str, rule: str, received: Any) -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        recipes.QUICK.changed(**{argument: received})
    message = str(refusal.value)
    assert message.startswith(f"`{argument}` must be ")
    assert rule in message
    assert message.endswith(f"Received: {argument}={received!r}")


@pytest.mark.parametrize(
    ("kind", "argument", "rule", "received"),
    [
        (HeadDesign, "pooling", "'flatten' or 'average'", "max"),
        (HeadDesign, "pooling", "'flatten' or 'average'", ["flatten"]),
        (HeadDesign, "hidden_units", "between 0 and 4096", -1),
        (HeadDesign, "hidden_units", "between 0 and 4096", 4097),
        (HeadDesign, "hidden_units", "between 0 and 4096", 1.5),
        (HeadDesign, "dropout", "at least 0 and below 1", 1),
        (Augmentation, "rotation", "between 0 and 180 degrees", 181),
        (Augmentation, "rotation", "between 0 and 180 degrees", -1),
        (Augmentation, "zoom", "at least 0 and below 1", 1),
        (Augmentation, "shear", "at least 0 and below 90 degrees", 90),
        (Augmentation, "shift", "at least 0 and below 1", -0.1),
        (Augmentation, "horizontal_flip", "True or False", 1),
        (Augmentation, "contrast", "at least 0 and below 1", 1.0),
        (Augmentation, "gamma", "between 0 and 3", 3.1),
        (Augmentation, "gamma", "between 0 and 3", None),
        (Augmentation, "blur", "between 0 and 7", 8),
    ],
)
def test_rules_of_its_parts(kind: Any, argument: str, rule: str, received: Any) -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        kind(**{argument: received})
    message = str(refusal.value)
    assert message.startswith(f"`{argument}` must be ")
    assert rule in message
    assert message.endswith(f"Received: {argument}={received!r}")


def test_limits_themselves_are_allowed() -> None:
    recipes.QUICK.changed(
        name="x" * 40, image_size=512, epochs=1000, learning_rate=1, validation_share=0.5
    )
    recipes.QUICK.changed(name="x", image_size=96, epochs=1, batch_size=1, seed=2**31 - 1)
