"""What all figures share: the palette, the layout, the page's theme behind them.

The colours of the classes are chosen to serve on a dark and on a light background: blue against
orange stays apart in every common form of colour blindness, and each stands out from black and
from white by more than 3:1 (WCAG 2.2, non-text contrast).
"""

from typing import Any

import plotly.graph_objects as go

NORMAL = "#1F88CC"
PNEUMONIA = "#E0661A"
CLASS_COLOURS = {"NORMAL": NORMAL, "PNEUMONIA": PNEUMONIA}
NEUTRAL = "#8A94A3"
TRAIN = NEUTRAL
VALIDATION = "#12A594"
_GRID = "rgba(128, 138, 150, 0.22)"


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
