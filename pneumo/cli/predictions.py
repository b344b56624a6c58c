"""Predictions on the command line: verdicts, heat maps, tables, reports."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

import cv2

from pneumo import figures, radiograph, secondary_capture, settings
from pneumo import report as prediction_report
from pneumo.cli import console
from pneumo.datasets import catalog
from pneumo.evaluation.agreement import Label, read_labels
from pneumo.evaluation.operating_point import BALANCED, THRESHOLDS
from pneumo.inference import archive, batch, bundle, heat_maps, records
from pneumo.inference.batch import Answer, Question, Reading
from pneumo.inference.card import ModelCard
from pneumo.inference.heat_maps import GRAD_CAM
from pneumo.inference.predictor import OUT_OF_SCOPE, Predictor
from pneumo.inference.records import Labelled
from pneumo.settings import Settings


def add_commands(commands: console.Commands) -> None:
    """Add `predict`."""
    prediction = console.add_command(commands, "predict", predict)
    console.add_model(prediction)
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
        names = [it.name for it in questions]
        table = read_labels(options.labels.read_bytes())
        labels = table.of(names)
        if shared := table.shared(names):
            console.tell(f"{shared:,} films share a name with another one: they are not labelled.")
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
        console.tell("Decision support, not a diagnosis.")
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
        evidence = heat_maps.evidence(heat_map, GRAD_CAM, first.verdict)
        film = radiograph.read(answers[0].question.read(), limits=limits)
        pdf = prediction_report.of_film(
            answers[0], film, terms, heat_map=heat_map, evidence=evidence
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
            console.tell(f"{answer.question.name} is no DICOM file: no Secondary Capture.")
            continue
        heat_map = prediction.evidence_for(prediction.verdict)
        capture = secondary_capture.Capture(
            prediction=prediction,
            heat_map=heat_map,
            evidence=heat_maps.evidence(heat_map, GRAD_CAM, prediction.verdict),
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
