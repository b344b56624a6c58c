"""The shipped model, and a card and a bundle that no training has to make."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pneumo.evaluation import operating_point
from pneumo.evaluation.calibration import Calibration
from pneumo.evaluation.metrics import measure
from pneumo.inference import bundle
from pneumo.inference.card import Measurement, ModelCard
from pneumo.inference.predictor import Predictor
from pneumo.settings import REPOSITORY
from pneumo.training.recipe import SEED

TRUTH, PROBABILITIES = np.array([1, 1, 0, 0]), np.array([0.9, 0.3, 0.4, 0.1])


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The shipped model."""
    return Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))


@pytest.fixture
def card() -> ModelCard:
    """Two measurements, the second with one class only, and no files yet."""
    return ModelCard(
        name="sparrow",
        created="2026-01-02T03:04:05+00:00",
        recipe=json.loads(SEED.to_json()),
        data={
            "name": "Some films",
            "synthetic": False,
            "population": "giants",
            "credit": "Images: Swift.",
            "fingerprint": "abcd1234",
            "counts": {"train": {"NORMAL": 1200, "PNEUMONIA": 3}},
        },
        image_size=224,
        calibration=Calibration(offset=0.5, temperature=1.25),
        operating_points={"balanced": operating_point.at(TRUTH, PROBABILITIES, threshold=0.375)},
        measurements=(
            Measurement(
                data="Some films",
                split="validation",
                metrics=measure(TRUTH, PROBABILITIES, threshold=0.375),
            ),
            Measurement(
                data="Other films",
                split="test",
                metrics=measure(TRUTH[:2], PROBABILITIES[:2], threshold=0.375),
                note="half of it",
            ),
        ),
        validation_flagged=0.012,
        training_command="python -m pneumo train --data DIR --recipe seed",
        training_seconds=61.4,
        epochs=20,
        kept_epoch=17,
        versions={"keras": "3.15.1"},
        files={},
    )


@pytest.fixture
def model_folder(tmp_path: Path, card: ModelCard) -> Path:
    """A bundle named "sparrow" whose files hold a word each."""
    folder = tmp_path / "sparrow"
    folder.mkdir()
    for name in bundle.HASHED:
        (folder / name).write_text(name)
        card.files[name] = hashlib.sha256(name.encode()).hexdigest()
    bundle.write_card(folder, card)
    return folder
