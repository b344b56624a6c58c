"""What a model makes of a whole data set: asked once, kept, gone on with."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo import radiograph
from pneumo.datasets import catalog as catalogs
from pneumo.datasets.film_store import Cancelled
from pneumo.inference import opinions
from pneumo.inference.opinions import Opinions
from pneumo.inference.predictor import Predictor
from pneumo.settings import Settings


@pytest.fixture
def catalog(sample_root: Path) -> pd.DataFrame:
    """Eight films of both classes, with an index that does not begin at 0."""
    test = catalogs.build(sample_root).query("split == 'test'")
    return test.iloc[4:12]


@pytest.fixture
def asked(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Every picture that the network is shown."""
    pictures: list[np.ndarray] = []
    feature_map = predictor.feature_map

    def watched(picture: np.ndarray) -> np.ndarray:
        pictures.append(picture)
        return feature_map(picture)

    monkeypatch.setattr(predictor, "feature_map", watched)
    return pictures


def ask(
    predictor: Predictor, catalog: pd.DataFrame, root: Path, installation: Settings
) -> Opinions:
    return opinions.ask(predictor, catalog, root, settings=installation)


def test_answers_are_those_of_the_predictor(
    predictor: Predictor, catalog: pd.DataFrame, sample_root: Path, installation: Settings
) -> None:
    found = ask(predictor, catalog, sample_root, installation)
    assert found.table.index.equals(catalog.index)
    assert found.model == predictor.bundle.card.name
    for number, path in catalog["path"].items():
        film = radiograph.read_file(
            sample_root / path, limits=installation.image_limits, model_size=224
        )
        single, row = predictor.predict(film), found.table.loc[number]
        assert row["problem"] == ""
        assert row["logit"] == pytest.approx(single.logit, abs=1e-4)
        assert row["probability"] == pytest.approx(single.probability, abs=1e-4)
        assert (row["verdict"], row["unsure"]) == (single.verdict, single.unsure)
        assert row["flagged"] == bool(single.scope)


def test_features_lie_along_the_directions_of_the_gate(
    predictor: Predictor, catalog: pd.DataFrame, sample_root: Path, installation: Settings
) -> None:
    found = ask(predictor, catalog, sample_root, installation)
    near = opinions.Gate.load(predictor.bundle.gate).by_features
    film = radiograph.read_file(
        sample_root / catalog["path"].iloc[2], limits=installation.image_limits, model_size=224
    )
    pooled = predictor.feature_map(radiograph.to_model_input(film)).mean(axis=(0, 1))
    along = near.directions @ (pooled - near.centre)
    expected = along / np.sqrt(np.sqrt(near.variances))
    assert found.features.shape == (8, len(near.variances))
    assert found.features.dtype == np.float32
    assert np.allclose(found.features[2], expected, rtol=1e-2, atol=1e-3)
    distance = near.distances(pooled[np.newaxis])[0]
    assert found.table["distance"].iloc[2] == pytest.approx(distance, rel=1e-4)


def test_what_is_known_is_not_asked_again(
    predictor: Predictor,
    catalog: pd.DataFrame,
    sample_root: Path,
    installation: Settings,
    asked: list[np.ndarray],
) -> None:
    model = predictor.bundle
    assert opinions.cached(installation, model, catalog) is None
    assert opinions.stamp(installation, model) == 0
    ask(predictor, catalog.iloc[:5], sample_root, installation)
    assert len(asked) == 5
    before = opinions.stamp(installation, model)
    assert before > 0
    assert opinions.cached(installation, model, catalog) is None
    found = ask(predictor, catalog, sample_root, installation)
    assert len(asked) == 8
    assert opinions.stamp(installation, model) > before
    known = opinions.cached(installation, model, catalog)
    assert known is not None
    assert known.key == found.key
    pd.testing.assert_frame_equal(known.table, found.table)
    assert np.array_equal(known.features, found.features)
    # In another order, each film still has its own answer.
    turned = opinions.cached(installation, model, catalog[::-1])
    assert turned is not None
    pd.testing.assert_frame_equal(turned.table[::-1], found.table)
    assert np.array_equal(turned.features[::-1], found.features)


def test_a_film_is_known_in_every_data_set(
    predictor: Predictor,
    catalog: pd.DataFrame,
    sample_root: Path,
    installation: Settings,
    tmp_path: Path,
    asked: list[np.ndarray],
) -> None:
    ask(predictor, catalog, sample_root, installation)
    folder = tmp_path / "others" / "train" / "NORMAL"
    folder.mkdir(parents=True)
    for name in ("one.jpeg", "copy.jpeg"):
        shutil.copy(sample_root / catalog["path"].iloc[0], folder / name)
    others = catalogs.build(tmp_path / "others")
    known = opinions.cached(installation, predictor.bundle, others)
    assert known is not None
    assert len(known.table) == 2
    assert len(asked) == 8


def test_a_cancelled_asking_goes_on(
    predictor: Predictor,
    catalog: pd.DataFrame,
    sample_root: Path,
    installation: Settings,
) -> None:
    reported: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        reported.append((done, total))

    with pytest.raises(Cancelled):
        opinions.ask(
            predictor,
            catalog,
            sample_root,
            settings=installation,
            progress=report,
            cancelled=lambda: len(reported) == 3,
        )
    assert reported == [(0, 8), (1, 8), (2, 8)]
    reported.clear()
    opinions.ask(predictor, catalog, sample_root, settings=installation, progress=report)
    assert reported == [(done, 8) for done in range(2, 9)]


def test_a_film_that_cannot_be_read(
    predictor: Predictor,
    catalog: pd.DataFrame,
    sample_root: Path,
    installation: Settings,
    tmp_path: Path,
) -> None:
    for path in catalog["path"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_root / path, tmp_path / path)
    damaged = tmp_path / catalog["path"].iloc[3]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:2000])
    found = ask(predictor, catalog, tmp_path, installation)
    row = found.table.iloc[3]
    assert row["problem"] != ""
    assert row[["logit", "probability", "distance"]].isna().all()
    assert (row["verdict"], row["unsure"], row["flagged"]) == ("", False, False)
    assert not found.features[3].any()
    assert found.features[2].any()
    assert opinions.cached(installation, predictor.bundle, catalog) is not None
    damaged.write_bytes(whole)
    again = ask(predictor, catalog, tmp_path, installation)
    assert (again.table["problem"] == "").all()
    assert again.features[3].any()


def test_a_damaged_part_is_asked_again(
    predictor: Predictor,
    catalog: pd.DataFrame,
    sample_root: Path,
    installation: Settings,
    asked: list[np.ndarray],
) -> None:
    ask(predictor, catalog, sample_root, installation)
    (part,) = installation.cache.glob("opinions-*/*/*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    assert opinions.cached(installation, predictor.bundle, catalog) is None
    ask(predictor, catalog, sample_root, installation)
    assert len(asked) == 16
    assert opinions.cached(installation, predictor.bundle, catalog) is not None
