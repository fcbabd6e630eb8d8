"""The baselines on one split: a linear SVM for every kind of histogram and every radius."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.datasets.labelled import DataSplit, LabelledImages
from export.evaluate.baselines.histograms import KINDS, code_shares
from export.evaluate.baselines.svm import fit_svm, svm_scores
from export.evaluate.methods import BASELINE, Method
from export.progress import Progress, silent
from runtime.preprocess.lbp import full_codes

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


def _features(
    images: LabelledImages, shares: dict[str, Shares], kind: str, scales: tuple[int, ...]
) -> NDArray[np.float64]:
    describe = KINDS[kind]
    rows = [
        np.concatenate([describe(shares[name][scale]) for scale in scales])
        for name in images.names.tolist()
    ]
    return np.stack(rows)
