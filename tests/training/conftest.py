"""Runs and installations that tests of the training share."""

from collections.abc import Callable

import pytest

from pneumo.settings import Settings
from pneumo.training import runs
from pneumo.training.recipe import QUICK
from pneumo.training.runs import Run, TrainingData, TrainingImage

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(installation: Settings) -> MakeRun:
    """Makes the folder of a run of the given images, without queueing or starting it."""

    def make(images: list[TrainingImage] | None = None, **recipe: object) -> Run:
        return runs.create(
            installation,
            recipe=QUICK.changed(**{"start": "shipped", **recipe}),
            data=TrainingData(
                name="films", synthetic=True, population="", credit="", fingerprint="f", counts={}
            ),
            images=images or [],
        )

    return make


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with the shipped models and a home that nothing is written to."""
    return Settings(home=tmp_path_factory.mktemp("shipped"))
