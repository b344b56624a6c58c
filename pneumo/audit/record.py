"""The result of an audit: as a value, as JSON, on disk, and as a list of films to keep."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.audit.findings import Film, Finding
from pneumo.audit.label_noise import LEAST_AUC
from pneumo.audit.probes import FEWEST_PERSONS, Probe
from pneumo.evaluation.interval import Interval
from pneumo.settings import Settings, write_text

MEASURED = "test"
"""The split that is counted and compared, but that nothing is fitted on: knowing which of its films
are hard would be a first step towards choosing by it."""

# Another release may find otherwise.
_FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How many films and patients of one cause there are in a split."""

    split: str
    label: str
    subtype: str
    films: int
    patients: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found in a data set, and what it was found by.

    Attributes:
        data: name of the data set.
        root: the folder that paths are relative to.
        fingerprint: of every file, its place and its content.
        films: that can be read.
        features: the model whose features were taken to doubt labels; "" for none.
        features_auc: how well these tell the labels as they are, out of fold; None where that was
            not looked at, or nothing could be fitted.
        balance: films by split, label and subtype.
        findings: the most serious first.
        probes: the strongest first, all quantities together at the end.
        duplicates: paths of the films that show one image, image by image.
    """

    data: str
    root: str
    fingerprint: str
    films: int
    features: str
    features_auc: float | None
    balance: tuple[Balance, ...]
    findings: tuple[Finding, ...]
    probes: tuple[Probe, ...]
    duplicates: tuple[tuple[str, ...], ...]

    def finding(self, code: str) -> Finding | None:
        """The finding of a kind, if there is one."""
        return next((it for it in self.findings if it.code == code), None)

    @property
    def unfitted(self) -> str:
        """Why no number and no label could be judged, in a sentence; "" where they were."""
        if self.probes:
            return ""
        labels = {it.label for it in self.balance if it.split != MEASURED}
        if len(labels) == 1:
            return f"All films outside `{MEASURED}` are of one class: nothing can be fitted."
        if not labels:
            return f"All films are in `{MEASURED}`, on which nothing is fitted."
        return (
            f"There are too few patients to say: {FEWEST_PERSONS} of each class are needed outside "
            f"`{MEASURED}`, on which nothing is fitted."
        )

    @property
    def witness(self) -> str:
        """How far the features can doubt labels, in a sentence; "" where none were taken."""
        if not self.features:
            return ""
        if self.features_auc is None:
            return "No label was doubted: nothing could be fitted."
        return (
            f"A logistic regression on the features of {self.features}, judged on patients that it "
            f"has not seen, agrees with the labels with an AUC of {self.features_auc:.3f}"
            + (
                "."
                if self.features_auc >= LEAST_AUC
                else f": too seldom to doubt any, which takes {LEAST_AUC}."
            )
        )

    def to_json(self, *, indent: int | None = 2) -> str:
        """The audit as JSON text: indented for people, without `indent` quickly and in one line."""
        return json.dumps(self, default=vars, indent=indent)


def from_json(text: str) -> Audit:
    """The audit that `Audit.to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: the text is not such an audit.
    """
    values = json.loads(text)
    findings = tuple(
        Finding(**{**it, "films": tuple(Film(**film) for film in it["films"])})
        for it in values["findings"]
    )
    found = tuple(
        Probe(**{**it, "interval": Interval(**it["interval"])}) for it in values["probes"]
    )
    read: dict[str, Any] = {
        "balance": tuple(Balance(**it) for it in values["balance"]),
        "findings": findings,
        "probes": found,
        "duplicates": tuple(map(tuple, values["duplicates"])),
    }
    return Audit(**{**values, **read})


def fingerprint(catalog: pd.DataFrame) -> str:
    """A hash over every file of a data set: place, class, split and content."""
    columns = catalog[["path", "split", "label", "digest"]]
    lines = sorted(" ".join(row) for row in columns.itertuples(index=False, name=None))
    lines += sorted(f"{path} {reason}" for path, reason in catalog.attrs["unreadable"].items())
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def save(audit: Audit, settings: Settings, digest: str) -> None:
    """Keep an audit in the cache.

    Args:
        digest: of the model whose features doubted the labels; "" for none.
    """
    file = _file(settings, Path(audit.root), audit.fingerprint, digest)
    write_text(file, audit.to_json(indent=None))


def load(settings: Settings, catalog: pd.DataFrame, digest: str) -> Audit | None:
    """The audit of a data set as it is now, if it was audited with the same features before.

    Args:
        digest: of the model whose features doubt the labels; "" for none.
    """
    path = _file(settings, Path(catalog.attrs["root"]), fingerprint(catalog), digest)
    try:
        return from_json(path.read_text())
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None  # never made, or damaged: it is made again


def load_any(settings: Settings, catalog: pd.DataFrame) -> Audit | None:
    """An audit of a data set as it is now, by whichever features: duplicates are the same."""
    kept = _file(settings, Path(catalog.attrs["root"]), fingerprint(catalog), "*")
    for path in kept.parent.glob(kept.name):
        with contextlib.suppress(FileNotFoundError, KeyError, TypeError, ValueError):
            return from_json(path.read_text())
    return None


def stamp(settings: Settings, root: Path) -> int:
    """Another one whenever a data set has been audited; 0 for never."""
    kept = _file(settings, root, "*", "*")
    try:
        return max((path.stat().st_mtime_ns for path in kept.parent.glob(kept.name)), default=0)
    except FileNotFoundError:  # deleted meanwhile
        return 0


def same_images(catalog: pd.DataFrame, audit: Audit) -> pd.DataFrame:
    """The catalogue with one digest for films that show one image, for `splits.persons`."""
    of_path = {path: group[0] for group in audit.duplicates for path in group}
    return catalog.assign(digest=catalog["path"].map(of_path).fillna(catalog["digest"]))


def cleaned_list(catalog: pd.DataFrame, audit: Audit) -> pd.DataFrame:
    """Every film, whether to keep it, and why not.

    Of an image under both labels no film is kept. Of any other image one film is: that in `test`
    or else in `val`, so that what is measured stays as it is; within a split the first.

    Returns: path, split, label, subtype, patient, keep ("yes" or "no"), reason.
    """
    place = {path: row for row, path in enumerate(catalog["path"])}
    reasons = dict.fromkeys(catalog["path"], "")
    for group in audit.duplicates:
        rows = catalog.iloc[[place[path] for path in group]]
        if rows["label"].nunique() > 1:
            reasons |= dict.fromkeys(group, "under both labels")
            continue
        order = rows["split"].map({"test": 0, "val": 1}).fillna(2).sort_values(kind="stable")
        kept, *others = rows.loc[order.index, "path"]
        reasons |= dict.fromkeys(others, f"shows the same image as {kept}")
    columns = ["path", "split", "label", "subtype", "patient"]
    listed = catalog[columns].assign(reason=catalog["path"].map(reasons))
    unreadable = audit.finding("unreadable")
    if unreadable is not None:
        problems = {film.path: film.note for film in unreadable.films}
        listed["reason"] = listed["path"].map(problems).fillna(listed["reason"])
        unlisted = [(path, note) for path, note in problems.items() if path not in place]
        listed = pd.concat([listed, pd.DataFrame(unlisted, columns=["path", "reason"])])
    keep = listed["reason"].eq("").map({True: "yes", False: "no"})
    return listed.assign(keep=keep)[[*columns, "keep", "reason"]].reset_index(drop=True)


def _file(settings: Settings, root: Path, print_: str, digest: str) -> Path:
    features = digest[:16] or "none"
    return settings.found_of(root) / f"audit-{_FORMAT}-{print_}-{features}.json"
