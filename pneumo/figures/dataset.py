"""Figures of a data set: what it holds, what gives its classes away, which films are alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pneumo.figures.appearance import CLASS_COLOURS, NEUTRAL, NORMAL, PNEUMONIA, VALIDATION, dress

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
        "Out of scope": ("#B565C9", "square"),
    },
}
"""Colour and symbol of the groups of each map, the lowest first."""


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
