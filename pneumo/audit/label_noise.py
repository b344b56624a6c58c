"""Labels that a classifier which has never seen the patient is sure are others.

Confident disagreement out of fold, as in confident learning (Northcutt et al., JAIR 70, 2021):
such films are worth a second look by somebody who can read them, no more.

scikit-learn is imported where it computes: pages load this module.
"""

import numpy as np

from pneumo.audit.probes import folds

CONFIDENT = 0.9
"""Probability of the other class from which a label is doubted."""

LEAST_AUC = 0.8
"""A classifier that tells the classes apart worse than this has no business doubting labels."""

FITTED_ON = 20_000
"""Films that a fold learns from at most, to bound memory."""

_JUDGED_TOGETHER = 4096


def probabilities(
    features: np.ndarray, is_pneumonia: np.ndarray, persons: np.ndarray
) -> np.ndarray | None:
    """The probability of PNEUMONIA of each film, by a classifier that learnt from other persons.

    A logistic regression on standardised features; both classes weigh alike. Its penalty is the
    same for each film however many there are.

    Args:
        features: shape (films, features).
        is_pneumonia: as labelled, bool, shape (films,).
        persons: int from 0, shape (films,).

    Returns: float64, shape (films,); None where there are too few patients.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.full(len(features), np.nan)
    for learnt, judged in folds(is_pneumonia, persons):
        if len(learnt) > FITTED_ON:
            learnt = np.random.default_rng(0).choice(learnt, FITTED_ON, replace=False)
        classifier = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=5 / len(learnt), class_weight="balanced", max_iter=300),
        )
        classifier.fit(features[learnt].astype(np.float32), is_pneumonia[learnt])
        for start in range(0, len(judged), _JUDGED_TOGETHER):
            part = judged[start : start + _JUDGED_TOGETHER]
            found[part] = classifier.predict_proba(features[part].astype(np.float32))[:, 1]
    return None if np.isnan(found).any() else found


def doubted(is_pneumonia: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Places of the films whose label is doubted, the most doubtful first."""
    of_the_other = np.where(is_pneumonia, 1 - probability, probability)
    order = np.argsort(-of_the_other, kind="stable")
    return order[of_the_other[order] >= CONFIDENT]
