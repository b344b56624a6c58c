"""Features on LiteRT are those of the backbone in Keras."""

from pathlib import Path

import numpy as np
import pytest

from pneumo import export
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier
from pneumo.training.features import CHUNK, FeatureExtractor
from pneumo.training.recipe import QUICK, SEED, HeadDesign

RECIPE = QUICK.changed(start="shipped")
FLAT = RECIPE.changed(head=HeadDesign(pooling="flatten"))


@pytest.fixture(scope="module")
def classifier(shipped_weights: Path) -> Classifier:
    return classifiers.build(RECIPE, shipped=shipped_weights)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """One chunk and a part of the next."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (CHUNK + 3, 224, 224)).astype(np.uint8)


@pytest.fixture(scope="module")
def expected(classifier: Classifier, pictures: np.ndarray) -> np.ndarray:
    return classifier.backbone.predict_on_batch(pictures[..., np.newaxis].astype(np.float32))


def refuse_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_litert(*arguments: object) -> None:
        raise AssertionError("converted once more")

    monkeypatch.setattr(export, "to_litert", to_litert)


def test_features_are_those_of_the_backbone(
    classifier: Classifier, pictures: np.ndarray, expected: np.ndarray, installation: Settings
) -> None:
    flat = FeatureExtractor(classifier, FLAT, installation).features(pictures)
    assert flat.shape == (CHUNK + 3, 7, 7, 1280)
    assert np.abs(flat - expected).max() < 1e-3

    extractor = FeatureExtractor(classifier, RECIPE, installation)
    pooled = extractor.features(pictures)
    assert pooled.shape == (CHUNK + 3, 1, 1, 1280)
    assert np.abs(pooled[:, 0, 0] - expected.mean(axis=(1, 2))).max() < 1e-3
    # The last chunk is filled up to its size, and what fills it is no feature.
    assert [len(chunk) for chunk in extractor.chunks(pictures)] == [CHUNK, 3]
    assert np.array_equal(extractor.features(pictures[CHUNK:]), pooled[CHUNK:])


def test_a_backbone_is_converted_once(
    shipped_weights: Path, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = SEED.changed(start="shipped", image_size=96)
    classifier = classifiers.build(recipe, shipped=shipped_weights)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 96, 96)).astype(np.uint8)
    found = FeatureExtractor(classifier, recipe, installation).features(pictures)
    expected = classifier.backbone.predict_on_batch(pictures[..., np.newaxis].astype(np.float32))
    assert found.shape == (3, 3, 3, 1280)
    assert np.abs(found - expected).max() < 1e-3
    refuse_conversion(monkeypatch)
    again = FeatureExtractor(classifier, recipe, installation).features(pictures)
    assert np.array_equal(again, found)
