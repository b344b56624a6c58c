"""Navigation and page frame."""

import gc
import sys
from pathlib import Path

import streamlit as st

from pages.parts.frame import escape
from pneumo import settings
from pneumo.inference import card
from pneumo.inference.bundle import CARD
from pneumo.training import queue, runs
from pneumo.training.runs import Run

PARTS = Path(__file__).parent / "pages" / "parts"

ENDS = {
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "failed": ":material/error:",
    "interrupted": ":material/power_off:",
}
"""How a run can end that deserves word on whatever page the user is."""

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


@st.cache_resource(show_spinner=False)
def spare_collector(modules: int) -> None:
    """Have the garbage collector look no more at what is there.

    After every run, of a fragment too, Streamlit collects garbage among all that was ever imported,
    and serves nobody meanwhile. Modules stay: it is enough to look at what came later.

    Args:
        modules: how many there are; whenever there are more it is done anew.
    """
    gc.collect()
    gc.freeze()


def start() -> None:
    """Send / on to /browse: the default page has no address of its own."""
    st.switch_page(browse)


@st.fragment(run_every=2.0)
def announce_ends() -> None:
    """Say that a training has ended, and keep the queue going."""
    here = settings.load()
    pending = set()
    for run, state in runs.states(here).items():
        if state.status in runs.PENDING:
            pending.add(run.name)
        elif state.status in ENDS and run.name in st.session_state.get("pending-runs", ()):
            outcome = outcome_of(run) if state.status == "finished" else escape(state.message)
            st.toast(
                f"**{escape(run.name)}** {state.status}  \n{outcome}",
                icon=ENDS[state.status],
                duration="long",
            )
    st.session_state["pending-runs"] = pending
    if pending:
        queue.ensure_worker(here)


def outcome_of(run: Run) -> str:
    """What a finished run has come to, as far as that can be read."""
    try:
        measured = card.from_json((run.bundle / CARD).read_text()).measurement("validation")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    auc = measured.metrics.roc_auc if measured else None
    return "" if auc is None else f"AUC {auc:.3f} on validation patients"


page = st.navigation(
    [st.Page(start, default=True, visibility="hidden"), browse, train, models, predict],
    position="top",
)
st.logo(PARTS / "logo.svg", size="large")
st.html(PARTS / "theme.html", unsafe_allow_javascript=True)
# All styles here: one that a page brings would take the place of a toast.
st.html(PARTS / "cards.css")
st.html(PARTS / "browse.css")
st.session_state["framed"] = True
if st.session_state.get("page-shown") != page.url_path:
    st.session_state["page-left"] = st.session_state.get("page-shown", "")
    st.session_state["page-shown"] = page.url_path
announce_ends()
spare_collector(len(sys.modules))
page.run()
