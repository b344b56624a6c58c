"""A recipe: everything that decides a training, as one value that can be stored and compared."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

StartingWeights = Literal["imagenet", "shipped", "auto"]
STARTING_WEIGHTS: tuple[StartingWeights, ...] = ("imagenet", "shipped", "auto")


class InvalidRecipe(ValueError):
    """A value in a recipe breaks a rule; the message names argument, rule and received value."""


def _check(argument: str, value: Any, rule: str, holds: Callable[[Any], bool]) -> None:
    try:
        valid = holds(value)
    except TypeError:  # text where a number belongs, and the like
        valid = False
    if not valid:
        raise InvalidRecipe(f"`{argument}` must be {rule}. Received: {argument}={value!r}")


def _check_whole(argument: str, value: Any, lowest: int, highest: int) -> None:
    rule = f"a whole number between {lowest} and {highest}"
    _check(argument, value, rule, lambda x: isinstance(x, int) and lowest <= x <= highest)


def _check_switch(argument: str, value: Any) -> None:
    _check(argument, value, "True or False", lambda x: isinstance(x, bool))


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of a training picture; zero or False switches one off.

    Attributes:
        rotation: largest angle either way, in degrees.
        zoom: largest relative change of scale, drawn for each axis on its own, so that
            it also stretches.
        shear: largest shear angle either way, in degrees.
        shift: largest move either way along each axis, as a share of the side.
        horizontal_flip: mirror half of the pictures.
        contrast: largest relative change of contrast either way.
        gamma: largest change of log2(gamma) either way.
        blur: largest resolution loss: the picture is reduced by up to 1 + blur and enlarged again.
    """

    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    horizontal_flip: bool = False
    contrast: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        _check("rotation", self.rotation, "between 0 and 180 degrees", lambda x: 0 <= x <= 180)
        _check("zoom", self.zoom, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("shear", self.shear, "at least 0 and below 90 degrees", lambda x: 0 <= x < 90)
        _check("shift", self.shift, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check_switch("horizontal_flip", self.horizontal_flip)
        _check("contrast", self.contrast, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("gamma", self.gamma, "between 0 and 3", lambda x: 0 <= x <= 3)
        _check("blur", self.blur, "between 0 and 7", lambda x: 0 <= x <= 7)


@dataclass(frozen=True, kw_only=True)
class HeadDesign:
    """What turns the last feature map into a logit.

    Attributes:
        pooling: "flatten" keeps every position, "average" is global average pooling.
        hidden_units: width of a hidden ReLU layer; 0 for none.
        dropout: share of the inputs of the last layer that is dropped while training.
    """

    pooling: Literal["flatten", "average"] = "average"
    hidden_units: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check(
            "pooling", self.pooling, "'flatten' or 'average'", ("flatten", "average").__contains__
        )
        _check_whole("hidden_units", self.hidden_units, 0, 4096)
        _check("dropout", self.dropout, "at least 0 and below 1", lambda x: 0 <= x < 1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training.

    Attributes:
        name: the preset it came from, or the user's own name for it.
        scaling: what the network does first with grey levels 0 to 255: "unit" maps them to
            [0, 1], "symmetric" to [-1, 1] as MobileNetV2 was trained.
        start: weights that the backbone starts from. "auto" takes the shipped
            model's backbone where the ImageNet weights cannot be had, and says so.
        cached_views: 0 runs the frozen backbone on freshly augmented pictures in every epoch;
            n computes its features once, for n augmented views of each picture, and trains the
            head on those.
        class_weights: weigh both classes alike in the loss, however many pictures each has.
        validation_share: share of the patients in `train` that is set apart for validation.
        seed: of the split, the initial weights, the order and the augmentation.
    """

    name: str
    backbone: Literal["MobileNetV2"] = "MobileNetV2"
    image_size: int = 224
    scaling: Literal["unit", "symmetric"] = "symmetric"
    start: StartingWeights = "imagenet"
    head: HeadDesign = field(default_factory=HeadDesign)
    augmentation: Augmentation = field(default_factory=Augmentation)
    cached_views: int = 0
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    class_weights: bool = False
    validation_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        _check("name", self.name, "1 to 40 characters", lambda x: 1 <= len(x) <= 40)
        _check("backbone", self.backbone, "'MobileNetV2'", lambda x: x == "MobileNetV2")
        _check(
            "image_size",
            self.image_size,
            "a multiple of 32 between 96 and 512",
            lambda x: isinstance(x, int) and 96 <= x <= 512 and x % 32 == 0,
        )
        _check("scaling", self.scaling, "'unit' or 'symmetric'", ("unit", "symmetric").__contains__)
        _check("start", self.start, f"one of {STARTING_WEIGHTS}", STARTING_WEIGHTS.__contains__)
        _check_whole("cached_views", self.cached_views, 0, 64)
        _check_whole("epochs", self.epochs, 1, 1000)
        _check_whole("batch_size", self.batch_size, 1, 1024)
        _check("learning_rate", self.learning_rate, "above 0, at most 1", lambda x: 0 < x <= 1)
        _check("weight_decay", self.weight_decay, "at least 0, below 1", lambda x: 0 <= x < 1)
        _check_switch("class_weights", self.class_weights)
        _check(
            "validation_share",
            self.validation_share,
            "between 0.05 and 0.5",
            lambda x: 0.05 <= x <= 0.5,
        )
        _check_whole("seed", self.seed, 0, 2**31 - 1)

    def changed(self, **values: Any) -> Self:
        """A copy with other values.

        Raises:
            InvalidRecipe: a value breaks a rule.
        """
        return dataclasses.replace(self, **values)

    def to_json(self) -> str:
        """The recipe as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `dataclasses.asdict` (or `Recipe.to_json`) wrote.

    Raises:
        InvalidRecipe: an unknown or missing name, or a value that breaks a rule.
    """
    try:
        values = dict(**values)  # a TypeError where JSON held no object
        head = HeadDesign(**values.get("head", {}))
        augmentation = Augmentation(**values.get("augmentation", {}))
        return Recipe(**{**values, "head": head, "augmentation": augmentation})
    except TypeError as error:
        raise InvalidRecipe(
            f"A recipe must hold the fields of `Recipe` and no others. Received: {error}"
        ) from error


SEED = Recipe(
    name="seed",
    scaling="unit",
    head=HeadDesign(pooling="flatten", hidden_units=128, dropout=0.3),
    augmentation=Augmentation(rotation=20, zoom=0.2, shear=0.2, horizontal_flip=True),
)
"""The tutorial that most people start from, exactly: a baseline to beat."""

QUICK = Recipe(
    name="quick",
    start="auto",
    head=HeadDesign(pooling="average", dropout=0.2),
    augmentation=Augmentation(
        rotation=10, zoom=0.2, shear=5, shift=0.05, horizontal_flip=True, contrast=0.2, gamma=0.5
    ),
    cached_views=2,
    epochs=40,
    batch_size=64,
    class_weights=True,
)
"""Features of the frozen backbone once, then a small head on them: minutes on a laptop."""

OPTIONS = ("name", "start", "epochs", "batch_size", "learning_rate", "seed")
"""What the command line and the page let people change in a preset."""

PRESETS = {recipe.name: recipe for recipe in (QUICK, SEED)}
