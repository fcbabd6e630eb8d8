"""Fit the guard: what the training set looks like, and how far from it is too far."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from export.guard import FittedGuard
from runtime.errors import InputRefused
from runtime.inference.descriptor import describe
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tile import Pixels

# Share of validation views allowed beyond the limit before it is widened.
FALSE_ALARMS = 0.01
# Validation views come from few specimens: the next one lies further out than they do.
ALLOWANCE = 1.15
# A feature that never varies in training (no pixel saturated, say) still may, by this much: 0.05 of
# an arcsin root is a share of 0.25 %.
LEAST_DEVIATION = 0.05
# White noise is 1; a picture in which points eight apart differ no more than that is none.
LEAST_BLANK_LIMIT, BLANK_QUANTILE = 0.98, 0.999
LEAST_VIEWS = 20


def fit_guard(
    training: Iterable[Pixels], validation: Iterable[Pixels], spec: PreprocessSpec
) -> FittedGuard:
    """Return the guard of views as the network sees them, (y, x) uint8 or uint16, raw.

    The covariance is shrunk (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), the limit the
    distance that 1 % of the validation views exceed, widened by 15 %. Raises InputRefused for fewer
    than 20 views of either set.
    """
    seen, blank = _descriptors(training, spec, name="training")
    held_out, _ = _descriptors(validation, spec, name="validation")
    mean, whitening = _whiten(seen)
    distances = np.linalg.norm((held_out - mean) @ whitening.T, axis=1)
    limit = ALLOWANCE * float(np.quantile(distances, 1 - FALSE_ALARMS, method="higher"))
    usual = float(np.quantile(blank, BLANK_QUANTILE, method="higher"))
    return FittedGuard(
        mean=mean,
        whitening=whitening,
        limit=limit,
        blank_limit=max(LEAST_BLANK_LIMIT, usual),
        false_alarms=float((distances > limit).mean()),
    )


def _descriptors(
    views: Iterable[Pixels], spec: PreprocessSpec, *, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (views, features) descriptors and the (views,) blankness."""
    found = [describe(pixels, sample(pixels, spec), spec) for pixels in views]
    if len(found) < LEAST_VIEWS:
        raise InputRefused(
            f"too few {name} views to say what is strange",
            value=str(len(found)),
            limit=f"at least {LEAST_VIEWS}",
            remedy=f"add images to the {name} split",
        )
    return np.stack([one.features for one in found]), np.array([one.blankness for one in found])


def _whiten(seen: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the symmetric whitening of the standardised features."""
    mean = seen.mean(axis=0)
    deviation = np.maximum(seen.std(axis=0), LEAST_DEVIATION)
    fitted = LedoitWolf(assume_centered=True).fit((seen - mean) / deviation)
    values, vectors = np.linalg.eigh(fitted.covariance_)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return mean, root / deviation
