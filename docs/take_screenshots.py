"""Take the pictures in this folder anew: `python docs/take_screenshots.py`.

They show the sample set and a training on it, in a home of its own, as a fresh machine would.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from tests.browser.conftest import launch_chromium, running_server  # noqa: E402

SCREENS = {
    "": ("Dark", 1440, 900),
    "-light": ("Light", 1440, 900),
    "-phone": ("Dark", 390, 844),
}
ADDRESSES = {
    "browse": "browse",
    "browse-film": "browse?film={film}",
    "browse-compare": "browse?view=compare&compare={film}&compare={normal}",
    "browse-charts": "browse?view=charts",
    "browse-map": "browse?view=map&colour=Verdict",
    "browse-audit": "browse?view=audit",
    "train": "train",
    "models": "models",
    "predict": "predict?example=4",
}


def settle(page: Page) -> None:
    """Wait until nothing moves."""
    page.wait_for_selector("[data-testid=stMainBlockContainer] h1, [role=dialog] img")
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget], .stSkeleton')")
    if any(name in page.url for name in ("film=", "compare=", "example=")):
        page.locator(".stage canvas").first.wait_for()
    page.wait_for_timeout(2000)


def main() -> None:
    """Serve, train, photograph."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        with running_server(home) as server:
            browser = launch_chromium(playwright)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{server}/browse")
            page.locator("[class*=st-key-open-films-]").first.wait_for(timeout=180_000)
            root = home / "datasets" / "sample"
            film, normal = (
                quote(str(sorted(root.glob(pattern))[0].relative_to(root)), safe="")
                for pattern in ("train/PNEUMONIA/*_bacteria_*.jpeg", "train/NORMAL/*.jpeg")
            )
            for view, button, result in (
                ("map", ".st-key-ask-all", ".st-key-colour"),
                ("audit", ".st-key-audit", ".st-key-probes"),
            ):
                page.goto(f"{server}/browse?view={view}")
                page.locator(f"{button} button:visible").click()
                page.locator(result).wait_for(timeout=60_000)

            page.goto(f"{server}/train")
            page.locator(".st-key-start button").click()
            curve = page.locator(".st-key-curve-auc .scatterlayer .trace:last-child .point")
            while curve.count() < 12:
                time.sleep(0.2)
            page.screenshot(path=DOCS / "train-live.png")
            page.locator(".st-key-use-model").wait_for(timeout=180_000)

            films = sorted(root.glob("train/*/*.jpeg"))[::8]
            for suffix, (theme, width, height) in SCREENS.items():
                context = browser.new_context(viewport={"width": width, "height": height})
                context.add_init_script(
                    f"localStorage.pneumoTheme ??= JSON.stringify({json.dumps(theme)})"
                )
                page = context.new_page()
                page.goto(server)  # the first visit settles the theme
                settle(page)
                for name, address in ADDRESSES.items():
                    page.goto(f"{server}/{address.format(film=film, normal=normal)}")
                    settle(page)
                    page.screenshot(path=DOCS / f"{name}{suffix}.png")
                page.goto(f"{server}/predict")
                page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(films)
                page.get_by_text(f"All {len(films)}").wait_for()
                settle(page)
                page.screenshot(path=DOCS / f"predict-many{suffix}.png")
                context.close()
            browser.close()


if __name__ == "__main__":
    main()
