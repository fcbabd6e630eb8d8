"""Fit the guard: the distribution of what training shows, as all cameras there are record it, the
way from there to what is foreign, and the distances and the score at which doubt begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from export.datasets.cameras import Light, light_of, random_camera
from export.datasets.foreign import foreign_light
from export.datasets.kindred import kindred
from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.views import ViewField, views_of
from export.progress import Progress, silent
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.descriptor import (
    DESCRIPTOR_VERSION,
    KIND,
    SPECIMEN,
    USUAL,
    describe,
)
from runtime.tasks.classify.record import Trust
from runtime.tile import Pixels

MEAN, WHITENING, SPECIMEN_WHITENING, TOWARDS = (
    "trust_mean.npy",
    "trust_whitening.npy",
    "trust_specimen_whitening.npy",
    "trust_towards.npy",
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
# Share of the validation labels that are doubted for their score.
UNSURE = 0.04
CAMERA_STREAM, KINDRED_STREAM, FOREIGN_STREAM = 31, 32, 33
# How freely the machine that tells what is foreign may weigh single features. By Newton's steps it
# comes to the same limits wherever it is fitted; one that stops on its way does not.
FREEDOM, CONVERGED, MOST_STEPS = 3.0, 1e-10, 100
# Its limit is beyond that which so few views of other specimens exceed. Of the validation there are
# a third as many: what 0.5 % of those exceed hangs on one view or two.
FOREIGN_FALSE_ALARMS, FOREIGN_ALLOWANCE = 0.005, 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGuard:
    """`mean` (features,), the square `whitening` and `specimen_whitening` and `towards` are float64
    and as in `runtime.tasks.classify.guard.Guard`; the numbers are the manifest's: see
    `runtime.tasks.classify.record.Trust`.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    specimen_whitening: NDArray[np.float64]
    towards: NDArray[np.float64]
    limit: float
    specimen_limit: float
    foreign_limit: float
    blank_limit: float
    false_alarms: float

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays by file name."""
        return {
            MEAN: self.mean,
            WHITENING: self.whitening,
            SPECIMEN_WHITENING: self.specimen_whitening,
            TOWARDS: self.towards,
        }

    def trust(self, *, least_score: float) -> Trust:
        """Return the guard's record for the manifest."""
        return Trust(
            descriptor=DESCRIPTOR_VERSION,
            mean=MEAN,
            whitening=WHITENING,
            specimen_whitening=SPECIMEN_WHITENING,
            towards=TOWARDS,
            limit=self.limit,
            specimen_limit=self.specimen_limit,
            foreign_limit=self.foreign_limit,
            blank_limit=self.blank_limit,
            least_score=least_score,
            false_alarms=self.false_alarms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardViews:
    """Views to fit a guard on, each (y, x) uint8 or uint16: of what training shows, of other
    specimens of its kind, of what is foreign, and those of the validation.
    """

    training: Iterable[Pixels]
    kindred: Iterable[Pixels]
    foreign: Iterable[Pixels]
    validation: Iterable[Pixels]


def fit_guard(
    parts: DataSplit, field: ViewField, spec: PreprocessSpec, *, progress: Progress = silent
) -> FittedGuard | None:
    """Return the guard of divided images, from the views the runtime would cut.

    None when there are fewer than 20 views to train on or 5 to fit the limits on. At most 1500
    images of each part are looked at, evenly spread; each is recorded by a camera of its own, those
    of the validation uncompressed. Each image of the training is seen three times: as it is, as
    another specimen of its kind, and with something foreign in its place.
    """
    train, check = parts.train, parts.validation

    def known(index: int, _: np.random.Generator) -> Light:
        return _light(train, index)

    def related(index: int, rng: np.random.Generator) -> Light:
        return kindred(_light(train, index), rng)

    def foreign(index: int, rng: np.random.Generator) -> Light:
        height, width = train.shape_px[index].tolist()
        return foreign_light((height, width), rng)

    return fit(
        GuardViews(
            training=_views(train, field, known, (CAMERA_STREAM, 1), progress),
            kindred=_views(train, field, related, (KINDRED_STREAM, 1), progress),
            foreign=_views(train, field, foreign, (FOREIGN_STREAM, 1), progress),
            validation=_views(
                check, field, lambda index, _: _light(check, index), (CAMERA_STREAM, 0), progress
            ),
        ),
        spec,
    )


def fit(views: GuardViews, spec: PreprocessSpec) -> FittedGuard | None:
    """Return the guard of views; None when they are too few.

    The covariance is shrunk (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), a limit the
    distance that 10 % of the validation views exceed; that towards what is foreign is 15 % more
    than 0.5 % of the other specimens' views exceed. Views that are nearly blank teach nothing but
    where blank begins.
    """
    seen, blank = _descriptions(views.training, spec)
    held_out, held_blank = _descriptions(views.validation, spec)
    if len(seen) < LEAST_VIEWS or len(held_out) < LEAST_HELD_OUT:
        return None
    seen, held_out = seen[_telling(blank)], held_out[_telling(held_blank)]
    whitening = _whiten(seen[:, USUAL])
    specimen_whitening = _whiten(seen[:, USUAL][:, SPECIMEN])
    related, foreign = (_shown(one, spec) for one in (views.kindred, views.foreign))
    mean = seen.mean(axis=0)
    towards = towards_foreign(np.concatenate([seen, related])[:, KIND], foreign[:, KIND])
    others = (related - mean)[:, KIND] @ towards
    away = held_out - mean
    distances = (
        np.linalg.norm(away[:, USUAL] @ whitening.T, axis=1),
        np.linalg.norm(away[:, USUAL][:, SPECIMEN] @ specimen_whitening.T, axis=1),
        away[:, KIND] @ towards,
    )
    limits = (
        _usual(distances[0], FALSE_ALARMS),
        _usual(distances[1], FALSE_ALARMS),
        FOREIGN_ALLOWANCE * _usual(others, FOREIGN_FALSE_ALARMS),
    )
    beyond = [d > limit for d, limit in zip(distances, limits, strict=True)]
    return FittedGuard(
        mean=mean,
        whitening=whitening,
        specimen_whitening=specimen_whitening,
        towards=towards,
        limit=limits[0],
        specimen_limit=limits[1],
        foreign_limit=limits[2],
        blank_limit=max(LEAST_BLANK_LIMIT, float(np.quantile(blank, BLANK_QUANTILE))),
        false_alarms=float(np.any(beyond, axis=0).mean()),
    )


def least_score(scores: NDArray[np.float32]) -> float:
    """Return the score below which a label is doubted, from the (n, classes) scores of validation
    images: 2 % of their labels lie below.

    It does not ask which of them are wrong: they are of a specimen that is known, and hardly any
    is, while as many labels of another specimen are wrong as lie that near to another class.
    """
    return float(min(np.quantile(scores.max(axis=1), UNSURE), 0.999))


def towards_foreign(
    known: NDArray[np.float64], foreign: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (features,) weights by which what is foreign is told, in deviations of what is
    known, from (views, features) of either.
    """
    deviation = np.maximum(known.std(axis=0), LEAST_DEVIATION)
    away = np.concatenate([known, foreign]) - known.mean(axis=0)
    machine = LogisticRegression(
        C=FREEDOM,
        class_weight="balanced",
        solver="newton-cholesky",
        tol=CONVERGED,
        max_iter=MOST_STEPS,
    )
    machine.fit(away / deviation, np.repeat([0, 1], [len(known), len(foreign)]))
    weights = machine.coef_[0] / deviation
    return np.asarray(weights / (known @ weights).std())


def _telling(blankness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which views to learn from; all of them where hardly any is left."""
    telling = blankness < NEARLY_BLANK
    return telling if telling.sum() >= len(telling) / 4 else np.ones_like(telling)


def _usual(distances: NDArray[np.float64], false_alarms: float) -> float:
    return float(np.quantile(distances, 1 - false_alarms, method="higher"))


def _views(
    images: LabelledImages,
    field: ViewField,
    show: Callable[[int, np.random.Generator], Light],
    stream: tuple[int, int],
    progress: Progress,
) -> Iterator[Pixels]:
    """Yield the views of images, each shown as `show` has it and recorded by some camera."""
    chosen = np.unique(np.linspace(0, len(images) - 1, MOST_IMAGES).astype(int))
    for done, index in enumerate(chosen.tolist(), start=1):
        rng = np.random.default_rng([*stream, index])
        camera = random_camera(rng, compressed=bool(stream[1]))
        pixels = camera.record(show(index, rng), rng)
        yield from (pixels[view] for view in views_of(images, index, field))
        progress(f"guard: {'training' if stream[1] else 'validation'}", done, len(chosen))


def _light(images: LabelledImages, index: int) -> Light:
    return light_of(images.load(index)) if images.light is None else images.light(index)


def _descriptions(
    views: Iterable[Pixels], spec: PreprocessSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (views, features) features and the (views,) blankness."""
    found = [describe(pixels, sample(pixels, spec, counted=True), spec) for pixels in views]
    return np.array([one.features for one in found]), np.array([one.blankness for one in found])


def _shown(views: Iterable[Pixels], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the features of the views that are not nearly blank."""
    features, blank = _descriptions(views, spec)
    return features[_telling(blank)]


def _whiten(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric whitening of the standardised features."""
    deviation = np.maximum(seen.std(axis=0), LEAST_DEVIATION)
    fitted = LedoitWolf(assume_centered=True).fit((seen - seen.mean(axis=0)) / deviation)
    values, vectors = np.linalg.eigh(fitted.covariance_)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return np.asarray(root / deviation)
