"""What an audit finds, each with the films behind it and what to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import pandas as pd

from pneumo.audit import label_noise, probes
from pneumo.audit.probes import FAMILIES, Probe
from pneumo.evaluation.interval import wilson_interval
from pneumo.training.recipe import Recipe

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")

FEW_FILMS = 100
"""A split of fewer films is too small to choose a model or a threshold by."""

UNBALANCED = 2.0
"""Films of the one class for each of the other from which that is worth a word."""

SHIFTED = 0.1
"""Difference of a share between two splits from which that is worth a word."""

SHORTCUT, STRONG_SHORTCUT = 0.6, 0.8
"""Least lower end of an AUC's interval, and least AUC, of a shortcut and of a strong one."""

EXAMPLES = 5
"""Films of either class that are shown for a shortcut."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film behind a finding.

    Attributes:
        path: as in the catalogue.
        group: films of one number belong together; 0 where each stands alone.
        note: what there is to say of it.
    """

    path: str
    note: str
    group: int = 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about a data set that whoever trains on it should know.

    Attributes:
        code: tells the kind, such as "contradictory_labels".
        severity: "serious" spoils what is measured or learnt, "warning" may, "note" is to be
            known.
        count: of films, groups or patients, as the title says.
        title: in a line, with the count.
        explanation: why it matters.
        remedy: what to do.
        films: behind it.
    """

    code: str
    severity: Severity
    count: int
    title: str
    explanation: str
    remedy: str
    films: tuple[Film, ...] = ()


def in_pages(films: Sequence[Film], *, most: int) -> list[list[list[Film]]]:
    """Films a page at a time, each page in groups; a film that stands alone is one.

    A group is parted only where it does not fit on a page of its own.
    """
    pages: list[list[list[Film]]] = [[]]
    numbered = groupby(enumerate(films), key=lambda it: (it[1].group, not it[1].group and it[0]))
    for group in ([film for _, film in it] for _, it in numbered):
        for start in range(0, len(group), most):
            part = group[start : start + most]
            if pages[-1] and sum(map(len, pages[-1])) + len(part) > most:
                pages.append([])
            pages[-1].append(part)
    return pages


def unreadable(problems: Mapping[str, str]) -> Iterator[Finding]:
    """Files that are in the class folders and cannot be read.

    Args:
        problems: the reason by path.
    """
    if problems:
        yield Finding(
            code="unreadable",
            severity="warning",
            count=len(problems),
            title=f"{_number(len(problems), 'file')} cannot be read",
            explanation="Nothing can be learnt from them, and trainings leave them out.",
            remedy="Copy or export them again, or delete them.",
            films=tuple(Film(path=path, note=reason) for path, reason in problems.items()),
        )


def duplicates(catalog: pd.DataFrame, image: pd.Series) -> Iterator[Finding]:
    """Films that show the same image, and what follows from that.

    Args:
        catalog: rows of films that can be read.
        image: which image each row shows: equal for exact and near duplicates.
    """
    groups = catalog.groupby(image, sort=False)
    within = {column: groups[column].transform("nunique") for column in ("digest", "label")}
    splits = groups["split"].transform("nunique")
    patients = (catalog["label"] + "/" + catalog["patient"]).groupby(image).transform("nunique")
    kinds: tuple[tuple[str, Severity, pd.Series, pd.Series, str, str, str], ...] = (
        (
            "contradictory_labels",
            "serious",
            within["label"] > 1,
            image,
            "{} under both labels",
            "The same image cannot be NORMAL and PNEUMONIA: one label is wrong, and whichever side "
            "of a split it is on, it teaches or measures the wrong thing.",
            "Find out which is right. Until then leave out all of them, as the cleaned list does.",
        ),
        (
            "duplicates_across_splits",
            "serious",
            splits > 1,
            image,
            "{} in more than one split",
            "A model is measured on an image that it has learnt by heart.",
            "Train without them, as the cleaned list does: it keeps the film in the split that is "
            "measured. Or use the new split.",
        ),
        (
            "duplicates",
            "warning",
            catalog.groupby("digest")["path"].transform("size") > 1,
            catalog["digest"],
            "{} stored more than once, byte by byte",
            "They count double in training, and make a small test look larger than it is.",
            "Keep one of each, as the cleaned list does.",
        ),
        (
            "near_duplicates",
            "warning",
            within["digest"] > 1,
            image,
            "{} stored again in other bytes",
            "Saved again, resized or restyled, the image is the same; a comparison of files does "
            "not show it. They count double in training.",
            "Look at them, and keep one of each, as the cleaned list does.",
        ),
        (
            "patients_share_films",
            "warning",
            patients > 1,
            image,
            "{} of more than one patient",
            "These patients are one person under several names, or an image was filed wrongly. A "
            "split by patient names alone would put the person on both sides.",
            "The recipes keep patients together who share an image byte by byte, the new split "
            "also those who share it in other bytes.",
        ),
    )
    for code, severity, meant, by, title, explanation, remedy in kinds:
        rows = catalog[meant]
        if rows.empty:
            continue
        number, _ = pd.factorize(by[meant])
        yield Finding(
            code=code,
            severity=severity,
            count=int(number.max()) + 1,
            title=title.format(_number(int(number.max()) + 1, "image")),
            explanation=explanation,
            remedy=remedy,
            films=_grouped(rows, number),
        )


def patients_across_splits(catalog: pd.DataFrame) -> Iterator[Finding]:
    """Patient names that occur in more than one split."""
    names = catalog["label"] + "/" + catalog["patient"]
    across = catalog.groupby(names)["split"].transform("nunique") > 1
    if not across.any():
        return
    number, _ = pd.factorize(names[across])
    count = int(number.max()) + 1
    with_cause = names + "/" + catalog["subtype"]
    of_cause = catalog.groupby(with_cause)["split"].transform("nunique") > 1
    suspects = names[of_cause].nunique()
    yield Finding(
        code="patients_across_splits",
        severity="warning" if suspects else "note",
        count=count,
        title=f"{_number(count, 'patient name')} in more than one split, {suspects or 'none'} of "
        "them with the same cause",
        explanation="Films of one patient are alike: a model measured on somebody whom it has seen "
        "looks better than it is. Names are all there is to go by, and numbering may have started "
        "anew in each split or for each cause: this is a suspicion, not a proof. A name whose "
        "cause differs between the splits is likelier to be two people.",
        remedy="Ask whoever made the set. If in doubt use the new split, which never parts a name.",
        films=_grouped(catalog[across], number),
    )


def balance(catalog: pd.DataFrame) -> Iterator[Finding]:
    """Splits that are too small, lopsided, or unlike each other."""
    yield from _small_validation(catalog[catalog["split"] == "val"])
    yield from _imbalance(catalog)
    pneumonia = catalog["label"] == "PNEUMONIA"
    yield from _shift(catalog["split"], pneumonia, "share of pneumonia", "class_shift")
    known = catalog[catalog["subtype"].isin(["bacterial", "viral"])]
    viral = known["subtype"] == "viral"
    yield from _shift(known["split"], viral, "share of viral among pneumonia", "cause_shift")
    names = known["patient"]
    rows = known[known.groupby(names)["subtype"].transform("nunique") > 1]
    if not rows.empty:
        number, _ = pd.factorize(names[rows.index])
        yield Finding(
            code="two_causes",
            severity="note",
            count=int(number.max()) + 1,
            title=f"{_number(int(number.max()) + 1, 'patient name')} with both bacterial and "
            "viral films",
            explanation="Both can be true, one after the other. Where it is the rule, numbering "
            "started anew for each cause, and one name is two people.",
            remedy="It matters for three classes only: look at them before you train with those.",
            films=_grouped(rows, number),
        )


def shortcuts(
    found: Iterable[Probe], table: pd.DataFrame, catalog: pd.DataFrame, recipe: Recipe
) -> Iterator[Finding]:
    """A finding for each family of which a quantity tells the classes apart.

    Args:
        found: as `probes.probe` gives it, the strongest first.
        table: the quantities of each film.
        catalog: the rows of the same films.
        recipe: whose answers are named.
    """
    told: set[str] = set()
    for probe in found:
        if probe.family in told or probe.interval.low < SHORTCUT:
            continue
        if probe.normal is None or probe.pneumonia is None:  # all quantities together
            continue
        told.add(probe.family)
        family = FAMILIES[probe.family]
        answer = probes.answer_of(asdict(recipe.augmentation), probe.family)
        values = table[probe.quantity]
        yield Finding(
            code=f"shortcut_{probe.family}",
            severity="serious" if probe.roc_auc >= STRONG_SHORTCUT else "warning",
            count=len(table),
            title=f"{family.title}: {probe.title} alone tells the classes apart, "
            f"AUC {probe.roc_auc:.3f}",
            explanation=f"Median {probes.in_words(probe.quantity, probe.normal)} among NORMAL and "
            f"{probes.in_words(probe.quantity, probe.pneumonia)} among PNEUMONIA; 95 % interval of "
            f"the AUC {probe.interval.low:.3f} to {probe.interval.high:.3f}. {family.why} Behind "
            "it: of each class the films that show it most, one of a patient.",
            remedy=f"Train with the recipe `{recipe.name}`, which takes it away at random "
            f"(augmentations: {answer}), and see with `python -m pneumo evaluate --stress` what is "
            "left. Where there is a choice, take films of both classes from the same machines.",
            films=tuple(
                Film(
                    path=catalog.loc[row, "path"],
                    note=f"{label}, {probes.in_words(probe.quantity, values[row])}",
                    group=group,
                )
                for group, (label, rows) in enumerate(_clearest(values, catalog), start=1)
                for row in rows
            ),
        )


def _clearest(values: pd.Series, catalog: pd.DataFrame) -> Iterator[tuple[str, pd.Index]]:
    """Of each class the films that a quantity is surest of, one of a patient.

    Equal films are in an order that has nothing to do with their names.
    """
    ranks = values.rank()
    means = ranks.groupby(catalog["label"]).mean()
    ordered = catalog.assign(rank=ranks).sort_values(["rank", "digest"])
    for label in means.sort_values().index:  # first the class that has less of it
        films = ordered[ordered["label"] == label].drop_duplicates("patient", keep="first")
        yield label, films.head(EXAMPLES).index
        ordered = ordered[::-1]


def doubted_labels(
    catalog: pd.DataFrame, probability: np.ndarray, *, source: str
) -> Iterator[Finding]:
    """Films whose label a classifier on network features is sure is the other.

    Args:
        catalog: rows of the films that were judged.
        probability: of PNEUMONIA, out of fold, shape (films,).
        source: the model whose features were taken.
    """
    places = label_noise.doubted((catalog["label"] == "PNEUMONIA").to_numpy(), probability)
    if not len(places):
        return
    rows = catalog.iloc[places]
    yield Finding(
        code="doubted_labels",
        severity="warning",
        count=len(rows),
        title=f"{_number(len(rows), 'film')} whose label is doubtful",
        explanation="A classifier that learnt from other patients is at least "
        f"{100 * label_noise.CONFIDENT:.0f} % sure of the other label (the cross-check beside each "
        "film, which is not the model's own opinion). It may be the label that is "
        f"wrong, or a film unlike the others. The features are those of `{source}`: a model that "
        "was trained on these films has learnt from their labels, and is no independent witness.",
        remedy="Show them to somebody who reads films. Correct or leave out what is wrong; the "
        "cleaned list keeps them. For features that know no labels train the recipe `quick` from "
        "ImageNet weights, and choose that run to doubt the labels.",
        films=tuple(
            Film(
                path=path,
                note=f"{label}, cross-check {100 * likely:.1f} % pneumonia",
            )
            for (path, label), likely in zip(
                _columns(rows, "label"), probability[places], strict=True
            )
        ),
    )


def _small_validation(rows: pd.DataFrame) -> Iterator[Finding]:
    if not 0 < len(rows) < FEW_FILMS:
        return
    right = round(0.9 * len(rows))
    interval = wilson_interval(right, len(rows))
    yield Finding(
        code="small_validation",
        severity="warning",
        count=len(rows),
        title=f"{_number(len(rows), 'film')} in `val`: too few to choose anything by",
        explanation=f"Of {len(rows)} films, {right} right means an accuracy between "
        f"{interval.low:.2f} and {interval.high:.2f}: nothing can be told apart by that.",
        remedy="Nothing to do here: Pneumo never chooses by `val`. Its recipes set training "
        "patients apart for validation.",
        films=tuple(Film(path=path, note=label) for path, label in _columns(rows, "label")),
    )


def _imbalance(catalog: pd.DataFrame) -> Iterator[Finding]:
    train = catalog.loc[catalog["split"] == "train", "label"].value_counts()
    if len(train) < 2 or train.max() < UNBALANCED * train.min():
        return
    yield Finding(
        code="class_imbalance",
        severity="note",
        count=int(train.max() - train.min()),
        title=f"{train.max() / train.min():.1f} {train.idxmax()} films for each "
        f"{train.idxmin()} film in `train`",
        explanation="A model that leans to the common class is right more often here, and wrong "
        "elsewhere.",
        remedy="Train with class weights, as the recipes `quick` and `best` do, and read "
        "sensitivity and specificity, not accuracy.",
    )


def _shift(splits: pd.Series, true: pd.Series, name: str, code: str) -> Iterator[Finding]:
    films = true.groupby(splits).agg(["mean", "size"])
    shares = films.loc[films["size"] >= FEW_FILMS, "mean"]
    if len(shares) < 2 or shares.max() - shares.min() < SHIFTED:
        return
    (least, lowest), *_, (most, highest) = sorted(shares.items(), key=lambda it: it[1])
    yield Finding(
        code=code,
        severity="note",
        count=2,
        title=f"The {name} is {100 * highest:.0f} % in `{most}` and "
        f"{100 * lowest:.0f} % in `{least}`",
        explanation="Accuracy, predictive values and uncorrected probabilities do not carry over "
        "from one to the other.",
        remedy="Compare by AUC, sensitivity and specificity, and state the prevalence with a "
        "probability.",
    )


def _grouped(rows: pd.DataFrame, number: np.ndarray) -> tuple[Film, ...]:
    """Films group by group, in the order of the catalogue."""
    order = np.argsort(number, kind="stable")
    described = list(_columns(rows, "split", "label", "subtype", "patient"))
    films = []
    for place in order:
        path, split, label, subtype, patient = described[place]
        cause = f", {subtype}" if label == "PNEUMONIA" else ""
        note = f"{split}, {label}{cause}, patient {patient}"
        films.append(Film(path=path, note=note, group=int(number[place]) + 1))
    return tuple(films)


def _columns(rows: pd.DataFrame, *names: str) -> Iterator[tuple[str, ...]]:
    return rows[["path", *names]].itertuples(index=False, name=None)


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
