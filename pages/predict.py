"""Ask a model about radiographs."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from pages.parts.frame import class_badge, class_name, header, require_frame
from pages.parts.models import load_predictor, model_folders
from pneumo import figures, radiograph, settings
from pneumo.datasets import gallery, phantom
from pneumo.inference import bundle
from pneumo.inference.predictor import Prediction, Predictor
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
SHOWN = 1100  # pixels a side at most, of a film on its way to the browser
SIDES = {"PNEUMONIA": "For pneumonia", "NORMAL": "For normal"}

here = settings.load()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A film with what the model says of it, or the reason why it says nothing."""

    name: str
    film: Radiograph | None = None
    prediction: Prediction | None = None
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
    return gallery.to_jpeg(gallery.fit(pixels, width=256, height=220))


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


def answer(name: str, key: str, data: bytes, predictor: Predictor) -> Answer:
    """The model's answer, computed once for a file; it lives and dies with the session."""
    answers: dict[tuple[str, str], Answer] = st.session_state.setdefault("answers", {})
    address = (key, predictor.bundle.digest)
    if address not in answers:
        try:
            film = radiograph.read(data, limits=here.image_limits)
            answers[address] = Answer(name=name, film=film, prediction=predictor.predict(film))
        except radiograph.UnreadableRadiograph as unreadable:
            answers[address] = Answer(name=name, error=str(unreadable))
    return answers[address]


def forget_removed(files: set[str]) -> None:
    """Free the films that the user has taken away."""
    answers = st.session_state.get("answers", {})
    for address in [address for address in answers if address[0] not in files]:
        del answers[address]


def offer_examples() -> str | None:
    """Synthetic films for those without a file; the address remembers which one was taken."""
    chosen = st.query_params.get("example")

    def take(number: int) -> None:
        st.query_params["example"] = str(number)

    st.markdown("**No film at hand?** Take a synthetic one.")
    with st.grid("auto", min_column_width=96, gap="xsmall", width=820, key="examples") as cells:
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
    return chosen if chosen in {str(n) for n in range(1, len(EXAMPLES) + 1)} else None


# Answers --------------------------------------------------------------------------------


def show_answer(shown: Answer) -> None:
    """One film: the original, what the model saw in it, and the verdict."""
    if shown.film is None or shown.prediction is None:
        st.error(f"**{shown.name}** {shown.error}", icon=":material/broken_image:")
        return
    film, prediction = shown.film, shown.prediction
    verdict, original, explained = st.columns([4, 5, 5], gap="medium")
    with verdict:
        opacity, side = show_verdict(shown.name, film, prediction)
    pixels = gallery.fit(film.pixels, width=SHOWN, height=SHOWN)
    heat_map = prediction.heat_map if side == "PNEUMONIA" else prediction.heat_map_normal
    with original:
        st.image(
            gallery.to_jpeg(pixels), width="stretch", alt=f"Chest radiograph {shown.name}, original"
        )
        st.caption(f"Original: {describe(film)}")
    with explained:
        st.image(
            gallery.to_jpeg(figures.overlay(pixels, heat_map, opacity=opacity)),
            width="stretch",
            alt=f"The same film with a heat map. {prediction.wording}",
        )
        st.caption(
            f"Grad-CAM: the brighter, the more the place speaks for {side.lower()}."
            if heat_map.any()
            else f"Grad-CAM: nothing in this film speaks for {side.lower()}."
        )


def show_verdict(name: str, film: Radiograph, prediction: Prediction) -> tuple[float, str]:
    """The verdict and what it rests on. Returns the overlay's opacity and the class to explain."""
    colour = "orange" if prediction.verdict == "PNEUMONIA" else "blue"
    sign = "change_history" if prediction.verdict == "PNEUMONIA" else "circle"
    with st.container(border=True, key="verdict"):
        st.caption(name)
        st.subheader(f":{colour}[:material/{sign}: {prediction.wording}]", anchor=False)
        st.plotly_chart(
            figures.probability_scale(prediction.probability, prediction.threshold),
            key="probability",
            config={"displayModeBar": False},
            alt=f"Probability of pneumonia {prediction.probability:.1%}, "
            f"threshold {prediction.threshold:.1%}",
        )
        st.caption(
            f"Probability of pneumonia {prediction.probability:.2%}; called pneumonia from "
            f"{prediction.threshold:.2%}. Answered in {prediction.milliseconds:.0f} ms."
        )
        for flag in prediction.flags:
            st.warning(flag, icon=":material/report:")
        st.caption(
            ":material/stethoscope: **Decision support, not a diagnosis.** " + scope(predictor)
        )
    side = st.segmented_control(
        "Explain what speaks",
        list(SIDES),
        default=prediction.verdict,
        required=True,
        format_func=SIDES.__getitem__,
        key=f"side-{prediction.verdict}",
    )
    opacity = st.slider("Heat map opacity", 0, 100, 45, format="%d %%", key="opacity")
    return opacity / 100, side


def scope(predictor: Predictor) -> str:
    """Whose films the model has learned from."""
    if predictor.bundle.card.data["synthetic"]:
        return "This model has seen synthetic films only."
    return "Trained on children aged one to five."


def describe(film: Radiograph) -> str:
    """How a film was read, in a few words."""
    height, width = film.pixels.shape
    steps = [f"{width:,} × {height:,} pixels", f"{film.format}, {film.bit_depth} bit"]
    if film.windowed:
        steps.append("windowed")
    if film.inverted:
        steps.append("inverted from MONOCHROME1")
    return ", ".join(steps)


def show_many(answers: list[Answer]) -> Answer:
    """All films as a table, the most suspicious first. Returns the one to look at."""
    order = sorted(
        answers, key=lambda it: -it.prediction.probability if it.prediction is not None else 1.0
    )
    table = pd.DataFrame(
        {
            "File": [it.name for it in order],
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
        selection_default={"selection": {"rows": [0]}},
        height=min(38 + 35 * len(table), 300),
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Probability": st.column_config.ProgressColumn(
                "Probability of pneumonia", min_value=0, max_value=1, format="percent"
            ),
        },
    )
    return order[event["selection"]["rows"][0]]


# The page -------------------------------------------------------------------------------

with header("Predict"):
    predictor = pick_model()

uploads = st.file_uploader(
    "Drop chest radiographs here: JPEG, PNG or DICOM. They stay in memory and leave with you.",
    accept_multiple_files=True,
    key="films",
)
forget_removed({upload.file_id for upload in uploads})
if uploads:
    bar = st.progress(0.0, text="Reading") if len(uploads) > 4 else None
    answers = []
    for number, upload in enumerate(uploads, start=1):
        answers.append(answer(upload.name, upload.file_id, upload.getvalue(), predictor))
        if bar is not None:
            bar.progress(number / len(uploads), text=f"{number} of {len(uploads)} films")
    if bar is not None:
        bar.empty()
    show_answer(show_many(answers) if len(answers) > 1 else answers[0])
else:
    chosen = offer_examples()
    if chosen is not None:
        subtype, seed = EXAMPLES[int(chosen) - 1]
        name = f"Synthetic film, made as {subtype}"
        show_answer(answer(name, f"example-{chosen}", example(subtype, seed), predictor))
