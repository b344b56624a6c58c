"""What a training would learn from, and how long it would take on this machine."""

import time
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts.frame import duration
from pneumo.settings import Settings
from pneumo.training import launcher, pace, runs
from pneumo.training.recipe import InvalidRecipe, Recipe

PATIENCE = 3.0
"""Seconds that a recipe must stay as it is before the machine is measured for it: sliders move,
and many open the page to look at a run."""


def show_films(catalog: pd.DataFrame, recipe: Recipe) -> pd.DataFrame | None:
    """Count the films of each class after the split. Returns them; None where there is no split."""
    try:
        rows = _split(
            catalog["digest"],
            recipe.validation_share,
            recipe.seed,
            recipe.classes,
            catalog,
            recipe,
        )
    except (InvalidRecipe, ValueError) as problem:
        st.error(str(problem), icon=":material/error:")
        return None
    column = "label" if recipe.classes == 2 else "subtype"
    lines = []
    for name, part in rows.groupby("split"):
        counts = part[column].value_counts()
        order = ("NORMAL", "PNEUMONIA", "normal", "bacterial", "viral")
        classes = ", ".join(f"{counts[it]:,} {it.lower()}" for it in order if it in counts)
        lines.append(f"{str(name).capitalize()} **{len(part):,}**: {classes}")
    st.caption("  \n".join(lines))
    return rows


def show_estimate(rows: pd.DataFrame, root: Path, recipe: Recipe, here: Settings) -> None:
    """How long the training would take; measured where that is not known."""
    known = pace.known(recipe, here)
    unknown = known is None and _key(recipe) not in _given_up()
    st.fragment(_estimate, run_every=1.0 if unknown else None)(rows, root, recipe, here, unknown)


@st.cache_data(show_spinner=False, max_entries=32)
def _split(
    digests: pd.Series,
    share: float,
    seed: int,
    classes: int,
    _catalog: pd.DataFrame,
    _recipe: Recipe,
) -> pd.DataFrame:
    return launcher.split(_catalog, _recipe)


def _estimate(
    rows: pd.DataFrame, root: Path, recipe: Recipe, here: Settings, unknown: bool
) -> None:
    known = pace.known(recipe, here)
    if known is not None:
        if unknown:
            st.rerun()  # once more, without the clock
        counts = rows["split"].value_counts()
        seconds = known.duration(
            recipe, train=int(counts["train"]), validation=int(counts["validation"])
        )
        most = "at most " if recipe.early_stopping else ""
        st.markdown(f":material/timer: Takes {most}about **{duration(seconds)}** here")
        return
    if not unknown:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(":material/timer_off: The pace of this machine could not be measured.")
            st.button("Try again", key="measure-again", on_click=_try_again, args=(recipe,))
        return
    st.caption(f":material/timer: {_measure(rows, root, recipe, here)}")


def _measure(rows: pd.DataFrame, root: Path, recipe: Recipe, here: Settings) -> str:
    """Get the machine measured. Returns what is going on."""
    asked, since = st.session_state.get("estimate-asked", (None, 0.0))
    if asked != recipe:
        st.session_state["estimate-asked"] = recipe, time.monotonic()
        since = time.monotonic()
    measured: Recipe | None = st.session_state.get("pace-started")
    if pace.is_being_measured(recipe, here):
        st.session_state["pace-started"] = recipe
        return "Measuring this machine…"
    if measured is not None and pace.is_being_measured(measured, here):
        return "Measuring this machine…"  # for what the form said before; then for this
    if measured == recipe:
        if pace.known(recipe, here) is None:
            _given_up().add(_key(recipe))
        st.rerun()
    if runs.active_run(here) is not None:
        return "How long it takes is measured once no training is under way."
    if time.monotonic() - since < PATIENCE:
        return "How long does it take?"
    films = rows.loc[rows["split"] == "train", "path"].sample(pace.SAMPLE, replace=True)
    try:
        pace.start(recipe, here, images=[root / path for path in films.unique()])
    except OSError as error:
        _given_up().add(_key(recipe))
        return f"Cannot be measured: {error}"
    st.session_state["pace-started"] = recipe
    return "Measuring this machine…"


def _given_up() -> set[str]:
    """The recipes for which a measurement failed."""
    return st.session_state.setdefault("pace-given-up", set())


def _key(recipe: Recipe) -> str:
    return recipe.to_json()


def _try_again(recipe: Recipe) -> None:
    _given_up().discard(_key(recipe))
    st.session_state.pop("pace-started", None)
