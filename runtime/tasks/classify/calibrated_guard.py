"""The guard as one instrument calibrated it: its own mean and limits in place of the bundle's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from runtime.calibrated.record import CalibrationRecord, read_array
from runtime.errors import CalibrationRefused
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.guard import Guard

MEAN, FITTED_FROM = "mean", "fitted_from"
"""Arrays beside a record, both (features,) float64: the instrument's mean, and that of the bundle
whose guard was moved.
"""
LIMIT, SPECIMEN_LIMIT, FOREIGN_LIMIT = "limit", "specimen_limit", "foreign_limit"


def guarded(
    classifier: TileClassifier, record: CalibrationRecord, *, folder: Path
) -> TileClassifier:
    """Return the classifier guarded by a record of its instrument; one that has no guard as it is.

    Raises like `calibrated_guard`.
    """
    if classifier.guard is None:
        return classifier
    return classifier.guarded(calibrated_guard(classifier.guard, record, folder=folder))


def calibrated_guard(guard: Guard, record: CalibrationRecord, *, folder: Path) -> Guard:
    """Return the guard with mean and limits of a record whose arrays lie in `folder`.

    Raises CalibrationRefused for a record that was made of another model's guard.
    """
    fitted_from, mean = (read_array(record, key, folder=folder) for key in (FITTED_FROM, MEAN))
    if not np.array_equal(fitted_from, guard.mean):
        raise CalibrationRefused(
            f"calibration 'guard for {record.objective}' was made for another model",
            remedy=f"run: nightscope calibrate guard --objective {record.objective}",
        )
    if mean.shape != guard.mean.shape or not np.isfinite(mean).all():
        raise CalibrationRefused(
            f"calibration 'guard for {record.objective}': its mean does not fit the model's",
            value=str(mean.shape),
            limit=f"finite {guard.mean.shape}",
            remedy=f"run: nightscope calibrate guard --objective {record.objective}",
        )
    return replace(
        guard,
        mean=mean.astype(np.float64),
        limit=record.value(LIMIT),
        specimen_limit=record.value(SPECIMEN_LIMIT),
        foreign_limit=record.value(FOREIGN_LIMIT),
    )
