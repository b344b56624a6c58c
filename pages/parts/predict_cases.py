"""Cases like this: the training films that are nearest to a film, and what they were."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import streamlit as st

from pages.parts.frame import class_badge, film_name
from pneumo import settings
from pneumo.datasets import gallery, sources
from pneumo.inference import cases
from pneumo.inference.cases import Case
from pneumo.inference.predictor import Predictor

COLUMNS, LEAST_WIDTH = 6, 132
PICTURE = {"width": 384, "height": 320}


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A case and its picture.

    Attributes:
        jpeg: the encoded picture; empty where the film is not at hand.
        to_browse: the Browse page can open it.
    """

    case: Case
    jpeg: bytes = b""
    to_browse: bool = False


def show_cases(predictor: Predictor, picture: np.ndarray, *, key: str) -> None:
    """The training films that the model finds most like a film.

    Args:
        picture: as the network saw the film that was asked about, uint8, shape (size, size).
        key: tells the film from every other of the session.
    """
    st.markdown("**Cases like this**")
    if predictor.cases is None:
        st.caption("This model was trained before Pneumo kept cases. Train again to see them.")
        return
    address = (key, predictor.bundle.digest, sources.chosen(settings.load()))
    known, found = st.session_state.get("cases", (None, []))
    if known != address:
        found = _find(predictor, picture)
        st.session_state["cases"] = address, found
    nearest = [it.case for it in found]
    if nearest[0].same:
        st.info(
            "This film was among those that the model learned from: its answer says little of how "
            "the model does on others.",
            icon=":material/school:",
        )
    st.markdown(summary(nearest))
    cells = st.grid(COLUMNS, min_column_width=LEAST_WIDTH, gap="small", key="cases-grid")
    for place, shown in enumerate(found):
        with cells.cell(), st.container(key=f"card-case-{place}", gap="xxsmall"):
            _card(shown, place)
    st.caption(
        f"Nearest for the network, among {len(predictor.cases.films):,} films that it learned "
        "from; a radiologist may find others more alike. *Closer than 60 %*: of the pairs of one "
        "of those films and one of the six nearest to it, 60 % are less alike."
        + (
            ""
            if all(it.jpeg for it in found)
            else " Pictures show where the data set is at hand: open it on the Browse page."
        )
    )


def summary(nearest: Sequence[Case]) -> str:
    """What the nearest films were, in a sentence or two."""
    nearest = [it for it in nearest if not it.same]
    ill = [it.film.subtype for it in nearest if it.film.label == "PNEUMONIA"]
    causes = Counter(it for it in ill if it != "unknown")
    named = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    text = (
        f"**{len(ill)} of the {len(nearest)} nearest training films are pneumonia**"
        + (f" ({named})" if named else "")
        + "."
    )
    if all(it.far for it in nearest):
        text += " All of them are far: the model has learned from no film like this."
    return text


def _find(predictor: Predictor, picture: np.ndarray) -> list[_Shown]:
    """The nearest films, with their pictures where a data set at hand has them."""
    assert predictor.cases is not None  # the caller sees to it
    size, limits = predictor.bundle.card.image_size, settings.load().image_limits
    features = predictor.feature_map(picture).mean(axis=(0, 1))
    roots = list(_roots())
    shown = []
    for case in predictor.cases.nearest(picture, features):
        found = cases.find(case, (root for root, _ in roots), size=size, limits=limits)
        if found is None:
            shown.append(_Shown(case=case))
            continue
        root, pixels = found[0], gallery.letterbox(found[1].pixels, **PICTURE)
        shown.append(_Shown(case=case, jpeg=gallery.to_jpeg(pixels), to_browse=dict(roots)[root]))
    return shown


def _roots() -> Iterator[tuple[Path, bool]]:
    """Every data set at hand and whether it is the chosen one, which comes first."""
    here = settings.load()
    chosen = sources.chosen(here)
    for source in sorted(sources.known(here), key=lambda it: it != chosen):
        try:
            yield sources.locate(source, here).root, source == chosen
        except sources.DatasetUnavailable:
            continue


def _card(shown: _Shown, place: int) -> None:
    """A picture where there is one, the class, how near, the name."""
    film, wording = shown.case.film, shown.case.wording
    badge, stem = class_badge(film.label), PurePosixPath(film.path).stem
    known = "" if film.subtype in ("normal", "unknown") else f"{film.subtype.capitalize()}. "
    facts = f"{badge}  \n:small[{known}{wording}]  \n:gray[:small[{film_name(film.path)}]]"
    if shown.jpeg:
        alternative = f"Training radiograph {stem}, {film.label.lower()}. {wording}"
        st.image(shown.jpeg, width="stretch", alt=alternative)
    if not shown.to_browse:
        st.markdown(facts)
    elif st.button(facts, key=f"open-case-{place}", type="tertiary"):
        st.switch_page("pages/browse.py", query_params={"film": film.path})
