"""A pool of interpreters: how many there are, what they give, and that they come back."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from pneumo.inference import bundle
from pneumo.inference.interpreter import InterpreterPool
from pneumo.settings import REPOSITORY

MODEL = REPOSITORY / "models" / bundle.DEFAULT_MODEL / bundle.LITERT
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 224, 224), np.uint8)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A 1 for each interpreter that is loaded."""
    ones: list[int] = []
    load = InterpreterPool._load

    def count(pool: InterpreterPool) -> object:
        ones.append(1)
        return load(pool)

    monkeypatch.setattr(InterpreterPool, "_load", count)
    return ones


def test_threads_change_no_bit() -> None:
    one, two = (InterpreterPool(MODEL, workers=1, threads=threads) for threads in (1, 2))
    expected, found = one.run(PICTURES[:1]), two.run(PICTURES[:1])
    assert expected["logit"].shape == (1, 1) and expected["feature_map"].shape == (1, 7, 7, 1280)
    for name, values in expected.items():
        assert np.array_equal(found[name], values)


def test_a_call_may_bring_fewer_pictures_than_a_batch() -> None:
    pool = InterpreterPool(MODEL, workers=1, batch=3)
    all_of_them = pool.run(PICTURES)["logit"]
    assert all_of_them.shape == (3, 1) and len(set(all_of_them[:, 0].tolist())) == 3
    np.testing.assert_allclose(pool.run(PICTURES[:2])["logit"], all_of_them[:2], atol=1e-5)


def test_interpreters_are_loaded_when_they_are_needed(loaded: list[int]) -> None:
    pool = InterpreterPool(MODEL, workers=2)
    assert len(loaded) == 0
    for _ in range(3):
        pool.run(PICTURES[:1])
    assert len(loaded) == 1  # one call after the other needs no second one

    together = Barrier(2, timeout=20)

    def hold(_: int) -> None:
        with pool._borrowed():
            together.wait()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(hold, range(2)))
    assert len(loaded) == 2
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pool.run(PICTURES[:1]), range(16)))
    assert len(loaded) == 2


def test_a_call_that_fails_gives_its_interpreter_back(loaded: list[int]) -> None:
    pool = InterpreterPool(MODEL, workers=1)
    with pytest.raises(ValueError, match="Cannot set tensor"):
        pool.run(PICTURES[:1, :100])
    assert np.isfinite(pool.run(PICTURES[:1])["logit"]).all()
    assert len(loaded) == 1
