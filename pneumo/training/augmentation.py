"""Random changes of training pictures: one affine warp for all geometry, then the grey levels.

The geometry is that of Keras' `ImageDataGenerator`, so that a recipe written for it means the
same here; without its passes over floating-point colour it is many times faster.
"""

import math

import cv2
import numpy as np

from pneumo.training.recipe import Augmentation


def augment(image: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """A randomly changed copy.

    Args:
        image: uint8, shape (height, width).
        augmentation: the largest changes.
        rng: the same state gives the same picture.

    Returns: uint8, shape (height, width).
    """
    height, width = image.shape
    matrix = random_transform(augmentation, rng, height=height, width=width)
    result = cv2.warpAffine(
        image,
        matrix[:2],
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if augmentation.blur:
        result = _lose_resolution(result, 1 + augmentation.blur * rng.random())
    if augmentation.contrast or augmentation.gamma:
        contrast = 1 + augmentation.contrast * rng.uniform(-1, 1)
        gamma = 2 ** (augmentation.gamma * rng.uniform(-1, 1))
        result = cv2.LUT(result, _grey_levels(contrast, gamma))
    return np.asarray(result)


def random_transform(
    augmentation: Augmentation, rng: np.random.Generator, *, height: int, width: int
) -> np.ndarray:
    """A random matrix from output to input pixels (column, row, 1).

    Rotation, then shear, then zoom about the picture's centre, as in `ImageDataGenerator`.

    Returns: float64, shape (3, 3).
    """
    angle = math.radians(rng.uniform(-augmentation.rotation, augmentation.rotation))
    shear = math.radians(rng.uniform(-augmentation.shear, augmentation.shear))
    zoom_rows, zoom_columns = rng.uniform(1 - augmentation.zoom, 1 + augmentation.zoom, size=2)
    shift_rows, shift_columns = rng.uniform(-augmentation.shift, augmentation.shift, size=2)
    mirror = augmentation.horizontal_flip and rng.random() < 0.5
    return transform(
        angle=angle,
        shear=shear,
        zoom=(zoom_rows, zoom_columns),
        shift=(shift_rows * height, shift_columns * width),
        mirror=mirror,
        height=height,
        width=width,
    )


def transform(
    *,
    angle: float = 0.0,
    shear: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
    shift: tuple[float, float] = (0.0, 0.0),
    mirror: bool = False,
    height: int,
    width: int,
) -> np.ndarray:
    """The matrix from output to input pixels (column, row, 1).

    Args:
        angle: in radians.
        shear: in radians.
        zoom: of rows and of columns; below 1 enlarges.
        shift: of rows and of columns, in pixels.
        mirror: left becomes right, after everything else.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns: float64, shape (3, 3).
    """
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    move = np.array([[1, 0, shift[1]], [0, 1, shift[0]], [0, 0, 1]])
    slant = np.array([[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]])
    scale = np.diag([zoom[1], zoom[0], 1.0])
    centre = np.array([[1, 0, width / 2 - 0.5], [0, 1, height / 2 - 0.5], [0, 0, 1]])
    to_centre = np.array([[1, 0, 0.5 - width / 2], [0, 1, 0.5 - height / 2], [0, 0, 1]])
    matrix = centre @ rotation @ move @ slant @ scale @ to_centre
    if mirror:
        matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    return matrix


def _lose_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape
    small = cv2.resize(
        image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _grey_levels(contrast: float, gamma: float) -> np.ndarray:
    """The new value of each of the 256 grey levels: contrast about the middle, then gamma."""
    levels = np.clip((np.arange(256) / 255 - 0.5) * contrast + 0.5, 0, 1)
    return np.round(255 * levels**gamma).astype(np.uint8)
