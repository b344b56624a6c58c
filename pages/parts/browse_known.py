"""What is known of the films of a data set, found out once and kept for all sessions."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts import work
from pneumo import settings
from pneumo.audit import films as pictures
from pneumo.audit import record
from pneumo.datasets import facts
from pneumo.datasets.catalog import PATIENT
from pneumo.inference.bundle import Bundle
from pneumo.inference.opinions import Opinions

BY_IDENTITY: dict[str | type[Any], Callable[[Any], Any]] = {
    pd.DataFrame: id,
    Opinions: id,
    Bundle: lambda model: model.digest + model.card.to_json(),
}
"""How what is kept for all sessions is told apart. It holds the catalogue and the opinions that it
is of, so that no other can take the place in memory by which they are known."""


def facts_of(catalog: pd.DataFrame, opinions: Opinions | None) -> pd.DataFrame:
    """The facts of all films: of the catalogue, and of pixels, last audit and model if there are.

    Args:
        catalog: as `require_dataset` returns it.
        opinions: about all films; None where no model has been asked.
    """
    found, *_ = _facts(catalog, opinions, _last_measured(catalog), last_audited(catalog))
    return found


def count_patients(catalog: pd.DataFrame) -> int:
    """How many patients there are, see `catalog.PATIENT`."""
    return _patients(catalog)[0]


def find_films(catalog: pd.DataFrame, named: Iterable[str]) -> pd.DataFrame:
    """The films that the address names by path or alias, in its order; others are left out."""
    rows: list[int] = []
    for name in named:
        found = catalog.index[catalog["path"] == name]
        if found.empty:
            found = catalog.index[_aliases(catalog)[0] == name]
        rows.extend(found)
    return catalog.loc[rows]


def require_pictures(catalog: pd.DataFrame) -> np.ndarray | None:
    """Every film in small, squeezed to a square; until they are there, a way to measure them.

    Returns:
        uint8, shape (films, side, side), in the order of the catalogue. A film that cannot be
        decoded is black. None until all have been measured.
    """
    measures, _ = _measures(catalog, _last_measured(catalog))
    if measures is not None:
        return measures[1]
    name = f"measure {catalog.attrs['root']}"
    if not work.follow(name, doing="Measuring the pictures", unit="films"):
        with st.container(border=True):
            st.markdown("**The pictures have not been measured yet**")
            st.caption(
                f"One pass over {len(catalog):,} films at a reduced size, once. It tells mean grey "
                "levels and what the mean film of each class looks like."
            )
            st.button(
                "Measure the pictures",
                icon=":material/straighten:",
                key="measure",
                on_click=work.begin,
                args=(name, partial(_measure, catalog)),
            )
    return None


def _measure(
    catalog: pd.DataFrame,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> None:
    pictures.measure_films(
        catalog,
        source=None,
        limits=settings.load().image_limits,
        store=_found(catalog),
        progress=lambda activity, done, total: progress(done, total),
        cancelled=cancelled,
    )


def _found(catalog: pd.DataFrame) -> Path:
    return settings.load().found_of(Path(catalog.attrs["root"]))


def last_audited(catalog: pd.DataFrame) -> int:
    """Another one whenever the data set has been audited; 0 for never."""
    return record.stamp(settings.load(), Path(catalog.attrs["root"]))


def _last_measured(catalog: pd.DataFrame) -> int:
    return pictures.stamp(_found(catalog))


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _patients(catalog: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    return len(catalog[list(PATIENT)].drop_duplicates()), catalog


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _aliases(catalog: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    return catalog["path"].map(address.alias), catalog


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _facts(
    catalog: pd.DataFrame, opinions: Opinions | None, measured: int, audited: int
) -> tuple[pd.DataFrame, pd.DataFrame, Opinions | None]:
    found = facts.of(catalog)
    measures, _ = _measures(catalog, measured)
    if measures is not None:
        found["brightness"] = measures[0]
    audit = record.load_any(settings.load(), catalog) if audited else None
    if audit is not None:
        same = {path for group in audit.duplicates for path in group}
        found["audited"] = catalog["path"].isin(same)
    if opinions is not None:
        found = found.join(facts.of_opinions(catalog["label"], opinions.table))
    return found, catalog, opinions


@st.cache_resource(show_spinner=False, max_entries=2, hash_funcs=BY_IDENTITY)
def _measures(
    catalog: pd.DataFrame, stamp: int
) -> tuple[tuple[np.ndarray, np.ndarray] | None, pd.DataFrame]:
    """Mean grey level of each film and the film in small; None unless all have been measured."""
    by_digest = pictures.kept_measures(catalog, store=_found(catalog))
    if by_digest is None:
        return None, catalog
    of_film = by_digest.loc[catalog["digest"]]
    side = pictures.THUMBNAIL
    pixels = b"".join(it or bytes(side**2) for it in of_film["thumbnail"])
    small = np.frombuffer(pixels, np.uint8).reshape(-1, side, side)
    return (of_film["mean"].to_numpy(), small), catalog
