"""How what an audit has found is laid out, worked by hand."""

import pytest

from pneumo.audit.findings import Film, in_pages


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], [[]]),
        ([0, 0, 0, 0], [[1, 1, 1], [1]]),  # each stands alone
        ([1, 1, 2, 2, 3], [[2], [2, 1]]),  # the second pair does not fit on the first page
        ([1, 1, 1, 1, 2], [[4], [1]]),  # a group that fits on no page has one of its own
        ([1, 1, 0, 0], [[2, 1], [1]]),
    ],
)
def test_no_group_is_parted_by_a_page(groups: list[int], expected: list[list[int]]) -> None:
    films = [Film(path=str(place), note="", group=group) for place, group in enumerate(groups)]
    pages = in_pages(films, most=3)
    assert [[len(group) for group in page] for page in pages] == expected
    assert [film for page in pages for group in page for film in group] == films
