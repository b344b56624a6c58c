"""The data set that all pages look at: switched, made, downloaded, unpacked, explained, read."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.parts.frame import class_name, duration, escape
from pneumo import settings
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import kaggle, mapping, sample_set, sources, splits, unpacking

LEAVE_OUT = "Leave out"
MOST_MAPPED = 40  # folders to be asked about on a page


def require_dataset() -> tuple[sources.Dataset, pd.DataFrame]:
    """The chosen data set and its catalogue.

    A page that needs one stops here until it is there: the sample set is made, the download
    offered and watched, the ZIP file unpacked, another layout explained, the missing folder named.
    """
    source = sources.chosen(settings.load())
    try:
        dataset = sources.locate(source, settings.load())
        return dataset, read_catalog(dataset)
    except splits.UnfitSplit as unfit:
        st.error(escape(str(unfit)), icon=":material/call_split:")
    except sources.OtherLayout as unavailable:
        map_folders(source, str(unavailable))
    except sources.DatasetUnavailable as unavailable:
        if source.kind == "sample":
            make_sample_set()
        elif source.kind == "kaggle":
            watch_download()
            offer_other_ways()
        elif source.archive is not None and source.archive.is_file():
            unpack(source.archive)
        else:
            report_unavailable(str(unavailable))
    st.stop()


def choose(source: sources.Source) -> None:
    """Switch to a data set and read it anew."""
    sources.choose(source, settings.load())
    st.session_state["switcher"] = False  # closes it
    _note_change()


def read_again() -> None:
    """Look for files that are new, changed or gone since the data set was read."""
    known_catalogs().clear()
    st.session_state["switcher"] = False  # closes it


def forget(source: sources.Source) -> None:
    """Take a folder or a ZIP file off the list."""
    sources.forget(source, settings.load())
    _note_change()


def _note_change() -> None:
    known_catalogs().clear()
    st.session_state["data-set-changed"] = True
    for said in ("address-kept", "address-left"):  # of another data set
        st.session_state.pop(said, None)


def switcher() -> bool:
    """The sources on offer, behind one button, and beside it whether they are split anew.

    Returns: whether another data set was chosen just now, so that what was looked for is void.
    """
    current = sources.chosen(settings.load())
    with st.container(horizontal=True, horizontal_alignment="right", width="content"):
        show_split(current)
        choose_source(current)
    return bool(st.session_state.pop("data-set-changed", False))


def choose_source(current: sources.Source) -> None:
    """Every source that is known, and a way to another."""
    with st.popover(
        escape(sources.name(current)),
        icon=":material/database:",
        key="switcher",
        on_change="rerun",
    ):
        st.markdown("**Data set**")
        for source in sources.known(settings.load()):
            with st.container(horizontal=True, gap="xsmall"):
                offer(source, active=source == current)
        open_form("folder")


def show_split(source: sources.Source) -> None:
    """That a new split is in use, and the way back to the data set's own; else nothing."""
    try:
        root = sources.locate(source, settings.load()).root
    except sources.DatasetUnavailable:
        return
    if not splits.split_file(settings.load(), root).exists():
        return
    with st.popover("New split in use", icon=":material/call_split:", key="new-split"):
        st.markdown(
            "**Patients and duplicates are dealt anew** to `train`, `val` and `test`: on all "
            "pages and on the command line. Figures compare with nobody's on the data set's own "
            "split. Models made before, the shipped one where these are its films, have learned "
            "from some of what is now held back: they are not measured on it, and a training that "
            "starts from one looks better than it is."
        )
        st.button(
            "Back to the data set's own split",
            icon=":material/undo:",
            key="undo-split",
            on_click=undo_split,
            args=(root,),
        )


def undo_split(root: Path) -> None:
    """Take the split of the data set for what its folders say again."""
    splits.split_file(settings.load(), root).unlink(missing_ok=True)


def offer(source: sources.Source, *, active: bool) -> None:
    """A button that switches to a source, and one that forgets it where that can be."""
    name = source.path or source.kind
    st.button(
        escape(sources.name(source)),
        icon=":material/check:" if active else ":material/radio_button_unchecked:",
        type="primary" if active else "secondary",
        width="stretch",
        key=f"choose-{name}",
        on_click=choose,
        args=(source,),
        help=None if source.path is None else f"`{source.path}`",
    )
    if active:
        st.button(
            "Read again",
            icon=":material/refresh:",
            key="read-again",
            on_click=read_again,
            help="Look for files that are new, changed or gone.",
        )
    if source.path is not None:
        st.button(
            f"Forget {escape(sources.name(source))}",
            icon=":material/close:",
            key=f"forget-{name}",
            on_click=forget,
            args=(source,),
            help="Forget it. The folder stays as it is."
            if source.archive is None
            else "Forget it and delete the unpacked copy. The ZIP file stays.",
        )


def open_form(key: str) -> None:
    """A field for the path of a folder or a ZIP file, and what was wrong with the last one."""
    with st.form(f"{key}-form", border=False):
        st.text_input(
            "A folder or ZIP file on this machine",
            key=key,
            placeholder="/data/chest_xray",
            help="Radiographs in `train`, `val` and `test`, each split into `NORMAL` and "
            "`PNEUMONIA`. Of other folders you can say what they hold.",
        )
        st.form_submit_button(
            "Open", icon=":material/folder_open:", on_click=open_path, args=(key,)
        )
    problem = st.session_state.pop(f"{key}-problem", "")
    if problem:
        st.error(problem)


def open_path(key: str) -> None:
    """Switch to the folder or ZIP file that was entered, unless it cannot be one."""
    entered = st.session_state[key].strip().strip('"')  # Windows copies paths with these
    if not entered:
        st.session_state[f"{key}-problem"] = "Enter the path of a folder or a ZIP file."
        return
    try:
        source = sources.at(Path(entered))
        if source.archive is None or not source.archive.is_file():
            sources.locate(source, settings.load())
    except sources.OtherLayout as other:
        if mapping.find_folders(sources.folder_of(source, settings.load())):
            choose(source)  # The page asks what its folders hold.
        else:
            st.session_state[f"{key}-problem"] = escape(
                f"{other} None of the folders in it holds one; {mapping.MOST_FOLDERS:,} are looked "
                "into at most."
            )
    except (sources.DatasetUnavailable, OSError, RuntimeError) as problem:
        st.session_state[f"{key}-problem"] = escape(str(problem))
    else:
        choose(source)


def report_unavailable(problem: str) -> None:
    """Why the chosen data set is not there, and the way to another."""
    st.error(escape(problem), icon=":material/folder_off:")
    use_sample_set()


def map_folders(source: sources.Source, problem: str) -> None:
    """Explain a folder in another layout, and ask what each folder in it holds."""
    root = sources.folder_of(source, settings.load())
    found = mapping.find_folders(root)
    if not found:
        report_unavailable(
            f"{problem} There is no radiograph in any of its folders; {mapping.MOST_FOLDERS:,} are "
            "looked into at most."
        )
        return
    st.warning(escape(problem), icon=":material/account_tree:")
    asked = sorted(found, key=lambda folder: -folder.images)[:MOST_MAPPED]
    with st.form("mapping", width=760):
        st.subheader("What does each folder hold?", anchor=False)
        st.caption(
            f"*{mapping.BY_PATIENT.capitalize()}* divides the patients of a folder: "
            f"{1 - catalogs.TEST_SHARE:.0%} for training, {catalogs.TEST_SHARE:.0%} for testing. "
            "Nothing is written into the folder."
        )
        for folder in asked:
            ask_content(folder)
        if len(found) > len(asked):
            st.caption(
                f"{len(found) - len(asked)} smaller folders are not listed. "
                "`python -m pneumo data get FOLDER --mapping FILE` takes any number."
            )
        st.form_submit_button(
            "Read these films",
            type="primary",
            icon=":material/check:",
            on_click=keep_mapping,
            args=(root, [folder.path for folder in asked]),
        )
    failed = st.session_state.pop("mapping-problem", "")
    if failed:
        st.error(escape(failed))
    use_sample_set()


def ask_content(folder: mapping.FoundFolder) -> None:
    """A folder, and two fields for its class and its split."""
    suggested = folder.content
    labels = [LEAVE_OUT, *catalogs.LABELS]
    splits = [mapping.BY_PATIENT, *catalogs.SPLITS]
    name = "In the folder itself" if folder.path == "." else folder.path
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(f"**{escape(name)}** :gray[:small[{folder.images:,} images]]", width="stretch")
        with st.container(horizontal=True, gap="small", width=316):
            st.selectbox(
                f"Class of {name}",
                labels,
                index=labels.index(suggested.label) if suggested else 0,
                format_func=class_name,
                key=f"class-of-{folder.path}",
                label_visibility="collapsed",
                width=150,
            )
            st.selectbox(
                f"Split of {name}",
                splits,
                index=splits.index(suggested.split) if suggested else 0,
                format_func=str.capitalize,
                key=f"split-of-{folder.path}",
                label_visibility="collapsed",
                width=150,
            )


def keep_mapping(root: Path, folders: list[str]) -> None:
    """Keep what was said of the folders."""
    contents = {
        folder: mapping.Content(
            split=st.session_state[f"split-of-{folder}"],
            label=st.session_state[f"class-of-{folder}"],
        )
        for folder in folders
        if st.session_state[f"class-of-{folder}"] != LEAVE_OUT
    }
    try:
        mapping.save(root, contents, settings.load())
    except (ValueError, catalogs.DatasetUnavailable) as problem:
        st.session_state["mapping-problem"] = str(problem)


def unpack(archive: Path) -> None:
    """Unpack a ZIP file before the eyes of whoever waits for it.

    It stops when they leave, and goes on from there when somebody looks again.
    """
    st.markdown(f"**{escape(archive.name)}** is being unpacked. This happens once.")
    bar = st.progress(0.0, text="Reading the archive")
    place = st.empty()
    source = sources.at(archive)
    place.button(
        "Cancel",
        icon=":material/stop_circle:",
        key="cancel-unpacking",
        on_click=forget,
        args=(source,),
        help="Deletes what is unpacked. The ZIP file stays.",
    )
    show = progress_in_bytes(bar.progress)
    try:
        unpacking.unpack(archive, settings.load(), progress=show)
    except sources.DatasetUnavailable as unavailable:
        bar.empty()
        place.empty()
        report_unavailable(str(unavailable))
        return
    st.rerun()


def progress_in_bytes(draw: Callable[..., object]) -> Callable[[int, int], None]:
    """Draws how much is done, how fast it goes and how long it will take, twice a second."""
    started = drawn = time.monotonic()
    before = -1  # bytes that were done already

    def show(done: int, total: int) -> None:
        nonlocal before, drawn
        now = time.monotonic()
        if before < 0:
            before = done
        if now - drawn > 0.5 and done > before:
            drawn = now
            speed = (done - before) / (now - started)
            draw(done / total, text=amount_text(done, total, speed, (total - done) / speed))

    return show


def make_sample_set() -> None:
    """Make the sample set before the eyes of whoever waits for it."""
    root = sources.sample_root(settings.load())
    st.markdown("A sample set of synthetic radiographs is being made. This happens once.")
    bar = st.progress(0.0, text="Drawing the first films")
    newest = st.empty()
    started = time.monotonic()
    before = shown = -1  # films that were there already, films done when the last were shown

    def show(done: int, total: int) -> None:
        nonlocal before, shown
        if before < 0:
            before = shown = done
        text = f"{done} of {total} films"
        if done - before >= 8:
            seconds = (time.monotonic() - started) / (done - before) * (total - done)
            text += f", about {duration(seconds)} left"
        bar.progress(done / total, text=text)
        if done - shown >= 8:
            shown = done
            films = sorted(root.glob("*/*/[!.]*.jpeg"), key=lambda path: path.stat().st_mtime_ns)
            with newest.container(), st.container(horizontal=True, gap="xsmall"):
                for film in films[-8:]:
                    st.image(film.read_bytes(), width=144, alt=film.stem)

    sample_set.create(root, progress=show)
    st.rerun()


@st.fragment(run_every=1.0)
def watch_download() -> None:
    """The Kaggle download: what it is doing, and what can be done about it."""
    download = kaggle.progress(settings.load())
    if download.status == "finished":
        st.rerun()
    with st.container(border=True):
        st.subheader("Kaggle Chest X-Ray Images (Pneumonia)", anchor=False)
        st.caption(
            "5,856 radiographs of children aged one to five, Guangzhou Women and Children's "
            "Medical Center. Kermany et al. 2018, CC BY 4.0. About 2.3 GB, no account needed."
        )
        if download.running:
            st.progress(download.fraction, text=download_text(download))
            st.caption(download.message)
            if st.button("Cancel", icon=":material/stop_circle:", key="cancel-download"):
                kaggle.cancel(settings.load())
                st.rerun(scope="fragment")
            return
        if download.status == "failed":
            st.error(escape(download.message), icon=":material/cloud_off:")
        elif download.message:
            st.caption(download.message)
        text = {"idle": "Download", "cancelled": "Resume"}.get(download.status, "Try again")
        with st.container(horizontal=True):
            if st.button(text, icon=":material/download:", type="primary", key="start-download"):
                kaggle.start(settings.load())
                st.rerun(scope="fragment")
            if use_sample_set():
                st.rerun()


def offer_other_ways() -> None:
    """What to do with a copy that is here already, and where Kaggle cannot be reached."""
    with st.container(border=True):
        st.caption(kaggle.OTHER_WAYS)
        open_form("other-way")


def use_sample_set() -> bool:
    """A button back to what is always there; True when it was pressed."""
    return st.button(
        "Use the sample set",
        icon=":material/science:",
        key="use-sample",
        on_click=choose,
        args=(sources.Source(kind="sample"),),
    )


def download_text(download: kaggle.Download) -> str:
    """How far a download is, how fast and for how long yet."""
    if download.status == "extracting":
        return "Unpacking"
    if not download.bytes_total:
        return "Connecting"
    return amount_text(
        download.bytes_done, download.bytes_total, download.bytes_per_second, download.seconds_left
    )


def amount_text(done: int, total: int, speed: float, seconds_left: float | None) -> str:
    """Bytes in words: how many, how fast and for how long yet."""
    parts = [f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB"]
    if speed:
        parts.append(f"{speed / 1e6:.1f} MB/s")
    if seconds_left is not None:
        parts.append(f"about {duration(seconds_left)} left")
    return ", ".join(parts)


@st.cache_resource(show_spinner=False)
def known_catalogs() -> dict[tuple[sources.Dataset, int], pd.DataFrame]:
    """The catalogues that this server has built, by data set and by when it was split anew."""
    return {}


def read_catalog(dataset: sources.Dataset) -> pd.DataFrame:
    """The catalogue of a data set under the split in use, with progress where it takes a while."""
    known = known_catalogs()
    split = splits.split_file(settings.load(), dataset.root)
    key = dataset, split.stat().st_mtime_ns if split.exists() else 0
    catalog = known.get(key)
    if catalog is None:
        place = st.empty()

        def show(done: int, total: int) -> None:
            place.progress(done / total, text=f"Reading {done:,} of {total:,} films")

        catalog = sources.read_catalog(dataset, settings.load(), progress=show)
        known[key] = catalog
        place.empty()
    return catalog
