"""Plotly figures and image overlays from plain data.

Every figure has the layout of `look`, so that all of them sit on a page alike, in the
dark and in the light. The colours of the classes are chosen to serve on both backgrounds:
blue against orange stays apart in every common form of colour blindness, and each stands
out from black and from white by more than 3:1 (WCAG 2.2, non-text contrast).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
import plotly.graph_objects as go

# The palette ----------------------------------------------------------------------------

NORMAL = "#1F88CC"
PNEUMONIA = "#E0661A"
CLASS_COLOURS = {"NORMAL": NORMAL, "PNEUMONIA": PNEUMONIA}
NEUTRAL = "#8A94A3"

# Bacterial and viral share the accent of pneumonia and differ in texture.
SUBTYPE_COLOURS = {
    "normal": NORMAL,
    "bacterial": PNEUMONIA,
    "viral": PNEUMONIA,
    "unknown": NEUTRAL,
}
_SUBTYPE_TEXTURES = {"normal": "", "bacterial": "", "viral": "/", "unknown": "."}
_SUBTYPE_NAMES = {
    "normal": "Normal",
    "bacterial": "Bacterial",
    "viral": "Viral",
    "unknown": "Cause unknown",
}

_GRID = "rgba(128, 138, 150, 0.22)"
_LEVELS = np.arange(256, dtype=np.uint8)[np.newaxis]
PALETTES: dict[str, np.ndarray] = {
    name: cv2.cvtColor(cv2.applyColorMap(_LEVELS, colour_map), cv2.COLOR_BGR2RGB)[0]
    for name, colour_map in (
        ("inferno", cv2.COLORMAP_INFERNO),
        ("viridis", cv2.COLORMAP_VIRIDIS),
        ("cividis", cv2.COLORMAP_CIVIDIS),
    )
} | {"white": np.full((256, 3), 255, np.uint8)}
"""Colours of heat from 0 to 255, uint8 RGB of shape (256, 3), by name.

All keep their order when printed in grey: the first three rise evenly in lightness, and white
over a film differs by its opacity alone."""


def look(*, height: int = 260) -> dict[str, Any]:
    """The layout that all figures share.

    Backgrounds are transparent and text colours are left open: the page's theme fills
    them in, live, when it changes between dark and light.

    Args:
        height: in pixels.
    """
    axis = {
        "gridcolor": _GRID,
        "zeroline": False,
        "linecolor": _GRID,
        "automargin": True,
        "fixedrange": True,
        "title_standoff": 8,
    }
    return {
        "height": height,
        "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "legend": {
            "orientation": "h",
            "title": None,
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        "hoverlabel": {"namelength": -1},
        "bargap": 0.35,
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }


def dress(figure: go.Figure, *, height: int = 260) -> go.Figure:
    """Give a figure the layout that all of them share, and return it.

    Args:
        figure: changed in place.
        height: in pixels.
    """
    return figure.update_layout(look(height=height))


# Catalogues and films -------------------------------------------------------------------


def composition(catalog: pd.DataFrame) -> go.Figure:
    """Share of each class and subtype in each split, counts written into the bars.

    Shares rather than counts, because a split of 16 films beside one of 5,216 would not show.

    The custom data of a bar are its split, its subtype and how many films it has.

    Args:
        catalog: with the columns `split` and `subtype`, splits in the order to draw.
    """
    counts = pd.crosstab(catalog["split"], catalog["subtype"])
    counts = counts.loc[catalog["split"].unique()]
    totals = counts.sum(axis="columns")
    names = [f"{split.capitalize()}  <b>{totals[split]:,}</b>" for split in counts.index]
    figure = go.Figure()
    for subtype, colour in SUBTYPE_COLOURS.items():
        if subtype not in counts:
            continue
        films = counts[subtype]
        share = films / totals
        figure.add_bar(
            y=names,
            x=share,
            orientation="h",
            name=_SUBTYPE_NAMES[subtype],
            marker={
                "color": colour,
                "line_width": 0,
                "pattern": {
                    "shape": _SUBTYPE_TEXTURES[subtype],
                    "fillmode": "overlay",
                    "fgcolor": "rgba(255, 255, 255, 0.55)",
                    "size": 7,
                    "solidity": 0.2,
                },
            },
            # A number that does not fit into its bar is worse than none: hovering tells it.
            text=[f"{n:,}" if part >= 0.08 else "" for n, part in zip(films, share, strict=True)],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#FFFFFF"},
            customdata=[[split, subtype, n] for split, n in films.items()],
            hovertemplate="%{customdata[2]:,} films, %{x:.1%}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(autorange="reversed", ticks="", showline=False)
    return dress(figure, height=44 + 38 * len(counts))


def grey_histogram(pixels: np.ndarray) -> go.Figure:
    """How often each grey level occurs in a film.

    Args:
        pixels: uint8, shape (height, width).
    """
    share = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    figure = go.Figure(
        go.Scatter(
            x=np.arange(256),
            y=share,
            mode="lines",
            line={"color": NEUTRAL, "width": 1.5, "shape": "hvh"},
            fill="tozeroy",
            fillcolor="rgba(138, 148, 163, 0.25)",
            hovertemplate="Grey level %{x}: %{y:.2%} of the pixels<extra></extra>",
        )
    )
    figure.update_xaxes(range=[-1, 256], tickvals=[0, 128, 255])
    # Collimation makes a peak of pure black that would flatten everything else.
    inner = share[1:255]
    figure.update_yaxes(visible=False, range=[0, max(1.15 * inner.max(), 1e-3)])
    return dress(figure, height=130).update_layout(margin={"l": 14, "r": 14})


def class_bars(
    bins: Sequence[tuple[float, float]],
    counts: Mapping[str, Sequence[int]],
    *,
    title: str,
    counted: str,
) -> go.Figure:
    """How many there are of each class in each bin, side by side.

    The custom data of a bar are the ends of its bin.

    Args:
        bins: least and largest value of each.
        counts: by "NORMAL" and "PNEUMONIA", as many as bins.
        title: what the bins are of.
        counted: what is counted, such as "patients".
    """
    names = [f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in bins]
    figure = go.Figure()
    for label, of_class in counts.items():
        figure.add_bar(
            x=names,
            y=list(of_class),
            name=label.capitalize(),
            marker={"color": CLASS_COLOURS[label], "line_width": 0},
            customdata=bins,
            hovertemplate=f"{title} %{{x}}: %{{y:,}} {counted}<extra>%{{fullData.name}}</extra>",
        )
    figure = dress(figure, height=260).update_layout(bargap=0.2, bargroupgap=0.06)
    figure.update_xaxes(title=title, type="category", showgrid=False, tickangle=0)
    if len(bins) > 8:  # no room to write out each
        lows = [f"{low:g}" for low, _ in bins]
        figure.update_xaxes(title=f"{title}, from", tickvals=names[::2], ticktext=lows[::2])
    return _without_marks_of_selection(
        figure.update_yaxes(title=counted.capitalize(), tickformat=",")
    )


def shapes(films: pd.DataFrame) -> go.Figure:
    """How large films are and how wide for their height, a mark for each.

    Args:
        films: with the columns `path`, `label`, `side` (pixels of the shorter side) and `ratio`
            (width to height).
    """
    figure = go.Figure()
    for label, symbol in (("NORMAL", "circle"), ("PNEUMONIA", "triangle-up")):
        of_class = films[films["label"] == label]
        figure.add_scatter(
            x=of_class["side"],
            y=of_class["ratio"],
            mode="markers",
            name=label.capitalize(),
            marker={"color": CLASS_COLOURS[label], "symbol": symbol, "size": 6, "opacity": 0.6},
            text=of_class["path"],
            hovertemplate="%{text}<br>%{x:,} pixels, %{y:.2f}<extra></extra>",
        )
    figure = dress(figure, height=300).update_layout(dragmode="select")
    figure.update_xaxes(title="Shorter side, pixels")
    return _without_marks_of_selection(figure.update_yaxes(title="Width to height"))


def _without_marks_of_selection(figure: go.Figure) -> go.Figure:
    """Nothing fades when something is selected: what was selected says the filter."""
    opacity = {"unselected": {"marker": {"opacity": 1}}, "selected": {"marker": {"opacity": 1}}}
    return figure.update_traces(opacity)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where one picture is brighter than another, and where it is darker, laid over their mean.

    Args:
        one, other: in grey levels, float, of one shape (height, width).

    Returns:
        uint8 RGB, shape (height, width, 3): grey where they are alike, towards `PNEUMONIA` where
        `one` is brighter and towards `NORMAL` where `other` is; the largest difference is pure.
    """
    apart = one - other
    share = (apart / max(float(np.abs(apart).max()), 1e-9))[..., np.newaxis]
    brighter, darker = (np.array(list(bytes.fromhex(it[1:])), float) for it in (PNEUMONIA, NORMAL))
    grey = ((one + other) / 2)[..., np.newaxis]
    drawn = (1 - np.abs(share)) * grey + np.abs(share) * np.where(share > 0, brighter, darker)
    return np.rint(drawn).astype(np.uint8)


# Overlays -------------------------------------------------------------------------------


def overlay(pixels: np.ndarray, heat_map: np.ndarray, *, opacity: float = 0.4) -> np.ndarray:
    """Lay a heat map over a film; where it is cold, the film stays as it is.

    Args:
        pixels: the film, uint8, shape (height, width).
        heat_map: float in [0, 1], any shape (rows, columns); stretched over the film.
        opacity: of the colour where the heat is 1, in [0, 1]. In between, the opacity of
            a pixel is `opacity` times its heat.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        ValueError: an argument is out of its range or of the wrong shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            "`pixels` must be uint8 of shape (height, width). "
            f"Received: {pixels.dtype} of shape {pixels.shape}"
        )
    if heat_map.ndim != 2 or not np.all((heat_map >= 0) & (heat_map <= 1)):
        raise ValueError(
            "`heat_map` must have the shape (rows, columns) and values in [0, 1]. "
            f"Received: shape {heat_map.shape}, values from {heat_map.min()} to {heat_map.max()}"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"`opacity` must be in [0, 1]. Received: opacity={opacity}")
    height, width = pixels.shape
    heat = cv2.resize(heat_map.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    # Rounds, and clips: a cubic overshoots beside an edge.
    levels = cv2.multiply(heat, 255, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    # Blended once for each pair of a heat and a grey level, and looked up for each pixel.
    grey = np.arange(256, dtype=np.float32)
    share = opacity / 255 * grey[:, np.newaxis]
    rgb = PALETTES["inferno"].T[..., np.newaxis]
    blended = np.rint((1 - share) * grey + share * rgb).astype(np.uint8)  # (3, heats, greys)
    pairs = levels.astype(np.uint16) << 8 | pixels
    return cv2.merge([cv2.LUT(pairs, channel.ravel()) for channel in blended])


def outline(pixels: np.ndarray, mask: np.ndarray, *, colour: str = PNEUMONIA) -> np.ndarray:
    """Draw the outline of a region on a film.

    Args:
        pixels: the film, uint8, shape (height, width).
        mask: bool, of the same shape; nothing is drawn where it is all False.
        colour: `#RRGGBB`.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        ValueError: the shapes differ.
    """
    if pixels.shape != mask.shape:
        raise ValueError(
            "`mask` must have the shape of `pixels`. "
            f"Received: mask {mask.shape}, pixels {pixels.shape}"
        )
    drawn = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    # As visible on a film of 2,000 pixels as on a small one.
    thickness = max(1, round(max(pixels.shape) / 350))
    cv2.drawContours(drawn, contours, -1, (red, green, blue), thickness, cv2.LINE_AA)
    return drawn


# Trainings ------------------------------------------------------------------------------

TRAIN = NEUTRAL
VALIDATION = "#12A594"
# Of other runs that are laid over a run; each also has a dash of its own.
OVERLAID = (
    ("#B565C9", "dash"),
    ("#B8860B", "dashdot"),
    ("#D0527C", "longdash"),
    ("#6F7BD9", "dot"),
)

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
        overlaid: rows of other runs by name, whose validation curves are drawn faintly.
        legend: says which line is which; without it, hovering does.
    """
    lines = []
    for (name, rows), (colour, dash) in zip((overlaid or {}).items(), OVERLAID, strict=False):
        look_of_line = {"color": colour, "width": 1.5, "dash": dash}
        points = _means(_column(rows, "epoch"), _column(rows, f"validation_{metric}"))
        line = _line(points, name, look_of_line)
        lines.append(line | {"opacity": 0.75, "legendrank": 2000})
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


# Predictions ----------------------------------------------------------------------------


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
            "hovertemplate": f"Probability of pneumonia {probability:.2%}<extra></extra>",
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
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
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


def areas(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    least: float,
) -> go.Figure:
    """Areas under ROC curves below each other, with their intervals and the line of chance.

    Args:
        names: what each area is of, from top to bottom.
        values: the areas.
        intervals: lower and upper end of a confidence interval of each.
        least: areas whose interval lies above this are filled, the others hollow.
    """
    figure = go.Figure()
    for title, symbol, above in (
        (f"Interval above {least:g}", "diamond", True),
        (f"Interval reaches below {least:g}", "circle-open", False),
    ):
        rows = [row for row, (low, _) in enumerate(intervals) if (low >= least) == above]
        if not rows:
            continue
        figure.add_scatter(
            x=[values[row] for row in rows],
            y=[names[row] for row in rows],
            mode="markers",
            name=title,
            marker={
                "color": PNEUMONIA if above else NEUTRAL,
                "symbol": symbol,
                "size": 10,
                "line": {"width": 1.5},
                "opacity": 1,
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [intervals[row][1] - values[row] for row in rows],
                "arrayminus": [values[row] - intervals[row][0] for row in rows],
                "color": PNEUMONIA if above else NEUTRAL,
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[intervals[row] for row in rows],
            hovertemplate="AUC %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})"
            "<extra>%{y}</extra>",
            cliponaxis=False,
        )
    figure.add_vline(x=0.5, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    lowest = min(0.45, *(low for low, _ in intervals))
    figure = dress(figure, height=70 + 22 * len(names)).update_layout(margin={"r": 10})
    figure.update_xaxes(title="AUC of this number alone", range=[lowest - 0.01, 1.01])
    return figure.update_yaxes(
        categoryorder="array", categoryarray=list(reversed(names)), showgrid=False
    )


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


# Maps -----------------------------------------------------------------------------------

MAP_LOOKS: dict[str, dict[str, tuple[str, str]]] = {
    "class": {"Normal": (NORMAL, "circle"), "Pneumonia": (PNEUMONIA, "triangle-up")},
    "cause": {
        "Normal": (NORMAL, "circle"),
        "Bacterial": (PNEUMONIA, "triangle-up"),
        "Viral": ("#B565C9", "diamond"),
        "Cause unknown": (NEUTRAL, "square"),
    },
    "split": {
        "Train": (NEUTRAL, "circle"),
        "Val": (VALIDATION, "diamond"),
        "Test": ("#B565C9", "square"),
    },
    "verdict": {
        "Right": (NEUTRAL, "circle"),
        "Unsure": ("#B8860B", "diamond"),
        "False alarm": (NORMAL, "x"),
        "Missed pneumonia": (PNEUMONIA, "triangle-down"),
    },
}
"""Colour and symbol of the groups of each map, the lowest first."""


def film_map(films: pd.DataFrame, *, by: str) -> go.Figure:
    """Films as points of a plane without axes, for lasso and box.

    The custom data of a point are the path of its film and the words about it.

    Args:
        films: with the columns `x`, `y`, `path`, `words` (shown at the point), `farthest` (bool,
            ringed), `selected` (bool; where any is, the others fade) and `group`: names of
            `MAP_LOOKS[by]`.
        by: "class", "cause", "split" or "verdict".
    """
    size = 8 if len(films) < 1000 else 6 if len(films) < 8000 else 4
    any_selected = films["selected"].any()
    figure = go.Figure()
    for group, (colour, symbol) in MAP_LOOKS[by].items():
        of_group = films[films["group"] == group]
        if of_group.empty:
            continue
        figure.add_scattergl(
            x=of_group["x"],
            y=of_group["y"],
            mode="markers",
            name=f"{group}  {len(of_group):,}",
            marker={
                "color": colour,
                "symbol": symbol,
                # What is rare and odd must not drown in what is common.
                "size": size + 3 if group in ("False alarm", "Missed pneumonia") else size,
                "opacity": 0.5 if group == "Right" else 0.8,
            },
            customdata=of_group[["path", "words"]],
            hovertemplate="%{customdata[1]}<extra></extra>",
            unselected={"marker": {"opacity": 0.15}},
            selectedpoints=np.flatnonzero(of_group["selected"]) if any_selected else None,
        )
    farthest = films[films["farthest"]]
    figure.add_scattergl(
        x=farthest["x"],
        y=farthest["y"],
        mode="markers",
        name="Far from the training films",
        marker={"color": NEUTRAL, "symbol": "circle-open", "size": 16, "line": {"width": 2}},
        hoverinfo="skip",
        unselected={"marker": {"opacity": 1}},
    )
    figure = dress(figure, height=520).update_layout(
        dragmode="lasso",
        uirevision=by,
        margin={"t": 36},  # room for the tools
        modebar={"bgcolor": "rgba(0, 0, 0, 0)", "color": NEUTRAL, "activecolor": VALIDATION},
        legend={"itemsizing": "constant", "y": -0.02, "yanchor": "top"},
    )
    figure.update_xaxes(visible=False, fixedrange=False)
    return figure.update_yaxes(visible=False, fixedrange=False)
