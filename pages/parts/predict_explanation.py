"""For those who ask why: heat maps of four methods, their agreement, what would change the answer.

All of it is computed when it is first asked for and remembered for the film that is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from pages.parts.frame import class_name
from pneumo import figures
from pneumo.datasets import gallery
from pneumo.evaluation.explanations import mean_overlap, overlap
from pneumo.inference import heat_maps, stability
from pneumo.inference.heat_maps import GRAD_CAM, METHODS, OCCLUSION, Method
from pneumo.inference.predictor import OUT_OF_SCOPE, Prediction, Predictor, Verdict
from pneumo.inference.stability import Stability
from pneumo.radiograph import Radiograph

SIDES: tuple[Verdict, ...] = ("PNEUMONIA", "NORMAL")
SMALL = 320  # pixels a side at most, of the overlays that are shown side by side


@dataclass(kw_only=True)
class _Explained:
    """What is known of a film by now.

    Attributes:
        address: the film's key and the model's digest.
        maps: by method.
        varied: as `stability.vary` gives them.
    """

    address: tuple[str, str]
    maps: dict[Method, dict[Verdict, np.ndarray]]
    varied: dict[str, float] = field(default_factory=dict)


# Heat maps ------------------------------------------------------------------------------


def choose_heat_map(
    predictor: Predictor, picture: np.ndarray, prediction: Prediction, *, key: str
) -> tuple[np.ndarray, str]:
    """Ask for which class and by which method the film shall be explained.

    Args:
        picture: what the model saw of the film, as `to_model_input` makes it.
        key: tells the film from every other of the session.

    Returns: the heat map as `Prediction.heat_map` is, and what it says, in a line of plain words.
    """
    with st.container(horizontal=True, gap="medium"):
        side = _choose_side(prediction)
        method = st.segmented_control(
            "Method", METHODS, default=GRAD_CAM, required=True, key="heat-map-method", wrap=True
        )
    heat_map = _maps(predictor, picture, prediction, method, key=key)[side]
    return heat_map, heat_maps.evidence(heat_map, method, side)


def _choose_side(prediction: Prediction) -> Verdict:
    return st.segmented_control(
        "Show the evidence for",
        SIDES,
        default=prediction.verdict,
        required=True,
        format_func=class_name,
        key=f"side-{prediction.verdict}",
    )


def show_agreement(
    predictor: Predictor,
    film: Radiograph,
    picture: np.ndarray,
    prediction: Prediction,
    *,
    key: str,
) -> None:
    """The four methods side by side, and how far they agree, once somebody asks.

    Args:
        film: as people look at it.
        picture: what the model saw of it.
        key: tells the film from every other of the session.
    """
    with st.expander("Do four methods agree?", key="agreement", on_change="rerun") as asked:
        if not asked.open:
            return
        side: Verdict = st.session_state.get(f"side-{prediction.verdict}", prediction.verdict)
        maps = [_maps(predictor, picture, prediction, it, key=key)[side] for it in METHODS]
        st.markdown(_agreement(maps, side))
        pixels = gallery.fit(film.pixels, width=SMALL, height=SMALL)
        with st.grid(4, min_column_width=130, gap="small") as cells:
            for method, heat_map in zip(METHODS, maps, strict=True):
                with cells.cell(), st.container(gap="xxsmall"):
                    st.image(
                        gallery.to_jpeg(figures.overlay(pixels, heat_map, opacity=0.6)),
                        width="stretch",
                        alt=f"The film with the heat map of {method} for {class_name(side)}",
                    )
                    st.caption(f"{method}{'' if heat_map.any() else ': empty'}")


def _agreement(maps: Sequence[np.ndarray], side: Verdict) -> str:
    """How far the methods agree, occlusion being the last."""
    *activation_maps, occluded = maps
    asked = np.mean([overlap(it, occluded) for it in activation_maps])
    return (
        f"Evidence for {class_name(side).lower()}, agreement of the four methods: "
        f"**{mean_overlap(maps):.2f}** (mean overlap of the brightest fifths; 0.11 by chance).  \n"
        f"Grad-CAM, Grad-CAM++ and LayerCAM read the same weights: "
        f"**{mean_overlap(activation_maps):.2f}** among them. Occlusion hides place after place "
        f"and asks the model again: **{asked:.2f}** with the others."
        + ("" if all(it.any() for it in maps) else " An empty map agrees with none.")
    )


def _maps(
    predictor: Predictor, picture: np.ndarray, prediction: Prediction, method: Method, *, key: str
) -> dict[Verdict, np.ndarray]:
    """The heat maps by a method, computed once."""
    maps = _explained(prediction, key).maps
    if method not in maps:
        with st.spinner("Hiding place after place" if method == OCCLUSION else "Explaining"):
            maps[method] = heat_maps.heat_maps(predictor, picture, method)
    return maps[method]


def _explained(prediction: Prediction, key: str) -> _Explained:
    """What is known of the film that is shown; of the one before, it is forgotten."""
    address = (key, prediction.model_digest)
    known: _Explained | None = st.session_state.get("explained")
    if known is None or known.address != address:
        own: dict[Verdict, np.ndarray] = {side: prediction.evidence_for(side) for side in SIDES}
        known = st.session_state["explained"] = _Explained(address=address, maps={GRAD_CAM: own})
    return known


# Stability ------------------------------------------------------------------------------


def show_stability(
    predictor: Predictor, picture: np.ndarray, prediction: Prediction, *, key: str
) -> None:
    """What would change the model's mind.

    Args:
        picture: what the model saw of the film.
        key: tells the film from every other of the session.
    """
    known = _explained(prediction, key)
    if not known.varied:
        known.varied = stability.vary(predictor, picture)
    found = stability.judge(prediction, known.varied)
    st.markdown("**What would change its mind**")
    st.plotly_chart(
        figures.stability(
            found.probability,
            found.varied,
            found.threshold,
            band=found.band,
            muted=bool(prediction.scope),
        ),
        key="stability",
        config={"displayModeBar": False},
        alt="Probability of pneumonia of the film and its variations: "
        + ", ".join(f"{name} {_percent(it)}" for name, it in found.varied.items()),
    )
    if prediction.scope:
        st.markdown(f":gray[{OUT_OF_SCOPE}: what holds or turns here is no verdict.]")
    else:
        st.markdown(_verdict_of(found))
    st.caption(
        "The same film mirrored, cropped by 5 % on each side, slightly blurred, with a fifth less "
        "or more contrast and brightness: nothing that touches the disease. Triangles stand for "
        "pneumonia, circles for normal."
    )


def _verdict_of(found: Stability) -> str:
    """Whether the verdict holds, in words."""
    low, high = (_percent(it) for it in found.range)
    between = f"always {low}" if low == high else f"between {low} and {high}"
    if found.turned:
        return f"**Unstable**: {between}, the verdict turns when {_listed(found.turned)}."
    if found.unsure:
        return (
            f"**Stable**, but not always sure: {between}, never the other verdict, unsure when "
            f"{_listed(found.unsure)}."
        )
    return f"**Stable**: {between}, the verdict holds every time."


def _listed(names: Sequence[str]) -> str:
    """Names of variations behind "when"."""
    phrases = [f"given {name}" if " " in name else name for name in names]
    return " or ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else phrases[0]


def _percent(probability: float) -> str:
    """As short as it can be; no film makes a model certain."""
    percent = min(max(100 * probability, 0.1), 99.9)
    return f"{percent:.0f} %" if 1 <= percent <= 99 else f"{percent:.1f} %"
