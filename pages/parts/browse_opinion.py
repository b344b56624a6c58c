"""Films of the data set in full, and what a model says of one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.frame import escape, headline
from pneumo import radiograph, settings
from pneumo.inference.cases import are_same, fingerprints
from pneumo.inference.predictor import Prediction, Predictor, percent, two_decimals
from pneumo.radiograph import Radiograph

LEARNED = "The model has learned from this very film"


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a model says of a film.

    Attributes:
        prediction: at the balanced operating point.
        picture: as the network saw the film, uint8, shape (size, size).
        learned: the film was among those that the model learned from.
    """

    prediction: Prediction
    picture: np.ndarray
    learned: bool


def read_film(root: Path, film: pd.Series) -> Radiograph:
    """A film as people look at it, kept while it may be looked at again.

    Raises:
        UnreadableRadiograph, OSError: it cannot be shown.
    """
    return _read_film(root / film["path"], film["digest"])


def opinion_of(predictor: Predictor, root: Path, film: pd.Series) -> Opinion:
    """What a model says of a film; computed once.

    Raises:
        UnreadableRadiograph, OSError: it cannot be read, or no longer.
    """
    return _opinion_of(root / film["path"], film["digest"], predictor.bundle.digest, predictor)


def show_opinion(opinion: Opinion, predictor: Predictor, film: pd.Series) -> None:
    """The verdict beside the label, and what it is worth."""
    prediction = opinion.prediction
    st.markdown(f"**{headline(prediction)}**")
    doubts = [*prediction.scope, *prediction.flags]
    settled = not (prediction.scope or prediction.unsure)
    if settled and prediction.verdict != film["label"]:
        doubts.append("The model disagrees with the label.")
    if opinion.learned:
        odd = " and finds it odd all the same" if prediction.scope else ""
        doubts.append(f"{LEARNED}{odd}.")
    for doubt in doubts:
        st.markdown(f":material/report: {doubt}")
    st.caption(
        f"Probability of pneumonia {two_decimals(prediction.probability)}, called pneumonia from "
        f"{percent(prediction.threshold)}, by {escape(predictor.bundle.card.name)}.  \n"
        ":material/stethoscope: **Decision support, not a diagnosis.**"
    )


@st.cache_resource(show_spinner=False, max_entries=12)
def _read_film(path: Path, digest: str) -> Radiograph:
    return radiograph.read_file(path, limits=settings.load().image_limits)


@st.cache_resource(show_spinner=False, max_entries=200)
def _opinion_of(path: Path, digest: str, model_digest: str, _predictor: Predictor) -> Opinion:
    size = _predictor.bundle.card.image_size
    seen = radiograph.read_file(path, limits=settings.load().image_limits, model_size=size)
    picture = radiograph.to_model_input(seen, size=size)
    cases = _predictor.cases
    same = cases is not None and are_same(cases.fingerprints, fingerprints([picture])[0]).any()
    return Opinion(prediction=_predictor.predict(seen), picture=picture, learned=bool(same))
