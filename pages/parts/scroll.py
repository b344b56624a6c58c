"""Where a page is scrolled to when it shows something else than before."""

import json
from pathlib import Path

import streamlit as st

SCRIPT = (Path(__file__).parent / "scroll.js").read_text()


def follow_scroll(*, film: str, within: str, page: int, finding: str) -> None:
    """Show each film from its top, and the list that it was opened from as it was left.

    Args:
        film: path of the film that is shown large; "" where a list is.
        within: which list that is.
        page: of the list.
        finding: of the audit that is open; "" where none is.
    """
    about = {"film": film, "list": within, "page": page, "finding": finding}
    shown = json.dumps(about).replace("<", "\\u003c")
    st.html(f"<script>{{ const shown = {shown}; {SCRIPT} }}</script>", unsafe_allow_javascript=True)
