"""What a film shows where it is hidden: occlusion sensitivity.

Unlike a class activation map, which reads weights and feature maps, this asks the model itself:
place after place is covered, and the answer compared (Zeiler and Fergus, Visualizing and
Understanding Convolutional Networks, ECCV 2014).
"""

from collections.abc import Callable

import numpy as np

POSITIONS = 14
"""Of the patch, in a row and in a column: one pass of the network for each of their product."""


def occlusion(
    logits: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, *, positions: int = POSITIONS
) -> np.ndarray:
    """How much the logit falls when a place is hidden.

    The patch is a square as grey as the picture is on average. Its side is two steps from one
    position to the next, so that each place is hidden four times.

    Args:
        logits: of pictures, uint8, shape (images, size, size).
        picture: uint8, shape (size, size).
        positions: of the patch, in a row and in a column.

    Returns: float64, shape (positions, positions): positive where the place speaks for PNEUMONIA,
        negative where it speaks for NORMAL.
    """
    answers = logits(np.concatenate([picture[np.newaxis], _hidden(picture, positions)]))
    return np.asarray((answers[0] - answers[1:]).reshape(positions, positions))


def _hidden(picture: np.ndarray, positions: int) -> np.ndarray:
    """The picture with a patch at each position, row by row, uint8."""
    step = len(picture) / positions
    spans = [
        slice(max(0, round((place - 0.5) * step)), round((place + 1.5) * step))
        for place in range(positions)
    ]
    pictures = np.repeat(picture[np.newaxis], positions**2, axis=0)
    grey = round(picture.mean())
    for number, covered in enumerate(pictures):
        row, column = divmod(number, positions)
        covered[spans[row], spans[column]] = grey
    return pictures
