"""Random changes of pictures, by hand and against Keras' `ImageDataGenerator`."""

import math
from typing import Any

import cv2
import numpy as np
import pytest

from pneumo.training import augmentation
from pneumo.training.augmentation import augment, random_transform, transform
from pneumo.training.recipe import QUICK, SEED, Augmentation


class Extreme:
    """Random numbers at the upper end of what may be drawn."""

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        return high if size is None else np.full(size, high)

    def random(self) -> float:
        return 1.0


def changed(monkeypatch: pytest.MonkeyPatch, picture: Any, **changes: Any) -> np.ndarray:
    """A picture after one given transform, all other changes switched off."""
    monkeypatch.setattr(
        augmentation,
        "random_transform",
        lambda limits, rng, **size: transform(**size, **changes),
    )
    return augment(np.array(picture, np.uint8), Augmentation(), np.random.default_rng(0))


def smooth_picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9)).astype(np.uint8)
    return cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)


def test_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = [[1, 2, 3], [4, 5, 6]]
    assert changed(monkeypatch, picture, mirror=True).tolist() == [[3, 2, 1], [6, 5, 4]]


def test_a_quarter_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    turned = changed(monkeypatch, picture, angle=math.pi / 2)
    assert turned.tolist() == [[3, 6, 9], [2, 5, 8], [1, 4, 7]]


def test_zoom_is_about_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = [[0, 10, 20, 30, 40]] * 3
    twice_as_wide = changed(monkeypatch, picture, zoom=(1.0, 0.5))
    assert twice_as_wide.tolist() == [[10, 15, 20, 25, 30]] * 3
    # Half as wide: what lies outside repeats the edge.
    half_as_wide = changed(monkeypatch, picture, zoom=(1.0, 2.0))
    assert half_as_wide.tolist() == [[0, 0, 20, 40, 40]] * 3
    twice_as_high = changed(monkeypatch, np.transpose(picture), zoom=(0.5, 1.0))
    assert twice_as_high.tolist() == np.transpose([[10, 15, 20, 25, 30]] * 3).tolist()


def test_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert changed(monkeypatch, picture, shift=(1, 0)).tolist() == [[4, 5, 6], [7, 8, 9], [7, 8, 9]]
    assert changed(monkeypatch, picture, shift=(0, 1)).tolist() == [[2, 3, 3], [5, 6, 6], [8, 9, 9]]


def test_shear_moves_rows_along_each_other() -> None:
    # sin 30° = 1/2: two rows below the centre the picture is taken one column further left.
    matrix = transform(shear=math.radians(30), height=5, width=5)
    column, row, _ = matrix @ [2, 4, 1]
    assert (column, row) == pytest.approx((1, 2 + 2 * math.cos(math.radians(30))))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras imports an old name of SciPy
@pytest.mark.parametrize("case", range(8))
def test_geometry_is_that_of_image_data_generator(
    case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    rng = np.random.default_rng(case)
    theta, shear = rng.uniform(-30, 30), rng.uniform(-20, 20)
    zoom_rows, zoom_columns = rng.uniform(0.7, 1.3, size=2)
    shift_rows, shift_columns = rng.uniform(-9, 9, size=2)
    mirror = bool(case % 2)
    picture = smooth_picture(case)

    reference = ImageDataGenerator(fill_mode="nearest").apply_transform(
        picture[..., np.newaxis].astype(np.float32),
        {
            "theta": theta,
            "tx": shift_columns,
            "ty": shift_rows,
            "shear": shear,
            "zx": zoom_columns,
            "zy": zoom_rows,
            "flip_horizontal": mirror,
        },
    )[..., 0]
    ours = changed(
        monkeypatch,
        picture,
        angle=math.radians(theta),
        shear=math.radians(shear),
        zoom=(zoom_rows, zoom_columns),
        shift=(shift_rows, shift_columns),
        mirror=mirror,
    )

    assert np.abs(reference - picture).mean() > 10  # the transform is a large one
    assert np.abs(reference - ours).mean() < 1


def test_draws_stay_within_the_recipe() -> None:
    limits = Augmentation(rotation=20, zoom=0.2, shear=10, shift=0.1, horizontal_flip=True)
    rng = np.random.default_rng(0)
    matrices = np.array([random_transform(limits, rng, height=50, width=100) for _ in range(2000)])
    mirrored = np.linalg.det(matrices[:, :2, :2]) < 0
    assert 0.45 < mirrored.mean() < 0.55
    areas = np.abs(np.linalg.det(matrices[:, :2, :2]))
    assert areas.min() > 0.8 * 0.8 * math.cos(math.radians(10))
    assert areas.max() < 1.2 * 1.2
    assert areas.min() < 0.75 and areas.max() > 1.3  # both axes are drawn, and far out
    # The first column of the matrix, but for zoom and mirror, is (cos, sin) of the angle.
    angles = np.degrees(np.arctan(matrices[:, 1, 0] / matrices[:, 0, 0]))
    assert 19 < np.abs(angles).max() < 20
    # Around the centre, which the shift alone moves, by up to 5 rows and 10 columns.
    centre = np.array([49.5, 24.5, 1])
    moves = np.hypot(*(matrices @ centre - centre)[~mirrored, :2].T)
    assert 10 < moves.max() < math.hypot(5, 10)


def test_nothing_changes_where_everything_is_off() -> None:
    picture = smooth_picture(1)
    assert np.array_equal(augment(picture, Augmentation(), np.random.default_rng(0)), picture)


def test_contrast_is_about_the_middle() -> None:
    picture = np.array([[0, 64, 128, 191, 255]], np.uint8)
    # 1.5 (64/255 - 1/2) + 1/2 = 0.1265, × 255 = 32.25; 128 → 128.25; 191 → 222.75.
    result = augment(picture, Augmentation(contrast=0.5), Extreme())  # type: ignore[arg-type]
    assert result.tolist() == [[0, 32, 128, 223, 255]]


def test_gamma_is_a_power_of_two() -> None:
    picture = np.array([[0, 51, 102, 204, 255]], np.uint8)
    # gamma 2: (51/255)² × 255 = 10.2; (102/255)² × 255 = 40.8; (204/255)² × 255 = 163.2.
    result = augment(picture, Augmentation(gamma=1), Extreme())  # type: ignore[arg-type]
    assert result.tolist() == [[0, 10, 41, 163, 255]]


def test_blur_is_a_loss_of_resolution() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    # At half the resolution every pixel is the mean of two black and two white ones.
    result = augment(checkers, Augmentation(blur=1), Extreme())  # type: ignore[arg-type]
    assert result.shape == (64, 64)
    assert set(np.unique(result)) <= {127, 128}


@pytest.mark.parametrize("recipe", [QUICK, SEED], ids=lambda recipe: recipe.name)
def test_the_seed_alone_decides(recipe: Any) -> None:
    picture = smooth_picture(2)
    first, again, other = (
        augment(picture, recipe.augmentation, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.uint8 and first.shape == picture.shape
