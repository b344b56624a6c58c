"""The network: radiograph in, logit and last feature map out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import keras

from pneumo.inference.explanation import DenseLayer, Head
from pneumo.training.recipe import HeadDesign, Recipe

SCALING = {"unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}
"""Factor and offset that bring grey levels 0 to 255 into the range that a recipe asks for."""


class StartingWeightsUnavailable(Exception):
    """The weights to start from cannot be had on this machine; the message says what can."""

    failure_code = "starting_weights"


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A flat network in two parts that share their layers with it.

    Attributes:
        network: radiographs, float32, shape (batch, size, size, 1), in grey levels 0 to 255, to
            {"logit": (batch, 1), "feature_map": (batch, rows, columns, channels)}.
        backbone: radiographs to the feature map.
        head: feature map to the logit.
        started_from: "imagenet" or "shipped".
    """

    network: keras.Model
    backbone: keras.Model
    head: keras.Model
    started_from: str


def build(recipe: Recipe, *, shipped: Path) -> Classifier:
    """A classifier with a frozen backbone and a fresh head.

    Args:
        recipe: decides the backbone, its starting weights, and the head.
        shipped: `model.keras` of the shipped model.

    Raises:
        StartingWeightsUnavailable: the starting weights cannot be had.
    """
    keras.utils.set_random_seed(recipe.seed)
    radiographs = keras.Input((recipe.image_size, recipe.image_size, 1), name="radiograph")
    factor, offset = SCALING[recipe.scaling]
    grey = keras.layers.Rescaling(factor, offset=offset, name="scaling")(radiographs)
    # ImageNet weights expect three colours.
    colour = keras.layers.Concatenate(name="grey_to_colour")([grey, grey, grey])
    feature_map, started_from = _backbone(recipe, colour, shipped=shipped)
    backbone = keras.Model(radiographs, feature_map, name="backbone")
    backbone.trainable = False
    head = _head(recipe.head, feature_map.shape[1:])
    network = keras.Model(
        radiographs, {"logit": head(feature_map), "feature_map": feature_map}, name="classifier"
    )
    return Classifier(network=network, backbone=backbone, head=head, started_from=started_from)


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
    content = hashlib.sha256(f"{recipe.backbone} {recipe.scaling} {recipe.image_size}".encode())
    for weights in classifier.backbone.get_weights():
        content.update(weights.tobytes())
    return content.hexdigest()[:16]


def _backbone(
    recipe: Recipe, colour: keras.KerasTensor, *, shipped: Path
) -> tuple[keras.KerasTensor, str]:
    """The last feature map, and which weights it was given."""
    if recipe.start != "shipped":
        try:
            return _mobilenet_v2(colour, "imagenet").output, "imagenet"
        except Exception as error:
            # Keras raises a bare Exception for a failed download; nothing else may pass as one.
            if not isinstance(error.__context__, URLError):
                raise
            if recipe.start == "imagenet":
                raise StartingWeightsUnavailable(
                    "The ImageNet weights are not on this machine and could not be downloaded "
                    f"({error.__context__}). Connect to the internet, point KERAS_HOME at a "
                    "folder that has them, or start from the shipped model's backbone "
                    "(`--start shipped`)."
                ) from error
    if not shipped.is_file():
        raise StartingWeightsUnavailable(
            f"There is no shipped model to start from: {shipped} is missing. Restore `models/` "
            "from the repository, or start from ImageNet weights (`--start imagenet`)."
        )
    model = _mobilenet_v2(colour, None)
    source = keras.saving.load_model(shipped, compile=False, safe_mode=True)
    known = {layer.name: layer for layer in source.layers}
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(known[layer.name].get_weights())
    return model.output, "shipped"


def _mobilenet_v2(colour: keras.KerasTensor, weights: str | None) -> keras.Model:
    return keras.applications.MobileNetV2(
        include_top=False, weights=weights, input_tensor=colour, input_shape=colour.shape[1:]
    )


def _head(design: HeadDesign, feature_map_shape: tuple[int, int, int]) -> keras.Model:
    layers = keras.layers
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
    logit = layers.Dense(1, name="logit")(value)
    return keras.Model(features, logit, name="head")
