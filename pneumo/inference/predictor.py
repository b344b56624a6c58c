"""From a radiograph to a verdict with its probability and its heat map."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pneumo.inference.bundle import Bundle
from pneumo.inference.explanation import Head, grad_cam
from pneumo.inference.interpreter import InterpreterPool
from pneumo.radiograph import Radiograph, to_model_input

Verdict = Literal["NORMAL", "PNEUMONIA"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of a radiograph.

    Attributes:
        logit: as the network gives it.
        probability: of PNEUMONIA, calibrated.
        threshold: probability from which the verdict is PNEUMONIA.
        cause: of models that tell causes apart, how likely pneumonia, if it is one, is bacterial
            and how likely viral, as {"bacterial": …, "viral": …}; else empty.
        flags: doubts about the film itself, in plain words.
        heat_map: Grad-CAM, float32, shape (rows, columns) of the last feature map, in [0, 1]:
            where the film speaks for PNEUMONIA.
        heat_map_normal: the same for NORMAL.
        milliseconds: from radiograph to heat map.
        model: name of the bundle.
        model_digest: SHA-256 of the file that predicted.
    """

    logit: float
    probability: float
    threshold: float
    cause: dict[str, float]
    flags: tuple[str, ...]
    heat_map: np.ndarray
    heat_map_normal: np.ndarray
    milliseconds: float
    model: str
    model_digest: str

    @property
    def verdict(self) -> Verdict:
        """At the model's balanced operating point."""
        return "PNEUMONIA" if self.probability >= self.threshold else "NORMAL"

    def evidence_for(self, label: Verdict) -> np.ndarray:
        """The heat map of where the film speaks for a class."""
        return self.heat_map if label == "PNEUMONIA" else self.heat_map_normal

    @property
    def confidence(self) -> float:
        """The calibrated probability of the verdict that was given."""
        return self.probability if self.verdict == "PNEUMONIA" else 1 - self.probability

    @property
    def wording(self) -> str:
        """The verdict in the words that users of such tools know."""
        # No film makes a model certain, whatever two decimals say.
        percent = min(100 * self.confidence, 99.99)
        return f"Prediction: {self.verdict.capitalize()}, confidence {percent:.2f} %"


class Predictor:
    """A model bundle, loaded and ready; safe to share between threads.

    Args:
        bundle: the model.
        workers: predictions that can run at once; the cores by default.
    """

    def __init__(self, bundle: Bundle, *, workers: int | None = None) -> None:
        self.bundle = bundle
        self._interpreters = InterpreterPool(bundle.litert, workers=workers)
        self._head = Head.load(bundle.head)

    @property
    def workers(self) -> int:
        """Predictions that can run at once."""
        return self._interpreters.workers

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of PNEUMONIA, nothing else, on all cores.

        Args:
            pictures: as `to_model_input` makes them, uint8, shape (images, size, size).

        Returns: float64, shape (images,).
        """

        def logit(picture: np.ndarray) -> float:
            return float(self._interpreters.run(picture[np.newaxis])["logit"][0, 0])

        with ThreadPoolExecutor(self.workers) as pool:
            logits = np.array(list(pool.map(logit, pictures)))
        return self.bundle.card.calibration.probability(logits)

    def predict(self, radiograph: Radiograph) -> Prediction:
        """Verdict, probability and heat maps of one radiograph."""
        begin = time.perf_counter()
        card = self.bundle.card
        picture = to_model_input(radiograph, size=card.image_size)
        output = self._interpreters.run(picture[np.newaxis])
        logit = float(output["logit"][0, 0])
        feature_map = output["feature_map"][0]
        gradient = self._head.gradient(feature_map)
        return Prediction(
            logit=logit,
            probability=float(card.calibration.probability(logit)),
            threshold=card.operating_points["balanced"].threshold,
            cause=_cause(output),
            flags=doubts(radiograph, image_size=card.image_size),
            heat_map=grad_cam(feature_map, gradient),
            heat_map_normal=grad_cam(feature_map, -gradient),
            milliseconds=1000 * (time.perf_counter() - begin),
            model=card.name,
            model_digest=self.bundle.digest,
        )


def _cause(output: dict[str, np.ndarray]) -> dict[str, float]:
    """The shares of bacterial and viral within pneumonia, where the model tells them apart."""
    if "class_logits" not in output:
        return {}
    _, bacterial, viral = output["class_logits"][0].astype(float)
    share = float(1 / (1 + np.exp(viral - bacterial)))
    return {"bacterial": share, "viral": 1 - share}


def doubts(radiograph: Radiograph, *, image_size: int) -> tuple[str, ...]:
    """What about a film makes its verdict doubtful, in plain words."""
    height, width = radiograph.pixels.shape
    flags = []
    if min(height, width) < image_size:
        flags.append(f"Small image: {width}×{height} pixels, the model reads {image_size}.")
    if np.ptp(radiograph.pixels) < 32:
        flags.append("Hardly any contrast: this may be a blank image.")
    return tuple(flags)
