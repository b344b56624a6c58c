"""The backbones that a recipe can name, and what each of them is fed.

Keras is looked up by name when a network is built: pages list backbones without TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scaling = Literal["unit", "symmetric", "standardized"]
"""What a network does first with grey levels 0 to 255: map them to [0, 1], to [-1, 1], or to
[0, 1] and then to zero mean and unit variance of each ImageNet colour channel."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A convolutional network without its classification layers.

    Attributes:
        name: of its builder in `keras.applications`.
        scaling: of the input, as its ImageNet weights expect it.
        feature_map: name of the layer that gives the last feature map, 1/32 of the input's side.
        arguments: of the builder, besides weights and input.
    """

    name: str
    scaling: Scaling
    feature_map: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


BACKBONES: Mapping[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        # Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
        Backbone(name="MobileNetV2", scaling="symmetric", feature_map="out_relu"),
        # Tan and Le, EfficientNetV2: Smaller Models and Faster Training, ICML 2021.
        Backbone(
            name="EfficientNetV2B0",
            scaling="standardized",
            feature_map="top_activation",
            arguments={"include_preprocessing": False},
        ),
        # Huang et al., Densely Connected Convolutional Networks, CVPR 2017.
        Backbone(name="DenseNet121", scaling="standardized", feature_map="relu"),
    )
}
