"""Answers written down: for scripts, for spreadsheets, for whoever looks at them later."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pneumo.evaluation.agreement import Agreement, Label, agreement
from pneumo.inference.batch import Answer, Reading
from pneumo.inference.bundle import Bundle

PNEUMONIA, UNSURE, NORMAL = "Pneumonia", "Unsure", "Normal"
OUTSIDE, NOT_READ = "Out of scope", "Not read"
STATES = (PNEUMONIA, UNSURE, NORMAL, OUTSIDE, NOT_READ)
"""What can have become of a file."""

COLUMNS = (
    *("file", "verdict", "leans_to", "unsure", "out_of_scope", "probability", "threshold"),
    *("operating_point", "prevalence", "logit", "label", "agrees", "remarks", "error"),
    *("model", "model_digest"),
)
"""Of a table of answers. As JSON they have the same names, and causes, scope and flags besides."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An answer, already read at an operating point, beside what somebody says of the film.

    Attributes:
        label: None where nobody says anything.
    """

    answer: Answer
    label: Label | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether verdict and label are the same; None where one of them is missing.

        A film without a sure answer counts with the class that the model leans to, as in the
        figures of a model's card.
        """
        if self.answer.prediction is None or self.label is None:
            return None
        return self.answer.prediction.verdict == self.label


def agreement_of(labelled: Sequence[Labelled]) -> Agreement | None:
    """How far the verdicts agree with the labels; None where no film has both."""
    return agreement(
        (it.answer.prediction.verdict, it.label)
        for it in labelled
        if it.answer.prediction is not None and it.label is not None
    )


def describe(labelled: Labelled, reading: Reading) -> dict[str, Any]:
    """An answer as JSON values, without the name of its file; what nobody knows is left out.

    The verdict is one of `STATES`, written like OUT_OF_SCOPE. Whichever it is, `leans_to` is the
    class on whose side of the threshold the film lies.
    """
    answer, prediction = labelled.answer, labelled.answer.prediction
    described: dict[str, Any] = {"verdict": state(answer).upper().replace(" ", "_")}
    if prediction is None:
        described["error"] = answer.error
    else:
        described |= {
            "leans_to": prediction.verdict,
            "unsure": prediction.unsure,
            "out_of_scope": bool(prediction.scope),
            "probability": prediction.probability,
            "threshold": prediction.threshold,
            "operating_point": reading.name,
            "prevalence": prediction.prevalence,
            "logit": prediction.logit,
            "cause": prediction.cause,
            "scope": list(prediction.scope),
            "flags": list(prediction.flags),
            "remarks": " ".join(remarks(answer)),
        }
    if labelled.label is not None:
        described["label"] = labelled.label
    if labelled.agrees is not None:
        described["agrees"] = labelled.agrees
    return described


def document(labelled: Sequence[Labelled], reading: Reading, model: Bundle) -> dict[str, Any]:
    """All answers with what they rest on, as JSON values."""
    found = agreement_of(labelled)
    return {
        "model": model.card.name,
        "model_digest": model.digest,
        "operating_point": reading.name,
        "prevalence": reading.prevalence,
        "agreement": None if found is None else dataclasses.asdict(found),
        "files": [{"file": it.answer.question.name, **describe(it, reading)} for it in labelled],
    }


def table(labelled: Sequence[Labelled], reading: Reading, model: Bundle) -> str:
    """All answers as CSV, in `COLUMNS`.

    A text that a spreadsheet would take for a formula, such as a file's name that begins with
    an equals sign, gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for it in labelled:
        row = {"file": it.answer.question.name, **describe(it, reading)}
        if it.answer.prediction is not None:
            row |= {"model": model.card.name, "model_digest": model.digest}
        writer.writerow({name: _no_formula(value) for name, value in row.items()})
    return text.getvalue()


def state(answer: Answer) -> str:
    """One of `STATES`."""
    prediction = answer.prediction
    if prediction is None:
        return NOT_READ
    if prediction.scope:
        return OUTSIDE
    return UNSURE if prediction.unsure else prediction.verdict.capitalize()


def urgency(answer: Answer) -> tuple[int, float]:
    """To sort by: the most suspicious first.

    Out of scope, and behind them not read, come last, whatever the model says: it does not know,
    and a folder of strange files must not push the most suspicious film out of sight.
    """
    prediction = answer.prediction
    if prediction is None:
        return 2, 0.0
    return int(bool(prediction.scope)), -prediction.probability


def remarks(answer: Answer) -> list[str]:
    """What to know about an answer besides its verdict, in plain words."""
    prediction = answer.prediction
    if prediction is None:
        return [answer.error]
    leaning = [f"Leans to {prediction.verdict.lower()}."] if prediction.unsure else []
    return [*leaning, *prediction.scope, *prediction.flags]


def _no_formula(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
