"""Shortcuts: what gives the class of a film away without a look at the lungs.

A probe is one trivial number of each film, such as its ratio of width to height. Where that number
alone tells the classes apart, a network that can see it need not learn anything about pneumonia,
and will fail on films from elsewhere (Geirhos et al., Shortcut learning in deep neural networks,
Nature Machine Intelligence 2, 2020; Zech et al., PLOS Medicine 15, 2018).

scikit-learn is imported where it computes: pages load this module.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pneumo.evaluation.interval import Interval, wilson_interval

FOLDS = 5

FEWEST_PERSONS = 2 * FOLDS
"""Of each class: of fewer a fold would hold next to none."""

ALL = "all"
"""The probe of all quantities together."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Quantities that matter for the same reason.

    Attributes:
        title: for people.
        why: what a network does with them.
        remedies: the augmentations of a recipe that take them away.
    """

    title: str
    why: str
    remedies: tuple[str, ...]


FAMILIES = {
    "shape": Family(
        title="The shape of the film",
        why="A network is given a square. Squeezing to it turns the ratio of width to height into "
        "narrow or broad ribs, which are easy to see.",
        remedies=("zoom", "crop"),
    ),
    "size": Family(
        title="The size of the film",
        why="The network never sees the number of pixels, but a large film that is reduced looks "
        "sharper than a small one, and less noisy.",
        remedies=("blur", "noise"),
    ),
    "file": Family(
        title="How the file was stored",
        why="The network sees neither the file nor its colours, but strong compression leaves "
        "blocks and smooth patches that it does see. Bytes per pixel also fall as films get larger "
        "or smoother.",
        remedies=("recompression", "blur"),
    ),
    "intensity": Family(
        title="Brightness and contrast",
        why="Exposure and processing differ between machines. Where films with pneumonia are the "
        "brighter ones, it is in part the disease itself: an opacity is bright. Do not try to take "
        "all of it away.",
        remedies=("contrast", "gamma"),
    ),
    "sharpness": Family(
        title="Sharpness and grain",
        why="It tells the machine, the resolution and the compression that a film went through.",
        remedies=("blur", "noise", "recompression"),
    ),
    "edge": Family(
        title="The edge of the film",
        why="Collimation, black borders and how the child was laid differ between rooms and wards; "
        "the sickest are filmed in bed.",
        remedies=("crop", "shift", "frame_swap"),
    ),
    "corners": Family(
        title="The corners of the film",
        why="Side letters and exposure texts stand there, and tell which machine took the film.",
        remedies=("corner_blackout", "markers", "frame_swap"),
    ),
}

QUANTITIES = {
    "aspect_ratio": ("shape", "width divided by height"),
    "pixels": ("size", "number of pixels"),
    "bytes": ("file", "length of the file"),
    "bytes_per_pixel": ("file", "bytes per pixel"),
    "channels": ("file", "colour channels in the file"),
    "jpeg": ("file", "JPEG or another format"),
    "bit_depth": ("file", "bits per sample"),
    "mean": ("intensity", "mean grey level"),
    "spread": ("intensity", "spread of the grey levels"),
    "black": ("intensity", "share of black pixels"),
    "white": ("intensity", "share of white pixels"),
    "sharpness": ("sharpness", "sharpness at 224 pixels"),
    "edge_mean": ("edge", "mean grey level of the edge"),
    "edge_spread": ("edge", "spread of grey levels along the edge"),
    "edge_black": ("edge", "share of black pixels along the edge"),
    "upper_left_mean": ("corners", "mean of the upper left corner"),
    "upper_left_spread": ("corners", "spread in the upper left corner"),
    "upper_right_mean": ("corners", "mean of the upper right corner"),
    "upper_right_spread": ("corners", "spread in the upper right corner"),
    "lower_left_mean": ("corners", "mean of the lower left corner"),
    "lower_left_spread": ("corners", "spread in the lower left corner"),
    "lower_right_mean": ("corners", "mean of the lower right corner"),
    "lower_right_spread": ("corners", "spread in the lower right corner"),
}
"""The family of each quantity, and what it is."""

SHARES = ("black", "white", "edge_black")
"""Quantities that are shares of pixels, from 0 to 1."""

UNITS = {"bytes": " bytes", "pixels": " pixels"}
"""Behind a value, where the name of the quantity does not say enough."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How well one quantity alone tells PNEUMONIA from NORMAL.

    Attributes:
        quantity: a key of `QUANTITIES`, or `ALL`.
        family: a key of `FAMILIES`, or `ALL`.
        title: what it is, for people.
        roc_auc: cross-validated, over films whose patients had no part in the direction.
        interval: 95 %, clustered by patient.
        normal: median among NORMAL films; None for all quantities together.
        pneumonia: likewise.
    """

    quantity: str
    family: str
    title: str
    roc_auc: float
    interval: Interval
    normal: float | None
    pneumonia: float | None


def quantities(catalog: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """The trivial numbers of each film, one column for each of `QUANTITIES`.

    Args:
        catalog: rows of films that can be read.
        measures: as `films.measure_films` gives them.
    """
    of_pixels = [name for name in QUANTITIES if name in measures]
    table = measures.loc[catalog["digest"], of_pixels].set_axis(catalog.index)
    pixels = catalog["width"] * catalog["height"]
    return table.assign(
        aspect_ratio=catalog["width"] / catalog["height"],
        pixels=pixels,
        bytes=catalog["bytes"],
        bytes_per_pixel=catalog["bytes"] / pixels,
    )[list(QUANTITIES)].astype(float)


def probe(table: pd.DataFrame, is_pneumonia: np.ndarray, persons: np.ndarray) -> list[Probe]:
    """Every quantity that varies, by itself, and then all of them together.

    Args:
        table: as `quantities` gives it.
        is_pneumonia: bool, shape (films,).
        persons: int, shape (films,): films of one person are never on both sides of a fold.

    Returns: the strongest first, all together at the end; none where there are too few patients.
    """
    splits = list(folds(is_pneumonia, persons))
    varying = [name for name in QUANTITIES if table[name].nunique() > 1]
    if not splits or not varying:
        return []
    found = []
    for name in varying:
        family, title = QUANTITIES[name]
        values = table[name].to_numpy()
        scores = _directed(values, is_pneumonia, splits)
        area, interval = clustered_auc(is_pneumonia, scores, persons)
        found.append(
            Probe(
                quantity=name,
                family=family,
                title=title,
                roc_auc=area,
                interval=interval,
                normal=float(np.median(values[~is_pneumonia])),
                pneumonia=float(np.median(values[is_pneumonia])),
            )
        )
    found.sort(key=lambda it: it.roc_auc, reverse=True)
    scores = _together(table[varying].to_numpy(), is_pneumonia, splits)
    area, interval = clustered_auc(is_pneumonia, scores, persons)
    together = Probe(
        quantity=ALL,
        family=ALL,
        title="all of these together",
        roc_auc=area,
        interval=interval,
        normal=None,
        pneumonia=None,
    )
    return [*found, together]


def folds(is_pneumonia: np.ndarray, persons: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places to learn from and places to judge, five times, whole persons on either side.

    Nothing where a class has fewer than `FEWEST_PERSONS`.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fewest = min(len(np.unique(persons[side])) for side in (is_pneumonia, ~is_pneumonia))
    if fewest >= FEWEST_PERSONS:
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        yield from splitter.split(persons, is_pneumonia, persons)


def clustered_auc(
    is_pneumonia: np.ndarray, scores: np.ndarray, persons: np.ndarray
) -> tuple[float, Interval]:
    """The area under the ROC curve, with its 95 % interval where films of a person are alike.

    The variance is that of DeLong et al. with persons for films (Obuchowski, Nonparametric
    analysis of clustered ROC curve data, Biometrics 53, 1997). The interval is one of the logit of
    the area. Where the classes do not overlap at all that has no variance: the interval is then
    Wilson's, for as many persons as the smaller class has and none on the wrong side.

    Args:
        is_pneumonia: bool, shape (films,), both classes present.
        scores: shape (films,).
        persons: int from 0, shape (films,).
    """
    positive, negative = scores[is_pneumonia], scores[~is_pneumonia]
    wins_of_positive = _share_below(positive, negative)
    wins_of_negative = 1 - _share_below(negative, positive)
    area = float(wins_of_positive.mean())

    clusters = int(persons.max()) + 1
    deviations, films = np.zeros((2, clusters)), np.zeros((2, clusters))
    for row, (side, wins) in enumerate(
        ((is_pneumonia, wins_of_positive), (~is_pneumonia, wins_of_negative))
    ):
        np.add.at(deviations[row], persons[side], wins - area)
        np.add.at(films[row], persons[side], 1)
    deviations /= films.sum(axis=1, keepdims=True)
    products = deviations @ deviations.T
    present = np.array([*(films > 0).sum(axis=1), films.any(axis=0).sum()])
    of_positive, of_negative, of_both = present / np.maximum(present - 1, 1)
    variance = of_positive * products[0, 0] + of_negative * products[1, 1]
    variance += 2 * of_both * products[0, 1]
    if not 0 < area < 1:
        fewest = int((films > 0).sum(axis=1).min())
        return area, wilson_interval(round(area) * fewest, fewest)
    logit = np.log(area / (1 - area))
    reach = 1.96 * np.sqrt(max(variance, 0)) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(logit + np.array([-reach, reach]))))
    return area, Interval(low=float(low), high=float(high))


def in_words(quantity: str, value: float) -> str:
    """A value of a quantity with three digits that count and its unit, a share in percent."""
    unit, value = (" %", 100 * value) if quantity in SHARES else (UNITS.get(quantity, ""), value)
    if 0 < abs(value) < 0.001:
        return f"below 0.001{unit}"
    return (f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}") + unit


def answer_of(augmentation: Mapping[str, float | bool], family: str) -> str:
    """What a recipe does about a family of shortcuts, such as "zoom 0.3, crop 0.1"."""
    return ", ".join(
        f"{name.replace('_', ' ')} {augmentation[name]:g}"
        for name in FAMILIES[family].remedies
        if augmentation[name]
    )


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of the others, the share that each value exceeds; a tie counts half."""
    others = np.sort(others)
    below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return below / (2 * len(others))


def _directed(
    values: np.ndarray, is_pneumonia: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The quantity as a score: whether more of it means PNEUMONIA is learnt in the other folds."""
    scores = np.empty(len(values))
    for learnt, judged in splits:
        truth = is_pneumonia[learnt]
        area = _share_below(values[learnt][truth], values[learnt][~truth]).mean()
        # About the median, so that folds of either direction can be put together.
        scores[judged] = (1 if area >= 0.5 else -1) * (values[judged] - np.median(values))
    return scores


def _together(
    values: np.ndarray, is_pneumonia: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Out-of-fold probabilities of a logistic regression on the ranks of all quantities."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    scores = np.empty(len(values))
    for learnt, judged in splits:
        ranks = QuantileTransformer(
            n_quantiles=min(100, len(learnt)), output_distribution="normal", random_state=0
        )
        classifier = make_pipeline(ranks, LogisticRegression(C=1.0, max_iter=1000))
        classifier.fit(values[learnt], is_pneumonia[learnt])
        scores[judged] = classifier.predict_proba(values[judged])[:, 1]
    return scores
