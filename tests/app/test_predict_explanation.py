"""The explanations of the Predict page, on a page of their own."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import predict_explanation
from pneumo.evaluation.operating_point import BALANCED
from pneumo.inference import heat_maps, stability
from pneumo.inference.heat_maps import Method
from pneumo.inference.stability import Stability
from tests.app.conftest import words


def explain() -> None:
    """A page with nothing but the explanations of a synthetic film."""
    import streamlit as st

    from pages.parts.predict_explanation import choose_heat_map, show_agreement, show_stability
    from pneumo import settings
    from pneumo.datasets import phantom
    from pneumo.inference import bundle
    from pneumo.inference.predictor import Predictor
    from pneumo.radiograph import Radiograph, to_model_input

    subtype, prevalence = st.session_state["film"], st.session_state["prevalence"]
    predictor = Predictor(bundle.find(settings.load()), workers=2)
    pixels = phantom.acquire(subtype, seed=3, height=256).pixels
    film = Radiograph(pixels=pixels, format="PNG", bit_depth=8)
    picture = to_model_input(film, size=predictor.bundle.card.image_size)
    point = predictor.bundle.card.operating_points[st.session_state["point"]]
    prediction = predictor.predict(film).at(point, prevalence=prevalence)
    _, caption = choose_heat_map(predictor, picture, prediction, key=subtype)
    st.caption(caption)
    show_agreement(predictor, film, picture, prediction, key=subtype)
    show_stability(predictor, picture, prediction, key=subtype)


@pytest.fixture
def page() -> AppTest:
    page = AppTest.from_function(explain, default_timeout=60)
    page.session_state["film"] = "bacterial"
    page.session_state["point"] = BALANCED
    page.session_state["prevalence"] = 0.5
    return page


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed from here on; occlusion by the gradient of Grad-CAM, which is quicker."""
    calls: list[str] = []
    explained, varied = heat_maps.heat_maps, stability.vary

    def explain_(predictor: object, picture: object, method: Method) -> object:
        calls.append(method)
        quick = heat_maps.GRAD_CAM if method == heat_maps.OCCLUSION else method
        return explained(predictor, picture, quick)  # type: ignore[arg-type]

    def vary(*arguments: object) -> object:
        calls.append("variations")
        return varied(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(heat_maps, "heat_maps", explain_)
    monkeypatch.setattr(stability, "vary", vary)
    return calls


def test_without_asking_it_is_grad_cam_for_the_verdict(page: AppTest, computed: list[str]) -> None:
    page.run()
    assert not page.exception
    assert page.segmented_control(key="side-PNEUMONIA").value == "PNEUMONIA"
    assert "Grad-CAM: the brighter, the more the place speaks for pneumonia." in words(page)
    assert "agreement of the four" not in words(page)
    assert computed == ["variations"]


def test_a_method_is_computed_when_it_is_asked_for_and_once(
    page: AppTest, computed: list[str]
) -> None:
    page.run()
    computed.clear()
    for _ in range(2):
        page.segmented_control(key="heat-map-method").set_value("Occlusion").run()
        assert "less speaks for pneumonia once the place is hidden" in words(page)
        page.segmented_control(key="heat-map-method").set_value("LayerCAM").run()
        assert "What speaks against it is not subtracted." in words(page)
    page.segmented_control(key="side-PNEUMONIA").set_value("NORMAL").run()
    assert "LayerCAM: the brighter, the more the place speaks for normal." in words(page)
    assert computed == ["Occlusion", "LayerCAM"]


def test_another_film_takes_the_place_of_what_was_known(page: AppTest, computed: list[str]) -> None:
    page.run()
    page.session_state["film"] = "normal"
    page.run()
    assert not page.exception
    assert page.segmented_control(key="side-NORMAL").value == "NORMAL"
    page.session_state["film"] = "bacterial"
    page.run()
    assert computed == ["variations"] * 3


def test_the_four_methods_are_compared_once_somebody_asks(
    page: AppTest, computed: list[str]
) -> None:
    page.run()
    computed.clear()
    page.session_state["agreement"] = True
    page.run()
    page.run()
    assert not page.exception
    assert "Evidence for pneumonia, agreement of the four methods: **0." in words(page)
    assert "0.11 by chance" in words(page)
    assert computed == ["Grad-CAM++", "LayerCAM", "Occlusion"]


Say = Callable[..., None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Makes the model give these probabilities to the variations."""

    def say_(**varied: float) -> None:
        monkeypatch.setattr(stability, "vary", lambda predictor, picture: varied)

    return say_


def test_a_verdict_that_holds(page: AppTest, say: Say) -> None:
    say(mirrored=0.9999, cropped=0.76)
    page.run()
    assert "**Stable**: between 76 % and 99.9 %, the verdict holds every time." in words(page)


def test_a_probability_that_hardly_changes_is_one_number() -> None:
    found = Stability(
        probability=0.9996, varied={"mirrored": 0.9999}, threshold=0.5, band=(0.25, 0.75)
    )
    words = "**Stable**: always 99.9 %, the verdict holds every time."
    assert predict_explanation._verdict_of(found) == words


def test_a_verdict_that_holds_but_not_surely(page: AppTest, say: Say) -> None:
    say(**{"mirrored": 0.9999, "more contrast": 0.6, "cropped": 0.55, "blurred": 0.7})
    page.run()
    assert (
        "**Stable**, but not always sure: between 55 % and 99.9 %, never the other verdict, unsure "
        "when given more contrast, cropped or blurred." in words(page)
    )


def test_a_verdict_that_turns(page: AppTest, say: Say) -> None:
    say(mirrored=0.9999, cropped=0.2)
    page.run()
    unstable = "**Unstable**: between 20 % and 99.9 %, the verdict turns when cropped."
    assert unstable in words(page)
    # For other patients the numbers change, and what turns does not.
    page.session_state["prevalence"] = 0.1
    page.run()
    assert "between 2.7 %" not in words(page)
    assert "**Unstable**: between 3 % and 99.9 %, the verdict turns when cropped." in words(page)


def test_what_turns_depends_on_the_operating_point(page: AppTest, say: Say) -> None:
    say(mirrored=0.9999, cropped=0.2)
    page.session_state["point"] = "high-sensitivity"  # from 0.1
    page.run()
    assert "never the other verdict, unsure when cropped" in words(page)
