"""What many parts of the suite share: a home for each test, a tiny sample set, a finished run."""

import contextlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pneumo import cli, settings
from pneumo.datasets import sample_set
from pneumo.datasets.sample_set import Counts
from pneumo.settings import Settings
from pneumo.training import runs
from pneumo.training.recipe import QUICK
from pneumo.training.runs import Run


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


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that went all its way.

    Attributes:
        installation: its home.
        root: the data set that it learned from.
        damaged: an image of that set which cannot be decoded.
        output: the folder that its model was copied to.
        exit_code: of the command, as are standard output and error.
    """

    installation: Settings
    run: Run
    root: Path
    damaged: Path
    output: Path
    exit_code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def training(sample_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The quick recipe on a tiny set with a damaged image, from the command line, offline."""
    folder = tmp_path_factory.mktemp("training")
    root = shutil.copytree(sample_root, folder / "films")
    damaged = min(root.glob("train/PNEUMONIA/*.jpeg"))
    damaged.write_bytes(damaged.read_bytes()[:2000])
    recipe = folder / "recipe.json"
    recipe.write_text(
        QUICK.changed(start="shipped", cached_views=1, epochs=30, validation_share=0.3).to_json()
    )
    out, err = io.StringIO(), io.StringIO()
    arguments = ["train", "--data", str(root), "--recipe", str(recipe), "--json"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PNEUMO_HOME", str(folder / "home"))
        installation = settings.load()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            exit_code = cli.main([*arguments, "--output", str(folder / "copy")])
    return Training(
        installation=installation,
        run=runs.find(installation, "latest"),
        root=root,
        damaged=damaged,
        output=folder / "copy",
        exit_code=exit_code,
        out=out.getvalue(),
        err=err.getvalue(),
    )
