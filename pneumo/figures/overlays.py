"""Pictures over films: heat, outlines, and how two pictures differ."""

import cv2
import numpy as np

from pneumo.figures.appearance import NORMAL, PNEUMONIA

_LEVELS = np.arange(256, dtype=np.uint8)[np.newaxis]
PALETTES: dict[str, np.ndarray] = {
    name: cv2.cvtColor(cv2.applyColorMap(_LEVELS, colour_map), cv2.COLOR_BGR2RGB)[0]
    for name, colour_map in (
        ("inferno", cv2.COLORMAP_INFERNO),
        ("viridis", cv2.COLORMAP_VIRIDIS),
        ("cividis", cv2.COLORMAP_CIVIDIS),
    )
} | {"white": np.full((256, 3), 255, np.uint8)}
"""Colours of heat from 0 to 255, uint8 RGB of shape (256, 3), by name.

All keep their order when printed in grey: the first three rise evenly in lightness, and white
over a film differs by its opacity alone."""


def overlay(pixels: np.ndarray, heat_map: np.ndarray, *, opacity: float = 0.4) -> np.ndarray:
    """Lay a heat map over a film; where it is cold, the film stays as it is.

    Args:
        pixels: the film, uint8, shape (height, width).
        heat_map: float in [0, 1], any shape (rows, columns); stretched over the film.
        opacity: of the colour where the heat is 1, in [0, 1]. In between, the opacity of
            a pixel is `opacity` times its heat.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        ValueError: an argument is out of its range or of the wrong shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            "`pixels` must be uint8 of shape (height, width). "
            f"Received: {pixels.dtype} of shape {pixels.shape}"
        )
    if heat_map.ndim != 2 or not np.all((heat_map >= 0) & (heat_map <= 1)):
        raise ValueError(
            "`heat_map` must have the shape (rows, columns) and values in [0, 1]. "
            f"Received: shape {heat_map.shape}, values from {heat_map.min()} to {heat_map.max()}"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"`opacity` must be in [0, 1]. Received: opacity={opacity}")
    height, width = pixels.shape
    heat = cv2.resize(heat_map.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    # Rounds, and clips: a cubic overshoots beside an edge.
    levels = cv2.multiply(heat, 255, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    # Blended once for each pair of a heat and a grey level, and looked up for each pixel.
    grey = np.arange(256, dtype=np.float32)
    share = opacity / 255 * grey[:, np.newaxis]
    rgb = PALETTES["inferno"].T[..., np.newaxis]
    blended = np.rint((1 - share) * grey + share * rgb).astype(np.uint8)  # (3, heats, greys)
    pairs = levels.astype(np.uint16) << 8 | pixels
    return cv2.merge([cv2.LUT(pairs, channel.ravel()) for channel in blended])


def outline(pixels: np.ndarray, mask: np.ndarray, *, colour: str = PNEUMONIA) -> np.ndarray:
    """Draw the outline of a region on a film.

    Args:
        pixels: the film, uint8, shape (height, width).
        mask: bool, of the same shape; nothing is drawn where it is all False.
        colour: `#RRGGBB`.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        ValueError: the shapes differ.
    """
    if pixels.shape != mask.shape:
        raise ValueError(
            "`mask` must have the shape of `pixels`. "
            f"Received: mask {mask.shape}, pixels {pixels.shape}"
        )
    drawn = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    # As visible on a film of 2,000 pixels as on a small one.
    thickness = max(1, round(max(pixels.shape) / 350))
    cv2.drawContours(drawn, contours, -1, (red, green, blue), thickness, cv2.LINE_AA)
    return drawn


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where one picture is brighter than another, and where it is darker, laid over their mean.

    Args:
        one, other: in grey levels, float, of one shape (height, width).

    Returns:
        uint8 RGB, shape (height, width, 3): grey where they are alike, towards `PNEUMONIA` where
        `one` is brighter and towards `NORMAL` where `other` is; the largest difference is pure.
    """
    apart = one - other
    share = (apart / max(float(np.abs(apart).max()), 1e-9))[..., np.newaxis]
    brighter, darker = (np.array(list(bytes.fromhex(it[1:])), float) for it in (PNEUMONIA, NORMAL))
    grey = ((one + other) / 2)[..., np.newaxis]
    drawn = (1 - np.abs(share)) * grey + np.abs(share) * np.where(share > 0, brighter, darker)
    return np.rint(drawn).astype(np.uint8)
