"""How a model did on a split: figures, the curves behind them, the mistakes."""

from pathlib import Path

import pandas as pd
import streamlit as st
from sklearn.metrics import roc_curve

from pages.parts.frame import class_badge, escape, film_name
from pneumo import figures
from pneumo.datasets import gallery
from pneumo.datasets.sources import Dataset
from pneumo.evaluation import calibration, operating_point
from pneumo.evaluation.interval import Interval
from pneumo.evaluation.metrics import Metrics
from pneumo.inference.predictor import two_decimals
from pneumo.inference.scoring import Evaluation
from pneumo.settings import ImageLimits

MISTAKES = 8


def show_result(result: Evaluation, dataset: Dataset, limits: ImageLimits) -> None:
    """Figures with their intervals, the curves behind them, the mistakes."""
    metrics = result.metrics
    with st.grid(5, min_column_width=130, gap="small"):
        _show_figure("AUC", metrics.roc_auc, metrics.roc_auc_interval)
        _show_figure("Accuracy", metrics.accuracy, metrics.accuracy_interval)
        _show_figure("Sensitivity", metrics.sensitivity, metrics.sensitivity_interval)
        _show_figure("Specificity", metrics.specificity, metrics.specificity_interval)
        st.metric("Loss", f"{metrics.loss:.3f}", help="Cross-entropy of the probabilities.")
    table = result.predictions
    verdicts, probabilities = st.tabs(["Verdicts", "Probabilities"], key="judged")
    with verdicts:
        _show_verdicts(table, metrics)
    with probabilities:
        _show_probabilities(table, metrics)
    for answer in result.unreadable:
        name = Path(answer.question.name).name
        reason = f"{escape(name)} was left out. {escape(answer.error)}"
        st.warning(reason, icon=":material/broken_image:")
    _show_mistakes(table, dataset, metrics.threshold, limits)


def _show_verdicts(table: pd.DataFrame, metrics: Metrics) -> None:
    """The ROC curve and the confusion matrix."""
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


def _show_probabilities(table: pd.DataFrame, metrics: Metrics) -> None:
    """What the probabilities are worth: whether they hold, and what it brings to be unsure."""
    if metrics.brier_score is None or metrics.calibration_error is None:
        st.caption("This split holds one class only, and probabilities need both.")
        return
    truth = (table["label"] == "PNEUMONIA").to_numpy()
    stated = table["probability"].to_numpy()
    prevalence = metrics.pneumonia / metrics.images
    bins = calibration.reliability(truth, calibration.restate(stated, prevalence=prevalence))
    offers = operating_point.trade_off(truth, stated, threshold=metrics.threshold)
    curve = [(it.answered, it.accuracy) for it in offers if it.accuracy is not None]
    (own,) = (it for it in offers if it.cost == operating_point.ABSTENTION_COST)
    diagram, trade = st.columns(2, gap="large")
    with diagram:
        with st.container(horizontal=True, gap="medium"):
            st.metric(
                "Brier score",
                f"{metrics.brier_score:.3f}",
                help="Mean squared distance between probability and truth; 0 at best.",
                width=130,
            )
            st.metric(
                "Calibration error",
                f"{metrics.calibration_error:.3f}",
                help="Expected calibration error: how far the marks are from the diagonal.",
                width=150,
            )
        st.plotly_chart(
            figures.reliability(
                [it.probability for it in bins],
                [it.observed for it in bins],
                [(it.interval.low, it.interval.high) for it in bins],
                [it.images for it in bins],
            ),
            key="reliability",
            config={"displayModeBar": False},
            alt=f"Reliability diagram, expected calibration error {metrics.calibration_error:.3f}",
        )
        st.caption(
            "On the diagonal, probabilities mean what they say. They are stated here for this "
            f"split, {100 * prevalence:.0f} % of whose films are pneumonia. Bars: 95 % intervals; "
            "larger marks: more films."
        )
    with trade:
        with st.container(horizontal=True, gap="medium"):
            st.metric("Films with a verdict", f"{100 * own.answered:.1f} %", width=150)
            st.metric(
                "Their accuracy",
                "–" if own.accuracy is None else f"{own.accuracy:.3f}",
                help=f"Of all films it is {metrics.accuracy:.3f}.",
                width=130,
            )
        st.plotly_chart(
            figures.trade_off(
                [answered for answered, _ in curve],
                [accuracy for _, accuracy in curve],
                own=None if own.accuracy is None else (own.answered, own.accuracy),
            ),
            key="trade-off",
            config={"displayModeBar": False},
            alt=f"{own.answered:.1%} of the films get a verdict",
        )
        st.caption(
            "The more often the model may say that it is unsure, the better its verdicts should be."
        )


def _show_figure(name: str, value: float | None, interval: Interval | None) -> None:
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


def _show_mistakes(
    table: pd.DataFrame, dataset: Dataset, threshold: float, limits: ImageLimits
) -> None:
    """The films that the model is most wrong about."""
    wrong = table[table["verdict"] != table["label"]]
    if wrong.empty:
        st.success("No mistakes on this split.", icon=":material/check_circle:")
        return
    distance = (wrong["probability"] - threshold).abs()
    worst = wrong.loc[distance.sort_values(ascending=False).index].head(MISTAKES)
    st.markdown(f"**The worst of {len(wrong)} mistakes**")
    pictures = gallery.thumbnails(dataset.root, worst, width=288, height=240, limits=limits)
    with st.grid("auto", min_column_width=180, gap="small") as cells:
        for film, picture in zip(worst.to_dict("records"), pictures, strict=True):
            with cells.cell(), st.container(gap="xxsmall"):
                if picture.problem:
                    st.warning(picture.problem)
                else:
                    st.image(picture.jpeg, width="stretch", alt=f"Radiograph {film['path']}")
                st.caption(
                    f"{class_badge(film['label'], film['subtype'])} called "
                    f"{film['verdict'].lower()} at {two_decimals(film['probability'])}  \n"
                    f"{film_name(film['path'])}"
                )
