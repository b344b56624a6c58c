"""LiteRT interpreters that several threads can share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue

import numpy as np
from ai_edge_litert.interpreter import Interpreter


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """An interpreter, and which of its tensors are which."""

    interpreter: Interpreter
    entry: int
    outputs: dict[str, int]


class InterpreterPool:
    """One LiteRT model for several callers; an interpreter is not thread-safe by itself.

    The file is held once. An interpreter, which packs the weights for itself, is loaded when a
    call finds none idle.

    Args:
        model: a LiteRT file that takes radiographs, float32, shape (batch, size, size, 1), in
            grey levels 0 to 255, and gives "logit" and "feature_map".
        workers: how many calls can run at once; the cores by default.
        batch: radiographs a call, at most.
        threads: that share the work of a call. They change how fast the answer comes, not a bit
            of it.
    """

    def __init__(
        self, model: Path, *, workers: int | None = None, batch: int = 1, threads: int = 1
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.batch = batch
        self._threads = threads
        self._content = model.read_bytes()
        # The one that was given back last goes out first; None stands for one not loaded yet.
        self._idle: LifoQueue[_Loaded | None] = LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)

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
        with self._borrowed() as loaded:
            interpreter = loaded.interpreter
            interpreter.set_tensor(loaded.entry, entry)
            interpreter.invoke()
            return {
                name: interpreter.get_tensor(output)[:images]
                for name, output in loaded.outputs.items()
            }

    @contextmanager
    def _borrowed(self) -> Iterator[_Loaded]:
        loaded = self._idle.get()
        try:
            loaded = loaded or self._load()
            yield loaded
        finally:
            self._idle.put(loaded)

    def _load(self) -> _Loaded:
        interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
        entry = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(entry["index"], (self.batch, *entry["shape"][1:]))
        interpreter.allocate_tensors()
        outputs = interpreter.get_signature_runner().get_output_details()
        return _Loaded(
            interpreter=interpreter,
            entry=entry["index"],
            outputs={name: details["index"] for name, details in outputs.items()},
        )
