"""The command in a card trains the same model again; a bundle appears whole or not at all."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pneumo import export
from pneumo.inference import bundle
from pneumo.inference.cases import Cases
from pneumo.inference.predictor import Predictor
from pneumo.radiograph import Radiograph
from pneumo.settings import Settings
from pneumo.training import classifier as classifiers
from pneumo.training import packaging, scope
from pneumo.training.classifier import Classifier
from pneumo.training.packaging import _training_command
from pneumo.training.pipeline import Pictures, read_pictures
from pneumo.training.recipe import BEST, QUICK, SEED, Augmentation, Phase, Recipe
from pneumo.training.runs import Run, TrainingImage
from tests.training.conftest import MakeRun
from tests.training.films import write_noise


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (SEED, "--recipe seed"),
        (QUICK.changed(epochs=3, seed=7), "--recipe quick --seed 7 --epochs 3"),
        (QUICK.changed(name="my run"), "--recipe quick --name 'my run'"),
        (
            SEED.changed(start="shipped", batch_size=8),
            "--recipe seed --start shipped --batch-size 8",
        ),
        (
            BEST.changed(epochs=5, learning_rate=1e-5, backbone="DenseNet121", classes=3),
            "--recipe best --backbone DenseNet121 --classes 3 --epochs 5 --learning-rate 1e-05",
        ),
        (BEST.changed(start="run:20260102-0304-x"), "--recipe best --start run:20260102-0304-x"),
        (SEED.changed(augmentation=Augmentation()), "--recipe recipe.json"),
        (BEST.changed(phases=(Phase(epochs=3), BEST.phases[1])), "--recipe recipe.json"),
    ],
)
def test_the_command_names_what_differs_from_a_preset(recipe: Recipe, options: str) -> None:
    assert _training_command(recipe) == f"python -m pneumo train --data DIR {options}"


# A bundle -------------------------------------------------------------------------------

RECIPE = QUICK.changed(name="tiny", start="random", image_size=96, classes=3)


@pytest.fixture(scope="module")
def classifier(shipped: Settings) -> Classifier:
    return classifiers.build(RECIPE, settings=shipped)


@pytest.fixture
def validation(tmp_path: Path, installation: Settings) -> Pictures:
    films = [
        write_noise(
            tmp_path / f"{seed}.png",
            seed=seed,
            label="PNEUMONIA" if subtype != "normal" else "NORMAL",
            subtype=subtype,
            split="validation",
        )
        for seed, subtype in enumerate(("normal", "normal", "bacterial", "viral", "viral"))
    ]
    splits, _ = read_pictures(
        films, recipe=RECIPE, settings=installation, progress=lambda done, total: None
    )
    return splits["validation"]


VALUES = np.log(
    np.array(
        [
            [0.7, 0.2, 0.1],
            [0.3, 0.6, 0.1],
            [0.2, 0.5, 0.3],
            [0.1, 0.8, 0.1],
            [0.1, 0.2, 0.7],
        ]
    )
)
"""Of normal, bacterial and viral, for each of the five: wrong about the second and the fourth."""


def write(
    run: Run, classifier: Classifier, validation: Pictures, settings: Settings, **changes: object
) -> None:
    values = {
        "validation_values": VALUES,
        "validation_seen": 0.25,
        "even_logit": 0.0,
        "epochs": 9,
        "kept_epoch": 7,
        "seconds": 12.5,
        "settings": settings,
        "announce": lambda step, number: None,
        **changes,
    }
    packaging.write_bundle(run, classifier, validation, validation, **values)  # type: ignore[arg-type]


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    values = {field.name: getattr(RECIPE, field.name) for field in dataclasses.fields(RECIPE)}
    return make_run(**values)


def test_a_bundle_of_three_classes(
    run: Run, classifier: Classifier, validation: Pictures, installation: Settings
) -> None:
    write(run, classifier, validation, installation)
    found = bundle.load(run.bundle)
    card = found.card
    assert (card.name, card.epochs, card.kept_epoch) == (run.name, 9, 7)
    assert (card.training_seconds, card.image_size, card.validation_seen) == (12.5, 96, 0.25)
    assert card.recipe == json.loads(run.recipe.to_json())
    assert sorted(path.name for path in run.bundle.iterdir()) == [
        *("README.md", "card.json", "cases.npz", "gate.npz", "head.npz"),
        *("model.keras", "model.tflite", "recipe.json"),
    ]
    assert not (run.folder / ".bundle").exists()
    assert found.cases is not None
    assert [film.path for film in Cases.load(found.cases).films] == [
        f"{seed}.png" for seed in range(5)
    ]

    measured = card.measurement("validation")
    assert measured is not None and measured.causes is not None
    # Of two normal films one is called bacterial, of two viral ones one.
    assert measured.causes.confusion == ((1, 1, 0), (0, 1, 0), (0, 1, 1))
    assert measured.causes.accuracy == 3 / 5
    assert measured.causes.recalls == (0.5, 1.0, 0.5)
    # Pneumonia 0.3, 0.7, 0.8, 0.9, 0.9: only the second film is on the wrong side of 1/2.
    assert (measured.metrics.true_negatives, measured.metrics.false_positives) == (1, 1)
    assert measured.metrics.sensitivity == 1 and measured.metrics.roc_auc == 1

    assert list(card.operating_points) == ["balanced", "high-sensitivity", "high-specificity"]
    assert card.operating_points["balanced"].specificity == 0.5

    answers = run.validation_answers()
    pneumonia = np.array([0.3, 0.7, 0.8, 0.9, 0.9])
    assert [answer.logit for answer in answers] == pytest.approx(
        np.log(pneumonia / (1 - pneumonia))
    )
    assert [answer.label for answer in answers] == ["NORMAL"] * 2 + ["PNEUMONIA"] * 3
    assert [answer.digest for answer in answers] == [image.digest for image in validation.images]
    calibrated = card.calibration.probability(np.log(pneumonia / (1 - pneumonia)))
    assert [answer.probability for answer in answers] == pytest.approx(calibrated)

    page = (run.bundle / "README.md").read_text()
    assert "NORMAL or PNEUMONIA, bacterial or viral." in page
    assert "| films | validation | 0.600 | 0.500 | 1.000 | 0.500 |" in page


def test_every_step_is_announced(
    run: Run,
    classifier: Classifier,
    validation: Pictures,
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scope, "CHUNK", 2)
    monkeypatch.setattr(packaging, "CHUNK", 2)
    announced: list[tuple[str, int]] = []
    write(run, classifier, validation, installation, announce=lambda *it: announced.append(it))
    assert [*dict.fromkeys(number for _, number in announced)] == [*range(1, packaging.STEPS + 1)]
    assert announced.count(("describing training films", 3)) == 4  # five films, two at a time


def test_its_model_answers_as_the_network_does(
    run: Run, classifier: Classifier, validation: Pictures, installation: Settings
) -> None:
    write(run, classifier, validation, installation)
    found = bundle.load(run.bundle)
    loaded = keras.saving.load_model(found.keras, compile=False, safe_mode=True)
    picture = validation.pixels[:1]
    expected = classifier.network.predict_on_batch(picture[..., np.newaxis].astype(np.float32))
    again = loaded.predict_on_batch(picture[..., np.newaxis].astype(np.float32))
    for name, values in expected.items():
        assert again[name] == pytest.approx(values, abs=1e-5)
    # A film of the very pixels of the picture, so that nothing is resampled.
    film = Radiograph(pixels=picture[0], format="PNG", bit_depth=8)
    prediction = Predictor(found, workers=1).predict(film)
    assert prediction.logit == pytest.approx(float(expected["logit"][0, 0]), abs=0.01)
    _, bacterial, viral = np.exp(expected["class_logits"][0])
    share = bacterial / (bacterial + viral)
    assert prediction.cause == pytest.approx({"bacterial": share, "viral": 1 - share}, abs=0.01)


def test_cases_are_named_by_their_place_in_the_data_set() -> None:
    image = TrainingImage(
        path="", label="NORMAL", subtype="normal", patient="p", split="train", digest=""
    )
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32), np.uint8)
    for given, expected in (
        (("/a/train/NORMAL/1.png", "/a/Train/pneumonia/2.png"), None),
        (("/a/healthy/1.png", "/a/ill/2.png"), ["healthy/1.png", "ill/2.png"]),
    ):
        images = [dataclasses.replace(image, path=path) for path in given]
        cases = packaging.fit_cases(images, pictures, np.eye(2, 4, dtype=np.float32))
        places = [film.path for film in cases.films]
        assert places == (expected or [path.removeprefix("/a/") for path in given])


@pytest.mark.parametrize(
    ("recipe", "expected"), [(QUICK, 320), (SEED, 8192), (BEST, 8192)], ids=lambda it: str(it)[:20]
)
def test_only_a_training_of_seconds_describes_few_films(recipe: Recipe, expected: int) -> None:
    assert packaging._cases_of(recipe) == expected


def test_the_offset_is_the_even_logit(
    run: Run, classifier: Classifier, validation: Pictures, installation: Settings
) -> None:
    write(run, classifier, validation, installation, even_logit=1.25)
    card = bundle.load(run.bundle).card
    assert card.calibration.offset == 1.25
    assert card.calibration.probability(1.25) == 0.5


def test_a_model_that_answers_differently_is_refused_and_an_earlier_one_kept(
    run: Run,
    classifier: Classifier,
    validation: Pictures,
    installation: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(run, classifier, validation, installation, epochs=3, kept_epoch=3)
    monkeypatch.setattr(export, "largest_logit_difference", lambda *arguments: 0.02)
    with pytest.raises(export.ParityError, match=r"within 0\.01.*a difference of 0\.0200"):
        write(run, classifier, validation, installation)
    assert bundle.load(run.bundle).card.epochs == 3


def test_what_a_killed_process_left_is_in_nobodys_way(
    run: Run, classifier: Classifier, validation: Pictures, installation: Settings
) -> None:
    (run.folder / ".bundle").mkdir()
    (run.folder / ".bundle" / "notes.txt").write_text("half a bundle")
    write(run, classifier, validation, installation)
    assert bundle.load(run.bundle).card.epochs == 9
    assert not (run.bundle / "notes.txt").exists()
