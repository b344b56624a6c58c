"""From a radiograph to a verdict with its probability and its heat map."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import cv2
import numpy as np

from pneumo.evaluation.calibration import restate
from pneumo.evaluation.operating_point import BALANCED, OperatingPoint
from pneumo.inference.bundle import Bundle
from pneumo.inference.cases import Cases
from pneumo.inference.explanation import Head, grad_cam
from pneumo.inference.gate import Gate
from pneumo.inference.interpreter import InterpreterPool
from pneumo.radiograph import Radiograph, to_model_input

Verdict = Literal["NORMAL", "PNEUMONIA"]

OUT_OF_SCOPE = "Outside what the model was trained on"

# What films are like whose verdict may be trusted: a little beyond the range of all 793 films of
# the shipped model's validation patients.
MEAN_LEVELS = (65.0, 175.0)
MOST_WHITE = 0.03
LEAST_SPREAD = 20.0
"""Standard deviation of the grey levels."""
LEAST_SHARPNESS = 15.0
"""Variance of the Laplacian."""

MOST_THREADS = 4
"""That share one film: a network so small has no work for more."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of a radiograph.

    Attributes:
        logit: as the network gives it.
        probability: of PNEUMONIA, calibrated.
        threshold: probability from which the verdict is PNEUMONIA.
        band: between these two probabilities the model is unsure.
        prevalence: the share of PNEUMONIA that probability, threshold and band are stated for.
        cause: of models that tell causes apart, how likely pneumonia, if it is one, is bacterial
            and how likely viral, as {"bacterial": …, "viral": …}; else empty.
        flags: doubts about the film itself, in plain words.
        scope: why the film is unlike those that the model was trained on, in plain words; empty
            where it is not.
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
    band: tuple[float, float]
    cause: dict[str, float]
    flags: tuple[str, ...]
    scope: tuple[str, ...]
    heat_map: np.ndarray
    heat_map_normal: np.ndarray
    milliseconds: float
    model: str
    model_digest: str
    prevalence: float = 0.5

    def at(self, point: OperatingPoint, *, prevalence: float = 0.5) -> Self:
        """The same answer read at another operating point, or for other patients.

        Probability, threshold and band are restated together. The verdict is that of the point,
        whose sensitivity and specificity do not depend on how common pneumonia is.

        Args:
            point: of the model that predicted.
            prevalence: the share of PNEUMONIA among the patients, between 0 and 1.

        Raises:
            ValueError: `prevalence` is not between 0 and 1.
        """
        low, high = restate(np.array(point.band), prevalence=prevalence).tolist()
        return dataclasses.replace(
            self,
            probability=float(
                restate(self.probability, prevalence=prevalence, base=self.prevalence)
            ),
            threshold=float(restate(point.threshold, prevalence=prevalence)),
            band=(low, high),
            prevalence=prevalence,
        )

    @property
    def verdict(self) -> Verdict:
        """At the operating point; where the model is unsure, the class that it leans to."""
        return "PNEUMONIA" if self.probability >= self.threshold else "NORMAL"

    @property
    def unsure(self) -> bool:
        """Whether no verdict is better than either."""
        low, high = self.band
        return low < self.probability < high

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
        told = two_decimals(self.confidence)
        if self.scope:
            return f"Would lean to {self.verdict.lower()}, {told}"
        if self.unsure:
            return f"Unsure: leans to {self.verdict.lower()}, {told}"
        # Nobody is 10 % confident, but a point can call PNEUMONIA what is 10 % likely to be one.
        word = "confidence" if self.confidence >= 0.5 else "probability"
        return f"Prediction: {self.verdict.capitalize()}, {word} {told}"

    @property
    def description(self) -> str:
        """The wording for those who do not see what stands around it."""
        return f"{OUT_OF_SCOPE}. {self.wording}" if self.scope else self.wording

    @property
    def statement(self) -> str:
        """The probability, and what follows from it, in a sentence."""
        low, high = self.band
        return (
            f"Probability of pneumonia {two_decimals(self.probability)}, called pneumonia from "
            f"{percent(self.threshold)}, unsure from {percent(low)} to {percent(high)}."
        )

    @property
    def against_the_odds(self) -> str:
        """Why the verdict is the less likely class, in a sentence; "" where it is not."""
        if self.confidence >= 0.5 or self.scope:
            return ""
        seldom = "not " if self.verdict == "PNEUMONIA" else ""
        return (
            "The verdict goes by the operating point. At a prevalence of "
            f"{percent(self.prevalence)} most films like this one are {seldom}pneumonia."
        )

    @property
    def causes(self) -> str:
        """The causes of a pneumonia in a sentence; "" where there is none, or none is known."""
        if self.verdict == "NORMAL" or not self.cause:
            return ""
        shares = (f"{name} {two_decimals(share)}" for name, share in self.cause.items())
        return f"If it is pneumonia: {', '.join(shares)}."


def stated(probability: float) -> float:
    """A probability as people read it: no film makes a model certain."""
    return min(max(probability, 0.0001), 0.9999)


def two_decimals(probability: float) -> str:
    """A probability in percent."""
    return f"{100 * stated(probability):.2f} %"


def percent(share: float) -> str:
    """As short as it can be: 50 %, 3.57 %, 99.9 %, and 100 % for nothing less."""
    digits = 3 if share <= 0.999 or share == 1 else 4
    return f"{min(100 * share, 99.99) if share < 1 else 100:.{digits}g} %"


class Predictor:
    """A model bundle, loaded and ready; safe to share between threads.

    A film by itself is answered by all cores together, as soon as can be; of many films each
    core answers its own, as many as can be.

    Args:
        bundle: the model.
        workers: predictions of many that can run at once; the cores by default.

    Attributes:
        bundle: the model.
        head: what turns its last feature map into the logit.
    """

    def __init__(self, bundle: Bundle, *, workers: int | None = None) -> None:
        self.bundle = bundle
        self._of_many = InterpreterPool(bundle.litert, workers=workers)
        threads = min(self._of_many.workers, MOST_THREADS)
        self._by_itself = InterpreterPool(bundle.litert, workers=1, threads=threads)
        self.head = Head.load(bundle.head)
        self._gate = Gate.load(bundle.gate)
        # Loads, so that the first film does not wait for that.
        size = bundle.card.image_size
        self._by_itself.run(np.zeros((1, size, size), np.uint8))

    @cached_property
    def cases(self) -> Cases | None:
        """The films it learned from, to look for the nearest; None where its bundle has none."""
        return Cases.load(self.bundle.cases) if self.bundle.cases else None

    @property
    def workers(self) -> int:
        """Predictions of many that can run at once."""
        return self._of_many.workers

    def feature_map(self, picture: np.ndarray) -> np.ndarray:
        """The last feature map of one picture.

        Args:
            picture: as `to_model_input` makes it, uint8, shape (size, size).

        Returns: float32, shape (rows, columns, channels).
        """
        return self._of_many.run(picture[np.newaxis])["feature_map"][0]

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of PNEUMONIA, nothing else, on all cores.

        Args:
            pictures: as `to_model_input` makes them, uint8, shape (images, size, size).

        Returns: float64, shape (images,).
        """
        return self.bundle.card.calibration.probability(self.logits(pictures))

    def logits(self, pictures: np.ndarray) -> np.ndarray:
        """As `probabilities`, but as the network gives them, before calibration."""

        def logit(picture: np.ndarray) -> float:
            return float(self._of_many.run(picture[np.newaxis])["logit"][0, 0])

        with ThreadPoolExecutor(self.workers) as pool:
            return np.array(list(pool.map(logit, pictures)))

    def predict(self, radiograph: Radiograph, *, of_many: bool = False) -> Prediction:
        """Verdict, probability and heat maps of one radiograph, at the balanced point.

        Args:
            radiograph: read with `model_size` of the model's `card.image_size`.
            of_many: other threads predict meanwhile; the answer is the same.
        """
        begin = time.perf_counter()
        card = self.bundle.card
        point = card.operating_points[BALANCED]
        picture = to_model_input(radiograph, size=card.image_size)
        interpreters = self._of_many if of_many else self._by_itself
        output = interpreters.run(picture[np.newaxis])
        logit = float(output["logit"][0, 0])
        feature_map = output["feature_map"][0]
        gradient = self.head.gradient(feature_map)
        return Prediction(
            logit=logit,
            probability=float(card.calibration.probability(logit)),
            threshold=point.threshold,
            band=point.band,
            cause=_cause(output),
            flags=doubts(radiograph, picture),
            scope=self._gate.reasons(radiograph, picture, feature_map.mean(axis=(0, 1))),
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


def doubts(radiograph: Radiograph, picture: np.ndarray) -> tuple[str, ...]:
    """What about a film makes its verdict doubtful, in plain words.

    Args:
        radiograph: as it was read.
        picture: as the network saw it, uint8, shape (size, size).
    """
    found = []
    height, width = radiograph.shape
    size = len(picture)
    if min(height, width) < size:
        found.append(f"Small image: {width}×{height} pixels, the model reads {size}.")
    darkest, brightest = MEAN_LEVELS
    if picture.mean() < darkest:
        found.append("Very dark: what is faint may be lost.")
    elif picture.mean() > brightest:
        found.append("Very bright: what is faint may be lost.")
    if (white := (picture >= 253).mean()) > MOST_WHITE:
        found.append(f"Burnt out: {white:.0%} of the film is pure white.")
    if picture.std() < LEAST_SPREAD:
        found.append("Little contrast.")
    elif cv2.Laplacian(picture, cv2.CV_32F).var() < LEAST_SHARPNESS:
        found.append("Blurred: fine detail is missing.")
    return tuple(found)
