"""Selection of films and their thumbnails."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pneumo import radiograph
from pneumo.datasets import gallery
from pneumo.settings import ImageLimits

FILMS = pd.DataFrame(
    [
        ("train/NORMAL/IM-0001-0001.jpeg", "train", "NORMAL", "normal", "IM-0001"),
        ("train/NORMAL/IM-0001-0002.jpeg", "train", "NORMAL", "normal", "IM-0001"),
        ("train/PNEUMONIA/person1_virus_1.jpeg", "train", "PNEUMONIA", "viral", "person1"),
        ("test/PNEUMONIA/person1_virus_2.jpeg", "test", "PNEUMONIA", "viral", "person1"),
        ("test/PNEUMONIA/person12_bacteria_3.jpeg", "test", "PNEUMONIA", "bacterial", "person12"),
    ],
    columns=["path", "split", "label", "subtype", "patient"],
)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"split": "test"}, [3, 4]),
        ({"label": "NORMAL"}, [0, 1]),
        ({"subtype": "viral", "split": "train"}, [2]),
        ({"search": "PERSON1"}, [2, 3, 4]),
        ({"search": " virus_2 "}, [3]),
        ({"search": "im-0001-0002"}, [1]),
        ({"search": "."}, [0, 1, 2, 3, 4]),  # a full stop, not any character
        ({"search": "[("}, []),
        ({"label": "NORMAL", "subtype": "viral"}, []),
        ({"patient": "person1"}, [2, 3]),  # and not person12
    ],
)
def test_select(conditions: dict[str, str], expected: list[int]) -> None:
    assert list(gallery.select(FILMS, **conditions).index) == expected


def test_shuffle_repeats_with_its_seed() -> None:
    many = pd.DataFrame({"path": range(100), "label": "NORMAL"})
    assert gallery.shuffle(many, seed=0) is many
    drawn = gallery.shuffle(many, seed=1)
    assert sorted(drawn["path"]) == list(range(100))
    assert list(drawn["path"]) != list(range(100))
    assert drawn.equals(gallery.shuffle(many, seed=1))
    assert not drawn.equals(gallery.shuffle(many, seed=2))


def test_a_draw_has_as_many_of_each_class_on_a_page_and_no_place_tells_which() -> None:
    many = pd.DataFrame({"path": range(500), "label": ["NORMAL"] * 120 + ["PNEUMONIA"] * 380})
    places = np.zeros(24)
    for seed in range(1, 101):
        ill = (gallery.shuffle(many, seed=seed)["label"] == "PNEUMONIA").to_numpy()
        assert (ill[:240].reshape(10, 24).sum(axis=1) == 12).all()
        assert ill[240:].all()
        places += ill[:240].reshape(10, 24).mean(axis=0)
    # Of 1,000 pages each place is one of pneumonia in half: 5 standard deviations are 8 %.
    assert np.abs(places / 100 - 0.5).max() < 0.08


def test_the_most_alike_point_the_same_way_however_long_they_are() -> None:
    features = np.array([[1, 0], [0, 3], [5, 1], [-1, 0], [2, 2]], np.float32)
    assert gallery.most_alike(features, 0, count=2).tolist() == [2, 4]
    assert gallery.most_alike(features, 0, count=9).tolist() == [2, 4, 1, 3]
    assert gallery.most_alike(features[:1], 0, count=9).tolist() == []


def test_other_films_of_a_patient_are_of_the_same_split() -> None:
    assert list(gallery.of_the_same_patient(FILMS, FILMS.iloc[0]).index) == [1]
    assert gallery.of_the_same_patient(FILMS, FILMS.iloc[2]).empty


@pytest.mark.parametrize(
    ("shape", "enlarge", "expected"),
    [
        ((100, 200), False, (25, 50)),  # halved twice by the width
        ((300, 100), False, (50, 17)),  # by the height: 100 / 6 = 16.7
        ((20, 30), False, (20, 30)),
        ((20, 30), True, (33, 50)),
        ((2000, 1), False, (50, 1)),
    ],
)
def test_fit(shape: tuple[int, int], enlarge: bool, expected: tuple[int, int]) -> None:
    fitted = gallery.fit(np.zeros(shape, np.uint8), width=50, height=50, enlarge=enlarge)
    assert fitted.shape == expected


def test_jpeg_keeps_the_order_of_the_colours() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(gallery.to_jpeg(red), np.uint8), cv2.IMREAD_COLOR)
    blue, _, read = decoded[8, 8]
    assert read > 180 and blue < 20


def test_thumbnails_are_letterboxed_and_tell_what_is_wrong(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((100, 200), 200, np.uint8))
    (tmp_path / "damaged.png").write_bytes((tmp_path / "wide.png").read_bytes()[:60])
    films = pd.DataFrame(
        {"path": ["wide.png", "damaged.png", "gone.png"], "digest": ["a", "b", "c"]}
    )
    wide, damaged, gone = gallery.thumbnails(
        tmp_path, films, width=80, height=80, limits=ImageLimits()
    )
    picture = cv2.imdecode(np.frombuffer(wide.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (80, 80)
    assert picture[:16].max() < 10 and picture[-16:].max() < 10  # 40 rows of film between
    assert picture[24:56].min() > 190
    assert (damaged.jpeg, gone.jpeg) == (b"", b"")
    assert damaged.problem
    assert "No such file" in gone.problem


def test_thumbnails_are_decoded_once_for_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    decode = radiograph.read_file

    def count(path: Path, *, limits: ImageLimits) -> radiograph.Radiograph:
        read.append(path)
        return decode(path, limits=limits)

    monkeypatch.setattr(radiograph, "read_file", count)
    cv2.imwrite(str(tmp_path / "film.png"), np.full((100, 100), 90, np.uint8))
    for digest in ("first", "first", "changed"):
        films = pd.DataFrame({"path": ["film.png"], "digest": [digest]})
        gallery.thumbnails(tmp_path, films, width=64, height=64, limits=ImageLimits())
    assert len(read) == 2
