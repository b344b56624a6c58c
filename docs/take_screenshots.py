"""Take the pictures in this folder anew: `python docs/take_screenshots.py`.

They show the sample set and a training on it, in a home of its own, as a fresh machine would.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

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
    "browse-film": "browse?film=train%2FPNEUMONIA%2F{film}",
    "train": "train",
    "models": "models",
    "predict": "predict?example=4",
}


def settle(page: Page) -> None:
    """Wait until nothing moves."""
    page.wait_for_selector("[data-testid=stMainBlockContainer] h1, [role=dialog] img")
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget], .stSkeleton')")
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
            film = sorted(home.glob("datasets/sample/train/PNEUMONIA/*_bacteria_*.jpeg"))[0].name

            page.goto(f"{server}/train")
            page.locator(".st-key-start button").click()
            curve = page.locator(".st-key-curve-auc .scatterlayer .trace:last-child .point")
            while curve.count() < 12:
                time.sleep(0.2)
            page.screenshot(path=DOCS / "train-live.png")
            page.locator(".st-key-use-model").wait_for(timeout=180_000)

            films = sorted(home.glob("datasets/sample/train/*/*.jpeg"))[::8]
            for suffix, (theme, width, height) in SCREENS.items():
                context = browser.new_context(viewport={"width": width, "height": height})
                context.add_init_script(
                    f"localStorage.pneumoTheme ??= JSON.stringify({json.dumps(theme)})"
                )
                page = context.new_page()
                page.goto(server)  # the first visit settles the theme
                settle(page)
                for name, address in ADDRESSES.items():
                    page.goto(f"{server}/{address.format(film=film)}")
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
