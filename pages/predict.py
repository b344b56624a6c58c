"""Ask a model about radiographs."""

import dataclasses
from functools import partial
from pathlib import Path

import streamlit as st

from pages.parts.datasets import require_dataset
from pages.parts.frame import class_badge, escape, header, require_frame
from pages.parts.models import load_predictor, model_folders, point_name
from pages.parts.predict_answer import show_answer
from pages.parts.predict_table import show_many
from pneumo import radiograph, settings
from pneumo.datasets import gallery, phantom
from pneumo.evaluation.interval import Interval
from pneumo.evaluation.operating_point import BALANCED, OperatingPoint
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
        st.error(str(damaged))
        st.stop()


def answer(questions: list[Question], predictor: Predictor) -> list[Answer]:
    """The model's answers, computed once for each file; they live and die with the session."""
    known: dict[tuple[str, str], Answer] = st.session_state.get("answers", {})
    bar = st.progress(0.0, text="Reading") if len(questions) > 4 else None
    answers = {}
    for number, question in enumerate(questions, start=1):
        address = (question.key, predictor.bundle.digest)
        answers[address] = known.get(address) or batch.answer(
            predictor, question, limits=here.image_limits
        )
        if bar is not None:
            bar.progress(number / len(questions), text=f"{number} of {len(questions)} films")
    if bar is not None:
        bar.empty()
    st.session_state["answers"] = answers  # what the user has taken away is forgotten
    return list(answers.values())


def film_of_data_set(path: str) -> Question | None:
    """The film of the chosen data set that the address names."""
    dataset, catalog = require_dataset()
    rows = catalog[catalog["path"] == path]
    if rows.empty:
        st.warning(f"{dataset.name} has no film of this name.", icon=":material/search_off:")
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


# Reading --------------------------------------------------------------------------------


def read(answers: list[Answer], points: dict[str, OperatingPoint]) -> list[Answer]:
    """The answers at the operating point and for the patients that the user chooses."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="reading"):
        name = st.segmented_control(
            "Operating point",
            list(points),
            default=BALANCED,
            required=True,
            format_func=point_name,
            key="operating-point",
            bind="query-params",
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
    return [
        dataclasses.replace(it, prediction=it.prediction.at(point, prevalence=percent / 100))
        if it.prediction is not None
        else it
        for it in answers
    ]


def measured(name: str, share: float, interval: Interval) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{name} {100 * share:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


# The page -------------------------------------------------------------------------------

with header("Predict"):
    predictor = pick_model()

uploads = st.file_uploader(
    "Drop chest radiographs here: JPEG, PNG or DICOM. They stay in memory and leave with you.",
    accept_multiple_files=True,
    key="films",
)
if uploads:
    questions = [Question(name=it.name, key=it.file_id, read=it.getvalue) for it in uploads]
else:
    one = offer_examples()
    if "film" in st.query_params:
        one = film_of_data_set(st.query_params["film"])
    questions = [one] if one is not None else []
answers = answer(questions, predictor)
if answers:
    card = predictor.bundle.card
    answers = read(answers, card.operating_points)
    shown = show_many(answers) if len(answers) > 1 else answers[0]
    show_answer(shown, card.data, here.image_limits)
