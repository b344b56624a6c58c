"""What was found out about films, kept on disk: each film is looked at once.

Rows are kept by the digest of the file, in parts: what is new is looked at, and a look that was
broken off goes on where it ended. Whoever could not read a film may try again.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from pneumo.settings import written_whole

KEPT_TOGETHER = 1024
"""Films between two writes: a process that is killed loses no more."""

Row = Mapping[str, object]


class Cancelled(Exception):
    """Somebody asked for an end."""


@dataclass(frozen=True, kw_only=True)
class FilmStore:
    """A table with a row for each digest.

    Attributes:
        folder: where it is kept; it may not be there yet.
        columns: their types. Among them is `problem` (str): why the film could not be read, ""
            where it could.
    """

    folder: Path
    columns: Mapping[str, str]

    def read(self) -> pd.DataFrame:
        """What is known, by digest."""
        parts = [self._table([])]
        for path in sorted(self.folder.glob("[!.]*.parquet")):  # the oldest first
            # What a damaged part held is found out again.
            with contextlib.suppress(OSError, pyarrow.ArrowInvalid):
                parts.append(pd.read_parquet(path))
        return _latest(parts)

    def add(self, rows: Sequence[Row]) -> pd.DataFrame:
        """Keep rows, each with the `digest` of its film.

        Returns: them, by digest.

        Raises:
            OSError: they cannot be written.
        """
        table = self._table(rows)
        if rows:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{time.time_ns()}-{uuid.uuid4().hex}.parquet"
            with written_whole(self.folder / name) as temporary:
                table.to_parquet(temporary)
        return table

    @property
    def stamp(self) -> int:
        """Another one whenever more is known; 0 when nothing is."""
        try:
            return self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _table(self, rows: Sequence[Row]) -> pd.DataFrame:
        types = {"digest": "str", **self.columns}
        return pd.DataFrame(rows, columns=list(types)).astype(types).set_index("digest")


def complete(
    stores: Sequence[FilmStore],
    catalog: pd.DataFrame,
    look: Callable[[str], Sequence[Row]],
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    threads: int | None = None,
) -> list[pd.DataFrame]:
    """Look at every film of a catalogue that a store does not know, or not yet without a problem.

    Args:
        catalog: as `catalog.build` returns it.
        look: makes of the path of a film its row in each store; called from several threads.
        progress: called from this thread with the films that are known and their number.
        cancelled: asked after each film.
        threads: that look at once; None leaves it to the executor.

    Returns: of each store the table of the films in it, a row a digest.

    Raises:
        Cancelled: `cancelled` said so; what was found so far is kept.
        OSError: a store cannot be written.
    """
    wanted = catalog.drop_duplicates("digest")
    tables = [[store.read()] for store in stores]
    answered = [set(table.index[table["problem"] == ""]) for (table,) in tables]
    new = wanted[~wanted["digest"].isin(set.intersection(*answered))]
    done = len(wanted) - len(new)
    progress(done, len(wanted))
    pool = ThreadPoolExecutor(threads)
    try:
        for start in range(0, len(new), KEPT_TOGETHER):
            part = new.iloc[start : start + KEPT_TOGETHER]
            found: list[tuple[str, Sequence[Row]]] = []
            try:
                for it in zip(part["digest"], pool.map(look, part["path"]), strict=True):
                    found.append(it)
                    done += 1
                    progress(done, len(wanted))
                    if cancelled():
                        raise Cancelled
            finally:
                for place, store in enumerate(stores):
                    fresh = [
                        {"digest": digest, **rows[place]}
                        for digest, rows in found
                        if digest not in answered[place]
                    ]
                    tables[place].append(store.add(fresh))
    finally:
        pool.shutdown(cancel_futures=True)
    return [_latest(parts).loc[wanted["digest"]] for parts in tables]


def _latest(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row a digest: what was found last, or else why nothing was."""
    rows = pd.concat(parts)
    ordered = rows.iloc[np.argsort(rows["problem"] == "", kind="stable")]
    return ordered[~ordered.index.duplicated(keep="last")]
