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
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import cv2

from pneumo import figures, radiograph, secondary_capture, settings
from pneumo import report as prediction_report
from pneumo.audit import films, record, report
from pneumo.audit.examine import examine
from pneumo.datasets import catalog, kaggle, mapping, sample_set, sources, splits, unpacking
from pneumo.datasets.sources import Dataset, Source
from pneumo.evaluation.agreement import Label, read_labels
from pneumo.evaluation.metrics import CLASSES
from pneumo.evaluation.operating_point import BALANCED, THRESHOLDS
from pneumo.evaluation.stress import StressFigure
from pneumo.inference import archive, batch, bundle, records
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.card import Measurement, ModelCard
from pneumo.inference.predictor import OUT_OF_SCOPE, Predictor
from pneumo.inference.records import Labelled
from pneumo.inference.scoring import (
    evaluate,
    model_inputs,
    require_unseen,
    rows_of_split,
    stress_test,
)
from pneumo.settings import Settings
from pneumo.training import launcher, pace, queue, recipe, runs
from pneumo.training.backbones import BACKBONES
from pneumo.training.recipe import Recipe
from pneumo.training.runs import Run
from pneumo.training.tracking import Tracking

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
        return options.command(options, settings.load())
    except EXPECTED_ERRORS as error:
        if options.json:
            print(json.dumps({"error": str(error)}))
        else:
            _tell(f"pneumo: {error}")
        return 1


def data_get(options: argparse.Namespace, installation: Settings) -> int:
    """Make the sample set, download the Kaggle set, or open a folder or a ZIP file."""
    source = _source(options.source)
    if source.kind == "sample":
        sample_set.create(
            sources.sample_root(installation), progress=_progress("Making radiographs")
        )
    elif source.kind == "kaggle" and not kaggle.is_downloaded():
        _follow_download(installation)
    elif source.archive is not None and not unpacking.is_complete(source.archive, installation):
        unpacking.unpack(source.archive, installation, progress=_progress("Unpacking (bytes)"))
    root = sources.folder_of(source, installation)
    contents = mapping.read(options.mapping) if options.mapping else {}
    contents |= dict(_mapped(text) for text in options.map)
    if contents:
        mapping.save(root, contents, installation)
    try:
        dataset = sources.locate(source, installation)
    except sources.OtherLayout as other:
        raise sources.OtherLayout("\n".join([str(other), *_offered_mapping(root)])) from other
    sources.choose(source, installation)
    _answer(options, _describe(dataset), f"{dataset.name}: {dataset.root}")
    return 0


def _mapped(text: str) -> tuple[str, mapping.Content]:
    folder, equals, content = text.rpartition("=")
    if not equals:
        raise ValueError(f"`--map` takes FOLDER=SPLIT/CLASS. Received: {text!r}")
    return folder, mapping.parse(content)


def _offered_mapping(root: Path) -> list[str]:
    """How to say what the folders hold, as far as their names tell."""
    return [
        f"{folder.images:>8,} images   --map '{folder.path}={folder.content or 'SPLIT/CLASS'}'"
        for folder in mapping.find_folders(root)[:40]
    ]


def data_forget(options: argparse.Namespace, installation: Settings) -> int:
    """Take a folder or a ZIP file off the list; what was unpacked of it is deleted."""
    source = _source(options.source)
    if source not in sources.known(installation) or source.path is None:
        raise ValueError(
            f"Only a folder or a ZIP file that was opened can be forgotten. Received: "
            f"{options.source}. `data list` shows them."
        )
    sources.forget(source, installation)
    _answer(options, {"forgotten": str(source.path)}, f"{source.path} is forgotten.")
    return 0


def data_list(options: argparse.Namespace, installation: Settings) -> int:
    """The data sets that are known here, ready or not, and which one is chosen."""
    chosen = sources.chosen(installation)
    rows = [
        {
            "name": entry.name,
            "kind": entry.source.kind,
            "path": None if entry.source.path is None else str(entry.source.path),
            "chosen": entry.source == chosen,
            "ready": entry.ready,
            "problem": entry.problem,
        }
        for entry in sources.available(installation)
    ]
    lines = [
        f"{'*' if row['chosen'] else ' '} {row['kind']:<7} {row['path'] or row['name']}"
        + (f"\n          {row['problem']}" if row["problem"] else "")
        for row in rows
    ]
    _answer(options, rows, "\n".join(lines))
    return 0


def data_audit(options: argparse.Namespace, installation: Settings) -> int:
    """Look for duplicates, leaks, shortcuts and doubtful labels in a data set."""
    dataset = _dataset(options.source, installation)
    catalogue = _catalog(dataset, installation)
    source = None
    if options.model != "none":
        source = films.features_of(Predictor(bundle.find(installation, options.model)))
    audit = examine(
        catalogue,
        installation,
        name=sources.title(dataset, catalogue),
        source=source,
        progress=lambda activity, done, total: _progress(activity)(done, total),
    )
    if options.html:
        settings.write_text(options.html, report.to_html(audit, limits=installation.image_limits))
    if options.clean:
        listed = record.cleaned_list(catalogue, audit)
        settings.write_text(options.clean, listed.to_csv(index=False))
    _answer(options, dataclasses.asdict(audit), report.to_text(audit))
    return 0


def data_resplit(options: argparse.Namespace, installation: Settings) -> int:
    """Deal patients and duplicates to train, val and test anew, and use that from now on."""
    dataset = _dataset(options.source, installation)
    file = splits.split_file(installation, dataset.root)
    if options.undo:
        file.unlink(missing_ok=True)
        _answer(options, {"resplit": None}, f"{dataset.name}: its own split is in use.")
        return 0
    catalogue = catalog.build(
        dataset.root,
        class_folders=dataset.class_folders,
        progress=_progress("Reading the data set"),
        cache=installation.cache,
    )
    audit = examine(
        catalogue,
        installation,
        name=dataset.name,
        progress=lambda activity, done, total: _progress(activity)(done, total),
    )
    persons = splits.persons(record.same_images(catalogue, audit))
    divided = splits.resplit(catalogue, persons)
    splits.save_split(divided, file)
    counts = {name: int((divided["split"] == name).sum()) for name in splits.SHARES}
    _answer(
        options,
        {"resplit": str(file), "films": counts, "groups": int(persons.nunique())},
        f"{dataset.name}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}. "
        "All pages and commands use this split; --undo goes back.",
    )
    return 0


def train(options: argparse.Namespace, installation: Settings) -> int:
    """Queue a training and follow it; Ctrl-C asks it to stop and keep what it has learned."""
    if options.output:
        bundle.check_target(options.output)
    chosen = _recipe(options, installation)
    dataset = _dataset(options.data, installation)
    catalogue = _catalog(dataset, installation)
    if options.estimate:
        return _estimate(options, installation, chosen, dataset, catalogue)
    run = launcher.start(
        installation,
        recipe=chosen,
        dataset=dataset,
        catalog=catalogue,
        tracking=Tracking.requested(tensorboard=options.tensorboard),
    )
    _tell(f"Run {run.name}")
    return _follow(options, installation, run)


def _follow(options: argparse.Namespace, installation: Settings, run: Run) -> int:
    """Tell what becomes of a run; its exit code."""
    if options.detach:
        _answer(options, _describe_run(run), run.name)
        return 0
    _follow_run(run, installation)
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
    """Ask a run to stop after the step at hand, or take it out of the queue."""
    run = runs.find(installation, options.run)
    status = run.state.status
    if status == "queued":
        queue.cancel(run, installation)
        _answer(options, _describe_run(run), f"{run.name} was taken out of the queue.")
        return 0
    if status not in runs.ACTIVE:
        raise ValueError(f"Only a run under way can be stopped. {run.name} is {status}.")
    run.request_stop()
    _answer(options, _describe_run(run), f"{run.name} is asked to stop; it keeps its model.")
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
    _answer(options, names, "\n".join(lines))
    return 0


def runs_delete(options: argparse.Namespace, installation: Settings) -> int:
    """Delete a run that has ended, with its model."""
    run = runs.find(installation, options.run)
    runs.delete(run)
    _answer(options, {"deleted": run.name}, f"{run.name} is deleted.")
    return 0


def runs_compare(options: argparse.Namespace, installation: Settings) -> int:
    """Two finished runs: what their recipes differ in, and a paired test of their answers."""
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
    answer = {
        "first": first.name,
        "second": second.name,
        "differences": [dataclasses.asdict(it) for it in differences],
        "comparison": dataclasses.asdict(result),
    }
    _answer(options, answer, "\n".join(lines))
    return 0


def recipes_list(options: argparse.Namespace, installation: Settings) -> int:
    """The presets and the recipes of one's own."""
    names = [*recipe.PRESETS, *recipe.saved(installation)]
    _answer(options, names, "\n".join(names))
    return 0


def recipes_show(options: argparse.Namespace, installation: Settings) -> int:
    """A recipe as JSON, to start one's own from."""
    print(recipe.find(installation, options.recipe).to_json())
    return 0


def recipes_save(options: argparse.Namespace, installation: Settings) -> int:
    """Check the recipe in a JSON file and keep it under its name."""
    path = recipe.save(installation, recipe.read(options.file))
    _answer(options, {"recipe": path.stem, "file": str(path)}, f"{path.stem}: {path}")
    return 0


def recipes_diff(options: argparse.Namespace, installation: Settings) -> int:
    """What two recipes differ in."""
    first, second = (recipe.find(installation, it) for it in (options.first, options.second))
    found = recipe.differences(first, second)
    lines = [f"{it.setting:<28} {it.first!s:>16} {it.second!s:>16}" for it in found]
    _answer(options, [dataclasses.asdict(it) for it in found], "\n".join(lines))
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
    catalogue = _catalog(dataset, installation)
    images = rows_of_split(catalogue, options.split, predictor.bundle.card)
    if options.split != "train":
        require_unseen(images, dataset.root, predictor.bundle, limits=installation.image_limits)
    result = evaluate(
        predictor,
        images,
        dataset.root,
        limits=installation.image_limits,
        progress=_progress("Predicting"),
    )
    for left_out in result.unreadable:
        _tell(f"Left out {left_out.question.name}: {left_out.error}")
    stressed: list[StressFigure] = []
    parity = None
    if options.stress or options.keras:
        size = predictor.bundle.card.image_size
        pictures, is_pneumonia = model_inputs(
            images, dataset.root, size=size, limits=installation.image_limits
        )
    if options.stress:
        stressed = stress_test(
            predictor, pictures, is_pneumonia, progress=_progress("Under nuisances")
        )
    if options.keras:
        from pneumo import export  # TensorFlow, which no other command needs in this process

        parity = export.parity(predictor.bundle, pictures)
    if options.record is not None:
        measurement = Measurement(
            data=sources.title(dataset, catalogue),
            split=options.split,
            metrics=result.metrics,
            note=options.record,
            causes=result.causes,
            stress=tuple(stressed),
            parity=parity,
        )
        card = predictor.bundle.card.with_measurement(measurement)
        bundle.write_card(predictor.bundle.folder, card)
    metrics = dataclasses.asdict(result.metrics)
    answer = {
        "model": predictor.bundle.card.name,
        "data": sources.title(dataset, catalogue),
        "split": options.split,
        "images": result.metrics.images,
        "unreadable": len(result.unreadable),
        "threshold": result.metrics.threshold,
        "metrics": {
            name: value for name, value in metrics.items() if name not in ("images", "threshold")
        },
    }
    shown = (
        *("roc_auc", "accuracy", "sensitivity", "specificity"),
        *("loss", "brier_score", "calibration_error"),
    )
    lines = [f"{options.split}: {result.metrics.images} images of {answer['data']}"]
    lines += [f"{name:<18} {metrics[name]:.4f}" for name in shown if metrics[name] is not None]
    if parity is not None:
        answer["parity"] = dataclasses.asdict(parity)
        lines += [
            f"Keras model: largest difference of a logit {parity.largest_logit_difference:.1e}, "
            f"{parity.verdicts_changed} other verdicts"
        ]
    if stressed:
        answer["stress"] = [dataclasses.asdict(figure) for figure in stressed]
        lines += ["", f"{'nuisance':<24} AUC    sens.  spec.  flipped"]
        lines += [
            f"{it.nuisance:<24} "
            + "  ".join(
                "    –" if number is None else f"{number:.3f}"
                for number in (it.roc_auc, it.sensitivity, it.specificity, it.flipped)
            )
            for it in stressed
        ]
    if result.causes is not None:
        answer["causes"] = dataclasses.asdict(result.causes)
        recalls = zip(CLASSES, result.causes.recalls, strict=True)
        lines.append(f"three classes: accuracy {result.causes.accuracy:.4f}")
        lines += [f"recall {name:<9} {recall:.4f}" for name, recall in recalls]
    _answer(options, answer, "\n".join(lines))
    return 0


def predict(options: argparse.Namespace, installation: Settings) -> int:
    """Verdict and probability for each film: files, folders and ZIPs of films."""
    if options.secondary_capture:
        secondary_capture.require()
    predictor = Predictor(bundle.find(installation, options.model))
    point = predictor.bundle.card.operating_points[options.operating_point]
    reading = Reading(name=options.operating_point, point=point, prevalence=options.prevalence)
    questions = _questions(options.files, installation)
    labels: list[Label | None] = [None] * len(questions)
    if options.labels:
        labels = read_labels(options.labels.read_bytes()).of(it.name for it in questions)
    overlays: set[str] = set()
    read: list[Labelled] = []
    answers = batch.answers(predictor, questions, limits=installation.image_limits)
    for answer, label in zip(answers, labels, strict=True):
        read.append(Labelled(answer=reading.of(answer), label=label))
        if options.overlays and answer.prediction is not None:
            _write_overlay(read[-1].answer, options.overlays, overlays, installation)
        if not options.json:
            print(f"{answer.question.name}: {_in_words(read[-1].answer)}", flush=True)
    if options.csv:
        settings.write_text(options.csv, records.table(read, reading, predictor.bundle))
    answered = [it.answer for it in read]
    if options.report:
        _write_report(options, answered, predictor.bundle.card, reading, installation)
    if options.secondary_capture:
        _write_captures(options, answered, installation)
    if options.json:
        described = [
            {"path": it.answer.question.name, **records.describe(it, reading)} for it in read
        ]
        print(json.dumps(described, indent=2))
    if options.labels:
        print(_agreement_in_words(read), file=sys.stderr if options.json else sys.stdout)
    if not options.json:
        _tell("Decision support, not a diagnosis.")
    return 1 if any(it.answer.prediction is None for it in read) else 0


def _questions(paths: list[Path], installation: Settings) -> list[Question]:
    """What files, folders and ZIPs hold, in their order.

    Raises:
        ValueError: a folder holds no film.
    """
    limits = installation.image_limits
    questions: list[Question] = []
    for path in paths:
        if path.is_dir():
            films = [it for it in sorted(path.rglob("*")) if it.is_file() and _is_film(it, path)]
            if not films:
                raise ValueError(f"A folder must hold films. Received: {path}, which holds none")
            questions += [batch.about_file(it, limits=limits) for it in films]
        elif _is_archive(path):
            questions += batch.about_archive(
                path.open("rb"), name=str(path), key=str(path), limits=limits, within=f"{path}/"
            )
        else:
            questions.append(batch.about_file(path, limits=limits))
    return batch.told_apart(questions)


def _is_film(path: Path, root: Path) -> bool:
    """By its name. DICOM files often have numbers for an ending, or none."""
    if archive.is_hidden(str(path.relative_to(root))):
        return False
    suffix = path.suffix.lower()
    return suffix in catalog.IMAGE_SUFFIXES or not any(it.isalpha() for it in suffix)


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return archive.is_archive(stream.read(4))
    except OSError:
        return False  # and asked about it the file has its reason


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

    data = commands.add_parser("data", help="get, list and audit data sets")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    getting = add(data_commands, "get", data_get)
    getting.add_argument("source", help="sample, kaggle, a folder, or a ZIP file")
    getting.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FOLDER=SPLIT/CLASS",
        help="what a folder in it holds, as in scans/sick=train/PNEUMONIA; FOLDER=CLASS divides "
        "its patients into train and test. Once for each folder",
    )
    getting.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help='the same as JSON: {"scans/sick": "train/PNEUMONIA"}',
    )
    add(data_commands, "forget", data_forget).add_argument("source", help="a folder or a ZIP file")
    add(data_commands, "list", data_list)
    auditing = add(data_commands, "audit", data_audit)
    auditing.add_argument(
        "source",
        nargs="?",
        metavar="DIR",
        help="a folder, sample or kaggle (default: the chosen data set)",
    )
    auditing.add_argument(
        "--model",
        default=bundle.DEFAULT_MODEL,
        metavar="NAME",
        help="whose features doubt the labels, or none (default: %(default)s)",
    )
    for option, text in (
        ("--html", "write the report, with small pictures of the films, to this file"),
        ("--clean", "write a CSV of all films, with those to leave out and why, to this file"),
    ):
        auditing.add_argument(option, type=Path, metavar="FILE", help=text)
    dividing = add(data_commands, "resplit", data_resplit)
    dividing.add_argument(
        "source",
        nargs="?",
        metavar="DIR",
        help="a folder, sample or kaggle (default: the chosen data set)",
    )
    dividing.add_argument("--undo", action="store_true", help="go back to the data set's own split")

    training = add(commands, "train", train)
    _add_data(training)
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
    add(run_commands, "list", runs_list)
    for name, command in (("show", runs_show), ("stop", runs_stop), ("resume", runs_resume)):
        parsed = add(run_commands, name, command)
        parsed.add_argument("run", nargs="?", default="latest", help="default: the newest")
        if command is runs_resume:
            parsed.add_argument("--output", type=Path, help=argparse.SUPPRESS)
            _add_detach(parsed)
    moving = add(run_commands, "move", runs_move)
    moving.add_argument("run")
    moving.add_argument("place", type=int, help="1 is the next to start")
    add(run_commands, "delete", runs_delete).add_argument("run")
    comparing = add(run_commands, "compare", runs_compare)
    comparing.add_argument("first")
    comparing.add_argument("second")

    kept = commands.add_parser("recipes", help="list, show, save and compare recipes")
    recipe_commands = kept.add_subparsers(required=True, metavar="COMMAND")
    add(recipe_commands, "list", recipes_list)
    add(recipe_commands, "show", recipes_show).add_argument("recipe")
    add(recipe_commands, "save", recipes_save).add_argument("file", type=Path)
    differing = add(recipe_commands, "diff", recipes_diff)
    differing.add_argument("first")
    differing.add_argument("second")

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
        "--stress", action="store_true", help="also under nuisances: stretch, blur, markers, …"
    )
    evaluation.add_argument(
        "--keras", action="store_true", help="also by the Keras model, to compare"
    )
    evaluation.add_argument(
        "--record", metavar="NOTE", help="write the figures into the model's card, with a note"
    )

    prediction = add(commands, "predict", predict)
    _add_model(prediction)
    prediction.add_argument(
        "--overlays", type=Path, metavar="DIR", help="write each film with its heat map as PNG"
    )
    prediction.add_argument(
        "--operating-point",
        choices=THRESHOLDS,
        default=BALANCED,
        help=f"{', '.join(THRESHOLDS)} (default: {BALANCED})",
        metavar="NAME",
    )
    prediction.add_argument(
        "--prevalence",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="of pneumonia among your patients, between 0 and 1: restates probability and "
        "threshold, not the verdict (default: 0.5)",
    )
    prediction.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="a table with the columns file and label: also print how far the verdicts agree",
    )
    prediction.add_argument(
        "--csv", type=Path, metavar="FILE", help="also write the answers to this file as a table"
    )
    prediction.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write a PDF file: a page for a film, a summary before the pages of more",
    )
    prediction.add_argument(
        "--note", default="", metavar="TEXT", help="print this in the report, in any language"
    )
    prediction.add_argument(
        "--secondary-capture",
        type=Path,
        metavar="DIR",
        help="write each DICOM film with its heat map as DICOM; needs highdicom",
    )
    prediction.add_argument(
        "--identifiers",
        action="store_true",
        help="name files and patients in the report, patients in the Secondary Capture",
    )
    prediction.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a film, a ZIP of films, or a folder"
    )
    return parser


def _add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="return at once")


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
    return sources.at(Path(text))


def _dataset(text: str | None, installation: Settings) -> Dataset:
    source = _source(text) if text else sources.chosen(installation)
    return sources.locate(source, installation)


def _catalog(dataset: Dataset, installation: Settings) -> Any:
    return sources.read_catalog(dataset, installation, progress=_progress("Reading the data set"))


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
    _tell("Measuring the pace of this machine")
    rows = launcher.split(catalogue, chosen)
    counts = rows["split"].value_counts()
    images = [dataset.root / path for path in rows["path"].head(pace.SAMPLE)]
    duration = pace.measure(chosen, installation, images=images).duration(
        chosen, train=int(counts["train"]), validation=int(counts["validation"])
    )
    minutes, seconds = divmod(round(duration), 60)
    _answer(options, {"seconds": round(duration, 1)}, f"About {minutes}:{seconds:02d} minutes")
    return 0


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
                _tell(activity)
            for row in run.epochs()[told:]:
                told += 1
                _tell(
                    f"epoch {row['epoch']:3.0f}  loss {row['train_loss']:.4f}  "
                    f"AUC {row['train_auc']:.4f}  validation loss {row['validation_loss']:.4f}  "
                    f"AUC {row['validation_auc']:.4f}"
                )
            if state.status not in runs.PENDING:
                return
            time.sleep(0.3)
        except KeyboardInterrupt:
            _tell("Asked to stop; the model is being kept.")
            if state.status == "queued":
                queue.cancel(run, installation)
            else:
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
        raise sources.DatasetUnavailable(f"{download.message} {kaggle.OTHER_WAYS}")


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


def _write_overlay(answer: Answer, folder: Path, taken: set[str], installation: Settings) -> None:
    """Write the film under the heat map of its verdict, as `<name>-overlay.png`.

    Args:
        taken: names that other films have; of those that share one, the later are numbered.
    """
    prediction = answer.prediction
    assert prediction is not None
    film = radiograph.read(answer.question.read(), limits=installation.image_limits)
    picture = figures.overlay(film.pixels, prediction.evidence_for(prediction.verdict))
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    settings.write_bytes(folder / _overlay_name(answer, ".png", taken), encoded.tobytes())


def _overlay_name(answer: Answer, ending: str, taken: set[str]) -> str:
    stem = Path(answer.question.name).stem
    numbers = ("" if it == 1 else f"-{it}" for it in count(1))
    names = (f"{stem}{number}-overlay{ending}" for number in numbers)
    name = next(it for it in names if it not in taken)
    taken.add(name)
    return name


def _write_report(
    options: argparse.Namespace,
    answers: Sequence[Answer],
    card: ModelCard,
    reading: Reading,
    installation: Settings,
) -> None:
    """One page for one film, a summary and a page for each of more."""
    terms = prediction_report.Terms(
        card=card,
        reading=reading,
        made_at=datetime.now().astimezone(),
        note=options.note,
        identified=options.identifiers,
    )
    limits = installation.image_limits
    first = answers[0].prediction
    if len(answers) == 1 and first is not None:
        heat_map = first.evidence_for(first.verdict)
        evidence = prediction_report.grad_cam_evidence(first.verdict, heat_map)
        pdf = prediction_report.of_film(
            answers[0], terms, heat_map=heat_map, evidence=evidence, limits=limits
        )
    else:
        pdf = prediction_report.of_batch(answers, terms, limits=limits)
    settings.write_bytes(options.report, pdf)


def _write_captures(
    options: argparse.Namespace, answers: Sequence[Answer], installation: Settings
) -> None:
    """Write each DICOM film under the heat map of its verdict, as `<name>-overlay.dcm`."""
    taken: set[str] = set()
    for answer in answers:
        prediction = answer.prediction
        if prediction is None:
            continue
        data, limits = answer.question.read(), installation.image_limits
        if radiograph.read(data, limits=limits).format != "DICOM":
            _tell(f"{answer.question.name} is no DICOM file: no Secondary Capture.")
            continue
        heat_map = prediction.evidence_for(prediction.verdict)
        capture = secondary_capture.Capture(
            prediction=prediction,
            heat_map=heat_map,
            evidence=prediction_report.grad_cam_evidence(prediction.verdict, heat_map),
            made_at=datetime.now().astimezone(),
            identified=options.identifiers,
        )
        settings.write_bytes(
            options.secondary_capture / _overlay_name(answer, ".dcm", taken),
            secondary_capture.write(data, capture, limits=limits),
        )


def _in_words(answer: Answer) -> str:
    prediction = answer.prediction
    if prediction is None:
        return answer.error
    outside = f"{OUT_OF_SCOPE}. {' '.join(prediction.scope)} " if prediction.scope else ""
    return outside + "; ".join([prediction.wording, *prediction.flags])


def _agreement_in_words(read: list[Labelled]) -> str:
    found = records.agreement_of(read)
    if found is None:
        return "No film has a verdict and a label."
    shares = (
        ("accuracy", found.accuracy, found.accuracy_interval),
        ("sensitivity", found.sensitivity, found.sensitivity_interval),
        ("specificity", found.specificity, found.specificity_interval),
    )
    return "\n".join(
        [f"{found.films} of {len(read)} films have a verdict and a label, 95 % intervals"]
        + [
            f"{name:<18} {share:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
            for name, share, interval in shares
            if share is not None and interval is not None
        ]
    )


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
