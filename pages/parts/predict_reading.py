"""At which operating point, and for which patients, answers are read."""

from collections.abc import Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.parts.frame import measured
from pages.parts.models import point_name
from pneumo.evaluation.operating_point import BALANCED, OperatingPoint
from pneumo.inference.batch import Reading

BOUND = frozenset({"model", "operating-point", "prevalence"})
"""Controls whose values the address says."""


def keep_reading() -> None:
    """Keep the model and how it is read when somebody goes back to an address that names neither.

    Streamlit leaves such an address in the history when a page is left, and on the way back sets
    the controls to their defaults: the same films would get other answers. In a run of its own
    the page goes by what the session knows, and the address is put right.
    """
    run = get_script_run_ctx()
    if run is not None and run.is_history_navigation and BOUND.isdisjoint(st.query_params):
        st.rerun()


def choose_reading(points: Mapping[str, OperatingPoint]) -> Reading:
    """Ask for the operating point and the prevalence; nothing is predicted again."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="reading"):
        name = st.segmented_control(
            "Operating point",
            list(points),
            default=BALANCED,
            required=True,
            format_func=point_name,
            key="operating-point",
            bind="query-params",
            wrap=True,
        )
        percent = st.slider(
            "How common is pneumonia among your patients?",
            1,
            99,
            50,
            format="%d %%",
            key="prevalence",
            bind="query-params",
            width=330,
            help="Restates the probability and the threshold. The verdict stays with the operating "
            "point.",
        )
        point = points[name]
        st.caption(
            f"{measured('Sensitivity', point.sensitivity, point.sensitivity_interval)}, "
            f"{measured('specificity', point.specificity, point.specificity_interval)} on "
            "validation patients. The slider changes the probability, never the verdict.",
            width=430,
        )
    return Reading(name=name, point=point, prevalence=percent / 100)
