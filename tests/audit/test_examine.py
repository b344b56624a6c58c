"""The whole audit, on a set in which everything that is wrong was planted."""

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo.audit import findings, record, report
from pneumo.audit.examine import examine
from pneumo.audit.record import Audit
from pneumo.datasets import catalog, splits
from pneumo.datasets.film_store import Cancelled
from pneumo.settings import Settings
from tests.audit.planted import RIPPLE, film, healthy_set, write


@pytest.fixture(autouse=True)
def few_films_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "FEW_FILMS", 40)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read it, never write to it."""
    root = tmp_path_factory.mktemp("healthy")
    healthy_set(root)
    return root


@pytest.fixture
def root(healthy: Path, tmp_path: Path) -> Path:
    """A copy to plant faults in."""
    return shutil.copytree(healthy, tmp_path / "films")


def audit(root: Path, installation: Settings) -> Audit:
    return examine(catalog.build(root), installation, name="planted", source=RIPPLE)


def found(audit: Audit) -> dict[str, list[str]]:
    """Names of the films behind each finding."""
    return {it.code: [Path(film.path).name for film in it.films] for it in audit.findings}


def test_nothing_is_found_where_nothing_is_wrong(root: Path, installation: Settings) -> None:
    result = audit(root, installation)
    assert result.findings == ()
    assert result.duplicates == ()
    assert (result.films, result.features_auc) == (144, 1.0)
    assert [(row.split, row.label, row.films, row.patients) for row in result.balance] == [
        (split, label, 24, 24)
        for split in ("train", "val", "test")
        for label in ("NORMAL", "PNEUMONIA")
    ]


def test_everything_that_was_planted_is_found_and_nothing_else(
    root: Path, installation: Settings
) -> None:
    normal, ill = root / "train" / "NORMAL", root / "train" / "PNEUMONIA"
    # One film under two patients, in the same bytes.
    shutil.copy(normal / "IM-0001-0001.jpeg", normal / "IM-0900-0001.jpeg")
    # One film saved again, smaller, darker and strongly compressed.
    again = cv2.resize(film(2 * 2 + 1, ill=True), (180, 180), interpolation=cv2.INTER_AREA)
    again = (again * 0.8).astype(np.uint8)
    write(ill / "person2_bacteria_900.jpeg", again, quality=30)
    # One film under both labels.
    shutil.copy(normal / "IM-0003-0001.jpeg", ill / "person903_virus_1.jpeg")
    # One patient with another film in `test`.
    write(root / "test" / "NORMAL" / "IM-0004-0002.jpeg", film(9000, ill=False))
    # A header without pixels, and no film at all.
    content = (ill / "person5_bacteria_5.jpeg").read_bytes()
    (ill / "person5_bacteria_5.jpeg").write_bytes(content[:1500])
    (ill / "person904_virus_1.jpeg").write_text("not a film")
    # A film of pneumonia filed as normal.
    write(normal / "IM-0905-0001.jpeg", film(9001, ill=True))

    result = audit(root, installation)

    assert found(result) == {
        "contradictory_labels": ["IM-0003-0001.jpeg", "person903_virus_1.jpeg"],
        "duplicates": [
            *("IM-0001-0001.jpeg", "IM-0900-0001.jpeg"),
            *("IM-0003-0001.jpeg", "person903_virus_1.jpeg"),
        ],
        "near_duplicates": ["person2_bacteria_2.jpeg", "person2_bacteria_900.jpeg"],
        "patients_share_films": [
            *("IM-0001-0001.jpeg", "IM-0900-0001.jpeg"),
            *("IM-0003-0001.jpeg", "person903_virus_1.jpeg"),
        ],
        "patients_across_splits": ["IM-0004-0001.jpeg", "IM-0004-0002.jpeg"],
        "unreadable": ["person904_virus_1.jpeg", "person5_bacteria_5.jpeg"],
        # The copy of a normal film under PNEUMONIA is a wrong label too.
        "doubted_labels": ["person903_virus_1.jpeg", "IM-0905-0001.jpeg"],
    }
    severities = {it.code: it.severity for it in result.findings}
    assert severities["contradictory_labels"] == "serious"
    assert set(severities.values()) == {"serious", "warning"}
    assert result.finding("duplicates").count == 2  # type: ignore[union-attr]


def test_an_image_on_both_sides_of_a_split(root: Path, installation: Settings) -> None:
    shutil.copy(
        root / "train" / "NORMAL" / "IM-0001-0001.jpeg",
        root / "test" / "NORMAL" / "IM-0900-0001.jpeg",
    )
    result = audit(root, installation)
    assert found(result)["duplicates_across_splits"] == ["IM-0001-0001.jpeg", "IM-0900-0001.jpeg"]
    assert result.findings[0].severity == "serious"
    listed = record.cleaned_list(catalog.build(root), result)
    left_out = listed[listed["keep"] == "no"]
    # What is measured stays.
    assert left_out["path"].tolist() == ["train/NORMAL/IM-0001-0001.jpeg"]
    assert left_out["reason"].tolist() == ["shows the same image as test/NORMAL/IM-0900-0001.jpeg"]


def test_a_shortcut_by_size(root: Path, installation: Settings) -> None:
    for path in root.glob("*/NORMAL/*.jpeg"):
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        write(path, cv2.resize(pixels, (2 * 240, 2 * 240), interpolation=cv2.INTER_CUBIC))
    result = audit(root, installation)
    assert {"shortcut_size", "shortcut_file"} <= set(found(result))
    assert not {"shortcut_shape", "shortcut_edge", "shortcut_corners"} & set(found(result))
    size = result.finding("shortcut_size")
    assert size is not None
    assert size.severity == "serious" and "AUC 1.000" in size.title
    assert "blur 2" in size.remedy
    assert size.films[0].note == "PNEUMONIA, 57,600 pixels"
    assert size.films[-1].note == "NORMAL, 230,400 pixels"


def test_a_small_validation_split(root: Path, installation: Settings) -> None:
    for label in catalog.LABELS:
        for path in sorted((root / "val" / label).iterdir())[8:]:
            path.unlink()
    result = audit(root, installation)
    small = result.finding("small_validation")
    assert small is not None
    assert small.count == len(small.films) == 16
    # Wilson's interval of 14 right among 16.
    assert "accuracy between 0.64 and 0.97" in small.explanation
    assert set(found(result)) == {"small_validation"}


def test_an_audit_is_kept_until_a_film_changes(root: Path, installation: Settings) -> None:
    first = audit(root, installation)
    (root / "test" / "NORMAL" / "IM-2000-0001.jpeg").touch()  # the content is what counts
    activities: list[str] = []
    again = examine(
        catalog.build(root),
        installation,
        name="planted",
        source=RIPPLE,
        progress=lambda activity, done, total: activities.append(activity),
    )
    assert again == first
    assert activities == []
    (root / "test" / "NORMAL" / "IM-2000-0001.jpeg").unlink()
    assert audit(root, installation).films == first.films - 1


def test_what_was_read_before_a_cancel_is_not_read_again(
    root: Path, installation: Settings
) -> None:
    table = catalog.build(root)
    done: list[int] = []

    def note(activity: str, films_done: int, total: int) -> None:
        done.append(films_done)

    with pytest.raises(Cancelled):
        examine(table, installation, name="planted", progress=note, cancelled=lambda: done[-1] > 1)
    assert done == [0, 1, 2]
    done.clear()
    examine(table, installation, name="planted", progress=note)
    assert done[:143] == list(range(2, 145))


def test_a_film_that_can_be_read_again_is_in_the_next_audit(
    root: Path, installation: Settings
) -> None:
    table = catalog.build(root)
    film = root / table["path"].iloc[0]
    film.rename(root / "away.jpeg")
    before = examine(table, installation, name="planted")
    assert before.finding("unreadable") is not None
    (root / "away.jpeg").rename(film)
    after = examine(table, installation, name="planted")
    assert after.finding("unreadable") is None
    assert after.films == before.films + 1


def test_why_nothing_was_fitted(root: Path, installation: Settings) -> None:
    table = catalog.build(root)
    few = table.groupby("label").head(9).reset_index(drop=True)
    one = table[(table["split"] == "train") & (table["label"] == "NORMAL")].reset_index(drop=True)
    for films, reason in (
        (few, "There are too few patients to say: 10 of each class are needed outside `test`"),
        (one, "All films outside `test` are of one class"),
        (one.assign(split="test"), "All films are in `test`"),
    ):
        films.attrs = table.attrs
        result = examine(films, installation, name="planted", source=RIPPLE)
        assert result.unfitted.startswith(reason)
        assert result.witness == "No label was doubted: nothing could be fitted."
        assert result.unfitted in " ".join(report.to_text(result).split())


def test_another_source_of_features_reads_the_films_for_it(
    root: Path, installation: Settings
) -> None:
    table = catalog.build(root)
    without = examine(table, installation, name="planted")
    assert (without.features, without.features_auc) == ("", None)
    blind = dataclasses.replace(
        RIPPLE, name="blind", digest="f" * 16, extract=lambda picture: np.zeros(2)
    )
    assert examine(table, installation, name="planted", source=RIPPLE).features_auc == 1.0
    result = examine(table, installation, name="planted", source=blind)
    # Who cannot tell the classes apart doubts nothing.
    assert result.features_auc == pytest.approx(0.5)
    assert result.findings == ()
    assert "AUC of 0.500: too seldom to doubt any" in report.to_text(result)


def test_the_new_split_keeps_everything_together(root: Path, installation: Settings) -> None:
    shutil.copy(
        root / "train" / "NORMAL" / "IM-0001-0001.jpeg",
        root / "test" / "NORMAL" / "IM-0900-0001.jpeg",
    )
    write(root / "val" / "NORMAL" / "IM-0900-0002.jpeg", film(9000, ill=False))
    table = catalog.build(root)
    result = audit(root, installation)
    persons = splits.persons(record.same_images(table, result))
    divided = splits.resplit(table, persons).set_index("path")["split"]
    assert (
        divided["train/NORMAL/IM-0001-0001.jpeg"]
        == divided["test/NORMAL/IM-0900-0001.jpeg"]
        == divided["val/NORMAL/IM-0900-0002.jpeg"]
    )


def test_json_and_back(root: Path, installation: Settings) -> None:
    shutil.copy(
        root / "train" / "NORMAL" / "IM-0001-0001.jpeg",
        root / "train" / "NORMAL" / "IM-0900-0001.jpeg",
    )
    result = audit(root, installation)
    assert result.findings
    assert record.from_json(result.to_json()) == result


def test_a_set_for_testing_only_has_nothing_to_fit_on(root: Path, installation: Settings) -> None:
    for split in ("train", "val"):
        shutil.rmtree(root / split)
    result = audit(root, installation)
    assert (result.films, result.probes, result.features_auc) == (48, (), None)
    assert result.findings == ()


def test_a_set_of_broken_films_is_refused(tmp_path: Path, installation: Settings) -> None:
    path = tmp_path / "train" / "NORMAL" / "IM-0001-0001.jpeg"
    write(path, film(0, ill=False))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match="of which none can; the first: A file must be complete"):
        audit(tmp_path, installation)
