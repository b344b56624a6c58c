"""Pictures out of scope, and a gate fitted to a model that was not trained at all."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo import export
from pneumo.datasets import phantom
from pneumo.inference.gate import KINDS
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import scope
from pneumo.training.features import CHUNK
from pneumo.training.recipe import QUICK, HeadDesign

CORNER = np.zeros((64, 64), np.uint8)
CORNER[:16, :32] = 200
"""Bright at the upper left."""


def test_inverted() -> None:
    assert (scope.inverted(CORNER, np.random.default_rng(0))[:16, :32] == 55).all()


def test_turned_is_never_upright() -> None:
    turned = {scope.turned(CORNER, np.random.default_rng(seed)).tobytes() for seed in range(40)}
    assert turned == {
        np.ascontiguousarray(it).tobytes()
        for it in (CORNER[::-1], np.rot90(CORNER), np.rot90(CORNER, 2), np.rot90(CORNER, 3))
    }


@pytest.mark.parametrize("make", [scope.inverted, scope.turned, *scope.FOREIGN])
@pytest.mark.parametrize("size", [32, 96])
def test_every_kind_keeps_the_shape_and_is_repeatable(make: scope.Make, size: int) -> None:
    film = cv2.resize(phantom.acquire("normal", seed=1, height=96).pixels, (size, size))
    for seed in range(20):
        picture = make(film, np.random.default_rng(seed))
        assert picture.dtype == np.uint8 and picture.shape == (size, size)
        assert (picture == make(film, np.random.default_rng(seed))).all()
        assert (picture != film).any()


def test_out_of_scope() -> None:
    films = np.stack([CORNER, CORNER])
    pictures, kinds = scope.out_of_scope(films, 40, seed=3)
    assert pictures.shape == (40, 64, 64)
    assert np.bincount(kinds).tolist() == [0, 10, 10, 20]
    assert all((it == 255 - CORNER).all() for it in pictures[kinds == KINDS.index("inverted")])
    assert (pictures == scope.out_of_scope(films, 40, seed=3)[0]).all()
    assert (pictures != scope.out_of_scope(films, 40, seed=4)[0]).any()


@pytest.mark.parametrize("pooling", ["average", "flatten"])
def test_a_gate_for_a_model(
    pooling: str, tmp_path: Path, installation: Settings, shipped: Settings
) -> None:
    recipe = QUICK.changed(
        start="random", image_size=96, head=HeadDesign(pooling=pooling), classes=3
    )
    network = classifiers.build(recipe, settings=shipped).network
    export.to_litert(network, tmp_path / "model.tflite")
    films = np.stack(
        [
            cv2.resize(phantom.acquire("normal", seed=seed, height=96).pixels, (96, 96))
            for seed in range(50)
        ]
    )
    interpreters = InterpreterPool(tmp_path / "model.tflite", batch=CHUNK)
    features = scope.features_of(interpreters, films)
    (last,) = interpreters.run(films[-1:])["feature_map"]
    assert features.shape == (50, 1280) and features.dtype == np.float32
    assert features[-1] == pytest.approx(last.mean(axis=(0, 1)), abs=1e-4)
    gate, flagged = scope.fit_gate(interpreters, films[:36], features[:36], films[36:], seed=0)
    assert flagged <= 1 / 14
    assert gate.by_features.centre.shape == (1280,)
    assert gate.weights.shape == (1280 + 256, len(KINDS))
