"""Where everything stands on the pages of a report."""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import metadata
from io import BytesIO

from pneumo import __version__, figures
from pneumo.evaluation.interval import Interval
from pneumo.inference import records
from pneumo.inference.batch import Answer
from pneumo.inference.predictor import OUT_OF_SCOPE, Prediction, percent, two_decimals
from pneumo.report import DISCLAIMER, Entry, Pictures, Terms
from pneumo.report.typesetting import (
    BOTTOM,
    INK,
    MARGIN,
    QUIET,
    TEXT_WIDTH,
    WHITE,
    Colour,
    Sheet,
    colour,
    tint,
    unprintable,
)

NORMAL, PNEUMONIA, NEUTRAL = map(colour, (figures.NORMAL, figures.PNEUMONIA, figures.NEUTRAL))

_COLOURS: dict[str, Colour] = {"Pneumonia": PNEUMONIA, "Normal": NORMAL}

_INSET = 6.0
_GAP = 5.0
_PICTURE_HEIGHT = 84.0


def of_film(entry: Entry, pictures: Pictures, terms: Terms) -> bytes:
    """The report of one film, a PDF file."""
    sheet = _sheet(terms, films=1)
    bottom = _film(sheet, entry, pictures, terms)
    _note(sheet, bottom, terms.note)
    return bytes(sheet.output())


def of_batch(
    entries: Sequence[Entry], terms: Terms, *, pictures: Callable[[Entry], Pictures] | None
) -> bytes:
    """The report of many films, a PDF file.

    Args:
        pictures: of an entry with a prediction, made when its page is; None: no such pages.
    """
    sheet = _sheet(terms, films=len(entries))
    entries = sorted(entries, key=lambda it: records.urgency(it.answer))
    _summary(sheet, entries, terms)
    for entry in entries:
        if pictures is not None and entry.answer.prediction is not None:
            _film(sheet, entry, pictures(entry), terms)
    return bytes(sheet.output())


def _sheet(terms: Terms, *, films: int) -> Sheet:
    title = "Chest radiograph" if films == 1 else f"{films} chest radiographs"
    return Sheet(
        title=f"{title}, read by the model {terms.card.name}",
        foot=(DISCLAIMER, f"Pneumo {__version__}, for research and teaching."),
        made_at=terms.made_at,
    )


# A film ---------------------------------------------------------------------------------


def _film(sheet: Sheet, entry: Entry, pictures: Pictures, terms: Terms) -> float:
    """A page of its own. Returns where its details end."""
    prediction = entry.answer.prediction
    assert prediction is not None
    y = _head(sheet, terms, title=entry.name)
    y = sheet.text_at(MARGIN, y + 0.5, _identity(entry), size=8, ink=QUIET)
    y = _verdict(sheet, y + 4, entry.answer, prediction)
    y = _pictures(sheet, y + _GAP, pictures, prediction)
    return _details(sheet, y + 3.5, _film_details(prediction, entry, terms))


def _head(sheet: Sheet, terms: Terms, *, title: str) -> float:
    sheet.add_page()
    sheet.text_at(MARGIN, 13, "Pneumo", size=9, bold=True)
    sheet.text_at(MARGIN, 13.3, _moment(terms), size=8, ink=QUIET, align="R")
    sheet.rule(19)
    return sheet.text_at(MARGIN, 23.5, title, size=17, bold=True)


def _moment(terms: Terms) -> str:
    offset = terms.made_at.strftime("%z")
    return f"Read {terms.made_at:%Y-%m-%d %H:%M}, UTC{offset[:3]}:{offset[3:5]}"


def _identity(entry: Entry) -> str:
    """What ties the page to a file, and to a patient where the user wants that."""
    lines = [f"SHA-256 of the file {entry.fingerprint}"]
    named = [f"{name} {text}" for name, text in entry.identifiers.items() if name != "File"]
    if named:
        lines.insert(0, "   ".join(named))
    return "\n".join(lines)


def _verdict(sheet: Sheet, y: float, answer: Answer, prediction: Prediction) -> float:
    """The verdict in words, with its sign, and where the film stands on the scale."""
    state = records.state(answer)
    full = (
        _COLOURS.get(prediction.verdict.capitalize(), NEUTRAL) if not prediction.scope else NEUTRAL
    )
    reasons = "\n".join(prediction.scope)
    inner = TEXT_WIDTH - 2 * _INSET
    top, height = y, 40.0
    if reasons:
        height += 6 + sheet.height_of(reasons, size=9, width=inner)
    sheet.block(MARGIN, y, TEXT_WIDTH, height, tint(full, 0.07), radius=2)
    _sign(sheet, state, MARGIN + _INSET + 3.6, y + 9, radius=3.6, ink=full)
    x = MARGIN + _INSET + 11
    headline = OUT_OF_SCOPE if prediction.scope else prediction.wording
    y = sheet.text_at(x, y + 5.2, headline, size=15, bold=True)
    x = MARGIN + _INSET
    if reasons:
        y = sheet.text_at(x, y + 1, reasons, size=9, width=inner)
        y = sheet.text_at(x, y + 1, prediction.wording, size=9, ink=QUIET, width=inner)
    words = prediction.statement
    y = sheet.text_at(x, y + 1.2, words, size=9, width=inner, ink=QUIET if reasons else INK)
    _scale(sheet, y + 6.5, prediction, x=x, width=inner)
    return top + height


def _scale(sheet: Sheet, y: float, prediction: Prediction, *, x: float, width: float) -> None:
    """The probability between its ends, the threshold, and where the model is unsure."""
    low, high = prediction.band
    muted, height = bool(prediction.scope), 5.0
    for start, end, full, name in (
        (0.0, low, NORMAL, "normal"),
        (low, high, NEUTRAL, "unsure"),
        (high, 1.0, PNEUMONIA, "pneumonia"),
    ):
        fill = tint(NEUTRAL if muted else full, 0.45 if full == NEUTRAL else 0.28)
        sheet.block(x + start * width, y, (end - start) * width, height, fill)
        # The words stand where neither the threshold nor the diamond does, or nowhere.
        places = (start + share * (end - start) for share in (0.5, 0.25, 0.75))
        for place in places if (end - start) * width > 24 else ():
            if all(
                abs(place - it) * width > 11
                for it in (prediction.threshold, prediction.probability)
            ):
                middle = x + place * width
                sheet.text_at(middle - 11, y + 0.55, name, size=7.5, width=22, align="C")
                break
    threshold = x + prediction.threshold * width
    sheet.set_draw_color(*INK)
    sheet.set_line_width(0.35)
    with sheet.local_context(dash_pattern={"dash": 0.9, "gap": 0.7, "phase": 0}):
        sheet.line(threshold, y - 1.4, threshold, y + height + 1.4)
    half = 20.0
    label = min(max(threshold, x + half), x + width - half)
    anchor = "L" if threshold < x + half else "R" if threshold > x + width - half else "C"
    words = f"threshold {percent(prediction.threshold)}"
    sheet.text_at(label - half, y - 5.4, words, size=7.5, width=2 * half, ink=QUIET, align=anchor)
    for share in (0, 25, 50, 75, 100):
        align = "L" if share == 0 else "R" if share == 100 else "C"
        place = x + share / 100 * width - {"L": 0, "C": 10, "R": 20}[align]
        sheet.text_at(
            place, y + height + 1.4, f"{share} %", size=7.5, width=20, ink=QUIET, align=align
        )
    full = NEUTRAL if muted else _COLOURS[prediction.verdict.capitalize()]
    _diamond(sheet, x + prediction.probability * width, y + height / 2, full)


def _diamond(sheet: Sheet, x: float, y: float, fill: Colour) -> None:
    reach = 3.1
    sheet.set_fill_color(*fill)
    sheet.set_draw_color(*WHITE)
    sheet.set_line_width(0.6)
    corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
    sheet.polygon(corners, style="DF")


def _sign(sheet: Sheet, state: str, x: float, y: float, *, radius: float, ink: Colour) -> None:
    """What tells the states apart without colour: a triangle, a ring, a question mark, a bar."""
    sheet.set_fill_color(*ink)
    sheet.set_draw_color(*ink)
    sheet.set_line_width(radius / 3.6)
    if state == "Pneumonia":
        height = 0.85 * radius
        sheet.polygon(
            [(x, y - radius), (x + radius, y + height), (x - radius, y + height)], style="DF"
        )
        return
    inner = 0.86 * radius
    if state == "Not read":
        reach = 0.6 * radius
        sheet.line(x - reach, y - reach, x + reach, y + reach)
        sheet.line(x - reach, y + reach, x + reach, y - reach)
        return
    sheet.ellipse(x - inner, y - inner, 2 * inner, 2 * inner, style="D")
    if state == "Unsure":
        size = 4.1 * radius
        sheet.text_at(
            x - radius,
            y - 0.25 * size,
            "?",
            size=size,
            width=2 * radius,
            bold=True,
            ink=ink,
            align="C",
        )
    elif state == "Out of scope":
        reach = 0.6 * inner
        sheet.line(x - reach, y - reach, x + reach, y + reach)


def _pictures(sheet: Sheet, y: float, pictures: Pictures, prediction: Prediction) -> float:
    width = (TEXT_WIDTH - _GAP) / 2
    height = min(width * pictures.aspect, _PICTURE_HEIGHT)
    drawn = height / pictures.aspect
    bottom = y + height
    for left, jpeg, caption, alternative in (
        (MARGIN, pictures.film, pictures.described, "The film"),
        (
            MARGIN + width + _GAP,
            pictures.overlay,
            pictures.evidence,
            f"The film under a heat map. {prediction.description}",
        ),
    ):
        # Black, as on a viewing station, where the film is narrower than its half of the page.
        sheet.block(left, y, width, height, (0, 0, 0))
        sheet.image(
            BytesIO(jpeg), left + (width - drawn) / 2, y, w=drawn, h=height, alt_text=alternative
        )
        below = sheet.text_at(left, y + height + 1, caption, size=7.5, width=width, ink=QUIET)
        bottom = max(bottom, below)
    return bottom


def _film_details(prediction: Prediction, entry: Entry, terms: Terms) -> list[tuple[str, str]]:
    rows = [("Remarks", " ".join(prediction.flags))] if prediction.flags else []
    if prediction.causes:
        rows.append(("Cause", prediction.causes))
    if entry.answer.question.synthetic and not terms.card.data["synthetic"]:
        learned = "Synthetic, and the model learned from patients"
        rows.append(("Film", f"{learned}: the answer shows how the tool works."))
    return [*rows, *_model_details(terms, prediction)]


def _model_details(terms: Terms, prediction: Prediction | None) -> list[tuple[str, str]]:
    """How the verdicts were read, and by which model."""
    card, point = terms.card, terms.reading.point
    sensitivity = _measured(point.sensitivity, point.sensitivity_interval)
    specificity = _measured(point.specificity, point.specificity_interval)
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("ai-edge-litert", "numpy", "pillow")
    )
    rows = [
        (
            "Operating point",
            f"{terms.reading.name.replace('-', ' ').capitalize()}: sensitivity {sensitivity}, "
            f"specificity {specificity} on validation patients (95 % Wilson intervals).",
        ),
        (
            "Prevalence",
            f"Probability, threshold and band are stated for patients of whom "
            f"{percent(terms.reading.prevalence)} have pneumonia.",
        ),
        ("Trained on", f"{_sentence(card.data['population'])} ({card.data['name']})."),
        ("Model", f"{card.name}, {card.architecture}, made {card.created[:10]}."),
        ("Software", f"Pneumo {__version__}, {versions}."),
    ]
    if prediction is not None:
        rows.append(("Model SHA-256", prediction.model_digest))
    return rows


def _details(sheet: Sheet, y: float, rows: Sequence[tuple[str, str]]) -> float:
    for name, text in rows:
        sheet.text_at(MARGIN, y, name, size=8, ink=QUIET)
        y = sheet.text_at(MARGIN + 30, y, text, size=8) + 0.7
    return y


def _note(sheet: Sheet, y: float, note: str) -> float:
    """The user's own words, and which of their characters no font can write."""
    if not note.strip():
        return y
    sheet.rule(y + 2)
    y = sheet.text_at(MARGIN, y + 4, "Note", size=9, bold=True)
    y = sheet.text_at(MARGIN, y + 0.5, note.strip(), size=9.5)
    missing = unprintable(note)
    if missing:
        signs = ", ".join(f"U+{ord(character):04X}" for character in missing)
        words = f"An empty box stands for what cannot be printed: {signs}."
        y = sheet.text_at(MARGIN, y + 1, words, size=8, ink=QUIET)
    return y


# A batch --------------------------------------------------------------------------------

# Left edge and width, in millimetres, of the columns of the summary.
_NUMBER, _NAME, _STATE = (MARGIN, 8.0), (MARGIN + 9, 50.0), (MARGIN + 62, 28.0)
_PROBABILITY, _REMARKS = (MARGIN + 92, 32.0), (MARGIN + 128, TEXT_WIDTH - 128)


def _summary(sheet: Sheet, entries: Sequence[Entry], terms: Terms) -> None:
    y = _head(sheet, terms, title=f"{len(entries)} chest radiographs")
    y = _counts(sheet, y + 3, entries)
    answered = (it.answer.prediction for it in entries)
    first = next((it for it in answered if it is not None), None)
    y = _details(sheet, y + 5, _model_details(terms, first))
    y = _note(sheet, y, terms.note)
    y = _columns(sheet, y + 4)
    for entry in entries:
        remarks = " ".join(records.remarks(entry.answer))
        name = entry.name if entry.identifiers or entry.answer.question.synthetic else ""
        label = "\n".join(filter(None, (name, entry.fingerprint[:16])))
        height = 2.6 + max(
            sheet.height_of(remarks, size=7.5, width=_REMARKS[1]),
            sheet.height_of(label, size=7.5, width=_NAME[1]),
        )
        if y + height > BOTTOM:
            sheet.add_page()
            y = _columns(sheet, MARGIN)
        _row(sheet, y, entry, label, remarks)
        y += height
        sheet.rule(y)


def _counts(sheet: Sheet, y: float, entries: Sequence[Entry]) -> float:
    """How many films are in each state, in words, signs and numbers."""
    counts = Counter(records.state(it.answer) for it in entries)
    width, height = (TEXT_WIDTH - 4 * 3) / 5, 17.0
    for place, state in enumerate(records.STATES):
        x, full = MARGIN + place * (width + 3), _COLOURS.get(state, NEUTRAL)
        sheet.block(x, y, width, height, tint(full, 0.07), radius=2)
        sheet.text_at(x + 4, y + 2, f"{counts[state]}", size=15, width=width - 8, bold=True)
        _sign(sheet, state, x + 5.6, y + 12.6, radius=1.6, ink=full)
        sheet.text_at(x + 9, y + 10.6, state, size=8, width=width - 9)
    return y + height


def _columns(sheet: Sheet, y: float) -> float:
    for (x, width), name in (
        (_NUMBER, "Film"),
        (_NAME, "File, by its SHA-256"),
        (_STATE, "Verdict"),
        (_PROBABILITY, "Probability of pneumonia"),
        (_REMARKS, "Remarks"),
    ):
        bottom = sheet.text_at(x, y, name, size=7.5, width=width + 1, ink=QUIET)
    sheet.rule(bottom + 1)
    return bottom + 1


def _row(sheet: Sheet, y: float, entry: Entry, label: str, remarks: str) -> None:
    y += 1.2
    state, prediction = records.state(entry.answer), entry.answer.prediction
    sheet.text_at(_NUMBER[0], y, str(entry.number), size=8, width=_NUMBER[1], bold=True)
    sheet.text_at(_NAME[0], y, label, size=7.5, width=_NAME[1])
    _sign(sheet, state, _STATE[0] + 1.6, y + 2, radius=1.6, ink=_COLOURS.get(state, NEUTRAL))
    sheet.text_at(_STATE[0] + 5, y, state, size=8, width=_STATE[1] - 5)
    if prediction is not None:
        x, width = _PROBABILITY[0], 17.0
        share = two_decimals(prediction.probability)
        sheet.block(x, y + 1.2, width, 1.8, tint(NEUTRAL, 0.25))
        sheet.block(x, y + 1.2, width * prediction.probability, 1.8, _COLOURS.get(state, NEUTRAL))
        sheet.text_at(x + width, y, share, size=8, width=_PROBABILITY[1] - width, align="R")
    sheet.text_at(_REMARKS[0], y, remarks, size=7.5, width=_REMARKS[1], ink=QUIET)


# Words ----------------------------------------------------------------------------------


def _measured(share: float, interval: Interval) -> str:
    return f"{100 * share:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
