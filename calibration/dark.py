"""Dark frame: what the camera gives with the light off, and its read noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.imaging import EXPOSURE_MS
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.instrument.rig import Rig

FRAMES = 10
# As shares of full scale: a brighter dark frame means light gets in or the offset is set wrongly.
LEVEL_LIMIT = 0.1
NOISE_LIMIT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkFit:
    """`mean` is (y, x) float32 in digital numbers; `read_noise` one frame's σ; `levels` the mean
    of every frame in order.
    """

    mean: NDArray[np.float32]
    read_noise: float
    levels: tuple[float, ...]


def fit_dark(frames: NDArray[Any]) -> DarkFit:
    """Return the mean and noise of dark frames (n, y, x), n at least 2.

    The noise is half the variance of consecutive differences, so the fixed pattern drops out
    (EMVA Standard 1288).
    """
    values = frames.astype(np.float32)
    return DarkFit(
        mean=values.mean(axis=0),
        read_noise=float(np.sqrt(np.mean(np.diff(values, axis=0).var(axis=(1, 2))) / 2)),
        levels=tuple(float(level) for level in values.mean(axis=(1, 2))),
    )


def judge(fit: DarkFit, *, full_scale: int) -> Measurement:
    """Return the measurement with its verdict."""
    level = float(np.mean(fit.levels))
    passed = level <= LEVEL_LIMIT * full_scale and fit.read_noise <= NOISE_LIMIT * full_scale
    return Measurement(
        values={
            "level": Measured(level, float(np.std(fit.levels)) / len(fit.levels) ** 0.5, "DN"),
            "read_noise": Measured(fit.read_noise, fit.read_noise / fit.mean.size**0.5, "DN"),
        },
        residuals=tuple(seen - level for seen in fit.levels),
        acceptance=(
            f"level ≤ {LEVEL_LIMIT * full_scale:.0f} DN, noise ≤ {NOISE_LIMIT * full_scale:.0f} DN"
        ),
        passed=passed,
        advice="" if passed else "darken the room, close the shutter, check the camera's offset",
        arrays={"dark": fit.mean},
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Take dark frames and file the record; needs no specimen and moves nothing."""
    del settings, objective
    progress(f"dark: {FRAMES} frames with the light off")
    rig.light.off()
    frames = np.stack([rig.camera.capture(exposure_ms=EXPOSURE_MS).pixels for _ in range(FRAMES)])
    outcome = judge(fit_dark(frames), full_scale=rig.camera.info.full_scale)
    return file_away(rig, folder, kind="dark", objective="", subject="", outcome=outcome)
