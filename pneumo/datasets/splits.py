"""Who is trained on and who is held back: whole patients, never single images."""

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pneumo.datasets.catalog import LABELS


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
    person = _persons(train)
    persons = pd.DataFrame({"person": person, "label": train["label"]})
    # Sorted by name, so that neither the order of the rows nor of the files decides.
    persons = persons.sort_values(["person", "label"]).drop_duplicates("person")
    held_back = persons.groupby("label").sample(frac=share, random_state=seed)

    for label in LABELS:
        available = int((persons["label"] == label).sum())
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


def _persons(train: pd.DataFrame) -> pd.Series:
    """A name for the person on each row: the first of the patient names that are connected."""
    # The same name under another label is another patient.
    names = train["label"] + "/" + train["patient"]
    patient, _ = pd.factorize(names)
    image, _ = pd.factorize(train["digest"])
    nodes = len(train)
    links = coo_array(([True] * nodes, (patient, nodes + image)), shape=(2 * nodes, 2 * nodes))
    _, component = connected_components(links, directed=False)
    return names.groupby(component[patient]).transform("min")
