"""What the radiograph viewer sends to the browser, and what it believes of what comes back."""

import json
from typing import Any

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import viewer
from pages.parts.viewer import Box, ViewedFilm
from pneumo import figures

FILM = ViewedFilm(
    name="film.jpeg",
    description="A film",
    pixels=np.random.default_rng(0).integers(0, 256, (1500, 2200), dtype=np.uint8),
)


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([10, 20, 300, 400], (10, 20, 300, 400)),
        ([-5, -5, 9999, 9999], (0, 0, 2200, 1500)),
        ([300, 400, 10, 20], (300, 400, 301, 401)),  # turned round: a pixel
        ([5000, 5000, 6000, 6000], (2199, 1499, 2200, 1500)),  # beside the film: its corner
        ([0, 0, 10**400, 10], (0, 0, 2200, 10)),
    ],
)
def test_a_region_is_cut_to_the_film(asked: list[int], answered: Box) -> None:
    request = {"films": "these", "boxes": [asked]}
    assert viewer.requested_boxes(request, [FILM], "these") == [answered]


@pytest.mark.parametrize(
    "request_",
    [
        None,
        "everything",
        {},
        {"films": "others", "boxes": [[0, 0, 10, 10]]},
        {"films": "these", "boxes": None},
        {"films": "these", "boxes": []},
        {"films": "these", "boxes": [[0, 0, 10, 10], [0, 0, 10, 10]]},
        {"films": "these", "boxes": [[0, 0, 10]]},
        {"films": "these", "boxes": [[0, 0, "10", 10]]},
        {"films": "these", "boxes": [[0, 0, float("nan"), 10]]},
        {"films": "these", "boxes": [[0, 0, None, 10]]},
    ],
)
def test_nonsense_from_the_browser_is_not_answered(request_: object) -> None:
    assert viewer.requested_boxes(request_, [FILM], "these") is None


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((0, 0, 2200, 1500), (750, 1100)),  # halved
        ((100, 200, 500, 500), (300, 400)),  # as it is
        ((0, 0, 100, 1500), (1100, 73)),
    ],
)
def test_no_picture_has_more_than_1100_pixels_a_side(box: Box, shape: tuple[int, int]) -> None:
    assert decoded(viewer.picture(FILM, box)).shape == shape


def test_a_small_region_has_all_its_pixels() -> None:
    left, top, right, bottom = box = (700, 300, 900, 450)
    expected = FILM.pixels[top:bottom, left:right].astype(int)
    # Of noise, the worst there is for JPEG; a region moved by a pixel is off by 85 on average.
    assert np.abs(decoded(viewer.picture(FILM, box)) - expected).mean() < 10


def page_with_viewers() -> None:
    import numpy as np

    from pages.parts.viewer import ViewedFilm, show_films, show_viewer

    film = np.full((1500, 2200), 90, np.uint8)
    heat_map = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    show_viewer(film, heat_map, key="one", name="a.jpeg", description="Pneumonia")
    others = [ViewedFilm(name=name, description="A film", pixels=film[:400, :300]) for name in "bc"]
    show_films(others, key="two")


def unpack(message: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header of a message and its pictures."""
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    rest, pictures = message[4 + length :], []
    for film in header["films"]:
        pictures.append(decoded(rest[: film["bytes"]]))
        rest = rest[film["bytes"] :]
    assert not rest
    return header, pictures


def test_the_browser_first_gets_every_film_reduced() -> None:
    page = AppTest.from_function(page_with_viewers).run()
    assert not page.exception
    one, two = (unpack(it.proto.bytes) for it in page.get("bidi_component"))
    header, (reduced,) = one
    assert reduced.shape == (750, 1100)
    (film,) = header["films"]
    assert (film["name"], film["description"]) == ("a.jpeg", "Pneumonia")
    assert (film["width"], film["height"], film["box"]) == (2200, 1500, [0, 0, 2200, 1500])
    assert film["heat"][0][:2] == [0, 0.0208]
    assert film["heat"][6][6] == 1
    assert set(header["palettes"]) == set(figures.PALETTES)
    assert header["palettes"]["white"] == "ff" * 768
    assert [picture.shape for picture in two[1]] == [(400, 300), (400, 300)]
    assert [film["heat"] for film in two[0]["films"]] == [None, None]
    assert header["digest"] != two[0]["digest"]
