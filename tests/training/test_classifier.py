"""The network: its size, its parts, and where its weights come from."""

import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import keras
import numpy as np
import pytest
import tensorflow as tf

from pneumo.inference import bundle
from pneumo.inference.card import ModelCard
from pneumo.inference.explanation import grad_cam
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training.classifier import Classifier, StartingWeightsUnavailable
from pneumo.training.recipe import QUICK, SEED, HeadDesign, Recipe

SEED_OFFLINE = SEED.changed(start="shipped")


@pytest.fixture(scope="module")
def seed(shipped: Settings) -> Classifier:
    return classifiers.build(SEED_OFFLINE, settings=shipped)


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
    head = classifiers._head(recipe, (7, 7, 1280))
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


def test_scaling(shipped: Settings) -> None:
    """Black, middle grey and white, as the backbone sees them."""
    for scaling, expected in (
        ("unit", [0, 0.5, 1]),
        ("symmetric", [-1, 0, 1]),
        ("backbone", [-1, 0, 1]),  # as MobileNetV2 wants it
    ):
        recipe = SEED_OFFLINE.changed(scaling=scaling, image_size=96)
        network = classifiers.build(recipe, settings=shipped).network
        colours = keras.Model(network.input, network.get_layer("scaling").output)
        pictures = np.full((3, 96, 96, 1), [[[[0]]], [[[127.5]]], [[[255]]]], np.float32)
        seen = colours.predict_on_batch(pictures)
        assert seen.shape == (3, 96, 96, 3)
        assert seen.reshape(3, -1) == pytest.approx(np.repeat([expected], 96 * 96 * 3, axis=0).T)


def test_the_seed_decides_the_fresh_head(shipped: Settings) -> None:
    recipes = [SEED_OFFLINE.changed(image_size=96, seed=seed) for seed in (4, 4, 5)]
    first, again, other = (
        classifiers.build(recipe, settings=shipped).head.get_layer("hidden").kernel.numpy()
        for recipe in recipes
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def equal_weights(classifier: Classifier, source: keras.Model) -> int:
    """How many numbers of the backbone were compared, all of them equal."""
    compared = 0
    for layer in classifier.backbone.layers:
        if not layer.weights:
            continue
        for ours, theirs in zip(
            layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True
        ):
            assert np.array_equal(ours, theirs)
            compared += ours.size
    return compared


def test_the_shipped_backbone_is_copied(seed: Classifier, shipped: Settings) -> None:
    source = keras.saving.load_model(bundle.find(shipped).keras, compile=False)
    assert seed.started_from == "shipped"
    assert equal_weights(seed, source) == 2_257_984


def test_the_digest_tells_backbones_apart(seed: Classifier) -> None:
    digest = classifiers.backbone_digest(seed, SEED_OFFLINE)
    assert digest == classifiers.backbone_digest(seed, SEED_OFFLINE.changed(seed=5, epochs=3))
    others = {
        classifiers.backbone_digest(seed, SEED_OFFLINE.changed(scaling="symmetric")),
        classifiers.backbone_digest(seed, SEED_OFFLINE.changed(image_size=96)),
        classifiers.backbone_digest(seed, SEED_OFFLINE.changed(backbone="DenseNet121")),
    }
    assert len(others - {digest}) == 3
    kernel = seed.backbone.get_layer("Conv1").kernel
    before = kernel.numpy()
    kernel.assign_add(np.full(kernel.shape, 1e-6))
    assert classifiers.backbone_digest(seed, SEED_OFFLINE) != digest
    kernel.assign(before)
    assert classifiers.backbone_digest(seed, SEED_OFFLINE) == digest


# An earlier run to start from -----------------------------------------------------------

MakeBundle = Callable[..., keras.Model]


@pytest.fixture
def make_bundle(installation: Settings, shipped: Settings) -> MakeBundle:
    """Makes the bundle of a run of the given name and recipe; gives its network."""
    card = bundle.find(shipped).card

    def make(name: str, recipe: Recipe) -> keras.Model:
        network = classifiers.build(recipe, settings=shipped).network
        folder = installation.runs / name / "bundle"
        folder.mkdir(parents=True)
        network.save(folder / bundle.KERAS)
        for other in (bundle.LITERT, bundle.HEAD, bundle.GATE, bundle.RECIPE):
            (folder / other).write_text(other)
        files = (bundle.KERAS, bundle.LITERT, bundle.HEAD, bundle.GATE, bundle.RECIPE)
        described: ModelCard = dataclasses.replace(
            card,
            name=name,
            recipe={**card.recipe, "backbone": recipe.backbone},
            files={file: bundle.sha256(folder / file) for file in files},
        )
        bundle.write_card(folder, described)
        return network

    return make


RANDOM = QUICK.changed(start="random", image_size=96)


@pytest.mark.parametrize("classes", [2, 3])
def test_an_earlier_run_gives_backbone_and_head(
    make_bundle: MakeBundle, installation: Settings, classes: int
) -> None:
    source = make_bundle("sparrow", RANDOM.changed(seed=5, classes=classes))
    recipe = RANDOM.changed(start="run:sparrow", seed=6, classes=classes)
    classifier = classifiers.build(recipe, settings=installation)
    assert classifier.started_from == "run:sparrow"
    assert equal_weights(classifier, source) == 2_257_984
    pictures = noise(2, size=96)
    found = classifier.network.predict_on_batch(pictures)
    for name, expected in source.predict_on_batch(pictures).items():
        assert found[name] == pytest.approx(expected, abs=1e-5), name


@pytest.mark.parametrize(
    "changes", [{"classes": 3}, {"head": HeadDesign(pooling="average", hidden_units=8)}]
)
def test_a_head_of_another_design_is_fresh(
    make_bundle: MakeBundle, installation: Settings, changes: dict[str, object]
) -> None:
    source = make_bundle("sparrow", RANDOM.changed(seed=5))
    recipe = RANDOM.changed(start="run:sparrow", **changes)
    classifier = classifiers.build(recipe, settings=installation)
    assert equal_weights(classifier, source) == 2_257_984
    fresh = classifiers.build(recipe.changed(start="random"), settings=installation)
    found, expected = classifier.head.get_weights(), fresh.head.get_weights()
    assert [array.shape for array in found] == [array.shape for array in expected]
    assert not np.array_equal(found[-2], source.get_layer("head").get_weights()[-2])


def test_an_earlier_run_of_another_size(make_bundle: MakeBundle, installation: Settings) -> None:
    source = make_bundle("sparrow", RANDOM.changed(seed=5))
    recipe = RANDOM.changed(start="run:sparrow", image_size=128)
    classifier = classifiers.build(recipe, settings=installation)
    assert equal_weights(classifier, source) == 2_257_984
    assert classifier.backbone.output.shape == (None, 4, 4, 1280)


def test_a_run_that_cannot_be_started_from(make_bundle: MakeBundle, installation: Settings) -> None:
    with pytest.raises(StartingWeightsUnavailable, match="No model is named 'eagle'") as refusal:
        classifiers.build(RANDOM.changed(start="run:eagle"), settings=installation)
    assert "--start imagenet" in str(refusal.value)
    make_bundle("sparrow", RANDOM)
    other = RANDOM.changed(start="run:sparrow", backbone="EfficientNetV2B0")
    with pytest.raises(StartingWeightsUnavailable, match="sparrow, a MobileNetV2"):
        classifiers.build(other, settings=installation)
    (installation.runs / "sparrow/bundle" / bundle.KERAS).write_text("altered")
    with pytest.raises(StartingWeightsUnavailable, match="SHA-256 differs"):
        classifiers.build(RANDOM.changed(start="run:sparrow"), settings=installation)


# Weights that cannot be had --------------------------------------------------------------


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
def test_imagenet_weights_that_cannot_be_had(shipped: Settings) -> None:
    with pytest.raises(StartingWeightsUnavailable) as refusal:
        classifiers.build(SEED.changed(image_size=96), settings=shipped)
    for words in ("no route to host", "KERAS_HOME", "--start shipped"):
        assert words in str(refusal.value)
    assert refusal.value.failure_code == "starting_weights"


@pytest.mark.usefixtures("offline")
def test_the_shipped_backbone_steps_in(shipped: Settings) -> None:
    recipe = SEED.changed(image_size=96, start="auto")
    assert classifiers.build(recipe, settings=shipped).started_from == "shipped"


def test_no_other_failure_passes_for_a_missing_download(
    shipped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_file(*arguments: object, **options: object) -> None:
        raise ValueError("Incomplete or corrupted file detected")

    monkeypatch.setattr(keras.src.applications.mobilenet_v2.file_utils, "get_file", get_file)
    with pytest.raises(ValueError, match="corrupted file"):
        classifiers.build(SEED.changed(image_size=96, start="auto"), settings=shipped)


def test_a_download_through_a_dead_proxy(
    shipped: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real path through Keras, so that the exception above is the one that it raises."""
    weights_folder = tmp_path / "empty"
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: weights_folder)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StartingWeightsUnavailable, match="could not be downloaded"):
        classifiers.build(SEED.changed(image_size=96), settings=shipped)


def test_a_download_that_stalls(
    shipped: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real path through Keras to a server that takes the call and says nothing."""
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mobilenet = keras.src.applications.mobilenet_v2
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", address)
        socket.setdefaulttimeout(0.2)
        try:
            with pytest.raises(StartingWeightsUnavailable, match=r"downloaded \(timed out"):
                classifiers.build(SEED.changed(image_size=96), settings=shipped)
        finally:
            socket.setdefaulttimeout(None)


def test_no_shipped_model(installation: Settings, tmp_path: Path) -> None:
    nowhere = dataclasses.replace(installation, shipped_models=tmp_path / "nowhere")
    with pytest.raises(StartingWeightsUnavailable, match=r"no model to start.*--start imagenet"):
        classifiers.build(SEED_OFFLINE.changed(image_size=96), settings=nowhere)


def test_the_shipped_model_has_its_own_backbone_only(shipped: Settings) -> None:
    recipe = SEED_OFFLINE.changed(image_size=96, backbone="DenseNet121")
    with pytest.raises(StartingWeightsUnavailable) as refusal:
        classifiers.build(recipe, settings=shipped)
    for words in ("the backbone DenseNet121. Received", "a MobileNetV2", "--start imagenet"):
        assert words in str(refusal.value)


# Precision ------------------------------------------------------------------------------


def test_a_network_in_half_precision_is_exported_in_full(shipped: Settings) -> None:
    recipe = RANDOM.changed(classes=3)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        half = classifiers.build(recipe, settings=shipped)
        assert half.backbone.layers[-1].compute_dtype == "float16"
        assert half.head.get_layer("logit").compute_dtype == "float32"
        full = classifiers.in_full_precision(half, recipe, shipped)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in full.layers} == {"float32"}
    for ours, theirs in zip(full.get_weights(), half.network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs) and ours.dtype == np.float32
    pictures = noise(2, size=96)
    expected = half.network.predict_on_batch(pictures)["logit"]
    assert full.predict_on_batch(pictures)["logit"] == pytest.approx(expected, abs=0.05)


def test_a_network_in_full_precision_is_exported_itself(
    seed: Classifier, shipped: Settings
) -> None:
    assert classifiers.in_full_precision(seed, SEED_OFFLINE, shipped) is seed.network
