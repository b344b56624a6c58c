"""What is kept of films, on folders of a few bytes."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo.datasets.film_store import Cancelled, FilmStore, complete

FILMS = pd.DataFrame(
    {"path": ["a.png", "b.png", "copy-of-a.png", "c.png"], "digest": ["1", "2", "1", "3"]}
)
Look = Callable[[str], list[dict[str, object]]]


@pytest.fixture
def lengths(tmp_path: Path) -> FilmStore:
    return FilmStore(folder=tmp_path / "lengths", columns={"problem": "str", "length": "float64"})


@pytest.fixture
def letters(tmp_path: Path) -> FilmStore:
    return FilmStore(folder=tmp_path / "letters", columns={"problem": "str", "letter": "str"})


def found(table: pd.DataFrame, column: str) -> list[object]:
    return table[column].tolist()


def complete_quietly(
    stores: list[FilmStore], films: pd.DataFrame, look: Look
) -> list[pd.DataFrame]:
    return complete(
        stores, films, look, progress=lambda done, total: None, cancelled=lambda: False, threads=1
    )


def test_each_film_is_looked_at_once(lengths: FilmStore) -> None:
    seen: list[str] = []

    def look(path: str) -> list[dict[str, object]]:
        seen.append(path)
        return [{"problem": "", "length": len(path)}]

    (first,) = complete_quietly([lengths], FILMS[:2], look)
    (table,) = complete_quietly([lengths], FILMS, look)
    assert seen == ["a.png", "b.png", "c.png"]
    assert list(table.index) == ["1", "2", "3"]
    assert found(first, "length") == [5.0, 5.0]
    pd.testing.assert_frame_equal(lengths.read().loc[["1", "2", "3"]], table)


def test_who_could_not_read_a_film_may_try_again(lengths: FilmStore) -> None:
    problems = iter(["locked", "still locked", ""])

    def look(path: str) -> list[dict[str, object]]:
        return [{"problem": next(problems)}]

    for expected in ("locked", "still locked", ""):
        (table,) = complete_quietly([lengths], FILMS[:1], look)
        assert found(table, "problem") == [expected]
        assert found(lengths.read(), "problem") == [expected]
    complete_quietly([lengths], FILMS[:1], look)  # would have no more problems to tell


def test_a_row_for_a_problem_has_all_columns(lengths: FilmStore) -> None:
    (table,) = complete_quietly([lengths], FILMS[:1], lambda path: [{"problem": "locked"}])
    assert table["length"].isna().all()


def test_a_second_store_takes_nothing_twice_into_the_first(
    lengths: FilmStore, letters: FilmStore
) -> None:
    def look(path: str) -> list[dict[str, object]]:
        return [{"problem": "", "length": len(path)}, {"problem": "", "letter": path[0]}]

    complete_quietly([lengths], FILMS, look)
    parts = list(lengths.folder.iterdir())
    _, table = complete_quietly([lengths, letters], FILMS, look)
    assert found(table, "letter") == ["a", "b", "c"]
    assert list(lengths.folder.iterdir()) == parts


def test_what_was_found_before_a_cancel_is_kept(lengths: FilmStore) -> None:
    reported: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        reported.append((done, total))

    with pytest.raises(Cancelled):
        complete(
            [lengths],
            FILMS,
            lambda path: [{"problem": "", "length": 1}],
            progress=report,
            cancelled=lambda: reported[-1][0] == 2,
            threads=1,
        )
    assert reported == [(0, 3), (1, 3), (2, 3)]
    assert sorted(lengths.read().index) == ["1", "2"]


def test_a_damaged_part_is_found_out_again(lengths: FilmStore) -> None:
    assert lengths.stamp == 0
    lengths.add([{"digest": "1", "problem": "", "length": 7}])
    assert lengths.stamp > 0
    (part,) = lengths.folder.iterdir()
    part.write_bytes(part.read_bytes()[:-20])
    assert lengths.read().empty
