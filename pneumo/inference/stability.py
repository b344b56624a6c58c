"""What would change a model's mind: the same film, changed as little as the next scanner would.

None of the variations touches the disease, and so the answer should stay. Where it does not, it
hangs on something else, or by a thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from pneumo.evaluation.calibration import restate
from pneumo.inference.predictor import Prediction, Predictor


def _cropped(picture: np.ndarray) -> np.ndarray:
    size = len(picture)
    edge = round(0.05 * size)
    inner = picture[edge : size - edge, edge : size - edge]
    return np.asarray(cv2.resize(inner, (size, size), interpolation=cv2.INTER_LINEAR))


def _levels(
    *, contrast: float = 1.0, brightness: float = 1.0
) -> Callable[[np.ndarray], np.ndarray]:
    """Grey levels further from their mean, or all of them brighter, by a factor."""

    def change(picture: np.ndarray) -> np.ndarray:
        mean = picture.mean()
        changed = brightness * (mean + contrast * (picture - mean))
        return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)

    return change


VARIATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": lambda picture: picture[:, ::-1],
    "cropped": _cropped,  # by 5 % on each side
    "blurred": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0)),
    "less contrast": _levels(contrast=0.8),
    "more contrast": _levels(contrast=1.2),
    "darker": _levels(brightness=0.8),
    "brighter": _levels(brightness=1.2),
}
"""By name: a picture, uint8, shape (size, size), to a changed one of the same shape and dtype."""


@dataclass(frozen=True, kw_only=True)
class Stability:
    """What a model says of a film and of its variations.

    Attributes:
        probability: of PNEUMONIA, of the film as it is.
        varied: the same of each variation, by name.
        threshold: from which the verdict is PNEUMONIA.
        band: between these two probabilities the model is unsure.
    """

    probability: float
    varied: Mapping[str, float]
    threshold: float
    band: tuple[float, float]

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest probability, the film as it is included."""
        everything = (self.probability, *self.varied.values())
        return min(everything), max(everything)

    @property
    def spread(self) -> float:
        """The highest probability less the lowest."""
        low, high = self.range
        return high - low

    @property
    def turned(self) -> tuple[str, ...]:
        """The variations under which the verdict is the other one."""
        verdict = self.probability >= self.threshold
        return tuple(
            name for name, varied in self.varied.items() if (varied >= self.threshold) != verdict
        )

    @property
    def unsure(self) -> tuple[str, ...]:
        """The variations under which the model is unsure."""
        low, high = self.band
        return tuple(name for name, varied in self.varied.items() if low < varied < high)


def vary(predictor: Predictor, picture: np.ndarray) -> dict[str, float]:
    """Calibrated probabilities of PNEUMONIA under each variation, by name.

    Args:
        picture: as `to_model_input` makes it, uint8, shape (size, size).
    """
    pictures = np.stack([change(picture) for change in VARIATIONS.values()])
    return dict(zip(VARIATIONS, predictor.probabilities(pictures).tolist(), strict=True))


def judge(prediction: Prediction, varied: Mapping[str, float]) -> Stability:
    """The variations of a film read as its prediction is: for its patients, at its threshold.

    Args:
        varied: as `vary` gives them, for a prevalence of one half.
    """
    return Stability(
        probability=prediction.probability,
        varied={
            name: float(restate(probability, prevalence=prediction.prevalence))
            for name, probability in varied.items()
        },
        threshold=prediction.threshold,
        band=prediction.band,
    )
