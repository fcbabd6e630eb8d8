"""Fit the guard: the distribution of what training shows, as all cameras there are record it, and
the distances and the score at which doubt begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from export.datasets.cameras import Light, light_of, random_camera
from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.views import ViewField, views_of
from export.progress import Progress, silent
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.descriptor import DESCRIPTOR_VERSION, SPECIMEN, describe
from runtime.tasks.classify.record import Trust
from runtime.tile import Pixels

MEAN, WHITENING, SPECIMEN_WHITENING = (
    "trust_mean.npy",
    "trust_whitening.npy",
    "trust_specimen_whitening.npy",
)
# Share of validation views allowed beyond either limit. They are of few specimens, but of more
# cameras than any one instrument is.
FALSE_ALARMS = 0.1
# A feature that never varies in training (no pixel saturated, say) still may, by this much: 0.02 of
# an arcsin root is a share of 0.04 %.
LEAST_DEVIATION = 0.02
# White noise is 1; a picture in which points eight apart differ no more than neighbours is none.
LEAST_BLANK_LIMIT, BLANK_QUANTILE = 0.98, 0.999
# What is nearly blank shows the camera alone: it is no part of what the model knows.
NEARLY_BLANK = 0.93
# Fewer training or validation views say nothing of what is usual; more teach nothing new.
LEAST_VIEWS, LEAST_HELD_OUT, MOST_IMAGES = 20, 5, 1500
# Of the labels that are trusted this share may be wrong, but no more than that are doubted for it.
WRONG_SHARE, MOST_UNSURE = 0.005, 0.025
CAMERA_STREAM = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGuard:
    """`mean` (features,), `whitening` (features, features) and `specimen_whitening`, of the
    specimen's features, are float64; the numbers are the manifest's: see
    `runtime.tasks.classify.record.Trust`.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    specimen_whitening: NDArray[np.float64]
    limit: float
    specimen_limit: float
    blank_limit: float
    false_alarms: float

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays by file name."""
        return {
            MEAN: self.mean,
            WHITENING: self.whitening,
            SPECIMEN_WHITENING: self.specimen_whitening,
        }

    def trust(self, *, least_score: float) -> Trust:
        """Return the guard's record for the manifest."""
        return Trust(
            descriptor=DESCRIPTOR_VERSION,
            mean=MEAN,
            whitening=WHITENING,
            specimen_whitening=SPECIMEN_WHITENING,
            limit=self.limit,
            specimen_limit=self.specimen_limit,
            blank_limit=self.blank_limit,
            least_score=least_score,
            false_alarms=self.false_alarms,
        )


def fit_guard(
    parts: DataSplit, field: ViewField, spec: PreprocessSpec, *, progress: Progress = silent
) -> FittedGuard | None:
    """Return the guard of divided images, from the views the runtime would cut.

    None when there are fewer than 20 views to train on or 5 to fit the limits on. At most 1500
    images of each part are looked at, evenly spread; each is recorded by a camera of its own, those
    of the validation uncompressed.
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

    The covariance is shrunk (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), a limit the
    distance that 10 % of the validation views exceed. Views that are nearly blank teach nothing but
    where blank begins.
    """
    seen, blank = _descriptions(training, spec)
    held_out, held_blank = _descriptions(validation, spec)
    if len(seen) < LEAST_VIEWS or len(held_out) < LEAST_HELD_OUT:
        return None
    seen, held_out = seen[_telling(blank)], held_out[_telling(held_blank)]
    mean, whitening = _whiten(seen)
    _, specimen_whitening = _whiten(seen[:, SPECIMEN])
    away = held_out - mean
    whole = np.linalg.norm(away @ whitening.T, axis=1)
    specimen = np.linalg.norm(away[:, SPECIMEN] @ specimen_whitening.T, axis=1)
    limit, specimen_limit = _usual(whole), _usual(specimen)
    return FittedGuard(
        mean=mean,
        whitening=whitening,
        specimen_whitening=specimen_whitening,
        limit=limit,
        specimen_limit=specimen_limit,
        blank_limit=max(LEAST_BLANK_LIMIT, float(np.quantile(blank, BLANK_QUANTILE))),
        false_alarms=float(((whole > limit) | (specimen > specimen_limit)).mean()),
    )


def least_score(scores: NDArray[np.float32], target: NDArray[np.int64]) -> float:
    """Return the score below which a label is doubted, from the (n, classes) scores of validation
    images and their classes.

    It is the lowest one at which no more than 0.5 % of the labels that are left are wrong, or that
    which 2.5 % of all labels lie below, if that is lower.
    """
    best, wrong = scores.max(axis=1), scores.argmax(axis=1) != target
    order = np.argsort(best)
    left = np.arange(len(best), 0, -1)
    still_wrong = wrong[order][::-1].cumsum()[::-1]
    fine = np.flatnonzero(still_wrong <= WRONG_SHARE * left)
    wanted = best[order][fine[0]] if len(fine) else 1.0
    return float(min(wanted, np.quantile(best, MOST_UNSURE), 0.999))


def _telling(blankness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which views to learn from; all of them where hardly any is left."""
    telling = blankness < NEARLY_BLANK
    return telling if telling.sum() >= len(telling) / 4 else np.ones_like(telling)


def _usual(distances: NDArray[np.float64]) -> float:
    return float(np.quantile(distances, 1 - FALSE_ALARMS, method="higher"))


def _views(
    images: LabelledImages, field: ViewField, *, progress: Progress, part: str
) -> Iterator[Pixels]:
    chosen = np.unique(np.linspace(0, len(images) - 1, MOST_IMAGES).astype(int))
    for done, index in enumerate(chosen.tolist(), start=1):
        rng = np.random.default_rng([CAMERA_STREAM, part == "training", index])
        camera = random_camera(rng, compressed=part == "training")
        pixels = camera.record(_light(images, index), rng)
        yield from (pixels[view] for view in views_of(images, index, field))
        progress(f"guard: {part}", done, len(chosen))


def _light(images: LabelledImages, index: int) -> Light:
    return light_of(images.load(index)) if images.light is None else images.light(index)


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
