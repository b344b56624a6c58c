"""The trainings that wait for their turn."""

from collections.abc import Callable

import streamlit as st

from pages.parts.frame import escape
from pneumo.settings import Settings
from pneumo.training import queue, runs
from pneumo.training.runs import Run

Standing = tuple[int, dict[str, str]]


def attempt(action: Callable[..., object], *arguments: object, **options: object) -> None:
    """Do what a button asks for; say why where it cannot be done."""
    try:
        action(*arguments, **options)
    except (ValueError, OSError) as problem:
        st.toast(escape(str(problem)), icon=":material/error:", duration="long")


def standing(here: Settings) -> Standing:
    """How many runs there are, and the status of those that have not ended."""
    states = {run.name: state.status for run, state in runs.states(here).items()}
    return len(states), {name: it for name, it in states.items() if it in runs.PENDING}


def place_in_line(run: Run, here: Settings) -> str:
    """How many are before a queued run, in words."""
    names = [waiting.name for waiting in queue.waiting(here)]
    before = names.index(run.name) if run.name in names else 0
    return f"{before} before it." if before else "It is the next to start."


@st.fragment(run_every=2.0)
def follow_queue(here: Settings, drawn: Standing) -> None:
    """The queue, in which runs can be moved and cancelled.

    Args:
        here: whose queue.
        drawn: as it was when the page was drawn; the page is drawn anew when somebody has
            started, stopped or deleted a run.
    """
    if standing(here) != drawn:
        st.rerun()
    waiting = queue.waiting(here)
    if not waiting:
        return
    queue.ensure_worker(here)
    with st.container(border=True, gap="xsmall", key="queue"):
        st.markdown("**Queue**")
        for place, run in enumerate(waiting, start=1):
            _waiting_run(run, place, last=place == len(waiting), here=here)


def _waiting_run(run: Run, place: int, *, last: bool, here: Settings) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False, key=f"row-{place}"
    ):
        st.markdown(f":small[{place}. {escape(run.name)}]", width="stretch")
        for icon, help, disabled, action, options in (
            ("arrow_upward", "Earlier", place == 1, queue.move, {"place": place - 1}),
            ("arrow_downward", "Later", last, queue.move, {"place": place + 1}),
            ("close", "Take out of the queue", False, queue.stop, {}),
        ):
            st.button(
                f"{help}: {escape(run.name)}",  # for those who hear it
                icon=f":material/{icon}:",
                type="tertiary",
                help=help,
                disabled=disabled,
                key=f"{icon}-{run.name}",
                on_click=attempt,
                args=(action, run, here),
                kwargs=options,
            )
