"""What is known of each film of a catalogue, as numbers to filter, sort and draw by."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pneumo.datasets.catalog import PATIENT, sortable

SMALL = 224
"""Pixels of the shorter side below which a film has less than a network reads."""

Range = tuple[float, float]
"""The least and the largest value, both included."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that films can be filtered and sorted by.

    Attributes:
        title: for people.
        unit: behind a value; "" for none.
        digits: behind the decimal point.
        explanation: where the title does not say enough; "" where it does.
    """

    title: str
    unit: str = ""
    digits: int = 0
    explanation: str = ""

    def describe(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:,.{self.digits}f} {self.unit}".strip()

    def describe_range(self, low: float, high: float) -> str:
        """A range with its unit."""
        if low == high:
            return self.describe(low)
        return f"{low:,.{self.digits}f} to {self.describe(high)}"


QUANTITIES: Mapping[str, Quantity] = {
    "side": Quantity(title="Shorter side", unit="pixels"),
    "ratio": Quantity(title="Width to height", digits=2),
    "kibibytes": Quantity(title="File size", unit="KiB"),
    "series": Quantity(title="Films of the patient"),
    "brightness": Quantity(title="Mean grey level", digits=1),
    "probability": Quantity(title="Probability of pneumonia", unit="%", digits=1),
    "confidence": Quantity(
        title="Confidence of the model",
        unit="%",
        digits=1,
        explanation="The probability of the class that the model leans to.",
    ),
    "error": Quantity(
        title="Error of the model",
        unit="%",
        digits=1,
        explanation="How far the probability is from the label: 0 % is sure and right, 100 % sure "
        "and wrong.",
    ),
}
"""By the name of their column. All but the first four have to be found out first."""

FLAGS: Mapping[str, str] = {
    "small": f"Small: a side below {SMALL} pixels",
    "copies": "Stored more than once, byte by byte",
    "audited": "Shows the same image as another, by the audit",
    "scope": "Outside what the model was trained on",
    "unsure": "The model is unsure",
    "wrong": "The model is sure, and disagrees with the label",
}
"""What may be odd about a film, by the name of its column."""

OF_MODEL = ("scope", "unsure", "wrong", "probability", "confidence", "error")
"""Flags and quantities that are a model's opinion."""

OUT_OF_SCOPE, UNSURE = "Out of scope", "Unsure"
FALSE_ALARM, MISSED = "False alarm", "Missed pneumonia"
RIGHT, UNREAD = "Right", "Unread"


def of(catalog: pd.DataFrame) -> pd.DataFrame:
    """What the catalogue alone tells.

    Args:
        catalog: as `catalog.build` returns it.

    Returns:
        A row per film, with the index of the catalogue:

        - side (int): pixels of the shorter side;
        - ratio (float): width to height;
        - kibibytes (float): length of the file;
        - series (int): films of the same patient in the same split, this one included;
        - name, person (int): places by file name and by patient, `img2` before `img10`;
        - format, folder (category): ending of the file, and where it lies;
        - small, copies (bool): see `FLAGS`.
    """
    folder, _, name = (part for _, part in catalog["path"].str.rpartition("/").items())
    side = np.minimum(catalog["width"], catalog["height"])
    patients = catalog.groupby(list(PATIENT), sort=False)["path"]
    return pd.DataFrame(
        {
            "side": side,
            "ratio": catalog["width"] / catalog["height"],
            "kibibytes": catalog["bytes"] / 1024,
            "series": patients.transform("size"),
            "name": _places(name),
            "person": _places(catalog["patient"]),
            "format": name.str.rpartition(".")[2].str.upper().astype("category"),
            "folder": folder.astype("category"),
            "small": side < SMALL,
            "copies": catalog["digest"].duplicated(keep=False),
        }
    )


def answers(labels: pd.Series, opinions: pd.DataFrame) -> pd.Series:
    """How a model's answer about each film compares with its label.

    A film is in one group only, the first that fits: a model that is asked about what it was not
    trained on gives no verdict, and one that is unsure leaves it open.

    Args:
        labels: "NORMAL" or "PNEUMONIA".
        opinions: of the same films, with the columns of `Opinions.table`: `verdict` ("" where the
            film could not be read), `unsure` and `flagged`.

    Returns: str, one of the groups that are named above.
    """
    verdict, ill = opinions["verdict"], labels == "PNEUMONIA"
    groups = {
        UNREAD: verdict == "",
        OUT_OF_SCOPE: opinions["flagged"],
        UNSURE: opinions["unsure"],
        MISSED: (verdict != labels) & ill,
        FALSE_ALARM: verdict != labels,
    }
    return pd.Series(np.select(list(groups.values()), list(groups), RIGHT), labels.index)


def of_opinions(labels: pd.Series, opinions: pd.DataFrame) -> pd.DataFrame:
    """What a model adds to the facts.

    Args:
        labels: "NORMAL" or "PNEUMONIA".
        opinions: as `answers` takes them, and `probability` of PNEUMONIA.

    Returns:
        In percent, `probability`; `confidence`: the probability of the verdict; `error`: how far
        the probability is from the label. And `scope`, `unsure`, `wrong` (bool): see `FLAGS`.
    """
    probability = 100 * opinions["probability"]
    group = answers(labels, opinions)
    return pd.DataFrame(
        {
            "probability": probability,
            "confidence": probability.where(opinions["verdict"] == "PNEUMONIA", 100 - probability),
            "error": (probability - 100 * (labels == "PNEUMONIA")).abs(),
            "scope": group == OUT_OF_SCOPE,
            "unsure": group == UNSURE,
            "wrong": group.isin([MISSED, FALSE_ALARM]),
        }
    )


def narrow(
    films: pd.DataFrame,
    facts: pd.DataFrame,
    *,
    ranges: Mapping[str, Range] | None = None,
    flags: Collection[str] = (),
    source: str | None = None,
) -> pd.DataFrame:
    """The films whose facts are as asked for, in their order.

    What the facts do not know, because nobody has found it out yet, is not asked for.

    Args:
        films: rows of a catalogue.
        facts: of all films of the catalogue.
        ranges: of quantities, by name.
        flags: names of `FLAGS`; a film needs all of them.
        source: a format or a folder, as in the facts; None for any.
    """
    known = facts.loc[films.index]
    meets = np.ones(len(films), bool)
    for name, (low, high) in (ranges or {}).items():
        if name in known:
            meets &= known[name].between(low, high).to_numpy()
    for flag in flags:
        if flag in known:
            meets &= known[flag].to_numpy(dtype=bool)
    if source is not None:
        meets &= ((known["format"] == source) | (known["folder"] == source)).to_numpy()
    return films[meets]


def order(
    films: pd.DataFrame, facts: pd.DataFrame, *, by: str, descending: bool = False
) -> pd.DataFrame:
    """The films sorted by a fact; equal ones keep their order, unknown ones come last.

    Args:
        films: rows of a catalogue.
        facts: of all films of the catalogue.
        by: a column of the facts.
        descending: the largest first.
    """
    values = facts.loc[films.index, by]
    return films.loc[values.sort_values(ascending=not descending, kind="stable").index]


def series_of(facts: pd.DataFrame, catalog: pd.DataFrame) -> pd.DataFrame:
    """How many patients have how many films.

    Args:
        facts: of all films of the catalogue.
        catalog: the films whose patients are counted; see `catalog.PATIENT`.

    Returns: `label`, `series` and `patients`, ordered by the first two.
    """
    patients = catalog[list(PATIENT)].drop_duplicates()
    series = facts.loc[patients.index, "series"]
    counted = patients.groupby(["label", series], observed=True).size()
    return counted.rename("patients").reset_index()


def _places(texts: pd.Series) -> pd.Series:
    """The place of each text among all, numbers in them counted as numbers."""
    return sortable(texts).rank(method="dense").astype("int64")
