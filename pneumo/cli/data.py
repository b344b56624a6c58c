"""Data sets on the command line: get, forget, list, audit, resplit."""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

from pneumo import settings
from pneumo.audit import films, record, report
from pneumo.audit.examine import examine
from pneumo.cli import console
from pneumo.datasets import catalog, kaggle, mapping, sample_set, sources, splits, unpacking
from pneumo.datasets.sources import Dataset
from pneumo.inference import bundle
from pneumo.inference.predictor import Predictor
from pneumo.settings import Settings


def add_commands(commands: console.Commands) -> None:
    """Add `data …`."""
    data = commands.add_parser("data", help="get, list and audit data sets")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    getting = console.add_command(data_commands, "get", data_get)
    getting.add_argument("source", help="sample, kaggle, a folder, or a ZIP file")
    getting.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FOLDER=SPLIT/CLASS",
        help="what a folder in it holds, as in scans/sick=train/PNEUMONIA; FOLDER=CLASS divides "
        "its patients into train and test. Once for each folder",
    )
    getting.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help='the same as JSON: {"scans/sick": "train/PNEUMONIA"}',
    )
    console.add_command(data_commands, "forget", data_forget).add_argument(
        "source", help="a folder or a ZIP file"
    )
    console.add_command(data_commands, "list", data_list)
    auditing = console.add_command(data_commands, "audit", data_audit)
    auditing.add_argument(
        "--model",
        default=bundle.DEFAULT_MODEL,
        metavar="NAME",
        help="whose features doubt the labels, or none (default: %(default)s)",
    )
    for option, text in (
        ("--html", "write the report, with small pictures of the films, to this file"),
        ("--clean", "write a CSV of all films, with those to leave out and why, to this file"),
    ):
        auditing.add_argument(option, type=Path, metavar="FILE", help=text)
    dividing = console.add_command(data_commands, "resplit", data_resplit)
    dividing.add_argument("--undo", action="store_true", help="go back to the data set's own split")
    for parsed in (auditing, dividing):
        parsed.add_argument(
            "source",
            nargs="?",
            metavar="DIR",
            help="a folder, sample or kaggle (default: the chosen data set)",
        )


def data_get(options: argparse.Namespace, installation: Settings) -> int:
    """Make the sample set, download the Kaggle set, or open a folder or a ZIP file."""
    source = console.source_of(options.source)
    if source.kind == "sample":
        sample_set.create(
            sources.sample_root(installation), progress=console.progress("Making radiographs")
        )
    elif source.kind == "kaggle" and not kaggle.is_downloaded():
        _follow_download(installation)
    elif source.archive is not None and not unpacking.is_complete(source.archive, installation):
        unpacking.unpack(
            source.archive, installation, progress=console.progress("Unpacking (bytes)")
        )
    root = sources.folder_of(source, installation)
    contents = mapping.read(options.mapping) if options.mapping else {}
    contents |= dict(_mapped(text) for text in options.map)
    if contents:
        mapping.save(root, contents, installation)
    try:
        dataset = sources.locate(source, installation)
    except sources.OtherLayout as other:
        raise sources.OtherLayout("\n".join([str(other), *_offered_mapping(root)])) from other
    sources.choose(source, installation)
    console.answer(options, _describe(dataset), f"{dataset.name}: {dataset.root}")
    return 0


def _mapped(text: str) -> tuple[str, mapping.Content]:
    folder, equals, content = text.rpartition("=")
    if not equals:
        raise ValueError(f"`--map` takes FOLDER=SPLIT/CLASS. Received: {text!r}")
    return folder, mapping.parse(content)


def _offered_mapping(root: Path) -> list[str]:
    """How to say what the folders hold, as far as their names tell."""
    return [
        f"{folder.images:>8,} images   --map '{folder.path}={folder.content or 'SPLIT/CLASS'}'"
        for folder in mapping.find_folders(root)[:40]
    ]


def _follow_download(installation: Settings) -> None:
    download = kaggle.start(installation)
    show = console.progress("Downloading (bytes)")
    try:
        while download.running:
            if download.status == "downloading" and download.bytes_total:
                show(download.bytes_done, download.bytes_total)
            time.sleep(0.5)
            download = kaggle.progress(installation)
    except KeyboardInterrupt:
        download = kaggle.cancel(installation)
    if download.status != "finished":
        raise sources.DatasetUnavailable(f"{download.message} {kaggle.OTHER_WAYS}")


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "root": str(dataset.root), "synthetic": dataset.synthetic}


def data_forget(options: argparse.Namespace, installation: Settings) -> int:
    """Take a folder or a ZIP file off the list; what was unpacked of it is deleted."""
    source = console.source_of(options.source)
    if source not in sources.known(installation) or source.path is None:
        raise ValueError(
            f"Only a folder or a ZIP file that was opened can be forgotten. Received: "
            f"{options.source}. `data list` shows them."
        )
    sources.forget(source, installation)
    console.answer(options, {"forgotten": str(source.path)}, f"{source.path} is forgotten.")
    return 0


def data_list(options: argparse.Namespace, installation: Settings) -> int:
    """The data sets that are known here, ready or not, and which one is chosen."""
    chosen = sources.chosen(installation)
    rows = [
        {
            "name": entry.name,
            "kind": entry.source.kind,
            "path": None if entry.source.path is None else str(entry.source.path),
            "chosen": entry.source == chosen,
            "ready": entry.ready,
            "problem": entry.problem,
        }
        for entry in sources.available(installation)
    ]
    lines = [
        f"{'*' if row['chosen'] else ' '} {row['kind']:<7} {row['path'] or row['name']}"
        + (f"\n          {row['problem']}" if row["problem"] else "")
        for row in rows
    ]
    console.answer(options, rows, "\n".join(lines))
    return 0


def data_audit(options: argparse.Namespace, installation: Settings) -> int:
    """Look for duplicates, leaks, shortcuts and doubtful labels in a data set."""
    dataset = console.find_dataset(options.source, installation)
    catalogue = console.read_catalog(dataset, installation)
    source = None
    if options.model != "none":
        source = films.features_of(Predictor(bundle.find(installation, options.model)))
    audit = examine(
        catalogue,
        installation,
        name=sources.title(dataset, catalogue),
        source=source,
        progress=lambda activity, done, total: console.progress(activity)(done, total),
    )
    if options.html:
        settings.write_text(options.html, report.to_html(audit, limits=installation.image_limits))
    if options.clean:
        listed = record.cleaned_list(catalogue, audit)
        settings.write_text(options.clean, listed.to_csv(index=False))
    answer = dataclasses.asdict(audit) if options.json else None  # of many films it takes a while
    console.answer(options, answer, report.to_text(audit))
    return 0


def data_resplit(options: argparse.Namespace, installation: Settings) -> int:
    """Deal patients and duplicates to train, val and test anew, and use that from now on."""
    dataset = console.find_dataset(options.source, installation)
    file = splits.split_file(installation, dataset.root)
    if options.undo:
        file.unlink(missing_ok=True)
        console.answer(options, {"resplit": None}, f"{dataset.name}: its own split is in use.")
        return 0
    catalogue = catalog.build(
        dataset.root,
        class_folders=dataset.class_folders,
        progress=console.progress("Reading the data set"),
        cache=installation.found_of(dataset.root),
    )
    audit = examine(
        catalogue,
        installation,
        name=dataset.name,
        progress=lambda activity, done, total: console.progress(activity)(done, total),
    )
    persons = splits.persons(record.same_images(catalogue, audit))
    divided = splits.resplit(catalogue, persons)
    splits.save_split(divided, file)
    counts = {name: int((divided["split"] == name).sum()) for name in splits.SHARES}
    console.answer(
        options,
        {"resplit": str(file), "films": counts, "groups": int(persons.nunique())},
        f"{dataset.name}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}. "
        "All pages and commands use this split; --undo goes back.",
    )
    return 0
