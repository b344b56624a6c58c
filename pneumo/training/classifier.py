"""The network: radiograph in, logit and last feature map out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.error import URLError

import keras
import numpy as np

from pneumo.inference import bundle
from pneumo.inference.bundle import BundleError
from pneumo.inference.explanation import DenseLayer, Head
from pneumo.settings import Settings
from pneumo.training.backbones import BACKBONES, Scaling
from pneumo.training.recipe import EARLIER_RUN, HeadDesign, Recipe

SCALING: dict[Scaling, tuple[list[float], list[float]]] = {
    "unit": ([1 / 255] * 3, [0.0] * 3),
    "symmetric": ([1 / 127.5] * 3, [-1.0] * 3),
    "standardized": (
        [1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)],
        [
            -mean / dev
            for mean, dev in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
        ],
    ),
}
"""Factors and offsets by colour channel, from grey levels 0 to 255 to what a recipe asks for."""


class StartingWeightsUnavailable(Exception):
    """The weights to start from cannot be had on this machine; the message says what can."""

    failure_code = "starting_weights"


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A flat network in two parts that share their layers with it.

    Attributes:
        network: radiographs, float32, shape (batch, size, size, 1), in grey levels 0 to 255, to
            {"logit": (batch, 1), "feature_map": (batch, rows, columns, channels)}; with three
            classes also "class_logits": (batch, 3).
        backbone: radiographs to the feature map.
        head: feature map to what the loss reads, shape (batch, 1): the logit, or (batch, 3): the
            logits of normal, bacterial and viral.
        started_from: "imagenet", "shipped", "random" or "run:NAME".
    """

    network: keras.Model
    backbone: keras.Model
    head: keras.Model
    started_from: str

    @property
    def trained(self) -> keras.Model:
        """Radiographs to what the loss reads: backbone and head in one."""
        outputs = self.network.output
        return keras.Model(self.network.input, outputs.get("class_logits", outputs["logit"]))

    def unfreeze(self, share: float) -> None:
        """Let the head and this share of the backbone's layers learn, counted from its output.

        Batch normalisation keeps the statistics and scales that the backbone came with: batches
        are too small and too unlike ImageNet to replace them. A backbone of random weights has
        nothing to keep.
        """
        layers = [layer for layer in self.backbone.layers if layer.weights]
        first = len(layers) - round(share * len(layers))
        for number, layer in enumerate(layers):
            normalises = isinstance(layer, keras.layers.BatchNormalization)
            frozen = normalises and self.started_from != "random"
            layer.trainable = number >= first and not frozen


def build(recipe: Recipe, *, settings: Settings) -> Classifier:
    """A classifier with a frozen backbone and a fresh head.

    Args:
        recipe: decides the backbone, its starting weights, and the head.
        settings: where the shipped model and earlier runs are.

    Raises:
        StartingWeightsUnavailable: the starting weights cannot be had.
    """
    keras.utils.set_random_seed(recipe.seed)
    radiographs = keras.Input((recipe.image_size, recipe.image_size, 1), name="radiograph")
    # ImageNet weights expect three colours.
    colour = keras.layers.Concatenate(name="grey_to_colour")([radiographs] * 3)
    factors, offsets = SCALING[recipe.input_scaling]
    scaled = keras.layers.Rescaling(factors, offset=offsets, name="scaling")(colour)
    backbone, started_from, head_source = _started_backbone(recipe, scaled, settings)
    feature_map = backbone.get_layer(BACKBONES[recipe.backbone].feature_map).output
    backbone = keras.Model(radiographs, feature_map, name="backbone")
    for layer in backbone.layers:
        layer.trainable = False
    head = _head(recipe, feature_map.shape[1:])
    if head_source is not None:
        _adopt_head(head, head_source)
    values = head(feature_map)
    outputs = {"logit": values, "feature_map": feature_map}
    if recipe.classes == 3:
        outputs |= {"logit": PneumoniaLogit(name="pneumonia")(values), "class_logits": values}
    network = keras.Model(radiographs, outputs, name="classifier")
    return Classifier(network=network, backbone=backbone, head=head, started_from=started_from)


@keras.saving.register_keras_serializable("pneumo")
class PneumoniaLogit(keras.layers.Layer):
    """From the logits of normal, bacterial and viral to the logit of pneumonia.

    log (p(bacterial) + p(viral)) - log p(normal): shape (batch, 3) to (batch, 1).
    """

    def call(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        """The logit of pneumonia."""
        pneumonia = keras.ops.logaddexp(logits[:, 1:2], logits[:, 2:3])
        return pneumonia - logits[:, 0:1]


def in_full_precision(classifier: Classifier, recipe: Recipe, settings: Settings) -> keras.Model:
    """The network in 32 bits, whatever it was trained in: only so it can be exported."""
    if classifier.network.compute_dtype == "float32":
        return classifier.network
    keras.mixed_precision.set_global_policy("float32")
    twin = build(recipe.changed(start="random"), settings=settings).network
    twin.set_weights(classifier.network.get_weights())
    return twin


def pneumonia_logits(values: np.ndarray) -> np.ndarray:
    """The logit of pneumonia of what a head gave, shape (images, 1 or 3) to (images,)."""
    if values.shape[1] == 1:
        return values[:, 0]
    return np.logaddexp(values[:, 1], values[:, 2]) - values[:, 0]


def numpy_head(head: keras.Model, design: HeadDesign) -> Head:
    """The head's weights outside Keras, for explanations."""
    layers = [
        DenseLayer(kernel=layer.kernel.numpy(), bias=layer.bias.numpy())
        for layer in head.layers
        if isinstance(layer, keras.layers.Dense)
    ]
    return Head(pooling=design.pooling, layers=tuple(layers))


def backbone_digest(classifier: Classifier, recipe: Recipe) -> str:
    """Identifies what maps radiographs to features: weights, input scaling and size."""
    names = f"{recipe.backbone} {recipe.input_scaling} {recipe.image_size}"
    content = hashlib.sha256(names.encode())
    for weights in classifier.backbone.get_weights():
        content.update(weights.tobytes())
    return content.hexdigest()[:16]


def _started_backbone(
    recipe: Recipe, scaled: keras.KerasTensor, settings: Settings
) -> tuple[keras.Model, str, keras.Model | None]:
    """The backbone, which weights it was given, and the network whose head is to be taken over."""
    if recipe.start == "random":
        return _backbone(recipe, scaled, None), "random", None
    if recipe.start.startswith(EARLIER_RUN):
        source = _load(
            lambda: bundle.find(settings, recipe.start.removeprefix(EARLIER_RUN)), recipe
        )
        return _with_weights_of(source, recipe, scaled), recipe.start, source
    if recipe.start != "shipped":
        try:
            return _backbone(recipe, scaled, "imagenet"), "imagenet", None
        except Exception as error:
            # Keras raises a bare Exception for a failed download, or what broke or stalled it;
            # nothing else may pass as one.
            reason = error.__context__ or error
            if not isinstance(reason, (URLError, ConnectionError, TimeoutError)):
                raise
            if recipe.start == "imagenet":
                raise StartingWeightsUnavailable(
                    "The ImageNet weights are not on this machine and could not be downloaded "
                    f"({reason}). Connect to the internet, point KERAS_HOME at a "
                    "folder that has them, or start from the shipped model's backbone "
                    "(`--start shipped`)."
                ) from error
    folder = settings.shipped_models / bundle.DEFAULT_MODEL
    source = _load(lambda: bundle.load(folder), recipe)
    return _with_weights_of(source, recipe, scaled), "shipped", None


def _load(find: Callable[[], bundle.Bundle], recipe: Recipe) -> keras.Model:
    """The network of a bundle with the recipe's backbone; the bundle's hashes are checked."""
    try:
        source = find()
    except BundleError as error:
        raise StartingWeightsUnavailable(
            f"There is no model to start from: {error} Or start from ImageNet weights "
            "(`--start imagenet`)."
        ) from error
    if source.card.recipe["backbone"] != recipe.backbone:
        raise StartingWeightsUnavailable(
            f"`start` must be a model with the backbone {recipe.backbone}. Received: "
            f"{source.card.name}, a {source.card.recipe['backbone']}. Start from ImageNet weights "
            "(`--start imagenet`), or choose that backbone."
        )
    return keras.saving.load_model(source.keras, compile=False, safe_mode=True)


def _with_weights_of(source: keras.Model, recipe: Recipe, scaled: keras.KerasTensor) -> keras.Model:
    model = _backbone(recipe, scaled, None)
    known = {layer.name: layer for layer in source.layers}
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(known[layer.name].get_weights())
    return model


def _adopt_head(head: keras.Model, source: keras.Model) -> None:
    """Take over the head of an earlier run, where it is of the same design."""
    weights = source.get_layer("head").get_weights()
    if [array.shape for array in weights] == [array.shape for array in head.get_weights()]:
        head.set_weights(weights)


def _backbone(recipe: Recipe, scaled: keras.KerasTensor, weights: str | None) -> keras.Model:
    backbone = BACKBONES[recipe.backbone]
    return getattr(keras.applications, backbone.name)(
        include_top=False,
        weights=weights,
        input_tensor=scaled,
        input_shape=scaled.shape[1:],
        **backbone.arguments,
    )


def _head(recipe: Recipe, feature_map_shape: tuple[int, int, int]) -> keras.Model:
    layers, design = keras.layers, recipe.head
    if design.pooling == "flatten":
        features = keras.Input(feature_map_shape, name="feature_map")
        value = layers.Flatten(name="flatten")(features)
    else:
        # Any height and width: a map that is pooled already passes as one of 1 × 1.
        features = keras.Input((None, None, feature_map_shape[-1]), name="feature_map")
        value = layers.GlobalAveragePooling2D(name="average")(features)
    if design.hidden_units:
        value = layers.Dense(design.hidden_units, activation="relu", name="hidden")(value)
    if design.dropout:
        value = layers.Dropout(design.dropout, name="dropout")(value)
    outputs = 1 if recipe.classes == 2 else recipe.classes
    # Full precision whatever the backbone computes in.
    logits = layers.Dense(outputs, name="logit", dtype="float32")(value)
    return keras.Model(features, logits, name="head")
