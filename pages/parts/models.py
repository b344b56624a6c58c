"""Models, loaded once for all sessions."""

from pathlib import Path

import streamlit as st

from pneumo import settings
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle
from pneumo.inference.predictor import Predictor


def model_folders() -> dict[str, Path]:
    """Every model by name; a page that needs one stops here when there is none."""
    folders = bundle.folders(settings.load())
    if not folders:
        st.info(
            "There is no model yet. Train one on the Train page.", icon=":material/deployed_code:"
        )
        st.stop()
    return folders


def point_name(name: str) -> str:
    """An operating point as people write it: "high-sensitivity" becomes "High sensitivity"."""
    return name.replace("-", " ").capitalize()


def read_bundle(folder: Path) -> Bundle:
    """A model bundle, checked against its hashes once, and again when its card has changed.

    Raises:
        BundleError: it is damaged, or no longer there.
    """
    return _read_bundle(folder, _changed(folder))


def load_predictor(folder: Path) -> Predictor:
    """A model ready to predict, loaded once for all sessions.

    Raises:
        BundleError: it is damaged, or no longer there.
    """
    return _load_predictor(folder, _changed(folder))


def _changed(folder: Path) -> float:
    try:
        return (folder / bundle.CARD).stat().st_mtime
    except FileNotFoundError:
        return 0.0


@st.cache_resource(show_spinner=False, max_entries=100)
def _read_bundle(folder: Path, changed: float) -> Bundle:
    return bundle.load(folder)


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_predictor(folder: Path, changed: float) -> Predictor:
    return Predictor(_read_bundle(folder, changed))
