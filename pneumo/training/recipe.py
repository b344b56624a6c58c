"""A recipe: everything that decides a training, as one value that can be stored and compared."""

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pneumo.settings import Settings, write_text
from pneumo.training.backbones import BACKBONES, Scaling

STARTING_WEIGHTS = ("imagenet", "shipped", "auto", "random")
"""Starting weights besides `run:NAME`, an earlier run."""
EARLIER_RUN = "run:"

OPTIONS = ("name", "start", "backbone", "classes", "batch_size", "seed")
"""What the command line lets people change in a recipe, besides its last phase."""
OF_LAST_PHASE = ("epochs", "learning_rate")

Schedule = Literal["constant", "cosine"]
Monitor = Literal["validation_loss", "validation_auc"]


class InvalidRecipe(ValueError):
    """A value in a recipe breaks a rule; the message names argument, rule and received value."""


def _check(argument: str, value: Any, rule: str, holds: Callable[[Any], bool]) -> None:
    try:
        valid = holds(value)
    except (AttributeError, TypeError):  # text where a number belongs, and the like
        valid = False
    if not valid:
        raise InvalidRecipe(f"`{argument}` must be {rule}. Received: {argument}={value!r}")


def _check_choice(argument: str, value: Any, choices: tuple[Any, ...]) -> None:
    _check(argument, value, f"one of {choices}", choices.__contains__)


def _check_whole(argument: str, value: Any, lowest: int, highest: int) -> None:
    rule = f"a whole number between {lowest} and {highest}"
    _check(argument, value, rule, lambda x: type(x) is int and lowest <= x <= highest)


def _check_share(argument: str, value: Any) -> None:
    _check(argument, value, "between 0 and 1", lambda x: 0 <= x <= 1)


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
        crop: largest share of the picture that each of its four sides loses.
        horizontal_flip: mirror half of the pictures.
        contrast: largest relative change of contrast either way.
        gamma: largest change of log2(gamma) either way.
        blur: largest resolution loss: the picture is reduced by up to 1 + blur and enlarged again.
        noise: largest standard deviation of added noise, in grey levels.
        recompression: largest loss of JPEG quality, of 100.
        erasing: share of the pictures in which a rectangle is greyed out.
        corner_blackout: share of the pictures that lose what stands in their corners.
        markers: share of the pictures into which side letters and exposure texts are pasted.
        frame_swap: share of the pictures whose frame, all that stands around the lungs, is taken
            from a picture of either class; in those it says nothing of the class.
    """

    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    crop: float = 0.0
    horizontal_flip: bool = False
    contrast: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    recompression: float = 0.0
    erasing: float = 0.0
    corner_blackout: float = 0.0
    markers: float = 0.0
    frame_swap: float = 0.0

    def __post_init__(self) -> None:
        _check("rotation", self.rotation, "between 0 and 180 degrees", lambda x: 0 <= x <= 180)
        _check("zoom", self.zoom, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("shear", self.shear, "at least 0 and below 90 degrees", lambda x: 0 <= x < 90)
        _check("shift", self.shift, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("crop", self.crop, "at least 0 and below 0.5", lambda x: 0 <= x < 0.5)
        _check_switch("horizontal_flip", self.horizontal_flip)
        _check("contrast", self.contrast, "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("gamma", self.gamma, "between 0 and 3", lambda x: 0 <= x <= 3)
        _check("blur", self.blur, "between 0 and 7", lambda x: 0 <= x <= 7)
        _check("noise", self.noise, "between 0 and 64 grey levels", lambda x: 0 <= x <= 64)
        _check("recompression", self.recompression, "between 0 and 95", lambda x: 0 <= x <= 95)
        _check_share("erasing", self.erasing)
        _check_share("corner_blackout", self.corner_blackout)
        _check_share("markers", self.markers)
        _check_share("frame_swap", self.frame_swap)


@dataclass(frozen=True, kw_only=True)
class HeadDesign:
    """What turns the last feature map into logits.

    Attributes:
        pooling: "flatten" keeps every position, "average" is global average pooling.
        hidden_units: width of a hidden ReLU layer; 0 for none.
        dropout: share of the inputs of the last layer that is dropped while training.
    """

    pooling: Literal["flatten", "average"] = "average"
    hidden_units: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("pooling", self.pooling, ("flatten", "average"))
        _check_whole("hidden_units", self.hidden_units, 0, 4096)
        _check("dropout", self.dropout, "at least 0 and below 1", lambda x: 0 <= x < 1)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a training in which the same layers learn.

    Attributes:
        epochs: passes over the pictures, at most.
        learning_rate: of Adam, at its highest.
        unfrozen: share of the backbone's layers, counted from its output, that learn with the
            head; 0 freezes the backbone.
        schedule: "constant", or "cosine" down to zero at the end of the phase.
        warm_up: share of the phase over which the learning rate rises from zero.
    """

    epochs: int
    learning_rate: float = 1e-3
    unfrozen: float = 0.0
    schedule: Schedule = "constant"
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        _check_whole("epochs", self.epochs, 1, 1000)
        _check("learning_rate", self.learning_rate, "above 0, at most 1", lambda x: 0 < x <= 1)
        _check_share("unfrozen", self.unfrozen)
        _check_choice("schedule", self.schedule, get_args(Schedule))
        _check_share("warm_up", self.warm_up)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training.

    Attributes:
        name: the preset it came from, or the user's own name for it.
        backbone: a name in `backbones.BACKBONES`.
        scaling: of the input; "backbone" as the backbone's ImageNet weights expect it.
        start: weights to start from. "auto" takes the shipped model's backbone where the ImageNet
            weights cannot be had, and says so; `run:NAME` continues from an earlier run.
        classes: 2 (NORMAL, PNEUMONIA) or 3 (normal, bacterial, viral).
        cached_views: while the backbone is frozen: 0 runs it on freshly augmented pictures in
            every epoch; n computes its features once, for n augmented views of each picture, and
            trains the head on those.
        phases: in their order.
        class_weights: all classes weigh alike in the loss, however many pictures each has.
        label_smoothing: share of each target that is spread over all classes.
        weight_averaging: decay a step of the moving average of the weights, which is what is
            measured and kept; 0 for none.
        monitor: the figure by which the best epoch is known.
        early_stopping: epochs without a better figure after which a phase ends; 0 for never.
        restore_best: keep the weights of the best epoch rather than the last.
        validation_share: share of the patients in `train` that is set apart for validation.
        seed: of the split, the initial weights, the order and the augmentation.
    """

    name: str
    backbone: str = "MobileNetV2"
    image_size: int = 224
    scaling: Scaling | Literal["backbone"] = "backbone"
    start: str = "imagenet"
    classes: Literal[2, 3] = 2
    head: HeadDesign = field(default_factory=HeadDesign)
    augmentation: Augmentation = field(default_factory=Augmentation)
    cached_views: int = 0
    phases: tuple[Phase, ...] = (Phase(epochs=20),)
    batch_size: int = 32
    weight_decay: float = 0.0
    class_weights: bool = False
    label_smoothing: float = 0.0
    weight_averaging: float = 0.0
    monitor: Monitor = "validation_loss"
    early_stopping: int = 0
    restore_best: bool = False
    validation_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        _check("name", self.name, "1 to 40 characters", lambda x: 1 <= len(x.strip()) <= 40)
        _check_choice("backbone", self.backbone, tuple(BACKBONES))
        _check(
            "image_size",
            self.image_size,
            "a multiple of 32 between 96 and 512",
            lambda x: type(x) is int and 96 <= x <= 512 and x % 32 == 0,
        )
        _check_choice("scaling", self.scaling, ("backbone", *get_args(Scaling)))
        _check(
            "start",
            self.start,
            f"one of {STARTING_WEIGHTS} or '{EARLIER_RUN}NAME'",
            lambda x: x in STARTING_WEIGHTS or x.startswith(EARLIER_RUN),
        )
        _check("classes", self.classes, "2 or 3", lambda x: type(x) is int and x in (2, 3))
        _check_whole("cached_views", self.cached_views, 0, 64)
        _check("phases", self.phases, "at least one phase", lambda x: len(x) > 0)
        _check_whole("batch_size", self.batch_size, 1, 1024)
        _check("weight_decay", self.weight_decay, "at least 0, below 1", lambda x: 0 <= x < 1)
        _check_switch("class_weights", self.class_weights)
        _check("label_smoothing", self.label_smoothing, "at least 0, below 1", lambda x: 0 <= x < 1)
        _check(
            "weight_averaging", self.weight_averaging, "at least 0, below 1", lambda x: 0 <= x < 1
        )
        _check_choice("monitor", self.monitor, get_args(Monitor))
        _check_whole("early_stopping", self.early_stopping, 0, 1000)
        _check_switch("restore_best", self.restore_best)
        _check(
            "validation_share",
            self.validation_share,
            "between 0.05 and 0.5",
            lambda x: 0.05 <= x <= 0.5,
        )
        _check_whole("seed", self.seed, 0, 2**31 - 1)

    @property
    def epochs(self) -> int:
        """Of all phases together, at most."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def input_scaling(self) -> Scaling:
        """The scaling with "backbone" resolved."""
        return BACKBONES[self.backbone].scaling if self.scaling == "backbone" else self.scaling

    def changed(self, **values: Any) -> Self:
        """A copy with other values; `epochs` and `learning_rate` are those of the last phase.

        Raises:
            InvalidRecipe: a value breaks a rule.
        """
        of_phase = {key: values.pop(key) for key in OF_LAST_PHASE if key in values}
        if of_phase:
            *before, last = values.get("phases", self.phases)
            values["phases"] = (*before, dataclasses.replace(last, **of_phase))
        return dataclasses.replace(self, **values)

    def options(self) -> dict[str, Any]:
        """The values of what the command line lets people change, as `changed` takes them."""
        of_phase = {name: getattr(self.phases[-1], name) for name in OF_LAST_PHASE}
        return {name: getattr(self, name) for name in OPTIONS} | of_phase

    def to_json(self) -> str:
        """The recipe as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `dataclasses.asdict` (or `Recipe.to_json`) wrote.

    Raises:
        InvalidRecipe: an unknown or missing name, or a value that breaks a rule.
    """
    try:
        parts: dict[str, Any] = {}
        values = dict(**values)  # a TypeError where JSON held no object
        if "head" in values:
            parts["head"] = HeadDesign(**values["head"])
        if "augmentation" in values:
            parts["augmentation"] = Augmentation(**values["augmentation"])
        if "phases" in values:
            parts["phases"] = tuple(Phase(**phase) for phase in values["phases"])
        return Recipe(**{**values, **parts})
    except TypeError as error:
        message = str(error).replace("__init__() got an", "does not know the")
        raise InvalidRecipe(f"A recipe must have the fields of `Recipe`: {message}") from None


def read(path: Path) -> Recipe:
    """The recipe in a JSON file.

    Raises:
        InvalidRecipe: the file holds no recipe, or a value that breaks a rule.
        OSError: it cannot be read.
    """
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidRecipe(f"{path} must be a JSON file. Received: {error}") from None
    return from_dict(values)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting in which two recipes differ.

    Attributes:
        setting: its name, dotted where it is a part, such as "augmentation.zoom"; phases count
            from 1.
        first: its value in the first recipe; None where that has no such phase.
        second: the same of the second recipe.
    """

    setting: str
    first: Any
    second: Any


def differences(first: Recipe, second: Recipe) -> list[Difference]:
    """Every setting in which two recipes differ, in the order of `Recipe`."""
    one, other = flat(dataclasses.asdict(first)), flat(dataclasses.asdict(second))
    return [
        Difference(setting=setting, first=one.get(setting), second=other.get(setting))
        for setting in one | other
        if one.get(setting) != other.get(setting)
    ]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, such as "augmentation.zoom"; tuples count from 1."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            numbered = {str(number): part for number, part in enumerate(value, start=1)}
            found |= flat(numbered, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


# Presets and recipes of one's own -------------------------------------------------------

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
    cached_views=1,
    phases=(Phase(epochs=40),),
    batch_size=64,
    class_weights=True,
)
"""Features of the frozen backbone once, then a small head on them: seconds on a laptop."""

BEST = Recipe(
    name="best",
    start="auto",
    head=HeadDesign(pooling="average", dropout=0.3),
    augmentation=Augmentation(
        rotation=10,
        zoom=0.3,
        shear=5,
        shift=0.05,
        crop=0.1,
        horizontal_flip=True,
        contrast=0.3,
        gamma=0.7,
        blur=2.0,
        noise=8.0,
        recompression=70.0,
        erasing=0.3,
        corner_blackout=0.5,
        markers=0.5,
        frame_swap=0.5,
    ),
    cached_views=2,
    phases=(
        Phase(epochs=20),
        Phase(epochs=16, learning_rate=4e-4, unfrozen=1.0, schedule="cosine", warm_up=0.1),
    ),
    class_weights=True,
    label_smoothing=0.05,
    weight_averaging=0.99,
    weight_decay=1e-4,
    early_stopping=6,
    restore_best=True,
)
"""The head, then the whole backbone, on pictures that lost what gives a class away."""

PRESETS = {recipe.name: recipe for recipe in (QUICK, BEST, SEED)}


def slug(name: str) -> str:
    """A name as it can stand in a path."""
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "recipe"


def saved(settings: Settings) -> dict[str, Path]:
    """The files of the user's own recipes, by the name to ask for them."""
    return {path.stem: path for path in sorted(settings.recipes.glob("*.json"))}


def save(settings: Settings, recipe: Recipe) -> Path:
    """Keep a recipe under its name, in the place of an earlier one of that name.

    Raises:
        InvalidRecipe: the name is a preset's.
    """
    name = slug(recipe.name)
    if name in PRESETS:
        raise InvalidRecipe(
            f"`name` must be another than a preset's ({', '.join(PRESETS)}). "
            f"Received: name={recipe.name!r}"
        )
    path = settings.recipes / f"{name}.json"
    write_text(path, recipe.to_json())
    return path


def find(settings: Settings, name: str) -> Recipe:
    """A preset, a recipe of the user's own, or the one in a JSON file.

    Raises:
        InvalidRecipe: there is none, or it breaks a rule.
    """
    if name in PRESETS:
        return PRESETS[name]
    own = saved(settings)
    if name in own:
        return read(own[name])
    if Path(name).is_file():
        return read(Path(name))
    raise InvalidRecipe(
        f"`recipe` must be one of {', '.join([*PRESETS, *own])}, or a JSON file. Received: {name!r}"
    )
