"""Verdicts to take away: a PDF file, and of a DICOM film its overlay as a DICOM file.

A form, because a click on a download would overtake a note that is still being typed. Files are
made when the form is sent, in memory, and go with the next thing that happens on the page.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import streamlit as st

from pages.parts.frame import escape
from pneumo import report, secondary_capture, settings
from pneumo.inference.batch import Answer, Reading
from pneumo.inference.card import ModelCard
from pneumo.radiograph import Radiograph, UnreadableRadiograph
from pneumo.report import Terms
from pneumo.secondary_capture import Capture

LONGEST_NOTE = 2000  # characters

_NAMED = (
    "Without it the report names nobody: films go by the SHA-256 of their files. With it, the "
    "report says {who}. Treat it like a medical record."
)
_FILE = "the name of the file, which may be a patient's"
_PATIENT = "the name of the file and, of a DICOM film, the patient's name, ID, birth, sex and study"


@st.fragment
def offer_report(
    answer: Answer,
    film: Radiograph,
    heat_map: np.ndarray,
    *,
    evidence: str,
    card: ModelCard,
    reading: Reading,
) -> None:
    """Offer the report of one film.

    Args:
        answer: with a prediction, read as `reading` says.
        film: what became of its file.
        heat_map: the one that the page shows, float in [0, 1], shape (rows, columns).
        evidence: what it shows and by which method, in a sentence.
    """
    prediction = answer.prediction
    assert prediction is not None
    limits = settings.load().image_limits
    key = _key_of([answer])
    with st.popover("Report", icon=":material/description:", key="report", width="content"):
        with st.form(f"report-{key}", border=False):
            note = _ask_for_note(key)
            identified = not answer.question.synthetic and (
                _ask_for_identifiers(key, "Include patient identifiers", _PATIENT)
                if film.format == "DICOM"
                else _ask_for_identifiers(key, "Include the name of the file", _FILE)
            )
            sent = _send("report-make")
        place = st.empty()  # takes away at once what was made before
        if not sent:
            return
        terms = _terms(card, reading, note, identified)
        capture = Capture(
            prediction=prediction,
            heat_map=heat_map,
            evidence=evidence,
            made_at=terms.made_at,
            identified=identified,
        )
        dicom = b""
        try:
            with place, st.spinner("Making the report"):
                pdf = report.of_film(answer, film, terms, heat_map=heat_map, evidence=evidence)
                if film.format == "DICOM" and secondary_capture.available():
                    dicom = secondary_capture.write(answer.question.read(), capture, limits=limits)
        except (UnreadableRadiograph, OSError) as loss:
            place.error(_in_words(loss), icon=":material/broken_image:")
            return
        with place.container():
            _offer_files(pdf, note, dicom)
            if film.format == "DICOM" and not dicom:
                st.caption(
                    f"For the overlay as DICOM: `{secondary_capture.INSTALL}`, then start Pneumo "
                    "again."
                )


@st.fragment
def offer_batch_report(answers: Sequence[Answer], *, card: ModelCard, reading: Reading) -> None:
    """Offer one report of many films: a table, the most urgent first, and each film if wanted.

    Args:
        answers: read as `reading` says, as the files were given.
    """
    key = _key_of(answers)
    with st.popover("Report", icon=":material/description:", key="batch-report", width="content"):
        with st.form(f"batch-report-{key}", border=False):
            note = _ask_for_note(key)
            pages = st.checkbox("A page for each film", key="report-pages")
            identified = _ask_for_identifiers(key, "Include patient identifiers", _PATIENT)
            sent = _send("batch-report-make")
        place = st.empty()
        if not sent:
            return
        terms = _terms(card, reading, note, identified)
        limits = settings.load().image_limits
        try:
            with place, st.spinner("Making the report"):
                pdf = report.of_batch(answers, terms, limits=limits, pages=pages)
        except (UnreadableRadiograph, OSError) as loss:
            place.error(_in_words(loss), icon=":material/broken_image:")
            return
        with place.container():
            _offer_files(pdf, note)


def _key_of(answers: Sequence[Answer]) -> str:
    """A note belongs to its films, and so does the leave to name somebody."""
    keys = "\n".join(sorted(it.question.key for it in answers))
    return hashlib.sha256(keys.encode()).hexdigest()[:12]


def _ask_for_note(key: str) -> str:
    return st.text_area(
        "Note, in any language",
        key=f"report-note-{key}",
        max_chars=LONGEST_NOTE,
        placeholder="Printed as you write it",
        height=110,
    )


def _ask_for_identifiers(key: str, label: str, who: str) -> bool:
    """Whether the report may say whom it is about; asked anew for each film."""
    identified = st.checkbox(label, key=f"report-identified-{key}")
    st.caption(f":material/person_alert: {_NAMED.format(who=who)}", width=380)
    return identified


def _send(key: str) -> bool:
    return st.form_submit_button("Make the report", type="primary", key=key)


def _terms(card: ModelCard, reading: Reading, note: str, identified: bool) -> Terms:
    made_at = datetime.now().astimezone()
    return Terms(card=card, reading=reading, made_at=made_at, note=note, identified=identified)


def _in_words(loss: UnreadableRadiograph | OSError) -> str:
    """Why there is no report: since the model was asked, a file has gone or is another one."""
    reason = loss if isinstance(loss, UnreadableRadiograph) else f"{loss.strerror}."
    return f"There is no report: a film can no longer be read. {escape(str(reason))}"


def _offer_files(pdf: bytes, note: str, dicom: bytes = b"") -> None:
    """What was made, to download, and what of the note could not be printed."""
    with st.container(horizontal=True):
        for label, content, name, mime in (
            ("PDF", pdf, "pneumo-report.pdf", "application/pdf"),
            ("Overlay as DICOM", dicom, "pneumo-overlay.dcm", "application/dicom"),
        ):
            if content:
                icon = ":material/download:"
                st.download_button(label, content, name, mime=mime, icon=icon, on_click="ignore")
    missing = report.unprintable(note)
    if missing:
        st.caption(f"No font here has {' '.join(missing)}: the report shows an empty box.")
