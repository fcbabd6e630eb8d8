"""Fit the guard: the distribution of the training views, and the distance at which doubt begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.views import ViewField, views_of
from export.progress import Progress, silent
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.descriptor import DESCRIPTOR_VERSION, describe
from runtime.tasks.classify.record import Trust
from runtime.tile import Pixels

MEAN, WHITENING = "trust_mean.npy", "trust_whitening.npy"
# Share of validation views allowed beyond the limit before it is widened.
FALSE_ALARMS = 0.01
# Validation views come from few specimens: the next one lies further out than they do.
ALLOWANCE = 1.15
# A feature that never varies in training (no pixel saturated, say) still may, by this much: 0.05 of
# an arcsin root is a share of 0.25 %.
LEAST_DEVIATION = 0.05
# White noise is 1; a picture in which points eight apart differ no more than neighbours is none.
LEAST_BLANK_LIMIT, BLANK_QUANTILE = 0.98, 0.999
# Fewer training or validation views say nothing of what is usual; more teach nothing new.
LEAST_VIEWS, LEAST_HELD_OUT, MOST_IMAGES = 20, 5, 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGuard:
    """`mean` (features,) and `whitening` (features, features) float64, and the manifest's numbers:
    see `runtime.tasks.classify.record.Trust`.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    limit: float
    blank_limit: float
    false_alarms: float

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays by file name."""
        return {MEAN: self.mean, WHITENING: self.whitening}

    def trust(self) -> Trust:
        """Return the guard's record for the manifest."""
        return Trust(
            descriptor=DESCRIPTOR_VERSION,
            mean=MEAN,
            whitening=WHITENING,
            limit=self.limit,
            blank_limit=self.blank_limit,
            false_alarms=self.false_alarms,
        )


def fit_guard(
    parts: DataSplit, field: ViewField, spec: PreprocessSpec, *, progress: Progress = silent
) -> FittedGuard | None:
    """Return the guard of divided images, from the views the runtime would cut.

    None when there are fewer than 20 views to train on or 5 to fit the limit on. At most 1500
    images of each part are looked at, evenly spread.
    """
    return fit(
        _views(parts.train, field, progress=progress, part="training"),
        _views(parts.validation, field, progress=progress, part="validation"),
        spec,
    )


def fit(
    training: Iterable[Pixels], validation: Iterable[Pixels], spec: PreprocessSpec
) -> FittedGuard | None:
    """Return the guard of views, (y, x) uint8 or uint16; None when they are too few.

    The covariance is shrunk (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), the limit the
    distance that 1 % of the validation views exceed, widened by 15 %.
    """
    seen, blank = _descriptions(training, spec)
    held_out, _ = _descriptions(validation, spec)
    if len(seen) < LEAST_VIEWS or len(held_out) < LEAST_HELD_OUT:
        return None
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


def _views(
    images: LabelledImages, field: ViewField, *, progress: Progress, part: str
) -> Iterator[Pixels]:
    chosen = np.unique(np.linspace(0, len(images) - 1, MOST_IMAGES).astype(int))
    for done, index in enumerate(chosen.tolist(), start=1):
        pixels = images.load(index)
        yield from (pixels[view] for view in views_of(images, index, field))
        progress(f"guard: {part}", done, len(chosen))


def _descriptions(
    views: Iterable[Pixels], spec: PreprocessSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (views, features) features and the (views,) blankness."""
    found = [describe(pixels, sample(pixels, spec), spec) for pixels in views]
    return np.array([one.features for one in found]), np.array([one.blankness for one in found])


def _whiten(seen: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean, and the symmetric whitening of the standardised features."""
    mean = seen.mean(axis=0)
    deviation = np.maximum(seen.std(axis=0), LEAST_DEVIATION)
    fitted = LedoitWolf(assume_centered=True).fit((seen - mean) / deviation)
    values, vectors = np.linalg.eigh(fitted.covariance_)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return mean, root / deviation
