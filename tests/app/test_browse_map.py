"""What a model says of all films, and their map, on the Browse page without a browser."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.parts import work
from pages.parts.frame import film_name
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import facts, sources
from pneumo.inference import bundle, film_map, opinions
from pneumo.inference.predictor import Predictor
from pneumo.settings import Settings
from tests.app.conftest import words

Open = Callable[..., AppTest]


@pytest.fixture
def catalog(installation: Settings, sample_root: Path) -> pd.DataFrame:
    """Of the chosen data set."""
    sources.choose(sources.Source(kind="folder", folder=sample_root), installation)
    return catalogs.build(sample_root, cache=installation.found_of(sample_root))


@pytest.fixture(scope="session")
def kept(sample_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home where a model was asked about all films, and their map is drawn."""
    home = Settings(home=tmp_path_factory.mktemp("kept"))
    films = catalogs.build(sample_root)
    predictor = Predictor(bundle.find(home))
    found = opinions.ask(predictor, films, sample_root, settings=home)
    film_map.make(found, films, settings=home)
    return home


@pytest.fixture
def answered(installation: Settings, catalog: pd.DataFrame, kept: Settings) -> opinions.Opinions:
    """What a model was asked before: its answers about all films, whose map is drawn."""
    shutil.copytree(kept.cache, installation.cache, dirs_exist_ok=True)
    found = opinions.cached(installation, bundle.find(installation), catalog)
    assert found is not None
    return found


def until(page: AppTest, found: Callable[[AppTest], object]) -> None:
    """Draw the page anew until something is there."""
    for _ in range(600):
        if found(page):
            return
        time.sleep(0.1)
        page.run()
    raise AssertionError(words(page))


def test_ask_all_and_see_the_map(open_page: Open, catalog: pd.DataFrame) -> None:
    page = open_page("browse", view="map")
    assert "drawn once the model has been asked" in words(page)
    assert not page.get("plotly_chart")
    page.button(key="ask-all").click().run()
    until(page, lambda page: page.get("plotly_chart"))
    assert not page.exception
    assert "Farthest from the training films" in words(page)
    assert "Draw round points on the map" in words(page)


def test_a_map_that_is_kept_is_there_at_once(
    open_page: Open, answered: opinions.Opinions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "begin", lambda *arguments: pytest.fail("nothing is to be done"))
    page = open_page("browse", view="map", colour="Verdict")
    assert len(page.get("plotly_chart")) == 1
    assert not [it for it in page.button if it.key == "ask-all"]


def test_what_the_model_got_wrong_is_a_click_away(
    open_page: Open, answered: opinions.Opinions, catalog: pd.DataFrame
) -> None:
    groups = facts.answers(catalog["label"], answered.table).value_counts()
    page = open_page("browse")
    unsure = page.button(key="outcome-unsure")
    assert unsure.label == f"{groups['Unsure']:,} unsure"
    unsure.click().run()
    assert page.query_params["flag"] == "unsure"
    assert f"**{groups['Unsure']:,}** film" in words(page)
    page = open_page("browse", shown="Film")
    assert "outcome-unsure" not in {it.key for it in page.button}


def test_selected_films_are_listed_the_most_wrong_first(
    open_page: Open, answered: opinions.Opinions, catalog: pd.DataFrame
) -> None:
    page = open_page("browse", view="map")
    ill = catalog[catalog["label"] == "PNEUMONIA"].iloc[:15]
    page.query_params["marked"] = list(ill["path"])
    page.run()
    assert "**15 films selected**" in words(page)
    listed = [it for it in page.button if (it.key or "").startswith("open-map-selected-films-")]
    assert len(listed) == 12
    most_wrong = answered.table.loc[ill.index, "probability"].idxmin()
    assert film_name(catalog.loc[most_wrong, "path"]) in listed[0].label
    listed[0].click().run()
    assert page.query_params["film"] == catalog.loc[most_wrong, "path"]
    assert "1 of 15" in words(page), "it is among the selected films"
    page.button(key="next").click().run()
    second = listed[1].label
    assert film_name(page.query_params["film"]) in second


def test_what_is_drawn_round_is_in_the_address(
    open_page: Open, answered: opinions.Opinions, catalog: pd.DataFrame, installation: Settings
) -> None:
    places = film_map.cached(installation, answered, catalog)
    assert places is not None
    left, middle, bottom, top = (
        *(places["x"].min() - 1, places["x"].median()),
        *(places["y"].min() - 1, places["y"].max() + 1),
    )
    area = f"{left}_{bottom}~{middle}_{bottom}~{middle}_{top}~{left}_{top}"
    page = open_page("browse", view="map", area=area)
    assert f"**{(places['x'] <= middle).sum()} films selected**" in words(page)
    nonsense = open_page("browse", view="map", area="1_2~3_x~4_5")
    assert "Draw round points on the map" in words(nonsense)


def test_the_selection_is_let_go(
    open_page: Open, answered: opinions.Opinions, catalog: pd.DataFrame
) -> None:
    page = open_page("browse", view="map")
    page.query_params["marked"] = ["no such film"]
    assert "Draw round points on the map" in words(page.run())
    page.query_params["marked"] = [catalog["path"].iloc[0]]
    assert "**1 film selected**" in words(page.run())
    page.button(key="map-clear").click().run()
    assert "Draw round points on the map" in words(page)


def test_the_map_is_of_all_films_and_shows_those_that_fit(
    open_page: Open, answered: opinions.Opinions
) -> None:
    page = open_page("browse", view="map", label="Normal")
    (chart,) = page.get("plotly_chart")
    assert "Map of 50 films" in chart.proto.alt
    assert "50 Normal" in chart.proto.alt


def test_what_has_no_place_is_said(
    open_page: Open, answered: opinions.Opinions, monkeypatch: pytest.MonkeyPatch
) -> None:
    st.cache_resource.clear()
    monkeypatch.setattr(film_map, "MOST_FILMS", 30)
    page = open_page("browse", view="map")
    until(page, lambda page: page.get("plotly_chart"))
    assert "30 of the 124 films are on it: at most 30 of a data set" in words(page)
