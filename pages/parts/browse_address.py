"""What is looked at on the Browse page: it lives in the address, so that it can be shared.

The address is the only truth. Controls show what it says and change nothing but it; what it says
wrongly counts as not said.
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pneumo.datasets.facts import QUANTITIES, Range
from pneumo.inference.film_map import Outline

MOST_COMPARED = 4

ON_ITS_WAY = 5.0
"""Seconds in which a browser has surely heard of a change of the address, however busy it is."""

AT_ONCE = 0.5
"""Seconds in which nobody goes back to where the address was: the browser has not heard yet."""

FILTERS = ("split", "label", "subtype", "search", "patient", "source", "flag")
"""Names that a filter has in the address, beside those of `QUANTITIES`."""


# Reading --------------------------------------------------------------------------------


def value(name: str) -> str | None:
    """What the address says of a name; None where it says nothing."""
    return st.query_params.get(name) or None


def one_of(name: str, options: Sequence[str]) -> str | None:
    """Which of the options the address names, in either case."""
    said = (value(name) or "").lower()
    return next((option for option in options if option.lower() == said), None)


def extent(name: str) -> Range | None:
    """The range of a quantity, such as `200..500`."""
    try:
        low, high = map(float, (value(name) or "").split(".."))
    except ValueError:
        return None
    return (low, high) if -math.inf < low <= high < math.inf else None


def ranges() -> dict[str, Range]:
    """Every range that is asked for, by quantity."""
    return {name: found for name in QUANTITIES if (found := extent(name)) is not None}


def number(name: str, *, default: int = 0) -> int:
    """A whole number that is not negative."""
    said = value(name) or ""
    return int(said) if said.isdecimal() and len(said) < 10 else default


def value_now(name: str) -> str | None:
    """What the address says of a name, also where the browser has not heard of that yet."""
    _say_again(within=ON_ITS_WAY)
    return value(name)


def is_blinded() -> bool:
    """Whether labels are hidden: films then go by their alias, also in the address."""
    return one_of("shown", ["film"]) is not None


def alias(path: str) -> str:
    """What a film is called where its path would tell its class."""
    return hashlib.blake2b(path.encode(), digest_size=8).hexdigest()


def reference(path: str) -> str:
    """What a film is called in the address."""
    return alias(path) if is_blinded() else path


def outlines() -> list[Outline]:
    """What is drawn round on the map, corner by corner, such as `-1.5_2~3_4.25~0_-7`."""
    found = []
    for said in st.query_params.get_all("area"):
        try:
            corners = [(float(x), float(y)) for x, y in (it.split("_") for it in said.split("~"))]
        except ValueError:
            continue
        if len(corners) > 2 and all(math.isfinite(place) for it in corners for place in it):
            found.append(tuple(corners))
    return found


# Writing --------------------------------------------------------------------------------


def put(**said: str | Sequence[str] | None) -> None:
    """Have the address say something; None takes it out."""
    _say_again(within=ON_ITS_WAY)
    before = _everything()
    for name, text in said.items():
        if text:
            st.query_params[name] = text
        else:
            st.query_params.pop(name, None)
    st.session_state["address-left"] = [*_left(ON_ITS_WAY), (time.monotonic(), before)]
    st.session_state["address-said"] = _everything()
    st.session_state["address-is-new"] = True


def catch_up() -> None:
    """Say again what was said last, where the browser has not heard of it yet.

    With each click, and on its own every few seconds, it sends the address that it knows. What it
    sends at the heels of a click, such as one that also ends a search, would undo what that said.
    What it sends later counts: it has heard, or somebody went back.
    """
    is_new = st.session_state.pop("address-is-new", False)  # in this run: the browser cannot know
    if not is_new and not _say_again(within=AT_ONCE):
        st.session_state.pop("address-left", None)
    st.session_state["address-kept"] = _everything()


def come_back() -> None:
    """From another page: say what was said when this one was left, unless a link says otherwise."""
    if not _everything():
        put(**st.session_state.get("address-kept", {}))


def _say_again(*, within: float) -> bool:
    """Whether the address was one that was left so many seconds ago at most; it is put right."""
    now = _everything()
    undone = any(now == said for _, said in _left(within))
    if undone:
        st.query_params.from_dict(st.session_state["address-said"])
    return undone


def _left(within: float) -> list[tuple[float, dict[str, list[str]]]]:
    """When the address ceased to say what, as long as nothing tells that the browser has heard."""
    left = st.session_state.get("address-left", [])
    return [(moment, said) for moment, said in left if time.monotonic() - moment < within]


def _everything() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def put_filter(**said: str | Sequence[str] | None) -> None:
    """Change filters or order; another selection starts at its first page."""
    put(**said, page=None)


def as_range(extent: Range | None) -> str | None:
    """A range as the address has it."""
    return None if extent is None else f"{extent[0]:.6g}..{extent[1]:.6g}"


def as_outline(outline: Outline) -> str:
    """What is drawn round, as the address has it."""
    return "~".join(f"{x:.4g}_{y:.4g}" for x, y in outline)


def reset() -> None:
    """Take back every filter."""
    put_filter(**dict.fromkeys((*FILTERS, *QUANTITIES)))


def blind() -> None:
    """Hide labels, also those of films that the address names, and take back what tells them."""
    aliases: dict[str, list[str]] = {
        name: [alias(it) if "/" in it else it for it in st.query_params.get_all(name)]
        for name in ("film", "compare", "marked")
    }
    told = {it: None for it in (*FILTERS, *QUANTITIES, "sort", "down") if it != "split"}
    put(shown="Film", page=None, **aliases, **told)


def forget() -> None:
    """Take back what was said of another data set: all but how films are read."""
    shown = value("shown")
    st.query_params.from_dict({"shown": shown} if shown else {})
    st.session_state.pop("address-left", None)


def open_film(path: str | None) -> None:
    """Show a film large, or none; the rest stays, so that it is clear among which films it is."""
    put(film=reference(path) if path else None)


# Controls -------------------------------------------------------------------------------


def take(name: str, write: Callable[[Any], str | None], change: Callable[..., None] = put) -> None:
    """Have the address say what a control says, when that has changed.

    Args:
        name: of the control and in the address.
        write: from the value of the control to what the address says; None for nothing.
        change: `put` or `put_filter`.
    """
    change(**{name: write(st.session_state[name])})


# Films to be compared -------------------------------------------------------------------


def compared() -> list[str]:
    """The films that are to be compared, by path or alias, as the address has them."""
    return list(dict.fromkeys(st.query_params.get_all("compare")))[:MOST_COMPARED]


def is_compared(path: str) -> bool:
    """Whether a film is among those to be compared."""
    return not {path, alias(path)}.isdisjoint(compared())


def pick(path: str, *, wanted: bool = True) -> None:
    """Have a film compared with the others, or no longer."""
    _say_again(within=ON_ITS_WAY)
    others = [it for it in compared() if it not in (path, alias(path))]
    put(compare=[*others, reference(path)] if wanted else others)


def pick_none() -> None:
    """Have no films compared."""
    put(compare=None)
