"""Look through the radiographs of a data set."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.datasets import has_changed, require_dataset, switcher
from pages.parts.frame import class_badge, escape, header, require_frame
from pneumo import figures, radiograph, settings
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import gallery, sample_set

require_frame()

PAGE = 24
SIZES = {"small": (8, 108), "medium": (6, 165), "large": (4, 260)}  # most columns, least width
PICTURE = {"width": 384, "height": 320}  # sharp in the large grid, and on dense screens
EVERY = "all"

here = settings.load()


# Catalogue ------------------------------------------------------------------------------


def summary(catalog: pd.DataFrame) -> None:
    """Headline figures beside what the splits are made of."""
    per_class = catalog["label"].value_counts()
    patients = catalog.groupby("label")["patient"].nunique()
    numbers, chart = st.columns([3, 7], gap="medium", vertical_alignment="center")
    with numbers, st.grid(2, min_column_width=110, gap="small"):
        st.metric("Films", f"{len(catalog):,}")
        st.metric("Patients", f"{patients.sum():,}")
        for label in catalogs.LABELS:
            st.metric(class_badge(label), f"{per_class.get(label, 0):,}")
    with chart:
        st.plotly_chart(
            figures.composition(catalog),
            key="composition",
            config={"displayModeBar": False},
            alt="Share of normal, bacterial and viral films in each split",
        )


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


# Films ----------------------------------------------------------------------------------


def back_to_first_page() -> None:
    """Another selection starts at its beginning."""
    st.session_state["page"] = 1


def filters(catalog: pd.DataFrame) -> pd.DataFrame:
    """The films that the controls above the grid ask for; the address remembers them."""

    def pick(label: str, key: str, options: list[str]) -> str | None:
        value = st.segmented_control(
            label,
            [EVERY, *options],
            default=EVERY,
            required=True,
            format_func=str.capitalize,
            key=key,
            bind="query-params",
            on_change=back_to_first_page,
        )
        return None if value == EVERY else value

    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        split = pick("Split", "split", list(catalog["split"].unique()))
        label = pick("Class", "label", list(catalogs.LABELS))
        known = set(catalog["subtype"].unique())
        causes = [it for it in ("bacterial", "viral", "unknown") if it in known]
        subtype = pick("Cause", "subtype", causes)
        search = st.text_input(
            "Search",
            key="search",
            bind="query-params",
            placeholder="File name or patient",
            icon=":material/search:",
            type="search",
            width=240,
            on_change=back_to_first_page,
        )
    chosen = gallery.select(catalog, split=split, label=label, subtype=subtype, search=search or "")
    return gallery.shuffle(chosen, seed=draw_number())


def draw_number() -> int:
    """Which random draw the address asks for; 0 for the films in their order."""
    text = st.query_params.get("draw", "0")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def draw(number: int) -> None:
    """Ask for a random draw; 0 for the films in their order."""
    back_to_first_page()
    if number:
        st.query_params["draw"] = str(number)
    else:
        st.query_params.pop("draw", None)


def draw_buttons() -> None:
    """Buttons for a random draw, and back to the order of the catalogue."""
    number = draw_number()
    st.button(
        "Show others",
        icon=":material/shuffle:",
        key="others",
        on_click=draw,
        args=(number + 1,),
        help="A random draw. The address remembers which.",
    )
    if number:
        st.button("In order", icon=":material/sort:", key="in-order", on_click=draw, args=(0,))


def pick_size() -> str:
    """How large the films are in the grid."""
    return st.segmented_control(
        "Size of the films",
        list(SIZES),
        default="medium",
        required=True,
        format_func=lambda size: size[0].upper(),
        key="size",
        bind="query-params",
        label_visibility="collapsed",
    )


def open_film(path: str | None) -> None:
    """Show a film large, or none; the address remembers which."""
    if path is None:
        st.query_params.pop("film", None)
    else:
        st.query_params["film"] = path


def reset() -> None:
    """Take back every filter."""
    for key in ("split", "label", "subtype"):
        st.session_state[key] = EVERY
    st.session_state["search"] = ""
    back_to_first_page()


def grid(root: Path, films: pd.DataFrame, *, size: str, key: str) -> None:
    """Films as cards; a card opens its film."""
    columns, width = SIZES[size]
    pictures = gallery.thumbnails(root, films, **PICTURE, limits=here.image_limits)
    cells = st.grid(columns, min_column_width=width, gap="small", key=key)
    for place, (film, picture) in enumerate(zip(films.to_dict("records"), pictures, strict=True)):
        name = Path(film["path"]).stem
        with cells.cell(), st.container(key=f"card-{key}-{place}", gap="xxsmall"):
            if picture.problem:
                st.caption(f":material/broken_image: {escape(picture.problem)}")
            else:
                st.image(picture.jpeg, width="stretch", alt=describe(film))
            badge = class_badge(film["label"], "" if size == "small" else film["subtype"])
            st.button(
                f"{badge} :gray[:small[{escape(name)}]]",
                key=f"open-{key}-{place}",
                type="tertiary",
                on_click=open_film,
                args=(film["path"],),
            )


def describe(film: Mapping[Hashable, str] | pd.Series) -> str:
    """A film in words, for those who do not see it."""
    return f"Chest radiograph {Path(film['path']).stem}, {film['label'].lower()}"


def detail(root: Path, catalog: pd.DataFrame, films: pd.DataFrame, film: pd.Series) -> None:
    """One film, large, with what is known of it."""
    picture, facts = st.columns([7, 4], gap="medium")
    with facts:
        step_buttons(films, film)
        st.markdown(
            f"{class_badge(film['label'], film['subtype'])} "
            f":gray-badge[{film['split'].capitalize()}]"
        )
        st.caption(
            f"Patient {escape(film['patient'])}  \n"
            f"{film['width']:,} × {film['height']:,} pixels, "
            f"width to height {film['width'] / film['height']:.2f}, "
            f"{film['bytes'] / 1024:,.0f} KiB"
        )
    try:
        pixels = radiograph.read_file(root / film["path"], limits=here.image_limits).pixels
    except (radiograph.UnreadableRadiograph, OSError) as unreadable:
        picture.warning(f"This film cannot be shown. {unreadable}", icon=":material/broken_image:")
        return
    mask = lesion(root, film)
    with facts:
        if st.button("Ask the model", icon=":material/radiology:", key="ask"):
            st.switch_page("pages/predict.py", query_params={"film": film["path"]})
        inverted = st.toggle("Invert grey levels", key="invert")
        outlined = mask is not None and st.toggle("Outline the lesion", key="outline")
        st.plotly_chart(
            figures.grey_histogram(pixels),
            key="histogram",
            config={"displayModeBar": False},
            alt="Histogram of the grey levels",
        )
        others = gallery.of_the_same_patient(catalog, film)
        if not others.empty:
            st.caption(f"{len(others)} more of this patient")
            grid(root, others[:6], size="small", key="same")
    shown = 255 - pixels if inverted else pixels
    if outlined and mask is not None:
        shown = figures.outline(shown, mask)
    shown = gallery.fit(shown, width=1600, height=1600)
    height, width = shown.shape[:2]
    picture.image(
        gallery.to_jpeg(shown),
        # As large as a screen has room for.
        width=min(780, round(640 * width / height)),
        alt=describe(film),
    )


def lesion(root: Path, film: pd.Series) -> np.ndarray | None:
    """The mask of the lesion, which the sample set has for every film with pneumonia."""
    file = root / sample_set.MASKS / film["split"] / f"{Path(film['path']).stem}.png"
    if film["label"] == "NORMAL" or not file.exists():
        return None
    try:
        mask = radiograph.read_file(file, limits=here.image_limits).pixels > 0
    except (radiograph.UnreadableRadiograph, OSError):
        return None  # the film is worth seeing without it
    return mask if mask.shape == (film["height"], film["width"]) else None


def step_buttons(films: pd.DataFrame, film: pd.Series) -> None:
    """To the films before and after this one in the selection."""
    paths = list(films["path"])
    place = paths.index(film["path"]) if film["path"] in paths else None
    if place is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        for text, icon, shortcut, step in (
            ("Previous", ":material/chevron_left:", "Left", -1),
            ("Next", ":material/chevron_right:", "Right", 1),
        ):
            goal = place + step
            if st.button(
                text,
                icon=icon,
                shortcut=shortcut,
                disabled=not 0 <= goal < len(paths),
                key=f"step{step}",
            ):
                open_film(paths[goal])
                st.rerun()
        st.caption(f"{place + 1:,} of {len(paths):,}")


# The page -------------------------------------------------------------------------------

with header("Browse"):
    switcher()
dataset, catalog = require_dataset()
if has_changed():
    reset()
    open_film(None)
    draw(0)

root = Path(catalog.attrs["root"])
if dataset.synthetic:
    st.caption(
        ":material/science: These films are synthetic: computed from a model of the chest, "
        "not taken of patients."
    )
summary(catalog)
report_unreadable(catalog)
films = filters(catalog)

if films.empty:
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown("**No film fits all of these filters**", width="content")
        st.button("Show all films", icon=":material/filter_alt_off:", on_click=reset)
    st.stop()

with st.container(horizontal=True, vertical_alignment="center", key="toolbar"):
    st.markdown(f"**{len(films):,}** {'film' if len(films) == 1 else 'films'}", width="content")
    draw_buttons()
    size = pick_size()
    number = st.pagination(-(-len(films) // PAGE), key="page", bind="query-params", width="stretch")
grid(root, films.iloc[(number - 1) * PAGE : number * PAGE], size=size, key="films")

asked_for = catalog[catalog["path"] == st.query_params.get("film")]
if not asked_for.empty:
    film = asked_for.iloc[0]
    dialog = st.dialog(
        Path(film["path"]).name,
        width="large",
        icon=":material/radiology:",
        on_dismiss=lambda: open_film(None),
    )
    dialog(detail)(root, catalog, films, film)
