"""Ask a model about radiographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.datasets import require_dataset
from pages.parts.frame import class_badge, class_name, escape, header, require_frame
from pages.parts.models import load_predictor, model_folders
from pneumo import figures, radiograph, settings
from pneumo.datasets import gallery, phantom
from pneumo.inference import bundle
from pneumo.inference.predictor import Prediction, Predictor, Verdict
from pneumo.radiograph import Radiograph

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
SIDES: tuple[Verdict, ...] = ("PNEUMONIA", "NORMAL")
SHOWN = 1100  # pixels a side at most, of a film on its way to the browser

here = settings.load()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A file that the user asks about.

    Attributes:
        name: for people.
        key: tells it from every other file of the session.
        data: its content.
        synthetic: no patient's film.
    """

    name: str
    key: str
    data: bytes
    synthetic: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says of a file, or the reason why it says nothing."""

    question: Question
    prediction: Prediction | None
    error: str = ""


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
        answers[address] = known.get(address) or ask(question, predictor)
        if bar is not None:
            bar.progress(number / len(questions), text=f"{number} of {len(questions)} films")
    if bar is not None:
        bar.empty()
    st.session_state["answers"] = answers  # what the user has taken away is forgotten
    return list(answers.values())


def ask(question: Question, predictor: Predictor) -> Answer:
    """One answer."""
    try:
        film = radiograph.read(question.data, limits=here.image_limits)
    except radiograph.UnreadableRadiograph as unreadable:
        return Answer(question=question, prediction=None, error=str(unreadable))
    return Answer(question=question, prediction=predictor.predict(film))


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
    try:
        data = (dataset.root / path).read_bytes()
    except OSError as error:
        st.warning(f"The film cannot be opened: {error.strerror}.", icon=":material/broken_image:")
        return None
    return Question(
        name=Path(path).name, key=f"{dataset.root}/{path}", data=data, synthetic=dataset.synthetic
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
                name=name, key=f"example {number}", data=example(subtype, seed), synthetic=True
            )
    return None


# Answers --------------------------------------------------------------------------------


def show_answer(shown: Answer, trained_on: dict[str, Any]) -> None:
    """One film: the verdict, the original, and what the model saw in it."""
    name, prediction = shown.question.name, shown.prediction
    if prediction is None:
        st.error(f"**{escape(name)}** {escape(shown.error)}", icon=":material/broken_image:")
        return
    verdict, views = st.columns([4, 10], gap="medium")
    with verdict:
        show_verdict(shown.question, prediction, trained_on)
    with views:
        film = radiograph.read(shown.question.data, limits=here.image_limits)
        show_views(name, film, prediction)


def show_views(name: str, film: Radiograph, prediction: Prediction) -> None:
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
        st.caption(f"Original: {describe(film)}")
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


def show_verdict(question: Question, prediction: Prediction, trained_on: dict[str, Any]) -> None:
    """The verdict and what it rests on, with the data that the model was trained on."""
    colour = "orange" if prediction.verdict == "PNEUMONIA" else "blue"
    sign = "change_history" if prediction.verdict == "PNEUMONIA" else "circle"
    with st.container(border=True, key="verdict"):
        st.caption(escape(question.name))
        st.subheader(f":{colour}[:material/{sign}: {prediction.wording}]", anchor=False)
        st.plotly_chart(
            figures.probability_scale(prediction.probability, prediction.threshold),
            key="probability",
            config={"displayModeBar": False},
            alt=f"Probability of pneumonia {prediction.probability:.1%}, "
            f"threshold {prediction.threshold:.1%}",
        )
        st.caption(
            f"Probability of pneumonia {100 * prediction.probability:.2f} %, called pneumonia from "
            f"{100 * prediction.threshold:.0f} %. Answered in {prediction.milliseconds:.0f} ms."
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


def describe(film: Radiograph) -> str:
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


def show_many(answers: list[Answer]) -> Answer:
    """All files as a table: those not read, then the most suspicious. Returns the one to show."""
    order = sorted(
        answers, key=lambda it: -it.prediction.probability if it.prediction is not None else -2.0
    )
    table = pd.DataFrame(
        {
            "File": [it.question.name for it in order],
            "Verdict": [
                class_name(it.prediction.verdict) if it.prediction else "Not read" for it in order
            ],
            "Probability": [it.prediction.probability if it.prediction else None for it in order],
            "Remarks": [
                " ".join(it.prediction.flags) if it.prediction else it.error for it in order
            ],
        }
    )
    called = (table["Verdict"] == "Pneumonia").sum()
    unread = (table["Verdict"] == "Not read").sum()
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(
            f"**{len(table)} films**: {class_badge('PNEUMONIA')} {called} "
            f"{class_badge('NORMAL')} {len(table) - called - unread}"
            + (f" :gray-badge[Not read] {unread}" if unread else "")
        )
        st.download_button(
            "Download as CSV",
            table.to_csv(index=False),
            "pneumo-predictions.csv",
            mime="text/csv",
            icon=":material/download:",
        )
    event = st.dataframe(
        table,
        hide_index=True,
        key="table",
        on_select="rerun",
        selection_mode="single-row-required",
        # The first that can be shown.
        selection_default={"selection": {"rows": [int(unread) if unread < len(table) else 0]}},
        height=min(38 + 35 * len(table), 300),
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Probability": st.column_config.ProgressColumn(
                "Probability of pneumonia", min_value=0, max_value=1, format="percent"
            ),
        },
    )
    # A row that was selected in a longer table may be gone.
    return order[min(event["selection"]["rows"][0], len(order) - 1)]


# The page -------------------------------------------------------------------------------

with header("Predict"):
    predictor = pick_model()

uploads = st.file_uploader(
    "Drop chest radiographs here: JPEG, PNG or DICOM. They stay in memory and leave with you.",
    accept_multiple_files=True,
    key="films",
)
if uploads:
    questions = [Question(name=it.name, key=it.file_id, data=it.getvalue()) for it in uploads]
else:
    one = offer_examples()
    if "film" in st.query_params:
        one = film_of_data_set(st.query_params["film"])
    questions = [one] if one is not None else []
answers = answer(questions, predictor)
if answers:
    shown = show_many(answers) if len(answers) > 1 else answers[0]
    show_answer(shown, predictor.bundle.card.data)
