"""Train a classifier and watch it learn."""

import importlib.util

import pandas as pd
import streamlit as st

from pages.parts.datasets import require_dataset, switcher
from pages.parts.frame import escape, header, require_frame
from pages.parts.train_compare import compare, show_recipe
from pages.parts.train_estimate import show_estimate, show_films
from pages.parts.train_queue import follow_queue, place_in_line, standing
from pages.parts.train_recipe import choose_recipe, edit_recipe
from pages.parts.train_watch import watch
from pneumo import settings
from pneumo.datasets import sources
from pneumo.datasets.sources import Dataset
from pneumo.training import launcher, runs
from pneumo.training.recipe import InvalidRecipe, Recipe
from pneumo.training.runs import Run, Status
from pneumo.training.tracking import Tracking

require_frame()

MOST_OVERLAID = 4
SWAP = """<style>
[data-testid="stVerticalBlock"]:has(> [data-stale="true"] .js-plotly-plot) { position: relative; }
:is([class*="st-key-curve-"], [class*="st-key-steps-"])[data-stale="false"]:not(:has(.trace))
  + [data-stale="true"] {
  display: block !important; opacity: 1 !important; position: absolute !important; inset: 0;
  transition: none !important;
}
</style>"""
"""A chart with other curves is another one to Streamlit. Until the browser has drawn it, the one
before stays in sight: without that, all of them would flicker every second."""
RUN_FIRST = """<style>
@media (max-width: 640px) { [data-testid="stColumn"]:has(.st-key-new-training) { order: 2; } }
</style>"""
"""On a phone, how a training goes comes before the form for another one."""

TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
"""An extra: offered where it is installed."""

here = settings.load()


# A new training -------------------------------------------------------------------------


@st.fragment
def new_training(dataset: Dataset, catalog: pd.DataFrame, *, busy: bool) -> None:
    """The form: what to train on, and how."""
    st.subheader("New training", anchor=False)
    recipe = edit_recipe(choose_recipe(here), catalog, here)
    films = None
    if recipe is not None:
        films = show_films(catalog, recipe)
    if recipe is not None and films is not None:
        show_estimate(films, dataset.root, recipe, here)
    tensorboard = TENSORBOARD and st.toggle("Event files for TensorBoard", key="tensorboard")
    if (
        st.button(
            "Add to the queue" if busy else "Start training",
            icon=":material/playlist_add:" if busy else ":material/play_arrow:",
            type="primary",
            width="stretch",
            disabled=recipe is None,
            key="start",
        )
        and recipe is not None
    ):
        begin(recipe, dataset, tensorboard=tensorboard)


def begin(recipe: Recipe, dataset: Dataset, *, tensorboard: bool = False) -> None:
    """Queue a training and show it, unless another one is under way."""
    try:
        # Read anew: the films on disk may have changed since the page was opened.
        catalog = sources.read_catalog(dataset, here)
        run = launcher.start(
            here,
            recipe=recipe,
            dataset=dataset,
            catalog=catalog,
            tracking=Tracking.requested(tensorboard=tensorboard),
        )
    except (sources.DatasetUnavailable, ValueError, OSError) as problem:
        st.error(escape(str(problem)), icon=":material/error:")
        return
    if runs.active_run(here) is None:
        st.query_params["run"] = run.name
        st.rerun()
    # The queue is drawn anew by itself, and a toast would not outlive a rerun.
    st.toast(
        f"**{escape(run.name)}** is queued. {place_in_line(run, here)}",
        icon=":material/schedule:",
        duration="long",
    )


# Runs -----------------------------------------------------------------------------------


def pick_run(known: dict[str, Run], statuses: dict[str, Status]) -> Run:
    """The run that the address or the user names; else the one under way, the one that was shown
    before, or the newest."""
    under_way = [name for name in known if statuses[name] in runs.ACTIVE]
    # The browser may yet name a run by the label that it had before, even one that is deleted.
    before = st.session_state.get("picked", "").partition(" · ")[0]
    wanted = [st.query_params.get("run"), *under_way, before, *known]
    shown = next(name for name in wanted if name in known)
    st.session_state["picked"] = shown

    def remember() -> None:
        picked = st.session_state["picked"]
        if picked in known and picked != shown:
            st.query_params["run"] = picked

    name = st.selectbox(
        "Run",
        list(known),
        key="picked",
        on_change=remember,
        format_func=lambda name: f"{name} · {statuses.get(name, 'deleted')}",
        label_visibility="collapsed",
        icon=":material/history:",
        width=360,
    )
    return known[name]


def pick_overlaid(known: dict[str, Run], run: Run) -> list[Run]:
    """Other runs whose curves are laid over those of this one."""
    others = [name for name in known if name != run.name]
    remembered = st.session_state.get("overlaid", [])
    st.session_state["overlaid"] = [name for name in remembered if name in others]
    names = st.multiselect(
        "Overlay",
        others,
        key="overlaid",
        max_selections=MOST_OVERLAID,
        placeholder="Overlay other runs",
        label_visibility="collapsed",
        width=360,
    )
    return [known[name] for name in names]


def offer_shipped_weights(run: Run, dataset: Dataset) -> None:
    """The way on for those whose machine cannot download the ImageNet weights."""
    try:
        recipe = run.recipe
    except InvalidRecipe:
        return
    if run.state.failure != "starting_weights" or recipe.start == "shipped":
        return
    same_data = run.data.name == dataset.name
    if st.button(
        "Start from the shipped model's backbone instead",
        disabled=not same_data,
        help=None if same_data else f"Choose the data set of this run first: {run.data.name}.",
        icon=":material/deployed_code:",
        key="start-shipped",
    ):
        begin(recipe.changed(start="shipped"), dataset)


# The page -------------------------------------------------------------------------------

with header("Train"):
    switcher()
above = st.container()
drawn = standing(here)
states = runs.states(here)
known = {run.name: run for run in states}
form, live = st.columns([3, 8], gap="large")
st.html(SWAP)
if drawn[1] or "run" in st.query_params:
    st.html(RUN_FIRST)
with form:
    fields = st.container(key="new-training")
    follow_queue(here, drawn)
with live:
    if (named := st.query_params.get("run")) is not None and named not in known:
        st.warning(
            f"There is no run named {escape(named)}. It may have been deleted.",
            icon=":material/search_off:",
        )
    if known:
        with st.container(horizontal=True):
            run = pick_run(known, {run.name: state.status for run, state in states.items()})
            overlaid = pick_overlaid(known, run)
        pending = run.name in drawn[1]
        st.fragment(watch, run_every=1.0 if pending else None)(run, overlaid, here, live=pending)
        another_way = st.container()
        finished = [it for it, state in states.items() if state.status == "finished"]
        if run in finished:
            compare(run, [other for other in finished if other != run])
        show_recipe(run)
    else:
        st.info(
            "Nothing has been trained here yet. Start a training: its curves grow here while it "
            "runs, in a process of its own that survives this page and this server.",
            icon=":material/show_chart:",
        )
# Last: where there is no data set the page ends here, but what trains can be seen and stopped.
with above:
    dataset, catalog = require_dataset()
with fields:
    new_training(dataset, catalog, busy=bool(drawn[1]))
if known:
    with another_way:
        offer_shipped_weights(run, dataset)
