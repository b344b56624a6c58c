"""Figures of predictions: where a film stands, and how good many answers are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pneumo.figures.appearance import (
    CLASS_COLOURS,
    NEUTRAL,
    NORMAL,
    PNEUMONIA,
    VALIDATION,
    dress,
    look,
)


def probability_scale(
    probability: float, threshold: float, *, band: tuple[float, float], muted: bool = False
) -> go.Figure:
    """Where a film stands between NORMAL and PNEUMONIA, where the verdict turns, where it is open.

    Args:
        probability: of PNEUMONIA, in [0, 1].
        threshold: from which the verdict is PNEUMONIA, in [0, 1].
        band: between these two the model is unsure; the threshold is one of them or between.
        muted: draw the film in grey, as one whose verdict does not count.
    """
    verdict = "PNEUMONIA" if probability >= threshold else "NORMAL"
    lines = [
        {
            "x": [threshold, threshold],
            "y": [0.1, 0.9],
            "mode": "lines",
            "line": {"color": NEUTRAL, "width": 2, "dash": "dot"},
            "hovertemplate": f"Threshold {threshold:.1%}<extra></extra>",
        },
        {
            "x": [probability],
            "y": [0.5],
            "mode": "markers",
            "marker": {
                "size": 18,
                "color": NEUTRAL if muted else CLASS_COLOURS[verdict],
                "symbol": "diamond",
                "line": {"color": "#FFFFFF", "width": 2},
            },
            "cliponaxis": False,
            "customdata": _stated([probability]),
            "hovertemplate": "Probability of pneumonia %{customdata:.2%}<extra></extra>",
        },
    ]
    layout = _layout_of_probabilities(height=104)
    layout["shapes"] = _verdict_areas(band, 0.15 if muted else 0.35, y0=0.3, y1=0.7)
    # Towards the middle, so that a threshold near an end keeps its words on the scale.
    anchor = "left" if threshold < 0.2 else "right" if threshold > 0.8 else "center"
    words = {"x": threshold, "y": 1, "text": f"threshold {100 * threshold:.3g} %"}
    layout["annotations"] = [words | {"showarrow": False, "xanchor": anchor, "yanchor": "bottom"}]
    # The grey part says what it means where the words fit, and next to the diamond nothing.
    low, high = band
    middle = (low + threshold) / 2 if probability >= threshold else (threshold + high) / 2
    if high - low >= 0.4:
        words = {"x": middle, "y": 0.5, "text": "unsure"}
        layout["annotations"].append(words | {"showarrow": False, "font": {"size": 11}})
    layout["yaxis"] |= {"range": [0, 1.15], "visible": False}
    # Room for the last number, and for the diamond of a model that is certain.
    layout["margin"] |= {"l": 16, "r": 16}
    return go.Figure(lines, layout)


def stability(
    probability: float,
    varied: Mapping[str, float],
    threshold: float,
    *,
    band: tuple[float, float],
    muted: bool = False,
) -> go.Figure:
    """A film and its variations on the scale of `probability_scale`, a row each.

    Shape and colour of a mark say the verdict: a triangle for PNEUMONIA, a circle for NORMAL.

    Args:
        probability: of PNEUMONIA, of the film as it is, in [0, 1].
        varied: the same of each variation, by name.
        threshold: from which the verdict is PNEUMONIA, in [0, 1].
        band: between these two the model is unsure.
        muted: draw all marks in grey, as those of a film whose verdict does not count.
    """
    rows = {"as it is": probability, **varied}
    verdicts = ["PNEUMONIA" if it >= threshold else "NORMAL" for it in rows.values()]
    marks = {
        "x": list(rows.values()),
        "y": list(rows),
        "mode": "markers",
        "marker": {
            "size": [16, *(12 for _ in varied)],
            "color": [NEUTRAL if muted else CLASS_COLOURS[it] for it in verdicts],
            "symbol": ["triangle-up" if it == "PNEUMONIA" else "circle" for it in verdicts],
            "opacity": 1,
            "line": {"color": "#FFFFFF", "width": 1.5},
        },
        "cliponaxis": False,
        "customdata": _stated(list(rows.values())),
        "hovertemplate": "%{y}: %{customdata:.2%}<extra></extra>",
    }
    layout = _layout_of_probabilities(height=32 + 21 * len(rows))
    top_to_bottom: dict[str, Any] = {"yref": "paper", "y0": 0, "y1": 1}
    turn = {"type": "line", "x0": threshold, "x1": threshold, **top_to_bottom}
    layout["shapes"] = [
        *_verdict_areas(band, 0.08 if muted else 0.16, **top_to_bottom),
        turn | {"line": {"color": NEUTRAL, "width": 2, "dash": "dot"}},
    ]
    layout["yaxis"] |= {"autorange": "reversed", "ticklabelstandoff": 10}
    layout["margin"] |= {"r": 16}
    return go.Figure([marks], layout)


def _stated(probabilities: Sequence[float]) -> list[float]:
    """Probabilities as people read them: no film makes a model certain."""
    return np.clip(probabilities, 0.0001, 0.9999).tolist()


def _layout_of_probabilities(*, height: int) -> dict[str, Any]:
    """The layout of a figure whose horizontal axis is the probability of PNEUMONIA."""
    layout = look(height=height)
    layout["showlegend"] = False
    layout["xaxis"] |= {"range": [0, 1], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    layout["xaxis"] |= {"showgrid": False}
    return layout


def _verdict_areas(
    band: tuple[float, float], opacity: float, **height: float | str
) -> list[dict[str, Any]]:
    """Where probabilities speak for NORMAL, for neither, for PNEUMONIA.

    Args:
        height: `y0` and `y1` of the areas, and what these refer to.
    """
    low, high = band
    return [
        {"type": "rect", "x0": start, "x1": end, **height}
        | {"fillcolor": colour, "opacity": opacity, "line": {"width": 0}}
        for start, end, colour in ((0, low, NORMAL), (low, high, NEUTRAL), (high, 1, PNEUMONIA))
    ]


def roc(
    false_alarms: np.ndarray, hits: np.ndarray, *, operating_point: tuple[float, float]
) -> go.Figure:
    """A receiver operating characteristic with the operating point on it.

    Args:
        false_alarms: 1 - specificity at each threshold, rising.
        hits: sensitivity at each threshold.
        operating_point: 1 - specificity and sensitivity at the model's own threshold.
    """
    figure = _with_diagonal()
    figure.add_scatter(
        x=false_alarms,
        y=hits,
        mode="lines",
        line={"color": VALIDATION, "width": 2.5},
        hovertemplate="Sensitivity %{y:.3f} at 1 - specificity %{x:.3f}<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        x=[operating_point[0]],
        y=[operating_point[1]],
        mode="markers",
        name="Operating point",
        marker={"size": 11, "color": PNEUMONIA, "line": {"color": "#FFFFFF", "width": 2}},
        hovertemplate="Sensitivity %{y:.3f} at 1 - specificity %{x:.3f}<extra></extra>",
    )
    figure.update_xaxes(title="1 - specificity", range=[-0.02, 1.02], constrain="domain")
    figure.update_yaxes(title="Sensitivity", range=[-0.02, 1.02])
    return dress(figure, height=340)


def _with_diagonal() -> go.Figure:
    """Where chance lies on a ROC curve, and the truth on a reliability diagram."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": NEUTRAL, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    return figure


def confusion(counts: list[list[int]]) -> go.Figure:
    """A confusion matrix, counts written into its cells.

    Args:
        counts: by truth (NORMAL, PNEUMONIA), then by verdict in the same order.
    """
    names = ["NORMAL", "PNEUMONIA"]
    totals = [max(sum(row), 1) for row in counts]
    shares = [[n / total for n in row] for row, total in zip(counts, totals, strict=True)]
    texts = [
        [f"<b>{n:,}</b><br>{share:.1%}" for n, share in zip(row, part, strict=True)]
        for row, part in zip(counts, shares, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=names,
            y=names,
            text=texts,
            colorscale=[[0, "rgba(18, 165, 148, 0.06)"], [1, "rgba(18, 165, 148, 0.55)"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=4,
            ygap=4,
            hovertemplate="%{y} called %{x}: %{text}<extra></extra>",
        )
    )
    # Annotations, unlike the text of a heat map, have the colour that the page gives to text.
    for truth, row in zip(names, texts, strict=True):
        for verdict, text in zip(names, row, strict=True):
            figure.add_annotation(x=verdict, y=truth, text=text, showarrow=False)
    figure = dress(figure, height=340)
    figure.update_xaxes(title="Verdict", side="bottom", showgrid=False)
    figure.update_yaxes(title="Truth", autorange="reversed", showgrid=False)
    return figure


def reliability(
    stated: Sequence[float],
    observed: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    images: Sequence[int],
) -> go.Figure:
    """A reliability diagram: on the diagonal, probabilities mean what they say.

    Args:
        stated: mean probability of PNEUMONIA in each bin, rising.
        observed: share of PNEUMONIA in each bin.
        intervals: lower and upper end of a confidence interval of that share.
        images: how many each bin holds; larger marks for more.
    """
    figure = _with_diagonal()
    largest = max(images)
    figure.add_scatter(
        x=stated,
        y=observed,
        mode="lines+markers",
        line={"color": VALIDATION, "width": 1.5},
        marker={
            "color": VALIDATION,
            "opacity": 1,
            # By area, and never too small to see.
            "size": [7 + 11 * (count / largest) ** 0.5 for count in images],
            "line": {"color": "#FFFFFF", "width": 1.5},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - y for y, (_, high) in zip(observed, intervals, strict=True)],
            "arrayminus": [y - low for y, (low, _) in zip(observed, intervals, strict=True)],
            "color": VALIDATION,
            "thickness": 1.2,
            "width": 3,
        },
        customdata=images,
        hovertemplate="Stated %{x:.1%}, observed %{y:.1%} of %{customdata:,} films<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_xaxes(title="Stated probability", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(title="Observed share", range=[-0.02, 1.02], tickformat=".0%")
    return dress(figure, height=340).update_layout(margin={"r": 10})  # half of a large mark


def trade_off(
    answered: Sequence[float], accuracy: Sequence[float], *, own: tuple[float, float] | None
) -> go.Figure:
    """Accuracy of the verdicts by the share of the films that get one.

    Args:
        answered: shares of the films.
        accuracy: on these, as many.
        own: the pair that the model's own band gives, where it leaves a verdict.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=answered,
        y=accuracy,
        mode="lines+markers",
        line={"color": VALIDATION, "width": 2.5},
        marker={"size": 6},
        hovertemplate="%{x:.1%} answered, %{y:.2%} of these right<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        x=[own[0]] if own else [],
        y=[own[1]] if own else [],
        mode="markers",
        name="The model's own band",
        marker={
            "size": 13,
            "symbol": "diamond",
            "color": VALIDATION,
            "line": {"color": "#FFFFFF", "width": 2},
        },
        hovertemplate="%{x:.1%} answered, %{y:.2%} of these right<extra></extra>",
        cliponaxis=False,
    )
    # From all films on: whoever reads to the right sees what leaving films out buys.
    figure.update_xaxes(title="Films with a verdict", autorange="reversed", tickformat=".0%")
    figure.update_yaxes(title="Accuracy of the verdicts", tickformat=".1%")
    return dress(figure, height=340)
