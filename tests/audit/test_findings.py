"""How what an audit has found is laid out, worked by hand."""

import pandas as pd
import pytest

from pneumo.audit import findings
from pneumo.audit.findings import Film, in_pages
from pneumo.audit.probes import Probe
from pneumo.evaluation.interval import Interval
from pneumo.training.recipe import BEST


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], [[]]),
        ([0, 0, 0, 0], [[1, 1, 1], [1]]),  # each stands alone
        ([1, 1, 2, 2, 3], [[2], [2, 1]]),  # the second pair does not fit on the first page
        ([1, 1, 1, 1, 2], [[3], [1, 1]]),  # a group that fits on no page is parted
        ([1, 1, 0, 0], [[2, 1], [1]]),
    ],
)
def test_pages_part_no_group_that_fits_on_one(groups: list[int], expected: list[list[int]]) -> None:
    films = [Film(path=str(place), note="", group=group) for place, group in enumerate(groups)]
    pages = in_pages(films, most=3)
    assert [[len(group) for group in page] for page in pages] == expected
    assert [film for page in pages for group in page for film in group] == films


def test_a_shortcut_is_shown_by_the_films_that_it_is_surest_of_one_of_a_patient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(findings, "EXAMPLES", 2)
    catalog = pd.DataFrame(
        [
            ("a", "NORMAL", "Ann", "9", 0.9),
            ("b", "NORMAL", "Ann", "8", 0.8),  # of the same patient, and less clear
            ("c", "NORMAL", "Bea", "7", 0.2),
            ("d", "NORMAL", "Cem", "6", 0.3),
            ("e", "PNEUMONIA", "Dan", "5", 0.0),
            ("f", "PNEUMONIA", "Eve", "4", 0.0),  # as clear, and another comes first by digest
            ("g", "PNEUMONIA", "Fay", "3", 0.0),
            ("h", "PNEUMONIA", "Gil", "2", 0.5),
        ],
        columns=["path", "label", "patient", "digest", "white"],
    )
    probe = Probe(
        quantity="white",
        family="intensity",
        title="share of white pixels",
        roc_auc=0.7,
        interval=Interval(low=0.65, high=0.75),
        normal=0.55,
        pneumonia=0.0,
    )
    (finding,) = findings.shortcuts([probe], catalog[["white"]], catalog, BEST)
    assert "Median 55 % among NORMAL and 0 % among PNEUMONIA" in finding.explanation
    assert [(film.path, film.group, film.note) for film in finding.films] == [
        ("g", 1, "PNEUMONIA, 0 %"),
        ("f", 1, "PNEUMONIA, 0 %"),
        ("a", 2, "NORMAL, 90 %"),
        ("d", 2, "NORMAL, 30 %"),
    ]
