"""What a model says of many films: a worklist that fills as the answers come."""

import base64
import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import streamlit as st

from pages.parts.frame import class_name, duration, escape, measured
from pages.parts.predict_files import Dropped
from pages.parts.predict_report import offer_batch_report
from pneumo.inference import records
from pneumo.inference.batch import Answer, Batch, Question, Reading
from pneumo.inference.bundle import Bundle
from pneumo.inference.predictor import Predictor, stated
from pneumo.inference.records import Labelled
from pneumo.settings import ImageLimits

ALL, DISAGREES = "All", "Disagrees with label"
SIGNS = {
    records.PNEUMONIA: ":material/change_history: ",
    records.UNSURE: ":material/help: ",
    records.NORMAL: ":material/circle: ",
    records.OUTSIDE: ":material/block: ",
    records.NOT_READ: ":material/broken_image: ",
    DISAGREES: ":material/compare_arrows: ",
}
GRACE = 0.4
"""Seconds that a page waits for a new batch: a handful of films is there at once."""
ROW = 48  # pixels
ECHO = 2.5
"""Seconds in which a table may yet report a film that it was told to select, not a click."""


# The batch ------------------------------------------------------------------------------


def follow(questions: Sequence[Question], predictor: Predictor, limits: ImageLimits) -> Batch:
    """The session's batch; a new one where the files or the model have changed.

    It lives in the session's state alone, and goes with it.
    """
    batch: Batch | None = st.session_state.get("batch")
    if batch is None or batch.predictor is not predictor or batch.questions != tuple(questions):
        same_model = batch is not None and batch.predictor.bundle.digest == predictor.bundle.digest
        answered = batch.answers if batch is not None and same_model else []
        forget()
        if st.session_state.get("chosen") not in {it.key for it in questions}:
            st.session_state.pop("chosen", None)
        _start(questions, predictor, limits, answered)
        batch = st.session_state["batch"]
        batch.wait(GRACE)
    return batch


def forget() -> None:
    """Stop the session's batch, if there is one, and let go of its films."""
    batch: Batch | None = st.session_state.pop("batch", None)
    if batch is not None:
        batch.cancel()


def _start(
    questions: Sequence[Question], predictor: Predictor, limits: ImageLimits, known: list[Answer]
) -> None:
    st.session_state["batch"] = Batch(
        predictor,
        questions,
        limits=limits,
        pool=_pool(predictor.workers),
        known={it.question.key: it for it in known},
    )


@st.cache_resource(show_spinner=False)
def _pool(workers: int) -> ThreadPoolExecutor:
    """The threads that answer for all sessions."""
    return ThreadPoolExecutor(workers, thread_name_prefix="predict")


# The worklist ---------------------------------------------------------------------------


def show_many(
    batch: Batch, reading: Reading, dropped: Dropped, limits: ImageLimits
) -> Answer | None:
    """Progress, table and the way through it.

    Returns: the answer to show, as the model gave it; None as yet.
    """
    live = not batch.progress.ended
    st.fragment(_follow_progress, run_every=0.5 if live else None)(batch, limits, live=live)
    chosen = st.session_state.get("chosen")
    look_through = st.fragment(_look_through, run_every=1.5) if live else _look_through
    look_through(batch, reading, dropped, live=live, drawn=chosen)
    chosen = st.session_state.get("chosen")
    return next((it for it in batch.answers if it.question.key == chosen), None)


def _follow_progress(batch: Batch, limits: ImageLimits, *, live: bool) -> None:
    """How far the batch is, and the button that ends it.

    Args:
        live: whether it was under way when the page was drawn.
    """
    progress = batch.progress
    if live and progress.ended:
        st.rerun()
    if progress.done == progress.total:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        text = f"{progress.done:,} of {progress.total:,} films"
        if progress.ended:
            st.markdown(f"Cancelled after {text}.", width="stretch")
            st.button(
                "Go on",
                icon=":material/resume:",
                key="go-on",
                on_click=_start,
                args=(batch.questions, batch.predictor, limits, batch.answers),
            )
            return
        if progress.seconds_left is not None:
            text += f", about {duration(progress.seconds_left)} left"
        st.progress(progress.done / progress.total, text=text, width="stretch")
        st.button("Cancel", icon=":material/stop_circle:", key="cancel", on_click=batch.cancel)


def _look_through(
    batch: Batch, reading: Reading, dropped: Dropped, *, live: bool, drawn: str | None
) -> None:
    """Filter, downloads and table of the answers so far.

    While they come the table only grows: a row that moves could be clicked for another.

    Args:
        live: whether this is redrawn alone, and again and again.
        drawn: the key of the film that the page shows below.
    """
    answers = [reading.of(it) for it in (batch.arrivals if live else batch.answers)]
    labelled = [Labelled(answer=it, label=dropped.labels.get(it.question.key)) for it in answers]
    if not live:
        labelled.sort(key=lambda it: records.urgency(it.answer))
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        kind = _choose_kind(labelled, with_labels=bool(dropped.labels))
        with st.container(horizontal=True, gap="xsmall", width=300):
            _offer_downloads(labelled, reading, batch.predictor.bundle)
            if not live:
                card = batch.predictor.bundle.card
                offer_batch_report(answers, card=card, reading=reading)
    if dropped.labels and not live:
        _show_agreement(labelled, dropped)
    listed = [it for it in labelled if kind == ALL or kind in _kinds(it)]
    order = [it.answer.question.key for it in listed]
    if not live and order and st.session_state.get("chosen") not in order:
        st.session_state["chosen"] = order[0]
    if listed:
        _show_table(listed, with_labels=bool(dropped.labels), live=live)
        later = " As answers come; sorted by urgency when all are there." if live else ""
        st.caption(f":material/stethoscope: **Decision support, not a diagnosis.**{later}")
    else:
        st.caption("None as yet." if live else "None.")
    if "chosen" in st.session_state:
        _walk(order, st.session_state["chosen"])
    if live and st.session_state.get("chosen") != drawn:
        st.rerun()


def _kinds(labelled: Labelled) -> list[str]:
    """What an answer can be found under, its verdict first."""
    kind = records.state(labelled.answer)
    return [kind, DISAGREES] if labelled.agrees is False else [kind]


def _choose_kind(labelled: Sequence[Labelled], *, with_labels: bool) -> str:
    """Which of the films to list."""
    counts = Counter(kind for it in labelled for kind in _kinds(it))
    counts[ALL] = len(labelled)
    kinds = [ALL, *SIGNS] if with_labels else [ALL, *(it for it in SIGNS if it != DISAGREES)]
    return st.pills(
        "Films to list",
        kinds,
        default=ALL,
        required=True,
        format_func=lambda it: f"{SIGNS.get(it, '')}{it} {counts[it]:,}",
        label_visibility="collapsed",
        wrap=True,
        key="kind",
    )


def _offer_downloads(labelled: Sequence[Labelled], reading: Reading, model: Bundle) -> None:
    """The answers to take away, written when they are asked for."""
    st.download_button(
        "CSV",
        partial(records.table, labelled, reading, model),
        "pneumo-predictions.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="csv",
    )
    st.download_button(
        "JSON",
        lambda: json.dumps(records.document(labelled, reading, model), indent=2),
        "pneumo-predictions.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
        key="json",
    )


def _show_agreement(labelled: Sequence[Labelled], dropped: Dropped) -> None:
    """How far the verdicts agree with the labels that the user brought."""
    found = records.agreement_of(labelled)
    if found is None:
        st.caption("No film with a label could be read.")
        return
    figures = (
        ("accuracy", found.accuracy, found.accuracy_interval),
        ("sensitivity", found.sensitivity, found.sensitivity_interval),
        ("specificity", found.specificity, found.specificity_interval),
    )
    known = [measured(name, share, it) for name, share, it in figures if share is not None and it]
    pneumonia = found.true_positives + found.false_negatives
    st.caption(
        f"**Agreement with the labels** of {found.films:,} of {len(labelled):,} films: "
        f"{', '.join(known)}. Missed {found.false_negatives:,} of {pneumonia:,} "
        f"with pneumonia, false alarms on {found.false_positives:,} of "
        f"{found.films - pneumonia:,} without. That is this batch at this operating point; another "
        "batch gives other figures. Films that are out of scope, or that the model is unsure of, "
        "count by the class that it leans to. " + escape(" ".join(dropped.remarks))
    )


def _show_table(listed: Sequence[Labelled], *, with_labels: bool, live: bool) -> None:
    """One row a film; the film that is shown is the one selected, wherever it has moved to.

    Once all answers have come it is another table: a click on the one before keeps its meaning.
    """
    chosen = st.session_state.get("chosen")
    order = [it.answer.question.key for it in listed]
    rows = [row for row, key in enumerate(order) if key == chosen]
    table = "table-live" if live else "table"
    if table in st.session_state:
        selection = st.session_state[table]["selection"]
        # A cell of the row keeps the focus, so that the arrow keys go on from there.
        cells = [it for it in selection["cells"] if it[0] in rows]
        if list(selection["rows"]) != rows or len(cells) != len(selection["cells"]):
            st.session_state[table] = {"selection": {"rows": rows, "columns": [], "cells": cells}}
    st.dataframe(
        pd.DataFrame([_row(it) for it in listed]),
        hide_index=True,
        key=table,
        on_select=partial(_choose, table, order),
        selection_mode=["single-row", "single-cell"],
        selection_default={"selection": {"rows": rows}},
        row_height=ROW,
        height=min(40 + ROW * len(listed), 304),
        placeholder="",
        alt="Films in the order of the answers" if live else "Films by urgency",
        column_order=[
            *("Film", "Verdict", "Probability"),
            *(("Label",) if with_labels else ()),
            *("File", "Remarks"),
        ],
        column_config={
            "Film": st.column_config.ImageColumn(width=64),
            "File": st.column_config.TextColumn(width="medium"),
            "Verdict": st.column_config.TextColumn(width=110),
            "Probability": st.column_config.ProgressColumn(
                "Probability of pneumonia", min_value=0, max_value=1, format="percent", width=180
            ),
            "Label": st.column_config.TextColumn(width=100),
            "Remarks": st.column_config.TextColumn(width="large"),
        },
    )


def _row(labelled: Labelled) -> dict[str, object]:
    answer, prediction = labelled.answer, labelled.answer.prediction
    thumbnail = base64.b64encode(answer.thumbnail).decode()
    return {
        "Film": f"data:image/jpeg;base64,{thumbnail}" if thumbnail else None,
        "File": answer.question.name,
        "Verdict": _kinds(labelled)[0],
        "Probability": (
            None if prediction is None or prediction.scope else stated(prediction.probability)
        ),
        "Label": "" if labelled.label is None else class_name(labelled.label),
        "Remarks": " ".join(records.remarks(answer)),
    }


def _choose(table: str, order: Sequence[str]) -> None:
    """A row or a cell was clicked, or a cell reached by an arrow key.

    Of row and cell one is still that of the film before. Where neither is another, the click has
    taken a selection away, and the film stays. A cell is always somebody's choice; a row may be
    one that the table was told to select, and reports when a key has led on already.

    Args:
        order: the films in the rows of the table, by key.
    """
    selection = st.session_state[table]["selection"]
    chosen, walked = st.session_state.get("chosen"), st.session_state.get("walked-from", {})
    told = {film for film, moment in walked.items() if time.monotonic() - moment < ECHO}
    by_cell = {order[row] for row, _ in selection["cells"]} - {chosen}
    by_row = {order[row] for row in selection["rows"]} - {chosen} - told
    if by_cell or by_row:
        st.session_state["chosen"] = (by_cell or by_row).pop()


def _walk(order: Sequence[str], chosen: str) -> None:
    """To the films before and behind the one that is shown, in the order of the table."""
    place = order.index(chosen) if chosen in order else None

    def go(step: int) -> None:
        # From where the session is: a quicker press of the same key may have led on already.
        here = st.session_state.get("chosen", chosen)
        if here in order and 0 <= order.index(here) + step < len(order):
            st.session_state.setdefault("walked-from", {})[here] = time.monotonic()
            st.session_state["chosen"] = order[order.index(here) + step]

    with st.container(horizontal=True, vertical_alignment="center", key="walk"):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            shortcut="P",
            disabled=place in (None, 0),
            key="previous",
            on_click=go,
            args=(-1,),
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            shortcut="N",
            disabled=place in (None, len(order) - 1),
            key="next",
            on_click=go,
            args=(1,),
        )
        if place is not None:
            st.caption(f"{place + 1:,} of {len(order):,}", width="content")
