"""A verdict on paper: one A4 page for a film, a summary for many.

A report names nobody. Its films go by number and by the SHA-256 of their files, which whoever
has a file can compare; names of files, which may hold a patient's, and what a DICOM header says
of the patient are printed only where the user asks for them. Fonts and fpdf2 are loaded with the
first report.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np

from pneumo import figures, identifiers, radiograph
from pneumo.datasets import gallery
from pneumo.inference import heat_maps
from pneumo.inference.batch import Answer, Reading
from pneumo.inference.card import ModelCard
from pneumo.inference.heat_maps import GRAD_CAM
from pneumo.radiograph import Radiograph
from pneumo.settings import ImageLimits

DISCLAIMER = "Decision support, not a diagnosis."
PICTURE_SIDE = 1000
"""Of a film in a report at most, in pixels: 300 to the inch."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for every film of a report.

    Attributes:
        card: of the model that answered.
        reading: how the answers were read.
        made_at: when the report is made, with its time zone.
        note: free text of the user, in any language.
        identified: print names of files, and patient and study of DICOM files.
    """

    card: ModelCard
    reading: Reading
    made_at: datetime
    note: str = ""
    identified: bool = False

    def __post_init__(self) -> None:
        if self.made_at.utcoffset() is None:
            raise ValueError(f"`made_at` must have a time zone. Received: {self.made_at!r}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A film of a report.

    Attributes:
        number: its place among the films that were asked about, from 1; None where it is alone.
        answer: read as the report says.
        fingerprint: SHA-256 of the file; "" where it could not be read.
        identifiers: what to print of whom it shows, by what people call it.
    """

    number: int | None
    answer: Answer
    fingerprint: str
    identifiers: dict[str, str]

    @property
    def name(self) -> str:
        """What the report calls the film."""
        question = self.answer.question
        named = self.identifiers.get("File") or (question.name if question.synthetic else "")
        return named or ("Chest radiograph" if self.number is None else f"Film {self.number}")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A film and what the model saw in it, ready for paper.

    Attributes:
        film: JPEG.
        overlay: JPEG, the same film under a heat map.
        aspect: height over width of both.
        described: how the film was read.
        evidence: what the heat map shows.
    """

    film: bytes
    overlay: bytes
    aspect: float
    described: str
    evidence: str


def of_film(
    answer: Answer,
    film: Radiograph,
    terms: Terms,
    *,
    heat_map: np.ndarray,
    evidence: str,
    opacity: float = 0.45,
) -> bytes:
    """The report of one film as a PDF file of one page, or more where a note needs them.

    Args:
        answer: with a prediction.
        film: what became of its file.
        heat_map: of the overlay, float in [0, 1], shape (rows, columns).
        evidence: what it shows and by which method, in a sentence.
        opacity: of the overlay, see `figures.overlay`.

    Raises:
        OSError: the file is gone.
    """
    from pneumo.report import layout

    entry = _entry(None, answer, terms, decode=lambda data: film)
    pictures = _pictures(film, heat_map, evidence=evidence, opacity=opacity)
    return layout.of_film(entry, pictures, terms)


def of_batch(
    answers: Sequence[Answer], terms: Terms, *, limits: ImageLimits, pages: bool = True
) -> bytes:
    """The report of many films as a PDF file: a table, the most urgent first, then each film.

    Args:
        answers: as the files were given; those that could not be read too.
        pages: whether each film has a page of its own, with the Grad-CAM of its verdict.

    Raises:
        OSError, UnreadableRadiograph: a file is no longer what it was.
    """
    from pneumo.report import layout

    decode = partial(radiograph.read, limits=limits)

    def pictures(entry: Entry) -> Pictures:
        prediction = entry.answer.prediction
        assert prediction is not None
        film = decode(entry.answer.question.read())
        heat_map = prediction.evidence_for(prediction.verdict)
        evidence = heat_maps.evidence(heat_map, GRAD_CAM, prediction.verdict)
        return _pictures(film, heat_map, evidence=evidence)

    entries = [
        _entry(number, it, terms, decode=decode) for number, it in enumerate(answers, start=1)
    ]
    return layout.of_batch(entries, terms, pictures=pictures if pages else None)


def unprintable(text: str) -> str:
    """The characters of a text that a report cannot print, each once: no font here has them."""
    from pneumo.report import typesetting

    return typesetting.unprintable(text)


def _entry(
    number: int | None, answer: Answer, terms: Terms, *, decode: Callable[[bytes], Radiograph]
) -> Entry:
    data = answer.question.read() if answer.prediction is not None else b""
    named: dict[str, str] = {}
    if terms.identified:
        named["File"] = answer.question.name
        if data and decode(data).format == "DICOM":
            named |= identifiers.in_words(data)
    return Entry(
        number=number,
        answer=answer,
        fingerprint=hashlib.sha256(data).hexdigest() if data else "",
        identifiers=named,
    )


def _pictures(
    film: Radiograph, heat_map: np.ndarray, *, evidence: str, opacity: float = 0.45
) -> Pictures:
    pixels = gallery.fit(film.pixels, width=PICTURE_SIDE, height=PICTURE_SIDE)
    height, width = pixels.shape
    return Pictures(
        film=gallery.to_jpeg(pixels),
        overlay=gallery.to_jpeg(figures.overlay(pixels, heat_map, opacity=opacity)),
        aspect=height / width,
        described=f"Film: {film.description}",
        evidence=evidence,
    )
