"""What many parts of the suite share: a home of its own for each test, and a tiny sample set."""

from pathlib import Path

import pytest

from pneumo import settings
from pneumo.datasets import sample_set
from pneumo.datasets.sample_set import Counts
from pneumo.settings import Settings


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings whose home is empty: no test reads or writes what the user has."""
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path / "home"))
    return settings.load()


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample set in the Kaggle layout; read it, never write to it."""
    root = tmp_path_factory.mktemp("sample_set")
    sample_set.create(
        root,
        train=Counts(normal=40, pneumonia=60),
        val=Counts(normal=2, pneumonia=2),
        test=Counts(normal=8, pneumonia=12),
        height=256,
    )
    return root
