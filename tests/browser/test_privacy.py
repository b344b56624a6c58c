"""A patient named in a DICOM header, and a server that has seen the file."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.test_predict import open_predict
from tests.dicom_files import dataset, to_bytes
from tests.test_privacy import PLANTED, written

StartServer = Callable[[Path], AbstractContextManager[str]]


def test_page_log_and_disk_name_nobody(
    start_server: StartServer, page: Page, tmp_path: Path, sample_root: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    data = to_bytes(dataset(pixels, AccessionNumber="ACC-5512"))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sample").symlink_to(sample_root)
    with start_server(tmp_path) as server:
        open_predict(page, server)
        chooser = page.locator("[data-testid=stFileUploader] input[type=file]")
        damaged = {"name": "cut.dcm", "mimeType": "application/dicom", "buffer": data[:900]}
        whole = damaged | {"name": "film.dcm", "buffer": data}
        chooser.set_input_files([whole, damaged])  # type: ignore[list-item]
        expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
        shown = page.content().encode()
    assert b"film.dcm" in shown
    kept = written(tmp_path)  # the log of the server is among it
    for identifier in PLANTED:
        assert identifier.encode() not in shown, identifier
        assert identifier.encode() not in kept, identifier
