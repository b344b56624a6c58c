"""The audit of a data set on the Browse page: what was found, the films behind it, remedies."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts import work
from pages.parts.browse_grid import PICTURE, choose_page
from pages.parts.browse_known import BY_IDENTITY, last_audited
from pages.parts.datasets import undo_split
from pages.parts.frame import class_badge, escape, film_name
from pages.parts.models import load_predictor, read_bundle
from pneumo import figures, settings
from pneumo.audit import record, report
from pneumo.audit.examine import examine
from pneumo.audit.films import READING, features_of
from pneumo.audit.findings import SEVERITIES, SHORTCUT, Film, Finding, Severity, in_pages
from pneumo.audit.record import Audit
from pneumo.datasets import gallery, sources, splits
from pneumo.inference import bundle
from pneumo.inference.bundle import Bundle

NOBODY = "Nobody"
"""Who doubts labels where no model is to."""

SHOWN = 12
"""Films behind a finding that are shown at once, at most."""

SIGNS: dict[Severity, tuple[str, str]] = {
    "serious": ("red", ":material/error:"),
    "warning": ("yellow", ":material/warning:"),
    "note": ("gray", ":material/info:"),
}
"""Colour and sign of each severity."""


def show_audit(dataset: sources.Dataset, catalog: pd.DataFrame) -> None:
    """The audit of a data set; until there is one, a way to it.

    Args:
        catalog: as `require_dataset` returns it.
    """
    witness = _choose_witness()
    digest = witness.digest if witness else ""
    audit = _known(catalog, digest)
    name = f"audit {catalog.attrs['root']} {catalog.attrs.get('resplit')} {digest}"
    begin = partial(_begin, name, dataset, catalog, witness)
    if st.session_state.pop("audit-at-once", False) and audit is None:
        begin()
        st.rerun()
    if work.follow(name, doing="Auditing", unit="films"):
        return
    if audit is None:
        _offer(begin, work.last(name), catalog)
        return
    _show_summary(audit)
    findings, remedies = st.columns([9, 4], gap="medium")
    with findings:
        with st.container(gap="xsmall"):
            for finding in audit.findings:
                _show_finding(catalog, finding, audit_again=begin)
        if not audit.findings:
            st.success("Nothing was found.", icon=":material/check_circle:")
        if audit.witness:
            st.caption(escape(audit.witness))
        _show_probes(audit)
    with remedies:
        _offer_downloads(catalog, audit)
        _offer_split(catalog, audit)


def films_of_finding(catalog: pd.DataFrame) -> pd.DataFrame:
    """The films behind the finding that the address names, in their order."""
    try:
        witness = _witness()
    except bundle.BundleError:
        witness = None
    audit = _known(catalog, witness.digest if witness else "")
    code = address.value("finding")
    films = [it.films for it in audit.findings if it.code == code] if audit else []
    places: dict[str, int] = {}
    for film in chain.from_iterable(films):
        places.setdefault(film.path, len(places))
    found = catalog[catalog["path"].isin(places)]
    return found.loc[found["path"].map(places).sort_values().index]


# Auditing -------------------------------------------------------------------------------


def _offered_witnesses() -> list[str]:
    return [*bundle.folders(settings.load()), NOBODY]


def _witness() -> Bundle | None:
    """The model of the address whose features doubt the labels; None where none is to.

    Raises:
        BundleError: it is damaged.
    """
    offered = _offered_witnesses()
    name = address.one_of("witness", offered) or offered[0]
    return None if name == NOBODY else read_bundle(bundle.folders(settings.load())[name])


def _choose_witness() -> Bundle | None:
    """The model whose features doubt the labels; None where none is to, or it is damaged."""
    offered = _offered_witnesses()
    st.session_state["witness"] = address.one_of("witness", offered) or offered[0]
    left, right = st.columns([3, 9], gap="medium", vertical_alignment="bottom")
    left.selectbox(
        "Labels are doubted by",
        offered,
        key="witness",
        icon=":material/deployed_code:",
        on_change=address.take,
        args=("witness", lambda name: None if name == offered[0] else name),
    )
    with right:
        try:
            model = _witness()
        except bundle.BundleError as damaged:
            st.error(escape(str(damaged)), icon=":material/error:")
            return None
        if model is None:
            st.caption("The audit looks for everything else.")
            return None
        st.caption(
            f"{escape(model.card.name)} was trained on {escape(model.card.data['name'])}. Of films "
            "that it was trained on it has learned the labels, wrong ones too, and doubts them "
            "less than a witness that never saw them: a run from ImageNet weights on other films."
        )
    return model


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=BY_IDENTITY)
def _load(catalog: pd.DataFrame, digest: str, stamp: int) -> tuple[Audit | None, pd.DataFrame]:
    return record.load(settings.load(), catalog, digest), catalog


def _known(catalog: pd.DataFrame, digest: str) -> Audit | None:
    """The audit that is kept; read again when there is a newer one."""
    audit, _ = _load(catalog, digest, last_audited(catalog))
    return audit


def _offer(begin: Callable[[], None], before: work.Work | None, catalog: pd.DataFrame) -> None:
    with st.container(border=True):
        anew = " under the new split" if catalog.attrs.get("resplit") else ""
        st.markdown(f"**This data set has not been audited{anew} yet**")
        st.caption(
            f"One pass over {len(catalog):,} films, once. It looks for unreadable and duplicate "
            "films, contradictory and doubtful labels, patients in several splits, and for "
            "shortcuts: numbers that give the class away without a look at the lungs. Nothing is "
            "fitted on `test`."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Audit this data set",
                type="primary",
                icon=":material/fact_check:",
                key="audit",
                on_click=begin,
            )
            if before is not None and before.cancelled:
                st.caption("Cancelled. What it has read it need not read again.")


def _begin(
    name: str, dataset: sources.Dataset, catalog: pd.DataFrame, witness: Bundle | None
) -> None:
    def audit(progress: work.Report, cancelled: Callable[[], bool]) -> None:
        examine(
            catalog,
            settings.load(),
            name=sources.title(dataset, catalog),
            source=None if witness is None else features_of(load_predictor(witness.folder)),
            progress=lambda activity, done, total: progress(
                done, total, doing=activity, unit="films" if activity == READING else "steps"
            ),
            cancelled=cancelled,
        )

    work.begin(name, audit)


# What was found -------------------------------------------------------------------------


def _show_summary(audit: Audit) -> None:
    counts = {it: sum(found.severity == it for found in audit.findings) for it in SEVERITIES}
    badges = []
    for severity, count in counts.items():
        colour, sign = SIGNS[severity]
        word = f"{severity}s" if count > 1 and severity != "serious" else severity
        badges += [f":{colour}-badge[{sign} {count} {word}]"] if count else []
    st.markdown(f"**{audit.films:,} films audited**  {' '.join(badges)}")


def _show_finding(
    catalog: pd.DataFrame, finding: Finding, *, audit_again: Callable[[], None]
) -> None:
    """A finding; opened, it says why it matters, what to do, and shows the films behind it."""
    colour, sign = SIGNS[finding.severity]
    key = f"finding-{finding.code}"
    st.session_state[key] = address.value("finding") == finding.code
    expander = st.expander(
        f":{colour}-badge[{sign} {finding.severity.capitalize()}] {finding.title}",
        key=key,
        on_change=_open_finding,
        args=(finding.code,),
    )
    if not expander.open:
        return
    with expander:
        st.markdown(f"**Why it matters.** {finding.explanation}")
        st.markdown(f"**What to do.** {finding.remedy}")
        if finding.code == "unreadable":
            rows = [(film.path, film.note) for film in finding.films]
            st.dataframe(pd.DataFrame(rows, columns=["File", "Reason"]), hide_index=True)
            st.button(
                "Read them again",
                icon=":material/refresh:",
                key="audit-again",
                on_click=audit_again,
                help="And audit what can be read then.",
            )
        elif finding.films:
            _show_films(catalog, finding)


def _open_finding(code: str) -> None:
    """One finding is open at a time: the address says which."""
    address.put_filter(finding=code if st.session_state[f"finding-{code}"] else None)


def _show_films(catalog: pd.DataFrame, finding: Finding) -> None:
    """The films behind a finding, a page at a time; those that belong together in a frame."""
    pages = in_pages(finding.films, most=SHOWN)
    number = 1
    if len(pages) > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{len(finding.films):,} films", width="content")
            number = choose_page(len(pages))
    shown = pages[number - 1]
    paths = [film.path for film in chain.from_iterable(shown)]
    rows = catalog[catalog["path"].isin(paths)]
    limits = settings.load().image_limits
    pictures = gallery.thumbnails(Path(catalog.attrs["root"]), rows, **PICTURE, limits=limits)
    by_path = dict(
        zip(rows["path"], zip(rows.to_dict("records"), pictures, strict=True), strict=True)
    )
    with st.container(horizontal=True, gap="small", key=f"films-{finding.code}"):
        for group in shown:
            framed = group[0].group > 0
            with st.container(border=framed, horizontal=True, width="content", gap="small"):
                for film in group:
                    _show_film(film, *by_path[film.path], code=finding.code)


def _show_film(film: Film, row: dict[Any, Any], picture: gallery.Thumbnail, *, code: str) -> None:
    """A card that opens its film."""
    with st.container(key=f"card-{code}-{film.path}", width=124, gap="xxsmall"):
        if picture.problem:
            st.caption(f":material/broken_image: {escape(picture.problem)}")
        else:
            st.image(picture.jpeg, width="stretch", alt=f"{film.path}, {row['label'].lower()}")
        name = film_name(film.path)
        note = escape(", ".join(it for it in film.note.split(", ") if it != row["label"]))
        st.button(
            f"{class_badge(row['label'])} :gray[:small[{name}]]"
            + f"  \n:small[{note}]" * bool(note),
            key=f"open-{code}-{film.path}",
            type="tertiary",
            on_click=address.open_film,
            args=(film.path,),
        )


def _show_probes(audit: Audit) -> None:
    """How well single numbers tell the classes apart."""
    st.subheader("What gives the class away", anchor=False)
    if audit.unfitted:
        st.caption(audit.unfitted)
        return
    probes = audit.probes
    strongest = probes[0]
    st.plotly_chart(
        figures.areas(
            [it.title[0].upper() + it.title[1:] for it in probes],
            [it.roc_auc for it in probes],
            [(it.interval.low, it.interval.high) for it in probes],
            least=SHORTCUT,
        ),
        key="probes",
        config={"displayModeBar": False},
        alt=f"AUC of {len(probes) - 1} numbers, each alone, and of all together. The strongest, "
        + ", ".join(
            f"{it.title}: {it.roc_auc:.3f} ({it.interval.low:.3f} to {it.interval.high:.3f})"
            for it in (strongest, probes[-1])
        ),
    )
    st.caption(
        "Each number of a film alone as a classifier, without a look at the lungs: 0.5 (dotted) "
        "and less know nothing, 1 knows every class. Lines: 95 % intervals that allow for films of "
        "one patient being alike. Whether a model *uses* such a number, its stress test tells."
    )


# Remedies -------------------------------------------------------------------------------


def _offer_downloads(catalog: pd.DataFrame, audit: Audit) -> None:
    limits = settings.load().image_limits
    with st.container(border=True):
        st.markdown("**Take it with you**")
        for label, content, file, icon, text in (
            (
                "Cleaned list (CSV)",
                lambda: record.cleaned_list(catalog, audit).to_csv(index=False),
                "films.csv",
                ":material/checklist:",
                "Every film, whether to keep it, and why not: of an image under both labels none, "
                "of other duplicates one.",
            ),
            (
                "Report (HTML)",
                partial(report.to_html, audit, limits=limits),
                "audit.html",
                ":material/description:",
                "One file, with small pictures of the films: treat it as you treat them.",
            ),
            (
                "All findings (JSON)",
                audit.to_json,
                "audit.json",
                ":material/data_object:",
                "With every film behind each finding.",
            ),
        ):
            st.download_button(
                label,
                content,
                file,
                icon=icon,
                help=text,
                width="stretch",
                key=f"download-{file}",
                on_click="ignore",
            )


def _offer_split(catalog: pd.DataFrame, audit: Audit) -> None:
    """A new split that keeps patients and duplicates together, for all pages."""
    with st.container(border=True):
        if catalog.attrs.get("resplit"):
            st.markdown("**:material/call_split: A new split is in use**")
            st.caption("Every page says so beside the name of the data set, and leads back.")
            st.button(
                "Back to the data set's own split",
                icon=":material/undo:",
                key="undo-split-here",
                width="stretch",
                on_click=undo_split,
                args=(Path(catalog.attrs["root"]),),
            )
            return
        st.markdown("**Split anew**")
        st.caption("With patients and duplicates on one side.")
        with st.popover(
            "Split anew", icon=":material/call_split:", width="stretch", key="resplit-asked"
        ):
            shares = ", ".join(f"{share:.0%} `{name}`" for name, share in splits.SHARES.items())
            st.markdown(
                f"**All films are dealt to {shares}.** From then on all pages and commands use "
                "this split, until you go back to the data set's own."
            )
            st.markdown(
                "Figures on it compare with nobody's on the data set's own split. Models made "
                "before have learned from some of the new `test`: they are not measured on it."
            )
            st.button(
                "Split anew",
                icon=":material/call_split:",
                type="primary",
                key="resplit",
                on_click=_use_split,
                args=(catalog, audit),
            )
        problem = st.session_state.pop("resplit-problem", "")
        if problem:
            st.error(escape(problem), icon=":material/error:")


def _use_split(catalog: pd.DataFrame, audit: Audit) -> None:
    """Split the data set anew, and audit what comes of it."""
    persons = splits.persons(record.same_images(catalog, audit))
    file = splits.split_file(settings.load(), Path(catalog.attrs["root"]))
    try:
        splits.save_split(splits.resplit(catalog, persons), file)
    except (ValueError, OSError) as problem:
        st.session_state["resplit-problem"] = str(problem)
        return
    st.session_state["audit-at-once"] = True
