"""Flat field: the relative brightness of every pixel in an empty field of the slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.imaging import open_view
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.loaded import require_record
from runtime.calibrated.record import CalibrationRecord, read_array
from runtime.config.settings import Settings
from runtime.instrument.rig import Rig

# Specks on the slide move with the stage, dust on the sensor does not: a 3 x 3 of places.
STEPS_UM = (-30.0, 0.0, 30.0)
SMOOTH_PX = 1.5
# A speck in one frame, after smoothing away the noise, stands out of the mean by more than this.
CONTRAST_PX = 4.0
CONTRAST_LIMIT = 0.03
DIMMEST = 0.2

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatFit:
    """`flat` is (y, x) float32 of mean 1. `contrast` is the largest smoothed departure of any
    frame from the flat, as a share; `noise` what is left of the noise in one pixel of it.
    """

    flat: Image
    level: float
    contrast: float
    contrasts: tuple[float, ...]
    noise: float


def fit_flat_field(frames: NDArray[Any], dark: NDArray[Any]) -> FlatFit:
    """Return the flat field of raw frames (n, y, x), n at least 2, of empty places.

    Every frame is first divided by its own mean (the lamp may drift). Fine detail is kept only as
    far as the two halves of the frames agree on it: pixel-to-pixel response stays, noise, which
    would become a fixed pattern in every corrected tile, is smoothed away.
    """
    values = frames.astype(np.float32) - dark.astype(np.float32)
    levels = values.mean(axis=(1, 2), keepdims=True)
    values /= levels
    mean: Image = values.mean(axis=0)
    smooth = _blurred(mean, SMOOTH_PX)
    # The noise of even and odd frames is independent, so the covariance of their fine detail is the
    # variance of the true pattern alone; its share of the whole is the gain of a Wiener filter.
    even, odd = values[::2].mean(axis=0), values[1::2].mean(axis=0)
    pattern = float(np.mean((even - _blurred(even, SMOOTH_PX)) * (odd - _blurred(odd, SMOOTH_PX))))
    total = float(np.mean((mean - smooth) ** 2))
    kept = min(1.0, max(0.0, pattern) / total) if total > 0 else 0.0
    flat = smooth + np.float32(kept) * (mean - smooth)
    flat /= flat.mean()
    contrasts = tuple(
        float(np.abs(_blurred(frame / flat, CONTRAST_PX) - 1).max()) for frame in values
    )
    return FlatFit(
        flat=flat,
        level=float(levels.mean()),
        contrast=max(contrasts),
        contrasts=contrasts,
        noise=kept * float(np.sqrt(max(0.0, total - pattern))),
    )


def judge(fit: FlatFit) -> Measurement:
    """Return the measurement with its verdict."""
    dimmest = float(_blurred(fit.flat, CONTRAST_PX).min())
    advice = ""
    if fit.contrast > CONTRAST_LIMIT:
        advice = "something lies in the field: set calibration.empty_field_um to a clean place"
    elif dimmest < DIMMEST:
        advice = "part of the field is dark: centre the condenser and open the field stop"
    return Measurement(
        values={
            "contrast": Measured(fit.contrast, fit.noise, ""),
            "dimmest": Measured(dimmest, fit.noise, ""),
            "level": Measured(fit.level, 0.0, "DN"),
        },
        residuals=fit.contrasts,
        acceptance=f"contrast ≤ {CONTRAST_LIMIT:.0%}, dimmest spot ≥ {DIMMEST:.0%} of the mean",
        passed=not advice,
        advice=advice,
        arrays={"flat": fit.flat},
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Photograph the empty field at nine places and file the record; needs the dark record."""
    record = require_record(rig, settings, folder=folder, kind="dark")
    dark = read_array(record, "dark", folder=folder)
    x_um, y_um = settings.calibration.empty_field_um
    progress(f"flat-field {objective}: nine places around ({x_um:g}, {y_um:g}) µm")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    frames = []
    for dy in STEPS_UM:
        for dx in STEPS_UM:
            rig.approach(x_um=x_um + dx, y_um=y_um + dy)
            frames.append(view.raw())
    outcome = judge(fit_flat_field(np.stack(frames), dark))
    return file_away(
        rig, folder, kind="flat-field", objective=objective, subject=objective, outcome=outcome
    )


def _blurred(picture: NDArray[Any], sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)
