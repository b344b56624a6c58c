"""Every state of the page Browse, driven without a browser."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pneumo.datasets import catalog, kaggle, sample_set, sources
from pneumo.datasets.sample_set import Counts
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
    return [button.label for button in app.button if (button.key or "").startswith("open-films-")]


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


def test_the_detail_view_tells_what_is_known(sample: Path) -> None:
    film = sorted((sample / "train" / "PNEUMONIA").iterdir())[0]
    app = open_browse(film=f"train/PNEUMONIA/{film.name}")
    assert any("256 pixels" in caption.value for caption in app.caption)
    app.toggle(key="outline").set_value(True).run()
    assert not app.exception


def test_normal_films_have_no_lesion_to_outline(sample: Path) -> None:
    film = sorted((sample / "train" / "NORMAL").iterdir())[0]
    app = open_browse(film=f"train/NORMAL/{film.name}")
    assert "outline" not in {toggle.key for toggle in app.toggle}
    assert "invert" in {toggle.key for toggle in app.toggle}


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
            "1,000 of 2,500 MB, 12.0 MB/s, 2:05 left",
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
