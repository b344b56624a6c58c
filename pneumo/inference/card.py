"""The model card: where a model comes from, what it was measured to do, what it is for."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Self

from pneumo.evaluation.calibration import Calibration
from pneumo.evaluation.interval import Interval
from pneumo.evaluation.metrics import CauseMetrics, Metrics
from pneumo.evaluation.operating_point import BALANCED, OperatingPoint
from pneumo.evaluation.stress import StressFigure

INTENDED_USE = (
    "Research and teaching: to study how a network reads frontal chest radiographs. Decision "
    "support at most, never a diagnosis; patients unlike those it was trained on, lateral views, "
    "other body parts and other diseases are out of scope."
)
BACKBONE_CREDITS = {
    "MobileNetV2": ("Sandler et al., CVPR 2018", "Apache 2.0"),
    "EfficientNetV2B0": ("Tan and Le, ICML 2021", "Apache 2.0"),
    "DenseNet121": ("Huang et al., CVPR 2017", "BSD 3-Clause"),
}
"""The paper of each backbone and the licence of its ImageNet weights."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the LiteRT file of a bundle, which predicts, is from its Keras model.

    Attributes:
        largest_logit_difference: absolute, over the images.
        verdicts_changed: images that the two call differently, at the balanced operating point.
    """

    largest_logit_difference: float
    verdicts_changed: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Figures of a model on one split.

    Attributes:
        data: name of the data set.
        split: such as "validation" or "test".
        note: what else there is to know of the images.
        causes: normal, bacterial and viral told apart, of models that do.
        stress: the same images under nuisances, if that was measured.
        parity: of the two forms of the model on these images, if that was measured.
    """

    data: str
    split: str
    metrics: Metrics
    note: str = ""
    causes: CauseMetrics | None = None
    stress: tuple[StressFigure, ...] = ()
    parity: Parity | None = None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a model bundle.

    Attributes:
        name: of the model, and of its folder.
        created: ISO 8601, UTC.
        recipe: the training recipe, as JSON values.
        data: the training data: name, synthetic, population, credit, fingerprint, counts, and
            resplit, where a new split was in use.
        image_size: side of the network's input, in pixels.
        calibration: from logit to probability, for a film that may as well be of either class.
        operating_points: by name; "balanced" is the default.
        measurements: figures on data that this training did not learn from.
        validation_flagged: share of the validation films that the gate calls foreign.
        validation_seen: share of the validation films that the starting weights are known to have
            learned from.
        training_command: what to type to train it again.
        training_seconds: how long that took, over all parts of a training that was resumed; to
            write the model is not counted.
        epochs: completed.
        kept_epoch: the epoch whose weights these are, from 1.
        versions: of the packages that made it.
        files: SHA-256 of each file of the bundle, by name.
    """

    name: str
    created: str
    recipe: dict[str, Any]
    data: dict[str, Any]
    image_size: int
    calibration: Calibration
    operating_points: dict[str, OperatingPoint]
    measurements: tuple[Measurement, ...]
    validation_flagged: float
    training_command: str
    training_seconds: float
    epochs: int
    kept_epoch: int
    versions: dict[str, str]
    files: dict[str, str]
    validation_seen: float = 0.0
    intended_use: str = INTENDED_USE

    @property
    def architecture(self) -> str:
        """The backbone and the head, in a few words."""
        head = self.recipe["head"]
        hidden = f", {head['hidden_units']} hidden units" if head["hidden_units"] else ""
        return f"{self.recipe['backbone']}, {head['pooling']} pooling{hidden}"

    @property
    def caveat(self) -> str:
        """Why figures on the validation films flatter more than usual; "" where they do not."""
        if not self.validation_seen:
            return ""
        return (
            f"At least {100 * self.validation_seen:.3g} % of the validation films are among those "
            f"that the starting weights ({self.recipe['start']}) had learned from: figures on "
            "them flatter this model."
        )

    def measurement(self, split: str) -> Measurement | None:
        """The figures on a split, if there are any."""
        return next((entry for entry in self.measurements if entry.split == split), None)

    def evaluation_command(self, split: str) -> str:
        """What to type to see the figures of a split again."""
        return f"python -m pneumo evaluate --model {self.name} --data DIR --split {split}"

    def with_measurement(self, measurement: Measurement) -> Self:
        """A copy with newer figures of a data set's split in the place of older ones."""
        place = (measurement.data, measurement.split)
        kept = tuple(it for it in self.measurements if (it.data, it.split) != place)
        return dataclasses.replace(self, measurements=(*kept, measurement))

    def to_json(self) -> str:
        """The card as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def from_json(text: str) -> ModelCard:
    """The card that `to_json` wrote.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the text is not such a card.
    """
    values = json.loads(text)
    points = {
        name: OperatingPoint(**_with_intervals({**point, "band": tuple(point["band"])}))
        for name, point in values["operating_points"].items()
    }
    measurements = tuple(
        Measurement(
            **{
                **entry,
                "metrics": Metrics(**_with_intervals(entry["metrics"])),
                "causes": entry["causes"] and _causes(entry["causes"]),
                "stress": tuple(StressFigure(**figure) for figure in entry["stress"]),
                "parity": entry["parity"] and Parity(**entry["parity"]),
            }
        )
        for entry in values["measurements"]
    )
    return ModelCard(
        **{
            **values,
            "calibration": Calibration(**values["calibration"]),
            "operating_points": points,
            "measurements": measurements,
        }
    )


def to_markdown(card: ModelCard) -> str:
    """The readable card, `README.md` of a bundle."""
    point = card.operating_points[BALANCED]
    lines = [
        f"# {card.name}",
        "",
        f"A {card.architecture} classifier of chest radiographs: NORMAL or PNEUMONIA"
        + (", bacterial or viral." if card.recipe["classes"] == 3 else "."),
        "",
        "## Intended use",
        "",
        card.intended_use,
        "",
        "## Figures",
        "",
        "Brackets hold 95 % intervals (Wilson; bootstrap over images for the AUC). A film is "
        "called PNEUMONIA where that is the likelier class; the temperature was fitted on the "
        "validation patients alone. Brier score and expected calibration error (ECE) judge the "
        "probabilities as restated for the share of PNEUMONIA in the split.",
        "",
        "| Data | Split | Images | AUC | Accuracy | Sensitivity | Specificity | Loss | Brier "
        "| ECE |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in card.measurements:
        metrics = entry.metrics
        lines.append(
            f"| {entry.data}{', ' + entry.note if entry.note else ''} | {entry.split} "
            f"| {metrics.images:,} "
            f"| {_figure(metrics.roc_auc, metrics.roc_auc_interval)} "
            f"| {_figure(metrics.accuracy, metrics.accuracy_interval)} "
            f"| {_figure(metrics.sensitivity, metrics.sensitivity_interval)} "
            f"| {_figure(metrics.specificity, metrics.specificity_interval)} "
            f"| {metrics.loss:.3f} | {_decimals(metrics.brier_score)} "
            f"| {_decimals(metrics.calibration_error)} |"
        )
    if card.caveat:
        lines += ["", card.caveat]
    lines += _operating_points_table(card)
    causes = [entry for entry in card.measurements if entry.causes is not None]
    if causes:
        lines += [
            "",
            "Normal, bacterial and viral told apart:",
            "",
            "| Data | Split | Accuracy | Recall normal | Recall bacterial | Recall viral |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
    for entry in causes:
        assert entry.causes is not None
        recalls = " | ".join(f"{recall:.3f}" for recall in entry.causes.recalls)
        lines.append(f"| {entry.data} | {entry.split} | {entry.causes.accuracy:.3f} | {recalls} |")
    for entry in card.measurements:
        if entry.parity is not None:
            lines += [
                "",
                f"On the {entry.metrics.images} images of {entry.split}, the LiteRT file and the "
                f"Keras model differ by at most {entry.parity.largest_logit_difference:.1e} in the "
                f"logit and in {entry.parity.verdicts_changed} verdicts.",
            ]
        if entry.stress:
            lines += _stress_table(entry)
    counts = "; ".join(
        f"{split}: " + ", ".join(f"{count:,} {label}" for label, count in labels.items())
        for split, labels in card.data["counts"].items()
    )
    lines += [
        "",
        "The same figures again:",
        "",
        *(
            f"    {card.evaluation_command(entry.split)}"
            + " --stress" * bool(entry.stress)
            + " --keras" * (entry.parity is not None)
            + (f"  # DIR: {entry.note}" if entry.note else "")
            for entry in card.measurements
        ),
        "",
        "## How it was made",
        "",
        f"    {card.training_command}",
        "",
        f"- Recipe `{card.recipe['name']}`, from {_starting_weights(card)}, {card.epochs} epochs, "
        f"of which the weights of epoch {card.kept_epoch} were kept, seed {card.recipe['seed']}, "
        f"in {card.training_seconds:.0f} s.",
        f"- Data: {card.data['name']} ({counts}); fingerprint `{card.data['fingerprint']}`. "
        "Validation patients were carved out of `train`; patients who share an image stay "
        f"together.{_split_anew(card)}",
        f"- Probabilities are for a film that may as well be of either class: logits are "
        f"calibrated with offset {card.calibration.offset:.3f} and temperature "
        f"{card.calibration.temperature:.3f}. A film is called PNEUMONIA from a calibrated "
        f"probability of {point.threshold:.3f}.",
        "- " + ", ".join(f"{name} {version}" for name, version in card.versions.items()) + ".",
        "",
        "## Limits",
        "",
        "- Validation patients come from the same machines as the training films and flatter a "
        "model; expect less elsewhere, specificity above all.",
        "- Markers, borders, sharpness and compression differ between the classes of this data "
        "set. A network can use them; the overlay shows where it looks, not why.",
        f"- Trained on {card.data['population']}. Other patients are out of scope, and their films "
        "need not look it.",
        *(
            "- `cases.npz` names files of training films: before sharing the model, see that no "
            "name tells a patient."
            for name in card.files
            if name == "cases.npz"
        ),
        "- A gate flags what is unlike the training films, inverted or turned; the network answers "
        f"all the same. It flags {100 * card.validation_flagged:.1f} % of the validation films.",
        "",
        "## Licence and attribution",
        "",
        f"- {card.data['credit']}",
        f"- {_backbone_credit(card)}",
        "",
    ]
    return "\n".join(lines)


def _starting_weights(card: ModelCard) -> str:
    start = card.recipe["start"]
    known = {
        "imagenet": "ImageNet weights",
        "random": "random weights",
        "shipped": "the backbone of the shipped model",
    }
    return known.get(start) or f"the model of `{start}`"


def _backbone_credit(card: ModelCard) -> str:
    backbone, start = card.recipe["backbone"], card.recipe["start"]
    paper, licence = BACKBONE_CREDITS[backbone]
    credit = f"Backbone: {backbone} ({paper})"
    if start == "random":
        return f"{credit}."
    if start == "imagenet":
        return f"{credit} with ImageNet weights, {licence}."
    return f"{credit} from {_starting_weights(card)}, whose attribution holds here too."


def _split_anew(card: ModelCard) -> str:
    key = card.data.get("resplit")  # cards of earlier releases have none
    if not key:
        return ""
    return (
        f" The data set was split anew by patients and duplicates (`{key}`): `train` is not its "
        "own, and its own `test` holds films that this model has learned from."
    )


def _operating_points_table(card: ModelCard) -> list[str]:
    return [
        "",
        "Operating points, on the validation patients. The threshold follows from what a missed "
        "pneumonia costs against a false alarm: the same, nine times as much, a ninth. Between the "
        "two probabilities of its band the model calls itself unsure: no verdict, at a quarter of "
        "the cost of a wrong one, is cheaper there (Chow, 1970).",
        "",
        "| Point | Threshold | Unsure between | Sensitivity | Specificity | Left unanswered "
        "| Accuracy of the answered |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {point.threshold:.3f} | {point.band[0]:.3f} and {point.band[1]:.3f} "
            f"| {_figure(point.sensitivity, point.sensitivity_interval)} "
            f"| {_figure(point.specificity, point.specificity_interval)} "
            f"| {100 * point.unanswered:.1f} % | {_decimals(point.answered_accuracy)} |"
            for name, point in card.operating_points.items()
        ),
    ]


def _stress_table(entry: Measurement) -> list[str]:
    return [
        "",
        f"Under nuisances that leave the disease as it is ({entry.split}; flipped: share of the "
        "verdicts that change):",
        "",
        "| Nuisance | AUC | Sensitivity | Specificity | Flipped |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {figure.nuisance} | {_decimals(figure.roc_auc)} "
            f"| {_decimals(figure.sensitivity)} | {_decimals(figure.specificity)} "
            f"| {figure.flipped:.3f} |"
            for figure in entry.stress
        ),
    ]


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _with_intervals(values: dict[str, Any]) -> dict[str, Any]:
    intervals = {
        name: Interval(**value) if value else None
        for name, value in values.items()
        if name.endswith("_interval")
    }
    return {**values, **intervals}


def _causes(values: dict[str, Any]) -> CauseMetrics:
    return CauseMetrics(
        accuracy=values["accuracy"],
        recalls=tuple(values["recalls"]),
        confusion=tuple(tuple(row) for row in values["confusion"]),
    )
