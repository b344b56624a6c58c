"""What sets one run apart from another, and the recipe of a run."""

from pathlib import Path

import streamlit as st

from pages.parts.frame import escape
from pages.parts.models import read_bundle
from pages.parts.train_recipe import show_differences, take_over
from pneumo.evaluation.comparison import Comparison
from pneumo.inference.bundle import CARD
from pneumo.training import runs
from pneumo.training.recipe import PRESETS, InvalidRecipe, Recipe, differences
from pneumo.training.runs import Run

SIGNIFICANT = 0.05


@st.fragment
def compare(run: Run, finished: list[Run]) -> None:
    """A run beside another: their recipes, and a paired test on validation images of both.

    Args:
        run: has finished.
        finished: the others that have.
    """
    with st.expander("Compare with another run", icon=":material/compare_arrows:", key="comparing"):
        if not finished:
            st.caption("No other run has finished yet.")
            return
        names = {other.name: other for other in finished}
        name = st.selectbox(
            "Compare with",
            list(names),
            None,
            placeholder="Choose a finished run",
            label_visibility="collapsed",
            key="compared",
        )
        if name is None:
            return
        other = names[name]
        try:
            show_differences(run.recipe, other.recipe, names=("This run", "The other"))
            result = _compare(run.folder, other.folder)
        except (ValueError, OSError) as problem:
            st.warning(escape(str(problem)), icon=":material/compare_arrows:")
            return
        st.markdown("  \n".join(in_words(result)))
        for one in (run, other):
            if (one.bundle / CARD).is_file() and (caveat := read_bundle(one.bundle).card.caveat):
                st.caption(f"{escape(one.name)}: {escape(caveat)}")


def in_words(result: Comparison) -> list[str]:
    """A comparison in sentences, for people; the second model is "the other"."""
    interval = result.auc_difference_interval
    if result.auc_p_value is None:
        test, verdict = "too few images for a test", "These images cannot tell them apart."
    else:
        test = f"p {_p_value(result.auc_p_value)} (DeLong)"
        beyond_chance = result.auc_p_value < SIGNIFICANT
        verdict = "More than chance explains." if beyond_chance else "No more than chance explains."
    return [
        f"On **{result.images:,} validation images** of both:",
        f"AUC {result.first_auc:.4f} for this run, {result.second_auc:.4f} for the other, "
        f"difference **{result.auc_difference:+.4f}** (95 % interval {interval.low:+.4f} to "
        f"{interval.high:+.4f}), {test}. {verdict}",
        f"Accuracy {result.first_accuracy:.4f} and {result.second_accuracy:.4f}: only this run is "
        f"right on {result.only_first_correct:,} images, only the other on "
        f"{result.only_second_correct:,}, p {_p_value(result.verdict_p_value)} (McNemar).",
    ]


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"= {value:.3f}"


@st.cache_data(show_spinner=False, max_entries=50)
def _compare(first: Path, second: Path) -> Comparison:
    # A finished run stays as it is, and the bootstrap takes a while.
    return runs.compare(Run(first), Run(second))


@st.fragment
def show_recipe(run: Run) -> None:
    """The recipe of a run, and the way to train by it again."""
    with st.expander("Recipe", icon=":material/description:", key="run-recipe"):
        try:
            recipe = run.recipe
        except InvalidRecipe:
            return
        near = _nearest_preset(recipe)
        st.caption(f"Compared with the preset {near.name}:")
        show_differences(near, recipe, names=(near.name.capitalize(), "This run"))
        if st.button(
            "Put it into the form",
            icon=":material/edit:",
            key="reuse",
            on_click=take_over,
            args=(recipe,),
        ):
            st.rerun()


def _nearest_preset(recipe: Recipe) -> Recipe:
    """The preset of its name, else the one with the fewest differences."""
    if recipe.name in PRESETS:
        return PRESETS[recipe.name]
    return min(PRESETS.values(), key=lambda preset: len(differences(preset, recipe)))
