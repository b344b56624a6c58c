"""The data set that all pages look at: switched, made, downloaded, read."""

import time
from pathlib import Path

import pandas as pd
import streamlit as st

from pneumo import settings
from pneumo.datasets import catalog as catalogs
from pneumo.datasets import kaggle, sample_set, sources


def require_dataset() -> tuple[sources.Dataset, pd.DataFrame]:
    """The chosen data set and its catalogue.

    A page that needs one stops here until it is there: the sample set is made, the download
    offered and watched, the missing folder named.
    """
    source = sources.chosen(settings.load())
    try:
        dataset = sources.locate(source, settings.load())
        return dataset, read_catalog(dataset.root)
    except sources.DatasetUnavailable as unavailable:
        if source.kind == "sample":
            make_sample_set()
        elif source.kind == "kaggle":
            watch_download()
        else:
            st.error(str(unavailable), icon=":material/folder_off:")
            use_sample_set()
    st.stop()


def has_changed() -> bool:
    """Whether another data set was chosen since the last call: what was looked for is void."""
    return bool(st.session_state.pop("data-set-changed", False))


def choose(source: sources.Source) -> None:
    """Switch to a data set and read it anew."""
    sources.choose(source, settings.load())
    known_catalogs().clear()
    st.session_state["switcher"] = False  # closes it
    st.session_state["data-set-changed"] = True


def switcher() -> None:
    """The sources on offer, behind one button."""
    current = sources.chosen(settings.load())
    with st.popover(
        sources.name(current), icon=":material/database:", key="switcher", on_change="rerun"
    ):
        st.markdown("**Data set**")
        for offer in sources.available(settings.load()):
            active = offer.source == current
            st.button(
                offer.name,
                icon=":material/check:" if active else ":material/radio_button_unchecked:",
                type="primary" if active else "secondary",
                width="stretch",
                key=f"choose-{offer.source.kind}",
                on_click=choose,
                args=(offer.source,),
            )
        with st.form("folder-form", border=False):
            st.text_input(
                "A folder on this machine",
                key="folder",
                placeholder="/data/chest_xray",
                help="With the radiographs in `train`, `val` and `test`, each split into "
                "`NORMAL` and `PNEUMONIA`.",
            )
            st.form_submit_button(
                "Open folder", icon=":material/folder_open:", on_click=choose_folder
            )
        problem = st.session_state.pop("folder-problem", "")
        if problem:
            st.error(problem)


def choose_folder() -> None:
    """Switch to the folder that was entered, unless it cannot be one."""
    entered = st.session_state["folder"].strip()
    if not entered:
        st.session_state["folder-problem"] = "Enter the path of a folder."
        return
    try:
        source = sources.Source(kind="folder", folder=Path(entered).expanduser())
        sources.locate(source, settings.load())
    except (sources.DatasetUnavailable, OSError, RuntimeError) as problem:
        st.session_state["folder-problem"] = str(problem)
    else:
        choose(source)


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
            text += f", {seconds:.0f} s left"
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
            st.error(download.message, icon=":material/cloud_off:")
        elif download.message:
            st.caption(download.message)
        text = "Download" if download.status == "idle" else "Try again"
        with st.container(horizontal=True):
            if st.button(text, icon=":material/download:", type="primary", key="start-download"):
                kaggle.start(settings.load())
                st.rerun(scope="fragment")
            if use_sample_set():
                st.rerun()


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
    parts = [f"{download.bytes_done / 1e6:,.0f} of {download.bytes_total / 1e6:,.0f} MB"]
    if download.bytes_per_second:
        parts.append(f"{download.bytes_per_second / 1e6:.1f} MB/s")
    if download.seconds_left is not None:
        minutes, seconds = divmod(round(download.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(parts)


@st.cache_resource(show_spinner=False)
def known_catalogs() -> dict[Path, pd.DataFrame]:
    """The catalogues that this server has built, by root."""
    return {}


def read_catalog(root: Path) -> pd.DataFrame:
    """The catalogue of a data set, with progress where it takes a while."""
    known = known_catalogs()
    catalog = known.get(root)
    if catalog is None:
        place = st.empty()

        def show(done: int, total: int) -> None:
            place.progress(done / total, text=f"Reading {done:,} of {total:,} films")

        catalog = catalogs.build(root, progress=show, cache=settings.load().cache)
        known[root] = catalog
        place.empty()
    return catalog
