"""LiteRT files: written whole or not at all, and held against their network."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from pneumo import export, radiograph
from pneumo.evaluation.calibration import Calibration
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import REPOSITORY

PICTURES = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """The logit is half the sum of all 16 pixels; the feature map is twice the picture."""
    radiographs = keras.Input((4, 4, 1))
    features = keras.layers.Conv2D(1, 1, use_bias=False, name="double")(radiographs)
    logit = keras.layers.Dense(1, use_bias=False, name="quarter")(keras.layers.Flatten()(features))
    model = keras.Model(radiographs, {"logit": logit, "feature_map": features})
    model.get_layer("double").set_weights([np.full((1, 1, 1, 1), 2.0)])
    model.get_layer("quarter").set_weights([np.full((16, 1), 0.25)])
    return model


@pytest.fixture(scope="module")
def litert(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.tflite"
    export.to_litert(network, path)
    return path


def test_the_file_computes_what_the_network_computes(litert: Path) -> None:
    assert [path.name for path in litert.parent.iterdir()] == ["model.tflite"]
    for batch in (1, 3):
        output = InterpreterPool(litert, workers=1, batch=batch).run(PICTURES[:batch])
        assert output["logit"][:, 0] == pytest.approx(PICTURES[:batch].sum(axis=(1, 2)) / 2)
        assert output["feature_map"][..., 0] == pytest.approx(2.0 * PICTURES[:batch])


def test_the_largest_difference_by_hand(network: keras.Model, litert: Path) -> None:
    assert export.largest_logit_difference(network, litert, PICTURES) < 1e-4
    # Twice the kernel is twice the logit: off by half the sum of the brightest picture.
    changed = keras.models.clone_model(network)
    changed.set_weights(
        [weights * (2 if weights.ndim == 2 else 1) for weights in network.get_weights()]
    )
    difference = export.largest_logit_difference(changed, litert, PICTURES)
    assert difference == pytest.approx(PICTURES[2].sum() / 2, rel=1e-5)


def test_a_failed_export_leaves_nothing(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: object, path: str, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr(export.tf.saved_model, "save", fail)
    (tmp_path / "model.tflite").write_bytes(b"the old one")
    with pytest.raises(RuntimeError, match="no space"):
        export.to_litert(network, tmp_path / "model.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
    assert (tmp_path / "model.tflite").read_bytes() == b"the old one"


def test_the_shipped_model_answers_alike_in_both_forms(sample_root: Path) -> None:
    shipped = bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL)
    films = sorted(sample_root.glob("test/*/*.jpeg"))[::3]
    pictures = np.stack([radiograph.to_model_input(radiograph.read_file(path)) for path in films])
    found = export.parity(shipped, pictures)
    assert found.largest_logit_difference < 0.01
    assert found.verdicts_changed == 0


def test_verdicts_that_differ(
    network: keras.Model, litert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the sum of 16 pixels against the same less 200: of 60, 188 and 316 two change sides."""
    shipped = bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL)
    radiographs = keras.Input((4, 4, 1))
    outputs = network(radiographs)
    lower = keras.Model(radiographs, {**outputs, "logit": outputs["logit"] - 200})
    monkeypatch.setattr(export.keras.saving, "load_model", lambda path, **options: lower)
    plain = dataclasses.replace(shipped.card, calibration=Calibration(offset=0, temperature=1))
    model = Bundle(folder=litert.parent, card=plain)
    found = export.parity(model, PICTURES)
    assert found.largest_logit_difference == pytest.approx(200, rel=1e-5)
    assert found.verdicts_changed == 2


def test_a_third_output_keeps_its_name(network: keras.Model, tmp_path: Path) -> None:
    """Outputs are told apart by their names, whatever their order: 16 pixels to three sums."""
    sums = keras.layers.Dense(3, use_bias=False, name="sums")
    values = sums(keras.layers.Flatten()(network.output["feature_map"]))
    sums.set_weights([np.tile([[0.5, 1.0, 1.5]], (16, 1))])
    three = keras.Model(network.input, {**network.output, "class_logits": values})
    export.to_litert(three, tmp_path / "model.tflite")
    output = InterpreterPool(tmp_path / "model.tflite", workers=1).run(PICTURES[2:])
    total = float(PICTURES[2].sum())
    assert output["class_logits"][0] == pytest.approx([total, 2 * total, 3 * total])
    assert output["logit"][0] == pytest.approx([total / 2])
    assert output["feature_map"][0, ..., 0] == pytest.approx(2.0 * PICTURES[2])
    assert export.largest_logit_difference(three, tmp_path / "model.tflite", PICTURES) < 1e-3
