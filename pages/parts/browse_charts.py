"""The films that are looked at, in charts; a click in one narrows all of them down."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.browse_known import BY_IDENTITY, require_pictures
from pages.parts.frame import class_badge, count_of_films
from pneumo import figures
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import facts, gallery
from pneumo.datasets.facts import Range

MARKS = 2000
"""Films in the chart of shapes, at most: more would hide each other."""
SERIES: tuple[Range, ...] = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, 9999))
BRIGHTNESS: tuple[Range, ...] = tuple((low, low + 10) for low in range(0, 260, 10))
MEAN_FILM = 320  # pixels along a side, on the page

Selected = Mapping[str, Any]
"""What Streamlit tells of a selection: `points` and `box`."""


def show_composition(catalog: pd.DataFrame) -> None:
    """Classes by split; a click shows these films."""
    figure, _ = _composition(catalog)
    _chart(
        figure,
        "composition",
        _pick_composition,
        alt="Share of normal, bacterial and viral films in each split. A click shows these films.",
    )


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _composition(catalog: pd.DataFrame) -> tuple[go.Figure, pd.DataFrame]:
    return figures.composition(catalog), catalog


def show_charts(catalog: pd.DataFrame, films: pd.DataFrame, known: pd.DataFrame) -> None:
    """Everything there is to draw of the films that are looked at.

    Args:
        known: the facts of all films of the catalogue.
    """
    sizes = films[["width", "height"]].drop_duplicates()
    one_size = len(sizes) == 1
    width, height = sizes.iloc[0]
    st.caption(
        f"Of the {len(films):,} films that fit the filters"
        + f", every one of {width:,} × {height:,} pixels" * one_size
        + ". Click a bar"
        + ", or draw a box among the marks" * (not one_size)
        + ", and the filters follow."
    )
    charts = st.grid(2, min_column_width=320, gap="large", key="charts")
    with charts.cell():
        _patients(films, known)
    if not one_size:
        with charts.cell():
            _shapes(films, known)
    thumbnails = require_pictures(catalog)
    if thumbnails is not None and "brightness" not in known:
        st.rerun()  # they were measured while this page was being drawn
    if thumbnails is None:
        return
    seen = films[known.loc[films.index, "brightness"].notna()]
    unseen = len(films) - len(seen)
    if unseen:
        st.caption(
            f"The pixels of {count_of_films(unseen)} cannot be decoded: not in the charts of grey "
            "levels."
        )
    if seen.empty:
        return
    with charts.cell():
        _brightness(seen, known)
    with charts.cell(column_span="all" if one_size else 1):
        _mean_films(thumbnails, catalog.index.get_indexer(seen.index), seen["label"])


def _chart(
    figure: go.Figure, name: str, pick: Callable[[Selected], dict[str, str | None]], *, alt: str
) -> None:
    """A chart whose selection becomes a filter; it then starts afresh, with nothing selected."""
    turn = st.session_state.setdefault("charts-turn", 0)
    key = f"chart-{name}-{turn}"

    def picked() -> None:
        said = pick(st.session_state[key]["selection"])
        if said:
            address.put_filter(**said)
            st.session_state["charts-turn"] = turn + 1

    st.plotly_chart(
        figure,
        key=key,
        on_select=picked,
        selection_mode=("points", "box"),
        config={"displayModeBar": False},
        alt=alt,
    )


# What a selection says ------------------------------------------------------------------


def _pick_composition(selected: Selected) -> dict[str, str | None]:
    for point in selected["points"]:
        split, subtype, _ = point["customdata"]
        label = "NORMAL" if subtype == "normal" else "PNEUMONIA"
        return {
            "split": split.capitalize(),
            "label": label.capitalize(),
            "subtype": None if subtype == "normal" else subtype.capitalize(),
        }
    return {}


def _pick_bins(name: str) -> Callable[[Selected], dict[str, str | None]]:
    """The range of the bins that were selected."""

    def pick(selected: Selected) -> dict[str, str | None]:
        bins = [point["customdata"] for point in selected["points"]]
        if not bins:
            return {}
        extent = min(low for low, _ in bins), max(high for _, high in bins)
        return {name: address.as_range(extent)}

    return pick


def _pick_shapes(selected: Selected) -> dict[str, str | None]:
    for box in selected["box"]:
        sides, ratios = ((min(it), max(it)) for it in (box["x"], box["y"]))
        return {"side": address.as_range(sides), "ratio": address.as_range(ratios)}
    return {}


# Charts ---------------------------------------------------------------------------------


def _patients(films: pd.DataFrame, known: pd.DataFrame) -> None:
    """How many films there are of a patient."""
    st.markdown("**Films per patient**")
    counted = facts.series_of(known, films)
    bins, counts = _binned(SERIES, counted["series"], counted["label"], counted["patients"])
    # The last says "and more" by its largest value.
    most = int(counted["series"].max())
    bins = [(low, min(high, most)) for low, high in bins]
    patients = counted.groupby("label")["patients"].sum().to_dict()
    _chart(
        figures.class_bars(bins, counts, title="Films of a patient", counted="patients"),
        "series",
        _pick_bins("series"),
        alt="Patients by their number of films: "
        + ", ".join(f"{str(label).lower()} {count:,} patients" for label, count in patients.items())
        + f", {most} films of one patient at most",
    )


def _shapes(films: pd.DataFrame, known: pd.DataFrame) -> None:
    """How large films are and how wide for their height."""
    st.markdown("**Size and shape**")
    shown = films[["path", "label"]].join(known[["side", "ratio"]])
    if len(shown) > MARKS:
        st.caption(f"{MARKS:,} of {len(shown):,} films, drawn at random.")
        shown = shown.sample(MARKS, random_state=1)
    medians = shown.groupby("label")[["side", "ratio"]].median().to_dict("index")
    _chart(
        figures.shapes(shown),
        "shapes",
        _pick_shapes,
        alt="Shorter side and width to height of the films: "
        + ", ".join(
            f"{str(label).lower()} median {of['side']:,.0f} pixels and {of['ratio']:.2f}"
            for label, of in medians.items()
        ),
    )


def _brightness(films: pd.DataFrame, known: pd.DataFrame) -> None:
    """How bright the films are on the whole."""
    st.markdown("**Mean grey level**")
    brightness = known.loc[films.index, "brightness"]
    bins, counts = _binned(BRIGHTNESS, brightness, films["label"], pd.Series(1, films.index))
    means = brightness.groupby(films["label"]).mean()
    _chart(
        figures.class_bars(bins, counts, title="Mean grey level", counted="films"),
        "brightness",
        _pick_bins("brightness"),
        alt="Films by their mean grey level: "
        + ", ".join(f"{str(label).lower()} {mean:.0f} on average" for label, mean in means.items()),
    )


def _binned(
    bins: tuple[Range, ...], values: pd.Series, labels: pd.Series, weights: pd.Series
) -> tuple[list[Range], dict[str, list[int]]]:
    """The bins from the first that holds something to the last, and what each holds by class."""
    place = np.searchsorted([low for low, _ in bins], values, side="right") - 1
    counts = {
        label: np.bincount(place, np.where(labels == label, weights, 0), minlength=len(bins))
        for label in catalogs.LABELS
        if (labels == label).any()
    }
    (filled,) = np.nonzero(np.sum(list(counts.values()), axis=0))
    part = slice(filled[0], filled[-1] + 1)
    return list(bins[part]), {label: it[part].astype(int).tolist() for label, it in counts.items()}


def _mean_films(thumbnails: np.ndarray, rows: np.ndarray, labels: pd.Series) -> None:
    """The mean film of each class, and where they differ.

    Args:
        rows: of the films among the thumbnails.
        labels: of the films.
    """
    st.markdown("**The mean film of each class**")
    of_class = {label: rows[(labels == label).to_numpy()] for label in catalogs.LABELS}
    means = {
        label: thumbnails[places].sum(axis=0, dtype=np.uint32) / len(places)
        for label, places in of_class.items()
        if len(places)
    }
    cells = st.grid(3, min_column_width=100, gap="small", key="mean-films")
    for label, mean in means.items():
        with cells.cell(), st.container(gap="xxsmall"):
            _picture(np.rint(mean).astype(np.uint8), alt=f"Mean of all films: {label.lower()}")
            st.markdown(class_badge(label))
    if len(means) < 2:
        return
    apart = means["PNEUMONIA"] - means["NORMAL"]
    with cells.cell(), st.container(gap="xxsmall"):
        _picture(
            figures.difference(means["PNEUMONIA"], means["NORMAL"]),
            alt=f"Difference of the two means, from {apart.min():.0f} to {apart.max():.0f} levels",
        )
        st.markdown("Difference")
    st.caption(
        "Films squeezed to a square. Orange: pneumonia is brighter, by up to "
        f"{max(apart.max(), 0):.0f} of 255 grey levels; blue: normal is, by up to "
        f"{max(-apart.min(), 0):.0f}. What differs outside the lungs is no sign of disease: a "
        "model may learn it all the same."
    )


def _picture(pixels: np.ndarray, *, alt: str) -> None:
    large = gallery.fit(pixels, width=MEAN_FILM, height=MEAN_FILM, enlarge=True)
    st.image(gallery.to_jpeg(large), width="stretch", alt=alt)
