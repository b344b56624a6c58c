"""A trained network to LiteRT, and the two held against each other."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pneumo import background
from pneumo.evaluation.operating_point import BALANCED
from pneumo.inference.bundle import Bundle
from pneumo.inference.card import Parity
from pneumo.inference.interpreter import InterpreterPool

TOGETHER = 16
"""Pictures that are compared at the same time."""


class ParityError(Exception):
    """An exported model answers differently from the network it was made of."""


def to_litert(network: keras.Model, path: Path) -> None:
    """Write a network as a LiteRT file, batch size left open; it appears whole or not at all.

    `network.export` saves, loads and traces the variables several times over; constants go
    through in a third of the time, with the same result.

    Args:
        network: one input, a dict of outputs; their names become the file's signature.
        path: of the file.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        saved_model, exported = str(Path(folder) / "saved_model"), Path(folder) / "model.tflite"
        _save_constants(network, saved_model)
        # What was traced is on disk now: the conversion is what takes the most memory.
        background.give_back_memory()
        exported.write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved_model).convert())
        exported.replace(path)


def _save_constants(network: keras.Model, path: str) -> None:
    """Write a network as a SavedModel in which no variable is left."""
    entry = network.inputs[0]
    specification = tf.TensorSpec(entry.shape, tf.float32, name=entry.name)
    traced = tf.function(
        lambda pictures: network(pictures, training=False), input_signature=[specification]
    )
    constant = convert_variables_to_constants_v2(traced.get_concrete_function())

    @tf.function(input_signature=[specification])
    def serve(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        # A frozen function has forgotten its outputs' names, and orders them by name.
        return dict(zip(sorted(network.output), constant(pictures), strict=True))

    tf.saved_model.save(
        tf.Module(),
        path,
        signatures=serve.get_concrete_function(),
        # Those of EfficientNet's swish cannot be saved, and nobody learns from the file.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def parity(model: Bundle, pictures: np.ndarray) -> Parity:
    """How far the LiteRT file of a bundle is from its Keras model.

    Args:
        model: its hashes were checked, so that its Keras model may be loaded.
        pictures: uint8, shape (images, size, size).
    """
    network = keras.saving.load_model(model.keras, compile=False, safe_mode=True)
    both = logits(network, model.litert, pictures)
    threshold = model.card.operating_points[BALANCED].threshold
    called = model.card.calibration.probability(both) >= threshold
    return Parity(
        largest_logit_difference=float(np.ptp(both, axis=0).max()),
        verdicts_changed=int((called[0] != called[1]).sum()),
    )


def largest_logit_difference(network: keras.Model, litert: Path, pictures: np.ndarray) -> float:
    """The largest absolute difference of the logits of network and LiteRT file; see `logits`."""
    return float(np.ptp(logits(network, litert, pictures), axis=0).max())


def logits(network: keras.Model, litert: Path, pictures: np.ndarray) -> np.ndarray:
    """What a network and the LiteRT file made of it answer.

    Args:
        network: gives "logit" for radiographs of shape (batch, size, size, 1).
        litert: the file.
        pictures: uint8, shape (images, size, size).

    Returns: float32, shape (2, images): the network's logits, then the file's.
    """
    # Not `predict_on_batch`, which answers once for each device of a mirrored network; and
    # compiled, since an eager call keeps every layer's output until the end.
    answer = tf.function(
        lambda radiographs: network(radiographs, training=False)["logit"], reduce_retracing=True
    )
    pool = InterpreterPool(litert, workers=1, batch=TOGETHER)
    parts = [pictures[at : at + TOGETHER] for at in range(0, len(pictures), TOGETHER)]
    by_network = [answer(tf.constant(it[..., np.newaxis], tf.float32)).numpy() for it in parts]
    by_litert = [pool.run(it)["logit"] for it in parts]
    return np.stack([np.concatenate(by_network)[:, 0], np.concatenate(by_litert)[:, 0]])
