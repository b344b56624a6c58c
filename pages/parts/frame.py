"""What every page begins with, and the badges and wordings that all of them show."""

import re
import runpy
from pathlib import PurePosixPath

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pneumo.evaluation.interval import Interval
from pneumo.inference.predictor import OUT_OF_SCOPE, Prediction
from pneumo.settings import REPOSITORY


def require_frame() -> None:
    """Hand over to `streamlit_app.py` when a page was run without it.

    Until `st.navigation` has run once, Streamlit takes a folder named `pages` for the
    navigation: the address of a page, opened on a fresh server, runs that page alone.
    """
    if "framed" not in st.session_state:
        runpy.run_path(str(REPOSITORY / "streamlit_app.py"), run_name="__main__")
        st.stop()


def escape(text: str) -> str:
    """Text from outside, such as a file's name, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*\[\]<>$~:!|#_&])", r"\\\1", text)


def film_name(path: str) -> str:
    """A film's file without folder and ending, in Markdown; it breaks where its parts do."""
    return re.sub(r"([_-])", "\\1\u200b", escape(PurePosixPath(path).stem))


def count_of_films(count: int) -> str:
    """So many films, in words."""
    return "1 film" if count == 1 else f"{count:,} films"


def class_name(label: str) -> str:
    """A class as people write it: "NORMAL" becomes "Normal"."""
    return label.capitalize()


def class_badge(label: str, subtype: str = "") -> str:
    """A class as a badge, in Markdown: told apart by word and sign, not by colour alone."""
    if label == "NORMAL":
        return ":blue-badge[:material/circle: Normal]"
    cause = f" · {subtype}" if subtype in ("bacterial", "viral") else ""
    return f":orange-badge[:material/change_history: Pneumonia{cause}]"


def header(title: str) -> DeltaGenerator:
    """The page's title. Returns the place beside it, for what the page is about."""
    row = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    )
    row.title(title, anchor=False, width="content")
    return row


def headline(prediction: Prediction) -> str:
    """The verdict in the colour of its class, with a sign that says the same."""
    if prediction.scope:
        return f":gray[:material/block: {OUT_OF_SCOPE}]"
    ill = prediction.verdict == "PNEUMONIA"
    sign = "help" if prediction.unsure else "change_history" if ill else "circle"
    return f":{'orange' if ill else 'blue'}[:material/{sign}: {prediction.wording}]"


def duration(seconds: float) -> str:
    """A duration as people say it: "25 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def measured(name: str, share: float, interval: Interval) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{name} {100 * share:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
