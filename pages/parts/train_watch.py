"""A training as it is this second."""

import html
import itertools
import time

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.frame import duration, escape
from pages.parts.models import read_bundle
from pages.parts.train_queue import attempt, place_in_line
from pneumo import figures
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import queue, runs
from pneumo.training.recipe import InvalidRecipe, Recipe
from pneumo.training.runs import Run, RunState

BADGES = {
    "queued": ":gray-badge[:material/schedule: Queued]",
    "starting": ":gray-badge[:material/hourglass_top: Starting]",
    "running": ":green-badge[:material/play_arrow: Running]",
    "stopping": ":gray-badge[:material/stop_circle: Stopping]",
    "stopped": ":gray-badge[:material/stop_circle: Stopped]",
    "finished": ":green-badge[:material/check_circle: Finished]",
    "failed": ":red-badge[:material/error: Failed]",
    "interrupted": ":red-badge[:material/power_off: Interrupted]",
    "cancelled": ":gray-badge[:material/event_busy: Cancelled]",
}
METRICS = {
    "auc": "AUC",
    "loss": "Loss",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
SILENCE = 30.0
"""Seconds without a word from the training after which it is said how many."""


def watch(run: Run, overlaid: list[Run], here: Settings, *, live: bool) -> None:
    """A run as it is this second.

    Args:
        run: which.
        overlaid: earlier runs whose curves are laid over its own.
        here: whose runs they are.
        live: whether the page redraws this every second; it is drawn anew when that changes.
    """
    try:
        state, data, epochs, steps = run.state, run.data, run.epochs(), run.steps()
    except FileNotFoundError:
        st.rerun()  # somebody has deleted it
    if live != (state.status in runs.PENDING):
        st.rerun()
    try:
        recipe = run.recipe
    except InvalidRecipe as invalid:
        st.error(f"The recipe of this run cannot be read. {invalid}", icon=":material/error:")
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(
            f"{BADGES[state.status]} **{escape(recipe.name)}** on {escape(data.name)}",
            width="content",
        )
        with st.container(horizontal=True, width="content", key="actions"):
            _actions(run, state, here)
    _progress(run, state, here)
    if state.status in runs.CONCLUDED and (run.bundle / bundle.CARD).is_file():
        _result(run)
    elif epochs:
        _last_epoch(epochs, recipe)
    if epochs or steps:
        _curves(state, recipe, epochs, steps, overlaid)
    _left_out(run)
    with st.expander(
        "Log",
        icon=":material/notes:",
        expanded=state.status in ("failed", "interrupted") and not state.failure,
        key="log",
    ):
        st.code(run.log_tail() or "Nothing yet.", language=None, wrap_lines=True)


def _actions(run: Run, state: RunState, here: Settings) -> None:
    """What can be done about the run.

    The keys name it: no click is for another run that has taken its place on the page.
    """
    if state.status == "queued":
        st.button(
            "Cancel",
            icon=":material/close:",
            key=f"cancel-{run.name}",
            help="Takes it out of the queue; it can be resumed.",
            on_click=attempt,
            args=(queue.stop, run, here),
        )
    elif state.status in runs.ACTIVE:
        _stop(run, here)
    if state.status == "stopping":
        with st.popover("End now", icon=":material/cancel:", key=f"end-{run.name}"):
            st.markdown(
                "For a training that does not stop by itself. It writes no model, but keeps its "
                "last complete epoch: Resume goes on from there."
            )
            st.button(
                "End it at once",
                icon=":material/cancel:",
                type="primary",
                key=f"end-at-once-{run.name}",
                on_click=attempt,
                args=(queue.stop, run, here),
                kwargs={"insist": True},
            )
    if state.status in runs.RESUMABLE:
        st.button(
            "Resume",
            icon=":material/resume:",
            type="primary" if state.status == "interrupted" else "secondary",
            key=f"resume-{run.name}",
            help="Goes on after its last complete epoch.",
            on_click=attempt,
            args=(queue.append, run, here),
        )
    if state.status not in runs.PENDING:
        with st.popover("Delete", icon=":material/delete:", key=f"delete-{run.name}"):
            st.markdown(f"Delete **{escape(run.name)}**, its curves and its model for good?")
            st.button(
                "Delete for good",
                icon=":material/delete_forever:",
                key=f"delete-for-good-{run.name}",
                on_click=attempt,
                args=(_delete, run),
            )


@st.fragment
def _stop(run: Run, here: Settings) -> None:
    """Says that it was pressed before the curves are drawn anew."""
    asked = run.stop_requested
    st.button(
        "Stopping…" if asked else "Stop",
        icon=":material/stop_circle:",
        key=f"stop-{run.name}",
        help="Ends after the step at hand and keeps the weights of its best epoch so far.",
        disabled=asked,
        on_click=attempt,
        args=(queue.stop, run, here),
    )


def _delete(run: Run) -> None:
    runs.delete(run)
    st.query_params.pop("run", None)


def _progress(run: Run, state: RunState, here: Settings) -> None:
    """How far the run is, or how it ended."""
    if state.status == "queued":
        st.info(f"Waits for its turn. {place_in_line(run, here)}", icon=":material/schedule:")
    elif state.status in runs.ACTIVE:
        share = min(state.done / state.total, 1.0) if state.total else 0.0
        st.progress(share, text=progress_text(state))
    elif state.status == "failed":
        st.error(escape(state.message), icon=":material/error:")
    elif state.status == "interrupted":
        st.warning(
            f"{escape(state.message)} Resume goes on after its last complete epoch.",
            icon=":material/power_off:",
        )
    else:
        st.caption(escape(state.message))


def progress_text(state: RunState) -> str:
    """What a run is doing, how far it is, for how long yet, and what it takes."""
    parts = [state.activity or "Starting TensorFlow"]
    if state.total:
        parts.append(f"{state.done:,} of {state.total:,}")
    if state.seconds_left is not None and state.done < state.total:
        # The end of this phase is not the end of the training.
        of_phase = " in this phase" if "phase" in state.activity else ""
        parts.append(f"**{duration(state.seconds_left)}** left{of_phase}")
    if state.images_per_second:
        parts.append(f"{state.images_per_second:,.0f} images a second")
    if state.memory:
        parts.append(f"{state.memory / 2**30:.1f} GiB of memory")
    silent = time.time() - state.heartbeat
    if silent > SILENCE:
        parts.append(f"no news for {duration(silent)}")
    return " · ".join(parts)


def _last_epoch(epochs: list[dict[str, float]], recipe: Recipe) -> None:
    """Validation figures of the last epoch."""
    last = epochs[-1]
    with st.grid(6, min_column_width=96, gap="small", key="last-epoch"):
        st.metric(
            "Epoch",
            f"{last['epoch']:.0f} of {recipe.epochs}",
            help="The figures beside it: on validation patients after this epoch, before "
            "calibration.",
        )
        for metric, title in METRICS.items():
            st.metric(title, f"{last[f'validation_{metric}']:.3f}")


def _curves(
    state: RunState,
    recipe: Recipe,
    epochs: list[dict[str, float]],
    steps: dict[str, np.ndarray],
    overlaid: list[Run],
) -> None:
    """The most important first: by epoch, by step, then the rest by epoch."""
    live = state.status in runs.PENDING
    others = {other.name: other.epochs() for other in overlaid}

    def by_epoch(metric: str, *, legend: bool = False) -> None:
        title = METRICS[metric]
        st.plotly_chart(
            figures.learning_curve(
                epochs,
                metric=metric,
                title=title,
                last_epoch=recipe.epochs if live else len(epochs),
                best_epoch=runs.best_epoch(epochs, recipe),
                overlaid=others,
                legend=legend,
            ),
            key=f"curve-{metric}",
            config={"displayModeBar": False},
            alt=f"{title} by epoch on train and validation",
        )

    def by_step(column: str, title: str, *, smoothed: bool = False) -> None:
        st.plotly_chart(
            figures.step_curve(steps, epochs, column=column, title=title, smoothed=smoothed),
            key=f"steps-{column}",
            config={"displayModeBar": False},
            alt=f"{title} by step",
        )

    if overlaid:
        st.html(_legend([other.name for other in overlaid]))
    left, right = st.columns(2, gap="medium")
    with left:
        by_epoch("auc", legend=True)
    with right:
        by_epoch("loss", legend=True)
    left, right = st.columns(2, gap="medium")
    with left:
        by_step("loss", "Loss by step", smoothed=True)
    with right:
        by_step("learning_rate", "Learning rate")
    for column, metric in zip(
        st.columns(3, gap="medium"), ("accuracy", "sensitivity", "specificity"), strict=True
    ):
        with column:
            by_epoch(metric)


def _legend(names: list[str]) -> str:
    """Which overlaid line is which run's, once for all charts, in HTML."""
    entries = []
    for name, (colour, dashes) in zip(names, figures.OVERLAID, strict=False):
        ends = list(itertools.accumulate(dashes, initial=0))
        stripes = ", ".join(
            f"{colour if place % 2 == 0 else 'transparent'} {begin}px {end}px"
            for place, (begin, end) in enumerate(itertools.pairwise(ends))
        )
        entries.append(
            '<span style="display: inline-flex; align-items: center; gap: 0.5rem">'
            '<span style="width: 40px; height: 2px; '
            f'background: repeating-linear-gradient(90deg, {stripes})"></span>'
            f"{html.escape(name)}</span>"
        )
    return (
        '<div style="display: flex; flex-wrap: wrap; gap: 0 1.5rem; font-size: 0.875rem">'
        f"<span>Validation of</span>{''.join(entries)}</div>"
    )


def _left_out(run: Run) -> None:
    """The films that could not be read."""
    left_out = run.left_out()
    if left_out:
        with st.expander(
            f"Left out because they cannot be read: {len(left_out):,}",
            icon=":material/warning:",
            key="left-out",
        ):
            st.dataframe(
                pd.DataFrame([(it.path, it.reason) for it in left_out], columns=["File", "Reason"]),
                hide_index=True,
            )


def _result(run: Run) -> None:
    """The finished model: its figures on validation, and the way to use it."""
    try:
        card = read_bundle(run.bundle).card
    except bundle.BundleError as damaged:
        st.warning(escape(str(damaged)), icon=":material/warning:")
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
        if card.caveat:
            st.caption(escape(card.caveat))
        with st.container(horizontal=True):
            if st.button(
                "Predict with it", icon=":material/radiology:", type="primary", key="use-model"
            ):
                st.switch_page("pages/predict.py", query_params={"model": run.name})
            if st.button("Read its card", icon=":material/description:", key="read-card"):
                st.switch_page("pages/models.py", query_params={"model": run.name})
