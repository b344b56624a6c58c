"""The radiograph viewer: zoom, grey levels and heat maps in the browser, detail on request.

The browser gets a film reduced to `SIDE` pixels a side. Where the user zooms in so far that
the film has more to show, it asks for what it shows, and gets that region, again of at most
`SIDE` pixels a side. So a film of any size costs no more than two small JPEG files.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from pneumo import figures
from pneumo.datasets import gallery

SIDE = 1100
"""Pixels a side, at most, of a picture on its way to the browser."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a region, in pixels of its film; the last two excluded."""

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "radiograph_viewer",
    html=(_HERE / "viewer.html").read_text(encoding="utf-8"),
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js=(_HERE / "viewer.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, kw_only=True)
class ViewedFilm:
    """A film in the viewer.

    Attributes:
        name: of the film, from outside; the browser shows it as plain text.
        description: what the picture says, for those who do not see it.
        pixels: uint8, shape (height, width), at full resolution.
        heat_map: float in [0, 1], shape (rows, columns), stretched over the film; or None.
    """

    name: str
    description: str
    pixels: np.ndarray
    heat_map: np.ndarray | None = None


def show_viewer(
    film: np.ndarray, heat_map: np.ndarray | None, *, key: str, name: str, description: str
) -> None:
    """Show a film and, beside it, the same film under its heat map.

    Args:
        film: uint8, shape (height, width), at full resolution.
        heat_map: float in [0, 1], shape (rows, columns), stretched over the film; or None.
        key: of the viewer. Its settings stay when another film comes; its zoom does not.
        name: of the film.
        description: what the picture says, for those who do not see it.
    """
    viewed = ViewedFilm(name=name, description=description, pixels=film, heat_map=heat_map)
    show_films([viewed], key=key)


@st.fragment
def show_films(films: Sequence[ViewedFilm], *, key: str) -> None:
    """Show films side by side, zoomed and moved as one.

    A fragment: what the browser asks for on its own runs nothing but this function.

    Args:
        films: one to four.
        key: of the viewer. Its settings stay when other films come; its zoom does not.
    """
    digest = _digest(films)
    request = st.session_state.get(key, {}).get("region")
    boxes = requested_boxes(request, films, digest) or [_whole(film) for film in films]
    _component(key=key, data=_message(films, boxes, digest, key), on_region_change=lambda: None)


def requested_boxes(request: object, films: Sequence[ViewedFilm], digest: str) -> list[Box] | None:
    """The region of each film that the browser asks for, cut to what the film has.

    A request comes from outside and may be anything. One that names the films shown now
    also says that the browser has their reduced pictures.

    Args:
        request: should be `{"films": digest, "boxes": [[left, top, right, bottom], …]}`.
        films: shown now.
        digest: of these films.

    Returns:
        None when nothing sensible was asked for.
    """
    if not isinstance(request, dict) or request.get("films") != digest:
        return None
    boxes = request.get("boxes")
    if not isinstance(boxes, list) or len(boxes) != len(films):
        return None
    if not all(isinstance(box, list) and len(box) == 4 for box in boxes):
        return None
    if not all(isinstance(edge, int) for box in boxes for edge in box):
        return None
    return [_cut(box, film) for box, film in zip(boxes, films, strict=True)]


def picture(film: ViewedFilm, box: Box) -> bytes:
    """A region of a film as a JPEG file of at most `SIDE` pixels a side."""
    left, top, right, bottom = box
    region = film.pixels[top:bottom, left:right]
    return gallery.to_jpeg(gallery.fit(region, width=SIDE, height=SIDE))


def _cut(box: list[int], film: ViewedFilm) -> Box:
    """A box within the film, of a pixel at least."""
    height, width = film.pixels.shape
    left, top, right, bottom = box
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def _whole(film: ViewedFilm) -> Box:
    height, width = film.pixels.shape
    return 0, 0, width, height


def _digest(films: Sequence[ViewedFilm]) -> str:
    """What tells these films from others."""
    digest = hashlib.blake2b(digest_size=8)
    for film in films:
        digest.update(repr(film.pixels.shape).encode())
        digest.update(film.pixels.tobytes())
    return digest.hexdigest()


def _message(films: Sequence[ViewedFilm], boxes: Sequence[Box], digest: str, key: str) -> bytes:
    """What the browser gets: the length of the header, the header as JSON, the JPEG files."""
    pictures = [picture(film, box) for film, box in zip(films, boxes, strict=True)]
    header = {
        "key": key,
        "digest": digest,
        "side": SIDE,
        "palettes": {name: colours.tobytes().hex() for name, colours in figures.PALETTES.items()},
        "films": [
            {
                "name": film.name,
                "description": film.description,
                "width": film.pixels.shape[1],
                "height": film.pixels.shape[0],
                "heat": None
                if film.heat_map is None
                else film.heat_map.astype(float).round(4).tolist(),
                "box": box,
                "bytes": len(jpeg),
            }
            for film, box, jpeg in zip(films, boxes, pictures, strict=True)
        ],
    }
    text = json.dumps(header).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *pictures])
