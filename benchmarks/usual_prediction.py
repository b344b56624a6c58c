"""Predicting the way most tutorials do it: the peer that ours is timed against.

Pillow decodes and resizes, `predict` of a Keras model gives the verdict, a gradient tape over a
second pass Grad-CAM, and OpenCV colours the film at its full size. Nothing here is ours but the
stopwatch and the weights.

    python benchmarks/usual_prediction.py model.keras films.json

`films.json` lists paths. The answer is one JSON object on standard output: `milliseconds` of each
film, and `peak_mib` of the process.
"""

import io
import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # first: on macOS it can hang when others were there before it

# isort: split
import cv2
import keras
import numpy as np
from PIL import Image

SIDE = 224
OPACITY = 0.4


def explain(model: keras.Model, data: bytes) -> tuple[float, np.ndarray]:
    """Probability of PNEUMONIA and the film under its heat map, uint8 BGR, of the film's size."""
    film = Image.open(io.BytesIO(data)).convert("L")
    picture = np.asarray(film.resize((SIDE, SIDE)), np.float32)[np.newaxis, ..., np.newaxis]
    logit = float(model.predict(picture, verbose=0)["logit"][0, 0])
    with tf.GradientTape() as tape:
        output = model(picture, training=False)
        score = output["logit"][:, 0]
    weights = tf.reduce_mean(tape.gradient(score, output["feature_map"]), axis=(1, 2))
    heat = tf.nn.relu(tf.einsum("brcf,bf->brc", output["feature_map"], weights))[0].numpy()
    heat /= max(heat.max(), 1e-9)
    stretched = cv2.resize(heat, film.size)
    colours = cv2.applyColorMap(np.uint8(255 * stretched), cv2.COLORMAP_JET)
    grey = cv2.cvtColor(np.asarray(film), cv2.COLOR_GRAY2BGR)
    return 1 / (1 + np.exp(-logit)), cv2.addWeighted(grey, 1 - OPACITY, colours, OPACITY, 0)


def main() -> None:
    model = keras.models.load_model(sys.argv[1])
    films = [Path(path).read_bytes() for path in json.loads(Path(sys.argv[2]).read_text())]
    explain(model, films[0])  # compiles
    milliseconds = []
    for data in films:
        begin = time.perf_counter()
        explain(model, data)
        milliseconds.append(1000 * (time.perf_counter() - begin))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    print(json.dumps({"milliseconds": milliseconds, "peak_mib": peak}))


if __name__ == "__main__":
    main()
