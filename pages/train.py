"""Train."""

import streamlit as st

from pages import require_frame

require_frame()
st.title("Train")
