"""Navigation and page frame."""

from pathlib import Path

import streamlit as st

PARTS = Path(__file__).parent / "pages" / "parts"

st.set_page_config(page_title="Pneumo", page_icon=PARTS / "mark.svg", layout="wide")

browse = st.Page(
    "pages/browse.py",
    title="Browse",
    icon=":material/grid_view:",
    help="Look through the radiographs of a data set.",
)
train = st.Page(
    "pages/train.py",
    title="Train",
    icon=":material/model_training:",
    help="Train a classifier and watch it learn.",
)
models = st.Page(
    "pages/models.py",
    title="Models",
    icon=":material/deployed_code:",
    help="Compare trained models and read their cards.",
)
predict = st.Page(
    "pages/predict.py",
    title="Predict",
    icon=":material/radiology:",
    help="Ask a model about a radiograph.",
)


def start() -> None:
    """Send / on to /browse: the default page has no address of its own."""
    st.switch_page(browse)


page = st.navigation(
    [st.Page(start, default=True, visibility="hidden"), browse, train, models, predict],
    position="top",
)
st.logo(PARTS / "logo.svg", size="large")
st.html(PARTS / "theme.html", unsafe_allow_javascript=True)
st.html(PARTS / "cards.css")
st.session_state["framed"] = True
page.run()
