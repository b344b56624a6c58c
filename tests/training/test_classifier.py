"""The network: its size, its parts, and where its weights come from."""

from pathlib import Path
from urllib.error import URLError

import keras
import numpy as np
import pytest
import tensorflow as tf

from pneumo.inference.explanation import grad_cam
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier, StartingWeightsUnavailable
from pneumo.training.recipe import QUICK, SEED, Recipe

SEED_OFFLINE = SEED.changed(start="shipped")


@pytest.fixture(scope="module")
def seed(shipped_weights: Path) -> Classifier:
    return classifiers.build(SEED_OFFLINE, shipped=shipped_weights)


def parameters(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in weights)


def noise(count: int, *, size: int = 224) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size, size, 1)).astype(np.float32)


def test_the_seed_network_has_the_tutorials_parameters(seed: Classifier) -> None:
    # 7 × 7 × 1,280 features to 128 hidden units to one logit.
    head = 62_720 * 128 + 128 + 128 + 1
    assert parameters(seed.network.trainable_variables) == head
    assert parameters(seed.head.trainable_variables) == head
    # MobileNetV2 without its top, as in the paper's reference implementation.
    assert parameters(seed.network.non_trainable_weights) == 2_257_984
    assert seed.backbone.trainable_variables == []
    (dropout,) = (layer for layer in seed.head.layers if isinstance(layer, keras.layers.Dropout))
    assert dropout.rate == 0.3
    assert [layer.name for layer in seed.head.layers[1:]] == [
        *("flatten", "hidden", "dropout", "logit")
    ]
    assert seed.head.get_layer("hidden").activation is keras.activations.relu


def test_outputs(seed: Classifier) -> None:
    pictures = noise(2)
    output = seed.network.predict_on_batch(pictures)
    assert output["logit"].shape == (2, 1)
    assert output["feature_map"].shape == (2, 7, 7, 1280)
    assert output["feature_map"] == pytest.approx(seed.backbone.predict_on_batch(pictures))
    assert seed.head.predict_on_batch(output["feature_map"]) == pytest.approx(
        output["logit"], abs=1e-5
    )


def test_the_head_in_numpy_is_the_head_in_keras(seed: Classifier) -> None:
    output = seed.network.predict_on_batch(noise(3))
    head = classifiers.numpy_head(seed.head, SEED.head)
    for feature_map, logit in zip(output["feature_map"], output["logit"], strict=True):
        assert head.logit(feature_map) == pytest.approx(logit[0], abs=1e-5)


@pytest.mark.parametrize("recipe", [SEED_OFFLINE, QUICK], ids=lambda recipe: recipe.name)
def test_the_gradient_in_numpy_is_that_of_tensorflow(recipe: Recipe) -> None:
    keras.utils.set_random_seed(3)
    head = classifiers._head(recipe.head, (7, 7, 1280))
    features = np.random.default_rng(0).random((1, 7, 7, 1280), dtype=np.float32)
    with tf.GradientTape() as tape:
        feature_map = tf.constant(features)
        tape.watch(feature_map)
        logit = head(feature_map, training=False)
    expected = tape.gradient(logit, feature_map).numpy()[0]
    gradient = classifiers.numpy_head(head, recipe.head).gradient(features[0])
    assert np.abs(expected).max() > 0
    assert gradient == pytest.approx(expected, abs=1e-6)
    weights = expected.mean(axis=(0, 1))  # Grad-CAM as in the paper
    heat = np.maximum((features[0] * weights).sum(axis=-1), 0)
    assert grad_cam(features[0], gradient) == pytest.approx(heat / max(heat.max(), 1e-12), abs=1e-3)


def test_scaling(shipped_weights: Path) -> None:
    """Black, middle grey and white, as the backbone sees them."""
    for scaling, expected in (("unit", [0, 0.5, 1]), ("symmetric", [-1, 0, 1])):
        recipe = SEED_OFFLINE.changed(scaling=scaling, image_size=96)
        network = classifiers.build(recipe, shipped=shipped_weights).network
        colours = keras.Model(network.input, network.get_layer("grey_to_colour").output)
        pictures = np.full((3, 96, 96, 1), [[[[0]]], [[[127.5]]], [[[255]]]], np.float32)
        seen = colours.predict_on_batch(pictures)
        assert seen.shape == (3, 96, 96, 3)
        assert seen.reshape(3, -1) == pytest.approx(np.repeat([expected], 96 * 96 * 3, axis=0).T)


def test_the_seed_decides_the_fresh_head(shipped_weights: Path) -> None:
    recipes = [SEED_OFFLINE.changed(image_size=96, seed=seed) for seed in (4, 4, 5)]
    first, again, other = (
        classifiers.build(recipe, shipped=shipped_weights).head.get_layer("hidden").kernel.numpy()
        for recipe in recipes
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_shipped_backbone_is_copied(seed: Classifier, shipped_weights: Path) -> None:
    source = keras.saving.load_model(shipped_weights, compile=False)
    assert seed.started_from == "shipped"
    compared = 0
    for layer in seed.backbone.layers:
        for ours, theirs in zip(
            layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True
        ):
            assert np.array_equal(ours, theirs)
            compared += ours.size
    assert compared == 2_257_984


def test_the_digest_tells_backbones_apart(seed: Classifier) -> None:
    digest = classifiers.backbone_digest(seed, SEED_OFFLINE)
    assert digest == classifiers.backbone_digest(seed, SEED_OFFLINE.changed(seed=5, epochs=3))
    others = {
        classifiers.backbone_digest(seed, SEED_OFFLINE.changed(scaling="symmetric")),
        classifiers.backbone_digest(seed, SEED_OFFLINE.changed(image_size=96)),
    }
    assert len(others - {digest}) == 2


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ImageNet weights, and the exception that Keras raises for a failed download."""

    def get_file(*arguments: object, **options: object) -> None:
        try:
            raise URLError("no route to host")
        except URLError as error:
            raise Exception(f"URL fetch failure on https://…: None -- {error.reason}")  # noqa: B904

    monkeypatch.setattr(keras.src.applications.mobilenet_v2.file_utils, "get_file", get_file)


@pytest.mark.usefixtures("offline")
def test_imagenet_weights_that_cannot_be_had(shipped_weights: Path) -> None:
    with pytest.raises(StartingWeightsUnavailable) as refusal:
        classifiers.build(SEED.changed(image_size=96), shipped=shipped_weights)
    for words in ("no route to host", "KERAS_HOME", "--start shipped"):
        assert words in str(refusal.value)
    assert refusal.value.failure_code == "starting_weights"


@pytest.mark.usefixtures("offline")
def test_the_shipped_backbone_steps_in(shipped_weights: Path) -> None:
    recipe = SEED.changed(image_size=96, start="auto")
    assert classifiers.build(recipe, shipped=shipped_weights).started_from == "shipped"


def test_no_other_failure_passes_for_a_missing_download(
    shipped_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_file(*arguments: object, **options: object) -> None:
        raise ValueError("Incomplete or corrupted file detected")

    monkeypatch.setattr(keras.src.applications.mobilenet_v2.file_utils, "get_file", get_file)
    with pytest.raises(ValueError, match="corrupted file"):
        classifiers.build(SEED.changed(image_size=96, start="auto"), shipped=shipped_weights)


def test_a_download_through_a_dead_proxy(
    shipped_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real path through Keras, so that the exception above is the one that it raises."""
    weights_folder = tmp_path / "empty"
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: weights_folder)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StartingWeightsUnavailable, match="could not be downloaded"):
        classifiers.build(SEED.changed(image_size=96), shipped=shipped_weights)


def test_no_shipped_model(tmp_path: Path) -> None:
    with pytest.raises(StartingWeightsUnavailable, match=r"missing\.keras is missing.*--start im"):
        classifiers.build(SEED_OFFLINE.changed(image_size=96), shipped=tmp_path / "missing.keras")
