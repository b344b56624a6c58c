"""Which model is asked about the films of a data set, and what it says of all of them."""

from collections import Counter
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts import work
from pages.parts.browse_blinding import shows_label, shows_opinion
from pages.parts.browse_known import BY_IDENTITY
from pages.parts.frame import count_of_films, escape
from pages.parts.models import load_predictor, read_bundle
from pneumo import settings
from pneumo.datasets import facts
from pneumo.inference import bundle, opinions
from pneumo.inference.bundle import Bundle
from pneumo.inference.opinions import Opinions
from pneumo.inference.predictor import Predictor


def opinions_of_model(catalog: pd.DataFrame, root: Path) -> Opinions | None:
    """What the chosen model makes of all films; until that is known, a way to ask it.

    Args:
        catalog: as `require_dataset` returns it.
        root: the folder that its paths are relative to.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="all-films"):
        _choose_model()
        model = model_of_address()
        if model is None:
            return None
        name = f"opinions {model.digest} {root}"
        if work.follow(name, doing=f"Asking {escape(model.card.name)}", unit="different films"):
            return None
        known, _ = _cached(model, catalog, opinions.stamp(settings.load(), model))
        unread = 0 if known is None else int((known.table["problem"] != "").sum())
        if known is None or unread:
            text = f"Ask the model about all {len(catalog):,} films"
            if unread:
                text = f"Ask again about {count_of_films(unread)} that could not be read"
            st.button(
                text,
                icon=":material/radiology:",
                key="ask-all",
                on_click=_begin,
                args=(name, model, catalog, root),
                help="Once for each film; then its probability, its errors and the map of the data "
                "set are there at once. It goes on when you leave this page.",
            )
        if known is not None and shows_label() and shows_opinion():
            _show_outcome(known, catalog)
    return known


def _show_outcome(known: Opinions, catalog: pd.DataFrame) -> None:
    """How the model did, and the films that it did badly on, a click away."""
    counts, *_ = _outcome(known, catalog)
    st.caption(f"{escape(known.model)} on all {len(catalog):,} films:", width="content")
    wrong = f"{counts[facts.MISSED]:,} missed, {counts[facts.FALSE_ALARM]:,} false alarms"
    for flag, text in (
        ("wrong", wrong),
        ("unsure", f"{counts[facts.UNSURE]:,} unsure"),
        ("scope", f"{counts[facts.OUT_OF_SCOPE]:,} out of scope"),
    ):
        st.button(
            text,
            type="tertiary",
            key=f"outcome-{flag}",
            on_click=address.put_filter,
            kwargs={"flag": flag},
            help=f"{facts.FLAGS[flag]}. Shows these films.",
        )


def model_of_address() -> Bundle | None:
    """The model of the address, or else the first; None, with words, where there is none."""
    folders = bundle.folders(settings.load())
    if not folders:
        st.caption("There is no model yet. Train one on the Train page.")
        return None
    chosen = address.one_of("model", list(folders)) or next(iter(folders))
    try:
        return read_bundle(folders[chosen])
    except bundle.BundleError as damaged:
        st.error(escape(str(damaged)), icon=":material/error:")
        return None


def predictor_of_address() -> Predictor | None:
    """The same model, ready to predict."""
    model = model_of_address()
    return None if model is None else load_predictor(model.folder)


def _begin(name: str, model: Bundle, catalog: pd.DataFrame, root: Path) -> None:
    work.begin(
        name,
        lambda progress, cancelled: opinions.ask(
            load_predictor(model.folder),
            catalog,
            root,
            settings=settings.load(),
            progress=progress,
            cancelled=cancelled,
        ),
    )


def _choose_model() -> None:
    """Which model is asked, where there are several."""
    folders = list(bundle.folders(settings.load()))
    if len(folders) < 2:
        return
    st.session_state["model-of-all"] = address.one_of("model", folders) or folders[0]
    st.selectbox(
        "Model",
        folders,
        format_func="Model: {}".format,
        key="model-of-all",
        icon=":material/deployed_code:",
        label_visibility="collapsed",
        width=260,
        on_change=_take_model,
        args=(folders[0],),
    )


def _take_model(first: str) -> None:
    chosen = st.session_state["model-of-all"]
    address.put(model=None if chosen == first else chosen)


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _outcome(known: Opinions, catalog: pd.DataFrame) -> tuple[Counter[str], Opinions, pd.DataFrame]:
    return Counter(facts.answers(catalog["label"], known.table)), known, catalog


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _cached(
    model: Bundle, catalog: pd.DataFrame, stamp: int
) -> tuple[Opinions | None, pd.DataFrame]:
    return opinions.cached(settings.load(), model, catalog), catalog
