"""A patient named in a DICOM header is named in nothing that comes out."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdf
import pytest

from pneumo.settings import REPOSITORY
from tests.dicom_files import PATIENT, PATIENT_ID, dataset, to_bytes

PLANTED = (*PATIENT.split("^"), PATIENT_ID, "19030609", "1903-06-09", "ACC-5512")
"""What the header says of the patient; the birth date in two spellings."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    path = tmp_path / "given" / "film.dcm"
    path.parent.mkdir()
    path.write_bytes(to_bytes(dataset(pixels, AccessionNumber="ACC-5512")))
    return path


def written(folder: Path) -> bytes:
    """Every file below a folder, PDF also as the text that it prints."""
    contents = []
    for path in folder.rglob("*"):
        if path.is_file():
            contents.append(path.read_bytes())
            contents.append(path.name.encode())
        if path.suffix == ".pdf":
            pages = pypdf.PdfReader(io.BytesIO(path.read_bytes())).pages
            contents += [page.extract_text().encode() for page in pages]
    return b"\n".join(contents)


def test_the_command_line_names_nobody(film: Path, tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "default", "-m", "pneumo", "predict", str(film), "--json"),
            *("--csv", str(out / "answers.csv"), "--report", str(out / "report.pdf")),
            *("--overlays", str(out), "--secondary-capture", str(out), "--note", "Seen."),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"PNEUMO_HOME": str(home)},
        capture_output=True,
        check=True,
    )
    assert {path.suffix for path in out.iterdir()} == {".csv", ".pdf", ".png", ".dcm"}
    all_of_it = done.stdout + done.stderr + written(out)
    if home.exists():
        all_of_it += written(home)
    assert b"Seen." in all_of_it, "the report was read"
    assert all(it.encode() in film.read_bytes() for it in PLANTED if "-06-" not in it)
    for identifier in PLANTED:
        assert identifier.encode() not in all_of_it, identifier
