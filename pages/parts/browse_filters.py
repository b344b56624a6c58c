"""Which films are looked at: the controls above them, and what they leave."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.frame import escape
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import facts, gallery
from pneumo.datasets.facts import FLAGS, QUANTITIES

EVERY = "all"
CAUSES = ("bacterial", "viral", "unknown")

MORE_FILTERS = 440  # pixels of width: two sliders beside each other

CHOICES = ("split", "label", "subtype", "source", "flag")
"""Filters of which one option can be chosen."""

SHOWN_AS_CHIPS = ("patient", "source", "flag", *QUANTITIES)
"""Filters that no control shows all the time."""

ORDERS = {"": "In the data set's order", "name": "File name", "person": "Patient"} | {
    name: quantity.title for name, quantity in QUANTITIES.items()
}
"""What films can be sorted by, by the name of the fact; "" for the order of the catalogue."""

ORDER_WORDS = dict.fromkeys(("name", "person"), ("A to Z", "Z to A"))
"""What both directions are called where they are not small and large."""


def choose_films(catalog: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The films that the address asks for, in its order, and the controls that change it.

    Args:
        known: the facts of all films of the catalogue.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        _pick("Split", "split", _options("split", catalog, known))
        if address.is_blinded():
            return chosen_films(catalog, known)
        _pick("Class", "label", _options("label", catalog, known))
        _pick("Cause", "subtype", _options("subtype", catalog, known))
        st.session_state["search"] = address.value("search") or ""
        st.text_input(
            "Search",
            key="search",
            placeholder="File name or patient",
            icon=":material/search:",
            type="search",
            width=220,
            on_change=address.take,
            args=("search", str, address.put_filter),
        )
        with (
            st.popover("More filters", icon=":material/tune:", key="more"),
            st.container(width=MORE_FILTERS),
        ):
            _more_filters(catalog, known)
        _chips(catalog, known)
    return chosen_films(catalog, known)


def chosen_films(catalog: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The films that the address asks for, in its order; by split alone for who is blinded."""
    chosen = {name: address.one_of(name, _options(name, catalog, known)) for name in CHOICES}
    if address.is_blinded():
        films = gallery.select(catalog, split=chosen["split"])
        return gallery.shuffle(films, seed=draw())
    films = gallery.select(
        catalog,
        split=chosen["split"],
        label=chosen["label"],
        subtype=chosen["subtype"],
        patient=address.value("patient"),
        search=address.value("search") or "",
    )
    films = facts.narrow(
        films,
        known,
        ranges=address.ranges(),
        flags=[chosen["flag"]] if chosen["flag"] else [],
        source=chosen["source"],
    )
    drawn = draw()
    if drawn:
        return gallery.shuffle(films, seed=drawn)
    by, descending = order()
    return facts.order(films, known, by=by, descending=descending) if by in known else films


def _options(name: str, catalog: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    """What can be chosen for one of `CHOICES`."""
    match name:
        case "split":
            return list(catalog["split"].unique())
        case "label":
            return list(catalogs.LABELS)
        case "subtype":
            causes = set(catalog["subtype"].unique())
            return [cause for cause in CAUSES if cause in causes]
        case "source":
            return [*known["format"].cat.categories, *known["folder"].cat.categories]
        case _:
            return list(FLAGS)


def order() -> tuple[str, bool]:
    """The fact that films are sorted by, and whether the largest comes first."""
    return address.one_of("sort", list(ORDERS)) or "", address.value("down") == "1"


def draw() -> int:
    """The seed of the random draw that is shown; 0 where films are in order."""
    # Whoever is blinded is shown no order: that of the data set, and most others, tell the class.
    return address.number("draw") or int(address.is_blinded())


def choose_order(known: pd.DataFrame) -> None:
    """Controls for the order of the films, or for a random draw of each class."""
    drawn = draw()
    if address.is_blinded():
        _offer_others(drawn)
        return
    by, descending = order()
    # What is the same for all films is no order.
    offered = [it for it in ORDERS if not it or (it in known and known[it].min() < known[it].max())]
    st.session_state["sort"] = None if drawn else by if by in offered else ""
    st.selectbox(
        "Sorted by",
        offered,
        format_func=ORDERS.__getitem__,
        key="sort",
        placeholder="A random draw",
        icon=":material/sort:",
        label_visibility="collapsed",
        width=235,
        on_change=_sort,
    )
    if by and by in offered and not drawn:
        st.button(
            ORDER_WORDS.get(by, ("Smallest first", "Largest first"))[descending],
            icon=":material/arrow_downward:" if descending else ":material/arrow_upward:",
            key="down",
            on_click=address.put_filter,
            kwargs={"down": None if descending else "1"},
            help="Turns the order round.",
        )
    _offer_others(drawn)
    if drawn:
        st.button(
            "In order",
            icon=":material/undo:",
            key="in-order",
            on_click=address.put_filter,
            kwargs={"draw": None},
        )


def _offer_others(drawn: int) -> None:
    st.button(
        "Show others",
        icon=":material/shuffle:",
        key="others",
        on_click=address.put_filter,
        kwargs={"draw": str(drawn + 1)},
        help="A random draw of each class, in turn. The address remembers which.",
    )


def _sort() -> None:
    """Sort by another fact: what is odd first, where a large value is odd."""
    by = st.session_state["sort"]
    large_first = by in ("error", "series", "probability")
    address.put_filter(sort=by, down="1" if large_first else None, draw=None)


def _pick(label: str, name: str, options: Sequence[str]) -> None:
    st.session_state[name] = address.one_of(name, options) or EVERY
    st.segmented_control(
        label,
        [EVERY, *options],
        required=True,
        format_func=str.capitalize,
        key=name,
        on_change=address.take,
        args=(name, _said, address.put_filter),
    )


def _said(option: str | None) -> str | None:
    """An option as the address has it."""
    return None if option in (None, EVERY) else option.capitalize()


def _more_filters(catalog: pd.DataFrame, known: pd.DataFrame) -> None:
    """What is asked for less often."""
    flags = [flag for flag in FLAGS if flag in known]
    st.session_state["flag"] = address.one_of("flag", flags)
    st.selectbox(
        "Flag",
        flags,
        format_func=lambda flag: f"{FLAGS[flag]} ({known[flag].sum():,})",
        key="flag",
        placeholder="Any",
        on_change=address.take,
        args=("flag", _unchanged, address.put_filter),
    )
    sources = _options("source", catalog, known)
    st.session_state["source"] = address.one_of("source", sources)
    st.selectbox(
        "Source",
        sources,
        key="source",
        placeholder="Any format and folder",
        on_change=address.take,
        args=("source", _unchanged, address.put_filter),
    )
    with st.grid(2, min_column_width=180, gap="medium"):
        for name, quantity in QUANTITIES.items():
            if name in known:
                _extent_slider(name, quantity, known[name])
    if "brightness" not in known:
        st.caption("Mean grey levels are known once the pictures have been measured: see Charts.")
    if "error" not in known:
        st.caption("Probabilities and errors are known once the model was asked about all films.")


def _unchanged(option: str | None) -> str | None:
    return option


def _extent_slider(name: str, quantity: facts.Quantity, values: pd.Series) -> None:
    """A slider over all values that occur."""
    least, largest = float(values.min()), float(values.max())
    if not least < largest:
        return  # nothing to choose between
    step = 10.0**-quantity.digits
    least = round(least // step * step, quantity.digits)
    largest = round(-(-largest // step) * step, quantity.digits)
    low, high = address.extent(name) or (least, largest)
    low = min(max(low, least), largest)
    st.session_state[name] = (low, min(max(high, low), largest))
    st.slider(
        f"{quantity.title}, {quantity.unit}" if quantity.unit else quantity.title,
        least,
        largest,
        step=step,
        format=f"%.{quantity.digits}f",
        key=name,
        help=quantity.explanation or None,
        on_change=address.take,
        args=(name, partial(_range_text, whole=(least, largest)), address.put_filter),
    )


def _range_text(extent: facts.Range, *, whole: facts.Range) -> str | None:
    return None if extent == whole else address.as_range(extent)


def _chips(catalog: pd.DataFrame, known: pd.DataFrame) -> None:
    """Filters that are out of sight, each with a way to take it back, and a way to take all."""
    for name in SHOWN_AS_CHIPS:
        if text := _chip(name, catalog, known):
            st.button(
                escape(text),
                icon=":material/close:",
                icon_position="right",
                key=f"drop-{name}",
                on_click=address.put_filter,
                kwargs={name: None},
                help="Takes this filter back.",
            )
    if _is_narrowed(catalog, known):
        st.button(
            "Reset filters",
            icon=":material/filter_alt_off:",
            key="reset",
            type="tertiary",
            on_click=address.reset,
        )


def _is_narrowed(catalog: pd.DataFrame, known: pd.DataFrame) -> bool:
    """Whether any filter is set, and to something that there is."""
    return (
        any(address.one_of(name, _options(name, catalog, known)) for name in CHOICES)
        or any(address.value(name) for name in ("search", "patient"))
        or bool(address.ranges())
    )


def _chip(name: str, catalog: pd.DataFrame, known: pd.DataFrame) -> str:
    """A filter in words, and whether nobody knows yet what it asks; "" where it is not set."""
    if name in QUANTITIES:
        extent = address.extent(name)
        if extent is None:
            return ""
        quantity = QUANTITIES[name]
        text = f"{quantity.title}: {quantity.describe_range(*extent)}"
        return text if name in known else f"{text}, not known yet"
    if name not in CHOICES:
        said = address.value(name)
        return f"{name.capitalize()}: {said}" if said else ""
    chosen = address.one_of(name, _options(name, catalog, known))
    if chosen is None:
        return ""
    if name != "flag":
        return f"{name.capitalize()}: {chosen}"
    return FLAGS[chosen] if chosen in known else f"{FLAGS[chosen]}, not known yet"
