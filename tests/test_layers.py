"""Modules import only downward; TensorFlow and Streamlit stay where they belong."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pneumo.settings import REPOSITORY

LAYERS = (
    ("pneumo.settings",),
    ("pneumo.radiograph", "pneumo.figures", "pneumo.background", "pneumo.identifiers"),
    ("pneumo.datasets",),
    ("pneumo.evaluation",),
    ("pneumo.inference",),
    ("pneumo.report",),
    ("pneumo.export", "pneumo.secondary_capture"),
    ("pneumo.training",),
    ("pneumo.audit",),
    ("pneumo.cli",),
    ("pneumo.__main__", "pages"),
    ("streamlit_app",),
)
"""From the bottom up. A module may import the layers below and its own package."""

LIGHT = (
    *("pneumo", "pneumo.cli", "pneumo.figures", "pneumo.radiograph", "pneumo.settings"),
    *("pneumo.datasets", "pneumo.evaluation", "pneumo.inference", "pneumo.training"),
    *("pneumo.training.backbones", "pneumo.training.recipe", "pneumo.training.runs"),
    *("pneumo.training.queue", "pneumo.training.launcher", "pneumo.training.pace"),
    "pneumo.training.tracking",
)
"""What pages and the command line import; everything in `training` else needs TensorFlow."""

MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for pattern in ("pneumo/**/*.py", "pages/**/*.py", "streamlit_app.py")
    for path in REPOSITORY.glob(pattern)
}


def violations(module: str, source: str) -> list[str]:
    """What the imports of a module break, in words."""
    found = []
    for imported, at_module_level in _imports(ast.parse(source)):
        package = imported.partition(".")[0]
        if imported == ".":
            found.append(f"{module} has a relative import, which hides the layers")
        elif package in ("pneumo", "pages", "streamlit_app"):
            if imported != "pneumo" and not _goes_down(module, imported):
                found.append(f"{module} imports {imported}, which is not below it")
        elif package == "streamlit" and _is_in(module, "pneumo"):
            found.append(f"{module} imports Streamlit")
        elif package in ("tensorflow", "keras") and at_module_level and not _is_heavy(module):
            found.append(f"{module} imports {imported} at module level")
    return found


def _imports(node: ast.AST, *, at_module_level: bool = True) -> Iterator[tuple[str, bool]]:
    """Each module that code imports, and whether it does so when it is itself imported.

    `from package import name` is an import of `package.name` where that is a module.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_module_level) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                imported = name if name in MODULES else child.module or "."
                yield "." if child.level else imported, at_module_level
        else:
            runs_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_module_level=at_module_level and not runs_later)


def _goes_down(module: str, imported: str) -> bool:
    level, package = _place(module)
    other_level, other_package = _place(imported)
    return other_level < level or other_package == package


def _place(module: str) -> tuple[int, str]:
    """The layer of a module, and the member of the layer that it belongs to."""
    for level, members in enumerate(LAYERS):
        for member in members:
            if _is_in(module, member):
                return level, member
    raise ValueError(f"{module} has no place in LAYERS")


def _is_heavy(module: str) -> bool:
    """Whether a module may import TensorFlow when it is itself imported."""
    return module == "pneumo.export" or (_is_in(module, "pneumo.training") and module not in LIGHT)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("module", MODULES)
def test_imports_of(module: str) -> None:
    assert violations(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("pneumo.settings", "from pneumo import radiograph", "imports pneumo.radiograph, which"),
        ("pneumo.settings", "import pneumo.figures", "imports pneumo.figures, which is not below"),
        ("pneumo.figures", "from pneumo.radiograph import read", "imports pneumo.radiograph"),
        ("pneumo.datasets.splits", "from pneumo.evaluation import metrics", "evaluation.metrics"),
        ("pneumo.evaluation.metrics", "from pneumo.inference.card import ModelCard", "not below"),
        ("pneumo.inference.bundle", "def f():\n    from pneumo import export", "not below"),
        ("pneumo.export", "from pneumo.training.recipe import Recipe", "not below"),
        ("pneumo.training.runs", "from pneumo import cli", "not below"),
        ("pneumo.cli", "import streamlit_app", "not below"),
        ("pneumo.cli", "from pages import browse", "not below"),
        ("pneumo.inference.bundle", "from .card import ModelCard", "relative import"),
        ("pneumo.inference.bundle", "from . import card", "relative import"),
        ("pneumo.cli", "def f():\n    import streamlit as st", "imports Streamlit"),
        ("pneumo.figures", "from streamlit.delta_generator import X", "imports Streamlit"),
        ("pneumo.datasets.catalog", "import tensorflow as tf", "tensorflow at module level"),
        ("pneumo.training.runs", "from keras import layers", "keras at module level"),
        ("pneumo.training.queue", "from keras import layers", "keras at module level"),
        ("pneumo.training.backbones", "import keras", "keras at module level"),
        ("pneumo.cli", "try:\n    import keras\nexcept ImportError:\n    pass", "at module level"),
        ("pages.train", "class C:\n    import tensorflow.nn", "tensorflow.nn at module level"),
    ],
)
def test_a_breach_is_found(module: str, source: str, complaint: str) -> None:
    (found,) = violations(module, source)
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pages.train", "import streamlit as st\nfrom pneumo.training import launcher"),
        ("pneumo.training.fit", "import keras\nfrom pneumo import __version__, export"),
        ("pneumo.export", "import keras"),
        ("pneumo.inference.bundle", "from pneumo.inference import card"),
        ("pneumo.cli", "def f():\n    import tensorflow"),
        ("pneumo.datasets.catalog", "import kerastuner, streamlitlike, pagesmith"),
    ],
)
def test_what_is_allowed_is_not_found(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_pages_and_predictions_never_load_tensorflow() -> None:
    """In a process of its own: every light module, and a prediction of the shipped model."""
    light = sorted(m for m in MODULES if _is_in(m, "pneumo") and not _is_heavy(m))
    light.remove("pneumo.__main__")  # it runs the command line
    assert {"pneumo.datasets.catalog", "pneumo.inference.predictor", *LIGHT} <= set(light)
    program = f"""
import importlib, sys
for module in {light}:
    importlib.import_module(module)
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules, module
    assert "streamlit" not in sys.modules, module
import numpy as np
from pneumo import settings
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import Radiograph
film = Radiograph(pixels=np.zeros((300, 300), np.uint8), format="PNG", bit_depth=8)
print(Predictor(bundle.find(settings.load())).predict(film).verdict)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules, "predicting"
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() in ("NORMAL", "PNEUMONIA")


def test_the_training_process_loads_tensorflow_before_pandas() -> None:
    """In the other order the import of TensorFlow can hang on macOS."""
    program = "import sys, pneumo.training.fit; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    modules = answer.stdout.split()
    assert modules.index("tensorflow") < modules.index("pandas")
