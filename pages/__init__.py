"""The pages; here is what they share."""

import runpy

import streamlit as st

from pneumo.settings import REPOSITORY


def require_frame() -> None:
    """Hand over to `streamlit_app.py` when a page was run without it.

    Until `st.navigation` has run once, Streamlit takes a folder named `pages` for the
    navigation: the address of a page, opened on a fresh server, runs that page alone.
    """
    if "framed" not in st.session_state:
        runpy.run_path(str(REPOSITORY / "streamlit_app.py"), run_name="__main__")
        st.stop()
