"""Look through the radiographs of a data set."""

from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.browse_audit import films_of_finding, show_audit
from pages.parts.browse_blinding import choose_blinding
from pages.parts.browse_charts import show_charts, show_composition
from pages.parts.browse_compare import films_to_compare, show_compare
from pages.parts.browse_film import show_film
from pages.parts.browse_filters import choose_films, chosen_films
from pages.parts.browse_grid import show_classes, show_grid
from pages.parts.browse_known import count_patients, facts_of, find_films
from pages.parts.browse_map import films_beside_map, show_map
from pages.parts.browse_model import opinions_of_model
from pages.parts.datasets import require_dataset, switcher
from pages.parts.frame import class_badge, escape, header, require_frame
from pages.parts.scroll import follow_scroll
from pneumo.datasets import catalog as catalogs
from pneumo.inference.opinions import Opinions

require_frame()

VIEWS = {
    "films": "Films",
    "classes": "Classes",
    "compare": "Compare",
    "charts": "Charts",
    "map": "Map",
    "audit": "Audit",
}
ABOUT_LABELS = ("classes", "charts", "audit")


def summary(catalog: pd.DataFrame) -> None:
    """Headline figures beside what the splits are made of."""
    per_class = catalog["label"].value_counts()
    numbers, chart = st.columns([3, 7], gap="medium", vertical_alignment="center")
    with numbers, st.grid(2, min_column_width=110, gap="small"):
        st.metric("Films", f"{len(catalog):,}")
        st.metric(
            "Patients",
            f"{count_patients(catalog):,}",
            help="Names of patients, counted once in each split and class: whether a name that "
            "occurs in two is one person, nobody knows.",
        )
        for label in catalogs.LABELS:
            st.metric(class_badge(label), f"{per_class.get(label, 0):,}")
    with chart:
        show_composition(catalog)


def report_unreadable(catalog: pd.DataFrame) -> None:
    """Name the files that were left out of the catalogue."""
    unreadable = catalog.attrs["unreadable"]
    if unreadable:
        with st.expander(
            f"Left out because they cannot be read: {len(unreadable)}", icon=":material/warning:"
        ):
            st.dataframe(
                pd.DataFrame(unreadable.items(), columns=["File", "Reason"]), hide_index=True
            )


def views() -> list[str]:
    """Those on offer: some are about labels, and not for whoever is blinded."""
    return [it for it in VIEWS if not (address.is_blinded() and it in ABOUT_LABELS)]


def choose_view(view: str, catalog: pd.DataFrame) -> None:
    """What is shown of the films."""
    st.session_state["view"] = view
    compared = len(films_to_compare(catalog))
    counted = VIEWS | ({"compare": f"Compare ({compared})"} if compared else {})
    st.segmented_control(
        "View",
        views(),
        required=True,
        format_func=counted.__getitem__,
        key="view",
        label_visibility="collapsed",
        wrap=True,
        on_change=address.take,
        args=("view", lambda chosen: None if chosen == "films" else chosen, address.put_filter),
    )


def films_around(
    view: str, catalog: pd.DataFrame, known: pd.DataFrame, opinions: Opinions | None
) -> pd.DataFrame:
    """The films among which one was opened, in the order in which a view lists them."""
    match view:
        case "compare":
            return films_to_compare(catalog)
        case "audit":
            return films_of_finding(catalog)
        case "map":
            return films_beside_map(catalog, chosen_films(catalog, known), opinions)
        case _:
            return chosen_films(catalog, known)


def report_missing_film(path: str) -> None:
    """An address that was shared may meet another data set here than where it was made."""
    st.warning(
        f"This data set has no film {escape(path)}. If the address is of another data set, choose "
        "that one above.",
        icon=":material/link_off:",
    )


def offer_all_films() -> None:
    """A way back from filters that leave nothing."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown("**No film fits all of these filters**", width="content")
        st.button("Show all films", icon=":material/filter_alt_off:", on_click=address.reset)


# The page -------------------------------------------------------------------------------

if st.session_state.pop("page-left", ""):
    address.come_back()
address.catch_up()
with header("Browse"), st.container(horizontal=True, gap="small", width="content"):
    choose_blinding()
    if switcher():
        address.forget()
dataset, catalog = require_dataset()

root = Path(catalog.attrs["root"])
if dataset.synthetic:
    st.caption(
        ":material/science: These films are synthetic: computed from a model of the chest, "
        "not taken of patients."
    )
view = address.one_of("view", views()) or "films"
film = address.value("film") or ""
opened = find_films(catalog, [film] if film else [])
follow_scroll(
    film=film,
    within=view,
    page=address.number("page", default=1),
    finding=address.value("finding") or "",
)
if opened.empty:
    if film:
        report_missing_film(film)
    choose_view(view, catalog)
    if view == "audit":
        show_audit(dataset, catalog)
        st.stop()
    if view in ("films", "charts"):
        with st.container(key=f"summary-of-{view}"):
            summary(catalog)
        report_unreadable(catalog)
    if view == "compare":
        show_compare(root, catalog)
        st.stop()

# What the model says of all films decides which are shown, and is asked for below the filters.
first, below = st.container(), st.container()
with below:
    opinions = opinions_of_model(catalog, root)
known = facts_of(catalog, opinions)

with first:
    if not opened.empty:
        around = films_around(view, catalog, known, opinions)
        show_film(root, catalog, known, around, opened.index[0], opinions, back_to=VIEWS[view])
        st.stop()
    films = choose_films(catalog, known)
    if films.empty:
        offer_all_films()
        st.stop()
match view:
    case "films":
        show_grid(root, films, known)
    case "classes":
        show_classes(root, films, known)
    case "charts":
        show_charts(catalog, films, known)
    case "map":
        show_map(catalog, root, films, opinions)
