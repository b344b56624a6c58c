"""What all commands share: how they are added, what they say and how, which data they are about."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.datasets import sources
from pneumo.datasets.sources import Dataset, Source
from pneumo.inference import bundle
from pneumo.settings import Settings

Command = Callable[[argparse.Namespace, Settings], int]
"""Takes what was said and where things live; returns the exit code."""

Commands = Any
"""What `argparse` returns of `add_subparsers`, whose class has no public name."""


def add_command(group: Commands, name: str, command: Command) -> argparse.ArgumentParser:
    """Add a command, described by the first line of its docstring, with `--json`."""
    text = (command.__doc__ or "").strip().splitlines()[0]
    added: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)
    added.add_argument("--json", action="store_true", help="print the result as JSON")
    added.set_defaults(command=command)
    return added


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, for `find_dataset`."""
    parser.add_argument(
        "--data", metavar="DIR", help="a folder, sample or kaggle (default: the chosen data set)"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, for `bundle.find`."""
    parser.add_argument(
        "--model",
        default=bundle.DEFAULT_MODEL,
        metavar="NAME",
        help=f"a shipped model, a run that has a model, or a bundle's folder (default: "
        f"{bundle.DEFAULT_MODEL})",
    )


def source_of(text: str) -> Source:
    """What `sample`, `kaggle` or a path stands for."""
    if text in ("sample", "kaggle"):
        return Source(kind=text)  # type: ignore[arg-type]
    return sources.at(Path(text))


def find_dataset(text: str | None, installation: Settings) -> Dataset:
    """The data set of a source, or else the chosen one.

    Raises:
        DatasetUnavailable: it is not there.
    """
    source = source_of(text) if text else sources.chosen(installation)
    return sources.locate(source, installation)


def read_catalog(dataset: Dataset, installation: Settings) -> pd.DataFrame:
    """The catalogue of a data set under the split in use."""
    return sources.read_catalog(dataset, installation, progress=progress("Reading the data set"))


def answer(options: argparse.Namespace, answer: Any, text: str) -> None:
    """Print the result: as JSON where that was asked for, else in words."""
    if options.json:
        print(json.dumps(answer, indent=2))
    elif text:
        print(text)


def progress(name: str) -> Callable[[int, int], None]:
    """A counter on standard error, where somebody watches."""
    if not sys.stderr.isatty():
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{name}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)

    return show


def tell(text: str) -> None:
    """Say something on standard error."""
    print(text, file=sys.stderr, flush=True)
