"""How long a training will take on this machine: from a short measurement, before it starts."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pneumo import __version__, background
from pneumo.settings import Settings, write_text
from pneumo.training.recipe import Recipe

SAMPLE = 24
"""Images that are read to learn how long reading takes."""


class PaceUnknown(RuntimeError):
    """The measurement broke off; the message says where its log is."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What the parts of a training cost on this machine, in seconds.

    Attributes:
        startup: TensorFlow, the network, its frozen backbone converted.
        reading: of an image that was not read before.
        features: of one augmented picture, by the frozen backbone.
        head_step: a step in which the head learns from features.
        fine_tuning_steps: for each phase of the recipe, a step in which the backbone learns too;
            0 for a phase in which it is frozen.
        evaluation: of one picture by the whole network.
        writing: of the model.
    """

    startup: float
    reading: float
    features: float
    head_step: float
    fine_tuning_steps: tuple[float, ...]
    evaluation: float
    writing: float

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What `save` wrote; None where nothing was."""
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(**{**values, "fine_tuning_steps": tuple(values["fine_tuning_steps"])})

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(dataclasses.asdict(self)))

    def duration(self, recipe: Recipe, *, train: int, validation: int) -> float:
        """Seconds that a training takes if no phase stops early and nothing is cached.

        Args:
            recipe: that the pace was measured for.
            train: pictures to train on.
            validation: pictures to validate with.
        """
        seconds = self.startup + self.reading * (train + validation) + self.writing
        steps = -(-train // recipe.batch_size)
        for phase, fine_tuning_step in zip(recipe.phases, self.fine_tuning_steps, strict=True):
            if phase.unfrozen:
                epoch = steps * fine_tuning_step + validation * self.evaluation
                seconds += phase.epochs * epoch
            else:
                passes = recipe.cached_views or phase.epochs
                seconds += self.features * (passes * train + validation)
                seconds += phase.epochs * steps * self.head_step
        return seconds


def known(recipe: Recipe, settings: Settings) -> Pace | None:
    """What an earlier measurement found for such a recipe."""
    return Pace.load(_folder(recipe, settings) / "pace.json")


def is_being_measured(recipe: Recipe, settings: Settings) -> bool:
    """Whether a measurement is under way."""
    folder = _folder(recipe, settings)
    begun = folder / "recipe.json"
    return begun.is_file() and not background.has_ended(
        folder / "process.json", announced=begun.stat().st_mtime
    )


def start(recipe: Recipe, settings: Settings, *, images: Sequence[Path] = ()) -> None:
    """Measure in the background; it takes about a quarter of a minute.

    Args:
        recipe: what is to be trained.
        settings: where the result is kept.
        images: some of those that will be read.
    """
    folder = _folder(recipe, settings)
    (folder / "process.json").unlink(missing_ok=True)
    write_text(folder / "images.json", json.dumps([str(path) for path in images[:SAMPLE]]))
    write_text(folder / "recipe.json", recipe.to_json())
    process = background.start(
        "pneumo.training.micro_run",
        folder,
        log=folder / "log.txt",
        environment={"PNEUMO_HOME": str(settings.home), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    process.save(folder / "process.json")


def measure(recipe: Recipe, settings: Settings, *, images: Sequence[Path] = ()) -> Pace:
    """What is known of the pace of such a recipe; measured now where nothing is.

    Raises:
        PaceUnknown: the measurement broke off.
    """
    found = known(recipe, settings)
    if found is None and not is_being_measured(recipe, settings):
        start(recipe, settings, images=images)
    while found is None:
        over = not is_being_measured(recipe, settings)  # asked first: then its result is there
        found = known(recipe, settings)
        if found is None and over:
            log = _folder(recipe, settings) / "log.txt"
            raise PaceUnknown(f"The pace of this machine could not be measured. See {log}.")
        time.sleep(0.1)
    return found


def _folder(recipe: Recipe, settings: Settings) -> Path:
    """Where the pace of recipes is kept that cost the same an image and step."""
    decisive = (
        *(recipe.backbone, recipe.image_size, recipe.classes, recipe.batch_size),
        *(dataclasses.astuple(recipe.head), dataclasses.astuple(recipe.augmentation)),
        *(phase.unfrozen for phase in recipe.phases),
    )
    key = hashlib.blake2b(f"{__version__} {decisive}".encode(), digest_size=8).hexdigest()
    return settings.cache / "pace" / key
