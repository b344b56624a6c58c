"""The heat maps of a film by each method."""

from typing import Literal

import numpy as np

from pneumo.inference.explanation import grad_cam, grad_cam_plus_plus, layer_cam, scaled
from pneumo.inference.occlusion import occlusion
from pneumo.inference.predictor import Predictor, Verdict

Method = Literal["Grad-CAM", "Grad-CAM++", "LayerCAM", "Occlusion"]

GRAD_CAM: Method = "Grad-CAM"
OCCLUSION: Method = "Occlusion"

_ACTIVATION_MAPS = {
    GRAD_CAM: grad_cam,
    "Grad-CAM++": grad_cam_plus_plus,
    "LayerCAM": layer_cam,
}
METHODS: tuple[Method, ...] = (GRAD_CAM, "Grad-CAM++", "LayerCAM", OCCLUSION)


def heat_maps(
    predictor: Predictor, picture: np.ndarray, method: Method
) -> dict[Verdict, np.ndarray]:
    """Where a film speaks for PNEUMONIA and where for NORMAL.

    Args:
        picture: as `to_model_input` makes it, uint8, shape (size, size).
        method: occlusion asks the model about two hundred times, the others once.

    Returns: for each class float32, shape (rows, columns), in [0, 1]; all zero where nothing
        speaks for the class.
    """
    if method == OCCLUSION:
        drops = occlusion(predictor.logits, picture)
        return {"PNEUMONIA": scaled(drops), "NORMAL": scaled(-drops)}
    features = predictor.feature_map(picture)
    gradient = predictor.head.gradient(features)
    activation_map = _ACTIVATION_MAPS[method]
    return {
        "PNEUMONIA": activation_map(features, gradient),
        "NORMAL": activation_map(features, -gradient),
    }


def evidence(heat_map: np.ndarray, method: Method, label: Verdict) -> str:
    """What a heat map says of a film, in a sentence or two.

    Args:
        heat_map: all zero where nothing speaks for the class.
        label: the class that it speaks for.
    """
    name = label.lower()
    if not heat_map.any():
        return f"{method}: nothing in this film speaks for {name}."
    if method == OCCLUSION:
        return f"Occlusion: the brighter, the less speaks for {name} once the place is hidden."
    against = "" if method == GRAD_CAM else " What speaks against it is not subtracted."
    return f"{method}: the brighter, the more the place speaks for {name}.{against}"
