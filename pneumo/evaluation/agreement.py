"""Labels that somebody brings along with films, and how far verdicts agree with them."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pneumo.evaluation.interval import Interval, wilson_interval

Label = Literal["NORMAL", "PNEUMONIA"]

# Headings, in the order of preference, without case, blanks and punctuation.
_FILE = (
    *("file", "filename", "path", "filepath", "name", "image", "imagename", "imagepath"),
    *("imageindex", "imageid", "patientid", "id"),
)
_LABEL = (
    *("label", "class", "pneumonia", "diagnosis", "finding", "findings", "findinglabels"),
    *("target", "truth", "category"),
)
_NORMAL = frozenset(
    {"normal", "0", "0.0", "negative", "neg", "no", "false", "healthy", "no finding"}
)
_PNEUMONIA = frozenset(
    {"pneumonia", "1", "1.0", "positive", "pos", "yes", "true", "bacterial", "viral"}
    | {"bacterial pneumonia", "viral pneumonia", "bacteria", "virus"}
)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a table says of films.

    Attributes:
        by_name: by the name of the file, in lower case and without folders.
        unknown: rows whose label is neither NORMAL nor PNEUMONIA in any spelling.
        contradictory: names that bear both, and so neither.
    """

    by_name: dict[str, Label]
    unknown: int = 0
    contradictory: int = 0

    def of(self, names: Iterable[str]) -> list[Label | None]:
        """The labels of files, None where there is none.

        A table may leave out how names end, `.png` for one. Of two files of one name nobody knows
        which the table means: neither gets its label.
        """
        keys = [_key(name) for name in names]
        times = Counter(keys)
        return [self._said_of(key) if times[key] == 1 else None for key in keys]

    def shared(self, names: Iterable[str]) -> int:
        """How many files have no label because others have the same name."""
        times = Counter(_key(name) for name in names)
        return sum(many for key, many in times.items() if many > 1 and self._said_of(key))

    def _said_of(self, key: str) -> Label | None:
        return self.by_name.get(key, self.by_name.get(key.rpartition(".")[0]))


def read_labels(data: bytes) -> Labels:
    """Read a table of labels: one row a film, a column for the file and one for the label.

    Headings are recognised in several spellings, as are the labels; fields are separated by
    commas, semicolons, tabs or bars.

    Raises:
        ValueError: the table has no such columns, no rows, or is no table.
    """
    text = _decode(data)
    headings = text.partition("\n")[0].strip()
    for delimiter in (",", ";", "\t", "|"):
        try:
            first, *rows = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[]]
        except csv.Error:
            continue
        file, label = _column(first, _FILE), _column(first, _LABEL)
        if file is not None and label is not None:
            return _labels([(row[file], row[label]) for row in rows if len(row) > max(file, label)])
    raise ValueError(
        "A table of labels must have a column `file` and a column `label` with a heading each. "
        f"Received the headings: {headings[:200]!r}. Rename the columns."
    )


def _labels(rows: list[tuple[str, str]]) -> Labels:
    found: dict[str, set[Label]] = {}
    unknown = 0
    for name, written in rows:
        label = _label(written)
        if label is None:
            unknown += 1
        elif name.strip():
            found.setdefault(_key(name), set()).add(label)
    by_name = {name: next(iter(both)) for name, both in found.items() if len(both) == 1}
    if not by_name:
        raise ValueError(
            "A table of labels must call at least one film NORMAL or PNEUMONIA, or 0 or 1. "
            f"Received: {len(rows):,} rows, none of which does."
        )
    return Labels(by_name=by_name, unknown=unknown, contradictory=len(found) - len(by_name))


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _column(headings: list[str], wanted: Sequence[str]) -> int | None:
    plain = ["".join(filter(str.isalnum, heading.lower())) for heading in headings]
    return next((plain.index(heading) for heading in wanted if heading in plain), None)


def _key(name: str) -> str:
    return name.strip().replace("\\", "/").rpartition("/")[2].casefold()


def _label(written: str) -> Label | None:
    plain = written.strip().lower().replace("_", " ")
    if plain in _NORMAL:
        return "NORMAL"
    return "PNEUMONIA" if plain in _PNEUMONIA else None


# Agreement ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Verdicts against labels. Intervals are Wilson's, 95 %; None where there is nothing to count.

    Attributes:
        accuracy: share of the films whose verdict is their label.
        sensitivity: share of those labelled PNEUMONIA that are called so.
        specificity: share of those labelled NORMAL that are called so.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    accuracy: float
    sensitivity: float | None
    specificity: float | None
    accuracy_interval: Interval
    sensitivity_interval: Interval | None
    specificity_interval: Interval | None

    @property
    def films(self) -> int:
        """Those that have a verdict and a label."""
        return (
            self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
        )


def agreement(pairs: Iterable[tuple[Label, Label]]) -> Agreement | None:
    """How far verdicts agree with labels; None without any film.

    Args:
        pairs: verdict and label of each film.
    """
    counted = [(verdict == "PNEUMONIA", label == "PNEUMONIA") for verdict, label in pairs]
    if not counted:
        return None
    true_positives, false_negatives = counted.count((True, True)), counted.count((False, True))
    true_negatives, false_positives = counted.count((False, False)), counted.count((True, False))
    correct = true_positives + true_negatives
    pneumonia, normal = true_positives + false_negatives, true_negatives + false_positives
    return Agreement(
        true_positives=true_positives,
        false_positives=false_positives,
        true_negatives=true_negatives,
        false_negatives=false_negatives,
        accuracy=correct / len(counted),
        sensitivity=true_positives / pneumonia if pneumonia else None,
        specificity=true_negatives / normal if normal else None,
        accuracy_interval=wilson_interval(correct, len(counted)),
        sensitivity_interval=wilson_interval(true_positives, pneumonia) if pneumonia else None,
        specificity_interval=wilson_interval(true_negatives, normal) if normal else None,
    )
