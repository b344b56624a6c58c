"""The films of a data set as a map: what a model finds alike lies near each other."""

import html
from collections.abc import Hashable
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts import work
from pages.parts.browse_blinding import shows_label, shows_opinion
from pages.parts.browse_grid import cards, choose_page, pages_of
from pages.parts.browse_known import BY_IDENTITY, find_films
from pages.parts.frame import class_badge, escape
from pneumo import figures, settings
from pneumo.datasets import facts
from pneumo.datasets.catalog import LABELS
from pneumo.inference import film_map
from pneumo.inference.opinions import Opinions

COLOURS = {"class": "Class", "cause": "Cause", "split": "Split", "verdict": "Verdict"}
SHOWN = 12  # selected films at once
OUTLIERS = 8
TOOLS = ["lasso2d", "select2d", "zoom2d", "pan2d", "resetScale2d"]


def show_map(
    catalog: pd.DataFrame, root: Path, films: pd.DataFrame, opinions: Opinions | None
) -> None:
    """The map, the films that are selected on it, and the films that lie far from all others.

    Args:
        catalog: all films, which make the map.
        root: the folder that their paths are relative to.
        films: of these, the ones that are looked at.
        opinions: about the catalogue; None where no model was asked about all of it.
    """
    if opinions is None:
        st.info(
            "The map shows which films a model finds alike. It is drawn once the model has been "
            "asked about all of them.",
            icon=":material/scatter_plot:",
        )
        return
    places = _require_places(catalog, root, opinions)
    if places is None:
        return
    points = _points(catalog, films, opinions, places)
    if points.empty:
        st.caption("None of these films has a place on the map.")
        return
    by = _choose_colour()
    left, right = st.columns([7, 5], gap="medium")
    with left:
        _show_chart(points, by)
    with right:
        if points["selected"].any():
            _show_selected(root, _selected(points))
        else:
            _show_outliers(root, _outliers(points))
    _explain(films, points, opinions)


def films_beside_map(
    catalog: pd.DataFrame, films: pd.DataFrame, opinions: Opinions | None
) -> pd.DataFrame:
    """The films that are listed beside the map, in their order; see `show_map`."""
    places = None if opinions is None else _known_places(catalog, opinions)
    if opinions is None or places is None:
        return films[:0]
    points = _points(catalog, films, opinions, places)
    return _selected(points) if points["selected"].any() else _outliers(points)


# Making it ------------------------------------------------------------------------------


def _require_places(catalog: pd.DataFrame, root: Path, opinions: Opinions) -> pd.DataFrame | None:
    """Where the films lie; None while that is being found out."""
    name = f"map {opinions.key} {root}"
    if work.follow(name, doing="Drawing the map", unit="steps"):
        return None
    places = _known_places(catalog, opinions)
    if places is not None:
        return places
    before = work.last(name)
    if before is None or not (before.cancelled or before.problem):
        _begin(name, catalog, opinions)
        st.rerun()
    st.button(
        "Draw the map",
        icon=":material/scatter_plot:",
        key="draw-map",
        on_click=_begin,
        args=(name, catalog, opinions),
    )
    return None


def _begin(name: str, catalog: pd.DataFrame, opinions: Opinions) -> None:
    work.begin(
        name,
        lambda progress, cancelled: film_map.make(
            opinions, catalog, settings=settings.load(), progress=progress, cancelled=cancelled
        ),
    )


def _known_places(catalog: pd.DataFrame, opinions: Opinions) -> pd.DataFrame | None:
    places, *_ = _cached(catalog, opinions, film_map.stamp(settings.load()))
    return places


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _cached(
    catalog: pd.DataFrame, opinions: Opinions, stamp: int
) -> tuple[pd.DataFrame | None, pd.DataFrame, Opinions]:
    return film_map.cached(settings.load(), opinions, catalog), catalog, opinions


# Showing it -----------------------------------------------------------------------------


def _points(
    catalog: pd.DataFrame, films: pd.DataFrame, opinions: Opinions, places: pd.DataFrame
) -> pd.DataFrame:
    """The films that are looked at and have a place: the catalogue, x, y and the opinions.

    Beside these, whether each is among the farthest from the training films, and whether it is
    selected: it lies within an outline of the address, or is named by it.
    """
    points = films.join(places, how="inner").join(opinions.table)
    marked = find_films(catalog, st.query_params.get_all("marked"))
    selected = points.index.isin(marked.index)
    for outline in address.outlines():
        selected |= film_map.inside(points, outline)
    return points.assign(farthest=points.index.isin(_outliers(points).index), selected=selected)


def _selected(points: pd.DataFrame) -> pd.DataFrame:
    """The selected films, the most wrongly answered first where that may be told."""
    selected = points[points["selected"]]
    if not shows_opinion():
        return selected
    error = facts.of_opinions(selected["label"], selected)["error"]
    return selected.loc[error.sort_values(ascending=False, kind="stable").index]


def _outliers(points: pd.DataFrame) -> pd.DataFrame:
    """The films whose features lie farthest from those of the training films."""
    return points.loc[points["distance"].nlargest(OUTLIERS).index]


def _choose_colour() -> str:
    """What the points are coloured by."""
    told = {"class": shows_label(), "cause": shows_label(), "verdict": shows_opinion()}
    offered = [it for it in COLOURS if told.get(it, True)]
    by = address.one_of("colour", offered) or offered[0]
    st.session_state["colour"] = by
    st.segmented_control(
        "Coloured by",
        offered,
        required=True,
        format_func=COLOURS.__getitem__,
        key="colour",
        on_change=address.take,
        args=("colour", lambda chosen: None if chosen == offered[0] else chosen.capitalize()),
    )
    return by


def _show_chart(points: pd.DataFrame, by: str) -> None:
    """The map itself; what is selected on it is said in the address."""
    drawn = points.assign(group=group(points, by), words=_words(points))
    key = f"map-{st.session_state.setdefault('map-turn', 0)}"

    def select() -> None:
        selection = st.session_state[key]["selection"]
        areas = [
            film_map.simplified(tuple(zip(lasso["x"], lasso["y"], strict=True)))
            for lasso in selection["lasso"]
        ]
        for box in selection["box"]:
            (left, right), (bottom, top) = box["x"], box["y"]
            areas.append(((left, bottom), (right, bottom), (right, top), (left, top)))
        clicked = [it["customdata"][0] for it in selection["points"] if "customdata" in it]
        areas = [it for it in areas if len(it) > 2]  # a slip of the hand has fewer corners
        if areas or clicked:  # a chart that leaves the page lets go of its selection
            address.put_filter(
                area=[address.as_outline(it) for it in areas],
                marked=[] if areas else [address.reference(it) for it in dict.fromkeys(clicked)],
            )

    counts = ", ".join(
        f"{count:,} {group}" for group, count in drawn["group"].value_counts().items()
    )
    st.plotly_chart(
        figures.film_map(drawn, by=by),
        key=key,
        on_select=select,
        selection_mode=("points", "box", "lasso"),
        config={"displayModeBar": True, "displaylogo": False, "modeBarButtons": [TOOLS]},
        alt=f"Map of {len(points):,} films by what the model finds alike, coloured by "
        f"{COLOURS[by].lower()}: {counts}. Those far from the training films are listed beside it.",
    )


def group(points: pd.DataFrame, by: str) -> pd.Series:
    """Which group of `figures.MAP_LOOKS[by]` each film belongs to."""
    if by == "class":
        return points["label"].str.capitalize()
    if by == "cause":
        return points["subtype"].str.capitalize().replace("Unknown", "Cause unknown")
    if by == "split":
        return points["split"].str.capitalize()
    return facts.answers(points["label"], points)


def _words(points: pd.DataFrame) -> list[str]:
    """What is written beside a point."""
    with_label, with_opinion = shows_label(), shows_opinion()
    written = []
    for film in points.to_dict("records"):
        said = [_label_words(film) if with_label else film["split"].capitalize()]
        said += [_opinion_words(film)] if with_opinion else []
        written.append("<br>".join(said))
    return written


def _label_words(film: dict[Hashable, Any]) -> str:
    cause = f", {film['subtype']}" if film["subtype"] in ("bacterial", "viral") else ""
    name = html.escape(PurePosixPath(film["path"]).name)
    return f"{name}<br>{film['label'].capitalize()}{cause}, {film['split']}"


def _opinion_words(film: dict[Hashable, Any]) -> str:
    if film["flagged"]:
        return "Model: out of scope"
    leaning = "unsure, leans to " if film["unsure"] else ""
    return (
        f"Model: {leaning}{film['verdict'].lower()}, probability of pneumonia "
        f"{100 * film['probability']:.1f} %"
    )


def _explain(films: pd.DataFrame, points: pd.DataFrame, opinions: Opinions) -> None:
    """What a map can tell and what it cannot."""
    left_out = ""
    if len(points) < len(films):
        left_out = (
            f" {len(points):,} of the {len(films):,} films are on it: at most "
            f"{film_map.MOST_FILMS:,} of a data set, drawn by lot, and none that cannot be read."
        )
    st.caption(
        f"**What it tells:** near each other lie films that {escape(opinions.model)} finds alike "
        "(PCA of its last features, t-SNE). **What it does not:** how far apart groups lie, how "
        "large or dense they are, and where, means little; and what the model finds alike, a "
        f"radiologist may not.{left_out}"
    )


# Beside it ------------------------------------------------------------------------------


def _show_selected(root: Path, selected: pd.DataFrame) -> None:
    """The films that were drawn round, as many as a page holds."""
    with st.container(horizontal=True, vertical_alignment="center", key="map-toolbar"):
        st.markdown(
            f"**{len(selected):,} {'film' if len(selected) == 1 else 'films'} selected**",
            width="content",
        )
        st.button("Clear", icon=":material/close:", key="map-clear", on_click=_clear)
    if counted := _counted(selected):
        st.markdown(f":small[{' · '.join(counted)}]")
    number = 1
    if len(selected) > SHOWN:
        number = choose_page(pages_of(len(selected), each=SHOWN))
    shown = selected.iloc[(number - 1) * SHOWN : number * SHOWN]
    notes = [f":small[{100 * it:.1f} % pneumonia]" for it in shown["probability"]]
    told = notes if shows_opinion() else None
    cards(root, shown, key="map-selected-films", columns=4, notes=told)
    if told and len(selected) > 1:
        st.caption("What the model answers most wrongly comes first.")


def _counted(selected: pd.DataFrame) -> list[str]:
    """How many films there are of each class, and how many the model gets wrong."""
    counted = []
    if shows_label():
        numbers = selected["label"].value_counts()
        counted += [f"{class_badge(it)} {numbers[it]:,}" for it in LABELS if it in numbers]
    if shows_opinion():
        told = facts.of_opinions(selected["label"], selected)
        counted += [f"{told[it].sum():,} {it}" for it in ("wrong", "unsure")]
    return counted


def _clear() -> None:
    """Let go of the selection; a chart of another key starts with none."""
    address.put_filter(area=None, marked=None)
    st.session_state["map-turn"] += 1


def _show_outliers(root: Path, outliers: pd.DataFrame) -> None:
    """The films that lie farthest from the training films."""
    st.caption(
        ":material/gesture: Draw round points on the map, or choose *Pan* above it and click one: "
        "their films are listed here."
    )
    st.markdown("**Farthest from the training films**")
    st.caption(
        f"Ringed on the map. By the gate's distance: {outliers['distance'].min():.1f} to "
        f"{outliers['distance'].max():.1f}, where a training film lies at about 2. Odd films, or "
        "odd files."
    )
    cards(root, outliers, key="map-outliers", columns=4)
