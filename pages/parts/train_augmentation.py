"""Sliders for the augmentation of a recipe, and films that show what they do."""

import dataclasses
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.frame import class_name
from pneumo import radiograph
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import gallery
from pneumo.radiograph import UnreadableRadiograph
from pneumo.settings import Settings
from pneumo.training.augmentation import augment
from pneumo.training.recipe import Augmentation, Recipe

FILMS_A_CLASS = 3


class Slider(NamedTuple):
    """How a field of `Augmentation` is offered; further values can be loaded from a file."""

    field: str
    label: str
    highest: float
    step: float
    help: str


GROUPS = {
    "Geometry": (
        Slider("rotation", "Rotation, °", 45, 1, "Largest angle either way."),
        Slider("zoom", "Zoom", 0.5, 0.05, "Largest change of scale, each axis on its own."),
        Slider("shear", "Shear, °", 45, 1, "Largest angle either way."),
        Slider("shift", "Shift", 0.3, 0.01, "Largest move, as a share of the side."),
        Slider("crop", "Crop", 0.4, 0.01, "Largest share that each side loses."),
    ),
    "Grey levels": (
        Slider("contrast", "Contrast", 0.9, 0.05, "Largest relative change."),
        Slider("gamma", "Gamma", 2, 0.1, "Largest change of log2(gamma)."),
        Slider("blur", "Blur", 6, 0.5, "Reduced by up to 1 + this, then enlarged again."),
        Slider("noise", "Noise", 40, 1, "Largest standard deviation, in grey levels."),
        Slider("recompression", "JPEG loss", 95, 5, "Largest loss of quality, of 100."),
    ),
    "Around the lungs": (
        Slider("markers", "Letters pasted in", 1, 0.05, "Share of the films."),
        Slider("corner_blackout", "Corners blacked out", 1, 0.05, "Share of the films."),
        Slider("erasing", "Rectangle erased", 1, 0.05, "Share of the films."),
        Slider("frame_swap", "Frame of another film", 1, 0.05, "Share of the films."),
    ),
}


def edit_augmentation(
    recipe: Recipe, key: str, catalog: pd.DataFrame, here: Settings, *, preview: bool
) -> Augmentation:
    """The augmentation as the sliders stand.

    Args:
        recipe: where they start.
        key: of their state.
        catalog: its training films are shown changed.
        here: limits for reading them.
        preview: show them.

    Raises:
        InvalidRecipe: a value breaks a rule.
    """
    values: dict[str, Any] = {}
    place = st.container()
    for tab, (title, sliders) in zip(st.tabs(list(GROUPS)), GROUPS.items(), strict=True):
        with tab, st.grid(2, min_column_width=110, gap="small"):
            for slider in sliders:
                start = getattr(recipe.augmentation, slider.field)
                value = st.slider(
                    slider.label,
                    *(0.0, float(max(slider.highest, start)), float(start), float(slider.step)),
                    format="%g",
                    key=f"{slider.field}-{key}",
                    help=slider.help,
                    persist_state="session",
                )
                values[slider.field] = start if value == start else value  # 10 stays 10, not 10.0
            if title == "Geometry":
                values["horizontal_flip"] = st.toggle(
                    "Mirror half",
                    recipe.augmentation.horizontal_flip,
                    key=f"flip-{key}",
                    persist_state="session",
                )
    augmentation = dataclasses.replace(recipe.augmentation, **values)
    if preview:
        with place:
            _show_films(augmentation, catalog, here, size=recipe.image_size)
    return augmentation


def _show_films(
    augmentation: Augmentation, catalog: pd.DataFrame, here: Settings, *, size: int
) -> None:
    """Augmented copies of training films, the same films until others are asked for."""
    draw = st.session_state.get("draw", 0)
    root = Path(catalog.attrs["root"])
    films = catalog[catalog["split"] == "train"]

    def read(film: dict[Hashable, Any]) -> np.ndarray | None:
        try:
            return _read(str(root / film["path"]), film["digest"], size, here)
        except (UnreadableRadiograph, OSError):
            return None

    pictures = {
        label: [
            read(film)
            for film in gallery.shuffle(films[films["label"] == label], seed=draw + 1)
            .head(FILMS_A_CLASS)
            .to_dict("records")
        ]
        for label in catalogs.LABELS
    }
    read_well = [it for strip in pictures.values() for it in strip if it is not None]
    with st.grid(FILMS_A_CLASS, min_column_width=72, gap="xsmall", key="strip"):
        for class_number, label in enumerate(catalogs.LABELS):
            for number, picture in enumerate(pictures[label]):
                if picture is None:
                    st.caption(":material/broken_image: Cannot be read")
                    continue
                rng = np.random.default_rng((draw, class_number, number))
                other = read_well[rng.integers(len(read_well))]
                st.image(
                    gallery.to_jpeg(augment(picture, augmentation, rng, other=other)),
                    width="stretch",
                    alt=f"Augmented film, {label.lower()}",
                    caption=class_name(label),
                )
    st.button("Show others", icon=":material/shuffle:", key="others", on_click=_draw_others)


def _draw_others() -> None:
    st.session_state["draw"] = st.session_state.get("draw", 0) + 1


@st.cache_data(show_spinner=False, max_entries=500)
def _read(path: str, digest: str, size: int, _here: Settings) -> np.ndarray:
    """What the network is given of a film before it is augmented."""
    film = radiograph.read_file(Path(path), limits=_here.image_limits, model_size=size)
    return radiograph.to_model_input(film, size=size)
