"""Taking a report away from the Predict page."""

import pypdf
from playwright.sync_api import Page, expect


def test_a_report_holds_what_was_typed_last(server: str, page: Page) -> None:
    page.goto(server)
    page.wait_for_function("localStorage.getItem('pneumoTheme')")
    page.goto(f"{server}/predict?example=3")
    expect(page.locator(".st-key-verdict")).to_contain_text("Probability of pneumonia")
    page.get_by_role("button", name="Report").click()
    ready = page.get_by_test_id("stDownloadButton").get_by_role("button", name="PDF")
    made_before = None
    for note in ("Seen at the ward round", "Δεύτερη σημείωση"):
        # From the keyboard to the button at once, as people do.
        page.get_by_label("Note, in any language").fill(note)
        page.get_by_role("button", name="Make the report").click()
        if made_before is not None:
            made_before.wait_for_element_state("hidden")
        made_before = ready.element_handle()
        with page.expect_download() as download:
            ready.click()
        assert download.value.suggested_filename == "pneumo-report.pdf"
        (sheet,) = pypdf.PdfReader(download.value.path()).pages
        assert note in sheet.extract_text()
