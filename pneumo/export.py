"""A trained network to LiteRT, checked against the network itself."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pneumo import background
from pneumo.inference.interpreter import InterpreterPool


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


def largest_logit_difference(network: keras.Model, litert: Path, pictures: np.ndarray) -> float:
    """The largest absolute difference of the logits of network and LiteRT file.

    Args:
        network: gives "logit" for radiographs of shape (batch, size, size, 1).
        pictures: uint8, shape (images, size, size).
    """
    # Not `predict_on_batch`, which answers once for each device of a mirrored network; and
    # compiled, since an eager call keeps every layer's output until the end.
    answer = tf.function(lambda radiographs: network(radiographs, training=False)["logit"])
    expected = answer(tf.constant(pictures[..., np.newaxis], tf.float32)).numpy()
    pool = InterpreterPool(litert, workers=1, batch=len(pictures))
    return float(np.max(np.abs(expected - pool.run(pictures)["logit"])))
