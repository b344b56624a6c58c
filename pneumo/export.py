"""A trained network to LiteRT, checked against the network itself."""

import os
import tempfile
from pathlib import Path

import keras
import numpy as np

from pneumo.inference.interpreter import InterpreterPool


class ParityError(Exception):
    """An exported model answers differently from the network it was made of."""


def to_litert(network: keras.Model, path: Path) -> None:
    """Write a network with one input as a LiteRT file, batch size left open.

    The file appears whole or not at all.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        exported = Path(folder) / "model.tflite"
        network.export(str(exported), format="litert", verbose=False)
        exported.replace(path)


def largest_logit_difference(network: keras.Model, litert: Path, pictures: np.ndarray) -> float:
    """The largest absolute difference of the logits of network and LiteRT file.

    Args:
        network: gives "logit" for radiographs of shape (batch, size, size, 1).
        pictures: uint8, shape (images, size, size).
    """
    expected = network.predict_on_batch(pictures[..., np.newaxis].astype(np.float32))["logit"]
    pool = InterpreterPool(litert, workers=os.cpu_count(), batch=len(pictures))
    return float(np.max(np.abs(expected - pool.run(pictures)["logit"])))
