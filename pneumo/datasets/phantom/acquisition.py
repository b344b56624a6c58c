"""How a film is taken: positioning, exposure, detection, processing."""

from dataclasses import dataclass
from math import cos, radians, sin, tanh

import cv2
import numpy as np

from pneumo.datasets.phantom.geometry import View, noise

BODY = 0.6  # density, −ln of the relative signal, above which a ray has met the body


@dataclass(frozen=True, kw_only=True)
class Technique:
    """How a film was taken; drawn without knowledge of what it shows.

    Attributes:
        breath: lung height relative to the patient's full breath.
        field_width: width of the field, in cm for a child of scale 1.
        above: from the upper border to the top of the lungs, in cm.
        below: from the dome of the diaphragm to the lower border, in cm.
        shift: of the patient from the middle of the field, in cm.
        tilt: of the patient in the plane of the film, in degrees.
        quanta: detected per pixel in the open beam, at 512 rows.
        scatter: scattered over primary radiation behind the patient.
        blur: standard deviation of focal spot and detector, in pixels at 512 rows.
        evening: how much of large bright and dark areas is taken out, 0 to 1.
        sharpening: how much of fine detail is added, 0 for none.
        gamma: exponent of the response curve.
        black: line integral below which the film is black, as a share of the largest.
        white: grey level of the densest parts, 0 to 1.
        shutters: collimation seen at left, right and below, in cm; none where negative.
        letter_at: side letter, from the upper left corner, in shares of width and height.
        letter_size: height of the letter, as a share of the film's height; 0 for none.
    """

    breath: float
    field_width: float
    above: float
    below: float
    shift: float
    tilt: float
    quanta: float
    scatter: float
    blur: float
    evening: float
    sharpening: float
    gamma: float
    black: float
    white: float
    shutters: tuple[float, float, float]
    letter_at: tuple[float, float]
    letter_size: float


def draw_technique(random: np.random.Generator) -> Technique:
    """Positioning, exposure and processing, drawn at random."""
    in_corner = random.random() < 0.5
    letter_left = random.uniform(0.02, 0.1) if in_corner else random.uniform(0.01, 0.04)
    letter_top = random.uniform(0.03, 0.12) if in_corner else random.uniform(0.3, 0.6)
    return Technique(
        breath=random.uniform(0.93, 1.03),
        field_width=random.uniform(18.5, 24.0),
        above=random.uniform(2.2, 4.2),
        below=random.uniform(2.2, 5.0),
        shift=random.normal(0, 0.5),
        tilt=random.normal(0, 1.5),
        quanta=10 ** random.uniform(4.5, 5.2),
        scatter=random.uniform(0.2, 0.45),
        blur=random.uniform(0.9, 1.3),
        evening=random.uniform(0.5, 0.65),
        sharpening=random.uniform(0.5, 0.9),
        gamma=random.uniform(0.85, 1.25),
        black=random.uniform(0.14, 0.25),
        white=random.uniform(0.78, 0.93),
        shutters=tuple(random.uniform(-1.2, 0.6, size=3)),
        letter_at=(letter_left, letter_top),
        letter_size=float(random.choice([0.0, random.uniform(0.03, 0.075)], p=[0.1, 0.9])),
    )


def position(
    technique: Technique, view: View, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where the ray of each pixel passes through the patient: `x` and `y` in cm.

    The patient is tilted and bent a little: no child is symmetrical or stands still.
    """
    tilt = radians(technique.tilt)
    x = cos(tilt) * view.x + sin(tilt) * view.y + 0.18 * noise(random, view, 5.0)
    y = cos(tilt) * view.y - sin(tilt) * view.x + 0.18 * noise(random, view, 5.0)
    return x, y


def expose(line_integral: np.ndarray, technique: Technique, view: View) -> np.ndarray:
    """Radiation behind the patient relative to the open beam, float32.

    Primary radiation by Beer and Lambert, scatter as its wide blur.
    """
    primary = cv2.exp(-line_integral)  # OpenCV's is ten times as fast as NumPy's
    small = cv2.resize(primary, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    # Scatter arises in the patient: the open beam beside it adds none.
    veil = cv2.GaussianBlur(np.minimum(small, 0.2), (0, 0), 2.5 * view.resolution / 8)
    return primary + technique.scatter * cv2.resize(veil, (view.width, view.height))


def detect(radiation: np.ndarray, technique: Technique, random: np.random.Generator) -> np.ndarray:
    """The detector's signal relative to the open beam, float32.

    Focal spot and detector blur; quantum noise is the normal limit of Poisson's law.
    """
    height = len(radiation)
    signal = cv2.GaussianBlur(radiation, (0, 0), technique.blur * height / 512)
    quanta = technique.quanta * (512 / height) ** 2
    grain = random.standard_normal(signal.shape, dtype=np.float32)
    return np.maximum(signal + np.sqrt(signal / quanta) * grain, 1e-4)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Densities, −ln of the relative signal, that a film is developed for.

    Attributes:
        typical: of the middle of the body.
        densest: of its densest parts, shown almost white.
    """

    typical: float
    densest: float


def choose_window(radiation: np.ndarray) -> Window:
    """The window that suits a patient, from the radiation behind him."""
    density = -cv2.log(radiation)
    body = density[density > BODY]
    return Window(typical=float(np.median(body)), densest=float(np.percentile(body, 99)))


def develop(signal: np.ndarray, technique: Technique, window: Window) -> np.ndarray:
    """Log response, processing as in computed radiography, window and curve; uint8."""
    density = -cv2.log(signal)
    height, width = density.shape
    small = cv2.resize(density, (64 * width // height, 64), interpolation=cv2.INTER_AREA)
    body = small > BODY
    excess = np.where(body, cv2.GaussianBlur(small, (0, 0), 4.5) - window.typical, 0)
    middle = np.where(body, cv2.GaussianBlur(small, (0, 0), 1.2), small)
    correction = technique.evening * cv2.GaussianBlur(excess, (0, 0), 1.5)
    correction += technique.sharpening * middle
    detail = (1 + technique.sharpening) * density
    detail -= cv2.resize(correction, (width, height))
    white = window.densest - technique.evening * 0.6 * (window.densest - window.typical)
    black = technique.black * white
    tone = np.maximum((detail - black) / (white - black), 0) ** technique.gamma
    tone = np.tanh(1.2 * tone) / tanh(1.2)
    return np.clip(255 * technique.white * tone, 0, 255).astype(np.uint8)


def annotate(pixels: np.ndarray, technique: Technique, view: View) -> None:
    """Blackens what the shutters cover and burns in the side letter, in place."""
    left, right, below = (int(max(s, 0) * view.resolution) for s in technique.shutters)
    pixels[:, :left] = 0
    pixels[:, view.width - right :] = 0
    pixels[view.height - below :] = 0
    if technique.letter_size == 0:
        return
    scale = technique.letter_size * view.height / 22
    x = int(technique.letter_at[0] * view.width)
    y = int((technique.letter_at[1] + technique.letter_size) * view.height)
    thickness = max(round(2.2 * scale), 1)
    cv2.putText(pixels, "R", (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
