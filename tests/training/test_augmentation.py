"""Random changes of pictures, by hand and against Keras' `ImageDataGenerator`."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from pneumo.training.augmentation import (
    add_noise,
    augment,
    black_out_corners,
    erase_rectangle,
    paste_markers,
    random_transform,
    recompress,
    swap_frame,
    transform,
    warp,
)
from pneumo.training.recipe import BEST, QUICK, SEED, Augmentation


class Extreme:
    """Random numbers at the upper end of what may be drawn."""

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        return high if size is None else np.full(size, high)

    def random(self) -> float:
        return 1.0


def changed(picture: Any, **changes: Any) -> np.ndarray:
    """A picture after one given transform."""
    pixels = np.array(picture, np.uint8)
    height, width = pixels.shape
    return warp(pixels, transform(**changes, height=height, width=width))


def smooth_picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9)).astype(np.uint8)
    return cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)


def test_mirror() -> None:
    picture = [[1, 2, 3], [4, 5, 6]]
    assert changed(picture, mirror=True).tolist() == [[3, 2, 1], [6, 5, 4]]


def test_a_quarter_turn() -> None:
    picture = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    turned = changed(picture, angle=math.pi / 2)
    assert turned.tolist() == [[3, 6, 9], [2, 5, 8], [1, 4, 7]]


def test_zoom_is_about_the_centre() -> None:
    picture = [[0, 10, 20, 30, 40]] * 3
    twice_as_wide = changed(picture, zoom=(1.0, 0.5))
    assert twice_as_wide.tolist() == [[10, 15, 20, 25, 30]] * 3
    # Half as wide: what lies outside repeats the edge.
    half_as_wide = changed(picture, zoom=(1.0, 2.0))
    assert half_as_wide.tolist() == [[0, 0, 20, 40, 40]] * 3
    twice_as_high = changed(np.transpose(picture), zoom=(0.5, 1.0))
    assert twice_as_high.tolist() == np.transpose([[10, 15, 20, 25, 30]] * 3).tolist()


def test_shift() -> None:
    picture = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert changed(picture, shift=(1, 0)).tolist() == [[4, 5, 6], [7, 8, 9], [7, 8, 9]]
    assert changed(picture, shift=(0, 1)).tolist() == [[2, 3, 3], [5, 6, 6], [8, 9, 9]]


def test_crop_stretches_the_rest_to_the_whole_picture() -> None:
    # Of 8 rows 2 go at the top and 1 at the bottom, of 10 columns 4 at the left and 1 at the right.
    matrix = transform(crop=(0.25, 0.125, 0.4, 0.1), height=8, width=10)
    # Edges lie half a pixel outside the pixels' centres: 3.5 is left of column 4.
    assert matrix @ [-0.5, -0.5, 1] == pytest.approx([3.5, 1.5, 1])
    assert matrix @ [9.5, 7.5, 1] == pytest.approx([8.5, 6.5, 1])
    picture = [[0, 0, 9, 9, 5, 5, 5, 5]] * 3
    # Twice as wide, new pixels lie a quarter off the old: 1/4 × 9 + 3/4 × 5 = 6, and so on.
    assert changed(picture, crop=(0, 0, 0.5, 0)).tolist() == [[6, 5, 5, 5, 5, 5, 5, 5]] * 3
    assert changed(picture, crop=(0, 0, 0.25, 0.25)).tolist() == [[7, 9, 9, 8, 6, 5, 5, 5]] * 3


def test_each_side_loses_its_own_share() -> None:
    limits = Augmentation(crop=0.1)
    rng = np.random.default_rng(0)
    matrices = [random_transform(limits, rng, height=50, width=100) for _ in range(1000)]
    top_left = np.array([(matrix @ [-0.5, -0.5, 1])[:2] for matrix in matrices]) + 0.5
    bottom_right = [100, 50] - (np.array([(m @ [99.5, 49.5, 1])[:2] for m in matrices]) + 0.5)
    lost = np.hstack([top_left, bottom_right]) / [100, 50, 100, 50]
    assert lost.min() > -1e-9 and (lost.min(axis=0) < 0.001).all()
    assert lost.max() < 0.1 + 1e-9 and (lost.max(axis=0) > 0.099).all()
    assert np.abs(np.corrcoef(lost.T) - np.eye(4)).max() < 0.1


def test_shear_moves_rows_along_each_other() -> None:
    # sin 30° = 1/2: two rows below the centre the picture is taken one column further left.
    matrix = transform(shear=math.radians(30), height=5, width=5)
    column, row, _ = matrix @ [2, 4, 1]
    assert (column, row) == pytest.approx((1, 2 + 2 * math.cos(math.radians(30))))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras imports an old name of SciPy
@pytest.mark.parametrize("case", range(8))
def test_geometry_is_that_of_image_data_generator(case: int) -> None:
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
    original = picture.copy()
    result = augment(picture, Augmentation(), np.random.default_rng(0))
    assert np.array_equal(result, original)
    result[:] = 0
    assert np.array_equal(picture, original)  # it was a copy


@pytest.mark.parametrize("name", ["erasing", "corner_blackout", "markers"])
def test_a_share_of_the_pictures(name: str) -> None:
    picture = np.full((64, 64), 90, np.uint8)
    picture[20:40, 20:40] = 10  # so that the mean grey shows
    results = [
        augment(picture, Augmentation(**{name: 0.25}), np.random.default_rng(seed))
        for seed in range(800)
    ]
    assert (picture[20:40, 20:40] == 10).all() and (picture[:20] == 90).all()  # left alone
    assert 0.2 < np.mean([not np.array_equal(result, picture) for result in results]) < 0.3


def test_corners_are_hidden_and_the_rest_is_left() -> None:
    picture = np.random.default_rng(0).integers(100, 200, (200, 100)).astype(np.uint8)
    sides = []
    for seed in range(200):
        result = picture.copy()
        black_out_corners(result, np.random.default_rng(seed))
        touched = result != picture
        # At most a quarter of each side from every corner.
        assert not touched[50:150].any() and not touched[:, 25:75].any()
        corners = [touched[:50, :25], touched[:50, 75:], touched[150:, :25], touched[150:, 75:]]
        hidden = [corner for corner in corners if corner.any()]
        assert hidden
        for corner in hidden:
            rows, columns = corner.any(axis=1).sum(), corner.any(axis=0).sum()
            assert 0.9 < corner.sum() / (rows * columns) <= 1  # a rectangle, but for equal greys
            sides.append((rows / 200, columns / 100))
    assert 2.0 < len(sides) / 200 < 2.75  # of four, each with p = 1/2, and one more if it is free
    assert np.min(sides) >= 0.07 and np.max(sides) <= 0.25


def test_a_hidden_corner_keeps_no_letter() -> None:
    picture = np.full((100, 100), 40, np.uint8)
    picture[::3] = picture[:, ::3] = 255
    for seed in range(50):
        result = picture.copy()
        black_out_corners(result, np.random.default_rng(seed))
        for corner in (result[:8, :8], result[:8, -8:], result[-8:, :8], result[-8:, -8:]):
            contrast = int(corner.max()) - int(corner.min())
            assert contrast == 215 or contrast < 100  # as it was, or gone


def test_an_erased_rectangle_covers_2_to_15_percent() -> None:
    picture = np.full((200, 100), 60, np.uint8)
    picture[:, 50:] = 120
    shares, plain = [], []
    for seed in range(300):
        result = picture.copy()
        erase_rectangle(result, np.random.default_rng(seed))
        touched = result != picture
        rows, columns = touched.any(axis=1), touched.any(axis=0)
        region = result[rows][:, columns]
        shares.append(region.size / picture.size)
        plain.append(set(np.unique(region)) == {90})
        assert touched.sum() > 0.97 * region.size  # of the noise, one in 256 is as it was
    assert 0.018 < min(shares) < 0.025 and 0.14 < max(shares) < 0.155
    assert 0.4 < np.mean(plain) < 0.6


def test_markers_are_few_and_light_grey() -> None:
    for seed in range(300):
        film = np.zeros((224, 224), np.uint8)
        paste_markers(film, np.random.default_rng(seed))
        written = film > 50  # a box is darker
        assert 0.0005 < written.mean() < 0.06, seed
        assert film.max() >= 0.6 * 150 * 0.7, seed  # seen through, and thin strokes blurred
        assert not film[90:135, 90:135].any(), seed  # not over the heart


def test_one_to_three_markers_stand_along_all_borders() -> None:
    pieces, places = [], np.zeros((224, 224))
    for seed in range(400):
        film = np.zeros((224, 224), np.uint8)
        paste_markers(film, np.random.default_rng(seed))
        # Letters of a text grow together; markers that happen to stand close do, too.
        together = cv2.dilate((film > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
        pieces.append(cv2.connectedComponents(together)[0] - 1)
        places += film > 0
    assert set(pieces) == {1, 2, 3}
    assert all(pieces.count(number) > 60 for number in (1, 2, 3))
    blocks = places.reshape(7, 32, 7, 32).sum(axis=(1, 3)) > 0
    assert blocks[[0, -1]].all() and blocks[:, [0, -1]].all()


def test_letters_are_written_over_hidden_corners_and_as_sharp_as_the_film() -> None:
    picture = np.full((224, 224), 90, np.uint8)
    sharp = Augmentation(corner_blackout=1, markers=1)
    blurred = Augmentation(corner_blackout=1, markers=1, blur=3)
    in_black, steps = 0, []
    for seed in range(40):
        results = [augment(picture, a, np.random.default_rng(seed)) for a in (sharp, blurred)]
        corners = np.concatenate([results[0][:18, :18], results[0][-18:, -18:]])
        in_black += bool((corners == 0).any() and (corners > 150).any())
        steps.append([np.abs(np.diff(result.astype(int))).max() for result in results])
    assert in_black > 2
    sharpest, softest = np.mean(steps, axis=0)
    assert softest < 0.8 * sharpest


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


@pytest.mark.parametrize("deviation", [0.5, 3.0, 8.0])
def test_noise_has_its_standard_deviation(deviation: float) -> None:
    grey = np.full((512, 384), 128, np.uint8)
    noise = add_noise(grey, deviation, np.random.default_rng(0)).astype(float) - 128
    # Rounding to whole grey levels adds 1/12 to the variance.
    assert noise.std() == pytest.approx(math.sqrt(deviation**2 + 1 / 12), rel=0.03)
    assert abs(noise.mean()) < 0.1
    assert np.mean(np.abs(noise) < deviation + 0.5) > 0.6  # of a Gaussian: 0.68
    blocks = noise.reshape(8, 64, 6, 64).std(axis=(1, 3))
    assert np.ptp(blocks) < 0.2 * deviation  # everywhere alike


def test_noise_stays_below_the_recipe() -> None:
    grey = np.full((64, 64), 128, np.uint8)
    deviations = [
        augment(grey, Augmentation(noise=10), np.random.default_rng(seed)).std()
        for seed in range(300)
    ]
    assert min(deviations) < 0.5 and 9.5 < max(deviations) < 10.5
    assert 4.5 < np.mean(deviations) < 5.5


def test_black_and_white_stay_in_range_under_noise() -> None:
    halves = np.repeat(np.array([[0, 255]], np.uint8), 500, axis=1).repeat(1000, axis=0)
    noisy = add_noise(halves, 20, np.random.default_rng(0))
    # Half of the noise is cut off; the mean of the other is deviation / sqrt(2 pi) = 8.
    assert noisy[:, :500].mean() == pytest.approx(8, abs=0.2)
    assert noisy[:, 500:].mean() == pytest.approx(255 - 8, abs=0.2)


def test_recompression_loses_little_and_more_at_lower_quality() -> None:
    picture = smooth_picture(3)
    losses = [
        np.abs(recompress(picture, quality).astype(int) - picture).mean()
        for quality in (100, 90, 60, 30)
    ]
    assert losses == sorted(losses)
    assert losses[0] < 0.5 and losses[-1] < 5


def test_recompression_takes_up_to_so_much_of_the_quality() -> None:
    picture = smooth_picture(3)
    limits = Augmentation(recompression=10)
    made = {augment(picture, limits, np.random.default_rng(k)).tobytes() for k in range(300)}
    assert made == {recompress(picture, quality).tobytes() for quality in range(90, 101)}


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": 0.1},
        {"noise": 8.0},
        {"recompression": 70.0},
        {"erasing": 1.0},
        {"corner_blackout": 1.0},
        {"markers": 1.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_change_alone_is_decided_by_the_seed(changes: dict[str, float]) -> None:
    picture = smooth_picture(4)
    original = picture.copy()
    first, again, other = (
        augment(picture, Augmentation(**changes), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(picture, original)
    assert not np.array_equal(first, original)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.uint8 and first.shape == picture.shape


def test_the_frame_of_another_picture_around_the_middle() -> None:
    dark, bright = np.full((100, 100), 40, np.uint8), np.full((100, 100), 200, np.uint8)
    framed = swap_frame(dark, bright, np.random.default_rng(0))
    assert (framed[25:75, 25:75] == 40).all()  # no frame reaches so far
    assert framed[[0, -1]].min() > 160 and framed[:, [0, -1]].min() > 160
    seam = framed[50]
    assert ((seam > 40) & (seam < 200)).any()  # and it is soft
    again = swap_frame(dark, bright, np.random.default_rng(1))
    assert not np.array_equal(framed, again)


def test_frames_are_swapped_in_a_share_of_the_pictures_and_only_where_there_is_another() -> None:
    dark, bright = np.full((64, 64), 40, np.uint8), np.full((64, 64), 200, np.uint8)
    half = Augmentation(frame_swap=0.5)
    rngs = [np.random.default_rng(seed) for seed in range(200)]
    swapped = [augment(dark, half, rng, other=bright)[0, 0] > 160 for rng in rngs]
    assert 80 < sum(swapped) < 120
    assert (augment(dark, half, rngs[0]) == 40).all()


def test_threads_make_the_same_pictures() -> None:
    # Fonts are the one thing here that threads could share by mistake.
    picture = np.zeros((96, 96), np.uint8)

    def made(seed: int) -> bytes:
        return augment(picture, Augmentation(markers=1), np.random.default_rng(seed)).tobytes()

    one_by_one = [made(seed) for seed in range(500)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(made, range(500))) == one_by_one


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (512, 384)], ids=str)
def test_everything_on_pictures_of_any_size(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    for seed in range(50):
        result = augment(picture, BEST.augmentation, np.random.default_rng(seed))
        assert result.dtype == np.uint8 and result.shape == size


@pytest.mark.parametrize("recipe", [QUICK, SEED, BEST], ids=lambda recipe: recipe.name)
def test_the_seed_alone_decides(recipe: Any) -> None:
    picture = smooth_picture(2)
    first, again, other = (
        augment(picture, recipe.augmentation, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.uint8 and first.shape == picture.shape
