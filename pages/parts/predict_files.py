"""What the user drops: films, ZIPs and folders of films, labels to compare with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st
from streamlit.typing import UploadedFile

from pages.parts.frame import escape
from pneumo.evaluation.agreement import Label, read_labels
from pneumo.inference import archive, batch
from pneumo.inference.batch import Question
from pneumo.settings import ImageLimits

TABLES = (".csv", ".tsv")


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What was dropped.

    Attributes:
        labels: by the key of the question; films without one are not in it.
        remarks: on the labels, a sentence each.
        problems: tables of labels that are of no use, by name, with their reasons.
    """

    questions: Sequence[Question] = ()
    labels: dict[str, Label] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    problems: Sequence[tuple[str, str]] = ()


def drop_zone(limits: ImageLimits) -> Dropped:
    """One place for everything that can be dropped."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(
            "**Drop chest radiographs**: JPEG, PNG or DICOM, a ZIP or a folder of them, with a CSV "
            "of labels if there is one. They stay in memory and leave with you.",
            width="stretch",
        )
        choose = st.segmented_control(
            "What the button chooses",
            ["Files", "Folder"],
            default="Files",
            required=True,
            label_visibility="collapsed",
            key="choose",
        )
    shown = st.file_uploader(
        "Chest radiographs",
        accept_multiple_files="directory" if choose == "Folder" else True,
        label_visibility="collapsed",
        # Under another key it is another uploader, which is empty.
        key=f"films-{st.session_state.setdefault('emptied', 0)}",
        on_change=_note_change,
    )
    uploads = [*_kept(shown), *shown]
    # Unpacked and read once, not in every run of the page.
    keys = [it.file_id for it in uploads]
    known, dropped = st.session_state.get("dropped", (None, None))
    if dropped is None or known != keys:
        dropped = _open(uploads, limits)
        st.session_state["dropped"] = keys, dropped
    for name, problem in dropped.problems:
        st.warning(f"**{escape(name)}** {escape(problem)}", icon=":material/table:")
    if uploads and not dropped.questions:
        st.info("There is no film among these files. Drop the films as well.")
    return dropped


def _note_change() -> None:
    """Somebody has added files, or taken some away: the page is about them now."""
    st.session_state["files-changed"] = True
    _show_files()


def _show_files() -> None:
    for other in ("film", "example"):
        st.query_params.pop(other, None)


def _kept(shown: Sequence[UploadedFile]) -> Sequence[UploadedFile]:
    """The files of uploaders before this one, and buttons that let go of them, or of all files.

    An uploader is lost with the page that it stands on, and when a folder is to be chosen instead
    of files. Nobody has taken its files away. It may come back with them.
    """
    kept: list[UploadedFile] = st.session_state.setdefault("kept-files", [])
    if not st.session_state.pop("files-changed", False) and not shown:
        kept += st.session_state.get("shown-files", [])
    again = {it.file_id for it in shown}
    kept[:] = [it for it in kept if it.file_id not in again]
    st.session_state["shown-files"] = shown
    if not kept and len(shown) < 2:
        return kept
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="kept"
    ):
        if kept:
            more = f" and {len(kept) - 1:,} more" if len(kept) > 1 else ""
            name = escape(archive.plain_name(kept[0].name))
            st.markdown(f":material/history: From before: {name}{more}", width="stretch")
            if "film" in st.query_params:
                st.button(
                    "Show",
                    icon=":material/visibility:",
                    type="tertiary",
                    key="show-kept",
                    on_click=_show_files,
                )
            st.button(
                "Take away",
                icon=":material/close:",
                type="tertiary",
                key="let-go",
                on_click=kept.clear,
            )
        if shown:
            st.button(
                "Take all away",
                icon=":material/delete_sweep:",
                type="tertiary",
                key="let-go-of-all",
                on_click=_let_go_of_all,
            )
    return kept


def _let_go_of_all() -> None:
    st.session_state["kept-files"].clear()
    st.session_state["emptied"] += 1
    st.session_state["files-changed"] = True


def _open(uploads: Sequence[UploadedFile], limits: ImageLimits) -> Dropped:
    """The films and the labels in files."""
    questions: list[Question] = []
    tables: list[UploadedFile] = []
    opened: set[tuple[str, bytes]] = set()
    for upload in uploads:
        name = archive.plain_name(upload.name)
        file = name, hashlib.blake2b(upload.getbuffer()).digest()
        if archive.is_hidden(upload.name) or file in opened:
            continue
        opened.add(file)
        if name.lower().endswith(TABLES):
            tables.append(upload)
        elif archive.is_archive(upload.getvalue()[:4]):
            questions += batch.about_archive(upload, name=name, key=upload.file_id, limits=limits)
        else:
            questions.append(Question(name=name, key=upload.file_id, read=upload.getvalue))
    labels: dict[str, Label] = {}
    remarks: list[str] = []
    problems: list[tuple[str, str]] = []
    for upload in tables:
        name = archive.plain_name(upload.name)
        try:
            table = read_labels(upload.getvalue())
        except ValueError as problem:
            problems.append((name, str(problem)))
            continue
        found = table.of(it.name for it in questions)
        if questions and not any(found):
            films = "this film" if len(questions) == 1 else f"any of these {len(questions):,} films"
            problems.append(
                (
                    name,
                    f"does not name {films}, or by a name that several have. Nothing is labelled.",
                )
            )
        labels |= {
            it.key: label for it, label in zip(questions, found, strict=True) if label is not None
        }
        if table.unknown:
            remarks.append(f"{table.unknown:,} rows of {name} say neither NORMAL nor PNEUMONIA.")
        if table.contradictory:
            remarks.append(f"{table.contradictory:,} films of {name} are called both.")
        if shared := table.shared(it.name for it in questions):
            remarks.append(
                f"{shared:,} films share a name with another one. As {name} does not say which is "
                "meant, they are not labelled."
            )
    return Dropped(
        questions=batch.told_apart(questions), labels=labels, remarks=remarks, problems=problems
    )
