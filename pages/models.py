"""Compare trained models, measure them on a split, read their cards."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts import work
from pages.parts.datasets import require_dataset, switcher
from pages.parts.frame import escape, header, require_frame
from pages.parts.models import load_predictor, model_folders, point_name, read_bundle
from pages.parts.models_result import show_result
from pneumo import settings
from pneumo.audit import record
from pneumo.datasets import sources
from pneumo.datasets.film_store import Cancelled
from pneumo.evaluation.interval import Interval
from pneumo.evaluation.operating_point import OperatingPoint
from pneumo.inference import bundle, card
from pneumo.inference.bundle import Bundle
from pneumo.inference.scoring import Evaluation, evaluate, require_unseen, rows_of_split

require_frame()

SPLITS = {"validation": "Validation", "test": "Test", "val": "Val (the data set's own)"}
FIGURES = ("AUC", "Accuracy", "Sensitivity", "Specificity")
THREE_DECIMALS = st.column_config.NumberColumn(format="%.3f")

here = settings.load()


# Models ---------------------------------------------------------------------------------


def read_models(folders: dict[str, Path]) -> dict[str, Bundle]:
    """Every model whose files are sound; a word about each that is not."""
    sound = {}
    for name, folder in folders.items():
        try:
            sound[name] = read_bundle(folder)
        except bundle.BundleError as damaged:
            st.warning(str(damaged), icon=":material/warning:")
    return sound


def pick_model(models: dict[str, Bundle]) -> Bundle:
    """The table of all models. Returns the one that the address or the user picks, or the one that
    was shown before."""
    rows = []
    for name, model in models.items():
        made, measured = model.card, model.card.measurement("validation")
        metrics = measured.metrics if measured else None
        rows.append(
            {
                "Model": name,
                "AUC": metrics and metrics.roc_auc,
                "Accuracy": metrics and metrics.accuracy,
                "Sensitivity": metrics and metrics.sensitivity,
                "Specificity": metrics and metrics.specificity,
                "Trained on": made.data["name"],
                "Recipe": made.recipe["name"],
                "Epochs": made.epochs,
                "Made": pd.Timestamp(made.created),
            }
        )
    names = list(models)

    def pick() -> None:
        rows = st.session_state["models"]["selection"]["rows"]
        st.query_params["model"] = names[rows[0]] if rows else names[0]

    # By name: rows move when a training ends or a run is deleted.
    wanted = (st.query_params.get("model"), st.session_state.get("picked-model"), *names)
    picked = next(name for name in wanted if name in names)
    st.session_state["picked-model"] = picked
    is_drawn = "models" in st.session_state
    row = names.index(picked)
    if is_drawn and st.session_state["models"]["selection"]["rows"] != [row]:
        st.session_state["models"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="models",
        on_select=pick,
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [row]}},
        column_config=dict.fromkeys(FIGURES, THREE_DECIMALS)
        | {"Made": st.column_config.DatetimeColumn(format="distance")},
    )
    st.caption(
        "Figures on each model's own validation patients; compare models that were trained on "
        "the same data set."
    )
    return models[picked]


# Measuring ------------------------------------------------------------------------------


def show_measured(model: Bundle) -> None:
    """The figures that the model's card holds."""
    rows = [
        {
            "Data": ", ".join(filter(None, (entry.data, entry.note))),
            "Split": entry.split,
            "Films": entry.metrics.images,
            "AUC": entry.metrics.roc_auc,
            "Accuracy": entry.metrics.accuracy,
            "Sensitivity": entry.metrics.sensitivity,
            "Specificity": entry.metrics.specificity,
            "Brier": entry.metrics.brier_score,
            "ECE": entry.metrics.calibration_error,
        }
        for entry in model.card.measurements
    ]
    st.markdown("**On its card**")
    if model.card.caveat:
        st.warning(escape(model.card.caveat), icon=":material/school:")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="measured",
        column_config=dict.fromkeys((*FIGURES, "Brier", "ECE"), THREE_DECIMALS),
    )
    st.caption("What you measure is shown below and leaves the card as it is.")


def show_operating_points(points: dict[str, OperatingPoint]) -> None:
    """Where a verdict turns, where there is none, and what that costs."""
    rows = [
        {
            "Operating point": point_name(name),
            "Threshold": f"{100 * point.threshold:.0f} %",
            "Unsure between": " and ".join(f"{100 * end:.2g} %" for end in point.band),
            "Sensitivity": with_interval(point.sensitivity, point.sensitivity_interval),
            "Specificity": with_interval(point.specificity, point.specificity_interval),
            "Left unanswered": f"{100 * point.unanswered:.1f} %",
            "Accuracy of the answered": "–"
            if point.answered_accuracy is None
            else f"{point.answered_accuracy:.3f}",
        }
        for name, point in points.items()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="points")
    st.caption(
        "On the validation patients of the model, with 95 % intervals. Balanced: a missed "
        "pneumonia costs as much as a false alarm. High sensitivity: nine times as much. High "
        "specificity: a ninth. Between the two probabilities the model calls itself unsure, as no "
        "verdict is taken to cost a quarter of a wrong one."
    )


def with_interval(value: float, interval: Interval) -> str:
    """A figure with its 95 % interval, as text."""
    return f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def measure(model: Bundle) -> None:
    """Figures of a model on a split of the chosen data set, and its worst mistakes."""
    dataset, catalog = require_dataset()
    splits = [split for split in ("test", "val") if split in set(catalog["split"])]
    if "train" in set(catalog["split"]):
        splits.insert(0, "validation")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = st.segmented_control(
            f"Split of {escape(dataset.name)}",
            splits,
            default=splits[0],
            required=True,
            format_func=SPLITS.__getitem__,
            key="split",
            persist_state="session",
            help="Validation: a share of the patients of train. A training on this data set has "
            "not learned from them.",
        )
        name = f"measure {model.digest} {dataset.root} {split} {record.fingerprint(catalog)}"
        st.button(
            "Measure",
            type="primary",
            icon=":material/straighten:",
            key="measure",
            on_click=begin,
            args=(name, model, dataset, catalog, split),
            help="It goes on when you leave this page.",
        )
    if dataset.synthetic != model.card.data["synthetic"]:
        st.caption(
            ":material/science: Synthetic films and patients' films are different worlds: a model "
            "of the one is no good measure of, or on, the other."
        )
    if work.follow(name, doing="Predicting", unit="films", kept=False):
        return
    measured = work.last(name)
    if measured is not None and isinstance(measured.result, Evaluation):
        show_result(measured.result, dataset, here.image_limits)
        st.caption("The same from the command line:")
        st.code(model.card.evaluation_command(split).replace("DIR", f'"{dataset.root}"'))


def begin(
    name: str, model: Bundle, dataset: sources.Dataset, catalog: pd.DataFrame, split: str
) -> None:
    """Predict every film of the split, unless somebody does so already."""
    limits = here.image_limits

    def task(progress: work.Report, cancelled: Callable[[], bool]) -> Evaluation:
        def report(done: int, total: int) -> None:
            if cancelled():
                raise Cancelled
            progress(done, total)

        images = rows_of_split(catalog, split, model.card)
        require_unseen(images, dataset.root, model, limits=limits)
        predictor = load_predictor(model.folder)
        return evaluate(predictor, images, dataset.root, limits=limits, progress=report)

    work.begin(name, task)


# The page -------------------------------------------------------------------------------

with header("Models"):
    switcher()
models = read_models(model_folders())
model = pick_model(models)
st.header(escape(model.card.name), anchor=False)
st.caption(f"{model.card.architecture}, {model.litert.stat().st_size / 2**20:.1f} MiB")
measuring, deciding, reading, recipe = st.tabs(["Measure", "Operating points", "Card", "Recipe"])
with reading, st.container(width=860):
    st.markdown(card.to_markdown(model.card).partition("\n")[2])
with recipe:
    st.json(model.card.recipe)
with deciding:
    show_operating_points(model.card.operating_points)
with measuring:
    show_measured(model)
    measure(model)
