"""The distortion that a calibration measured: optional, for overlaps alone tell most of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.calibrated.record import CalibrationRecord, read_array
from runtime.distortion import Distortion, degree_of
from runtime.errors import CalibrationRefused

LEAST_PX, LEAST_SIGMAS = 0.1, 5.0
"""A field that moves no pixel further, or none surely, is none: drawing it would blur more than it
mends. The largest of all displacements along the rim is three sigma by chance."""


def distortion_of(
    record: CalibrationRecord, *, folder: Path, shape_px: tuple[int, int]
) -> Distortion | None:
    """Return the field of a record for frames of (height, width), None for one too small to see.

    Raises CalibrationRefused when its coefficients are lost, or were measured on other frames.
    """
    measured = int(record.value("height_px")), int(record.value("width_px"))
    if measured != shape_px:
        raise CalibrationRefused(
            f"calibration '{record.name}' was measured on frames of another size",
            value=f"{measured[1]} x {measured[0]} px",
            limit=f"{shape_px[1]} x {shape_px[0]} px",
            remedy=f"run: nightscope calibrate {record.kind} --objective {record.objective}",
        )
    array = read_array(record, "coefficients", folder=folder)
    try:
        coefficients = np.asarray(array, np.float64)
        found = Distortion(shape_px, degree_of(len(coefficients)), coefficients)
    except (ValueError, TypeError) as error:
        raise CalibrationRefused(
            f"calibration '{record.name}' holds no field: {error}",
            remedy=f"run: nightscope calibrate {record.kind} --objective {record.objective}",
        ) from None
    sigma_px = max(record.uncertainties.get("largest_px", 0.0), record.value("sigma_px"))
    return found if found.largest_px >= max(LEAST_PX, LEAST_SIGMAS * sigma_px) else None
