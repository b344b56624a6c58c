"""The audit itself: one pass over the films, then everything that can be found.

SciPy is imported where it computes: pages load this module.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo.audit import findings, label_noise, probes, record
from pneumo.audit.duplicates import near_duplicates
from pneumo.audit.films import (
    FeatureSource,
    Progress,
    measure_films,
    thumbnails,
)
from pneumo.audit.findings import SEVERITIES, Finding
from pneumo.audit.record import MEASURED, Audit, Balance
from pneumo.datasets import splits
from pneumo.datasets.catalog import SPLITS
from pneumo.datasets.film_store import Cancelled
from pneumo.settings import Settings
from pneumo.training.recipe import BEST


def examine(
    catalog: pd.DataFrame,
    settings: Settings,
    *,
    name: str,
    source: FeatureSource | None = None,
    progress: Progress = lambda activity, done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Audit:
    """Audit a data set, and keep the result in the cache.

    The audit of the same films is not made twice, unless some of them could not be read.

    Args:
        catalog: as `catalog.build` returns it.
        settings: where the cache is, and the limits of a file.
        name: of the data set.
        source: of the features that labels are doubted by; None leaves that out.
        progress: called from this thread.
        cancelled: asked every few films.

    Raises:
        ValueError: not a single film can be decoded.
        Cancelled: `cancelled` said so; the films read so far need not be read again.
        OSError: the cache cannot be written.
    """
    digest = "" if source is None else source.digest
    known = record.load(settings, catalog, digest)
    if known is not None and known.finding("unreadable") is None:
        return dataclasses.replace(known, data=name)
    root = Path(catalog.attrs["root"])
    measures, features = measure_films(
        catalog,
        source=source,
        limits=settings.image_limits,
        store=settings.found_of(root),
        progress=progress,
        cancelled=cancelled,
    )
    problem = catalog["digest"].map(measures["problem"])
    problems = catalog.attrs["unreadable"] | dict(
        zip(catalog["path"][problem != ""], problem[problem != ""], strict=True)
    )
    measures = measures[measures["problem"] == ""]
    films = catalog[problem == ""]
    if films.empty:
        raise ValueError(
            f"An audit needs films whose pixels can be decoded. Received: {len(catalog)} in "
            f"{root}, of which none can; the first: {problem.iloc[0]}"
        )

    steps = ["Looking for duplicates", "Looking for shortcuts", "Doubting labels"]

    def begin(step: str) -> None:
        if cancelled():
            raise Cancelled
        progress(step, steps.index(step), len(steps))

    begin("Looking for duplicates")
    image = _images(films, measures)
    found = [
        *findings.unreadable(problems),
        *findings.duplicates(films, image),
        *findings.patients_across_splits(films),
        *findings.balance(films),
    ]
    begin("Looking for shortcuts")
    fitted = films[films["split"] != MEASURED]
    is_pneumonia = (fitted["label"] == "PNEUMONIA").to_numpy()
    persons, _ = pd.factorize(splits.persons(fitted.assign(digest=image[fitted.index])))
    table = probes.quantities(fitted, measures)
    probed = probes.probe(table, is_pneumonia, persons)
    found += findings.shortcuts(probed, table, fitted, BEST)

    features_auc = None
    if source is not None and features is not None and not fitted.empty:
        begin("Doubting labels")
        probability = label_noise.probabilities(
            _matrix(features.loc[fitted["digest"]]), is_pneumonia, persons
        )
        if probability is not None:
            features_auc, _ = probes.clustered_auc(is_pneumonia, probability, persons)
            if features_auc >= label_noise.LEAST_AUC:
                found += findings.doubted_labels(fitted, probability, source=source.name)
    progress("Done", len(steps), len(steps))

    audit = Audit(
        data=name,
        root=str(root),
        fingerprint=record.fingerprint(catalog),
        films=len(films),
        features="" if source is None else source.name,
        features_auc=features_auc,
        balance=tuple(_balance(films)),
        findings=tuple(_by_severity(found)),
        probes=tuple(probed),
        duplicates=tuple(
            tuple(group) for _, group in films["path"].groupby(image, sort=False) if len(group) > 1
        ),
    )
    record.save(audit, settings, digest)
    return audit


def _images(films: pd.DataFrame, measures: pd.DataFrame) -> pd.Series:
    """Which image each film shows: the first digest among exact and near duplicates."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    digests = measures.index.to_numpy()
    pairs = near_duplicates(thumbnails(measures))
    links = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(digests),) * 2)
    _, component = connected_components(links, directed=False)
    first = pd.Series(digests).groupby(component).transform("first")
    return films["digest"].map(dict(zip(digests, first, strict=True)))


def _matrix(features: pd.Series) -> np.ndarray:
    """float16, shape (films, features)."""
    return np.frombuffer(b"".join(features), np.float16).reshape(len(features), -1)


def _balance(films: pd.DataFrame) -> list[Balance]:
    columns = ["split", "label", "subtype"]
    groups = films.groupby(columns)["patient"].agg(["size", "nunique"]).reset_index()
    rows = [
        Balance(split=split, label=label, subtype=subtype, films=images, patients=patients)
        for split, label, subtype, images, patients in groups.itertuples(index=False, name=None)
    ]
    return sorted(rows, key=lambda row: SPLITS.index(row.split))


def _by_severity(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda it: SEVERITIES.index(it.severity))
