"""Every backbone of the registry: builds, is fed as documented, thaws, and tells causes apart."""

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pneumo import export
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import packaging
from pneumo.training.backbones import BACKBONES
from pneumo.training.classifier import Classifier
from pneumo.training.recipe import HeadDesign, Recipe

PARAMETERS = {"MobileNetV2": 2_257_984, "EfficientNetV2B0": 5_919_312, "DenseNet121": 7_037_504}
"""Without the classification layers, as `keras.applications` documents them."""

CHANNELS = {"MobileNetV2": 1280, "EfficientNetV2B0": 1280, "DenseNet121": 1024}

# Of ImageNet, by colour channel, on a scale from 0 to 1.
MEANS, DEVIATIONS = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def recipe_of(backbone: str, **changes: object) -> Recipe:
    values = {"image_size": 96, "start": "random", "classes": 3, **changes}
    return Recipe(name=backbone, backbone=backbone, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=BACKBONES)
def built(request: pytest.FixtureRequest, shipped: Settings) -> tuple[str, Classifier]:
    """Each backbone of random weights, with three classes."""
    return request.param, classifiers.build(recipe_of(request.param), settings=shipped)


def noise(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 96, 96, 1)).astype(np.float32)


def parameters(variables: list[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_the_registry_names_builders_of_keras() -> None:
    for name, backbone in BACKBONES.items():
        assert backbone.name == name
        accepted = inspect.signature(getattr(keras.applications, name)).parameters
        assert set(backbone.arguments) <= set(accepted)


def test_its_parts(built: tuple[str, Classifier]) -> None:
    name, classifier = built
    assert classifier.started_from == "random"
    # 96 / 32 = 3 positions along each side.
    assert classifier.backbone.output.shape == (None, 3, 3, CHANNELS[name])
    assert classifier.backbone.layers[-1].name == BACKBONES[name].feature_map
    assert parameters(classifier.backbone.weights) == PARAMETERS[name]
    assert classifier.backbone.trainable_variables == []
    assert parameters(classifier.head.trainable_variables) == 3 * (CHANNELS[name] + 1)
    assert {key: value.shape for key, value in classifier.network.output.items()} == {
        "logit": (None, 1),
        "class_logits": (None, 3),
        "feature_map": (None, 3, 3, CHANNELS[name]),
    }
    assert classifier.trained.output.shape == (None, 3)


def test_it_is_fed_as_its_weights_expect_it(built: tuple[str, Classifier]) -> None:
    name, classifier = built
    network = classifier.network
    scaled = keras.Model(network.input, network.get_layer("scaling").output)
    black, grey, white = scaled.predict_on_batch(
        np.broadcast_to(np.array([0, 127.5, 255])[:, None, None, None], (3, 96, 96, 1))
    )[:, 5, 7]
    expected = {
        "MobileNetV2": np.array([[-1] * 3, [0] * 3, [1] * 3]),
        "EfficientNetV2B0": (np.array([[0], [0.5], [1]]) - MEANS) / DEVIATIONS,
        "DenseNet121": (np.array([[0], [0.5], [1]]) - MEANS) / DEVIATIONS,
    }[name]
    assert np.array([black, grey, white]) == pytest.approx(expected, abs=1e-5)
    # Which is what Keras does before these weights, whatever the module calls it.
    module = {"EfficientNetV2B0": "densenet"}.get(name, name.lower().replace("121", ""))
    module = {"mobilenetv2": "mobilenet_v2"}.get(module, module)
    preprocess = getattr(keras.applications, module).preprocess_input
    assert preprocess(np.full((1, 1, 3), 64.0))[0, 0] == pytest.approx(
        scaled.predict_on_batch(np.full((1, 96, 96, 1), 64.0))[0, 0, 0], abs=1e-4
    )


def test_nothing_scales_a_second_time(built: tuple[str, Classifier]) -> None:
    _, classifier = built
    scales = (keras.layers.Rescaling, keras.layers.Normalization)
    found = [layer.name for layer in classifier.backbone.layers if isinstance(layer, scales)]
    assert found == ["scaling"]


def test_the_logit_of_pneumonia_is_that_of_both_causes(built: tuple[str, Classifier]) -> None:
    _, classifier = built
    classifier.head.get_layer("logit").bias.assign([0.5, -1.0, 2.0])
    output = classifier.network.predict_on_batch(noise(4))
    normal, bacterial, viral = tf.nn.softmax(output["class_logits"]).numpy().T
    assert output["logit"][:, 0] == pytest.approx(
        np.log(bacterial + viral) - np.log(normal), abs=1e-4
    )
    assert classifiers.pneumonia_logits(output["class_logits"]) == pytest.approx(
        output["logit"][:, 0], abs=1e-5
    )
    assert classifiers.pneumonia_logits(output["logit"]) == pytest.approx(output["logit"][:, 0])
    again = classifier.trained.predict_on_batch(noise(4))
    assert again == pytest.approx(output["class_logits"], abs=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("started_from", ["random", "imagenet", "run:x"])
def test_a_share_of_the_layers_thaws(
    built: tuple[str, Classifier], share: float, started_from: str
) -> None:
    _, random = built
    classifier = Classifier(
        network=random.network,
        backbone=random.backbone,
        head=random.head,
        started_from=started_from,
    )
    classifier.unfreeze(share)
    layers = [layer for layer in classifier.backbone.layers if layer.weights]
    thawed = round(share * len(layers))
    for place, layer in enumerate(reversed(layers)):  # from the output
        learns = place < thawed
        if isinstance(layer, keras.layers.BatchNormalization) and started_from != "random":
            learns = False
        assert layer.trainable == learns, layer.name
        assert bool(layer.trainable_variables) == learns, layer.name
    assert len(classifier.head.trainable_variables) == 2
    learning = {id(variable) for variable in classifier.trained.trainable_variables}
    expected = [*classifier.backbone.trainable_variables, *classifier.head.trainable_variables]
    assert learning == {id(variable) for variable in expected}
    # And back.
    classifier.unfreeze(0)
    assert classifier.backbone.trainable_variables == []


def test_frozen_batch_normalisation_keeps_its_statistics(shipped: Settings) -> None:
    for started_from, kept in (("imagenet", True), ("random", False)):
        random = classifiers.build(recipe_of("MobileNetV2", classes=2), settings=shipped)
        classifier = Classifier(
            network=random.network,
            backbone=random.backbone,
            head=random.head,
            started_from=started_from,
        )
        classifier.unfreeze(1.0)
        layer = classifier.backbone.get_layer("bn_Conv1")
        before = layer.moving_mean.numpy().copy()
        classifier.trained(noise(2), training=True)
        assert np.array_equal(layer.moving_mean.numpy(), before) == kept


# The head outside Keras -----------------------------------------------------------------

DESIGNS = [
    HeadDesign(pooling=pooling, hidden_units=hidden)
    for pooling in ("average", "flatten")
    for hidden in (0, 6)
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda it: f"{it.pooling}-{it.hidden_units}")
def test_a_head_of_three_outputs_in_numpy_is_that_of_tensorflow(design: HeadDesign) -> None:
    keras.utils.set_random_seed(3)
    recipe = recipe_of("MobileNetV2", head=design)
    head = classifiers._head(recipe, (3, 4, 8))
    head.get_layer("logit").bias.assign([0.5, -1.0, 2.0])
    features = np.random.default_rng(0).normal(size=(1, 3, 4, 8)).astype(np.float32)
    pneumonia = classifiers.PneumoniaLogit()
    with tf.GradientTape() as tape:
        feature_map = tf.constant(features)
        tape.watch(feature_map)
        logit = pneumonia(head(feature_map, training=False))
    expected = tape.gradient(logit, feature_map).numpy()[0]
    found = classifiers.numpy_head(head, design)
    assert found.logit(features[0]) == pytest.approx(float(logit[0, 0]), abs=1e-5)
    assert np.abs(expected).max() > 0
    assert found.gradient(features[0]) == pytest.approx(expected, abs=1e-6)


def test_the_logit_layer_by_hand() -> None:
    layer = classifiers.PneumoniaLogit()
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.5, 0.25, 0.25], [0.9, 0.1, 1e-30]], np.float32))
    found = layer(logits).numpy()
    assert found[:, 0] == pytest.approx([np.log(0.8 / 0.2), 0, np.log(0.1 / 0.9)], abs=1e-5)
    extreme = layer(np.array([[0, 500, 500], [500, 0, -500]], np.float32)).numpy()[:, 0]
    assert extreme == pytest.approx([500 + np.log(2), -500])


# Exported -------------------------------------------------------------------------------


def test_it_answers_alike_in_litert(built: tuple[str, Classifier], tmp_path: Path) -> None:
    _, classifier = built
    export.to_litert(classifier.network, tmp_path / "model.tflite")
    pictures = noise(2)[..., 0].astype(np.uint8)
    difference = export.largest_logit_difference(
        classifier.network, tmp_path / "model.tflite", pictures
    )
    assert difference < packaging.LARGEST_LOGIT_DIFFERENCE
    found = InterpreterPool(tmp_path / "model.tflite", workers=1, batch=2).run(pictures)
    expected = classifier.network.predict_on_batch(pictures[..., np.newaxis].astype(np.float32))
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=0.01 * float(np.abs(values).max())), name
