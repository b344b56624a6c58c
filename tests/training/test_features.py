"""Features on LiteRT are those of the backbone in Keras; views of them are made once."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pneumo import export
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import features
from pneumo.training.classifier import Classifier
from pneumo.training.features import CHUNK, FeatureExtractor
from pneumo.training.feeds import FeatureFeed, PictureFeed
from pneumo.training.picture_cache import MappedPictures
from pneumo.training.pipeline import Pictures, augmented
from pneumo.training.recipe import QUICK, SEED, Augmentation, HeadDesign
from pneumo.training.runs import TrainingImage

RECIPE = QUICK.changed(start="shipped", image_size=96)
FLAT = RECIPE.changed(head=HeadDesign(pooling="flatten"))
COUNT = CHUNK + 3
"""One chunk and a part of the next."""


@pytest.fixture(scope="module")
def classifier(shipped: Settings) -> Classifier:
    return classifiers.build(RECIPE, settings=shipped)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation that keeps the converted backbone for the tests of this module."""
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def pooled(classifier: Classifier, home: Settings) -> FeatureExtractor:
    return FeatureExtractor(classifier, RECIPE, home)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 96, 96)).astype(np.uint8)


@pytest.fixture(scope="module")
def expected(classifier: Classifier, pixels: np.ndarray) -> np.ndarray:
    return classifier.backbone.predict_on_batch(pixels[..., np.newaxis].astype(np.float32))


@pytest.fixture
def pictures(pixels: np.ndarray, tmp_path: Path) -> Pictures:
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    images = [
        TrainingImage(
            **{"path": f"{n}.png", "label": "NORMAL", "subtype": "normal", "patient": str(n)},
            **{"split": "train", "digest": f"{n:032x}"},
        )
        for n in range(COUNT)
    ]
    return Pictures(
        images=images,
        pixels=MappedPictures(tmp_path / "pixels", size=96, rows=np.arange(COUNT)),
        classes=np.arange(COUNT) % 2,
    )


def refuse_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_litert(*arguments: object) -> None:
        raise AssertionError("converted once more")

    monkeypatch.setattr(export, "to_litert", to_litert)


def test_features_are_those_of_the_backbone(
    classifier: Classifier,
    pooled: FeatureExtractor,
    home: Settings,
    pixels: np.ndarray,
    expected: np.ndarray,
) -> None:
    extractor = FeatureExtractor(classifier, FLAT, home)
    flat = extractor.features(pixels)
    assert extractor.shape == (3, 3, 1280) and flat.shape == (COUNT, 3, 3, 1280)
    assert flat.dtype == np.float32
    assert np.abs(flat - expected).max() < 1e-3

    found = pooled.features(pixels)
    assert pooled.shape == (1, 1, 1280) and found.shape == (COUNT, 1, 1, 1280)
    assert np.abs(found[:, 0, 0] - expected.mean(axis=(1, 2))).max() < 1e-3
    # The last chunk is filled up to its size, and what fills it is no feature.
    assert np.array_equal(pooled.features(pixels[CHUNK:]), found[CHUNK:])
    assert pooled.features(pixels[:1]).shape == (1, 1, 1, 1280)


def test_keras_serves_where_there_is_a_gpu(
    classifier: Classifier,
    installation: Settings,
    pixels: np.ndarray,
    expected: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_conversion(monkeypatch)
    flat = FeatureExtractor(classifier, FLAT, installation, on_gpu=True).features(pixels)
    assert flat == pytest.approx(expected, abs=1e-4)
    pooled = FeatureExtractor(classifier, RECIPE, installation, on_gpu=True).features(pixels)
    assert pooled[:, 0, 0] == pytest.approx(expected.mean(axis=(1, 2)), abs=1e-4)


def test_a_backbone_is_converted_once(
    shipped: Settings, home: Settings, pooled: FeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_conversion(monkeypatch)
    again = classifiers.build(RECIPE.changed(seed=9, classes=3), settings=shipped)
    FeatureExtractor(again, RECIPE, home)
    other = SEED.changed(start="shipped", image_size=96)  # another scaling
    with pytest.raises(AssertionError, match="converted once more"):
        FeatureExtractor(classifiers.build(other, settings=shipped), other, home)


# Views ----------------------------------------------------------------------------------

View = Callable[..., np.ndarray]


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def view(
    classifier: Classifier,
    pooled: FeatureExtractor,
    installation: Settings,
    home: Settings,
    pictures: Pictures,
    told: list[tuple[int, int]],
) -> View:
    """A view of the pictures, kept in this test's own home."""
    backbone = next(home.cache.glob("backbone-*.tflite"))
    installation.cache.mkdir(parents=True)
    (installation.cache / backbone.name).symlink_to(backbone)
    extractor = FeatureExtractor(classifier, RECIPE, installation)

    def view_(
        augmentation: Augmentation | None = RECIPE.augmentation,
        *,
        of: Pictures = pictures,
        seed: tuple[int, ...] = (0, 1),
        progress: Callable[[int, int], None] = lambda done, total: told.append((done, total)),
    ) -> np.ndarray:
        return extractor.view(of, augmentation, seed=seed, progress=progress)

    return view_


def test_a_view_is_of_augmented_pictures(
    view: View, pooled: FeatureExtractor, pictures: Pictures, told: list[tuple[int, int]]
) -> None:
    found = view(seed=(3, 4))
    changed = augmented(pictures, np.arange(COUNT), RECIPE.augmentation, seed=(3, 4))
    assert found.shape == (COUNT, 1, 1, 1280) and found.dtype == np.float32
    assert np.array_equal(found, pooled.features(changed))
    assert told == [(CHUNK, COUNT), (COUNT, COUNT)]
    plain = view(None, seed=())
    assert np.array_equal(plain, pooled.features(pictures.pixels[:]))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def test_a_view_is_made_once(view: View, pictures: Pictures, told: list[tuple[int, int]]) -> None:
    first = np.array(view())
    del told[:]
    assert np.array_equal(view(), first) and told == []
    # Paths and labels do not matter, content and order do.
    moved = [dataclasses.replace(image, path="elsewhere.png") for image in pictures.images]
    view(of=dataclasses.replace(pictures, images=moved, classes=pictures.classes[::-1]))
    assert told == []
    view(of=dataclasses.replace(pictures, images=pictures.images[::-1]))
    assert told.pop() == (COUNT, COUNT)
    for changes in ({"seed": (0, 2)}, {"augmentation": Augmentation(zoom=0.2)}):
        view(**changes)
        assert told.pop() == (COUNT, COUNT)
    view(None, seed=(0, 1))
    del told[:]
    view(None, seed=(0, 2))  # without augmentation there is nothing to draw
    assert told == []


class Killed(BaseException):
    """Stands for the end of a process in the middle of its work."""


@pytest.mark.parametrize("half", [0, 1, 5000])
def test_a_view_that_was_broken_off_is_continued(
    view: View, installation: Settings, told: list[tuple[int, int]], half: int
) -> None:
    def progress(done: int, total: int) -> None:
        raise Killed

    whole = np.array(view(seed=(0, 9)))
    (kept,) = (installation.cache / "features").iterdir()
    kept.unlink()
    del told[:]
    with pytest.raises(Killed):
        view(seed=(0, 9), progress=progress)
    (partial,) = (installation.cache / "features").iterdir()
    assert partial.suffix == ".partial"
    assert partial.stat().st_size == CHUNK * 4 * 1280
    with partial.open("ab") as file:
        file.write(b"\x07" * half)  # of the next picture
    assert np.array_equal(view(seed=(0, 9)), whole)
    assert told == [(COUNT, COUNT)]
    assert [path.suffix for path in (installation.cache / "features").iterdir()] == [".f32"]


def test_the_views_unused_for_longest_go_first(
    view: View,
    installation: Settings,
    told: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(features, "KEPT_BYTES", 2 * COUNT * 4 * 1280)
    folder = installation.cache / "features"
    view(seed=(0, 1))
    view(seed=(0, 2))
    time.sleep(0.02)  # file systems count time in larger steps than these take
    view(seed=(0, 1))  # used again
    used = np.array(view(seed=(0, 3)))  # one too many: (0, 2) goes
    assert len(list(folder.iterdir())) == 2
    del told[:]
    view(seed=(0, 1))
    assert np.array_equal(view(seed=(0, 3)), used) and told == []
    view(seed=(0, 2))
    assert told[-1] == (COUNT, COUNT)


# What the network is fed ----------------------------------------------------------------

BATCHES = [np.array([3, 0, 9, 10, 1, 2, 4, 5, 6]), np.array([8, 7])]


def feed(
    recipe: object, extractor: FeatureExtractor, pictures: Pictures, said: list[str]
) -> FeatureFeed:
    return FeatureFeed(
        recipe,  # type: ignore[arg-type]
        extractor,
        pictures,
        pictures,
        announce=lambda name, done, total: said.append(name),
    )


def test_features_of_fresh_augmentations(pooled: FeatureExtractor, pictures: Pictures) -> None:
    said: list[str] = []
    recipe = RECIPE.changed(cached_views=0, seed=5)
    fed = feed(recipe, pooled, pictures, said)
    assert set(said) <= {"Computing features of validation"}
    for epoch in (0, 1):
        batches = list(fed.training(BATCHES, epoch))
        for rows, batch in zip(BATCHES, batches, strict=True):
            changed = augmented(pictures, rows, recipe.augmentation, seed=(5, epoch))
            assert batch == pytest.approx(pooled.features(changed), abs=1e-5)
    assert np.array_equal(
        np.concatenate(list(fed.validation())), pooled.features(pictures.pixels[:])
    )


def test_cached_views_take_turns(pooled: FeatureExtractor, pictures: Pictures) -> None:
    said: list[str] = []
    recipe = RECIPE.changed(cached_views=2, seed=6)
    fed = feed(recipe, pooled, pictures, said)
    assert [text for text in dict.fromkeys(said) if "view" in text] == [
        "Computing features, view 1 of 2",
        "Computing features, view 2 of 2",
    ]
    epochs = [list(fed.training(BATCHES, epoch)) for epoch in range(3)]
    for epoch, view in ((0, 1), (1, 2), (2, 1)):
        for rows, batch in zip(BATCHES, epochs[epoch], strict=True):
            changed = augmented(pictures, rows, recipe.augmentation, seed=(6, view))
            assert batch == pytest.approx(pooled.features(changed), abs=1e-5)


def test_pictures_to_fine_tune_on(pictures: Pictures) -> None:
    fed = PictureFeed(RECIPE.changed(seed=7), pictures, pictures)
    for rows, batch in zip(BATCHES, fed.training(BATCHES, 3), strict=True):
        changed = augmented(pictures, rows, RECIPE.augmentation, seed=(7, 3))
        assert batch.dtype == np.uint8
        assert np.array_equal(batch, changed[..., np.newaxis])
    assert np.array_equal(np.concatenate(list(fed.validation()))[..., 0], pictures.pixels[:])
