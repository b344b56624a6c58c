"""The recipe of a new training: chosen, changed setting by setting, loaded, saved, compared."""

import dataclasses
import hashlib
import json
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from pages.parts.frame import escape
from pages.parts.train_augmentation import edit_augmentation
from pneumo.settings import Settings
from pneumo.training import recipe as recipes
from pneumo.training import runs
from pneumo.training.backbones import BACKBONES
from pneumo.training.recipe import EARLIER_RUN, PRESETS, STARTING_WEIGHTS, InvalidRecipe, Recipe
from pneumo.training.runs import Run

PRESET_TEXTS = {
    "quick": "A small head on what a frozen ImageNet network sees. Seconds for 5,000 films.",
    "best": "The head, then the whole network, on films that lost what gives a class away. "
    "Twenty minutes for 5,000 films on a laptop.",
    "seed": "The tutorial that most people start from: a frozen network, augmented films anew in "
    "every epoch. A baseline.",
}
STARTS = {
    "imagenet": "ImageNet (downloaded once)",
    "shipped": "The shipped model",
    "auto": "ImageNet, else the shipped model",
    "random": "Random",
}
LOADED = " (file)"
"""Follows the name of a recipe that was loaded and not saved yet."""


class Base(NamedTuple):
    """What the form starts from.

    Attributes:
        key: of the form's fields: each recipe keeps its own changes.
    """

    recipe: Recipe
    name: str
    key: str


def choose_recipe(here: Settings) -> Base:
    """A preset, one of the user's own recipes, or the one that was loaded."""
    own = recipes.saved(here)
    loaded: dict[str, Recipe] = st.session_state.get("loaded-recipes", {})
    names = [*PRESETS, *own, *loaded]
    if "saved-recipe" in st.session_state:
        st.session_state["recipe"] = st.session_state.pop("saved-recipe")
    if st.session_state.get("recipe", "quick") not in names:
        st.session_state["recipe"] = "quick"  # somebody has removed the one that was chosen
    name = st.segmented_control(
        "Recipe",
        names,
        default="quick",
        required=True,
        format_func=lambda name: name.capitalize() if name in PRESETS else name,
        key="recipe",
        bind="query-params",
    )
    try:
        chosen = loaded[name] if name in loaded else recipes.find(here, name)
    except (InvalidRecipe, OSError) as problem:
        st.error(f"{escape(name)} cannot be used. {problem}", icon=":material/error:")
        name, chosen = "quick", PRESETS["quick"]
    if name in PRESETS:
        st.caption(PRESET_TEXTS[name])
        return Base(chosen, name, name)
    digest = hashlib.blake2b(chosen.to_json().encode(), digest_size=4).hexdigest()
    return Base(chosen, name, f"{name}-{digest}")


def edit_recipe(base: Base, catalog: pd.DataFrame, here: Settings) -> Recipe | None:
    """The recipe with what the user changed in it; None, and why, where that breaks a rule."""
    problem = st.container()
    last = base.recipe.phases[-1]
    several = len(base.recipe.phases) > 1
    values: dict[str, Any] = {
        "epochs": st.number_input(
            "Epochs of the last phase" if several else "Epochs",
            *(1, 1000, last.epochs),
            key=f"epochs-{base.key}",
            persist_state="session",
        )
    }
    with st.expander("More settings", icon=":material/tune:", key="more"):
        values |= _settings(base, here)
    with st.expander(
        "Augmentation", icon=":material/auto_fix_high:", key="augmentation", on_change="rerun"
    ) as panel:
        try:
            values["augmentation"] = edit_augmentation(
                base.recipe, base.key, catalog, here, preview=bool(panel.open)
            )
        except InvalidRecipe as invalid:
            problem.error(str(invalid), icon=":material/error:")
            return None
    with st.expander("Name, file and differences", icon=":material/description:", key="file"):
        values["name"] = st.text_input(
            "Name",
            base.recipe.name,
            key=f"name-{base.key}",
            help="Of the recipe, and of the run that it makes.",
            persist_state="session",
        )
        try:
            chosen = _changed(base.recipe, values)
        except InvalidRecipe as invalid:
            problem.error(str(invalid), icon=":material/error:")
            chosen = None
        _files(chosen, base, here)
    if chosen is not None:
        count = len(recipes.differences(base.recipe, chosen))
        if count:
            settings = "1 setting" if count == 1 else f"{count} settings"
            problem.caption(f":material/edit: Differs from {escape(base.name)} in {settings}.")
    return chosen


def _changed(base: Recipe, values: dict[str, Any]) -> Recipe:
    unfrozen = values.pop("unfrozen", None)
    if unfrozen is not None:
        *before, last = base.phases
        values["phases"] = (*before, dataclasses.replace(last, unfrozen=unfrozen))
    return base.changed(**values)


def _settings(base: Base, here: Settings) -> dict[str, Any]:
    """Fields for what most people leave as it is."""
    start, last = base.recipe, base.recipe.phases[-1]

    def options(field: str, **rest: Any) -> dict[str, Any]:
        return {"key": f"{field}-{base.key}", "persist_state": "session", **rest}

    values: dict[str, Any] = {}
    backbones = list(BACKBONES)
    values["backbone"] = st.selectbox(
        "Backbone", backbones, backbones.index(start.backbone), **options("backbone")
    )
    values["classes"] = st.radio(
        "Classes",
        (2, 3),
        (2, 3).index(start.classes),
        format_func={2: "Normal, pneumonia", 3: "Normal, bacterial, viral"}.__getitem__,
        **options("classes"),
    )
    weights = _starting_weights(start.start, values["backbone"], here)
    values["start"] = st.selectbox(
        "Starting weights",
        weights,
        weights.index(start.start),
        format_func=lambda value: STARTS.get(value, value),
        **options("weights", help="`run:` goes on from the network of an earlier run."),
    )
    left, right = st.columns(2)
    values["batch_size"] = left.number_input(
        "Batch size", 1, 1024, start.batch_size, **options("batch")
    )
    # A recipe from a file may say 0 for 0.0, and more than is offered; widgets take neither.
    values["learning_rate"] = right.number_input(
        "Learning rate",
        value=float(last.learning_rate),
        format="%.2g",
        step=last.learning_rate / 10,
        **options("rate", help="Of Adam, at its highest in the last phase."),
    )
    values["seed"] = left.number_input(
        "Random seed",
        *(0, 2**31 - 1, start.seed),
        **options("seed", help="Of the split, the first weights, the order, the augmentation."),
    )
    values["early_stopping"] = right.number_input(
        "Early stopping",
        *(0, 1000, start.early_stopping),
        **options("patience", help="Epochs without a gain that end a phase; 0 for never."),
    )
    values["label_smoothing"] = left.number_input(
        "Label smoothing",
        *(0.0, max(0.99, start.label_smoothing), float(start.label_smoothing), 0.01),
        **options("smoothing"),
    )
    values["weight_averaging"] = right.number_input(
        "Weight averaging",
        *(0.0, max(0.9999, start.weight_averaging), float(start.weight_averaging), 0.01),
        format="%.4g",
        **options("averaging", help="Decay a step of the moving average; 0 for none."),
    )
    values["validation_share"] = st.slider(
        "Patients set apart for validation",
        *(0.05, 0.5, start.validation_share, 0.05),
        format="percent",
        **options("share"),
    )
    if last.unfrozen:
        values["unfrozen"] = st.slider(
            "Share of the network that learns in the last phase",
            *(min(0.05, last.unfrozen), 1.0, float(last.unfrozen), 0.05),
            format="percent",
            **options("unfrozen"),
        )
    values["class_weights"] = st.toggle(
        "Classes weigh alike", start.class_weights, **options("balanced")
    )
    return values


def _starting_weights(current: str, backbone: str, here: Settings) -> list[str]:
    finished = [
        f"{EARLIER_RUN}{run.name}"
        for run, state in runs.states(here).items()
        if state.status == "finished" and run.bundle.is_dir() and _has(run, backbone)
    ]
    return list(dict.fromkeys([*STARTING_WEIGHTS, current, *finished]))


def _has(run: Run, backbone: str) -> bool:
    try:
        return run.recipe.backbone == backbone
    except InvalidRecipe:  # of a release that wrote recipes otherwise
        return False


# Files ----------------------------------------------------------------------------------


def _files(chosen: Recipe | None, base: Base, here: Settings) -> None:
    """Save, download, load, compare."""
    if chosen is not None:
        with st.container(horizontal=True):
            # No callback: it would save what the form said before the last edit.
            wants_save = st.button(
                "Save",
                icon=":material/save:",
                key="save-recipe",
                help="Under its name, among the recipes above.",
            )
            st.download_button(
                "Download",
                chosen.to_json(),
                file_name=f"{recipes.slug(chosen.name)}.json",
                mime="application/json",
                icon=":material/download:",
                key="download-recipe",
                on_click="ignore",
            )
        if wants_save:
            _save(chosen, here)
    st.file_uploader("Load a recipe", type="json", key="load-recipe", on_change=_load)
    problem = st.session_state.get("load-problem", "")
    if problem:
        st.error(problem, icon=":material/error:")
    if chosen is None:
        return
    loaded: dict[str, Recipe] = st.session_state.get("loaded-recipes", {})
    names = [*PRESETS, *recipes.saved(here), *loaded]
    other = st.selectbox(
        "Differences from",
        names,
        names.index(base.name),
        key=f"differences-{base.key}",
    )
    try:
        against = loaded[other] if other in loaded else recipes.find(here, other)
    except (InvalidRecipe, OSError) as invalid:
        st.error(str(invalid), icon=":material/error:")
        return
    show_differences(against, chosen, names=(other, "this one"))


def show_differences(first: Recipe, second: Recipe, *, names: tuple[str, str]) -> None:
    """A table of the settings in which two recipes differ."""
    found = recipes.differences(first, second)
    if not found:
        st.caption("The same in every setting.")
        return
    rows = [(it.setting, _spoken(it.first), _spoken(it.second)) for it in found]
    table = pd.DataFrame(rows, columns=["Setting", *names])
    st.dataframe(table, hide_index=True, width="stretch")


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _save(chosen: Recipe, here: Settings) -> None:
    try:
        saved = recipes.save(here, chosen)
    except (InvalidRecipe, OSError) as problem:
        st.error(str(problem), icon=":material/error:")
        return
    st.session_state["saved-recipe"] = saved.stem  # for the chooser, which is drawn already
    st.rerun()


def _load() -> None:
    file = st.session_state["load-recipe"]
    st.session_state["load-problem"] = ""
    if file is None:
        return
    try:
        take_over(_parse(file.name, file.getvalue()))
    except InvalidRecipe as invalid:
        st.session_state["load-problem"] = str(invalid)


def _parse(name: str, content: bytes) -> Recipe:
    try:
        values = json.loads(content)
    except ValueError as error:
        raise InvalidRecipe(f"{name} must be a JSON file. Received: {error}") from None
    return recipes.from_dict(values)


def take_over(recipe: Recipe) -> None:
    """Put a recipe from a file or a run into the form."""
    name = recipes.slug(recipe.name) + LOADED
    st.session_state.setdefault("loaded-recipes", {})[name] = recipe
    st.session_state["recipe"] = name
