"""Which data set is looked at: the sample set, the Kaggle set or a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pneumo.datasets import kaggle, sample_set
from pneumo.datasets.catalog import DatasetUnavailable, find_layout
from pneumo.settings import Settings, choice, remember

__all__ = [
    "Availability",
    "Dataset",
    "DatasetUnavailable",
    "Source",
    "available",
    "choose",
    "chosen",
    "locate",
    "name",
    "sample_root",
]

Kind = Literal["sample", "kaggle", "folder"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A choice of data set, which may or may not be there.

    Attributes:
        kind: "sample" (made on this machine), "kaggle" (downloaded) or "folder".
        folder: where the radiographs are, for the kind "folder" only.

    Raises:
        ValueError: an unknown kind, or a `folder` that does not go with the kind.
    """

    kind: Kind
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`kind` must be one of {get_args(Kind)}. Received: {self.kind!r}")
        if (self.kind == "folder") != (self.folder is not None):
            raise ValueError(
                "`folder` goes with the kind 'folder', and only with it. "
                f"Received: kind={self.kind!r}, folder={self.folder}"
            )


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that is there.

    Attributes:
        name: for people.
        root: what `catalog.build` takes.
        synthetic: whether the images are drawn by `phantom` rather than taken of patients.
    """

    name: str
    root: Path
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class Availability:
    """A source as a switcher offers it.

    Attributes:
        source: what to hand to `choose`.
        name: for people.
        problem: why it cannot be used now and what to do; empty when it is ready.
    """

    source: Source
    name: str
    problem: str

    @property
    def ready(self) -> bool:
        """Whether `locate` finds it."""
        return not self.problem


def name(source: Source) -> str:
    """What a source is called on pages and in tables."""
    if source.folder is not None:
        return source.folder.name or str(source.folder)
    return {
        "sample": "Sample set (synthetic)",
        "kaggle": "Kaggle Chest X-Ray Images (Pneumonia)",
    }[source.kind]


def sample_root(settings: Settings) -> Path:
    """Where the sample set is, or is made with `sample_set.create`."""
    return settings.datasets / "sample"


def locate(source: Source, settings: Settings) -> Dataset:
    """Find a data set without reading its images.

    Raises:
        DatasetUnavailable: it is not there, not complete or not in the layout; the
            message says what was expected, what was found and what to do next.
    """
    if source.kind == "sample":
        root = sample_root(settings)
        if not sample_set.is_complete(root):
            raise DatasetUnavailable(
                f"Expected the sample set in {root}. Found "
                f"{'an unfinished one' if root.exists() else 'nothing'}. Make it (it takes "
                "moments) on the Browse page, or with: python -m pneumo data get sample"
            )
    elif source.kind == "kaggle":
        root = kaggle.cache_folder()
        if not kaggle.is_downloaded():
            raise DatasetUnavailable(
                f"Expected the Kaggle set, completely downloaded, in {root}. Found "
                f"{'an unfinished download' if kaggle.is_started() else 'nothing'}. Download it "
                "(about 2.3 GB) on the Browse page, or with: python -m pneumo data get kaggle"
            )
    else:
        assert source.folder is not None  # Source sees to it.
        root = source.folder
    root, _ = find_layout(root)
    return Dataset(name=name(source), root=root, synthetic=source.kind == "sample")


def chosen(settings: Settings) -> Source:
    """The remembered source; the sample set where none, or none that makes sense, is."""
    kind = choice(settings, "dataset")
    folder = _remembered_folder(settings)
    if kind == "kaggle":
        return Source(kind="kaggle")
    if kind == "folder" and folder is not None:
        return Source(kind="folder", folder=folder)
    return Source(kind="sample")


def choose(source: Source, settings: Settings) -> None:
    """Remember a source. A folder stays on offer when another source is chosen later."""
    if source.folder is not None:
        remember(settings, "dataset_folder", str(source.folder.absolute()))
    remember(settings, "dataset", source.kind)


def available(settings: Settings) -> list[Availability]:
    """Every source on offer, ready or not: sample, Kaggle and, once chosen, the last folder."""
    sources = [Source(kind="sample"), Source(kind="kaggle")]
    folder = _remembered_folder(settings)
    if folder is not None:
        sources.append(Source(kind="folder", folder=folder))
    return [
        Availability(source=source, name=name(source), problem=_problem(source, settings))
        for source in sources
    ]


def _remembered_folder(settings: Settings) -> Path | None:
    folder = choice(settings, "dataset_folder")
    return Path(folder) if isinstance(folder, str) and folder else None


def _problem(source: Source, settings: Settings) -> str:
    try:
        locate(source, settings)
    except DatasetUnavailable as unavailable:
        return str(unavailable)
    return ""
