"""Plotly figures and image overlays from plain data.

Every figure leaves through `dress`, so that all of them sit on a page alike, in the
dark and in the light. The colours of the classes are chosen to serve on both backgrounds:
blue against orange stays apart in every common form of colour blindness, and each stands
out from black and from white by more than 3:1 (WCAG 2.2, non-text contrast).
"""

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
# Inferno rises evenly in lightness, so that it keeps its order when printed in grey.
_HEAT_COLOURS = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO).reshape(
    256, 3
)


def dress(figure: go.Figure, *, height: int = 260) -> go.Figure:
    """Give a figure the look that all of them share, and return it.

    Backgrounds are transparent and text colours are left open: the page's theme fills
    them in, live, when it changes between dark and light.

    Args:
        figure: changed in place.
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
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        legend={
            "orientation": "h",
            "title": None,
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        hoverlabel={"namelength": -1},
        bargap=0.35,
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


# Catalogues and films -------------------------------------------------------------------


def composition(catalog: pd.DataFrame) -> go.Figure:
    """Share of each class and subtype in each split, counts written into the bars.

    Shares rather than counts, because a split of 16 films beside one of 5,216 would not show.

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
            customdata=films,
            hovertemplate="%{customdata:,} films, %{x:.1%}<extra>%{fullData.name}</extra>",
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
    heat = np.clip(heat, 0.0, 1.0)  # a cubic overshoots beside an edge
    bgr = _HEAT_COLOURS[np.rint(heat * 255).astype(np.uint8)]
    share = opacity * heat[..., np.newaxis]
    blended = (1.0 - share) * pixels[..., np.newaxis] + share * bgr[..., ::-1]
    return np.rint(blended).astype(np.uint8)


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


def learning_curve(
    epochs: list[dict[str, float]],
    steps: list[dict[str, float]],
    *,
    metric: str,
    title: str,
    last_epoch: int,
) -> go.Figure:
    """A metric by epoch on train and validation, and the loss of single steps behind the loss.

    Args:
        epochs: rows with "epoch", "train_<metric>" and "validation_<metric>".
        steps: rows with "step" and "loss"; drawn for the metric "loss" only.
        metric: "loss", "accuracy", "auc", …
        title: of the vertical axis.
        last_epoch: where the horizontal axis ends, so that the curve grows into its frame.
    """
    figure = go.Figure()
    numbers = [row["epoch"] for row in epochs]
    if metric == "loss" and steps:
        positions, losses = _smoothed_steps(steps)
        figure.add_scatter(
            x=positions,
            y=losses,
            mode="lines",
            name="Train, by step",
            line={"color": TRAIN, "width": 1},
            opacity=0.45,
            hoverinfo="skip",
            showlegend=False,
        )
    for split, name, colour, dash in (
        ("train", "Train", TRAIN, "dot"),
        ("validation", "Validation", VALIDATION, "solid"),
    ):
        figure.add_scatter(
            x=numbers,
            y=[row[f"{split}_{metric}"] for row in epochs],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 5},
            hovertemplate=f"Epoch %{{x}}: %{{y:.4f}}<extra>{name}</extra>",
        )
    figure.update_xaxes(title="Epoch", range=[0, last_epoch + 0.5], rangemode="tozero")
    figure.update_yaxes(title=title, rangemode="tozero" if metric == "loss" else "normal")
    # A constant revision keeps what the user has hidden while points are added.
    figure.update_layout(uirevision="constant", hovermode="x unified")
    return dress(figure, height=280)


def _smoothed_steps(
    steps: list[dict[str, float]], *, points: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Positions in epochs and losses of at most about so many means over neighbouring steps."""
    per_epoch = max(sum(row["epoch"] == 1 for row in steps), 1)
    group = -(-len(steps) // points)
    starts = np.arange(0, len(steps), group)
    losses = np.add.reduceat([row["loss"] for row in steps], starts)
    counts = np.diff(np.append(starts, len(steps)))
    return (starts + counts / 2) / per_epoch, losses / counts


# Predictions ----------------------------------------------------------------------------


def probability_scale(probability: float, threshold: float) -> go.Figure:
    """Where a film stands between NORMAL and PNEUMONIA, and where the verdict turns.

    Args:
        probability: of PNEUMONIA, in [0, 1].
        threshold: from which the verdict is PNEUMONIA, in [0, 1].
    """
    figure = go.Figure()
    for start, end, name in ((0, threshold, "NORMAL"), (threshold, 1, "PNEUMONIA")):
        figure.add_shape(
            type="rect",
            x0=start,
            x1=end,
            y0=0.3,
            y1=0.7,
            fillcolor=CLASS_COLOURS[name],
            opacity=0.35,
            line_width=0,
        )
    figure.add_scatter(
        x=[threshold, threshold],
        y=[0.1, 0.9],
        mode="lines",
        line={"color": NEUTRAL, "width": 2, "dash": "dot"},
        hovertemplate=f"Threshold {threshold:.3f}<extra></extra>",
    )
    verdict = "PNEUMONIA" if probability >= threshold else "NORMAL"
    figure.add_scatter(
        x=[probability],
        y=[0.5],
        mode="markers",
        marker={
            "size": 18,
            "color": CLASS_COLOURS[verdict],
            "symbol": "diamond",
            "line": {"color": "#FFFFFF", "width": 2},
        },
        cliponaxis=False,
        hovertemplate=f"Probability of pneumonia {probability:.2%}<extra></extra>",
    )
    figure.add_annotation(
        x=threshold, y=1, text=f"threshold {threshold:.2f}", showarrow=False, yanchor="bottom"
    )
    figure.update_layout(showlegend=False)
    figure = dress(figure, height=104)
    figure.update_xaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(range=[0, 1.15], visible=False)
    return figure


def roc(
    false_alarms: np.ndarray, hits: np.ndarray, *, operating_point: tuple[float, float]
) -> go.Figure:
    """A receiver operating characteristic with the operating point on it.

    Args:
        false_alarms: 1 - specificity at each threshold, rising.
        hits: sensitivity at each threshold.
        operating_point: 1 - specificity and sensitivity at the model's own threshold.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": NEUTRAL, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
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
            texttemplate="%{text}",
            colorscale=[[0, "rgba(18, 165, 148, 0.06)"], [1, "rgba(18, 165, 148, 0.75)"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=4,
            ygap=4,
            hovertemplate="%{y} called %{x}: %{text}<extra></extra>",
        )
    )
    figure = dress(figure, height=340)
    figure.update_xaxes(title="Verdict", side="bottom", showgrid=False)
    figure.update_yaxes(title="Truth", autorange="reversed", showgrid=False)
    return figure
