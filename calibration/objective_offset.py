"""Objective offset: what to add to an overview position to see the same point, in focus, with
another objective.
"""

from __future__ import annotations

import math
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
from runtime.calibrated.loaded import require_record, stage_from_px
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.errors import CalibrationRefused
from runtime.instrument.rig import Rig

NCC_LIMIT = 0.5
# The placement of a match: registration, plus one pixel's share of stage error, pixels.
MATCH_SIGMA_PX = 0.2

Matrix = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFit:
    """Where the other objective looks, in stage micrometres, and how well the pictures match."""

    x_um: float
    y_um: float
    sigma_um: float
    ncc: float


def fit_objective_offset(
    overview: NDArray[Any],
    other: NDArray[Any],
    *,
    overview_from_px: Matrix,
    other_from_px: Matrix,
) -> OffsetFit:
    """Return the offset between two objectives' pictures (y, x) taken at one stage position.

    The finer picture is brought to the scale, rotation and handedness of the overview through
    both `stage_from_px` matrices and looked for in it by mean-centred correlation. Found d px from
    the overview's centre, the overview would have to travel `overview_from_px @ d` to see it, so
    the other objective must travel the opposite to see what the overview sees.
    """
    template = _seen_by_overview(other, np.linalg.inv(overview_from_px) @ other_from_px)
    scores = cv2.matchTemplate(overview.astype(np.float32), template, cv2.TM_CCOEFF_NORMED)
    top_y, top_x = np.unravel_index(int(np.argmax(scores)), scores.shape)
    found = np.array([_between(scores[top_y], int(top_x)), _between(scores[:, top_x], int(top_y))])
    middle = (np.array(scores.shape[::-1]) - 1) / 2
    away_um = overview_from_px @ (found - middle)
    pixel_um = float(np.sqrt(abs(np.linalg.det(overview_from_px))))
    return OffsetFit(
        x_um=float(-away_um[0]),
        y_um=float(-away_um[1]),
        sigma_um=MATCH_SIGMA_PX * pixel_um,
        ncc=float(scores[top_y, top_x]),
    )


def judge(fit: OffsetFit, *, z_um: float, sigma_z_um: float) -> Measurement:
    """Return the measurement with its verdict."""
    passed = fit.ncc >= NCC_LIMIT
    return Measurement(
        values={
            "x_um": Measured(fit.x_um, fit.sigma_um, "µm"),
            "y_um": Measured(fit.y_um, fit.sigma_um, "µm"),
            "z_um": Measured(z_um, sigma_z_um, "µm"),
            "ncc": Measured(fit.ncc, 0.0, ""),
        },
        residuals=(1 - fit.ncc,),
        acceptance=f"match ≥ {NCC_LIMIT}",
        passed=passed,
        advice="" if passed else "the objectives show different places: re-seat them in the turret",
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Focus the textured field with overview and `objective`, and file the record."""
    overview = settings.lowest_objective
    matrices = {
        name: stage_from_px(
            require_record(rig, settings, folder=folder, kind="camera-stage", objective=name)
        )
        for name in (overview, objective)
    }
    x_um, y_um = settings.calibration.textured_field_um
    progress(f"objective-offset {objective}: against {overview} at ({x_um:g}, {y_um:g}) µm")
    rig.approach(x_um=x_um, y_um=y_um)
    focused, pictures = {}, {}
    for name in (overview, objective):
        view = open_view(rig, settings, objective=name, folder=folder)
        focused[name], pictures[name] = view.focus(), view.picture()
    fit = fit_objective_offset(
        pictures[overview],
        pictures[objective],
        overview_from_px=matrices[overview],
        other_from_px=matrices[objective],
    )
    outcome = judge(
        fit,
        z_um=focused[objective].z_um - focused[overview].z_um,
        sigma_z_um=math.hypot(*(verdict.sigma_z_um for verdict in focused.values())),
    )
    return file_away(
        rig,
        folder,
        kind="objective-offset",
        objective=objective,
        subject=f"{overview}>{objective}",
        outcome=outcome,
    )


def refuse_the_overview(rig: Rig, settings: Settings, *, objective: str) -> None:
    """Raise CalibrationRefused for the overview objective, which is nowhere but where it is."""
    del rig
    if objective == settings.lowest_objective:
        raise CalibrationRefused(
            f"'{objective}' is the overview objective itself",
            remedy="name the objective of the visits: nightscope calibrate objective-offset",
        )


def _seen_by_overview(other: NDArray[Any], overview_from_other: Matrix) -> NDArray[np.float32]:
    """Return the middle of `other` resampled to the overview's pixels: the template."""
    height, width = other.shape
    scale = float(np.sqrt(abs(np.linalg.det(overview_from_other))))
    # Averaging over one overview pixel before sampling, so that nothing aliases.
    sharp = cv2.GaussianBlur(other.astype(np.float32), (0, 0), max(0.3, 0.5 / scale))
    size = int(0.9 * width * scale), int(0.9 * height * scale)
    inverse = np.linalg.inv(overview_from_other)
    middle_out = (np.array(size) - 1) / 2
    middle_in = (np.array([width, height]) - 1) / 2
    affine = np.column_stack([inverse, middle_in - inverse @ middle_out])
    turned = cv2.warpAffine(
        sharp,
        affine,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(turned, np.float32)


def _between(line: NDArray[Any], at: int) -> float:
    """Return the sub-pixel place of a line's top, by a parabola through it and its neighbours."""
    if not 0 < at < len(line) - 1:
        return float(at)
    low, top, high = (float(value) for value in line[at - 1 : at + 2])
    bend = low - 2 * top + high
    return at + (0.5 * (low - high) / bend if bend < 0 else 0.0)
