"""Linear SVMs on votes, and the calibration that turns their margins into probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.svm import LinearSVC

Votes = NDArray[np.float32]
Margins = NDArray[np.float64]
Target = NDArray[np.int64]
SEED = 0
# Of margins of mean size one: from scores that say nothing to scores that leave no doubt.
SLOPES = (1e-3, 1e3)


def slope_of(margins: Margins, target: Target) -> float:
    """Return the slope under which softmax(slope * margins) is most likely; (n, classes) margins.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599): decisions stay the SVM's. Offsets, as
    in Platt's sigmoid (1999), would follow the shares of the classes among the few specimens that
    calibrate, and move the decisions with them: on steel, where six specimens calibrate, that cost
    up to 20 points of accuracy on the next ones. The classes are smoothed as Platt proposes,
    (N + 1) / (N + classes) instead of 1, so that separable votes do not make every score 0 or 1.
    """
    wanted = smoothed(target, margins.shape[1])
    scale = max(float(np.abs(margins).mean()), 1e-12)

    def loss(slope: float) -> float:
        return -float((wanted * log_softmax(slope * margins / scale, axis=1)).sum())

    # A negative slope would turn every decision round.
    fit = minimize_scalar(loss, bounds=SLOPES, method="bounded")
    return float(fit.x) / scale


def smoothed(target: Target, classes: int) -> Margins:
    """Return the (n, classes) probabilities to fit, none of them 0 or 1, as Platt proposes."""
    counts = np.bincount(target, minlength=classes)
    table = np.repeat(1 / (counts + classes)[:, None], classes, axis=1)
    np.fill_diagonal(table, (counts + 1) / (counts + classes))
    # Each row sums to one: the rest of the probability is shared by the other classes.
    return np.asarray(table[target])


def linear_svm(votes: Votes, target: Target, classes: int) -> tuple[Margins, Margins]:
    """Return the (classes, v) weights and (classes,) biases of one-against-rest margins.

    One number scales all votes to mean square one per image, so that C means the same for four
    probabilities and for 8192 features, whose own proportions stay as they are. The classes have
    equal weight, as in the networks' loss: otherwise uncertain votes all go to the most frequent
    class.
    """
    scale = float(np.sqrt(np.mean((votes.astype(float) ** 2).sum(axis=1)))) or 1.0
    machine = LinearSVC(C=1.0, class_weight="balanced", random_state=SEED, max_iter=20_000)
    fit = machine.fit(votes / scale, target)
    weight, bias = fit.coef_ / scale, fit.intercept_
    if classes == 2:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
