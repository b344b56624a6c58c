"""Blinded reading: whoever learns to read films reads first, and is told afterwards."""

from collections.abc import Hashable, Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address

SHOWN = {
    "all": (
        "Label and opinion",
        ":material/visibility:",
        "What the data set says and what the model says.",
    ),
    "label": (
        "Label only",
        ":material/label:",
        "Read with the label in mind, without the model.",
    ),
    "film": (
        "Film only",
        ":material/visibility_off:",
        "Read first, in random order: label, name and opinion are shown when you ask for them.",
    ),
}
"""What can be shown of a film, by the name in the address, with its icon and what it is for."""

Film = Mapping[Hashable, Any] | pd.Series


def choose_blinding() -> None:
    """What is shown of films, behind one button."""
    shown = _shown()
    name, icon, _ = SHOWN[shown]
    st.session_state["shown"] = shown
    with st.popover(name, icon=icon, key="blinding", on_change="rerun"):
        st.radio(
            "Shown of a film",
            list(SHOWN),
            format_func=lambda it: SHOWN[it][0],
            captions=[explanation for _, _, explanation in SHOWN.values()],
            key="shown",
            on_change=_take_shown,
        )


def shows_label(film: Film | None = None) -> bool:
    """Whether a film is shown with its label, and with its name, which tells it.

    Without a film: whether all of them are.
    """
    return not address.is_blinded() or _is_revealed(film)


def shows_opinion(film: Film | None = None) -> bool:
    """Whether a film, or without one every film, is shown with what the model says of it."""
    return _shown() == "all" or (address.is_blinded() and _is_revealed(film))


def reveal(digest: str) -> None:
    """Show label and opinion of a film from now on; its copies are the same film."""
    st.session_state["revealed"] = {*st.session_state.get("revealed", ()), digest}


def name_of(film: Film) -> str:
    """A film's file, or what it is called where that would tell its label."""
    return PurePosixPath(film["path"]).name if shows_label(film) else f"Film {film['digest'][:6]}"


def describe(film: Film) -> str:
    """A film in words, for those who do not see it."""
    if not shows_label(film):
        return f"Chest radiograph {film['digest'][:6]}"
    return f"Chest radiograph {PurePosixPath(film['path']).stem}, {film['label'].lower()}"


def _shown() -> str:
    return address.one_of("shown", list(SHOWN)) or "all"


def _is_revealed(film: Film | None) -> bool:
    return film is not None and film["digest"] in st.session_state.get("revealed", ())


def _take_shown() -> None:
    chosen = st.session_state["shown"]
    if chosen == "film":
        address.blind()
    else:
        address.put(shown=None if chosen == "all" else chosen.capitalize())
    st.session_state["blinding"] = False  # closes it
