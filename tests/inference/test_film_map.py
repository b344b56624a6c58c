"""The map of a data set."""

import numpy as np
import pandas as pd
import pytest

from pneumo.datasets.film_store import Cancelled
from pneumo.inference import film_map
from pneumo.inference.opinions import Opinions
from pneumo.settings import Settings

FILMS = 40


@pytest.fixture
def catalog() -> pd.DataFrame:
    """Films with an index of their own; the last is a copy of the first."""
    digests = [f"{number:032x}" for number in range(FILMS - 1)]
    return pd.DataFrame({"digest": [*digests, digests[0]]}, index=range(100, 100 + FILMS))


@pytest.fixture
def opinions(catalog: pd.DataFrame) -> Opinions:
    """Two groups, of even and of odd films, far apart; film 105 could not be read."""
    features = np.random.default_rng(0).normal(size=(FILMS, 6)).astype(np.float32)
    features[1::2, 0] += 30
    features[-1] = features[0]
    problems = pd.Series("", index=catalog.index)
    problems[105] = "It is broken."
    return Opinions(
        model="sparrow", key="abc", table=pd.DataFrame({"problem": problems}), features=features
    )


def test_films_that_are_alike_lie_together(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    places = film_map.make(opinions, catalog, settings=installation)
    assert list(places.index) == [it for it in catalog.index if it != 105]
    assert places.loc[139].equals(places.loc[100])  # a copy
    x, y = places["x"].to_numpy(), places["y"].to_numpy()
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(apart, np.inf)
    numbers = places.index.to_numpy(copy=True)
    numbers[-1] = 100
    nearest = numbers[apart.argmin(axis=1)]
    assert (nearest % 2 == numbers % 2).all()


def test_a_map_is_kept_and_always_the_same(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    assert film_map.cached(installation, opinions, catalog) is None
    assert film_map.stamp(installation) == 0
    places = film_map.make(opinions, catalog, settings=installation)
    assert film_map.stamp(installation) > 0
    kept = film_map.cached(installation, opinions, catalog)
    pd.testing.assert_frame_equal(kept, places)
    pd.testing.assert_frame_equal(film_map.make(opinions, catalog, settings=installation), places)


def test_other_films_or_another_model_make_another_map(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    film_map.make(opinions, catalog, settings=installation)
    other = Opinions(**{**vars(opinions), "key": "def"})
    assert film_map.cached(installation, other, catalog) is None
    fewer = Opinions(
        **{
            **vars(opinions),
            "table": opinions.table.iloc[:-5],
            "features": opinions.features[:-5],
        }
    )
    assert film_map.cached(installation, fewer, catalog.iloc[:-5]) is None


def test_of_too_many_films_a_sample_is_drawn_whatever_their_order(
    catalog: pd.DataFrame, opinions: Opinions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_map, "MOST_FILMS", 7)
    sample = film_map.films_on_map(opinions, catalog)
    assert list(sample.index) == [100, 101, 102, 103, 104, 106, 107]
    turned = Opinions(
        **{**vars(opinions), "table": opinions.table[::-1], "features": opinions.features[::-1]}
    )
    again = film_map.films_on_map(turned, catalog[::-1])
    assert list(again["digest"]) == list(sample["digest"])


def test_a_few_films_lie_along_the_two_strongest_directions(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    few = Opinions(
        **{**vars(opinions), "table": opinions.table.iloc[:4], "features": opinions.features[:4]}
    )
    places = film_map.make(few, catalog.iloc[:4], settings=installation)
    assert np.array_equal(places.to_numpy(), opinions.features[:4, :2])


def test_progress_runs_to_its_end(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    reported: list[tuple[int, int]] = []
    film_map.make(
        opinions,
        catalog,
        settings=installation,
        progress=lambda done, total: reported.append((done, total)),
    )
    assert reported == [(done, 750) for done in range(10, 760, 10)]


def test_a_cancelled_map_is_not_kept(
    catalog: pd.DataFrame, opinions: Opinions, installation: Settings
) -> None:
    with pytest.raises(Cancelled):
        film_map.make(opinions, catalog, settings=installation, cancelled=lambda: True)
    assert film_map.cached(installation, opinions, catalog) is None


def test_an_outline_holds_what_lies_within() -> None:
    places = pd.DataFrame({"x": [1, 3, 1, -1], "y": [1, 1, 3, 1]})
    triangle = ((0, 0), (4, 0), (0, 4))
    assert film_map.inside(places, triangle).tolist() == [True, True, True, False]
    assert film_map.inside(places[:0], triangle).tolist() == []


def test_a_simplified_outline_keeps_its_shape() -> None:
    straight = [(x / 10, 0.001 * (x % 2)) for x in range(41)]  # a hand is not steady
    outline = (*straight, (4, 4), (0, 4))
    assert film_map.simplified(outline) == ((0, 0), (4, 0), (4, 4), (0, 4))
