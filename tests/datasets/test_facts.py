"""What is known of films, and what follows for filters and order, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from pneumo.datasets import facts
from pneumo.datasets.facts import QUANTITIES, Range

CATALOG = pd.DataFrame(
    [
        ("train/NORMAL/IM-2-1.jpeg", "train", "NORMAL", "IM-2", 400, 200, 2048, "a"),
        ("train/NORMAL/IM-10-1.PNG", "train", "NORMAL", "IM-10", 300, 300, 1024, "b"),
        (
            "train/PNEUMONIA/person1_virus_1.jpeg",
            "train",
            "PNEUMONIA",
            "person1",
            100,
            500,
            512,
            "c",
        ),
        (
            "train/PNEUMONIA/person1_virus_2.jpeg",
            "train",
            "PNEUMONIA",
            "person1",
            250,
            500,
            512,
            "a",
        ),
        ("test/PNEUMONIA/person1_virus_3.jpeg", "test", "PNEUMONIA", "person1", 250, 500, 512, "d"),
    ],
    columns=["path", "split", "label", "patient", "width", "height", "bytes", "digest"],
)
KNOWN = facts.of(CATALOG)


def test_what_the_catalogue_tells() -> None:
    assert list(KNOWN["side"]) == [200, 300, 100, 250, 250]
    assert list(KNOWN["ratio"]) == [2, 1, 0.2, 0.5, 0.5]
    assert list(KNOWN["kibibytes"]) == [2, 1, 0.5, 0.5, 0.5]
    assert list(KNOWN["series"]) == [1, 1, 2, 2, 1]  # in test it may be another person
    assert list(KNOWN["format"]) == ["JPEG", "PNG", "JPEG", "JPEG", "JPEG"]
    assert KNOWN["folder"][4] == "test/PNEUMONIA"
    assert list(KNOWN["small"]) == [True, False, True, False, False]
    assert list(KNOWN["copies"]) == [True, False, False, True, False]


def test_numbers_in_names_count_as_numbers() -> None:
    assert list(KNOWN["name"]) == [1, 2, 3, 4, 5]  # IM-2 before IM-10
    assert list(KNOWN["person"]) == [1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("ranges", "flags", "source", "expected"),
    [
        ({}, [], None, [0, 1, 2, 3, 4]),
        ({"side": (200.0, 250.0)}, [], None, [0, 3, 4]),  # both ends count
        ({"side": (200.0, 250.0), "ratio": (0.5, 1.0)}, [], None, [3, 4]),
        ({}, ["small"], None, [0, 2]),
        ({}, ["small", "copies"], None, [0]),
        ({}, [], "PNG", [1]),
        ({}, [], "train/PNEUMONIA", [2, 3]),
        ({}, [], "DICOM", []),
        ({"error": (0.5, 1.0)}, ["wrong"], None, [0, 1, 2, 3, 4]),  # nobody knows yet
    ],
)
def test_narrow(
    ranges: dict[str, Range], flags: list[str], source: str | None, expected: list[int]
) -> None:
    films = facts.narrow(CATALOG, KNOWN, ranges=ranges, flags=flags, source=source)
    assert list(films.index) == expected


def test_order_keeps_equal_films_in_place_in_both_directions() -> None:
    assert list(facts.order(CATALOG, KNOWN, by="kibibytes").index) == [2, 3, 4, 1, 0]
    by_size = facts.order(CATALOG, KNOWN, by="kibibytes", descending=True)
    assert list(by_size.index) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("descending", [False, True])
def test_what_is_unknown_comes_last(descending: bool) -> None:
    known = KNOWN.assign(probability=[0.5, np.nan, 0.1, 0.2, 0.3])
    ordered = facts.order(CATALOG, known, by="probability", descending=descending)
    assert ordered.index[-1] == 1


def test_patients_are_counted_once_by_all_their_films() -> None:
    counted = facts.series_of(KNOWN, CATALOG.drop(index=3))  # a film of person1 is filtered away
    assert counted.to_dict("list") == {
        "label": ["NORMAL", "PNEUMONIA", "PNEUMONIA"],
        "series": [1, 1, 2],
        "patients": [2, 1, 1],
    }


ILL, WELL = "PNEUMONIA", "NORMAL"
LABELS = pd.Series([WELL, WELL, ILL, ILL, WELL, WELL, ILL])
OPINIONS = pd.DataFrame(
    {
        "probability": [0.25, 0.875, 0.75, 0.125, 0.5, 0.625, np.nan],
        "verdict": [WELL, ILL, ILL, WELL, ILL, ILL, ""],
        "unsure": [False, False, False, False, True, True, False],
        "flagged": [False, False, False, False, False, True, False],
    }
)


def test_a_film_is_in_one_group_of_answers_only() -> None:
    assert list(facts.answers(LABELS, OPINIONS)) == [
        *("Right", "False alarm", "Right", "Missed pneumonia", "Unsure", "Out of scope", "Unread")
    ]


def test_what_a_model_adds() -> None:
    added = facts.of_opinions(LABELS, OPINIONS)
    assert added["probability"].tolist()[:6] == [25, 87.5, 75, 12.5, 50, 62.5]
    assert added["confidence"].tolist()[:6] == [75, 87.5, 75, 87.5, 50, 62.5]
    assert added["error"].tolist()[:6] == [25, 87.5, 25, 87.5, 50, 62.5]
    # No verdict, no disagreement: unsure, out of scope, unread.
    assert added["wrong"].tolist() == [False, True, False, True, False, False, False]
    assert added["unsure"].tolist() == [False] * 4 + [True, False, False]
    assert added["scope"].tolist() == [False] * 5 + [True, False]


def test_a_quantity_describes_its_values() -> None:
    assert QUANTITIES["side"].describe(1234) == "1,234 pixels"
    assert QUANTITIES["ratio"].describe(1.456) == "1.46"
    assert QUANTITIES["side"].describe_range(200, 1234) == "200 to 1,234 pixels"
    assert QUANTITIES["side"].describe_range(200, 200) == "200 pixels"
