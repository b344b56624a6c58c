"""LiteRT interpreters that several threads can share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class InterpreterPool:
    """One LiteRT model, loaded `workers` times; an interpreter is not thread-safe by itself.

    Args:
        model: a LiteRT file that takes radiographs, float32, shape (batch, size, size, 1), in
            grey levels 0 to 255, and gives "logit" and "feature_map".
        workers: how many calls can run at once; the cores by default.
        batch: radiographs a call, at most.
    """

    def __init__(self, model: Path, *, workers: int | None = None, batch: int = 1) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.batch = batch
        content = model.read_bytes()
        self._idle: SimpleQueue[Interpreter] = SimpleQueue()
        for _ in range(self.workers):
            interpreter = Interpreter(model_content=content, num_threads=1)
            entry = interpreter.get_input_details()[0]
            interpreter.resize_tensor_input(entry["index"], (batch, *entry["shape"][1:]))
            interpreter.allocate_tensors()
            self._idle.put(interpreter)
        signature = interpreter.get_signature_runner()
        self._outputs = {
            name: details["index"] for name, details in signature.get_output_details().items()
        }
        self._input = entry["index"]

    def run(self, radiographs: np.ndarray) -> dict[str, np.ndarray]:
        """One call of the network.

        Args:
            radiographs: uint8 or float32, shape (images, size, size), grey levels 0 to 255; at
                most as many as a batch.

        Returns: "logit", float32, shape (images, 1), and "feature_map", float32, shape (images,
            rows, columns, channels).
        """
        images = len(radiographs)
        entry = radiographs[..., np.newaxis].astype(np.float32)
        if images < self.batch:
            entry = np.pad(entry, ((0, self.batch - images), (0, 0), (0, 0), (0, 0)))
        with self._borrowed() as interpreter:
            interpreter.set_tensor(self._input, entry)
            interpreter.invoke()
            return {name: interpreter.get_tensor(i)[:images] for name, i in self._outputs.items()}

    @contextmanager
    def _borrowed(self) -> Iterator[Interpreter]:
        interpreter = self._idle.get()
        try:
            yield interpreter
        finally:
            self._idle.put(interpreter)
