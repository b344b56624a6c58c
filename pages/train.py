"""Train a classifier and watch it learn."""

import time

import pandas as pd
import streamlit as st

from pages.parts.datasets import require_dataset, switcher
from pages.parts.frame import escape, header, require_frame
from pages.parts.models import read_bundle
from pneumo import figures, settings
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import sources
from pneumo.inference import bundle
from pneumo.training import launcher, recipe, runs
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run, RunState

require_frame()

RECIPES = {
    "quick": "The backbone stays as ImageNet made it and looks at every film twice; a small head "
    "learns from what it saw, both classes weighing alike. About a minute for 5,000 films on a "
    "laptop.",
    "seed": "The tutorial that most people start from: augmented films through the frozen "
    "backbone in every epoch, a hidden layer of 128 units on the flattened features. A baseline.",
}
STARTS = {
    "imagenet": "ImageNet (downloaded once)",
    "shipped": "The shipped model",
    "auto": "ImageNet, else the shipped model",
}
STATUS = {
    "starting": (":gray-badge[:material/hourglass_top: Starting]"),
    "running": (":green-badge[:material/play_arrow: Running]"),
    "stopping": (":gray-badge[:material/stop_circle: Stopping]"),
    "stopped": (":gray-badge[:material/stop_circle: Stopped]"),
    "finished": (":green-badge[:material/check_circle: Finished]"),
    "failed": (":red-badge[:material/error: Failed]"),
    "interrupted": (":red-badge[:material/power_off: Interrupted]"),
}
CURVES = {"loss": "Loss", "accuracy": "Accuracy", "auc": "AUC"}

here = settings.load()


# A new training -------------------------------------------------------------------------


def new_training(dataset: sources.Dataset, catalog: pd.DataFrame) -> None:
    """The form: what to train on, and how."""
    st.subheader("New training", anchor=False)
    films = catalog[catalog["split"] == "train"]
    st.caption(f"{escape(dataset.name)}, {len(films):,} films in its train split")
    preset = st.segmented_control(
        "Recipe",
        list(RECIPES),
        default="quick",
        required=True,
        format_func={"quick": "Quick", "seed": "Seed, the tutorial"}.__getitem__,
        key="recipe",
        bind="query-params",
    )
    st.caption(RECIPES[preset])
    chosen = settings_of(recipe.PRESETS[preset])
    active = runs.active_run(here)
    if st.button(
        "Start training",
        icon=":material/play_arrow:",
        type="primary",
        width="stretch",
        disabled=active is not None,
        help=None if active is None else f"One training at a time: {active.name} is under way.",
        key="start",
    ):
        begin(chosen, dataset)


def settings_of(preset: Recipe) -> Recipe:
    """The preset with what the user changed in it."""
    # Keys hold the preset's name: each preset keeps its own values.
    epochs = st.number_input("Epochs", 1, 1000, preset.epochs, key=f"epochs-{preset.name}")
    with st.expander("More settings", icon=":material/tune:"):
        batch_size = st.number_input(
            "Batch size", 1, 1024, preset.batch_size, key=f"batch-{preset.name}"
        )
        learning_rate = st.number_input(
            "Learning rate",
            1e-6,
            1.0,
            preset.learning_rate,
            format="%.6f",
            step=1e-4,
            key=f"rate-{preset.name}",
        )
        start = st.selectbox(
            "Starting weights",
            recipe.STARTING_WEIGHTS,
            recipe.STARTING_WEIGHTS.index(preset.start),
            format_func=STARTS.__getitem__,
            key=f"weights-{preset.name}",
        )
        seed = st.number_input(
            "Random seed",
            0,
            2**31 - 1,
            preset.seed,
            key=f"seed-{preset.name}",
            help="Of the validation patients, the first weights, the order, the augmentation.",
        )
    return preset.changed(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, start=start, seed=seed
    )


def begin(chosen: Recipe, dataset: sources.Dataset) -> None:
    """Start a training and show it."""
    try:
        # Read anew: the films on disk may have changed since the page was opened.
        catalog = catalogs.build(dataset.root, cache=here.cache)
        run = launcher.start(here, recipe=chosen, dataset=dataset, catalog=catalog)
    except (launcher.TrainingUnderWay, sources.DatasetUnavailable, ValueError, OSError) as problem:
        st.error(str(problem))
        return
    st.query_params["run"] = run.name
    st.rerun()


# A run ----------------------------------------------------------------------------------


def pick_run() -> Run | None:
    """The run that the address or the user names; the newest otherwise."""
    known = {run.name: run for run in runs.all_runs(here)}
    if not known:
        return None
    asked = st.query_params.get("run")
    names = list(known)

    def remember() -> None:
        st.query_params["run"] = st.session_state["picked"]

    st.session_state["picked"] = asked if asked in known else names[0]
    name = st.selectbox(
        "Run",
        names,
        key="picked",
        on_change=remember,
        label_visibility="collapsed",
        icon=":material/history:",
        width=330,
    )
    return known[name]


def watch(run: Run) -> None:
    """A run as it is this second; redraws itself until the run has ended."""
    state = run.state
    if state.status not in runs.ACTIVE and run.name in st.session_state.get("watched", ()):
        # The last redraw of a live run: from here on nothing moves, and the form opens again.
        st.session_state["watched"].discard(run.name)
        st.rerun()
    if state.status in runs.ACTIVE:
        st.session_state.setdefault("watched", set()).add(run.name)
    trained = run.recipe
    headline(run, trained, state)
    epochs, steps = run.epochs(), run.steps()
    if epochs:
        figures_of_last(epochs, trained)
    if epochs or steps:
        for column, (metric, title) in zip(
            st.columns(3, gap="medium"), CURVES.items(), strict=True
        ):
            column.plotly_chart(
                figures.learning_curve(
                    epochs, steps, metric=metric, title=title, last_epoch=trained.epochs
                ),
                key=f"curve-{metric}",
                config={"displayModeBar": False},
                alt=f"{title} by epoch on train and validation",
            )
    if (run.bundle / bundle.CARD).is_file():
        show_result(run)
    with st.expander(
        "Log",
        icon=":material/notes:",
        expanded=state.status == "failed" and not state.failure,
        key="log",
    ):
        st.code(run.log_tail() or "Nothing yet.", language=None, wrap_lines=True)


def headline(run: Run, trained: Recipe, state: RunState) -> None:
    """What the run is, how far it is, and what can be done about it."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(f"{STATUS[state.status]} **{escape(trained.name)}** on {escape(run.data.name)}")
        if state.status in runs.ACTIVE and st.button(
            "Stop",
            icon=":material/stop_circle:",
            key="stop",
            disabled=run.stop_requested,
            help="Ends after the step at hand and keeps the model as it is.",
        ):
            run.request_stop()
            st.rerun(scope="fragment")
    if state.status in runs.ACTIVE:
        share = min(state.done / state.total, 1.0) if state.total else 0.0
        st.progress(share, text=progress_text(state))
    elif state.status == "failed":
        st.error(state.message, icon=":material/error:")
        if state.failure == "starting_weights" and trained.start != "shipped":
            offer_shipped_weights(run, trained)
    else:
        st.caption(state.message)


def progress_text(state: RunState) -> str:
    """What a run is doing, how far it is and for how long yet."""
    parts = [state.activity or "Starting TensorFlow"]
    if state.total:
        parts.append(f"{state.done:,} of {state.total:,}")
    if state.seconds_left is not None and state.done < state.total:
        minutes, seconds = divmod(round(state.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    if time.time() - state.heartbeat > 30:
        parts.append(f"no news for {time.time() - state.heartbeat:.0f} s")
    return ", ".join(parts)


def offer_shipped_weights(run: Run, trained: Recipe) -> None:
    """The way on for those whose machine cannot download the ImageNet weights."""
    same_data = run.data.name == dataset.name
    if st.button(
        "Start from the shipped model's backbone instead",
        disabled=not same_data,
        help=None if same_data else f"Choose the data set of this run first: {run.data.name}.",
        icon=":material/deployed_code:",
        key="start-shipped",
    ):
        begin(trained.changed(start="shipped"), dataset)


def figures_of_last(epochs: list[dict[str, float]], trained: Recipe) -> None:
    """Validation figures of the last epoch."""
    last = epochs[-1]
    with st.grid(5, min_column_width=120, gap="small", key="last-epoch"):
        st.metric("Epoch", f"{last['epoch']:.0f} of {trained.epochs}")
        for metric, title in (
            *CURVES.items(),
            ("sensitivity", "Sensitivity"),
            ("specificity", "Specificity"),
        ):
            if metric != "loss":
                st.metric(
                    title,
                    f"{last[f'validation_{metric}']:.3f}",
                    help="On validation patients, before calibration.",
                )


def show_result(run: Run) -> None:
    """The finished model: its figures on validation, and the way to use it."""
    try:
        card = read_bundle(run.bundle).card
    except bundle.BundleError as damaged:
        st.warning(str(damaged), icon=":material/warning:")
        return
    measured = card.measurement("validation")
    assert measured is not None  # every training measures its validation patients
    metrics, point = measured.metrics, card.operating_points["balanced"]
    with st.container(border=True, key="result"):
        st.markdown(
            f"**Model ready.** On {metrics.images:,} films of validation patients, at its "
            f"threshold of {point.threshold:.3f}: AUC {metrics.roc_auc:.3f}, accuracy "
            f"{metrics.accuracy:.3f}, sensitivity {metrics.sensitivity:.3f}, specificity "
            f"{metrics.specificity:.3f}."
        )
        with st.container(horizontal=True):
            if st.button(
                "Predict with it", icon=":material/radiology:", type="primary", key="use-model"
            ):
                st.switch_page("pages/predict.py", query_params={"model": run.name})
            if st.button("Read its card", icon=":material/description:", key="read-card"):
                st.switch_page("pages/models.py", query_params={"model": run.name})


# The page -------------------------------------------------------------------------------

with header("Train"):
    switcher()
dataset, catalog = require_dataset()
form, live = st.columns([3, 8], gap="large")
with form:
    new_training(dataset, catalog)
with live:
    run = pick_run()
    if run is None:
        st.info(
            "Nothing has been trained here yet. Start a training: its curves grow here while it "
            "runs, in a process of its own that survives this page and this server.",
            icon=":material/show_chart:",
        )
    else:
        active = run.state.status in runs.ACTIVE
        st.fragment(watch, run_every=1.0 if active else None)(run)
