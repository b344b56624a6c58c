"""What one number alone tells, by hand-worked numbers."""

import numpy as np
import pandas as pd
import pytest

from pneumo.audit import probes
from pneumo.audit.probes import ALL, QUANTITIES
from pneumo.training.recipe import BEST


def test_area_by_hand() -> None:
    truth = np.array([False, False, True, True])
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    # Pairs: (2,1) won, (2,2) tied, (3,1) won, (3,2) won: 3.5 of 4.
    area, _ = probes.clustered_auc(truth, scores, np.arange(4))
    assert area == 3.5 / 4


def test_variance_of_persons_with_one_film_each_is_delongs() -> None:
    truth = np.array([False, False, True, True])
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    area, interval = probes.clustered_auc(truth, scores, np.arange(4))
    # Wins of the positives 3/4 and 1, of the negatives 1 and 3/4: each of variance 1/32.
    variance = (1 / 32) / 2 + (1 / 32) / 2
    reach = 1.96 * np.sqrt(variance) / (area * (1 - area))
    logit = np.log(area / (1 - area))
    assert interval.low == pytest.approx(1 / (1 + np.exp(reach - logit)))
    assert interval.high == pytest.approx(1 / (1 + np.exp(-reach - logit)))


def test_classes_that_do_not_overlap_leave_a_doubt_all_the_same() -> None:
    truth = np.array([False] * 6 + [True] * 4)
    area, interval = probes.clustered_auc(truth, truth.astype(float), np.arange(10))
    assert (area, interval.high) == (1, 1)
    assert interval.low == pytest.approx(4 / (4 + 1.96**2), abs=1e-3)  # none of four persons wrong
    area, interval = probes.clustered_auc(truth, -truth.astype(float), np.arange(10))
    assert (area, interval.low) == (0, 0)
    assert interval.high == pytest.approx(1.96**2 / (4 + 1.96**2), abs=1e-3)


def test_copies_of_a_film_narrow_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.5
    scores = rng.normal(size=200) + truth
    area, interval = probes.clustered_auc(truth, scores, np.arange(200))
    copied = [np.repeat(it, 5) for it in (truth, scores, np.arange(200))]
    same_area, same_interval = probes.clustered_auc(*copied)
    assert same_area == pytest.approx(area)
    assert same_interval.low == pytest.approx(interval.low)
    assert same_interval.high == pytest.approx(interval.high)
    _, narrower = probes.clustered_auc(copied[0], copied[1], np.arange(1000))
    assert narrower.low > interval.low + 0.02


def test_the_interval_holds_the_true_area_19_times_in_20() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        persons = np.repeat(np.arange(60), 3)
        truth = persons % 2 == 1
        scores = rng.normal(size=60)[persons] + truth  # films of a person are all alike
        _, interval = probes.clustered_auc(truth, scores, persons)
        held += interval.low <= 0.7602 <= interval.high  # Φ(1/√2)
    assert 180 <= held <= 198


def films_with(values: dict[str, np.ndarray], films: int) -> pd.DataFrame:
    return pd.DataFrame({name: values.get(name, np.ones(films)) for name in QUANTITIES})


def test_either_direction_is_learnt_and_what_does_not_vary_is_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(400) % 2 == 1
    table = films_with(
        {
            "mean": np.where(truth, 100.0, 120.0) + rng.normal(size=400),
            "aspect_ratio": truth + rng.normal(size=400),
            "sharpness": rng.normal(size=400),
        },
        400,
    )
    found = {it.quantity: it for it in probes.probe(table, truth, np.arange(400))}
    assert list(found) == ["mean", "aspect_ratio", "sharpness", ALL]
    assert found["mean"].roc_auc == 1.0
    assert found["mean"].normal == pytest.approx(120, abs=0.3)
    assert found["mean"].pneumonia == pytest.approx(100, abs=0.3)
    assert found["aspect_ratio"].roc_auc == pytest.approx(0.76, abs=0.05)
    assert found["sharpness"].interval.low < 0.5
    assert found[ALL].roc_auc > 0.99


def test_what_is_true_of_one_person_only_is_not_learnt() -> None:
    rng = np.random.default_rng(0)
    # Forty persons of twenty films; a number that names the person, and nothing else.
    persons = np.repeat(np.arange(40), 20)
    truth = persons % 2 == 1
    table = films_with({"mean": rng.permutation(40)[persons].astype(float)}, 800)
    (by_itself, together) = probes.probe(table, truth, persons)
    assert by_itself.interval.low < 0.6
    assert together.interval.low < 0.6


def test_too_few_patients_are_not_probed() -> None:
    truth = np.arange(18) % 2 == 1
    assert probes.probe(films_with({"mean": np.arange(18.0)}, 18), truth, np.arange(18)) == []


def test_what_the_best_recipe_answers() -> None:
    from dataclasses import asdict

    answer = probes.answer_of(asdict(BEST.augmentation), "corners")
    assert answer == "corner blackout 0.5, markers 0.5, frame swap 0.5"
    assert all(probes.answer_of(asdict(BEST.augmentation), it) for it in probes.FAMILIES)
