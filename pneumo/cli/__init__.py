"""The command line: what the pages do, for scripts and for people without a browser.

Results go to standard output (as JSON with `--json`), progress and complaints to standard
error. Exit codes: 0 done, 1 failed or partly failed, 2 wrong usage.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from pneumo import settings
from pneumo.cli import console, data, models, predictions, trainings
from pneumo.datasets import sources
from pneumo.inference import bundle
from pneumo.training import runs

EXPECTED_ERRORS = (
    sources.DatasetUnavailable,
    bundle.BundleError,
    runs.UnknownRun,
    ValueError,  # our own rules: argument, rule, received value
    OSError,
    RuntimeError,  # a home folder of nobody: ~somebody
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns: the exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        exit_code: int = options.command(options, settings.load())
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except EXPECTED_ERRORS as error:
        if options.json:
            print(json.dumps({"error": str(error)}))
        else:
            console.tell(f"pneumo: {error}")
        return 1
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pneumo",
        description="Pneumonia in chest radiographs: data, models, verdicts",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (data, trainings, models, predictions):
        module.add_commands(commands)
    return parser
