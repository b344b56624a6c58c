"""Who is trained on and who is held back: whole patients, never single images.

SciPy is imported where it computes: pages load this module.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pneumo.datasets.catalog import LABELS, SPLITS
from pneumo.settings import Settings, folder_key, written_whole

SHARES: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}
"""Of the films of each label, where a data set is split anew."""


class UnfitSplit(ValueError):
    """A split of the user's own does not fit the films; the message says what to do."""


def carve_validation(catalog: pd.DataFrame, *, share: float = 0.15, seed: int = 0) -> pd.DataFrame:
    """Hold back a share of the training patients of each label for validation.

    The 16 images of the official `val` split are too few to choose anything by.
    Several images of a patient go to the same side, and so do patients that share a
    byte-identical image: they are one person under two names.

    Args:
        catalog: as `catalog.build` returns it.
        share: share of the training patients of each label, in (0, 1). Patients
            have unlike numbers of images, so that the share of images is near it only.
        seed: another seed holds back other patients. The order of the rows plays no part.

    Returns:
        The same rows in the same order; `split` is "validation" where it was "train"
        for the patients held back. Rows of "val" and "test" are untouched.

    Raises:
        ValueError: `share` is out of range, or a label would miss on either side.
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1. Received: share={share}")
    train = catalog.loc[catalog["split"] == "train", ["label", "patient", "digest"]]
    person = persons(train)
    known = pd.DataFrame({"person": person, "label": train["label"]})
    # Sorted by name, so that neither the order of the rows nor of the files decides.
    known = known.sort_values(["person", "label"]).drop_duplicates("person")
    held_back = known.groupby("label").sample(frac=share, random_state=seed)

    for label in LABELS:
        available = int((known["label"] == label).sum())
        taken = int((held_back["label"] == label).sum())
        if not 0 < taken < available:
            raise ValueError(
                "Training and validation both need patients of every label. Received: "
                f"{available} {label} patients in `train`, of which share={share} takes {taken}. "
                "Use a data set with more patients, or another share."
            )
    carved = catalog.copy()
    carved.loc[person.index[person.isin(held_back["person"])], "split"] = "validation"
    return carved


def persons(catalog: pd.DataFrame) -> pd.Series:
    """A name for the person on each row: the first of the patient names that are connected.

    Patients are connected by an image that both have: they are one person under two names. The
    same name under another label is another patient.

    Args:
        catalog: with the columns label, patient and digest; rows of one digest show one image.

    Returns: str, with the index of the catalogue.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = catalog["label"] + "/" + catalog["patient"]
    patient, _ = pd.factorize(names)
    image, _ = pd.factorize(catalog["digest"])
    nodes = len(catalog)
    links = coo_array(([True] * nodes, (patient, nodes + image)), shape=(2 * nodes, 2 * nodes))
    _, component = connected_components(links, directed=False)
    return names.groupby(component[patient]).transform("min")


def resplit(
    catalog: pd.DataFrame,
    groups: pd.Series,
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> pd.DataFrame:
    """Split a whole data set anew: no group is in two splits.

    Groups are dealt in random order, each to the split that lacks most of its share of the
    group's label, so that every split comes near its share of either label.

    Args:
        catalog: as `catalog.build` returns it.
        groups: what must stay together, such as `persons`; with the index of the catalogue.
        shares: of the films of each label, by split; they add up to 1.
        seed: another seed deals otherwise. The order of the rows plays no part.

    Returns:
        The same rows in the same order, with another `split` and a further column `group`.

    Raises:
        ValueError: the shares are no shares of `SPLITS`, or a split would miss a label.
    """
    valid = set(shares) <= set(SPLITS) and all(0 < share < 1 for share in shares.values())
    if not valid or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(
            f"`shares` must be above 0 and add up to 1, of {', '.join(SPLITS)}. "
            f"Received: shares={dict(shares)}"
        )
    films = pd.DataFrame({"group": groups, "label": catalog["label"]})
    sizes = films.groupby(["group", "label"]).size().unstack(fill_value=0)
    lacking = {
        label: {split: share * sizes[label].sum() for split, share in shares.items()}
        for label in sizes
    }
    dealt = {}
    for group, counts in sizes.sample(frac=1, random_state=seed).iterrows():
        label = counts.idxmax()
        dealt[group] = split = max(shares, key=lacking[label].__getitem__)
        for counted, count in counts.items():
            lacking[counted][split] -= count
    divided = catalog.assign(split=groups.map(dealt), group=groups)
    for split in shares:
        missing = set(LABELS) - set(divided.loc[divided["split"] == split, "label"])
        if missing:
            raise ValueError(
                f"`{split}` would hold no {' and no '.join(sorted(missing))} film: there are "
                f"{len(sizes)} groups to deal. Use a data set with more patients, or other shares."
            )
    return divided


def split_file(settings: Settings, root: Path) -> Path:
    """Where the user's own split of a data set is kept."""
    return settings.home / "splits" / folder_key(root) / "pneumo-splits.csv"


def save_split(divided: pd.DataFrame, path: Path) -> None:
    """Write a split as CSV: path, split, group.

    Args:
        divided: as `resplit` returns it.
        path: of the file; one that is there is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        divided[["path", "split", "group"]].to_csv(temporary, index=False)


def apply_split(catalog: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The catalogue under the split in a file; as it is where there is no such file.

    Returns:
        The same rows in the order of `catalog.build`. `attrs["resplit"]` tells this split from any
        other of these films (16 hexadecimal digits); a catalogue under its own split has none.

    Raises:
        UnfitSplit: the file is no split, or was made before a film was added.
    """
    try:
        stored = pd.read_csv(path, dtype=str)
    except FileNotFoundError:
        return catalog
    if not {"path", "split"} <= set(stored) or not set(stored["split"]) <= set(SPLITS):
        raise UnfitSplit(
            f"A split is a CSV file with `path` and `split` ({', '.join(SPLITS)}). Received: "
            f"{path}. Make it again, or delete it."
        )
    split = catalog["path"].map(stored.drop_duplicates("path").set_index("path")["split"])
    if split.isna().any():
        raise UnfitSplit(
            f"A split must name every film. {path} lacks {int(split.isna().sum())}, the first "
            f"{catalog.loc[split.isna(), 'path'].iloc[0]}. Make it again, or delete it."
        )
    divided = catalog.assign(split=split).sort_values(
        ["split", "label"],
        key=lambda column: column.map(SPLITS.index) if column.name == "split" else column,
        ignore_index=True,
    )
    lines = sorted(divided["path"] + " " + divided["split"])
    key = hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
    divided.attrs = {**catalog.attrs, "resplit": key}
    return divided
