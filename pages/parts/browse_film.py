"""One film, large, with all that is known of it."""

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts import browse_address as address
from pages.parts.browse_blinding import describe, name_of, reveal, shows_label, shows_opinion
from pages.parts.browse_grid import cards
from pages.parts.browse_known import find_films
from pages.parts.browse_model import predictor_of_address
from pages.parts.browse_opinion import Opinion, opinion_of, read_film, show_opinion
from pages.parts.frame import class_badge, escape
from pages.parts.predict_cases import show_cases
from pages.parts.viewer import show_viewer
from pneumo import figures, radiograph, settings
from pneumo.datasets import gallery, sample_set
from pneumo.datasets.facts import FLAGS, OF_MODEL, QUANTITIES
from pneumo.inference.opinions import Opinions
from pneumo.inference.predictor import Predictor

BESIDE = 6  # other films, of the patient and alike


def show_film(
    root: Path,
    catalog: pd.DataFrame,
    known: pd.DataFrame,
    films: pd.DataFrame,
    row: int,
    opinions: Opinions | None,
    *,
    back_to: str,
) -> None:
    """A film in the place of the list that it was opened from.

    Args:
        known: the facts of all films of the catalogue.
        films: of that list, in their order.
        row: of the film in the catalogue.
        opinions: of the chosen model; None where it has not been asked about all films.
        back_to: name of the list.
    """
    film, of_film = catalog.iloc[row], known.iloc[row]
    _toolbar(catalog, films, film, back_to)
    view, facts = st.columns([9, 4], gap="medium")
    with facts, st.container(border=True):
        _label(film)
        verdict, lesion = st.container(), st.container()
        _facts(film, of_film)
        _links(film, of_film)
    predictor, opinion = None, None
    try:
        shown = read_film(root, film).pixels
        if shows_opinion(film):
            with verdict:
                predictor = predictor_of_address()
                if predictor is not None:
                    opinion = opinion_of(predictor, root, film)
                    show_opinion(opinion, predictor, film)
    except (radiograph.UnreadableRadiograph, OSError) as error:
        reason = escape(radiograph.why_unreadable(error))
        view.warning(f"This film cannot be shown. {reason}", icon=":material/broken_image:")
        return
    with lesion:
        mask = _lesion(root, film) if shows_label(film) else None
        if mask is not None and st.toggle("Outline the lesion", key="outline"):
            shown = figures.outline(shown, mask, colour="#FFFFFF")[..., 0]
    with view:
        show_viewer(
            shown,
            opinion.prediction.evidence_for(opinion.prediction.verdict) if opinion else None,
            key="film-viewer",
            name=name_of(film),
            description=f"{describe(film)}, with a heat map of what speaks for the verdict"
            if opinion
            else describe(film),
        )
    _beside(root, catalog, row, shown, opinions, predictor, opinion)


def _toolbar(catalog: pd.DataFrame, films: pd.DataFrame, film: pd.Series, back_to: str) -> None:
    """Back to the list, and to the films before and after this one on it."""
    (found,) = np.nonzero((films["path"] == film["path"]).to_numpy())
    with st.container(horizontal=True, vertical_alignment="center", key="film-toolbar"):
        st.button(
            f"Back to {back_to.lower()}",
            icon=":material/arrow_back:",
            key="back",
            shortcut="Esc",
            on_click=address.open_film,
            args=(None,),
        )
        if len(found):
            place = int(found[0])
            for text, icon, shortcut, step in (
                ("Previous", ":material/chevron_left:", "Left", -1),
                ("Next", ":material/chevron_right:", "Right", 1),
            ):
                st.button(
                    text,
                    icon=icon,
                    shortcut=shortcut,
                    disabled=not 0 <= place + step < len(films),
                    key=text.lower(),
                    on_click=_open_neighbour,
                    args=(catalog, films["path"], step),
                )
            st.caption(f"{place + 1:,} of {len(films):,}", width="content")
        if address.is_compared(film["path"]):
            st.caption(":material/check: Among the films to compare", width="content")
        else:
            st.button(
                "Add to compare",
                icon=":material/compare:",
                key="add-to-compare",
                disabled=len(address.compared()) == address.MOST_COMPARED,
                on_click=address.pick,
                args=(film["path"],),
            )


def _open_neighbour(catalog: pd.DataFrame, paths: pd.Series, step: int) -> None:
    """Show the film that is so many places on.

    From the one that the address names now: a quicker press of the same key may have put it there
    since the page was drawn.
    """
    for path in find_films(catalog, [address.value_now("film") or ""])["path"]:
        (found,) = np.nonzero((paths == path).to_numpy())
        if len(found) and 0 <= found[0] + step < len(paths):
            address.open_film(paths.iloc[found[0] + step])


def _label(film: pd.Series) -> None:
    """What the data set says of a film, or a way to be told."""
    split = f":gray-badge[{film['split'].capitalize()}]"
    st.markdown(f"**{escape(name_of(film))}**")
    if shows_label(film):
        st.markdown(f"Labelled {class_badge(film['label'], film['subtype'])} {split}")
        return
    st.markdown(f"What do you see? {split}")
    st.button(
        "Show label and opinion",
        icon=":material/visibility:",
        type="primary",
        key="reveal",
        shortcut="L",
        on_click=reveal,
        args=(film["digest"],),
    )


def _facts(film: pd.Series, known: pd.Series) -> None:
    """Everything that is known of the file and its pixels."""
    rows = {
        "Pixels": f"{film['width']:,} × {film['height']:,}",
        "Width to height": f"{known['ratio']:.2f}",
    }
    if shows_label(film):  # the length of the file alone nearly tells it
        file = f"{known['format']}, {film['bytes'] / 1024:,.0f} KiB"
        about = {"File": file, "Folder": known["folder"], "Digest": film["digest"]}
        rows = {"Patient": film["patient"], **rows, **about}
    if "brightness" in known:
        rows["Mean grey level"] = QUANTITIES["brightness"].describe(known["brightness"])
    hidden = () if shows_opinion(film) else OF_MODEL
    odd = [FLAGS[it] for it in FLAGS if known.get(it) and it not in hidden]
    if odd:
        rows["Flags"] = "; ".join(odd)
    st.caption("  \n".join(f"{name}: {escape(str(value))}" for name, value in rows.items()))


def _links(film: pd.Series, known: pd.Series) -> None:
    """The same film on other pages, and its patient; they tell its label."""
    if not shows_label(film):
        return
    if st.button(
        "Question the model",
        icon=":material/radiology:",
        key="ask",
        help="Opens the film on the Predict page: operating points, four heat maps, stability, "
        "report.",
    ):
        st.switch_page("pages/predict.py", query_params={"film": film["path"]})
    if known["series"] > 1:
        st.button(
            f"All {known['series']} films of this patient in {film['split']}",
            icon=":material/person:",
            key="of-patient",
            on_click=_only_patient,
            args=(film,),
        )


def _only_patient(film: pd.Series) -> None:
    """The films of a patient and nothing else."""
    address.reset()
    address.put_filter(
        patient=film["patient"],
        label=film["label"].capitalize(),
        split=film["split"].capitalize(),
        film=None,
        view=None,
    )


def _beside(
    root: Path,
    catalog: pd.DataFrame,
    row: int,
    shown: np.ndarray,
    opinions: Opinions | None,
    predictor: Predictor | None,
    opinion: Opinion | None,
) -> None:
    """Below the film: its grey levels, its patient, and films like it."""
    film = catalog.iloc[row]
    left, right = st.columns([9, 4], gap="medium")
    with right:
        st.markdown("**Grey levels**")
        st.plotly_chart(
            figures.grey_histogram(shown),
            key="histogram",
            config={"displayModeBar": False},
            alt=f"Histogram of the grey levels, mean {shown.mean():.0f}",
        )
        same = gallery.of_the_same_patient(catalog, film)
        if shows_label(film) and not same.empty:  # they have the same label
            st.markdown(f"**{len(same)} more of this patient in {film['split']}**")
            cards(root, same[:BESIDE], key="same", columns=3)
    with left:
        if opinions is not None:
            st.markdown("**Most alike in this data set**")
            nearest = gallery.most_alike(opinions.features, row, count=BESIDE)
            cards(root, catalog.iloc[nearest], key="alike", columns=BESIDE)
            st.caption(
                "Nearest by the angle between what the network makes of the films; a radiologist "
                "may find others more alike."
            )
        elif predictor is not None and opinion is not None and shows_label():
            show_cases(predictor, opinion.picture, key=f"{root}/{film['path']}")


def _lesion(root: Path, film: pd.Series) -> np.ndarray | None:
    """The mask of the lesion, which the sample set has for every film with pneumonia."""
    path = PurePosixPath(film["path"])
    file = root / sample_set.MASKS / path.parts[0] / f"{path.stem}.png"  # whatever split is in use
    if film["label"] == "NORMAL" or not file.exists():
        return None
    try:
        mask = radiograph.read_file(file, limits=settings.load().image_limits).pixels > 0
    except (radiograph.UnreadableRadiograph, OSError):
        return None  # the film is worth seeing without it
    return mask if mask.shape == (film["height"], film["width"]) else None
