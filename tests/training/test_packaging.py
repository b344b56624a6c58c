"""The command in a card trains the same model again."""

import pytest

from pneumo.training.packaging import _training_command
from pneumo.training.recipe import QUICK, SEED, Augmentation, Recipe


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (SEED, "--recipe seed"),
        (QUICK.changed(epochs=3, seed=7), "--recipe quick --epochs 3 --seed 7"),
        (QUICK.changed(name="my run"), "--recipe quick --name 'my run'"),
        (
            SEED.changed(start="shipped", batch_size=8),
            "--recipe seed --start shipped --batch-size 8",
        ),
        (SEED.changed(augmentation=Augmentation()), "--recipe recipe.json"),
    ],
)
def test_the_command_names_what_differs_from_a_preset(recipe: Recipe, options: str) -> None:
    assert _training_command(recipe) == f"python -m pneumo train --data DIR {options}"
