"""A data set of 200,000 images: catalogue, split and run folder, with time and peak memory.

    python -m benchmarks.scale [--images 200000]

The images are hard links to a few dozen phantoms, under names as the Kaggle set has them. The peak
of each step is that of a process of its own, beside that of the same step on 2,000 images.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pneumo import settings
from pneumo.datasets import catalog, sample_set
from pneumo.datasets.sample_set import Counts
from pneumo.datasets.sources import Source, locate
from pneumo.settings import REPOSITORY
from pneumo.training import launcher
from pneumo.training.recipe import QUICK

BASELINE = 2_000


def link_images(root: Path, images: int, films: dict[str, list[Path]]) -> None:
    """Link so many images into `train`: three of PNEUMONIA for one of NORMAL.

    All images of a patient are one film: patients who shared one would be the same person.
    """
    for label in films:
        (root / "train" / label).mkdir(parents=True)
    for number in range(images):
        label = "PNEUMONIA" if number % 4 else "NORMAL"
        patient = number // 12
        cause = "virus" if number % 2 else "bacteria"
        names = {
            "NORMAL": f"IM-{patient:05d}-{number:06d}.jpeg",
            "PNEUMONIA": f"person{patient}_{cause}_{number}.jpeg",
        }
        film = films[label][patient % len(films[label])]
        os.link(film, root / "train" / label / names[label])


def work(root: Path, home: Path) -> None:
    """Index, index again, split, make a run folder; print what each takes."""
    installation = replace(settings.load(), home=home)
    dataset = locate(Source(kind="folder", folder=root), installation)

    def timed(name: str, begin: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:<28}{time.perf_counter() - begin:8.1f} s {peak:10.0f} MiB peak so far")

    begin = time.perf_counter()
    images = catalog.build(root, cache=installation.found_of(root))
    timed("catalogue, first time", begin)
    begin = time.perf_counter()
    images = catalog.build(root, cache=installation.found_of(root))
    timed("catalogue, unchanged", begin)
    begin = time.perf_counter()
    rows = launcher.split(images, QUICK)
    timed("split by patient", begin)
    begin = time.perf_counter()
    run = launcher.create(installation, recipe=QUICK, dataset=dataset, rows=rows)
    timed("run folder", begin)
    counts = rows["split"].value_counts().to_dict()
    print(f"{len(rows):,} images, {counts}, {len(run.images()):,} in the run folder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = Counts(normal=30, pneumonia=30)
        none = Counts(normal=1, pneumonia=1)
        sample_set.create(folder / "films", train=few, val=none, test=none, height=256)
        films = {
            label: sorted((folder / "films" / "train" / label).glob("*.jpeg"))
            for label in ("NORMAL", "PNEUMONIA")
        }
        for images in (BASELINE, options.images):
            root = folder / str(images)
            link_images(root, images, films)
            print(f"\n{images:,} images", flush=True)
            subprocess.run(
                [sys.executable, __file__, "--work", root, folder / f"home-{images}"],
                check=True,
                cwd=REPOSITORY,
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            )


if __name__ == "__main__":
    main()
