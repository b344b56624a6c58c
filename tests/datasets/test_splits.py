from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo.datasets import splits
from pneumo.settings import Settings


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


# A new split ---------------------------------------------------------------------------


def sides_of(divided: pd.DataFrame) -> pd.Series:
    return divided.groupby("group")["split"].nunique()


def test_a_new_split_has_the_shares_and_parts_nobody() -> None:
    table = catalog_of(patients=200)
    divided = splits.resplit(table, splits.persons(table))
    assert sides_of(divided).eq(1).all()
    assert divided.drop(columns=["split", "group"]).equals(table.drop(columns="split"))
    for label in ("NORMAL", "PNEUMONIA"):
        of_label = divided.loc[divided["label"] == label, "split"]
        shares = of_label.value_counts(normalize=True)
        assert shares.to_dict() == pytest.approx(dict(splits.SHARES), abs=0.01)


def test_films_of_one_name_in_several_splits_come_together() -> None:
    table = catalog_of(patients=30)
    divided = splits.resplit(table, splits.persons(table))
    of_one = divided[(divided["label"] == "NORMAL") & (divided["patient"] == "IM-0")]
    assert set(table.loc[of_one.index, "split"]) == {"train", "val"}
    assert of_one["split"].nunique() == 1


def test_a_group_of_both_labels_stays_together() -> None:
    table = catalog_of(patients=30)
    groups = pd.Series([f"group {row % 40}" for row in range(len(table))], index=table.index)
    divided = splits.resplit(table, groups, shares={"train": 0.8, "test": 0.2})
    assert sides_of(divided).eq(1).all()
    assert set(divided["split"]) == {"train", "test"}


def test_the_seed_decides_a_new_split_and_the_order_of_rows_does_not() -> None:
    table = catalog_of(patients=60)

    def split(rows: pd.DataFrame, seed: int = 0) -> dict[str, str]:
        divided = splits.resplit(rows, splits.persons(rows), seed=seed)
        return dict(zip(divided["path"], divided["split"], strict=True))

    assert split(table) == split(table.sample(frac=1, random_state=1))
    assert split(table) != split(table, seed=1)


@pytest.mark.parametrize(
    "shares",
    [{"train": 0.7, "test": 0.2}, {"train": 1.2, "test": -0.2}, {"train": 0.5, "validation": 0.5}],
)
def test_shares_that_are_none_are_refused(shares: dict[str, float]) -> None:
    table = catalog_of(patients=20)
    with pytest.raises(ValueError, match="`shares` must be above 0 and add up to 1"):
        splits.resplit(table, splits.persons(table), shares=shares)


def test_too_few_patients_cannot_be_split() -> None:
    table = catalog_of(patients=1)
    with pytest.raises(ValueError, match=r"`(val|test)` would hold no "):
        splits.resplit(table, splits.persons(table))


def test_a_split_is_kept_and_applied(installation: Settings, tmp_path: Path) -> None:
    table = catalog_of(patients=30)
    table.attrs["root"] = "somewhere"
    file = splits.split_file(installation, tmp_path)
    assert splits.apply_split(table, file) is table
    divided = splits.resplit(table, splits.persons(table))
    splits.save_split(divided, file)
    assert file.read_text().splitlines()[0] == "path,split,group"
    applied = splits.apply_split(table, file)
    by_path = divided.drop(columns="group").sort_values("path", ignore_index=True)
    assert applied.sort_values("path", ignore_index=True).equals(by_path)
    assert list(applied["split"].unique()) == ["train", "val", "test"]
    assert applied.groupby("split")["label"].apply(lambda it: it.is_monotonic_increasing).all()
    assert (applied.attrs["root"], len(applied.attrs["resplit"])) == ("somewhere", 16)
    assert "resplit" not in table.attrs
    other = splits.resplit(table, splits.persons(table), seed=1)
    splits.save_split(other, file)
    assert splits.apply_split(table, file).attrs["resplit"] != applied.attrs["resplit"]
    assert splits.split_file(installation, tmp_path / "other") != file


def test_a_split_that_lacks_a_film_is_refused(tmp_path: Path) -> None:
    table = catalog_of(patients=30)
    file = tmp_path / "split.csv"
    splits.save_split(splits.resplit(table, splits.persons(table)), file)
    table.loc[len(table)] = table.iloc[0].replace("0.jpeg", "new.jpeg")
    with pytest.raises(splits.UnfitSplit, match=r"lacks 1, the first new\.jpeg\. Make it again"):
        splits.apply_split(table, file)


@pytest.mark.parametrize("text", ["name\na\n", "path,split\n0.jpeg,validation\n"])
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "split.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match="A split is a CSV file with `path` and `split`"):
        splits.apply_split(catalog_of(patients=3), file)
