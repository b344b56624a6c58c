"""A model on disk: weights to train on, a LiteRT model to predict with, its head and its card."""

import dataclasses
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from pneumo.inference import card as cards
from pneumo.inference.card import ModelCard
from pneumo.settings import Settings, write_text

CARD = "card.json"
README = "README.md"
KERAS = "model.keras"
LITERT = "model.tflite"
HEAD = "head.npz"
GATE = "gate.npz"
RECIPE = "recipe.json"
CASES = "cases.npz"
HASHED = (KERAS, LITERT, HEAD, GATE, RECIPE, CASES)
"""The files that a card names with their hashes: all but the card itself."""

DEFAULT_MODEL = "mobilenetv2"
"""The shipped model that answers when no other is named."""


class BundleError(Exception):
    """A model bundle is missing, incomplete or altered; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A model bundle whose files were found to be the ones that its card names."""

    folder: Path
    card: ModelCard

    @property
    def keras(self) -> Path:
        """The Keras model, to train on."""
        return self.folder / KERAS

    @property
    def litert(self) -> Path:
        """The LiteRT model: radiographs in, logit and last feature map out."""
        return self.folder / LITERT

    @property
    def head(self) -> Path:
        """The head's weights as NumPy arrays, for explanations."""
        return self.folder / HEAD

    @property
    def gate(self) -> Path:
        """What tells films like those of the training from everything else."""
        return self.folder / GATE

    @property
    def cases(self) -> Path | None:
        """The films it learned from, to look for the nearest; None in bundles of Pneumo before."""
        return self.folder / CASES if CASES in self.card.files else None

    @property
    def digest(self) -> str:
        """Identifies the model: the hash of the file that predicts."""
        return self.card.files[LITERT]


def load(folder: Path) -> Bundle:
    """Open a bundle and check each file against the hash in its card.

    Raises:
        BundleError: there is no card, it cannot be read, or a file is missing or altered.
    """
    try:
        card = cards.from_json((folder / CARD).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"A model bundle is a folder with a {CARD}. Received: {folder}. Train a model, or "
            "name one that `python -m pneumo models list` shows."
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / CARD} is not a model card: {error!r}") from error
    for name in HASHED:
        if name == CASES and name not in card.files:
            continue  # bundles written before there were cases
        path = folder / name
        if not path.is_file():
            raise BundleError(f"The bundle {folder} lacks {name}. Restore it or train again.")
        if sha256(path) != card.files.get(name):
            raise BundleError(
                f"{path} is not the file that its card describes (its SHA-256 differs). "
                "Restore it or train again."
            )
    return Bundle(folder=folder, card=card)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write `card.json` and the readable `README.md`."""
    write_text(folder / README, cards.to_markdown(card))
    write_text(folder / CARD, card.to_json())


def copy(source: Bundle, folder: Path) -> Bundle:
    """Copy a bundle under the name of its new folder, in the place of what is there.

    Raises:
        BundleError: the folder holds something that is not a bundle.
    """
    folder = folder.resolve()
    check_target(folder)
    temporary = folder.with_name(f".{folder.name}-new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in source.card.files:
        shutil.copy2(source.folder / name, temporary)
    write_card(temporary, dataclasses.replace(source.card, name=folder.name))
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return load(folder)


def check_target(folder: Path) -> None:
    """Refuse to overwrite what is not a bundle.

    Raises:
        BundleError: the folder holds something else.
    """
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / CARD).is_file():
        raise BundleError(
            f"A bundle can be written to a new folder or in the place of a bundle. Received: "
            f"{folder}, which is neither. Name another folder."
        )


def folders(settings: Settings) -> dict[str, Path]:
    """Every bundle by name: shipped ones first, then those of runs, newest first."""
    shipped = sorted(
        (path.parent for path in settings.shipped_models.glob(f"*/{CARD}")),
        key=lambda folder: (folder.name != DEFAULT_MODEL, folder.name),
    )
    trained = sorted(settings.runs.glob(f"*/bundle/{CARD}"), reverse=True)
    named = {folder.name: folder for folder in shipped}
    return named | {path.parent.parent.name: path.parent for path in trained}


def find(settings: Settings, name: str = DEFAULT_MODEL) -> Bundle:
    """The bundle with this name, or in the folder with this path.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    known = folders(settings)
    if name in known:
        return load(known[name])
    if (Path(name) / CARD).is_file():
        return load(Path(name))
    raise BundleError(
        f"No model is named {name!r}. Models: {', '.join(known) or 'none'}. "
        "A path to a bundle's folder serves too."
    )


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
