"""Linear SVMs on votes, and the calibration that makes probabilities of their margins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from runtime.errors import InputRefused

Votes = NDArray[np.float32]
Margins = NDArray[np.float64]
Target = NDArray[np.int64]
FOLDS, SEED = 5, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Probabilities are softmax(`slope` * margins + `offset`), the offset (classes,)."""

    slope: float
    offset: Margins


def calibrate(margins: Margins, target: Target, *, with_offset: bool) -> Calibration:
    """Return the slope and offsets under which (n, classes) margins are most likely.

    One slope for all classes and one offset for each: for two classes that is Platt's sigmoid
    (1999), without offsets it is temperature scaling (Guo et al. 2017, arXiv:1706.04599). A slope
    per class (vector scaling) has twice the parameters and its small classes overfit on the few
    validation images there are. The classes are smoothed as Platt proposes, (N + 1) / (N + classes)
    instead of 1, so that separable votes do not make every score 0 or 1.
    """
    classes = margins.shape[1]
    wanted = _smoothed(target, classes)
    scale = max(float(np.abs(margins).mean()), 1e-12)

    def loss(parameters: Margins) -> tuple[float, Margins]:
        scores = parameters[0] * margins / scale + parameters[1:]
        slopes = (softmax(scores, axis=1) - wanted) / len(target)
        gradient = np.concatenate([[(slopes * margins).sum() / scale], slopes.sum(axis=0)])
        if not with_offset:
            gradient[1:] = 0
        return float(-(wanted * log_softmax(scores, axis=1)).sum() / len(target)), gradient

    # A negative slope would turn every decision round.
    bounds = [(1e-3, None)] + [(None, None)] * classes
    start = np.concatenate([[1.0], np.zeros(classes)])
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(slope=float(fit.x[0]) / scale, offset=np.asarray(fit.x[1:]))


def _smoothed(target: Target, classes: int) -> Margins:
    counts = np.bincount(target, minlength=classes)
    table = np.repeat(1 / (counts + classes)[:, None], classes, axis=1)
    np.fill_diagonal(table, (counts + 1) / (counts + classes))
    # Each row sums to one: the rest of the probability is shared by the other classes.
    return np.asarray(table[target])


def linear_svm(votes: Votes, target: Target, classes: int) -> tuple[Margins, Margins]:
    """Return the (classes, v) weights and (classes,) biases of one-against-rest margins.

    One number scales all votes to mean square one per image, so that C means the same for four
    probabilities and for 8192 features, whose own proportions stay as they are.
    """
    scale = float(np.sqrt(np.mean((votes.astype(float) ** 2).sum(axis=1)))) or 1.0
    fit = LinearSVC(C=1.0, random_state=SEED, max_iter=20_000).fit(votes / scale, target)
    weight, bias = fit.coef_ / scale, fit.intercept_
    if classes == 2:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def unseen_margins(votes: Votes, target: Target, classes: int) -> Margins:
    """Return the (n, classes) margins of every image by an SVM that was not fitted on it."""
    folds = min(FOLDS, int(np.bincount(target, minlength=classes).min()))
    if folds < 2:
        raise InputRefused(
            "a class has one image only, too few to calibrate the scores",
            limit="two images, or a validation split",
        )
    margins = np.empty((len(votes), classes))
    for fitted, unseen in StratifiedKFold(folds, shuffle=True, random_state=SEED).split(
        votes, target
    ):
        weight, bias = linear_svm(votes[fitted], target[fitted], classes)
        margins[unseen] = votes[unseen] @ weight.T + bias
    return margins
