"""Where things live on this machine and what an uploaded file may cost.

Everything can be changed through the environment. `KAGGLEHUB_CACHE` and `KERAS_HOME` belong to
the packages that they name.
"""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What a file must respect before its pixels are decoded.

    Attributes:
        max_bytes: largest file, in bytes.
        max_pixels: largest image, in pixels (height × width).
        min_side: smallest height and width, in pixels.
    """

    max_bytes: int = 100 * 2**20
    max_pixels: int = 64_000_000
    min_side: int = 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Folders and limits of one installation.

    Attributes:
        home: everything that Pneumo writes: runs, data sets, caches, choices.
        shipped_models: model bundles that come with the repository, read only.
        image_limits: limits for every radiograph that is read.
    """

    home: Path
    shipped_models: Path = REPOSITORY / "models"
    image_limits: ImageLimits = field(default_factory=ImageLimits)

    @property
    def runs(self) -> Path:
        """One folder per training."""
        return self.home / "runs"

    @property
    def recipes(self) -> Path:
        """The user's own recipes, a JSON file each."""
        return self.home / "recipes"

    @property
    def datasets(self) -> Path:
        """Generated and downloaded data sets."""
        return self.home / "datasets"

    @property
    def cache(self) -> Path:
        """Anything here may be deleted at any time; it is made again when needed."""
        return self.home / "cache"

    def found_of(self, root: Path) -> Path:
        """What was found out about the films below a folder; may be deleted like any cache."""
        return self.cache / "found" / folder_key(root)

    @property
    def choices_file(self) -> Path:
        """The user's remembered choices, as JSON."""
        return self.home / "choices.json"


def load() -> Settings:
    """Settings from the environment.

    `PNEUMO_HOME` (default `~/.pneumo`), `PNEUMO_MAX_FILE_MIB` and
    `PNEUMO_MAX_MEGAPIXELS` are read at each call, so that tests and several
    servers on one machine can differ.

    Raises:
        ValueError: a limit is not a positive number.
    """
    limits = ImageLimits(
        max_bytes=int(_positive("PNEUMO_MAX_FILE_MIB", 100) * 2**20),
        max_pixels=int(_positive("PNEUMO_MAX_MEGAPIXELS", 64) * 1_000_000),
    )
    home = Path(os.environ.get("PNEUMO_HOME", "~/.pneumo")).expanduser().resolve()
    return Settings(home=home, image_limits=limits)


def folder_key(root: Path) -> str:
    """Tells a folder from every other one, in the name of a file: 16 hexadecimal digits."""
    return hashlib.blake2b(str(root.resolve()).encode(), digest_size=8).hexdigest()


def choice(settings: Settings, name: str) -> Any:
    """The remembered value of a choice, or None where nothing (readable) is remembered."""
    return _choices(settings).get(name)


def remember(settings: Settings, name: str, value: Any) -> None:
    """Remember a JSON value under a name, beside the choices already there."""
    choices = {**_choices(settings), name: value}
    write_text(settings.choices_file, json.dumps(choices, indent=2))


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old text or the new, never half of it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A hidden name to write to; the file takes its own name when the block ends well.

    The folder must be there: one that was deleted on purpose is not made again.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _choices(settings: Settings) -> dict[str, Any]:
    try:
        choices = json.loads(settings.choices_file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return choices if isinstance(choices, dict) else {}


def _positive(variable: str, default: float) -> float:
    text = os.environ.get(variable, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise ValueError(f"`{variable}` must be a positive number. Received: {text!r}")
    return value
