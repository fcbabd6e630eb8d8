"""A linear support vector machine whose C is chosen by cross-validation over specimens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

C_GRID = tuple(float(10.0**power) for power in range(-4, 3))
FOLDS = 5


def fit_svm(
    features: NDArray[np.float64],
    target: NDArray[np.int64],
    specimen: NDArray[Any],
    *,
    seed: int,
) -> Pipeline:
    """Return the fitted scaler and SVM; (n, features), (n,) classes, (n,) specimens.

    C maximises the balanced accuracy over folds that never share a specimen. With too few
    specimens of a class to fill two folds, C stays 1.
    """
    # The primal problem: few features, and it always converges.
    machine = make_pipeline(
        StandardScaler(), LinearSVC(dual=False, class_weight="balanced", max_iter=5000)
    )
    folds = min(FOLDS, _specimens_of_rarest(target, specimen))
    if folds < 2:
        return machine.fit(features, target)
    search = GridSearchCV(
        machine,
        {"linearsvc__C": C_GRID},
        scoring="balanced_accuracy",
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
    )
    search.fit(features, target, groups=specimen)
    return search.best_estimator_


def svm_scores(machine: Pipeline, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, classes) scores that sum to one and rank as the margins do; not calibrated."""
    margin = np.asarray(machine.decision_function(features))
    if margin.ndim == 1:
        margin = np.stack([-margin, margin], axis=1)
    return np.asarray(softmax(margin, axis=1), dtype=np.float64)


def _specimens_of_rarest(target: NDArray[np.int64], specimen: NDArray[Any]) -> int:
    return min(len(np.unique(specimen[target == one])) for one in np.unique(target))
