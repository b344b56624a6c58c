"""Every state of the page Browse, driven without a browser."""

import functools
import gc
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.parts import browse_address, browse_known, browse_model
from pneumo.datasets import catalog, kaggle, sample_set, sources
from pneumo.datasets.sample_set import Counts
from pneumo.inference.opinions import Opinions
from pneumo.settings import REPOSITORY, Settings


def open_browse(**query: str) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("pages/browse.py").run()
    assert not app.exception
    return app


def films(app: AppTest) -> list[str]:
    """What the cards of the grid say."""
    cards = [button for button in app.button if (button.key or "").startswith("open-films-")]
    # As it is read: without the backslashes of Markdown, and where a name may break.
    return [card.label.replace("\u200b", "").replace("\\_", "_") for card in cards]


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.fixture
def sample(installation: Settings, sample_root: Path) -> Path:
    """The sample set, in its place and ready."""
    root = sources.sample_root(installation)
    root.parent.mkdir(parents=True)
    root.symlink_to(sample_root)
    return root


@pytest.fixture
def folder(tmp_path: Path, sample_root: Path, installation: Settings) -> Path:
    """A small folder of our own, chosen, to damage at will."""
    root = tmp_path / "films"
    for label in catalog.LABELS:
        (root / "train" / label).mkdir(parents=True)
        for film in sorted((sample_root / "train" / label).iterdir())[:3]:
            shutil.copy(film, root / "train" / label)
    sources.choose(sources.Source(kind="folder", folder=root), installation)
    return root


def test_a_fresh_start_makes_the_sample_set_and_shows_it(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Counts(normal=2, pneumonia=2)
    small = functools.partial(sample_set.create, train=few, val=few, test=few, height=128)
    monkeypatch.setattr(sample_set, "create", small)
    app = open_browse()
    assert sample_set.is_complete(sources.sample_root(installation))
    assert metrics(app)["Films"] == "12"
    assert any("not taken of patients" in caption.value for caption in app.caption)


def test_garbage_is_not_looked_for_among_what_was_imported(sample: Path) -> None:
    st.cache_resource.clear()
    gc.unfreeze()  # what other tests had frozen
    open_browse()
    assert gc.get_freeze_count() > 100_000


def test_headline_figures_and_first_page(sample: Path) -> None:
    app = open_browse()
    assert metrics(app)["Films"] == "124"  # 40 + 60, 2 + 2, 8 + 12
    assert [metric.value for metric in app.metric][2:] == ["50", "74"]
    assert len(films(app)) == 24
    assert len(app.get("image")) >= 24


def test_the_address_holds_the_filters(sample: Path) -> None:
    app = open_browse(split="Test", label="Normal")
    assert len(films(app)) == 8
    assert all("Normal" in text for text in films(app))


def test_a_filter_starts_at_the_first_page(sample: Path) -> None:
    app = open_browse(page="3")
    app.button_group(key="label").set_value("PNEUMONIA").run()
    assert not app.exception
    assert len(films(app)) == 24
    assert app.session_state["page"] == 1
    assert all("Pneumonia" in text for text in films(app))


def test_an_address_that_the_browser_sends_too_late_undoes_nothing(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_address, "ON_ITS_WAY", 60)
    monkeypatch.setattr(browse_address, "AT_ONCE", 60)
    app = open_browse()
    app.button_group(key="label").set_value("PNEUMONIA").run()
    app.query_params.clear()  # sent before it had heard
    app.run()
    assert app.query_params["label"] == "Pneumonia"
    app.query_params.clear()
    app.button_group(key="split").set_value("test").run()
    assert len(films(app)) == 12
    assert all("Pneumonia" in text for text in films(app))


def test_whoever_went_back_is_not_sent_forward_by_the_next_click(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_address, "ON_ITS_WAY", 60)
    monkeypatch.setattr(browse_address, "AT_ONCE", 0)
    app = open_browse()
    app.button_group(key="label").set_value("PNEUMONIA").run()
    app.query_params.clear()  # long after it was heard
    app.run()
    app.button_group(key="split").set_value("test").run()
    assert "label" not in app.query_params
    assert len(films(app)) == 20


def test_search_finds_a_patient(sample: Path) -> None:
    app = open_browse()
    name = sorted((sample / "test" / "NORMAL").iterdir())[0].stem
    app.text_input(key="search").set_value(name.lower()).run()
    assert len(films(app)) == 1
    assert name in films(app)[0]


def test_nothing_left_offers_a_way_back(sample: Path) -> None:
    app = open_browse(label="Normal", subtype="Viral")
    assert films(app) == []
    (back,) = [button for button in app.button if button.label == "Show all films"]
    back.click().run()
    assert not app.exception
    assert len(films(app)) == 24


def test_a_draw_is_another_order_of_the_same_films_and_repeats(sample: Path) -> None:
    in_order, drawn = films(open_browse()), films(open_browse(draw="1"))
    assert drawn != in_order
    assert films(open_browse(draw="1")) == drawn
    app = open_browse()
    app.button(key="others").click().run()
    assert films(app) == drawn


def test_an_address_of_another_data_set_is_explained(sample: Path) -> None:
    app = open_browse(film="train/NORMAL/IM-0115-0001.jpeg")
    assert "no film train/NORMAL/IM-0115-0001.jpeg" in app.warning[0].value
    assert len(films(app)) == 24


def test_files_that_came_later_are_found_on_reading_again(folder: Path) -> None:
    app = open_browse()
    assert metrics(app)["Films"] == "6"
    newest = next((folder / "train" / "NORMAL").iterdir())
    shutil.copy(newest, folder / "train" / "NORMAL" / "IM-9999-0001.jpeg")
    assert metrics(app.run())["Films"] == "6"
    app.session_state["switcher"] = True
    app.run().button(key="read-again").click().run()
    assert not app.exception
    assert metrics(app)["Films"] == "7"


def test_the_detail_view_tells_what_is_known(sample: Path) -> None:
    film = sorted((sample / "train" / "PNEUMONIA").iterdir())[0]
    app = open_browse(film=f"train/PNEUMONIA/{film.name}")
    assert any(
        "× 256" in caption.value and film.name.split("_")[0] in caption.value
        for caption in app.caption
    )
    assert any("not a diagnosis" in caption.value for caption in app.caption)
    app.toggle(key="outline").set_value(True).run()
    assert not app.exception


def test_a_range_that_is_none_counts_as_not_said(sample: Path) -> None:
    assert len(films(open_browse(side="900..100"))) == 24


def test_normal_films_have_no_lesion_to_outline(sample: Path) -> None:
    film = sorted((sample / "train" / "NORMAL").iterdir())[0]
    app = open_browse(film=f"train/NORMAL/{film.name}")
    assert not app.toggle


def test_whoever_reads_first_is_told_no_opinion(sample: Path) -> None:
    film = sorted((sample / "train" / "NORMAL").iterdir())[0]
    app = open_browse(film=f"train/NORMAL/{film.name}", shown="Label")
    assert len(app.get("bidi_component")) == 1  # the viewer
    said = " ".join(it.value for it in (*app.markdown, *app.caption))
    assert "Prediction" not in said and "Unsure" not in said and "Cases like this" not in said
    app.radio(key="shown").set_value("all").run()
    said = " ".join(it.value for it in app.markdown)
    assert "Prediction" in said or "Unsure" in said or "Outside" in said
    assert "shown" not in app.query_params


def test_whoever_reads_first_is_told_no_label_until_it_is_asked_for(sample: Path) -> None:
    film, *_ = sorted((sample / "train" / "PNEUMONIA").iterdir())
    stems = {
        browse_address.alias(path.relative_to(sample).as_posix()): path.stem
        for path in sample.glob("*/*/*.jpeg")
    }

    def said(app: AppTest) -> str:
        """Everything but the controls that speak of classes and data sets, not of this film."""
        texts = [it.value for it in (*app.markdown, *app.caption)]
        texts += [it.label for it in app.button if not (it.key or "").startswith("choose-")]
        viewer = app.get("bidi_component")
        return " ".join(texts).replace("\u200b", "") + str(viewer and viewer[0].proto.bytes)

    app = open_browse(shown="Film")
    assert not any("Pneumonia" in text or "Normal" in text for text in films(app))
    assert "person" not in said(app) and "IM-" not in said(app)

    app = open_browse(film=f"train/PNEUMONIA/{film.name}", shown="Film")
    for telling in ("person", "PNEUMONIA", "Pneumonia", "pneumonia", "Prediction", "Unsure"):
        assert telling not in said(app)
    app.button(key="reveal").click().run()
    assert "Labelled :orange-badge" in said(app) and film.stem in said(app)
    assert "Prediction" in said(app) or "Unsure" in said(app) or "Outside" in said(app)
    app.button(key="next").click().run()
    other = stems[app.query_params["film"]]  # the address tells nothing either
    assert other != film.stem
    assert "person" not in said(app) and "IM-" not in said(app)
    app.button(key="add-to-compare").click().run()
    assert app.query_params["compare"] == app.query_params["film"]
    app.button(key="back").click().run()
    app.button_group(key="view").set_value("compare").run()
    assert "person" not in said(app) and "IM-" not in said(app)
    app.radio(key="shown").set_value("all").run()
    assert other in said(app)


def test_whoever_is_blinded_later_has_no_path_left_in_the_address(sample: Path) -> None:
    film = min((sample / "test" / "NORMAL").iterdir())
    path = f"test/NORMAL/{film.name}"
    app = open_browse(film=path, compare=path, view="audit")
    app.radio(key="shown").set_value("film").run()
    assert not app.exception
    assert app.query_params["film"] == app.query_params["compare"] == browse_address.alias(path)
    assert app.button(key="back").label == "Back to films", "an audit is about labels"
    assert "reveal" in {button.key for button in app.button}


def test_a_blinded_reader_sees_films_in_an_order_that_tells_nothing(sample: Path) -> None:
    known = catalog.build(sample)
    labels = known["label"].set_axis(known["digest"].str[:6])
    app = open_browse(shown="Film")
    shown = [labels[re.findall(r"Film (\w{6})", text)[0]] for text in films(app)]
    assert shown.count("NORMAL") == shown.count("PNEUMONIA") == 12
    assert shown not in (sorted(shown), sorted(shown, reverse=True))
    assert "in-order" not in {button.key for button in app.button}
    # What the address says of order and class is of no use, and no control offers it.
    same = open_browse(shown="Film", sort="name", label="Normal", kibibytes="0..1")
    assert films(same) == films(app)
    assert {it.key for it in same.button_group} == {"view", "split", "size"}
    assert not same.selectbox


def test_what_tells_the_class_is_taken_back_where_labels_are_hidden(sample: Path) -> None:
    app = open_browse(split="Test", label="Normal", sort="kibibytes", search="IM", flag="small")
    app.radio(key="shown").set_value("film").run()
    assert not app.exception
    assert set(app.query_params) == {"split", "shown"}
    film = min((sample / "test" / "NORMAL").iterdir())
    app = open_browse(shown="Film", film=f"test/NORMAL/{film.name}")
    assert not any("KiB" in caption.value for caption in app.caption)


def test_a_key_pressed_twice_goes_two_films_on(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse_address, "ON_ITS_WAY", 60)
    first, _, third, *_ = sorted((sample / "test" / "NORMAL").iterdir())
    app = open_browse(split="Test", film=f"test/NORMAL/{first.name}", shown="Label")
    app.button(key="next").click().run()
    # The second press was sent before the browser had heard of the first.
    app.query_params["film"] = f"test/NORMAL/{first.name}"
    app.button(key="next").click().run()
    assert app.query_params["film"] == f"test/NORMAL/{third.name}"


def test_next_follows_the_selection_and_keeps_it(sample: Path) -> None:
    first, second, *_ = sorted((sample / "test" / "NORMAL").iterdir())
    app = open_browse(split="Test", film=f"test/NORMAL/{first.name}", shown="Label")
    assert any(caption.value == "1 of 20" for caption in app.caption)
    assert app.button(key="previous").disabled
    app.button(key="next").click().run()
    assert app.query_params["film"] == f"test/NORMAL/{second.name}"
    app.button(key="back").click().run()
    assert not app.exception
    assert app.query_params["split"] == "Test"
    assert len(films(app)) == 20


def test_all_films_of_a_patient_are_a_click_away(sample: Path) -> None:
    stems = pd.Series([path.stem for path in (sample / "train" / "NORMAL").iterdir()])
    patients = stems.str.rpartition("-")[0]
    patient = patients.value_counts().index[0]
    several = int((patients == patient).sum())
    assert several > 1
    film = f"train/NORMAL/{stems[patients == patient].iloc[0]}.jpeg"
    app = open_browse(film=film, shown="Label", split="Train", sort="ratio")
    app.button(key="of-patient").click().run()
    assert not app.exception
    assert len(films(app)) == several
    assert app.query_params["patient"] == patient
    app.button(key="drop-patient").click().run()
    assert len(films(app)) == 24


# Order, filters and charts --------------------------------------------------------------


def test_sorted_by_file_size_the_largest_first(sample: Path) -> None:
    sizes = {path.stem: path.stat().st_size for path in sample.glob("test/*/*.jpeg")}
    app = open_browse(split="Test", sort="kibibytes", down="1")
    shown = [next(sizes[stem] for stem in sizes if stem in text) for text in films(app)]
    assert shown == sorted(sizes.values(), reverse=True)
    assert "KiB" in films(app)[0]
    app.button(key="down").click().run()
    assert "down" not in app.query_params
    assert films(app)[0] != films(open_browse(split="Test", sort="kibibytes", down="1"))[0]


def test_a_range_in_the_address_narrows_and_can_be_taken_back(sample: Path) -> None:
    app = open_browse(ratio="1..1.1", label="Normal", split="Train")
    assert 0 < len(films(app)) < 24
    assert app.slider(key="ratio").value == (1, 1.1)
    app.button(key="reset").click().run()
    assert not app.exception
    assert not dict(app.query_params)
    assert len(films(app)) == 24


@pytest.mark.parametrize(
    "nonsense",
    [
        {"ratio": "wide"},
        {"ratio": "..", "side": "nan..inf"},
        {"page": "0"},
        {"page": "9999999999"},
        {"draw": "-1"},
        {"view": "x", "sort": "path", "flag": "odd", "split": "all"},
        {"film": "train/NORMAL/none.jpeg", "model": "none", "size": "XL"},
    ],
)
def test_nonsense_in_the_address_counts_as_not_said(sample: Path, nonsense: dict[str, str]) -> None:
    app = open_browse(**nonsense)
    assert films(app) == films(open_browse())
    assert "reset" not in {button.key for button in app.button}, "there is nothing to reset"


def test_the_address_remembers_the_size(sample: Path) -> None:
    app = open_browse()
    app.button_group(key="size").set_value("small").run()
    assert app.query_params["size"] == "S"
    assert open_browse(size="S").button_group(key="size").value == "small"


def test_a_page_beyond_the_last_is_the_last(sample: Path) -> None:
    assert len(films(open_browse(page="99"))) == 124 - 5 * 24


def test_a_draw_shows_as_many_of_each_class(sample: Path) -> None:
    drawn = films(open_browse(draw="1"))
    assert sum("Normal" in text for text in drawn) == sum("Pneumonia" in text for text in drawn)


def test_the_classes_side_by_side(sample: Path) -> None:
    app = open_browse(view="classes")
    shown = {
        label: [it for it in app.button if (it.key or "").startswith(f"open-{label}-")]
        for label in ("Normal", "Pneumonia")
    }
    assert [len(it) for it in shown.values()] == [12, 12]
    assert all(label in it.label for label, cards in shown.items() for it in cards)


def measured(app: AppTest) -> AppTest:
    """The charts, once the pictures have been measured."""
    app.button(key="measure").click().run()
    for _ in range(60):
        if "cancel-work" not in {button.key for button in app.button}:
            break
        time.sleep(0.5)
        app.run()
    assert not app.exception
    return app


def test_measuring_the_pictures_tells_how_bright_films_are(sample: Path) -> None:
    app = open_browse(view="charts")
    assert len(app.get("plotly_chart")) == 3
    measured(app)
    assert len(app.get("plotly_chart")) == 4
    assert any("pneumonia is brighter, by up to" in caption.value for caption in app.caption)
    assert app.slider(key="brightness").value[0] < app.slider(key="brightness").value[1]


def test_pictures_that_are_measured_while_the_page_is_drawn_are_in_it(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts_of = browse_known.facts_of

    def measured_afterwards(*what: object) -> pd.DataFrame:
        """The facts, before another session has finished what makes them more."""
        known = facts_of(*what)
        if "brightness" not in known:
            browse_known._measure(what[0], lambda done, total: None, lambda: False)
        return known

    monkeypatch.setattr(browse_known, "facts_of", measured_afterwards)
    app = open_browse(view="charts")
    assert len(app.get("plotly_chart")) == 4


def test_what_a_model_says_of_all_films_sorts_and_flags_them(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(films: pd.DataFrame, root: Path) -> Opinions:
        """All right but the third, whose verdict is as wrong as can be."""
        ill = films["label"] == "PNEUMONIA"
        probability = ill.astype(float).mask(films.index == 2, 0.95)
        table = pd.DataFrame(
            {
                "probability": probability,
                "verdict": films["label"],
                "unsure": films.index == 7,
                "flagged": films.index == 5,
            }
        )
        table.loc[2, "verdict"] = "PNEUMONIA"
        features = np.arange(len(films), dtype=np.float32)[:, np.newaxis]
        return Opinions(
            model="m", key="k", table=table, features=np.hstack([features, 1 + features])
        )

    monkeypatch.setattr(browse_model, "opinions_of_model", answered)
    in_order = films(open_browse())
    app = open_browse()
    app.selectbox(key="sort").set_value("error").run()
    assert not app.exception
    assert in_order[2].split("]]")[0] in films(app)[0]  # the largest error first
    assert "95.0 %" in films(app)[0] and "disagrees" in films(app)[0]
    (wrong,) = films(open_browse(flag="wrong"))
    assert "disagrees" in wrong
    (outside,) = films(open_browse(flag="scope"))
    assert outside == in_order[5]
    (unsure,) = films(open_browse(flag="unsure"))
    assert unsure == in_order[7]


# Films to compare -----------------------------------------------------------------------


def test_up_to_four_films_are_compared(sample: Path) -> None:
    app = open_browse(shown="Label")
    for _ in range(4):
        box = next(box for box in app.checkbox if not box.value)
        box.check().run()
    assert not app.exception
    assert len(app.query_params["compare"]) == 4
    assert all(box.disabled for box in app.checkbox if not box.value)
    app.button_group(key="view").set_value("compare").run()
    assert not app.exception
    header = app.get("bidi_component")[0].proto.bytes
    assert header.count(b'"description"') == 4
    app.button(key="remove-0").click().run()
    assert len(app.query_params["compare"]) == 3
    app.button(key="clear").click().run()
    assert "compare" not in app.query_params
    assert any("No film is picked yet" in it.value for it in app.markdown)


def test_films_of_the_address_that_are_not_there_are_not_compared(sample: Path) -> None:
    film = sorted((sample / "test" / "NORMAL").iterdir())[0]
    app = AppTest.from_file(str(REPOSITORY / "streamlit_app.py"), default_timeout=60)
    app.query_params["compare"] = [f"test/NORMAL/{film.name}", "../../secret.jpeg"]
    app.query_params["view"] = "compare"
    app.switch_page("pages/browse.py").run()
    assert not app.exception
    assert len([it for it in app.button if (it.key or "").startswith("remove-")]) == 1
    assert any("Decision support" in caption.value for caption in app.caption)


# Other data sets ------------------------------------------------------------------------


def test_a_folder_out_of_layout_is_refused_with_words(
    sample: Path, tmp_path: Path, installation: Settings
) -> None:
    app = open_browse()
    app.text_input(key="folder").set_value(str(tmp_path / "nowhere"))
    (button,) = [button for button in app.button if button.label == "Open"]
    button.click().run()
    assert not app.exception
    assert "does not exist" in app.error[0].value
    assert sources.chosen(installation).kind == "sample"


def test_a_folder_in_the_layout_is_opened_and_remembered(
    sample: Path, folder: Path, installation: Settings
) -> None:
    sources.choose(sources.Source(kind="sample"), installation)
    app = open_browse(label="Normal")
    app.text_input(key="folder").set_value(str(folder))
    (button,) = [button for button in app.button if button.label == "Open"]
    button.click().run()
    assert not app.exception
    assert sources.chosen(installation).folder == folder
    assert len(films(app)) == 6  # the filter belonged to the other data set


def test_choosing_a_folder_again_reads_it_anew(folder: Path) -> None:
    app = open_browse()
    film = sorted((folder / "train" / "NORMAL").iterdir())[0]
    film.rename(film.with_name("IM-8888-0001.jpeg"))
    app.button(key=f"choose-{folder}").click().run()
    assert not app.exception
    assert any("IM-8888-0001" in text for text in films(app))


def test_a_chosen_folder_that_is_gone(folder: Path) -> None:
    shutil.rmtree(folder)
    app = open_browse()
    assert "does not exist" in app.error[0].value
    assert app.button(key="use-sample")


def test_an_unreadable_film_shows_its_reason_in_its_place(folder: Path) -> None:
    film = sorted((folder / "train" / "NORMAL").iterdir())[0]
    film.write_bytes(film.read_bytes()[:-2000])
    app = open_browse()
    assert len(films(app)) == 6
    assert any("cut short" in caption.value for caption in app.caption)
    app = open_browse(film=f"train/NORMAL/{film.name}")
    assert "cannot be shown" in app.warning[0].value


def test_films_without_pixels_are_in_no_chart_of_pixels(folder: Path) -> None:
    normal = sorted((folder / "train" / "NORMAL").iterdir())
    normal[0].write_bytes(normal[0].read_bytes()[:-2000])
    app = measured(open_browse(view="charts"))
    assert any("pixels of 1 film cannot be decoded" in it.value for it in app.caption)
    (left,) = (it for it in app.get("plotly_chart") if "mean grey level" in it.proto.alt)
    assert "nan" not in left.proto.alt


def test_a_set_of_films_that_cannot_be_decoded_can_be_looked_at(folder: Path) -> None:
    for film in folder.glob("train/*/*"):
        film.write_bytes(film.read_bytes()[:-2000])
    app = measured(open_browse(view="charts"))
    assert any("pixels of 6 films cannot be decoded" in it.value for it in app.caption)
    assert len(films(open_browse())) == 6


def test_what_cannot_be_opened_does_not_tell_a_blinded_reader_the_class(folder: Path) -> None:
    film = min((folder / "train" / "PNEUMONIA").iterdir())
    open_browse()
    path = f"train/PNEUMONIA/{film.name}"
    film.rename(folder / "away.jpeg")
    for query in ({"film": path}, {"compare": path, "view": "compare"}):
        app = open_browse(shown="Film", **query)
        assert "cannot be opened" in app.warning[0].value
        assert "PNEUMONIA" not in app.warning[0].value and film.name not in app.warning[0].value


def test_a_filter_that_nobody_can_answer_yet_says_so(folder: Path) -> None:
    app = open_browse(flag="wrong", error="80..100")
    chips = {it.key: it.label for it in app.button if (it.key or "").startswith("drop-")}
    assert list(chips) == ["drop-flag", "drop-error"]
    assert all(it.endswith("not known yet") for it in chips.values())
    assert len(films(app)) == 6


@pytest.mark.parametrize("query", [{"split": "Val"}, {"source": "PNG"}, {"subtype": "Unknown"}])
def test_what_this_data_set_does_not_have_counts_as_not_said(
    folder: Path, query: dict[str, str]
) -> None:
    app = open_browse(**query)
    assert len(films(app)) == 6
    assert "reset" not in {it.key for it in app.button}


def test_a_source_is_found_in_either_case(folder: Path) -> None:
    assert len(films(open_browse(source="jpeg"))) == 6
    assert len(films(open_browse(source="Train/normal"))) == 3


def test_films_to_compare_of_another_data_set_can_be_cleared(folder: Path) -> None:
    app = open_browse(view="compare", compare="train/NORMAL/elsewhere.jpeg")
    assert any("None of the films to compare" in it.value for it in app.markdown)
    app.button(key="clear").click().run()
    assert "compare" not in app.query_params


def test_a_link_is_followed_though_the_data_set_was_switched_elsewhere(
    folder: Path, sample: Path
) -> None:
    app = open_browse()
    app.switch_page("pages/train.py").run()
    app.button(key="choose-sample").click().run()
    film = min((sample / "test" / "NORMAL").iterdir())
    app.query_params["film"] = f"test/NORMAL/{film.name}"
    app.switch_page("pages/browse.py").run()
    assert not app.exception
    assert app.query_params["film"] == f"test/NORMAL/{film.name}"


def test_browse_is_found_as_it_was_left(folder: Path, sample: Path) -> None:
    def come_back() -> None:
        app.query_params.clear()
        app.session_state["page-left"] = "models"  # which the frame would say
        app.switch_page("pages/browse.py").run()
        assert not app.exception

    app = open_browse(label="Normal", sort="name")
    app.switch_page("pages/models.py").run()
    come_back()
    assert set(app.query_params) == {"label", "sort"}
    assert len(films(app)) == 3
    # Of another data set nothing was looked for.
    app.switch_page("pages/models.py").run()
    app.button(key="choose-sample").click().run()
    come_back()
    assert not set(app.query_params)
    assert len(films(app)) == 24


def test_files_that_are_no_images_are_listed(folder: Path) -> None:
    (folder / "train" / "NORMAL" / "IM-9999-0001.jpeg").write_text("not a film")
    app = open_browse()
    assert len(films(app)) == 6
    assert "IM-9999-0001.jpeg" in app.dataframe[0].value["File"][0]


def test_kaggle_offers_the_download(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    sources.choose(sources.Source(kind="kaggle"), installation)
    assert open_browse().button(key="start-download").label == "Download"


@pytest.mark.parametrize(
    ("download", "expected"),
    [
        (kaggle.Download(status="downloading"), "Connecting"),
        (kaggle.Download(status="extracting"), "Unpacking"),
        (
            # 1,500 MB at 12 MB/s: 125 s
            kaggle.Download(
                status="downloading",
                bytes_done=1_000_000_000,
                bytes_total=2_500_000_000,
                bytes_per_second=12_000_000,
            ),
            "1,000 of 2,500 MB, 12.0 MB/s, about 2 min 5 s left",
        ),
    ],
)
def test_a_running_download_tells_speed_and_time(
    download: kaggle.Download,
    expected: str,
    installation: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setattr(kaggle, "progress", lambda settings: download)
    sources.choose(sources.Source(kind="kaggle"), installation)
    app = open_browse()
    assert app.get("progress")[0].text == expected
    assert app.button(key="cancel-download")


def test_a_failed_download_says_why_and_what_else_there_is(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    failed = kaggle.Download(status="failed", message="Kaggle cannot be reached.")
    monkeypatch.setattr(kaggle, "progress", lambda settings: failed)
    sources.choose(sources.Source(kind="kaggle"), installation)
    app = open_browse()
    assert app.error[0].value == "Kaggle cannot be reached."
    assert app.button(key="start-download").label == "Try again"
    assert app.button(key="use-sample")


def test_browse_does_not_import_tensorflow(sample: Path) -> None:
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('streamlit_app.py', default_timeout=60)\n"
        "app.switch_page('pages/browse.py').run()\n"
        "assert not app.exception\n"
        "assert len(app.metric) == 4\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)
