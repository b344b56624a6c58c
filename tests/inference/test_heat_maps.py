"""Each method on the shipped model."""

import numpy as np
import pytest

from pneumo.datasets import phantom
from pneumo.inference import bundle
from pneumo.inference.heat_maps import GRAD_CAM, METHODS, OCCLUSION, Method, evidence, heat_maps
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import Radiograph, to_model_input
from pneumo.settings import REPOSITORY

PIXELS = phantom.acquire("bacterial", seed=3, height=256).pixels
FILM = Radiograph(pixels=PIXELS, format="PNG", bit_depth=8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.load(REPOSITORY / "models" / bundle.DEFAULT_MODEL))


def test_grad_cam_is_the_one_of_the_prediction(predictor: Predictor) -> None:
    prediction = predictor.predict(FILM)
    maps = heat_maps(predictor, to_model_input(FILM), GRAD_CAM)
    assert maps["PNEUMONIA"] == pytest.approx(prediction.heat_map, abs=1e-4)
    assert maps["NORMAL"] == pytest.approx(prediction.heat_map_normal, abs=1e-4)


@pytest.mark.parametrize("method", METHODS[:-1])
def test_maps_of_both_classes_reach_from_0_to_1(predictor: Predictor, method: Method) -> None:
    for heat_map in heat_maps(predictor, to_model_input(FILM), method).values():
        assert (heat_map.shape, heat_map.dtype) == ((7, 7), np.float32)
        assert (heat_map.min() >= 0, heat_map.max()) == (True, 1)


def test_what_a_heat_map_says() -> None:
    something, nothing = np.eye(7, dtype=np.float32), np.zeros((7, 7), np.float32)
    assert evidence(something, GRAD_CAM, "PNEUMONIA") == (
        "Grad-CAM: the brighter, the more the place speaks for pneumonia."
    )
    assert "What speaks against it" in evidence(something, "LayerCAM", "NORMAL")
    assert "once the place is hidden" in evidence(something, OCCLUSION, "NORMAL")
    for method in METHODS:
        said = evidence(nothing, method, "NORMAL")
        assert said == f"{method}: nothing in this film speaks for normal."


def test_what_speaks_for_either_class_when_it_is_hidden(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logits(pictures: np.ndarray) -> np.ndarray:
        """The left edge speaks for PNEUMONIA, the right edge for NORMAL, the more as they differ
        from the grey that hides them."""
        difference = np.abs(pictures - float(round(picture.mean())))
        return difference[:, :, :8].mean(axis=(1, 2)) - difference[:, :, -8:].mean(axis=(1, 2))

    picture = to_model_input(FILM)
    monkeypatch.setattr(predictor, "logits", logits)
    maps = heat_maps(predictor, picture, OCCLUSION)
    for label, columns in (("PNEUMONIA", [0]), ("NORMAL", [13])):
        heat_map = maps[label]  # type: ignore[index]
        assert (heat_map.shape, heat_map.dtype, heat_map.max()) == ((14, 14), np.float32, 1)
        assert np.unique(np.nonzero(heat_map)[1]).tolist() == columns
