"""Up to four films beside each other, zoomed and moved as one."""

from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.browse_blinding import describe, name_of, shows_label, shows_opinion
from pages.parts.browse_known import find_films
from pages.parts.browse_model import predictor_of_address
from pages.parts.browse_opinion import LEARNED, opinion_of, read_film
from pages.parts.frame import class_badge, escape, film_name, headline
from pages.parts.viewer import ViewedFilm, show_films
from pneumo import radiograph


def films_to_compare(catalog: pd.DataFrame) -> pd.DataFrame:
    """The films that were picked, in the order in which they were."""
    return find_films(catalog, address.compared())


def show_compare(root: Path, catalog: pd.DataFrame) -> None:
    """The films that were picked."""
    films = films_to_compare(catalog)
    if films.empty:
        with st.container(border=True, horizontal_alignment="center"):
            if address.compared():
                st.markdown("**None of the films to compare is in this data set**", width="content")
                _offer_clearing()
            else:
                st.markdown("**No film is picked yet**", width="content")
                st.caption(
                    "Tick the boxes on the pictures, up to four, under *Films* or *Classes*.",
                    width="content",
                )
        return
    told = [shows_opinion(film) for _, film in films.iterrows()]
    predictor = predictor_of_address() if any(told) else None
    with st.container(horizontal=True, vertical_alignment="center", key="compare-toolbar"):
        st.button(
            "Pick others",
            icon=":material/grid_view:",
            key="others",
            on_click=address.put,
            kwargs={"view": None},
        )
        _offer_clearing()
    viewed, verdicts = [], {}
    for _, film in films.iterrows():
        heat_map = None
        try:
            pixels = read_film(root, film).pixels
            if predictor is not None and shows_opinion(film):
                opinion = opinion_of(predictor, root, film)
                prediction = opinion.prediction
                heat_map = prediction.evidence_for(prediction.verdict)
                learned = f"  \n{LEARNED}." * opinion.learned
                verdicts[film["path"]] = headline(prediction) + learned
        except (radiograph.UnreadableRadiograph, OSError) as error:
            reason = escape(radiograph.why_unreadable(error))
            st.warning(
                f"{escape(name_of(film))} cannot be shown. {reason}",
                icon=":material/broken_image:",
            )
            continue
        viewed.append(
            ViewedFilm(
                name=name_of(film),
                description=describe(film),
                pixels=pixels,
                heat_map=heat_map,
            )
        )
    if viewed:
        show_films(viewed, key="compare-viewer")
    cells = st.grid(len(films), min_column_width=150, gap="medium", key="compared")
    for place, (_, film) in enumerate(films.iterrows()):
        path = film["path"]
        with cells.cell(), st.container(gap="xxsmall"):
            st.button(
                film_name(name_of(film)),
                icon=":material/open_in_full:",
                key=f"open-compared-{place}",
                type="tertiary",
                on_click=address.open_film,
                args=(path,),
                help="Opens this film by itself.",
            )
            split = f":gray-badge[{film['split'].capitalize()}]"
            size = f"{film['width']:,} × {film['height']:,} pixels"
            if shows_label(film):
                st.markdown(f"{class_badge(film['label'], film['subtype'])} {split}")
                st.caption(f"Patient {escape(film['patient'])}  \n{size}")
            else:
                st.markdown(split)
                st.caption(size)
            if path in verdicts:
                st.markdown(f":small[{verdicts[path]}]")
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"remove-{place}",
                type="tertiary",
                on_click=address.pick,
                args=(path,),
                kwargs={"wanted": False},
            )
    if verdicts:
        st.caption(
            ":material/stethoscope: **Decision support, not a diagnosis.** Each heat map shows "
            "what speaks for the verdict on its film."
        )


def _offer_clearing() -> None:
    st.button("Clear", icon=":material/close:", key="clear", on_click=address.pick_none)
