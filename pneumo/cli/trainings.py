"""Trainings on the command line: train, the runs there are, the recipes they follow."""

import argparse
import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

from pneumo.cli import console
from pneumo.datasets.sources import Dataset
from pneumo.inference import bundle
from pneumo.settings import Settings
from pneumo.training import launcher, pace, queue, recipe, runs
from pneumo.training.backbones import BACKBONES
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run, Status
from pneumo.training.tracking import Tracking

STOPS: dict[Status, str] = {
    "cancelled": "was taken out of the queue.",
    "stopping": "is asked to stop; it keeps its best epoch so far. Once more ends it at once.",
    "interrupted": "was ended; it can be resumed after its last complete epoch.",
}
"""What became of a run that was stopped."""


def add_commands(commands: console.Commands) -> None:
    """Add `train`, `runs …` and `recipes …`."""
    training = console.add_command(commands, "train", train)
    console.add_data(training)
    training.add_argument(
        "--recipe",
        default="quick",
        help=f"{', '.join(recipe.PRESETS)}, one of your own, or a JSON file (default: quick)",
    )
    training.add_argument("--name", help="a name of your own for the run")
    training.add_argument(
        "--start",
        metavar="WEIGHTS",
        help=f"{', '.join(recipe.STARTING_WEIGHTS)}, or {recipe.EARLIER_RUN}NAME",
    )
    training.add_argument("--backbone", metavar="NAME", help=", ".join(BACKBONES))
    training.add_argument(
        "--classes", type=int, help="2, or 3 to tell bacterial from viral pneumonia"
    )
    training.add_argument(
        "--epochs", type=int, help="passes over the films in the last phase of the recipe"
    )
    training.add_argument("--batch-size", type=int, help="films a step")
    training.add_argument(
        "--learning-rate", type=float, help="of Adam, at its highest in the last phase"
    )
    training.add_argument("--seed", type=int, help="of the split, the weights and the augmentation")
    training.add_argument(
        "--output", type=Path, metavar="DIR", help="also write the model to this folder"
    )
    training.add_argument(
        "--estimate", action="store_true", help="only say how long it would take here"
    )
    training.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard too"
    )
    _add_detach(training)

    run = commands.add_parser("runs", help="list, show, stop, resume, compare trainings")
    run_commands = run.add_subparsers(required=True, metavar="COMMAND")
    console.add_command(run_commands, "list", runs_list)
    for name, command in (("show", runs_show), ("stop", runs_stop), ("resume", runs_resume)):
        parsed = console.add_command(run_commands, name, command)
        parsed.add_argument("run", nargs="?", default="latest", help="default: the newest")
        if command is runs_resume:
            parsed.add_argument("--output", type=Path, help=argparse.SUPPRESS)
            _add_detach(parsed)
    moving = console.add_command(run_commands, "move", runs_move)
    moving.add_argument("run")
    moving.add_argument("place", type=int, help="1 is the next to start")
    console.add_command(run_commands, "delete", runs_delete).add_argument("run")
    comparing = console.add_command(run_commands, "compare", runs_compare)
    comparing.add_argument("first")
    comparing.add_argument("second")

    kept = commands.add_parser("recipes", help="list, show, save and compare recipes")
    recipe_commands = kept.add_subparsers(required=True, metavar="COMMAND")
    console.add_command(recipe_commands, "list", recipes_list)
    console.add_command(recipe_commands, "show", recipes_show).add_argument("recipe")
    console.add_command(recipe_commands, "save", recipes_save).add_argument("file", type=Path)
    differing = console.add_command(recipe_commands, "diff", recipes_diff)
    differing.add_argument("first")
    differing.add_argument("second")


def _add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="return at once")


def train(options: argparse.Namespace, installation: Settings) -> int:
    """Queue a training and follow it; Ctrl-C stops it and keeps its best epoch so far."""
    if options.output:
        bundle.check_target(options.output)
    chosen = _recipe(options, installation)
    dataset = console.find_dataset(options.data, installation)
    catalogue = console.read_catalog(dataset, installation)
    if options.estimate:
        return _estimate(options, installation, chosen, dataset, catalogue)
    run = launcher.start(
        installation,
        recipe=chosen,
        dataset=dataset,
        catalog=catalogue,
        tracking=Tracking.requested(tensorboard=options.tensorboard),
    )
    console.tell(f"Run {run.name}")
    return _follow(options, installation, run)


def _recipe(options: argparse.Namespace, installation: Settings) -> Recipe:
    chosen = recipe.find(installation, options.recipe)
    given = {name: getattr(options, name) for name in chosen.options()}
    return chosen.changed(**{name: value for name, value in given.items() if value is not None})


def _estimate(
    options: argparse.Namespace,
    installation: Settings,
    chosen: Recipe,
    dataset: Dataset,
    catalogue: Any,
) -> int:
    """Say how long a training would take on this machine."""
    console.tell("Measuring the pace of this machine")
    rows = launcher.split(catalogue, chosen)
    counts = rows["split"].value_counts()
    images = [dataset.root / path for path in rows["path"].head(pace.SAMPLE)]
    duration = pace.measure(chosen, installation, images=images).duration(
        chosen, train=int(counts["train"]), validation=int(counts["validation"])
    )
    minutes, seconds = divmod(round(duration), 60)
    console.answer(
        options, {"seconds": round(duration, 1)}, f"About {minutes}:{seconds:02d} minutes"
    )
    return 0


def _follow(options: argparse.Namespace, installation: Settings, run: Run) -> int:
    """Tell what becomes of a run; its exit code."""
    if options.detach:
        console.answer(options, _describe_run(run), run.name)
        return 0
    _follow_run(run, installation)
    state = run.state
    succeeded = state.status in runs.CONCLUDED
    console.answer(options, _describe_run(run), _summary(run) if succeeded else "")
    if succeeded and options.output:
        copied = bundle.copy(bundle.load(run.bundle), options.output)
        console.tell(f"Copied to {copied.folder}")
    if not succeeded:
        console.tell(f"pneumo: the training {state.status}: {state.message}")
        console.tell(f"Its log: {run.folder / 'log.txt'}")
    return 0 if succeeded else 1


def _follow_run(run: Run, installation: Settings) -> None:
    """Tell what a run does until it ends."""
    told, activity = len(run.epochs()), ""
    while True:
        try:
            state = run.state
            if state.status == "queued":
                queue.ensure_worker(installation)
            if state.activity != activity:
                activity = state.activity
                console.tell(activity)
            for row in run.epochs()[told:]:
                told += 1
                console.tell(
                    f"epoch {row['epoch']:3.0f}  loss {row['train_loss']:.4f}  "
                    f"AUC {row['train_auc']:.4f}  validation loss {row['validation_loss']:.4f}  "
                    f"AUC {row['validation_auc']:.4f}"
                )
            if state.status not in runs.PENDING:
                return
            time.sleep(0.3)
        except KeyboardInterrupt:
            with contextlib.suppress(ValueError):  # it has ended at this moment
                console.tell(_stop(run, installation))


def _stop(run: Run, installation: Settings) -> str:
    """Stop a run; in words, what became of it."""
    status = queue.stop(run, installation, insist=True)
    return f"{run.name} {STOPS.get(status, f'is {status}.')}"


def runs_list(options: argparse.Namespace, installation: Settings) -> int:
    """Every run, newest first."""
    known = runs.states(installation)
    lines = [f"{run.name:<32} {it.status:<12} {it.message}" for run, it in known.items()]
    console.answer(
        options, [_describe_run(run) for run in known], "\n".join(lines) or "No runs yet."
    )
    return 0


def runs_show(options: argparse.Namespace, installation: Settings) -> int:
    """One run: its state, its epochs, the end of its log."""
    run = runs.find(installation, options.run)
    text = f"{_summary(run)}\n\n{run.log_tail()}"
    console.answer(options, {**_describe_run(run), "epochs": run.epochs()}, text)
    return 0


def runs_stop(options: argparse.Namespace, installation: Settings) -> int:
    """Take a run out of the queue, ask it to stop, or end it if it was asked before."""
    run = runs.find(installation, options.run)
    text = _stop(run, installation)
    console.answer(options, _describe_run(run), text)
    return 0


def runs_resume(options: argparse.Namespace, installation: Settings) -> int:
    """Go on with a run that ended before its time, from its last complete epoch."""
    run = runs.find(installation, options.run)
    queue.append(run, installation)
    return _follow(options, installation, run)


def runs_move(options: argparse.Namespace, installation: Settings) -> int:
    """Give a queued run another place in the queue."""
    queue.move(runs.find(installation, options.run), installation, place=options.place)
    names = [run.name for run in queue.waiting(installation)]
    lines = [f"{place}. {name}" for place, name in enumerate(names, start=1)]
    console.answer(options, names, "\n".join(lines))
    return 0


def runs_delete(options: argparse.Namespace, installation: Settings) -> int:
    """Delete a run that has ended, with its model."""
    run = runs.find(installation, options.run)
    runs.delete(run)
    console.answer(options, {"deleted": run.name}, f"{run.name} is deleted.")
    return 0


def runs_compare(options: argparse.Namespace, installation: Settings) -> int:
    """Two runs with models: what their recipes differ in, and a paired test of their answers."""
    first, second = (runs.find(installation, name) for name in (options.first, options.second))
    differences = recipe.differences(first.recipe, second.recipe)
    result = runs.compare(first, second)
    auc_p_value = "unknown" if result.auc_p_value is None else f"{result.auc_p_value:.3g}"
    lines = [f"{it.setting:<24} {it.first!s:>14} {it.second!s:>14}" for it in differences]
    lines += [
        "",
        f"On {result.images:,} validation images of both:",
        f"AUC       {result.first_auc:.4f} and {result.second_auc:.4f}, difference "
        f"{result.auc_difference:+.4f} [{result.auc_difference_interval.low:+.4f}, "
        f"{result.auc_difference_interval.high:+.4f}], p = {auc_p_value} (DeLong)",
        f"accuracy  {result.first_accuracy:.4f} and {result.second_accuracy:.4f}, only one right "
        f"on {result.only_first_correct} and {result.only_second_correct}, "
        f"p = {result.verdict_p_value:.3g} (McNemar)",
    ]
    caveats = {
        run.name: bundle.load(run.bundle).card.caveat
        for run in (first, second)
        if (run.bundle / bundle.CARD).is_file()
    }
    lines += [f"{name}: {caveat}" for name, caveat in caveats.items() if caveat]
    answer = {
        "first": first.name,
        "second": second.name,
        "differences": [dataclasses.asdict(it) for it in differences],
        "comparison": dataclasses.asdict(result),
        "caveats": caveats,
    }
    console.answer(options, answer, "\n".join(lines))
    return 0


def _describe_run(run: Run) -> dict[str, Any]:
    state = run.state
    finished = (run.bundle / bundle.CARD).is_file()
    epochs = run.epochs()
    return {
        "run": run.name,
        "status": state.status,
        "message": state.message,
        "recipe": _recipe_name(run),
        "epochs_done": len(epochs),
        "last_epoch": epochs[-1] if epochs else None,
        "bundle": str(run.bundle) if finished else None,
        "log": str(run.folder / "log.txt"),
    }


def _recipe_name(run: Run) -> str | None:
    try:
        return run.recipe.name
    except recipe.InvalidRecipe:  # of a release that wrote recipes otherwise
        return None


def _summary(run: Run) -> str:
    state = run.state
    lines = [f"{run.name}: {state.status}. {state.message}"]
    if state.status in runs.CONCLUDED and (run.bundle / bundle.CARD).is_file():
        card = bundle.load(run.bundle).card
        measured = card.measurement("validation")
        if measured is not None:
            metrics = measured.metrics
            lines.append(
                f"validation: AUC {metrics.roc_auc:.4f}, accuracy {metrics.accuracy:.4f}, "
                f"sensitivity {metrics.sensitivity:.4f}, specificity {metrics.specificity:.4f}"
            )
        if card.caveat:
            lines.append(card.caveat)
        lines.append(f"model: {run.bundle}")
    return "\n".join(lines)


def recipes_list(options: argparse.Namespace, installation: Settings) -> int:
    """The presets and the recipes of one's own."""
    names = [*recipe.PRESETS, *recipe.saved(installation)]
    console.answer(options, names, "\n".join(names))
    return 0


def recipes_show(options: argparse.Namespace, installation: Settings) -> int:
    """A recipe as JSON, to start one's own from."""
    print(recipe.find(installation, options.recipe).to_json())
    return 0


def recipes_save(options: argparse.Namespace, installation: Settings) -> int:
    """Check the recipe in a JSON file and keep it under its name."""
    path = recipe.save(installation, recipe.read(options.file))
    console.answer(options, {"recipe": path.stem, "file": str(path)}, f"{path.stem}: {path}")
    return 0


def recipes_diff(options: argparse.Namespace, installation: Settings) -> int:
    """What two recipes differ in."""
    first, second = (recipe.find(installation, it) for it in (options.first, options.second))
    found = recipe.differences(first, second)
    lines = [f"{it.setting:<28} {it.first!s:>16} {it.second!s:>16}" for it in found]
    console.answer(options, [dataclasses.asdict(it) for it in found], "\n".join(lines))
    return 0
