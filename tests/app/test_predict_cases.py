"""Cases like this: with the data set at hand and without, for the film itself and for another."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.frame import film_name
from pages.parts.predict_cases import summary
from pneumo import radiograph
from pneumo.datasets import sources
from pneumo.inference.cases import Case, Cases, TrainingFilm, fingerprints
from pneumo.settings import Settings
from tests.app.conftest import words

SIZE = 96


def script(predictor: object, picture: object) -> None:
    from pages.parts.predict_cases import show_cases

    show_cases(predictor, picture, key="film")  # type: ignore[arg-type]


def seen(path: Path) -> np.ndarray:
    """A film as the network sees it."""
    film = radiograph.read_file(path, model_size=SIZE)
    return radiograph.to_model_input(film, size=SIZE)


def show(predictor: SimpleNamespace, picture: np.ndarray) -> AppTest:
    arguments = {"predictor": predictor, "picture": picture}
    page = AppTest.from_function(script, kwargs=arguments, default_timeout=30).run()
    assert not page.exception
    return page


def buttons(page: AppTest) -> list[str]:
    return [it.label for it in page.button if it.key and it.key.startswith("open-case-")]


@pytest.fixture
def predictor(sample_root: Path) -> SimpleNamespace:
    """A network that sees eight by eight grey levels and has learned from the sample set."""
    films, pictures = [], []
    for path in sorted(sample_root.glob("train/*/*.jpeg"))[::4]:
        label = path.parent.name
        subtype = "normal" if label == "NORMAL" else "viral"
        place = path.relative_to(sample_root).as_posix()
        films.append(TrainingFilm(path=place, label=label, subtype=subtype))
        pictures.append(seen(path))

    def feature_map(picture: np.ndarray) -> np.ndarray:
        coarse = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA)
        return coarse.reshape(1, 1, 64).astype(np.float32)

    features = np.stack([feature_map(it)[0, 0] for it in pictures])
    return SimpleNamespace(
        cases=Cases.fit(films, features, fingerprints(pictures)),
        bundle=SimpleNamespace(digest="d", card=SimpleNamespace(image_size=SIZE)),
        feature_map=feature_map,
    )


@pytest.fixture
def other(sample_root: Path) -> np.ndarray:
    """A film that it has not learned from."""
    return seen(min(sample_root.glob("test/PNEUMONIA/*.jpeg")))


@pytest.fixture
def at_hand(installation: Settings, sample_root: Path) -> None:
    """The sample set in its place."""
    root = sources.sample_root(installation)
    root.parent.mkdir(parents=True)
    root.symlink_to(sample_root)


@pytest.mark.usefixtures("at_hand")
def test_pictures_that_lead_to_browse(predictor: SimpleNamespace, other: np.ndarray) -> None:
    page = show(predictor, other)
    assert len(buttons(page)) == 6
    assert "of the 6 nearest training films are pneumonia" in words(page)
    assert "among 25 films" in words(page)
    assert "learned from:" not in words(page) and "at hand" not in words(page)


def test_names_and_classes_where_the_films_are_elsewhere(
    predictor: SimpleNamespace, other: np.ndarray
) -> None:
    page = show(predictor, other)
    assert buttons(page) == []
    assert sum("-badge[" in it.value for it in page.markdown) == 6
    assert "Pictures show where the data set is at hand" in words(page)


@pytest.mark.usefixtures("at_hand")
def test_a_film_that_it_has_learned_from(predictor: SimpleNamespace, sample_root: Path) -> None:
    film = predictor.cases.films[5]
    page = show(predictor, seen(sample_root / film.path))
    assert "among those that the model learned from" in words(page)
    assert "The film itself" in buttons(page)[0] and film_name(film.path) in buttons(page)[0]


def test_nothing_is_looked_for_twice(
    predictor: SimpleNamespace, other: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = show(predictor, other)

    def refuse(*arguments: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(Cases, "nearest", refuse)
    assert not page.run().exception


def test_a_model_without_cases(predictor: SimpleNamespace, other: np.ndarray) -> None:
    predictor.cases = None
    assert "Train again to see them" in words(show(predictor, other))


def case(subtype: str, closeness: float = 0.5, *, same: bool = False) -> Case:
    label = "NORMAL" if subtype == "normal" else "PNEUMONIA"
    return Case(
        film=TrainingFilm(path="x.png", label=label, subtype=subtype),
        similarity=0.5,
        closeness=closeness,
        same=same,
        fingerprint=np.zeros(32, np.uint8),
    )


def test_a_summary_counts_classes_and_causes() -> None:
    nearest = [case(it) for it in ("bacterial", "viral", "normal", "bacterial", "unknown")]
    assert summary(nearest) == (
        "**4 of the 5 nearest training films are pneumonia** (2 bacterial, 1 viral)."
    )
    itself = case("viral", 1, same=True)
    assert summary([itself, case("normal"), case("normal")]) == (
        "**0 of the 2 nearest training films are pneumonia**."
    )


def test_a_summary_says_when_all_are_far() -> None:
    assert "All of them are far" in summary([case("viral", 0.04), case("normal", 0.01)])
    assert "far" not in summary([case("viral", 0.05), case("normal", 0.01)])
