"""Compare trained models, measure them on a split, read their cards."""

from pathlib import Path

import pandas as pd
import streamlit as st
from sklearn.metrics import roc_curve

from pages.parts.datasets import require_dataset, switcher
from pages.parts.frame import class_badge, escape, header, require_frame
from pages.parts.models import load_predictor, model_folders, read_bundle
from pneumo import figures, settings
from pneumo.datasets import gallery, sources
from pneumo.evaluation.metrics import Interval
from pneumo.inference import bundle, card
from pneumo.inference.bundle import Bundle
from pneumo.inference.scoring import Evaluation, evaluate, rows_of_split

require_frame()

MISTAKES = 8
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
    """The table of all models. Returns the one that the address or the user picks."""
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
    asked = st.query_params.get("model")
    first = names.index(asked) if asked in names else 0
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="models",
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [first]}},
        column_config=dict.fromkeys(FIGURES, THREE_DECIMALS)
        | {"Made": st.column_config.DatetimeColumn(format="distance")},
    )
    st.caption(
        "Figures on each model's own validation patients; compare models that were trained on "
        "the same data set."
    )
    # A row that was selected in a longer table may be gone.
    return models[names[min(event["selection"]["rows"][0], len(names) - 1)]]


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
        }
        for entry in model.card.measurements
    ]
    st.markdown("**Measured so far**")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="measured",
        column_config=dict.fromkeys(FIGURES, THREE_DECIMALS),
    )


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
            help="Validation: a share of the patients of train. A model that was trained on this "
            "data set has not learned from them.",
        )
        wanted = st.button("Measure", type="primary", icon=":material/straighten:", key="measure")
    results: dict[tuple[str, Path, str], Evaluation] = st.session_state.setdefault("results", {})
    address = (model.digest, dataset.root, split)
    if wanted:
        try:
            results[address] = run(model, dataset, catalog, split)
        except ValueError as problem:
            st.error(str(problem))
    if dataset.synthetic != model.card.data["synthetic"]:
        st.caption(
            ":material/science: Synthetic films and patients' films are different worlds: a model "
            "of the one is no good measure of, or on, the other."
        )
    if address in results:
        show_result(results[address], dataset)
        st.caption("The same from the command line:")
        st.code(model.card.evaluation_command(split).replace("DIR", f'"{dataset.root}"'))


def run(model: Bundle, dataset: sources.Dataset, catalog: pd.DataFrame, split: str) -> Evaluation:
    """Predict every film of the split, with progress."""
    bar = st.progress(0.0, text="Predicting")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, text=f"{done:,} of {total:,} films")

    try:
        return evaluate(
            load_predictor(model.folder),
            rows_of_split(catalog, split, model.card),
            dataset.root,
            limits=here.image_limits,
            progress=show,
        )
    finally:
        bar.empty()


def show_result(result: Evaluation, dataset: sources.Dataset) -> None:
    """Figures with their intervals, the ROC curve, the confusion matrix, the mistakes."""
    metrics = result.metrics
    with st.grid(5, min_column_width=130, gap="small"):
        show_figure("AUC", metrics.roc_auc, metrics.roc_auc_interval)
        show_figure("Accuracy", metrics.accuracy, metrics.accuracy_interval)
        show_figure("Sensitivity", metrics.sensitivity, metrics.sensitivity_interval)
        show_figure("Specificity", metrics.specificity, metrics.specificity_interval)
        st.metric("Loss", f"{metrics.loss:.3f}", help="Cross-entropy of the probabilities.")
    table = result.predictions
    curve, matrix = st.columns(2, gap="large")
    if metrics.roc_auc is not None and metrics.sensitivity is not None:
        false_alarms, hits, _ = roc_curve(table["label"] == "PNEUMONIA", table["probability"])
        own = (1 - (metrics.specificity or 0.0), metrics.sensitivity)
        curve.plotly_chart(
            figures.roc(false_alarms, hits, operating_point=own),
            key="roc",
            config={"displayModeBar": False},
            alt=f"ROC curve, area {metrics.roc_auc:.3f}",
        )
    counts = [
        [metrics.true_negatives, metrics.false_positives],
        [metrics.false_negatives, metrics.true_positives],
    ]
    matrix.plotly_chart(
        figures.confusion(counts),
        key="confusion",
        config={"displayModeBar": False},
        alt=f"Confusion matrix {counts}",
    )
    for file in result.unreadable:
        reason = f"{escape(file.path.name)} was left out. {escape(file.error)}"
        st.warning(reason, icon=":material/broken_image:")
    show_mistakes(table, dataset, metrics.threshold)


def show_figure(name: str, value: float | None, interval: Interval | None) -> None:
    """A figure with its 95 % interval."""
    if value is None or interval is None:
        st.metric(name, "–", help="This split holds one class only.")
        return
    st.metric(
        name,
        f"{value:.3f}",
        f"{interval.low:.3f} to {interval.high:.3f}",
        delta_color="off",
        delta_arrow="off",
        help="Below: 95 % confidence interval.",
    )


def show_mistakes(table: pd.DataFrame, dataset: sources.Dataset, threshold: float) -> None:
    """The films that the model is most wrong about."""
    wrong = table[table["verdict"] != table["label"]]
    if wrong.empty:
        st.success("No mistakes on this split.", icon=":material/check_circle:")
        return
    distance = (wrong["probability"] - threshold).abs()
    worst = wrong.loc[distance.sort_values(ascending=False).index].head(MISTAKES)
    st.markdown(f"**The worst of {len(wrong)} mistakes**")
    pictures = gallery.thumbnails(
        dataset.root, worst, width=288, height=240, limits=here.image_limits
    )
    with st.grid("auto", min_column_width=180, gap="small") as cells:
        for film, picture in zip(worst.to_dict("records"), pictures, strict=True):
            with cells.cell(), st.container(gap="xxsmall"):
                if picture.problem:
                    st.warning(picture.problem)
                else:
                    st.image(picture.jpeg, width="stretch", alt=f"Radiograph {film['path']}")
                st.caption(
                    f"{class_badge(film['label'], film['subtype'])} called "
                    f"{film['verdict'].lower()} at {film['probability']:.1%}  \n"
                    f"{escape(Path(film['path']).stem)}"
                )


# The page -------------------------------------------------------------------------------

with header("Models"):
    switcher()
models = read_models(model_folders())
model = pick_model(models)
st.header(escape(model.card.name), anchor=False)
st.caption(f"{model.card.architecture}, {model.litert.stat().st_size / 2**20:.1f} MiB")
measuring, reading, recipe = st.tabs(["Measure", "Card", "Recipe"])
with reading, st.container(width=860):
    st.markdown(card.to_markdown(model.card).partition("\n")[2])
with recipe:
    st.json(model.card.recipe)
with measuring:
    show_measured(model)
    measure(model)
