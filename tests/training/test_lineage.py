"""Validation films that the starting weights knew before the training began."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pneumo.inference import bundle
from pneumo.inference.cases import Cases, TrainingFilm, fingerprints
from pneumo.settings import Settings
from pneumo.training.lineage import ancestors, share_seen
from pneumo.training.pipeline import Pictures, read_pictures
from pneumo.training.recipe import QUICK
from pneumo.training.runs import TrainingData
from tests.training.films import write_noise

DATA = TrainingData(
    name="films", synthetic=True, population="", credit="", fingerprint="here", counts={}
)


@pytest.fixture
def films(tmp_path: Path, installation: Settings) -> Pictures:
    """Eight validation films."""
    images = [
        write_noise(
            tmp_path / f"{seed}.png",
            seed=seed,
            label="PNEUMONIA" if seed % 2 else "NORMAL",
            split="validation",
        )
        for seed in range(8)
    ]
    splits, _ = read_pictures(
        images, recipe=QUICK, settings=installation, progress=lambda done, total: None
    )
    return splits["validation"]


@pytest.fixture
def learned(films: Pictures, installation: Settings) -> Callable[..., None]:
    """Makes a run whose model has learned from some of the films."""
    card = bundle.find(installation).card

    def make(name: str, rows: list[int], *, start: str = "imagenet", split: str = "other") -> None:
        folder = installation.runs / name / "bundle"
        folder.mkdir(parents=True)
        for file in bundle.HASHED:
            (folder / file).write_text(f"{file} of {name}")
        known = [TrainingFilm(path=str(row), label="NORMAL", subtype="normal") for row in rows]
        prints = fingerprints(films.pixels[row] for row in rows)
        Cases.fit(known, np.eye(len(rows), 4), prints).save(folder / bundle.CASES)
        described = dataclasses.replace(
            card,
            name=name,
            recipe=card.recipe | {"start": start},
            data=card.data | {"fingerprint": split},
            files={file: bundle.sha256(folder / file) for file in bundle.HASHED},
        )
        bundle.write_card(folder, described)

    return make


def test_films_that_an_earlier_run_has_learned_from(
    films: Pictures, learned: Callable[..., None], installation: Settings
) -> None:
    learned("grandparent", [0, 1, 2])
    learned("parent", [2, 3], start="run:grandparent")
    for start, share in (
        ("run:grandparent", 3 / 8),
        ("run:parent", 4 / 8),  # one of them twice
        *(("imagenet", 0), ("random", 0), ("shipped", 0)),
    ):
        assert share_seen(films, DATA, start=start, settings=installation) == share


def test_the_same_split_has_kept_its_validation_films_apart(
    films: Pictures, learned: Callable[..., None], installation: Settings
) -> None:
    """Whatever looks alike on its two sides."""
    learned("earlier", [0, 1, 2], split=DATA.fingerprint)
    assert share_seen(films, DATA, start="run:earlier", settings=installation) == 0


def test_ancestors_end_where_nobody_knows_more(
    learned: Callable[..., None], installation: Settings
) -> None:
    learned("orphan", [0, 1], start="run:gone")
    learned("own-parent", [0, 1], start="run:own-parent")
    learned("late", [0, 1], start="shipped")
    for start, names in (
        ("run:orphan", ["orphan"]),
        ("run:own-parent", ["own-parent"]),
        ("run:late", ["late", bundle.DEFAULT_MODEL]),
        ("imagenet", []),
    ):
        assert [model.card.name for model in ancestors(start, installation)] == names
