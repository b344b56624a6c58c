"""What a model says of one film: the verdict, the original, and what the model saw in it."""

from typing import Any

import streamlit as st

from pages.parts.frame import class_name, escape
from pneumo import figures, radiograph
from pneumo.datasets import gallery
from pneumo.inference.batch import Answer, Question
from pneumo.inference.predictor import OUT_OF_SCOPE, Prediction, Verdict
from pneumo.radiograph import Radiograph
from pneumo.settings import ImageLimits

SIDES: tuple[Verdict, ...] = ("PNEUMONIA", "NORMAL")
SHOWN = 1100  # pixels a side at most, of a film on its way to the browser


def show_answer(shown: Answer, trained_on: dict[str, Any], limits: ImageLimits) -> None:
    """One film, with the data that the model was trained on."""
    name, prediction = shown.question.name, shown.prediction
    if prediction is None:
        st.error(f"**{escape(name)}** {escape(shown.error)}", icon=":material/broken_image:")
        return
    verdict, views = st.columns([4, 10], gap="medium")
    with verdict:
        _show_verdict(shown.question, prediction, trained_on)
    with views:
        _show_views(name, radiograph.read(shown.question.read(), limits=limits), prediction)


def _show_verdict(question: Question, prediction: Prediction, trained_on: dict[str, Any]) -> None:
    """The verdict and what it rests on."""
    with st.container(border=True, key="verdict"):
        st.caption(escape(question.name))
        if prediction.scope:
            st.subheader(f":gray[:material/block: {OUT_OF_SCOPE}]", anchor=False)
            st.warning("  \n".join(prediction.scope))
            st.markdown(f":gray[{prediction.wording}]")
        else:
            st.subheader(_headline(prediction), anchor=False)
        st.plotly_chart(
            figures.probability_scale(
                prediction.probability,
                prediction.threshold,
                band=prediction.band,
                muted=bool(prediction.scope),
            ),
            key="probability",
            config={"displayModeBar": False},
            alt=f"Probability of pneumonia {prediction.probability:.1%}, "
            f"threshold {prediction.threshold:.1%}, "
            f"unsure from {prediction.band[0]:.1%} to {prediction.band[1]:.1%}",
        )
        st.caption(
            f"Probability of pneumonia {100 * prediction.probability:.2f} %, called pneumonia from "
            f"{_percent(prediction.threshold)}, unsure from {_percent(prediction.band[0])} to "
            f"{_percent(prediction.band[1])}. Answered in {prediction.milliseconds:.0f} ms."
        )
        if prediction.verdict == "PNEUMONIA" and prediction.cause:
            causes = (f"{name} {share:.0%}" for name, share in prediction.cause.items())
            st.caption(f"If it is pneumonia: {', '.join(causes)}.")
        if question.synthetic and not trained_on["synthetic"]:
            st.caption(
                ":material/science: A synthetic film, and a model that learned from patients: the "
                "answer shows how the tool works, not how good the model is."
            )
        for flag in prediction.flags:
            st.warning(flag, icon=":material/report:")
        st.caption(
            ":material/stethoscope: **Decision support, not a diagnosis.** "
            f"Trained on {escape(trained_on['population'])}."
        )


def _headline(prediction: Prediction) -> str:
    """The verdict in the colour of its class, with a sign that says the same."""
    colour = "orange" if prediction.verdict == "PNEUMONIA" else "blue"
    sign = "change_history" if prediction.verdict == "PNEUMONIA" else "circle"
    if prediction.unsure:
        sign = "help"
    return f":{colour}[:material/{sign}: {prediction.wording}]"


def _percent(probability: float) -> str:
    """As short as it can be: 50 %, 3.57 %, 99.9 %."""
    return f"{100 * probability:.3g} %"


def _show_views(name: str, film: Radiograph, prediction: Prediction) -> None:
    """The original beside the same film with the heat map that the user asks for."""
    with st.container(horizontal=True, gap="large", vertical_alignment="center"):
        side = st.segmented_control(
            "Show the evidence for",
            SIDES,
            default=prediction.verdict,
            required=True,
            format_func=class_name,
            key=f"side-{prediction.verdict}",
        )
        opacity = st.slider(
            "Heat map opacity", 0, 100, 45, format="%d %%", key="opacity", width=260
        )
    heat_map = prediction.evidence_for(side)
    pixels = gallery.fit(film.pixels, width=SHOWN, height=SHOWN)
    original, explained = st.columns(2, gap="medium")
    with original:
        st.image(gallery.to_jpeg(pixels), width="stretch", alt=f"Chest radiograph {name}, original")
        st.caption(f"Original: {_describe(film)}")
    with explained:
        st.image(
            gallery.to_jpeg(figures.overlay(pixels, heat_map, opacity=opacity / 100)),
            width="stretch",
            alt=f"The same film with a heat map. {prediction.wording}",
        )
        st.caption(
            f"Grad-CAM: the brighter, the more the place speaks for {class_name(side).lower()}."
            if heat_map.any()
            else f"Grad-CAM: nothing in this film speaks for {class_name(side).lower()}."
        )


def _describe(film: Radiograph) -> str:
    """How a film was read, in a few words."""
    height, width = film.pixels.shape
    steps = [f"{width:,} × {height:,} pixels", f"{film.format}, {film.bit_depth} bit"]
    if film.windowed:
        steps.append("windowed")
    elif film.bit_depth > 8:
        steps.append("no window in the file, stretched to its darkest and brightest levels")
    if film.inverted:
        steps.append("inverted from MONOCHROME1")
    return ", ".join(steps)
