"""The sample set: names, counts and patients of the plan; writing, resuming, recognising."""

import os
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo.datasets import sample_set
from pneumo.datasets.sample_set import Counts, Film

FEW = {
    "train": Counts(normal=3, pneumonia=4),
    "val": Counts(normal=1, pneumonia=1),
    "test": Counts(normal=2, pneumonia=2),
    "height": 64,
}
TOTAL = 13


@pytest.fixture(scope="module")
def films() -> list[Film]:
    return sample_set.plan()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    sample_set.create(root, **FEW)
    return root


def images(root: Path) -> dict[Path, Path]:
    return {path.relative_to(root): path for path in root.rglob("*.jpeg")}


def test_counts(films: list[Film]) -> None:
    counted = Counter((film.split, film.subtype == "normal") for film in films)
    assert counted == {
        ("train", True): 90,
        ("train", False): 150,
        ("val", True): 8,
        ("val", False): 8,
        ("test", True): 24,
        ("test", False): 40,
    }


def test_both_kinds_of_pneumonia_everywhere(films: list[Film]) -> None:
    for split in ("train", "val", "test"):
        assert {film.subtype for film in films if film.split == split} == {
            "normal",
            "bacterial",
            "viral",
        }


def test_patients_do_not_span_splits_or_labels(films: list[Film]) -> None:
    places = {}
    for film in films:
        places.setdefault(film.patient, set()).add((film.split, film.subtype))
    assert all(len(found) == 1 for found in places.values())


def test_some_patients_are_examined_more_than_once(films: list[Film]) -> None:
    per_patient = Counter(film.patient for film in films)
    assert 0.1 < np.mean([count > 1 for count in per_patient.values()]) < 0.4
    assert len({(film.patient, film.exam) for film in films}) == len(films)


def test_names_are_those_of_the_kaggle_set(films: list[Film]) -> None:
    normal = re.compile(r"(NORMAL2-)?IM-\d{4}-\d{4}")
    pneumonia = re.compile(r"person\d+_(bacteria|virus)_\d+")
    for film in films:
        if film.subtype == "normal":
            assert normal.fullmatch(film.stem)
            assert film.path.parts[1] == "NORMAL"
        else:
            assert pneumonia.fullmatch(film.stem)
            assert ("virus" in film.stem) == (film.subtype == "viral")
            assert film.path.parts[1] == "PNEUMONIA"
    assert {film.stem.startswith("NORMAL2") for film in films if film.subtype == "normal"} == {
        True,
        False,
    }
    assert len({film.path for film in films}) == len({film.mask_path for film in films}) == 320


def test_another_seed_gives_other_patients(films: list[Film]) -> None:
    others = sample_set.plan(seed=1)
    assert not {film.patient for film in films} & {film.patient for film in others}


def test_every_film_has_a_mask_that_is_empty_when_normal(written: Path) -> None:
    films = sample_set.plan(train=FEW["train"], val=FEW["val"], test=FEW["test"])
    assert set(images(written)) == {film.path for film in films}
    for film in films:
        pixels = cv2.imread(str(written / film.path), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(written / film.mask_path), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == mask.shape
        assert pixels.shape[0] == 64
        assert set(np.unique(mask)) == ({0} if film.subtype == "normal" else {0, 255})


def test_same_seed_same_bytes(written: Path, tmp_path: Path) -> None:
    sample_set.create(tmp_path, **FEW)
    again = images(tmp_path)
    for name, path in images(written).items():
        assert path.read_bytes() == again[name].read_bytes()


def test_finished_set_is_recognised_and_left_alone(written: Path) -> None:
    assert sample_set.is_complete(written)
    before = {path: path.stat().st_mtime_ns for path in images(written).values()}
    calls = []
    sample_set.create(written, progress=lambda done, total: calls.append((done, total)), **FEW)
    assert calls == [(TOTAL, TOTAL)]
    assert before == {path: path.stat().st_mtime_ns for path in images(written).values()}


def test_empty_folder_is_not_complete(tmp_path: Path) -> None:
    assert not sample_set.is_complete(tmp_path)
    assert not sample_set.is_complete(tmp_path / "missing")


def test_interrupted_creation_is_finished_by_the_next_call(tmp_path: Path, written: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        sample_set.create(tmp_path, progress=interrupt, **FEW)
    assert not sample_set.is_complete(tmp_path)

    calls = []
    sample_set.create(tmp_path, progress=lambda done, total: calls.append(done), **FEW)
    assert calls[0] >= 4  # what was there is kept
    assert calls[-1] == TOTAL
    assert sample_set.is_complete(tmp_path)
    assert set(images(tmp_path)) == set(images(written))
    assert not list(tmp_path.rglob(".*"))


def test_other_options_are_refused(written: Path) -> None:
    with pytest.raises(ValueError, match="other options"):
        sample_set.create(written, seed=1, **FEW)


def test_older_version_is_made_again_whatever_its_options(
    tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_set, "VERSION", sample_set.VERSION - 1)
    sample_set.create(tmp_path, seed=1, **FEW)
    monkeypatch.undo()
    assert not sample_set.is_complete(tmp_path)
    sample_set.create(tmp_path, **FEW)
    assert sample_set.is_complete(tmp_path)
    assert set(images(tmp_path)) == set(images(written))


def test_number_of_threads_changes_nothing(
    tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    sample_set.create(tmp_path, **FEW)
    for name, path in images(written).items():
        assert path.read_bytes() == (tmp_path / name).read_bytes()
