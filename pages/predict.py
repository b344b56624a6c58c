"""Ask a model about radiographs."""

from functools import partial
from pathlib import Path

import streamlit as st

from pages.parts.datasets import require_dataset
from pages.parts.frame import class_badge, escape, header, require_frame
from pages.parts.models import load_predictor, model_folders
from pages.parts.predict_answer import show_answer
from pages.parts.predict_files import drop_zone
from pages.parts.predict_many import follow, forget, show_many
from pages.parts.predict_reading import choose_reading, keep_reading
from pneumo import radiograph, settings
from pneumo.datasets import gallery, phantom
from pneumo.inference import batch, bundle
from pneumo.inference.batch import Answer, Question
from pneumo.inference.predictor import Predictor

require_frame()

# Kind and random seed of the synthetic films on offer.
EXAMPLES: tuple[tuple[phantom.Subtype, int], ...] = (
    ("normal", 1),
    ("normal", 2),
    ("bacterial", 3),
    ("bacterial", 4),
    ("viral", 5),
    ("viral", 6),
)

here = settings.load()


# Models and films -----------------------------------------------------------------------


@st.cache_data(show_spinner=False)
def example(subtype: phantom.Subtype, seed: int) -> bytes:
    """A synthetic film as a JPEG file."""
    return gallery.to_jpeg(phantom.acquire(subtype, seed=seed).pixels, quality=95)


@st.cache_data(show_spinner=False)
def thumbnail(subtype: phantom.Subtype, seed: int) -> bytes:
    """A synthetic film as a small JPEG file, all of one shape."""
    pixels = radiograph.read(example(subtype, seed)).pixels
    return gallery.to_jpeg(gallery.letterbox(pixels, width=240, height=200))


def pick_model() -> Predictor:
    """The model that the address or the user names."""
    folders = model_folders()
    name = st.selectbox(
        "Model",
        list(folders),
        key="model",
        bind="query-params",
        label_visibility="collapsed",
        icon=":material/deployed_code:",
        width=330,
        required=True,
    )
    try:
        return load_predictor(folders[name])
    except bundle.BundleError as damaged:
        st.error(escape(str(damaged)))
        st.stop()


def answer(question: Question, predictor: Predictor) -> Answer:
    """The model's answer, computed once; it lives and dies with the session."""
    address = (question.key, predictor.bundle.digest)
    known, answered = st.session_state.get("answer", (None, None))
    if answered is None or known != address:
        answered = batch.answer(predictor, question, limits=here.image_limits)
        st.session_state["answer"] = address, answered
    return answered


def forget_film() -> None:
    """What the user has taken away is forgotten: the film, and all that was found in it."""
    for kept in ("answer", "film", "explained", "cases"):
        st.session_state.pop(kept, None)


def film_of_data_set(path: str) -> Question | None:
    """The film of the chosen data set that the address names."""
    dataset, catalog = require_dataset()
    rows = catalog[catalog["path"] == path]
    if rows.empty:
        st.warning(
            f"{escape(dataset.name)} has no film of this name.", icon=":material/search_off:"
        )
        return None
    film = rows.iloc[0]
    st.markdown(
        f"From {escape(dataset.name)}, labelled {class_badge(film['label'], film['subtype'])}",
    )
    return Question(
        name=Path(path).name,
        key=f"{dataset.root}/{path}",
        read=(dataset.root / path).read_bytes,
        synthetic=dataset.synthetic,
    )


def offer_examples() -> Question | None:
    """Synthetic films for those without a file; the address remembers which one was taken."""
    chosen = st.query_params.get("example")

    def take(number: int) -> None:
        st.query_params.pop("film", None)
        st.query_params["example"] = str(number)

    st.markdown("**No film at hand?** Take a synthetic one.")
    with st.grid("auto", min_column_width=88, gap="xsmall", width=720, key="examples") as cells:
        for number, (subtype, seed) in enumerate(EXAMPLES, start=1):
            with cells.cell(), st.container(gap="xxsmall", key=f"card-example-{number}"):
                st.image(
                    thumbnail(subtype, seed),
                    width="stretch",
                    alt=f"Synthetic radiograph, made as {subtype}",
                )
                st.button(
                    subtype.capitalize(),
                    key=f"example-{number}",
                    type="tertiary",
                    icon=":material/check:" if chosen == str(number) else None,
                    on_click=take,
                    args=(number,),
                )
    for number, (subtype, seed) in enumerate(EXAMPLES, start=1):
        if chosen == str(number):
            name = f"Synthetic film, made as {subtype}"
            return Question(
                name=name,
                key=f"example {number}",
                read=partial(example, subtype, seed),
                synthetic=True,
            )
    return None


# The page -------------------------------------------------------------------------------

keep_reading()
with header("Predict"):
    predictor = pick_model()

files, beside = st.columns(2, gap="large")
with files:
    dropped = drop_zone(here.image_limits)
questions = list(dropped.questions)
one = None
if not questions:
    with beside:
        one = offer_examples()
if "film" in st.query_params:  # a link was followed, with or without files from before
    one = film_of_data_set(st.query_params["film"])
if one is not None:
    questions = [one]
if len(dropped.questions) < 2:
    forget()
if len(questions) > 1:
    st.session_state.pop("answer", None)  # of a film by itself
    running = follow(questions, predictor, here.image_limits)
    with beside:
        reading = choose_reading(predictor.bundle.card.operating_points)
    shown = show_many(running, reading, dropped, here.image_limits)
    if shown is not None:
        show_answer(shown, predictor, reading, label=dropped.labels.get(shown.question.key))
    else:
        forget_film()
elif questions:
    shown = answer(questions[0], predictor)
    show_answer(shown, predictor, label=dropped.labels.get(shown.question.key))
else:
    forget_film()
