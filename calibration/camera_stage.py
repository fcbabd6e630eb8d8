"""Camera-stage: the matrix from camera pixels to stage micrometres, per objective."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.image_shift import ImageShift, measure_shift
from calibration.imaging import MicroscopeView, open_view
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.instrument.rig import Rig

Matrix = NDArray[np.floating[Any]]

# Moves as shares of the field of view, each way along each stage axis.
SHARES = (-0.3, -0.15, 0.15, 0.3)
NCC_LIMIT = 0.5
# Stage screws err by a few tenths of a micrometre in every turn: 2 % of the longest move.
RESIDUAL_LIMIT = 0.02
PIXEL_SIZE_LIMIT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStageFit:
    """`stage_from_px` is 2x2, µm per px (see runtime.tile), with the σ of every element.

    `rotation_deg` is the direction of the camera's x axis in stage axes; `handedness` -1 where the
    camera sees the stage mirrored. `residuals_um` is (n, 2), what each move misses.
    """

    stage_from_px: Matrix
    sigma: Matrix
    residuals_um: Matrix
    pixel_size_um: float
    pixel_size_sigma_um: float
    rotation_deg: float
    rotation_sigma_deg: float
    handedness: int

    @property
    def residual_um(self) -> float:
        """Return the root mean square miss of a move."""
        return float(np.sqrt(np.mean(np.sum(self.residuals_um**2, axis=1))))


def fit_camera_stage(
    shifts_px: Matrix, moves_um: Matrix, *, shift_variance_px2: float = 0.0
) -> CameraStageFit:
    """Return the matrix that least squares gives for n moves along at least two directions.

    `shifts_px` (n, 2) is (dx, dy), where the content of the moved picture lies against the first
    one's; `moves_um` (n, 2) the stage's travel. The picture is regressed on the stage. The scatter
    of the moves gives σ, but no smaller one than what the matcher claims for a shift,
    `shift_variance_px2`, leaves. Raises ValueError when the moves lie on one line or are fewer than
    three.
    """
    if len(moves_um) < 3 or np.linalg.matrix_rank(moves_um, tol=1e-6) < 2:
        raise ValueError("camera-stage needs at least three moves, not all along one line")
    # The noise is in the shifts, so these are regressed on the moves: the other way round noise
    # would shrink the matrix. What is wanted is then the inverse.
    solution, *_ = np.linalg.lstsq(moves_um, shifts_px, rcond=None)
    px_from_stage = solution.T
    matrix = np.linalg.inv(px_from_stage)
    misses_px = shifts_px - moves_um @ solution
    # Two coordinates a move, less the four elements that were fitted.
    spare = 2 * len(moves_um) - 4
    variance_px2 = max(float(np.sum(misses_px**2)) / spare, shift_variance_px2)
    spread = np.linalg.inv(moves_um.T @ moves_um)
    # d(A⁻¹) = -A⁻¹ dA A⁻¹, with independent rows of A.
    sigma = np.sqrt(
        variance_px2 * np.outer((matrix**2).sum(1), np.diag(matrix.T @ spread @ matrix))
    )
    determinant = float(np.linalg.det(matrix))
    pixel_size = math.sqrt(abs(determinant))
    relative = float(np.sqrt(np.mean(sigma**2))) / pixel_size
    return CameraStageFit(
        stage_from_px=matrix,
        sigma=sigma,
        residuals_um=misses_px @ matrix.T,
        pixel_size_um=pixel_size,
        pixel_size_sigma_um=relative * pixel_size,
        rotation_deg=math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])),
        rotation_sigma_deg=math.degrees(relative),
        handedness=1 if determinant > 0 else -1,
    )


def judge(
    fit: CameraStageFit, *, nominal_um: float, longest_um: float, worst_ncc: float
) -> Measurement:
    """Return the measurement with its verdict against the objective's nominal pixel size."""
    limit_um = RESIDUAL_LIMIT * longest_um
    off = fit.pixel_size_um / nominal_um - 1
    advice = ""
    if worst_ncc < NCC_LIMIT:
        advice = "pictures do not match: set calibration.textured_field_um to fine, lasting detail"
    elif fit.residual_um > limit_um:
        advice = "moves do not repeat: look for a loose specimen, slipping drive or vibration"
    elif abs(off) > PIXEL_SIZE_LIMIT:
        advice = (
            f"pixel size is {off:+.1%} off the nominal {nominal_um:g} µm: check the objective in "
            "use, the tube lens, and pixel_size_um in the settings"
        )
    elements = {
        f"m{row}{column}": Measured(
            float(fit.stage_from_px[row, column]), float(fit.sigma[row, column]), "µm/px"
        )
        for row in (0, 1)
        for column in (0, 1)
    }
    return Measurement(
        values={
            "pixel_size_um": Measured(fit.pixel_size_um, fit.pixel_size_sigma_um, "µm"),
            "rotation_deg": Measured(fit.rotation_deg, fit.rotation_sigma_deg, "°"),
            "handedness": Measured(fit.handedness, 0.0, ""),
            "residual_um": Measured(fit.residual_um, 0.0, "µm"),
            **elements,
        },
        residuals=tuple(float(miss) for miss in np.hypot(*fit.residuals_um.T)),
        acceptance=(
            f"residual ≤ {limit_um:.2f} µm, match ≥ {NCC_LIMIT}, pixel size within "
            f"{PIXEL_SIZE_LIMIT:.0%} of {nominal_um:g} µm"
        ),
        passed=not advice,
        advice=advice,
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Step around the textured field and file the record. Every move arrives from below."""
    x_um, y_um = settings.calibration.textured_field_um
    nominal_um = settings.objectives[objective].pixel_size_um
    progress(f"camera-stage {objective}: steps around ({x_um:g}, {y_um:g}) µm")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    view.focus()
    info = rig.camera.info
    offsets = [(share * info.width_px * nominal_um, 0.0) for share in SHARES]
    offsets += [(0.0, share * info.height_px * nominal_um) for share in SHARES]
    shifts, moves_um = _tour(view, (x_um, y_um), offsets)
    fit = fit_camera_stage(
        np.array([(s.dx_px, s.dy_px) for s in shifts]),
        moves_um,
        shift_variance_px2=float(np.mean([s.variance_px2 for s in shifts])),
    )
    outcome = judge(
        fit,
        nominal_um=nominal_um,
        longest_um=float(np.abs(moves_um).max()),
        worst_ncc=min(shift.ncc for shift in shifts),
    )
    return file_away(
        rig, folder, kind="camera-stage", objective=objective, subject=objective, outcome=outcome
    )


def _tour(
    view: MicroscopeView, centre_um: tuple[float, float], offsets: list[tuple[float, float]]
) -> tuple[list[ImageShift], Matrix]:
    """Return shift and travel of every stop against the centre, freed of steady drift.

    The tour ends where it began; what the last picture has moved by is drift, spread evenly.
    """
    stops = [*offsets, (0.0, 0.0)]
    first, home = view.picture_at(x_um=centre_um[0], y_um=centre_um[1])
    shifts, moves_um = [], []
    for dx, dy in stops:
        picture, reached = view.picture_at(x_um=centre_um[0] + dx, y_um=centre_um[1] + dy)
        shifts.append(measure_shift(first, picture))
        moves_um.append((reached.x_um - home.x_um, reached.y_um - home.y_um))
    drift = shifts[-1]
    freed = [
        ImageShift(
            dx_px=shift.dx_px - drift.dx_px * (at + 1) / len(stops),
            dy_px=shift.dy_px - drift.dy_px * (at + 1) / len(stops),
            ncc=shift.ncc,
            covariance_px2=shift.covariance_px2,
        )
        for at, shift in enumerate(shifts[:-1])
    ]
    return freed, np.array(moves_um[:-1])
