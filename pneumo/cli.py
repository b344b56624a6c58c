"""The command line: what the pages do, for scripts and for people without a browser.

Results go to standard output (as JSON with `--json`), progress and complaints to standard
error. Exit codes: 0 done, 1 failed or partly failed, 2 wrong usage.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from pneumo import figures, radiograph, settings
from pneumo.datasets import catalog, kaggle, sample_set, sources
from pneumo.datasets.sources import Dataset, Source
from pneumo.inference import bundle
from pneumo.inference.card import Measurement
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import FilePrediction, evaluate, predict_files, rows_of_split
from pneumo.settings import Settings
from pneumo.training import launcher, recipe, runs
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run

EXPECTED_ERRORS = (
    sources.DatasetUnavailable,
    bundle.BundleError,
    launcher.TrainingUnderWay,
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
        return options.command(options, settings.load())
    except EXPECTED_ERRORS as error:
        if options.json:
            print(json.dumps({"error": str(error)}))
        else:
            _tell(f"pneumo: {error}")
        return 1


def data_get(options: argparse.Namespace, installation: Settings) -> int:
    """Make the sample set, download the Kaggle set, or choose a folder; remember the choice."""
    source = _source(options.source)
    if source.kind == "sample":
        sample_set.create(
            sources.sample_root(installation), progress=_progress("Making radiographs")
        )
    elif source.kind == "kaggle" and not kaggle.is_downloaded():
        _follow_download(installation)
    dataset = sources.locate(source, installation)
    sources.choose(source, installation)
    _answer(options, _describe(dataset), f"{dataset.name}: {dataset.root}")
    return 0


def data_list(options: argparse.Namespace, installation: Settings) -> int:
    """The data sets that are known here, ready or not, and which one is chosen."""
    chosen = sources.chosen(installation)
    rows = [
        {
            "name": entry.name,
            "kind": entry.source.kind,
            "chosen": entry.source == chosen,
            "ready": entry.ready,
            "problem": entry.problem,
        }
        for entry in sources.available(installation)
    ]
    lines = [
        f"{'*' if row['chosen'] else ' '} {row['kind']:<7} {row['name']}"
        + (f"\n          {row['problem']}" if row["problem"] else "")
        for row in rows
    ]
    _answer(options, rows, "\n".join(lines))
    return 0


def train(options: argparse.Namespace, installation: Settings) -> int:
    """Start a training and follow it; Ctrl-C asks it to stop and keep what it has learned."""
    if options.output:
        bundle.check_target(options.output)
    dataset = _dataset(options.data, installation)
    run = launcher.start(
        installation,
        recipe=_recipe(options),
        dataset=dataset,
        catalog=_catalog(dataset, installation),
    )
    _tell(f"Run {run.name}")
    if options.detach:
        _answer(options, _describe_run(run), run.name)
        return 0
    _follow_run(run)
    state = run.state
    succeeded = state.status in ("finished", "stopped")
    _answer(options, _describe_run(run), _summary(run) if succeeded else "")
    if succeeded and options.output:
        copied = bundle.copy(bundle.load(run.bundle), options.output)
        _tell(f"Copied to {copied.folder}")
    if not succeeded:
        _tell(f"pneumo: the training {state.status}: {state.message}")
        _tell(f"Its log: {run.folder / 'log.txt'}")
    return 0 if succeeded else 1


def runs_list(options: argparse.Namespace, installation: Settings) -> int:
    """Every run, newest first."""
    known = runs.all_runs(installation)
    lines = [f"{run.name:<32} {run.state.status:<12} {run.state.message}" for run in known]
    _answer(options, [_describe_run(run) for run in known], "\n".join(lines) or "No runs yet.")
    return 0


def runs_show(options: argparse.Namespace, installation: Settings) -> int:
    """One run: its state, its epochs, the end of its log."""
    run = runs.find(installation, options.run)
    text = f"{_summary(run)}\n\n{run.log_tail()}"
    _answer(options, {**_describe_run(run), "epochs": run.epochs()}, text)
    return 0


def runs_stop(options: argparse.Namespace, installation: Settings) -> int:
    """Ask a run to stop after the step at hand."""
    run = runs.find(installation, options.run)
    if run.state.status not in runs.ACTIVE:
        raise ValueError(f"Only a run under way can be stopped. {run.name} is {run.state.status}.")
    run.request_stop()
    _answer(options, _describe_run(run), f"{run.name} is asked to stop; it keeps its model.")
    return 0


def models_list(options: argparse.Namespace, installation: Settings) -> int:
    """Every model that can predict."""
    rows = []
    for name, folder in bundle.folders(installation).items():
        try:
            card = bundle.load(folder).card
        except bundle.BundleError as damaged:
            _tell(f"Left out: {damaged}")
            continue
        validation = card.measurement("validation")
        auc = validation.metrics.roc_auc if validation else None
        rows.append(
            {
                "name": name,
                "folder": str(folder),
                "recipe": card.recipe["name"],
                "data": card.data["name"],
                "validation_roc_auc": auc,
            }
        )
    lines = [f"{row['name']:<32} {row['recipe']:<8} trained on {row['data']}" for row in rows]
    _answer(options, rows, "\n".join(lines) or "No models yet.")
    return 0


def evaluate_model(options: argparse.Namespace, installation: Settings) -> int:
    """A model's figures on one split of a data set."""
    predictor = Predictor(bundle.find(installation, options.model))
    dataset = _dataset(options.data, installation)
    images = rows_of_split(_catalog(dataset, installation), options.split, predictor.bundle.card)
    result = evaluate(
        predictor,
        images,
        dataset.root,
        limits=installation.image_limits,
        progress=_progress("Predicting"),
    )
    for file in result.unreadable:
        _tell(f"Left out {file.path}: {file.error}")
    if options.record is not None:
        measurement = Measurement(
            data=dataset.name, split=options.split, metrics=result.metrics, note=options.record
        )
        card = predictor.bundle.card.with_measurement(measurement)
        bundle.write_card(predictor.bundle.folder, card)
    metrics = dataclasses.asdict(result.metrics)
    answer = {
        "model": predictor.bundle.card.name,
        "data": dataset.name,
        "split": options.split,
        "images": result.metrics.images,
        "unreadable": len(result.unreadable),
        "threshold": result.metrics.threshold,
        "metrics": {
            name: value for name, value in metrics.items() if name not in ("images", "threshold")
        },
    }
    shown = ("roc_auc", "accuracy", "sensitivity", "specificity", "loss")
    lines = [f"{options.split}: {result.metrics.images} images of {dataset.name}"]
    lines += [f"{name:<12} {metrics[name]:.4f}" for name in shown if metrics[name] is not None]
    _answer(options, answer, "\n".join(lines))
    return 0


def predict(options: argparse.Namespace, installation: Settings) -> int:
    """Verdict and probability for each file."""
    predictor = Predictor(bundle.find(installation, options.model))
    failed, answers = False, []
    for file in predict_files(predictor, options.files, limits=installation.image_limits):
        failed |= file.prediction is None
        answers.append(_describe_prediction(file))
        if options.overlays and file.prediction is not None:
            _write_overlay(file, options.overlays, installation)
        if not options.json:
            print(f"{file.path}: {file.error or _in_words(file)}", flush=True)
    if options.json:
        print(json.dumps(answers, indent=2))
    else:
        _tell("Decision support, not a diagnosis.")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print the result as JSON")
    parser = argparse.ArgumentParser(
        prog="python -m pneumo",
        description="Pneumonia in chest radiographs: data, models, verdicts",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        group: Any, name: str, command: Callable[[argparse.Namespace, Settings], int]
    ) -> argparse.ArgumentParser:
        text = (command.__doc__ or "").strip().splitlines()[0]
        added = group.add_parser(name, parents=[as_json], help=text, description=text)
        added.set_defaults(command=command)
        return added

    data = commands.add_parser("data", help="get and list data sets")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    getting = add(data_commands, "get", data_get)
    getting.add_argument("source", help="sample, kaggle, or a folder in the Kaggle set's layout")
    add(data_commands, "list", data_list)

    training = add(commands, "train", train)
    _add_data(training)
    training.add_argument(
        "--recipe",
        default="quick",
        help=f"{', '.join(recipe.PRESETS)}, or a JSON file (default: quick)",
    )
    training.add_argument("--name", help="a name of your own for the run")
    training.add_argument("--start", choices=recipe.STARTING_WEIGHTS, help="weights to start from")
    training.add_argument(
        "--epochs", type=int, help="passes over the films (default: the recipe's)"
    )
    training.add_argument("--batch-size", type=int, help="films a step")
    training.add_argument("--learning-rate", type=float, help="of Adam")
    training.add_argument("--seed", type=int, help="of the split, the weights and the augmentation")
    training.add_argument(
        "--output", type=Path, metavar="DIR", help="also write the model to this folder"
    )
    training.add_argument("--detach", action="store_true", help="return at once")

    run = commands.add_parser("runs", help="list, show and stop trainings")
    run_commands = run.add_subparsers(required=True, metavar="COMMAND")
    add(run_commands, "list", runs_list)
    for name, command in (("show", runs_show), ("stop", runs_stop)):
        add(run_commands, name, command).add_argument(
            "run", nargs="?", default="latest", help="default: the newest"
        )

    models = commands.add_parser("models", help="list models")
    add(models.add_subparsers(required=True, metavar="COMMAND"), "list", models_list)

    evaluation = add(commands, "evaluate", evaluate_model)
    _add_model(evaluation)
    _add_data(evaluation)
    evaluation.add_argument(
        "--split",
        default="test",
        help="train, val, test, or validation: the patients that the model's recipe set apart",
    )

    evaluation.add_argument(
        "--record", metavar="NOTE", help="write the figures into the model's card, with a note"
    )

    prediction = add(commands, "predict", predict)
    _add_model(prediction)
    prediction.add_argument(
        "--overlays", type=Path, metavar="DIR", help="write each film with its heat map as PNG"
    )
    prediction.add_argument("files", nargs="+", type=Path, metavar="FILE")
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="a folder, sample or kaggle (default: the chosen data set)"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=bundle.DEFAULT_MODEL,
        metavar="NAME",
        help=f"a shipped model, a finished run, or a bundle's folder (default: "
        f"{bundle.DEFAULT_MODEL})",
    )


def _source(text: str) -> Source:
    if text in ("sample", "kaggle"):
        return Source(kind=text)  # type: ignore[arg-type]
    return Source(kind="folder", folder=Path(text).expanduser().absolute())


def _dataset(text: str | None, installation: Settings) -> Dataset:
    source = _source(text) if text else sources.chosen(installation)
    return sources.locate(source, installation)


def _catalog(dataset: Dataset, installation: Settings) -> Any:
    return catalog.build(
        dataset.root, progress=_progress("Reading the data set"), cache=installation.cache
    )


def _recipe(options: argparse.Namespace) -> Recipe:
    if options.recipe in recipe.PRESETS:
        chosen = recipe.PRESETS[options.recipe]
    elif Path(options.recipe).is_file():
        chosen = _read_recipe(Path(options.recipe))
    else:
        raise recipe.InvalidRecipe(
            f"`recipe` must be one of {', '.join(recipe.PRESETS)}, or a JSON file. "
            f"Received: {options.recipe!r}"
        )
    given = {name: getattr(options, name) for name in recipe.OPTIONS}
    return chosen.changed(**{name: value for name, value in given.items() if value is not None})


def _read_recipe(path: Path) -> Recipe:
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise recipe.InvalidRecipe(f"{path} is not JSON: {error}") from None
    return recipe.from_dict(values)


def _follow_run(run: Run) -> None:
    """Tell what a run does until it ends."""
    told, activity = 0, ""
    while True:
        try:
            state = run.state
            if state.activity != activity:
                activity = state.activity
                _tell(activity)
            for row in run.epochs()[told:]:
                told += 1
                _tell(
                    f"epoch {row['epoch']:3.0f}  loss {row['train_loss']:.4f}  "
                    f"AUC {row['train_auc']:.4f}  validation loss {row['validation_loss']:.4f}  "
                    f"AUC {row['validation_auc']:.4f}"
                )
            if state.status not in runs.ACTIVE:
                return
            time.sleep(0.3)
        except KeyboardInterrupt:
            _tell("Asked to stop; the model is being kept.")
            run.request_stop()


def _follow_download(installation: Settings) -> None:
    download = kaggle.start(installation)
    show = _progress("Downloading (bytes)")
    try:
        while download.running:
            if download.status == "downloading" and download.bytes_total:
                show(download.bytes_done, download.bytes_total)
            time.sleep(0.5)
            download = kaggle.progress(installation)
    except KeyboardInterrupt:
        download = kaggle.cancel(installation)
    if download.status != "finished":
        raise sources.DatasetUnavailable(download.message)


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "root": str(dataset.root), "synthetic": dataset.synthetic}


def _describe_run(run: Run) -> dict[str, Any]:
    state = run.state
    finished = (run.bundle / bundle.CARD).is_file()
    epochs = run.epochs()
    return {
        "run": run.name,
        "status": state.status,
        "message": state.message,
        "recipe": run.recipe.name,
        "epochs_done": len(epochs),
        "last_epoch": epochs[-1] if epochs else None,
        "bundle": str(run.bundle) if finished else None,
        "log": str(run.folder / "log.txt"),
    }


def _describe_prediction(file: FilePrediction) -> dict[str, Any]:
    if file.prediction is None:
        return {"path": str(file.path), "error": file.error}
    prediction = file.prediction
    return {
        "path": str(file.path),
        "verdict": prediction.verdict,
        "probability": prediction.probability,
        "logit": prediction.logit,
        "flags": list(prediction.flags),
    }


def _write_overlay(file: FilePrediction, folder: Path, installation: Settings) -> None:
    """Write the film under the heat map of its verdict, as `<name>-overlay.png`."""
    prediction = file.prediction
    assert prediction is not None
    film = radiograph.read_file(file.path, limits=installation.image_limits)
    picture = figures.overlay(film.pixels, prediction.evidence_for(prediction.verdict))
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    settings.write_bytes(folder / f"{file.path.stem}-overlay.png", encoded.tobytes())


def _in_words(file: FilePrediction) -> str:
    assert file.prediction is not None
    return "; ".join([file.prediction.wording, *file.prediction.flags])


def _summary(run: Run) -> str:
    state = run.state
    lines = [f"{run.name}: {state.status}. {state.message}"]
    if (run.bundle / bundle.CARD).is_file():
        card = bundle.load(run.bundle).card
        measured = card.measurement("validation")
        if measured is not None:
            metrics = measured.metrics
            lines.append(
                f"validation: AUC {metrics.roc_auc:.4f}, accuracy {metrics.accuracy:.4f}, "
                f"sensitivity {metrics.sensitivity:.4f}, specificity {metrics.specificity:.4f}"
            )
        lines.append(f"model: {run.bundle}")
    return "\n".join(lines)


def _answer(options: argparse.Namespace, answer: Any, text: str) -> None:
    if options.json:
        print(json.dumps(answer, indent=2))
    elif text:
        print(text)


def _progress(name: str) -> Callable[[int, int], None]:
    """A counter on standard error, where somebody watches."""
    if not sys.stderr.isatty():
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{name}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)

    return show


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
