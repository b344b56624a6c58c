"""The pages; here is what they share."""

import runpy
from pathlib import Path

import streamlit as st

from pneumo import settings
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle
from pneumo.inference.predictor import Predictor
from pneumo.settings import REPOSITORY


def require_frame() -> None:
    """Hand over to `streamlit_app.py` when a page was run without it.

    Until `st.navigation` has run once, Streamlit takes a folder named `pages` for the
    navigation: the address of a page, opened on a fresh server, runs that page alone.
    """
    if "framed" not in st.session_state:
        runpy.run_path(str(REPOSITORY / "streamlit_app.py"), run_name="__main__")
        st.stop()


def class_name(label: str) -> str:
    """A class as people write it: "NORMAL" becomes "Normal"."""
    return label.capitalize()


def class_badge(label: str, subtype: str = "") -> str:
    """A class as a badge, in Markdown: told apart by word and sign, not by colour alone."""
    if label == "NORMAL":
        return ":blue-badge[:material/circle: Normal]"
    cause = f" · {subtype}" if subtype in ("bacterial", "viral") else ""
    return f":orange-badge[:material/change_history: Pneumonia{cause}]"


def model_folders() -> dict[str, Path]:
    """Every model by name; a page that needs one stops here when there is none."""
    folders = bundle.folders(settings.load())
    if not folders:
        st.info(
            "There is no model yet. Train one on the Train page.", icon=":material/deployed_code:"
        )
        st.stop()
    return folders


def read_bundle(folder: Path) -> Bundle:
    """A model bundle, checked against its hashes once, and again when its card has changed."""
    return _read_bundle(folder, (folder / bundle.CARD).stat().st_mtime)


def load_predictor(folder: Path) -> Predictor:
    """A model ready to predict, loaded once for all sessions."""
    return _load_predictor(folder, (folder / bundle.CARD).stat().st_mtime)


@st.cache_resource(show_spinner=False, max_entries=100)
def _read_bundle(folder: Path, changed: float) -> Bundle:
    return bundle.load(folder)


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_predictor(folder: Path, changed: float) -> Predictor:
    return Predictor(_read_bundle(folder, changed))
