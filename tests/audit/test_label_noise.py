"""Wrong labels among features that tell the classes apart."""

import numpy as np
import pytest

from pneumo.audit import label_noise


def features_of(truth: np.ndarray, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(len(truth), 50))
    features[:, :20] += 3.0 * truth[:, np.newaxis]
    return features.astype(np.float16)


def test_labels_that_were_swapped_are_doubted_and_no_others() -> None:
    truth = np.arange(500) % 2 == 1
    labelled = truth.copy()
    swapped = [3, 100, 250, 401]
    labelled[swapped] = ~labelled[swapped]
    probability = label_noise.probabilities(features_of(truth), labelled, np.arange(500))
    assert probability is not None
    assert sorted(label_noise.doubted(labelled, probability)) == swapped


def test_the_most_doubtful_comes_first_and_the_unsure_not_at_all() -> None:
    labelled = np.array([True, True, False, False])
    probability = np.array([0.06, 0.11, 0.97, 0.5])
    assert label_noise.doubted(labelled, probability).tolist() == [2, 0]


def test_a_person_is_judged_by_others_only() -> None:
    # Each person has a feature of its own; whoever learns from the person knows the label.
    persons = np.repeat(np.arange(40), 5)
    labels = np.random.default_rng(0).permutation(np.arange(40) % 2 == 1)[persons]
    features = np.eye(40, dtype=np.float16)[persons]
    probability = label_noise.probabilities(features, labels, persons)
    assert probability is not None
    assert np.mean((probability >= 0.5) == labels) < 0.6


def test_learning_from_some_of_many_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_noise, "FITTED_ON", 100)
    monkeypatch.setattr(label_noise, "_JUDGED_TOGETHER", 30)
    truth = np.arange(500) % 2 == 1
    probability = label_noise.probabilities(features_of(truth), truth, np.arange(500))
    assert probability is not None
    assert np.mean((probability >= 0.5) == truth) > 0.97


def test_too_few_patients_are_not_judged() -> None:
    truth = np.arange(18) % 2 == 1
    assert label_noise.probabilities(features_of(truth), truth, np.arange(18)) is None
