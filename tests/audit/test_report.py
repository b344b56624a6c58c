"""The report, the list of films to keep, and the command."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo import cli
from pneumo.audit import findings, record, report
from pneumo.audit.examine import examine
from pneumo.audit.record import Audit
from pneumo.datasets import catalog, sources, splits
from pneumo.settings import Settings
from tests.audit.planted import film, healthy_set, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Few films: a duplicate, one under both labels, one that cannot be read, and a rude name."""
    root = tmp_path / "films"
    healthy_set(root, persons=12)
    normal, ill = root / "train" / "NORMAL", root / "train" / "PNEUMONIA"
    shutil.copy(normal / "IM-0001-0001.jpeg", normal / "IM-0900-0001.jpeg")
    shutil.copy(normal / "IM-0003-0001.jpeg", ill / "person903_virus_1.jpeg")
    (ill / "person5_bacteria_5.jpeg").write_text("not a film")
    write(normal / "<b>&.jpeg", film(9002, ill=False))
    shutil.copy(normal / "<b>&.jpeg", normal / "IM-0901-0001.jpeg")
    return root


@pytest.fixture
def audited(root: Path, installation: Settings) -> tuple[pd.DataFrame, Audit]:
    table = catalog.build(root)
    return table, examine(table, installation, name="planted")


def test_the_report_needs_nothing_else(
    audited: tuple[pd.DataFrame, Audit], installation: Settings
) -> None:
    _, result = audited
    html = report.to_html(result, limits=installation.image_limits)
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', html) == []
    assert "<script" not in html and "@import" not in html and "url(" not in html
    assert "&lt;b&gt;&amp;.jpeg" in html and "<b>&" not in html
    assert "24 films in <code>val</code>: too few to choose anything by" in html
    shown = sum(len(it.films[: report.SHOWN]) for it in result.findings)
    assert html.count("<figure>") == shown
    assert html.count("data:image/jpeg") == shown - 1  # one cannot be read


def test_the_report_says_how_many_films_it_does_not_show(
    audited: tuple[pd.DataFrame, Audit], installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SHOWN", 4)
    html = report.to_html(audited[1], limits=installation.image_limits)
    assert "and 2 more" in html  # of the six that are stored more than once


def test_the_report_of_a_set_without_a_fault(root: Path, installation: Settings) -> None:
    shutil.rmtree(root)
    healthy_set(root, persons=9)
    result = examine(catalog.build(root), installation, name="planted")
    html = report.to_html(result, limits=installation.image_limits)
    assert "too few patients" not in report.to_text(result)
    assert {it.code for it in result.findings} == {"small_validation"}
    assert html.count("<figure>") == 18


def test_the_list_of_films_to_keep(audited: tuple[pd.DataFrame, Audit]) -> None:
    table, result = audited
    listed = record.cleaned_list(table, result)
    assert len(listed) == len(table) + 1
    left_out = listed[listed["keep"] == "no"].set_index("path")["reason"]
    unreadable = left_out.pop("train/PNEUMONIA/person5_bacteria_5.jpeg")
    assert unreadable.startswith("A radiograph must be a JPEG, PNG or DICOM file")
    assert left_out.to_dict() == {
        "train/NORMAL/IM-0003-0001.jpeg": "under both labels",
        "train/PNEUMONIA/person903_virus_1.jpeg": "under both labels",
        "train/NORMAL/IM-0900-0001.jpeg": "shows the same image as train/NORMAL/IM-0001-0001.jpeg",
        "train/NORMAL/IM-0901-0001.jpeg": "shows the same image as train/NORMAL/<b>&.jpeg",
    }


def test_the_fingerprint_follows_every_file(root: Path) -> None:
    first = record.fingerprint(catalog.build(root))
    assert record.fingerprint(catalog.build(root)) == first
    (root / "train" / "PNEUMONIA" / "person5_bacteria_5.jpeg").unlink()
    second = record.fingerprint(catalog.build(root))
    shutil.move(
        root / "train" / "NORMAL" / "IM-0900-0001.jpeg",
        root / "test" / "NORMAL" / "IM-0900-0001.jpeg",
    )
    assert len({first, second, record.fingerprint(catalog.build(root))}) == 3


def test_a_damaged_record_is_no_record(
    audited: tuple[pd.DataFrame, Audit], installation: Settings
) -> None:
    table, result = audited
    assert record.load(installation, table, "") == result
    (kept,) = installation.cache.glob("found/*/audit-*.json")
    kept.write_text('{"data": 1}')
    assert record.load(installation, table, "") is None


def test_the_command(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "FEW_FILMS", 10)
    html, clean = (tmp_path / name for name in ("a.html", "out/b.csv"))
    command = ["data", "audit", str(root), "--model", "none", "--html", str(html)]
    assert cli.main([*command, "--clean", str(clean)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "films: 75 films, 4 findings"
    assert lines[2] == "serious  1 image under both labels"
    assert lines[3].strip().startswith("Find out which is right.")
    assert html.read_text().startswith("<!doctype html>")
    assert (pd.read_csv(clean)["keep"] == "no").sum() == 5
    assert cli.main(["data", "audit", str(root), "--model", "none", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["films"] == 75
    assert [it["code"] for it in answer["findings"]][:1] == ["contradictory_labels"]


def test_a_new_split_is_used_by_every_command_until_it_is_undone(
    root: Path, installation: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_use() -> pd.DataFrame:
        return sources.read_catalog(sources.locate(sources.at(root), installation), installation)

    own = in_use()
    assert cli.main(["data", "resplit", str(root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    divided = in_use().set_index("path")["split"]
    assert divided.value_counts().to_dict() == answer["films"]
    assert answer["groups"] == splits.persons(own).nunique()
    assert (
        divided["train/NORMAL/IM-0003-0001.jpeg"]
        == divided["train/PNEUMONIA/person903_virus_1.jpeg"]
    )
    first = in_use()
    assert cli.main(["data", "resplit", str(root)]) == 0
    assert "--undo goes back" in capsys.readouterr().out
    assert in_use().equals(first), "from the data set's own split, whatever is in use"
    assert cli.main(["data", "resplit", str(root), "--undo"]) == 0
    assert in_use().equals(own)


def test_whoever_forgets_a_folder_forgets_its_split(root: Path, installation: Settings) -> None:
    source = sources.at(root)
    sources.choose(source, installation)
    assert cli.main(["data", "resplit", str(root)]) == 0
    assert splits.split_file(installation, root).exists()
    sources.forget(source, installation)
    assert not splits.split_file(installation, root).exists()


def test_the_command_doubts_labels_by_a_model(
    sample_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "audit", str(sample_root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["features"] == "mobilenetv2"
    assert 0 <= answer["features_auc"] <= 1
    assert np.isfinite(answer["features_auc"])
