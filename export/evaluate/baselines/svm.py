"""The baselines on one split: a linear SVM for every kind of histogram and every radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from export.datasets.labelled import DataSplit, LabelledImages
from export.evaluate.baselines.histograms import KINDS, code_shares
from export.evaluate.methods import BASELINE, Method
from export.progress import Progress, silent
from runtime.preprocess.lbp import full_codes

C_GRID = tuple(float(10.0**power) for power in range(-4, 3))
FOLDS = 5
RADII_PX = (1, 2, 3)
# Columns of the table: each radius, and their histograms side by side.
COLUMNS = {"r = 1": (0,), "r = 2": (1,), "r = 3": (2,), "r = 1, 2, 3": (0, 1, 2)}

Shares = NDArray[np.float64]


def image_shares(
    parts: DataSplit, *, threads: int, progress: Progress = silent
) -> dict[str, Shares]:
    """Return, by image name, the (radii, 256) shares of LBP codes at full resolution."""
    found: dict[str, Shares] = {}
    every = (parts.train, parts.validation, parts.test)
    total = sum(len(images) for images in every)
    for images in every:
        for index, name in enumerate(images.names.tolist()):
            codes = full_codes(images.load(index), radii_px=RADII_PX, threads=threads)
            found[name] = np.stack([code_shares(one) for one in codes])
            progress("histograms", len(found), total)
    return found


def baseline_scores(
    parts: DataSplit, shares: dict[str, Shares], *, seed: int
) -> dict[Method, NDArray[np.float64]]:
    """Return the (test images, classes) scores of every baseline.

    They need no data to stop or calibrate on, so they learn from the validation images as well.
    """
    learn = (parts.train, parts.validation)
    target = np.concatenate([part.target for part in learn])
    specimen = np.concatenate([part.specimen for part in learn])
    found = {}
    for kind in KINDS:
        for column, scales in COLUMNS.items():
            features = np.concatenate([_features(part, shares, kind, scales) for part in learn])
            machine = fit_svm(features, target, specimen, seed=seed)
            unseen = _features(parts.test, shares, kind, scales)
            found[Method(BASELINE, kind, column)] = svm_scores(machine, unseen)
    return found


def fit_svm(
    features: NDArray[np.float64],
    target: NDArray[np.int64],
    specimen: NDArray[Any],
    *,
    seed: int,
) -> Pipeline:
    """Return the fitted scaler and SVM of (n, features), their (n,) classes and (n,) specimens.

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


def _features(
    images: LabelledImages, shares: dict[str, Shares], kind: str, scales: tuple[int, ...]
) -> NDArray[np.float64]:
    describe = KINDS[kind]
    rows = [
        np.concatenate([describe(shares[name][scale]) for scale in scales])
        for name in images.names.tolist()
    ]
    return np.stack(rows)


def _specimens_of_rarest(target: NDArray[np.int64], specimen: NDArray[Any]) -> int:
    return min(len(np.unique(specimen[target == one])) for one in np.unique(target))
