"""What a night is taken with, as its files and exports say it."""

from __future__ import annotations

import math

from runtime.calibrated.loaded import Calibrated
from runtime.config.settings import Objective, Settings
from runtime.instrument.rig import Rig
from runtime.record.microscope import Microscope, Optics


def microscope_of(rig: Rig, settings: Settings, calibrated: Calibrated) -> Microscope:
    """Return the instrument: its devices, its objectives, and what was measured of both."""
    return Microscope(
        name=settings.instrument.name,
        camera=rig.camera.info.camera_id,
        stage=rig.stage.stage_id,
        objectives={
            name: _optics(name, objective, calibrated)
            for name, objective in settings.objectives.items()
        },
        led_angles_deg=_led_angles_deg(settings, calibrated),
    )


def _optics(name: str, objective: Objective, calibrated: Calibrated) -> Optics:
    matrix = None
    if name in calibrated.matrices:
        (m00, m01), (m10, m11) = calibrated.matrices[name].tolist()
        matrix = ((m00, m01), (m10, m11))
    # What nobody gave is a default of the depth of field, and no property of this lens.
    given = objective.model_fields_set
    return Optics(
        magnification=objective.magnification,
        na=objective.na,
        refractive_index=objective.refractive_index if "refractive_index" in given else None,
        wavelength_um=objective.wavelength_um if "wavelength_um" in given else None,
        stage_from_px=matrix,
        offset_um=calibrated.offsets_um.get(name),
    )


def _led_angles_deg(settings: Settings, calibrated: Calibrated) -> dict[str, float]:
    """Return the angles of the calibrated pair: pictures z out of focus lie 2z tanθ apart."""
    for objective, record in calibrated.led_pairs.items():
        slope = math.hypot(record.value("x_px_per_um"), record.value("y_px_per_um"))
        tangent = slope * calibrated.pixel_size_um(objective) / 2
        return dict.fromkeys(settings.calibration.led_pair, math.degrees(math.atan(tangent)))
    return {}
