import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pneumo import radiograph
from pneumo.datasets import catalog
from pneumo.datasets.catalog import ClassFolder, DatasetUnavailable

REAL_SET = Path(__file__).resolve().parents[3] / "shared" / "chest_xray_224"


def write_image(path: Path, *, seed: int = 0, height: int = 96, width: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One image of each naming, in all three splits."""
    root = tmp_path / "set"
    for seed, path in enumerate(
        [
            "train/NORMAL/IM-0115-0001.jpeg",
            "train/NORMAL/IM-0439-0001-0001.jpeg",
            "train/NORMAL/NORMAL2-IM-1427-0001.jpeg",
            "train/PNEUMONIA/person10_virus_15.jpeg",
            "train/PNEUMONIA/person2_bacteria_4.jpeg",
            "train/PNEUMONIA/person447_virus_921_1.jpeg",
            "val/PNEUMONIA/scan.png",
            "test/NORMAL/scan.png",
        ]
    ):
        write_image(root / path, seed=seed)
    return root


def test_label_subtype_and_patient_come_from_the_names(root: Path) -> None:
    table = catalog.build(root)

    assert tuple(table.columns) == catalog.COLUMNS
    assert table[["split", "label", "subtype", "patient"]].to_numpy().tolist() == [
        ["train", "NORMAL", "normal", "IM-0115"],
        ["train", "NORMAL", "normal", "IM-0439"],
        ["train", "NORMAL", "normal", "NORMAL2-IM-1427"],
        ["train", "PNEUMONIA", "bacterial", "person2"],
        ["train", "PNEUMONIA", "viral", "person10"],
        ["train", "PNEUMONIA", "viral", "person447"],
        ["val", "PNEUMONIA", "unknown", "scan"],
        ["test", "NORMAL", "normal", "scan"],
    ]


def test_paths_sizes_and_digests_describe_the_files(root: Path) -> None:
    write_image(root / "train/NORMAL/IM-0115-0002.jpeg", seed=0)
    write_image(root / "train/NORMAL/IM-0115-0003.png", seed=0, height=100, width=90)

    table = catalog.build(root).set_index("path")

    assert table.loc["train/NORMAL/IM-0115-0001.jpeg", ["height", "width"]].tolist() == [96, 128]
    assert table.loc["train/NORMAL/IM-0115-0003.png", ["height", "width"]].tolist() == [100, 90]
    assert all((root / path).stat().st_size == row.bytes for path, row in table.iterrows())
    same = table.digest == table.digest["train/NORMAL/IM-0115-0001.jpeg"]
    assert list(table.index[same]) == [
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/IM-0115-0002.jpeg",
    ]


@pytest.mark.parametrize("top", ["", "chest_xray"])
def test_the_doubled_archive_is_indexed_once(tmp_path: Path, top: str) -> None:
    for copy in ("chest_xray", "chest_xray/chest_xray"):
        write_image(tmp_path / copy / "train/NORMAL/IM-0115-0001.jpeg")
        (tmp_path / copy / "train/NORMAL/.DS_Store").write_bytes(b"litter")
        (tmp_path / copy / "train/NORMAL/._IM-0115-0001.jpeg").write_bytes(b"litter")
    litter = tmp_path / "chest_xray/__MACOSX/train/NORMAL/._IM-0115-0001.jpeg"
    litter.parent.mkdir(parents=True)
    litter.write_bytes(b"litter")

    table = catalog.build(tmp_path / top)

    assert table["path"].tolist() == ["train/NORMAL/IM-0115-0001.jpeg"]
    assert table.attrs == {"root": str(tmp_path / "chest_xray"), "unreadable": {}}


def test_folder_names_in_other_cases_and_spellings(tmp_path: Path) -> None:
    write_image(tmp_path / "Train/normal/a.PNG")
    write_image(tmp_path / "Validation/Pneumonia/b.jpg")

    table = catalog.build(tmp_path)

    assert table[["path", "split", "label"]].to_numpy().tolist() == [
        ["Train/normal/a.PNG", "train", "NORMAL"],
        ["Validation/Pneumonia/b.jpg", "val", "PNEUMONIA"],
    ]


def test_unreadable_images_are_named_with_their_reason(root: Path) -> None:
    (root / "train/NORMAL/IM-9999-0001.jpeg").write_bytes(b"")
    (root / "test/NORMAL/page.png").write_text("<html>")

    table = catalog.build(root)

    assert len(table) == 8
    assert set(table.attrs["unreadable"]) == {
        "train/NORMAL/IM-9999-0001.jpeg",
        "test/NORMAL/page.png",
    }
    assert all(table.attrs["unreadable"].values())


def test_a_second_build_reads_only_what_changed(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    calls: list[tuple[int, int]] = []

    def build() -> list[tuple[int, int]]:
        calls.clear()
        tables.append(catalog.build(root, cache=cache, progress=lambda *call: calls.append(call)))
        return list(calls)

    tables: list = []
    assert build() == [(done, 8) for done in range(1, 9)]
    assert build() == []
    assert tables[0].equals(tables[1])

    write_image(root / "train/NORMAL/IM-0115-0001.jpeg", seed=99, height=70)
    (root / "test/NORMAL/scan.png").unlink()
    write_image(root / "test/NORMAL/new.png", seed=100)
    assert build() == [(1, 2), (2, 2)]
    assert tables[2].equals(catalog.build(root))
    assert tables[2].set_index("path").height["train/NORMAL/IM-0115-0001.jpeg"] == 70


def test_a_file_of_the_same_length_but_another_time_is_read_again(
    root: Path, tmp_path: Path
) -> None:
    path = root / "test/NORMAL/scan.png"
    before = catalog.build(root, cache=tmp_path).set_index("path").digest
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))

    after = catalog.build(root, cache=tmp_path).set_index("path").digest

    assert list(before.index[before != after]) == ["test/NORMAL/scan.png"]


def test_an_interrupted_index_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "EXAMINED_TOGETHER", 4)
    cache = tmp_path / "cache"

    def interrupt(done: int, total: int) -> None:
        if done == 6:  # the second of the second part
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.build(root, cache=cache, progress=interrupt)
    calls: list[tuple[int, int]] = []
    whole = catalog.build(root, cache=cache, progress=lambda *call: calls.append(call))

    assert calls == [(1, 2), (2, 2)]
    assert whole.equals(catalog.build(root))
    assert len(list(cache.iterdir())) == 1


def test_what_is_gone_leaves_the_stored_catalogue(root: Path, tmp_path: Path) -> None:
    catalog.build(root, cache=tmp_path / "cache")
    (root / "test/NORMAL/scan.png").unlink()

    assert catalog.build(root, cache=tmp_path / "cache")["path"].tolist() == (
        catalog.build(root)["path"].tolist()
    )
    (stored,) = (tmp_path / "cache").iterdir()
    assert len(pd.read_parquet(stored)) == 7


def test_links_count_as_what_they_lead_to(root: Path) -> None:
    film = root / "train/NORMAL/IM-0115-0001.jpeg"
    (root / "train/NORMAL/IM-0116-0001.jpeg").symlink_to(film)
    (root / "train/NORMAL/IM-0117-0001.jpeg").symlink_to(root / "gone.jpeg")
    itself = root / "train/NORMAL/IM-0118-0001.jpeg"
    itself.symlink_to(itself)

    table = catalog.build(root).set_index("path")

    assert "train/NORMAL/IM-0117-0001.jpeg" not in table.index
    assert "train/NORMAL/IM-0118-0001.jpeg" not in table.index
    linked = table.loc["train/NORMAL/IM-0116-0001.jpeg"]
    assert linked["bytes"] == film.stat().st_size
    assert linked["digest"] == table.loc["train/NORMAL/IM-0115-0001.jpeg", "digest"]


def test_numbers_in_names_are_sorted_as_numbers(tmp_path: Path) -> None:
    names = ["9", "10", "10_2", "10_10", f"{10**30}", f"{2 * 10**30}"]
    for name in names:
        write_image(tmp_path / f"train/NORMAL/scan{name}.png")

    table = catalog.build(tmp_path)

    assert [Path(path).stem.removeprefix("scan") for path in table["path"]] == names


def test_folders_hold_what_somebody_says(tmp_path: Path) -> None:
    write_image(tmp_path / "here.png")
    write_image(tmp_path / "well/b/scan.png")
    write_image(tmp_path / "sick/person3_virus_1.jpeg")

    table = catalog.build(
        tmp_path,
        class_folders=[
            ClassFolder("val", "PNEUMONIA", tmp_path / "sick"),
            ClassFolder("train", "NORMAL", tmp_path / "well" / "b"),
            ClassFolder("train", "NORMAL", tmp_path),
        ],
    )

    assert table[["path", "split", "label", "subtype"]].to_numpy().tolist() == [
        ["here.png", "train", "NORMAL", "normal"],
        ["well/b/scan.png", "train", "NORMAL", "normal"],
        ["sick/person3_virus_1.jpeg", "val", "PNEUMONIA", "viral"],
    ]


def test_another_mapping_of_a_folder_is_another_catalogue(tmp_path: Path) -> None:
    write_image(tmp_path / "set/films/a.png")
    for split, label in (("train", "NORMAL"), ("test", "NORMAL"), ("test", "PNEUMONIA")):
        mapped = [ClassFolder(split, label, tmp_path / "set" / "films")]
        (row,) = catalog.build(
            tmp_path / "set", class_folders=mapped, cache=tmp_path / "cache"
        ).to_dict("records")
        assert (row["split"], row["label"]) == (split, label)


def test_patients_are_divided_and_stay_where_they_are(tmp_path: Path) -> None:
    mapped = [ClassFolder(catalog.BY_PATIENT, "PNEUMONIA", tmp_path / "films")]
    for patient in range(60):
        for film in range(2):
            write_image(tmp_path / f"films/person{patient}_virus_{film}.png", height=64, width=64)
    before = catalog.build(tmp_path, class_folders=mapped)
    splits = before.groupby("patient")["split"].unique()

    assert all(len(split) == 1 for split in splits)
    # 20 of 100: of 60 patients 12 are expected, with a standard deviation of 3.1.
    assert 3 <= sum(split[0] == "test" for split in splits) <= 21
    write_image(tmp_path / "films/person99_virus_1.png")
    after = catalog.build(tmp_path, class_folders=mapped).set_index("path")["split"]
    assert after[before["path"]].tolist() == before["split"].tolist()


def test_a_file_that_could_not_be_opened_is_tried_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = radiograph.measure

    def locked(path: Path) -> tuple[int, int]:
        if path.name == "IM-0115-0001.jpeg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return measure(path)

    with monkeypatch.context() as patch:
        patch.setattr(radiograph, "measure", locked)
        before = catalog.build(root, cache=tmp_path / "cache")
    assert before.attrs["unreadable"] == {
        "train/NORMAL/IM-0115-0001.jpeg": "The file cannot be opened: Permission denied."
    }
    assert len(catalog.build(root, cache=tmp_path / "cache")) == len(before) + 1


def test_a_name_that_is_not_in_utf_8_is_left_out(root: Path) -> None:
    film = root / "train/NORMAL/IM-0115-0001.jpeg"
    film.rename(film.with_name(os.fsdecode(b"M\xfcller.jpeg")))
    table = catalog.build(root)
    assert len(table) == 7
    assert table.attrs["unreadable"] == {
        "train/NORMAL/M\\udcfcller.jpeg": "Its name is not in UTF-8. Rename the file."
    }


def test_without_room_for_the_cache_there_is_a_catalogue(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert catalog.build(root, cache=tmp_path / "cache").equals(catalog.build(root))


def test_a_class_folder_that_may_not_be_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[object]:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(catalog, "_listing", refuse)
    with pytest.raises(DatasetUnavailable, match="train/NORMAL cannot be listed: Permission"):
        catalog.build(root)


def test_a_damaged_cache_is_made_again(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = catalog.build(root, cache=cache)
    (cache_file,) = cache.iterdir()
    cache_file.write_bytes(cache_file.read_bytes()[:100])

    assert catalog.build(root, cache=cache).equals(first)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "an empty folder"),
        (["images/a.png", "labels.csv"], "Found: images, labels.csv"),
        (["train/readme.txt"], "Found: train"),
        (["train/NORMAL/readme.txt"], "Found none"),
    ],
)
def test_another_layout_is_explained(tmp_path: Path, files: list[str], found: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    with pytest.raises(DatasetUnavailable, match=found):
        catalog.build(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gone", "does not exist"),
        ("file", "a file, not a folder"),
        ("n" * 5000, "cannot be listed"),
    ],
)
def test_what_is_no_folder_is_explained(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatasetUnavailable, match=found):
        catalog.build(tmp_path / name)


def test_images_none_of_which_can_be_read_are_explained(tmp_path: Path) -> None:
    (tmp_path / "train/NORMAL").mkdir(parents=True)
    (tmp_path / "train/NORMAL/a.png").write_bytes(b"")

    with pytest.raises(DatasetUnavailable, match=r"None of the 1 images .* train/NORMAL/a.png: "):
        catalog.build(tmp_path)


@pytest.mark.skipif(not REAL_SET.is_dir(), reason=f"{REAL_SET} is not there")
def test_the_real_set_is_counted_right() -> None:
    table = catalog.build(REAL_SET)

    assert table.groupby("split").size().to_dict() == {"train": 5216, "val": 16, "test": 305}
    assert not table.attrs["unreadable"]
    train = table[table["split"] == "train"]
    assert train.groupby("subtype").size().to_dict() == {
        "bacterial": 2530,
        "normal": 1341,
        "viral": 1345,
    }
    assert train.groupby("label")["patient"].nunique().to_dict() == {
        "NORMAL": 1211,
        "PNEUMONIA": 1635,
    }
    duplicated = table[table.duplicated("digest", keep=False)]
    assert duplicated["digest"].nunique() == 29
    # One person under two names; every other group stays within a patient.
    names = duplicated.groupby("digest")["patient"].unique()
    assert [list(it) for it in names if len(it) > 1] == [["NORMAL2-IM-0095", "NORMAL2-IM-0096"]]
