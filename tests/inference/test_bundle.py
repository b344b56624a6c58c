"""Bundles: found by name, checked by hash, copied."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from pneumo.inference import bundle
from pneumo.inference.bundle import BundleError
from pneumo.inference.card import ModelCard
from pneumo.settings import Settings

FILES = [bundle.KERAS, bundle.LITERT, bundle.HEAD, bundle.GATE, bundle.RECIPE, bundle.CASES]


def test_a_whole_bundle(model_folder: Path, card: ModelCard) -> None:
    found = bundle.load(model_folder)
    assert found.card == card
    assert found.digest == card.files[bundle.LITERT]
    assert found.litert.read_text() == "model.tflite"
    assert (found.keras.name, found.head.name) == ("model.keras", "head.npz")
    assert found.gate.read_text() == "gate.npz"
    assert found.cases is not None and found.cases.read_text() == "cases.npz"
    assert (model_folder / "README.md").read_text().startswith("# sparrow")


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_refused(model_folder: Path, name: str) -> None:
    (model_folder / name).write_text("something else")
    with pytest.raises(BundleError, match=rf"{name} is not the file that its card describes"):
        bundle.load(model_folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model_folder: Path, name: str) -> None:
    (model_folder / name).unlink()
    with pytest.raises(BundleError, match=rf"lacks {name}\. Restore it or train again"):
        bundle.load(model_folder)


@pytest.mark.parametrize("name", FILES[:-1])
def test_a_card_that_does_not_vouch_for_a_file_is_refused(
    model_folder: Path, card: ModelCard, name: str
) -> None:
    del card.files[name]
    bundle.write_card(model_folder, card)
    with pytest.raises(BundleError, match=rf"{name} is not the file that its card describes"):
        bundle.load(model_folder)


def test_a_bundle_from_before_there_were_cases(model_folder: Path, card: ModelCard) -> None:
    assert "names files of training films" in (model_folder / "README.md").read_text()
    del card.files[bundle.CASES]
    bundle.write_card(model_folder, card)
    assert bundle.load(model_folder).cases is None, "a file that no card vouches for is not used"
    (model_folder / bundle.CASES).unlink()
    assert bundle.load(model_folder).cases is None
    assert "names files" not in (model_folder / "README.md").read_text()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"operating_points": 3}', "\xff"])
def test_what_is_no_card(model_folder: Path, text: str) -> None:
    (model_folder / bundle.CARD).write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=r"card\.json is not a model card: "):
        bundle.load(model_folder)


def test_a_folder_without_a_card(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BundleError, match="Train a model, or name one"):
            bundle.load(folder)


@pytest.fixture
def models(installation: Settings, model_folder: Path) -> Settings:
    """Shipped models "albatross", "mobilenetv2" and "zebra", runs of 2024 and 2025."""
    shipped = dataclasses.replace(installation, shipped_models=installation.home / "models")
    source = bundle.load(model_folder)
    for name in ("zebra", "albatross", "mobilenetv2"):
        bundle.copy(source, shipped.shipped_models / name)
    for run in ("20240101-quick", "20250101-quick"):
        bundle.copy(source, shipped.runs / run / "bundle")
    (shipped.runs / "20260101-unfinished").mkdir()
    return shipped


def test_models_by_name(models: Settings) -> None:
    assert list(bundle.folders(models)) == [
        *("mobilenetv2", "albatross", "zebra"),
        *("20250101-quick", "20240101-quick"),
    ]


def test_finding_a_model(models: Settings, model_folder: Path) -> None:
    assert bundle.find(models).folder == models.shipped_models / "mobilenetv2"
    assert bundle.find(models, "zebra").card.name == "zebra"
    assert bundle.find(models, "20240101-quick").folder == models.runs / "20240101-quick/bundle"
    assert bundle.find(models, str(model_folder)).folder == model_folder


@pytest.mark.parametrize("name", ["eagle", "20260101-unfinished", "", "/"])
def test_an_unknown_model(models: Settings, name: str) -> None:
    with pytest.raises(BundleError) as refusal:
        bundle.find(models, name)
    assert f"No model is named {name!r}" in str(refusal.value)
    assert "mobilenetv2, albatross, zebra, 20250101-quick" in str(refusal.value)


def test_no_models_at_all(installation: Settings) -> None:
    empty = dataclasses.replace(installation, shipped_models=installation.home / "none")
    with pytest.raises(BundleError, match="Models: none"):
        bundle.find(empty)


def test_a_copy_takes_the_name_of_its_folder(model_folder: Path, tmp_path: Path) -> None:
    copied = bundle.copy(bundle.load(model_folder), tmp_path / "deep" / "finch")
    assert copied.card.name == "finch"
    assert "evaluate --model finch" in (copied.folder / "README.md").read_text()
    assert bundle.load(model_folder).card.name == "sparrow"
    assert sorted(path.name for path in copied.folder.iterdir()) == [
        *("README.md", "card.json", "cases.npz", "gate.npz", "head.npz"),
        *("model.keras", "model.tflite", "recipe.json"),
    ]
    assert [path.name for path in copied.folder.parent.iterdir()] == ["finch"]


def test_a_copy_replaces_a_bundle(model_folder: Path, tmp_path: Path) -> None:
    source = bundle.load(model_folder)
    shutil.copytree(model_folder, tmp_path / "old")
    (tmp_path / "old" / "notes.txt").write_text("of the old one")
    copied = bundle.copy(source, tmp_path / "old")
    assert copied.card.name == "old"
    assert not (tmp_path / "old" / "notes.txt").exists()


def test_a_copy_spares_what_is_no_bundle(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for taken in ("thesis", "file"):
        with pytest.raises(BundleError, match="which is neither"):
            bundle.copy(bundle.load(model_folder), tmp_path / taken)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
