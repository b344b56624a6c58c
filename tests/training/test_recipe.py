"""Recipes: the presets' values, the form on disk, the rules, what sets two of them apart."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pneumo.settings import Settings
from pneumo.training import recipe as recipes
from pneumo.training.recipe import (
    BEST,
    QUICK,
    SEED,
    Augmentation,
    Difference,
    HeadDesign,
    InvalidRecipe,
    Phase,
    Recipe,
)


def test_the_seed_preset_is_the_tutorial() -> None:
    assert dataclasses.asdict(recipes.SEED) == {
        "name": "seed",
        "backbone": "MobileNetV2",
        "image_size": 224,
        "scaling": "unit",
        "start": "imagenet",
        "classes": 2,
        "head": {"pooling": "flatten", "hidden_units": 128, "dropout": 0.3},
        "augmentation": {
            "rotation": 20,
            "zoom": 0.2,
            "shear": 0.2,
            "shift": 0.0,
            "crop": 0.0,
            "horizontal_flip": True,
            "contrast": 0.0,
            "gamma": 0.0,
            "blur": 0.0,
            "noise": 0.0,
            "recompression": 0.0,
            "erasing": 0.0,
            "corner_blackout": 0.0,
            "markers": 0.0,
            "frame_swap": 0.0,
        },
        "cached_views": 0,
        "phases": (
            {
                "epochs": 20,
                "learning_rate": 1e-3,
                "unfrozen": 0.0,
                "schedule": "constant",
                "warm_up": 0.0,
            },
        ),
        "batch_size": 32,
        "weight_decay": 0.0,
        "class_weights": False,
        "label_smoothing": 0.0,
        "weight_averaging": 0.0,
        "monitor": "validation_loss",
        "early_stopping": 0,
        "restore_best": False,
        "validation_share": 0.15,
        "seed": 0,
    }


def test_presets_are_found_by_name() -> None:
    assert {name: preset.name for name, preset in recipes.PRESETS.items()} == {
        "quick": "quick",
        "best": "best",
        "seed": "seed",
    }


@pytest.mark.parametrize("preset", recipes.PRESETS.values(), ids=lambda preset: preset.name)
def test_what_is_written_is_read(preset: Recipe) -> None:
    assert recipes.from_dict(json.loads(preset.to_json())) == preset


def test_what_is_left_out_takes_its_default() -> None:
    read = recipes.from_dict({"name": "mine", "head": {"hidden_units": 7}})
    assert read == Recipe(name="mine", head=HeadDesign(hidden_units=7))
    read = recipes.from_dict({"name": "mine", "phases": [{"epochs": 3}, {"epochs": 2}]})
    assert read == Recipe(name="mine", phases=(Phase(epochs=3), Phase(epochs=2)))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "x", "epocs": 3},
        {"epochs": 3},
        {"name": "x", "head": {"units": 3}},
        {"name": "x", "augmentation": {"zooom": 0.1}},
        {"name": "x", "head": 3},
        {"name": "x", "head": None},
        {"name": "x", "phases": 3},
        {"name": "x", "phases": [3]},
        {"name": "x", "phases": [{"unfrozen": 1.0}]},
        {"name": "x", "phases": [{"epochs": 3, "layers": 7}]},
        ["name"],
        None,
    ],
)
def test_other_fields_are_refused(values: Any) -> None:
    with pytest.raises(InvalidRecipe, match="A recipe must have the fields of `Recipe`: "):
        recipes.from_dict(values)


@pytest.mark.parametrize(
    ("argument", "rule", "received"),
    [
        ("name", "1 to 40 characters", ""),
        ("name", "1 to 40 characters", "  "),
        ("name", "1 to 40 characters", "x" * 41),
        ("name", "1 to 40 characters", 7),
        ("backbone", "'MobileNetV2'", "ResNet50"),
        ("image_size", "a multiple of 32 between 96 and 512", 64),
        ("image_size", "a multiple of 32 between 96 and 512", 230),
        ("image_size", "a multiple of 32 between 96 and 512", 544),
        ("image_size", "a multiple of 32 between 96 and 512", 224.0),
        ("scaling", "one of ('backbone', 'unit', 'symmetric', 'standardized')", "unity"),
        ("start", "one of ('imagenet', 'shipped', 'auto', 'random') or 'run:NAME'", "scratch"),
        ("start", "one of ('imagenet', 'shipped', 'auto', 'random') or 'run:NAME'", 7),
        ("classes", "2 or 3", 4),
        ("classes", "2 or 3", 2.0),
        ("classes", "2 or 3", "2"),
        ("cached_views", "between 0 and 64", -1),
        ("cached_views", "between 0 and 64", 65),
        ("epochs", "between 1 and 1000", 0),
        ("epochs", "between 1 and 1000", 1001),
        ("epochs", "between 1 and 1000", "20"),
        ("epochs", "between 1 and 1000", 2.5),
        ("phases", "at least one phase", ()),
        ("phases", "at least one phase", None),
        ("batch_size", "between 1 and 1024", 0),
        ("batch_size", "between 1 and 1024", 32.0),
        ("learning_rate", "above 0, at most 1", 0),
        ("learning_rate", "above 0, at most 1", 1.1),
        ("learning_rate", "above 0, at most 1", float("nan")),
        ("weight_decay", "at least 0, below 1", -1e-9),
        ("weight_decay", "at least 0, below 1", 1),
        ("class_weights", "True or False", "no"),
        ("label_smoothing", "at least 0, below 1", 1),
        ("weight_averaging", "at least 0, below 1", 1),
        ("weight_averaging", "at least 0, below 1", -0.1),
        ("monitor", "one of ('validation_loss', 'validation_auc')", "train_loss"),
        ("early_stopping", "between 0 and 1000", -1),
        ("early_stopping", "between 0 and 1000", 1001),
        ("restore_best", "True or False", 1),
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
        (HeadDesign, "pooling", "one of ('flatten', 'average')", "max"),
        (HeadDesign, "pooling", "one of ('flatten', 'average')", ["flatten"]),
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
        (Augmentation, "crop", "at least 0 and below 0.5", 0.5),
        (Augmentation, "noise", "between 0 and 64 grey levels", 65),
        (Augmentation, "recompression", "between 0 and 95", 96),
        (Augmentation, "erasing", "between 0 and 1", 1.1),
        (Augmentation, "corner_blackout", "between 0 and 1", -0.1),
        (Augmentation, "markers", "between 0 and 1", "all"),
        (Augmentation, "frame_swap", "between 0 and 1", 1.5),
        (Phase, "learning_rate", "above 0, at most 1", -1),
        (Phase, "unfrozen", "between 0 and 1", 1.01),
        (Phase, "schedule", "one of ('constant', 'cosine')", "linear"),
        (Phase, "warm_up", "between 0 and 1", -0.01),
    ],
)
def test_rules_of_its_parts(kind: Any, argument: str, rule: str, received: Any) -> None:
    with pytest.raises(InvalidRecipe) as refusal:
        kind(**{**({"epochs": 1} if kind is Phase else {}), argument: received})
    message = str(refusal.value)
    assert message.startswith(f"`{argument}` must be ")
    assert rule in message
    assert message.endswith(f"Received: {argument}={received!r}")


def test_limits_themselves_are_allowed() -> None:
    recipes.QUICK.changed(
        name="x" * 40, image_size=512, epochs=1000, learning_rate=1, validation_share=0.5
    )
    recipes.QUICK.changed(name="x", image_size=96, epochs=1, batch_size=1, seed=2**31 - 1)
    recipes.QUICK.changed(start="run:20260102-030405-quick", classes=3, early_stopping=1000)
    Phase(epochs=1, unfrozen=1, warm_up=1)


def test_epochs_and_learning_rate_are_those_of_the_last_phase() -> None:
    first, last = BEST.phases
    changed = BEST.changed(epochs=5, learning_rate=0.25, seed=3)
    assert changed.phases == (first, dataclasses.replace(last, epochs=5, learning_rate=0.25))
    assert changed == dataclasses.replace(BEST, phases=changed.phases, seed=3)
    assert (BEST.epochs, changed.epochs) == (20 + 16, 20 + 5)
    assert QUICK.changed(phases=(Phase(epochs=2), Phase(epochs=3)), epochs=9).epochs == 2 + 9


def test_options_are_what_changed_takes() -> None:
    assert BEST.options() == {
        "name": "best",
        "start": "auto",
        "backbone": "MobileNetV2",
        "classes": 2,
        "batch_size": 32,
        "seed": 0,
        "epochs": 16,
        "learning_rate": 4e-4,
    }
    for preset in recipes.PRESETS.values():
        assert preset.changed(**preset.options()) == preset


@pytest.mark.parametrize(
    ("backbone", "scaling"),
    [
        ("MobileNetV2", "symmetric"),
        ("EfficientNetV2B0", "standardized"),
        ("DenseNet121", "standardized"),
    ],
)
def test_a_backbone_is_fed_as_its_weights_expect_it(backbone: str, scaling: str) -> None:
    recipe = QUICK.changed(backbone=backbone)
    assert (recipe.scaling, recipe.input_scaling) == ("backbone", scaling)
    assert recipe.changed(scaling="unit").input_scaling == "unit"


def test_differences_by_hand() -> None:
    assert recipes.differences(QUICK, QUICK) == []
    other = QUICK.changed(
        name="mine",
        augmentation=dataclasses.replace(QUICK.augmentation, zoom=0.5),
        phases=(Phase(epochs=40, learning_rate=0.01), Phase(epochs=2, unfrozen=0.5)),
    )
    expected = [
        ("name", "quick", "mine"),
        ("augmentation.zoom", 0.2, 0.5),
        ("phases.1.learning_rate", 1e-3, 0.01),
        ("phases.2.epochs", None, 2),
        ("phases.2.learning_rate", None, 1e-3),
        ("phases.2.unfrozen", None, 0.5),
        ("phases.2.schedule", None, "constant"),
        ("phases.2.warm_up", None, 0.0),
    ]
    there = [Difference(setting=name, first=a, second=b) for name, a, b in expected]
    back = [Difference(setting=name, first=b, second=a) for name, a, b in expected]
    assert sorted(recipes.differences(QUICK, other), key=str) == sorted(there, key=str)
    assert recipes.differences(other, QUICK) == back


# Recipes of one's own -------------------------------------------------------------------


def test_a_recipe_of_ones_own(installation: Settings) -> None:
    assert recipes.saved(installation) == {}
    mine = BEST.changed(name="My best: 2!", seed=4)
    path = recipes.save(installation, mine)
    assert path == installation.recipes / "my-best-2.json"
    assert recipes.saved(installation) == {"my-best-2": path}
    assert recipes.find(installation, "my-best-2") == mine
    newer = mine.changed(seed=5)
    assert recipes.save(installation, newer) == path
    assert recipes.find(installation, "my-best-2") == newer
    assert [entry.name for entry in installation.recipes.iterdir()] == ["my-best-2.json"]


@pytest.mark.parametrize("name", ["quick", "Best", "seed!"])
def test_a_preset_keeps_its_name(installation: Settings, name: str) -> None:
    with pytest.raises(InvalidRecipe, match="`name` must be another than a preset's"):
        recipes.save(installation, QUICK.changed(name=name))
    assert recipes.saved(installation) == {}


def test_recipes_are_found_by_name_or_file(installation: Settings, tmp_path: Path) -> None:
    assert recipes.find(installation, "seed") == SEED
    path = tmp_path / "elsewhere.json"
    path.write_text(SEED.changed(name="mine").to_json())
    assert recipes.find(installation, str(path)) == SEED.changed(name="mine")
    recipes.save(installation, SEED.changed(name="own"))
    with pytest.raises(InvalidRecipe) as refusal:
        recipes.find(installation, "tutorial")
    assert str(refusal.value) == (
        "`recipe` must be one of quick, best, seed, own, or a JSON file. Received: 'tutorial'"
    )


def test_a_file_that_holds_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"name":')
    with pytest.raises(InvalidRecipe, match=rf"{path} must be a JSON file\. Received: "):
        recipes.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRecipe, match="must be a JSON file"):
        recipes.read(path)
    path.write_text('{"name": 7}')
    with pytest.raises(InvalidRecipe, match="`name` must be 1 to 40 characters"):
        recipes.read(path)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("My best run!", "my-best-run"), ("../../etc/x", "etc-x"), ("???", "recipe"), ("A_b", "a_b")],
)
def test_names_in_paths(name: str, slug: str) -> None:
    assert recipes.slug(name) == slug
