import numpy as np
import pandas as pd
import pytest

from pneumo.datasets import splits


def catalog_of(*, patients: int, seed: int = 0) -> pd.DataFrame:
    """A training set of patients with 1 to 5 images each, and a row of each other split."""
    generator = np.random.default_rng(seed)
    rows = [
        ("train", label, f"{prefix}{number}")
        for label, prefix in (("NORMAL", "IM-"), ("PNEUMONIA", "person"))
        for number in range(patients)
        for _ in range(generator.integers(1, 6))
    ]
    rows += [("val", "NORMAL", "IM-0"), ("test", "PNEUMONIA", "person0")]
    table = pd.DataFrame(rows, columns=["split", "label", "patient"])
    table["path"] = [f"{index}.jpeg" for index in table.index]
    table["digest"] = [f"{index:032x}" for index in table.index]
    return table


def held_back(table: pd.DataFrame, **options: float) -> set[str]:
    carved = splits.carve_validation(table, **options)
    return set(carved.loc[carved["split"] == "validation", "path"])


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_the_share_holds_for_each_label(share: float) -> None:
    table = catalog_of(patients=200)

    carved = splits.carve_validation(table, share=share)

    carved = carved[carved["split"].isin(["train", "validation"])]
    for label in ("NORMAL", "PNEUMONIA"):
        of_label = carved[carved["label"] == label]
        validation = of_label[of_label["split"] == "validation"]
        assert validation["patient"].nunique() == share * 200
        assert len(validation) / len(of_label) == pytest.approx(share, abs=0.04)


def test_no_patient_is_on_both_sides_and_other_splits_stay() -> None:
    table = catalog_of(patients=50)

    carved = splits.carve_validation(table)

    sides = carved[carved["split"].isin(["train", "validation"])]
    assert sides.groupby(["label", "patient"])["split"].nunique().eq(1).all()
    others = table["split"].isin(["val", "test"])
    assert carved[others].equals(table[others])
    assert carved.drop(columns="split").equals(table.drop(columns="split"))
    assert set(table["split"]) == {"train", "val", "test"}  # The argument is left as it was.


def test_patients_that_share_an_image_stay_together() -> None:
    table = catalog_of(patients=20)
    # A chain through all normal patients but one: 0 = 1, 1 = 2, … 17 = 18.
    normal = table[(table["split"] == "train") & (table["label"] == "NORMAL")]
    for number in range(18):
        copy = normal[normal["patient"] == f"IM-{number}"].iloc[0].copy()
        copy["patient"], copy["path"] = f"IM-{number + 1}", f"copy{number}.jpeg"
        table.loc[len(table)] = copy

    for seed in range(5):
        carved = splits.carve_validation(table, share=0.5, seed=seed)
        normal = carved[(carved["label"] == "NORMAL") & (carved["split"] != "val")]
        sides = normal.groupby("patient")["split"].unique().map(list)
        chain = sides.drop("IM-19")
        assert chain.map(len).eq(1).all()
        assert chain.map(lambda side: side[0]).nunique() == 1
        assert sides["IM-19"] != chain["IM-0"]


def test_the_same_name_under_another_label_is_another_patient() -> None:
    table = catalog_of(patients=40).replace(r"^(IM-|person)", "", regex=True)

    sides = [
        splits.carve_validation(table, seed=seed).query("split in ('train', 'validation')")
        for seed in range(3)
    ]

    assert any(it.groupby("patient")["split"].nunique().max() == 2 for it in sides)


def test_an_image_under_both_labels_is_on_one_side() -> None:
    table = catalog_of(patients=10)
    train = table[table["split"] == "train"]
    normal = train.index[train["label"] == "NORMAL"]
    pneumonia = train.index[train["label"] == "PNEUMONIA"]
    table.loc[pneumonia[0], "digest"] = table.loc[normal[0], "digest"]

    for seed in range(10):
        carved = splits.carve_validation(table, share=0.5, seed=seed)
        assert carved.loc[normal[0], "split"] == carved.loc[pneumonia[0], "split"]


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    table = catalog_of(patients=60)

    assert held_back(table) == held_back(table.sample(frac=1.0, random_state=3))
    assert held_back(table) == held_back(table)
    assert held_back(table, seed=1) != held_back(table, seed=2)


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1 NORMAL patients in `train`.*takes 0"):
        splits.carve_validation(catalog_of(patients=1))
    with pytest.raises(ValueError, match="0 PNEUMONIA patients"):
        splits.carve_validation(catalog_of(patients=20).query("label == 'NORMAL'"))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="`share` must be between 0 and 1"):
        splits.carve_validation(catalog_of(patients=20), share=share)
