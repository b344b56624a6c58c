"""Figures of a training: its curves by epoch and by step, and those of others beside them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pneumo.figures.appearance import NEUTRAL, NORMAL, TRAIN, VALIDATION, look

OVERLAID = (
    ("#B565C9", (8, 4)),
    ("#B8860B", (8, 3, 2, 3)),
    ("#D0527C", (16, 4)),
    ("#6F7BD9", (2, 3)),
)
"""Of other runs that are laid over a run: a colour each, and its dashes and gaps in pixels."""

POINTS = 500
"""Of a curve on its way to the browser, at most: as many as it has pixels to draw them with."""


def learning_curve(
    epochs: Sequence[Mapping[str, float]],
    *,
    metric: str,
    title: str,
    last_epoch: int,
    best_epoch: int | None = None,
    overlaid: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
    legend: bool = True,
) -> go.Figure:
    """A metric by epoch on train and validation.

    Args:
        epochs: rows with "epoch", "phase", "train_<metric>" and "validation_<metric>".
        metric: "loss", "accuracy", "auc", "sensitivity" or "specificity".
        title: above the curves.
        last_epoch: where the horizontal axis ends, so that the curves grow into their frame.
        best_epoch: is marked on the validation curve.
        overlaid: rows of other runs by name, whose validation curves are drawn in the looks of
            `OVERLAID`; they are in no legend, which would take the room of the curves.
        legend: says which other line is which; without it, hovering does.
    """
    lines = []
    for (name, rows), (colour, dashes) in zip((overlaid or {}).items(), OVERLAID, strict=False):
        dash = ",".join(f"{pixels}px" for pixels in dashes)
        look_of_line = {"color": colour, "width": 2, "dash": dash}
        points = _means(_column(rows, "epoch"), _column(rows, f"validation_{metric}"))
        lines.append(_line(points, name, look_of_line) | {"showlegend": False})
    best = [row for row in epochs if row["epoch"] == best_epoch]
    lines.append(
        {
            "x": _column(best, "epoch"),
            "y": _column(best, f"validation_{metric}"),
            "mode": "markers",
            "name": f"Best epoch, {best_epoch}",
            "marker": {
                "size": 12,
                "symbol": "diamond",
                "color": VALIDATION,
                "line": {"color": "#FFFFFF", "width": 1.5},
            },
            "cliponaxis": False,
            "hoverinfo": "skip",
            "showlegend": bool(best),
            "legendrank": 1500,
        }
    )
    for split, name, look_of_line in (
        ("train", "Train", {"color": TRAIN, "width": 2, "dash": "dot"}),
        ("validation", "Validation", {"color": VALIDATION, "width": 2.5}),
    ):
        points = _means(_column(epochs, "epoch"), _column(epochs, f"{split}_{metric}"))
        line = _line(points, name, look_of_line)
        if split == "validation" and len(points[0]) <= 60:  # more would hide the line
            line["mode"] = "lines+markers"
        lines.append(line)
    layout = _layout_of_curves(title, _phase_changes(epochs), legend=legend)
    # A little room on the right, where the best epoch often is.
    longest = max([last_epoch, *(len(rows) for rows in (overlaid or {}).values())])
    layout["xaxis"] |= {"title": "Epoch", "range": [0, 1.02 * longest + 0.5]}
    return go.Figure(lines, layout)


def step_curve(
    steps: Mapping[str, np.ndarray],
    epochs: Sequence[Mapping[str, float]],
    *,
    column: str,
    title: str,
    smoothed: bool = False,
) -> go.Figure:
    """A number by step, such as the loss of each batch.

    Args:
        steps: columns with "epoch", "step" and the one that is drawn; {} before the first step.
        epochs: rows with "epoch" and "phase", for the boundaries of phases.
        column: "loss" or "learning_rate".
        title: above the curve.
        smoothed: draw a running mean, and behind it the numbers as they are.
    """
    none = np.empty(0)
    positions, values = steps.get("step", none), steps.get(column, none)
    lines = []
    if smoothed:
        look_of_line = {"color": TRAIN, "width": 1}
        raw = _line(_extremes(positions, values), "Each step", look_of_line)
        lines.append(raw | {"opacity": 0.45, "hoverinfo": "skip"})
        values = _running_mean(values)
    name = "Running mean" if smoothed else title
    lines.append(_line(_means(positions, values), name, {"color": NORMAL, "width": 2}))
    changes = [
        (float(positions[first]), phase)
        for epoch, phase in _phase_changes(epochs)
        if (first := int(np.searchsorted(steps.get("epoch", none), epoch))) < len(positions)
    ]
    layout = _layout_of_curves(title, changes, legend=smoothed)
    # Where losses have fallen, and learning rates are not yet or no longer.
    layout["annotations"] = [it | {"y": 0.6} for it in layout["annotations"]]
    layout["xaxis"] |= {"title": "Step", "rangemode": "tozero", "hoverformat": ",.0f"}
    layout["yaxis"] |= {"rangemode": "tozero", "exponentformat": "power"}
    return go.Figure(lines, layout)


def _line(
    points: tuple[np.ndarray, np.ndarray], name: str, look_of_line: dict[str, Any]
) -> dict[str, Any]:
    positions, values = points
    return {
        "x": positions,
        "y": values,
        "mode": "lines" if len(positions) > 1 else "lines+markers",
        "marker": {"size": 4},
        "name": name,
        "line": look_of_line,
        "hovertemplate": "%{y:.4g}",
    }


def _layout_of_curves(
    title: str, phase_changes: Sequence[tuple[float, int]], *, legend: bool
) -> dict[str, Any]:
    """The layout of a figure whose title and legend share the line above the curves.

    Args:
        title: above the curves.
        phase_changes: where each phase but the first begins, and its number.
        legend: whether there is one.
    """
    layout = look(height=250)
    layout["title"] = {"text": title, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 2}}
    layout["margin"] |= {"t": 34, "r": 16}  # room for half of the last number
    layout["legend"] |= {"x": 1, "xanchor": "right"}
    layout["showlegend"] = legend
    # A constant revision keeps what the user has hidden while points are added.
    layout["uirevision"] = "constant"
    layout["hovermode"] = "x unified"
    layout["shapes"] = [
        {
            "type": "line",
            **{"x0": begin - 0.5, "x1": begin - 0.5, "yref": "paper", "y0": 0, "y1": 1},
            "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
        }
        for begin, _ in phase_changes
    ]
    layout["annotations"] = [
        {
            "text": f"Phase {phase}",
            "showarrow": False,
            **{"x": begin - 0.5, "xanchor": "left", "xshift": 3},
            **{"yref": "paper", "y": 0, "yanchor": "bottom"},
            "font": {"size": 11, "color": NEUTRAL},
        }
        for begin, phase in phase_changes
    ]
    return layout


def _phase_changes(epochs: Sequence[Mapping[str, float]]) -> list[tuple[float, int]]:
    """The first epoch of each phase but the first, and the phase's number."""
    return [
        (after["epoch"], int(after["phase"]))
        for before, after in itertools.pairwise(epochs)
        if before["phase"] != after["phase"]
    ]


def _column(rows: Sequence[Mapping[str, float]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _group_starts(count: int, groups: int) -> np.ndarray:
    """Where groups of equal size begin that divide so many points; each point alone if few."""
    return np.arange(0, count, max(1, -(-count // groups)))


def _means(positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` means of neighbouring points."""
    starts = _group_starts(len(values), POINTS)
    if len(starts) == len(values):
        return positions, values
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(positions, starts) / counts, np.add.reduceat(values, starts) / counts


def _extremes(positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points: the least and the largest of neighbours, so that no peak is lost."""
    starts = _group_starts(len(values), POINTS // 2)
    if len(values) <= POINTS:
        return positions, values
    pairs = np.stack([np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)])
    return np.repeat(positions[starts], 2), pairs.T.ravel()


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Each value averaged with its neighbours, over a fortieth of all of them."""
    reach = len(values) // 80
    places = np.arange(len(values))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[high] - sums[low]) / (high - low)
