"""Where a training goes on after it was interrupted: one file, replaced after each epoch."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pneumo.settings import written_whole

Arrays = Sequence[np.ndarray]


class CheckpointMismatch(Exception):
    """A checkpoint does not belong to this training; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is. Random states follow from the recipe's seed and the epoch.

    Attributes:
        phase: index of the phase that the last epoch was in.
        epochs_in_phase: completed, of that phase.
        epochs: completed, of all phases.
        steps: completed, of all phases.
        seconds: spent so far.
        best_score: of the best epoch, larger is better.
        best_epoch: its number, from 1; 0 before the first.
        epochs_without_gain: since the best epoch or the beginning of the phase.
    """

    phase: int = 0
    epochs_in_phase: int = 0
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    best_score: float = -math.inf
    best_epoch: int = 0
    epochs_without_gain: int = 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the next epoch depends on.

    Attributes:
        progress: how far the training is.
        backbone: digest of the backbone that it started from.
        arrays: variables by what they belong to, such as "weights" and "optimizer", each group
            in the order in which Keras lists them.
    """

    progress: Progress
    backbone: str
    arrays: Mapping[str, Arrays]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a reader finds the one before or this one, even after a power cut.

    Raises:
        OSError: the disk is full, or the folder is gone.
    """
    state = {"progress": dataclasses.asdict(checkpoint.progress), "backbone": checkpoint.backbone}
    arrays: dict[str, Any] = {
        f"{group}/{number}": array
        for group, members in checkpoint.arrays.items()
        for number, array in enumerate(members)
    }
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, state=np.array(json.dumps(state)), **arrays)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> Checkpoint | None:
    """What `save` wrote last; None where nothing was written.

    Raises:
        CheckpointMismatch: the file is damaged.
    """
    groups: dict[str, list[np.ndarray]] = {}
    try:
        with np.load(path, allow_pickle=False) as content:
            state = json.loads(str(content["state"]))
            for name in content.files:  # in the order of writing
                if name != "state":
                    groups.setdefault(name.partition("/")[0], []).append(content[name])
    except FileNotFoundError:
        return None
    except (BadZipFile, KeyError, ValueError, EOFError) as error:
        raise CheckpointMismatch(
            f"{path} is damaged ({error}). Delete it to train from the beginning."
        ) from error
    return Checkpoint(
        progress=Progress(**state["progress"]), backbone=state["backbone"], arrays=groups
    )
