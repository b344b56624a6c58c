"""The catalogue of 100,000 films: index, filters, pages and audit, with time and memory.

    python -m benchmarks.catalogue --films DIR [--files 100000]

The files are hard links to a few dozen films of DIR (its `train` split), under names as the Kaggle
set has them. Each index runs in a process of its own and finds the files in the system's cache. The
usual way beside it is a walk through the folders, `PIL.Image.open` and a table in pandas; it hashes
nothing and remembers nothing. The shipped model is asked about the films, and the audit reads them,
once for each film that differs.
"""

import argparse
import functools
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from benchmarks.scale import link_images
from pneumo import settings
from pneumo.datasets import catalog, gallery, sources
from pneumo.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    from pneumo.inference.predictor import Predictor

FILMS = 40  # of each class, linked to again and again
BASELINE = 2_000  # files, to see what memory grows by
PAGE = 24
REPEATS = 5


def report(name: str, seconds: float, note: str = "") -> None:
    print(f"{name:<36}{seconds * 1000:10,.0f} ms   {note}", flush=True)


def timed(name: str, work: Callable[[], object], *, repeats: int = REPEATS) -> None:
    """Report the median of a few times."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    report(name, sorted(times)[repeats // 2])


def measured(name: str, work: Callable[[], pd.DataFrame]) -> None:
    """Report time, speed and the peak memory of this process, most of which are its imports."""
    begin = time.perf_counter()
    rows = len(work())
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(name, seconds, f"{rows / seconds:8,.0f} files/s {peak:6,.0f} MiB peak")


def index(root: Path, home: Path) -> pd.DataFrame:
    """Ours: the first time where `home` is empty, again otherwise."""
    return catalog.build(root, cache=replace(settings.load(), home=home).found_of(root))


def usual(root: Path, home: Path) -> pd.DataFrame:
    """The usual way, from scratch as always."""
    rows = []
    for path in root.rglob("*.jpeg"):
        with Image.open(path) as image:
            rows.append((str(path), path.parts[-3], path.parts[-2], *image.size))
    table = pd.DataFrame(rows, columns=["path", "split", "label", "width", "height"])
    return table.sort_values("path")


def audited(root: Path, home: Path) -> pd.DataFrame:
    """An audit with the shipped model as the witness; most files are duplicates here."""
    from pneumo.audit.examine import examine  # no index needs it, and its memory is measured
    from pneumo.audit.films import features_of

    installation = replace(settings.load(), home=home)
    films = catalog.build(root, cache=installation.found_of(root))
    predictor = shipped_predictor(installation)
    audit = examine(films, installation, name=root.name, source=features_of(predictor))
    print(f"{'as JSON':<36}{len(audit.to_json(indent=None)) / 1e6:10,.1f} MB")
    return films


def shipped_predictor(installation: Settings) -> "Predictor":
    from pneumo.inference import bundle
    from pneumo.inference.predictor import Predictor

    return Predictor(bundle.find(installation, bundle.DEFAULT_MODEL))


def look(root: Path, home: Path) -> None:
    """Filters, thumbnails and the page Browse, on a catalogue that is there."""
    installation = replace(settings.load(), home=home)
    films = catalog.build(root, cache=installation.found_of(root))
    timed("filter by split", lambda: gallery.select(films, split="train"))
    timed("filter by class", lambda: gallery.select(films, label="NORMAL"))
    timed("filter by cause", lambda: gallery.select(films, subtype="viral"))
    timed("all filters", lambda: gallery.select(films, split="train", subtype="viral"))
    timed("search", lambda: gallery.select(films, search="person12"))
    timed("random draw", lambda: gallery.shuffle(films, seed=1))
    timed("others of a patient", lambda: gallery.of_the_same_patient(films, films.iloc[0]))

    def thumbnails() -> None:
        # Of different films: links to the same one are one in the system's cache only.
        page = films.iloc[:: len(films) // PAGE][:PAGE]
        gallery.thumbnails(root, page, width=384, height=320, limits=installation.image_limits)

    timed(f"{PAGE} thumbnails, first time", thumbnails, repeats=1)
    timed(f"{PAGE} thumbnails, again", thumbnails)

    browse(root, installation)


def browse(root: Path, installation: Settings) -> None:
    """The page as a whole, run as the server runs it; a browser's drawing comes on top."""
    from streamlit.components.v2 import manifest_scanner
    from streamlit.testing.v1 import AppTest

    from pneumo.inference import opinions

    # A server looks once for components that are installed; AppTest would for each visitor.
    manifest_scanner.scan_component_manifests = functools.cache(
        manifest_scanner.scan_component_manifests
    )

    logging.disable()  # Streamlit misses its server
    os.environ["PNEUMO_HOME"] = str(installation.home)
    sources.choose(sources.at(root), installation)

    def page() -> "AppTest":
        app = AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=60)
        return app.switch_page("pages/browse.py").run()

    films = catalog.build(root, cache=installation.found_of(root))
    opinions.ask(shipped_predictor(installation), films, root, settings=installation)
    app = page()  # reads the catalogue and what is known of its films, imports what it needs
    assert not app.exception
    timed("Browse, a new visitor", page)
    labels = iter(["NORMAL", "PNEUMONIA"] * REPEATS)
    timed(
        "Browse, another filter",
        lambda: app.button_group(key="label").set_value(next(labels)).run(),
    )
    searches = iter([f"person{number}" for number in range(100, 100 + REPEATS)])
    timed(
        "Browse, another search",
        lambda: app.text_input(key="search").set_value(next(searches)).run(),
    )
    app.text_input(key="search").set_value("").run()

    def turn() -> None:
        app.session_state["page"] = app.session_state["page"] + 1
        app.run()

    timed("Browse, next page", turn)
    for order in ("name", "error"):
        timed(
            f"Browse, sorted by {order}",
            lambda order=order: app.selectbox(key="sort").set_value(order).run(),
        )
    timed("Browse, a random draw", lambda: app.button(key="others").click().run())
    for view in ("classes", "charts", "audit"):
        app.button_group(key="view").set_value(view).run()
        timed(f"Browse, {view}", app.run)
    assert not app.exception


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, metavar="DIR")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work, title, root, home = options.work
        if work == "look":
            look(Path(root), Path(home))
        else:
            build = {"index": index, "usual": usual, "audit": audited}[work]
            measured(title, lambda: build(Path(root), Path(home)))
        return
    if options.films is None:
        parser.error("--films DIR names a data set to take films from")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = few_films(options.films, folder / "films")
        for files in (BASELINE, options.files):
            root, home = folder / str(files), folder / f"home-{files}"
            link_images(root, files, films)
            print(f"\n{files:,} files")
            for work, title in (
                ("usual", "the usual way, files not read before"),
                ("usual", "the usual way"),
                ("index", "first index"),
                ("index", "reopened"),
            ):
                run(work, title, root, home)
            (root / "train" / "NORMAL" / "IM-99999-0001.jpeg").hardlink_to(films["NORMAL"][0])
            run("index", "reopened with one more file", root, home)
            run("audit", "audit", root, home)
            run("look", "", root, home)


def few_films(source: Path, folder: Path) -> dict[str, list[Path]]:
    """Copies, so that links to them stay on one disk."""
    rows = catalog.build(source)
    taken: dict[str, list[Path]] = {}
    for label in catalog.LABELS:
        (folder / label).mkdir(parents=True)
        chosen = gallery.select(rows, split="train", label=label).head(FILMS)
        taken[label] = [
            Path(shutil.copy(Path(rows.attrs["root"]) / path, folder / label))
            for path in chosen["path"]
        ]
    return taken


def run(work: str, title: str, root: Path, home: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.catalogue", "--work", work, title, root, home],
        check=True,
        cwd=REPOSITORY,
    )


if __name__ == "__main__":
    main()
