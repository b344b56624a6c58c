"""Runs and starting weights that tests of the training share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo.inference import bundle
from pneumo.settings import REPOSITORY, Settings
from pneumo.training import runs
from pneumo.training.recipe import QUICK
from pneumo.training.runs import Run, TrainingData, TrainingImage

SHIPPED = REPOSITORY / "models" / bundle.DEFAULT_MODEL / bundle.KERAS
"""Weights to start from that need no network."""


@pytest.fixture
def make_run(installation: Settings) -> Callable[..., Run]:
    """Makes the folder of a run of the given images, without starting it."""

    def make(images: list[TrainingImage] | None = None, **recipe: object) -> Run:
        return runs.create(
            installation,
            recipe=QUICK.changed(start="shipped", **recipe),
            data=TrainingData(
                name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
            ),
            images=images or [],
        )

    return make


@pytest.fixture(scope="session")
def shipped_weights() -> Path:
    """`model.keras` of the shipped model."""
    return SHIPPED
