"""Where a page is scrolled to when it shows a film instead of a list, or the list again."""

import json
from pathlib import Path

import streamlit as st

SCRIPT = (Path(__file__).parent / "scroll.js").read_text()


def follow_scroll(*, film: str, within: str) -> None:
    """Show each film from its top, and the list that it was opened from as it was left.

    Args:
        film: path of the film that is shown large; "" where a list is.
        within: which list that is.
    """
    shown = json.dumps({"film": film, "list": within}).replace("<", "\\u003c")
    st.html(f"<script>{{ const shown = {shown}; {SCRIPT} }}</script>", unsafe_allow_javascript=True)
