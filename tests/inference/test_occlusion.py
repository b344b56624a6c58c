"""Occlusion by hand, with logits that are known."""

import numpy as np

from pneumo.inference.occlusion import occlusion


def test_the_drop_of_the_logit_by_hand() -> None:
    picture = np.zeros((4, 4), np.uint8)
    picture[0, 0] = 160  # on average 10, which is what hides
    # Two patches of 3 pixels a side: the first from 0, the second from 1.
    in_the_corner = occlusion(
        lambda pictures: pictures[:, 0, 0].astype(float), picture, positions=2
    )
    assert in_the_corner.tolist() == [[150, 0], [0, 0]]
    # Darkness counts as evidence for the opposite: hidden, the pixel goes from 0 to 10.
    opposite = occlusion(lambda pictures: pictures[:, 3, 3].astype(float), picture, positions=2)
    assert opposite.tolist() == [[0, 0], [0, -10]]


def test_each_place_is_hidden_by_the_four_patches_around_it() -> None:
    picture = np.zeros((8, 8), np.uint8)
    picture[0, 0] = 255  # 255 / 64: hidden pixels are 4
    asked: list[np.ndarray] = []

    def logits(pictures: np.ndarray) -> np.ndarray:
        asked.append(pictures)
        return np.zeros(len(pictures))

    occlusion(logits, picture, positions=4)
    (pictures,) = asked
    assert len(pictures) == 1 + 4 * 4
    assert np.array_equal(pictures[0], picture)
    times = (pictures[1:] == 4).sum(axis=0)
    assert (times[1:-1, 1:-1] == 4).all()
    assert (times[0, 0], times[0, 4], times[-1, -1]) == (1, 2, 1)


def test_the_grid_covers_a_picture_that_it_does_not_divide() -> None:
    picture = np.zeros((10, 10), np.uint8)
    picture[0, 0] = 100
    times = np.zeros((10, 10), int)

    def logits(pictures: np.ndarray) -> np.ndarray:
        times[:] = (pictures[1:] == 1).sum(axis=0)
        return np.zeros(len(pictures))

    assert occlusion(logits, picture, positions=3).shape == (3, 3)
    assert times.min() == 1
