"""Plotly figures and image overlays from plain data."""

from pneumo.figures.appearance import NEUTRAL, NORMAL, PNEUMONIA, dress
from pneumo.figures.curves import OVERLAID, POINTS, learning_curve, step_curve
from pneumo.figures.dataset import (
    MAP_LOOKS,
    areas,
    class_bars,
    composition,
    film_map,
    grey_histogram,
    shapes,
)
from pneumo.figures.overlays import PALETTES, difference, outline, overlay
from pneumo.figures.predictions import (
    confusion,
    probability_scale,
    reliability,
    roc,
    stability,
    trade_off,
)

__all__ = [
    "MAP_LOOKS",
    "NEUTRAL",
    "NORMAL",
    "OVERLAID",
    "PALETTES",
    "PNEUMONIA",
    "POINTS",
    "areas",
    "class_bars",
    "composition",
    "confusion",
    "difference",
    "dress",
    "film_map",
    "grey_histogram",
    "learning_curve",
    "outline",
    "overlay",
    "probability_scale",
    "reliability",
    "roc",
    "shapes",
    "stability",
    "step_curve",
    "trade_off",
]
