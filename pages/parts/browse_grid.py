"""Films as cards: in one grid, or the classes side by side."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.browse_blinding import describe, name_of, shows_label, shows_opinion
from pages.parts.browse_filters import choose_order, draw, order
from pages.parts.frame import class_badge, class_name, escape, film_name
from pneumo import settings
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import gallery
from pneumo.datasets.facts import OF_MODEL, QUANTITIES

PAGE = 24
SIZES = {"small": (8, 108), "medium": (6, 165), "large": (4, 260)}  # most columns, least width
PICTURE = {"width": 384, "height": 320}  # sharp in the large grid, and on dense screens


def show_grid(root: Path, films: pd.DataFrame, known: pd.DataFrame) -> None:
    """The films, a page at a time.

    Args:
        films: that are looked at, in their order.
        known: the facts of all films of the catalogue.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="toolbar"):
        st.markdown(f"**{len(films):,}** {'film' if len(films) == 1 else 'films'}", width="content")
        choose_order(known)
        size = _choose_size()
        pages = pages_of(len(films), each=PAGE)
        number = choose_page(pages)
    page = films.iloc[(number - 1) * PAGE : number * PAGE]
    cards(root, page, key="films", size=size, notes=_notes(page, known), pickable=True)
    if pages > 1:
        choose_page(pages, key="page-below")


def show_classes(root: Path, films: pd.DataFrame, known: pd.DataFrame) -> None:
    """The films of either class beside each other, a page at a time."""
    of_class = {label: films[films["label"] == label] for label in catalogs.LABELS}
    each = PAGE // len(of_class)
    with st.container(horizontal=True, vertical_alignment="center", key="toolbar"):
        choose_order(known)
        size = _choose_size()
        pages = pages_of(max(map(len, of_class.values())), each=each)
        number = choose_page(pages)
    columns, width = SIZES[size]
    sides = st.grid(2, min_column_width=150, gap="medium", key="classes")
    for label, shown in of_class.items():
        with sides.cell(), st.container():
            st.markdown(f"{class_badge(label)} **{len(shown):,}**")
            page = shown.iloc[(number - 1) * each : number * each]
            if page.empty:
                st.caption("No more of this class fit the filters.")
            cards(
                root,
                page,
                key=class_name(label),
                columns=columns // 2,
                width=width,
                notes=_notes(page, known),
                pickable=True,
            )
    if pages > 1:
        choose_page(pages, key="page-below")


def cards(
    root: Path,
    films: pd.DataFrame,
    *,
    key: str,
    size: str = "small",
    columns: int | None = None,
    width: int | None = None,
    notes: Sequence[str] | None = None,
    pickable: bool = False,
) -> None:
    """Films as cards; a card opens its film.

    Args:
        root: the folder that paths are relative to.
        films: few.
        key: of this grid on the page.
        size: one of `SIZES`.
        columns, width: instead of those of the size.
        notes: what is written below the name of each film, in Markdown.
        pickable: whether each has a box that has it compared.
    """
    most, least = SIZES[size]
    pictures = gallery.thumbnails(root, films, **PICTURE, limits=settings.load().image_limits)
    cells = st.grid(columns or most, min_column_width=width or least, gap="small", key=key)
    shown = zip(films.to_dict("records"), pictures, notes or [""] * len(films), strict=True)
    for place, (film, picture, note) in enumerate(shown):
        with cells.cell(), st.container(key=f"card-{key}-{place}", gap="xxsmall"):
            if picture.problem:
                st.caption(f":material/broken_image: {escape(picture.problem)}")
            else:
                st.image(picture.jpeg, width="stretch", alt=describe(film))
            st.button(
                _caption(film, note, short=size == "small"),
                key=f"open-{key}-{place}",
                type="tertiary",
                on_click=address.open_film,
                args=(film["path"],),
            )
            if pickable:
                _compare_box(film["path"])


def _caption(film: Mapping[Hashable, Any], note: str, *, short: bool) -> str:
    caption = f":gray[:small[{film_name(name_of(film))}]]"
    if shows_label(film):
        caption = f"{class_badge(film['label'], '' if short else film['subtype'])} {caption}"
    return caption + (f"  \n{note}" if note else "")


def _notes(films: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    """Of each film what films are sorted by, and whether the model disagrees, a line each."""
    by, _ = order()
    written = None if draw() else QUANTITIES.get(by)
    notes = []
    of_films = known.loc[films.index].to_dict("records")
    for film, facts in zip(films.to_dict("records"), of_films, strict=True):
        noted = []
        with_opinion = shows_opinion(film)
        hidden = by in OF_MODEL and not with_opinion
        if written is not None and not hidden and pd.notna(facts.get(by)):
            noted.append(f"{written.title} {written.describe(facts[by])}")
        if facts.get("wrong", False) and with_opinion:
            noted.append(":material/report: model disagrees")
        notes.append("  \n".join(f":small[{it}]" for it in noted))
    return notes


def _compare_box(path: str) -> None:
    """A box on the picture: whether the film is among those to be compared."""
    key = f"pick-{address.alias(path)}"  # the page shows keys to those who look
    chosen = st.session_state[key] = address.is_compared(path)
    st.checkbox(
        "Compare",
        key=key,
        on_change=lambda: address.pick(path, wanted=st.session_state[key]),
        disabled=not chosen and len(address.compared()) == address.MOST_COMPARED,
    )


def _choose_size() -> str:
    """How large the films are in the grid."""
    said = (address.value("size") or "").lower()
    size = next((size for size in SIZES if size[0] == said), "medium")
    st.session_state["size"] = size
    st.segmented_control(
        "Size of the films",
        list(SIZES),
        required=True,
        format_func=lambda size: size[0].upper(),
        key="size",
        label_visibility="collapsed",
        on_change=address.take,
        args=("size", lambda chosen: None if chosen == "medium" else chosen[0].upper()),
    )
    return size


def choose_page(pages: int, *, key: str = "page") -> int:
    """Which of so many pages is shown.

    Args:
        key: of the control; another where it stands a second time.
    """
    number = min(max(address.number("page", default=1), 1), pages)
    st.session_state[key] = number
    st.pagination(pages, key=key, width="stretch", on_change=_turn, args=(key,))
    return number


def _turn(key: str) -> None:
    chosen = st.session_state[key]
    address.put(page=None if chosen == 1 else str(chosen))


def pages_of(films: int, *, each: int) -> int:
    """How many pages so many films fill."""
    return max(1, -(-films // each))
