"""Models on the command line: list and evaluate."""

import argparse
import dataclasses

from pneumo.cli import console
from pneumo.datasets import sources
from pneumo.evaluation.metrics import CLASSES
from pneumo.evaluation.stress import StressFigure
from pneumo.inference import bundle
from pneumo.inference.card import Measurement
from pneumo.inference.predictor import Predictor
from pneumo.inference.scoring import (
    evaluate,
    model_inputs,
    require_unseen,
    rows_of_split,
    stress_test,
)
from pneumo.settings import Settings


def add_commands(commands: console.Commands) -> None:
    """Add `models …` and `evaluate`."""
    models = commands.add_parser("models", help="list models")
    console.add_command(
        models.add_subparsers(required=True, metavar="COMMAND"), "list", models_list
    )

    evaluation = console.add_command(commands, "evaluate", evaluate_model)
    console.add_model(evaluation)
    console.add_data(evaluation)
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


def models_list(options: argparse.Namespace, installation: Settings) -> int:
    """Every model that can predict."""
    rows = []
    for name, folder in bundle.folders(installation).items():
        try:
            card = bundle.load(folder).card
        except bundle.BundleError as damaged:
            console.tell(f"Left out: {damaged}")
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
    console.answer(options, rows, "\n".join(lines) or "No models yet.")
    return 0


def evaluate_model(options: argparse.Namespace, installation: Settings) -> int:
    """A model's figures on one split of a data set."""
    predictor = Predictor(bundle.find(installation, options.model))
    dataset = console.find_dataset(options.data, installation)
    catalogue = console.read_catalog(dataset, installation)
    images = rows_of_split(catalogue, options.split, predictor.bundle.card)
    if options.split != "train":
        require_unseen(images, dataset.root, predictor.bundle, limits=installation.image_limits)
    result = evaluate(
        predictor,
        images,
        dataset.root,
        limits=installation.image_limits,
        progress=console.progress("Predicting"),
    )
    for left_out in result.unreadable:
        console.tell(f"Left out {left_out.question.name}: {left_out.error}")
    stressed: list[StressFigure] = []
    parity = None
    if options.stress or options.keras:
        size = predictor.bundle.card.image_size
        pictures, is_pneumonia = model_inputs(
            images, dataset.root, size=size, limits=installation.image_limits
        )
    if options.stress:
        stressed = stress_test(
            predictor, pictures, is_pneumonia, progress=console.progress("Under nuisances")
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
    if options.split == "validation" and predictor.bundle.card.caveat:
        lines.append(predictor.bundle.card.caveat)
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
    console.answer(options, answer, "\n".join(lines))
    return 0
