"""What a model says of one film: the verdict, the film, and what the verdict is worth."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.parts.frame import class_badge, escape, headline
from pages.parts.predict_cases import show_cases
from pages.parts.predict_explanation import choose_heat_map, show_agreement, show_stability
from pages.parts.predict_reading import choose_reading
from pages.parts.predict_report import offer_report
from pages.parts.viewer import show_viewer
from pneumo import figures, radiograph, settings
from pneumo.evaluation.agreement import Label
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.card import ModelCard
from pneumo.inference.predictor import Prediction, Predictor
from pneumo.radiograph import Radiograph


@dataclass(frozen=True, kw_only=True)
class _Film:
    """The film that is shown, kept until another one is.

    Attributes:
        whole: as people look at it.
        picture: as the network saw it, uint8, shape (size, size).
    """

    whole: Radiograph
    picture: np.ndarray


def show_answer(
    answer: Answer,
    predictor: Predictor,
    reading: Reading | None = None,
    *,
    label: Label | None = None,
) -> None:
    """One film.

    Args:
        answer: as the model gave it.
        reading: of the answer; asked for beside the verdict where there is none yet.
        label: what the user says of the film.
    """
    name, card = answer.question.name, predictor.bundle.card
    if answer.prediction is None:
        st.error(f"**{escape(name)}** {escape(answer.error)}", icon=":material/broken_image:")
        return
    verdict, views = st.columns([4, 10], gap="medium")
    with verdict, st.container(border=True, key="verdict"):
        first = st.container()  # whoever opens the page on a phone sees the verdict first
        if reading is None:
            reading = choose_reading(card.operating_points)
        answer = reading.of(answer)
        prediction = answer.prediction
        assert prediction is not None
        with first:
            _show_verdict(answer.question, prediction, card, label)
        last = st.container()
    film = _film_of(answer.question, size=card.image_size)
    key = answer.question.key
    with views:
        heat_map, evidence = choose_heat_map(predictor, film.picture, prediction, key=key)
        show_viewer(
            film.whole.pixels,
            heat_map,
            key="viewer",
            name=name,
            description=f"The film with a heat map. {prediction.description}",
        )
        st.caption(f"{evidence} {film.whole.description}.")
        show_agreement(predictor, film.whole, film.picture, prediction, key=key)
    with last:
        offer_report(answer, film.whole, heat_map, evidence=evidence, card=card, reading=reading)
    stability, cases = st.columns([4, 10], gap="medium")
    with stability:
        show_stability(predictor, film.picture, prediction, key=key)
    with cases:
        show_cases(predictor, film.picture, key=key)


def _film_of(question: Question, *, size: int) -> _Film:
    """The film of a question, read once while it is shown; a large JPEG once more, to look at."""
    address = (question.key, size)
    known, film = st.session_state.get("film", (None, None))
    if film is None or known != address:
        data, limits = question.read(), settings.load().image_limits
        seen = radiograph.read(data, limits=limits, model_size=size)
        whole = seen if seen.reduced_from is None else radiograph.read(data, limits=limits)
        film = _Film(whole=whole, picture=radiograph.to_model_input(seen, size=size))
        st.session_state["film"] = address, film
    return film


def _show_verdict(
    question: Question, prediction: Prediction, card: ModelCard, label: Label | None
) -> None:
    """The verdict and what it rests on."""
    st.caption(escape(question.name))
    st.subheader(headline(prediction), anchor=False)
    if prediction.against_the_odds:
        st.caption(prediction.against_the_odds)
    if prediction.scope:
        st.warning("  \n".join(prediction.scope))
        st.markdown(f":gray[{prediction.wording}]")
    if label is not None:
        agrees = "agrees" if prediction.verdict == label else "disagrees"
        st.markdown(f"Labelled {class_badge(label)}: the model {agrees}.")
    st.plotly_chart(
        figures.probability_scale(
            prediction.probability,
            prediction.threshold,
            band=prediction.band,
            muted=bool(prediction.scope),
        ),
        key="probability",
        config={"displayModeBar": False},
        alt=prediction.statement,
    )
    st.caption(f"{prediction.statement} Answered in {prediction.milliseconds:.0f} ms.")
    if prediction.causes:
        st.caption(prediction.causes)
    if question.synthetic and not card.data["synthetic"]:
        st.caption(
            ":material/science: A synthetic film, and a model that learned from patients: the "
            "answer shows how the tool works, not how good the model is."
        )
    for flag in prediction.flags:
        st.warning(flag, icon=":material/report:")
    st.caption(
        ":material/stethoscope: **Decision support, not a diagnosis.** "
        f"Trained on {escape(card.data['population'])}."
    )
