"""The calibrations a run relies on: loaded once, refused by name when one cannot serve."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.calibrated.correct import Corrector, NoCorrection
from runtime.calibrated.filing import newest
from runtime.calibrated.record import (
    CalibrationRecord,
    Kind,
    dependency_hash,
    latest,
    require,
    require_passed,
)
from runtime.calibrated.straight import distortion_of
from runtime.config.settings import Settings
from runtime.distortion import Distortion
from runtime.errors import CalibrationRefused
from runtime.instrument.replay import Recording
from runtime.instrument.rig import Rig

PIXEL_SIZE_LIMIT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Valid calibrations of the overview objective and of those that visit.

    `distortion` is the overview's, None where none was measured, as is `guard`, the record of what
    good tiles look like to the model; `led_pairs` those of the objectives that look with a pair
    first; `records` are all of them, for report and journal.
    """

    overview: str
    matrices: dict[str, NDArray[np.float64]]
    correctors: dict[str, Corrector]
    offsets_um: dict[str, tuple[float, float, float]]
    distortion: Distortion | None
    led_pairs: dict[str, CalibrationRecord]
    guard: CalibrationRecord | None
    records: tuple[CalibrationRecord, ...]

    @classmethod
    def load(cls, rig: Rig, settings: Settings, *, objectives: Sequence[str]) -> Calibrated:
        """Return what a plan with these objectives needs; the first one takes the overview.

        Raises CalibrationRefused naming the first record that is missing, stale, failed, made with
        other hardware, or at odds with the settings.
        """
        if rig.recording is not None and settings.recording is not None:
            return cls.stated(rig.recording, settings, objective=objectives[0])
        reader = _Reader(rig, settings)
        dark = reader.need("dark")
        reader.need_small_backlash()
        overview = objectives[0]
        flats = {name: reader.need("flat-field", name) for name in objectives}
        return cls(
            overview=overview,
            matrices={name: reader.matrix(name) for name in objectives},
            correctors={
                name: Corrector.from_records(dark, flat, folder=reader.folder)
                for name, flat in flats.items()
            },
            offsets_um={overview: (0.0, 0.0, 0.0)}
            | {name: reader.offset_um(overview, name) for name in objectives[1:]},
            distortion=reader.distortion(overview),
            led_pairs={name: pair for name in objectives if (pair := reader.led_pair(name))},
            guard=reader.guard(overview),
            records=tuple(reader.records),
        )

    @classmethod
    def stated(cls, recording: Recording, settings: Settings, *, objective: str) -> Calibrated:
        """Return the calibration that the settings state for a recording, which cannot be measured
        later.

        Its stage has the camera's axes and its pixel size is the settings'. Tiles are corrected
        where the settings name the dark and flat-field records they were taken with, however old,
        and straightened where there is one of their distortion; whose these are cannot be checked.
        Raises CalibrationRefused for a record that is missing or failed, or a pixel size that is
        not the objective's.
        """
        _refuse_other_pixel_size(recording.pixel_size_um, settings, objective=objective)
        folder = None if settings.recording is None else settings.recording.corrected_by
        corrector: Corrector = NoCorrection()
        records: tuple[CalibrationRecord, ...] = ()
        bend = None
        if folder is not None:
            records = (
                require_passed(folder, kind="dark"),
                require_passed(folder, kind="flat-field", objective=objective),
            )
            corrector = Corrector.from_records(*records, folder=folder)
            bent = _measured(folder, "distortion", objective)
            if bent is not None:
                bend = distortion_of(bent, folder=folder, shape_px=recording.scan.shape_px)
                records = (*records, bent)
        guard = None if folder is None else _measured(folder, "guard", objective)
        return cls(
            overview=objective,
            matrices={objective: recording.stage_from_px},
            correctors={objective: corrector},
            offsets_um={objective: (0.0, 0.0, 0.0)},
            distortion=bend,
            led_pairs={},
            guard=guard,
            records=records if guard is None else (*records, guard),
        )

    @staticmethod
    def correction(
        records: Sequence[CalibrationRecord], *, folder: Path, objective: str
    ) -> Corrector:
        """Return the dark and flat-field correction that a run's own records say was applied to an
        objective's tiles, whoever asks and when; none where there were none.
        """
        dark = [record for record in records if record.kind == "dark"]
        flat = [r for r in records if (r.kind, r.objective) == ("flat-field", objective)]
        if not (dark and flat):
            return NoCorrection()
        return Corrector.from_records(dark[-1], flat[-1], folder=folder)

    def stage_from_px(self, objective: str) -> NDArray[np.float64]:
        """Return the 2x2 matrix, µm per px (see runtime.tile)."""
        return self.matrices[objective]

    def pixel_size_um(self, objective: str) -> float:
        """Return the measured pixel size."""
        return float(np.sqrt(abs(np.linalg.det(self.matrices[objective]))))

    def corrector(self, objective: str) -> Corrector:
        """Return the dark and flat-field correction."""
        return self.correctors[objective]

    def offset_um(self, objective: str) -> tuple[float, float, float]:
        """Return (x, y, z) to add to an overview position to see the same point, in focus."""
        return self.offsets_um[objective]


class _Reader:
    """Reads records of this rig and keeps what it has read."""

    def __init__(self, rig: Rig, settings: Settings) -> None:
        self.folder = settings.calibration.folder
        self.records: list[CalibrationRecord] = []
        self._rig, self._settings = rig, settings

    def need(
        self, kind: Kind, objective: str = "", *, subject: str | None = None
    ) -> CalibrationRecord:
        record = require_record(
            self._rig,
            self._settings,
            folder=self.folder,
            kind=kind,
            objective=objective,
            subject=subject,
        )
        self.records.append(record)
        return record

    def need_small_backlash(self) -> None:
        lost, motion = self.need("backlash"), self._rig.motion
        for axis, limit_um in (
            ("x_um", motion.approach_um),
            ("y_um", motion.approach_um),
            ("z_um", motion.approach_z_um),
        ):
            if abs(lost.value(axis)) >= limit_um:
                raise CalibrationRefused(
                    f"backlash of {axis[0]} is more than the one-sided approach takes up",
                    value=f"{lost.value(axis):.2f} µm",
                    limit=f"{limit_um:g} µm",
                    remedy="raise the approach in [motion], or tighten the drive",
                )

    def matrix(self, objective: str) -> NDArray[np.float64]:
        record = self.need("camera-stage", objective)
        measured_um = record.value("pixel_size_um")
        _refuse_other_pixel_size(measured_um, self._settings, objective=objective)
        return stage_from_px(record)

    def offset_um(self, overview: str, objective: str) -> tuple[float, float, float]:
        record = self.need("objective-offset", objective, subject=f"{overview}>{objective}")
        return record.value("x_um"), record.value("y_um"), record.value("z_um")

    def distortion(self, objective: str) -> Distortion | None:
        if _measured(self.folder, "distortion", objective) is None:
            return None
        info = self._rig.camera.info
        record = self.need("distortion", objective)
        shape_px = info.height_px, info.width_px
        return distortion_of(record, folder=self.folder, shape_px=shape_px)

    def guard(self, objective: str) -> CalibrationRecord | None:
        if _measured(self.folder, "guard", objective) is None:
            return None
        return self.need("guard", objective)

    def led_pair(self, objective: str) -> CalibrationRecord | None:
        record = led_pair_record(self._rig, self._settings, objective=objective)
        self.records += [record] if record else []
        return record


def _measured(folder: Path, kind: Kind, objective: str) -> CalibrationRecord | None:
    """Return the newest record of what a run can do without; one that failed measured none."""
    found = latest(folder, kind=kind, objective=objective)
    return found if found is not None and found.passed else None


def guard_of(settings: Settings, *, pixel_size_um: float) -> CalibrationRecord | None:
    """Return the newest record of the guard of an objective with pixels of that size, whatever its
    age and hardware: of pictures taken some time, nobody can ask more. None where there is none.
    """
    folder = settings.calibration.folder
    for name, objective in settings.objectives.items():
        if abs(objective.pixel_size_um / pixel_size_um - 1) <= PIXEL_SIZE_LIMIT:
            found = _measured(folder, "guard", name)
            if found is not None:
                return found
    return None


def _refuse_other_pixel_size(pixel_size_um: float, settings: Settings, *, objective: str) -> None:
    nominal_um = settings.objectives[objective].pixel_size_um
    if abs(pixel_size_um / nominal_um - 1) > PIXEL_SIZE_LIMIT:
        again = "recording.pixel_size_um" if settings.recording else "run camera-stage again"
        raise CalibrationRefused(
            f"pixel size of {objective} disagrees with the settings",
            value=f"{pixel_size_um:.4g} µm",
            limit=f"{nominal_um:g} µm ± {PIXEL_SIZE_LIMIT:.0%}",
            remedy=f"correct objectives.{objective}.pixel_size_um, or {again}",
        )


def require_record(
    rig: Rig,
    settings: Settings,
    *,
    folder: Path,
    kind: Kind,
    objective: str = "",
    subject: str | None = None,
) -> CalibrationRecord:
    """Return the newest record of a kind that this rig may use now.

    `subject` is what the record depends on where that is not `objective` itself. Raises
    CalibrationRefused.
    """
    return require(
        folder,
        kind=kind,
        objective=objective,
        depends_on=dependency_hash(
            rig.identity(objective=objective if subject is None else subject)
        ),
        now=rig.clock.instant(),
        max_age_days=settings.calibration.max_age_days,
    )


def led_pair_record(rig: Rig, settings: Settings, *, objective: str) -> CalibrationRecord | None:
    """Return the pair of LEDs to look for focus with, or None where the settings want none.

    Raises CalibrationRefused for one that is wanted but cannot serve.
    """
    folder, first = settings.calibration.folder, settings.focus.first
    absent = _measured(folder, "led-pair", objective) is None
    if first == "sweep" or (first == "auto" and absent):
        return None
    return require_record(rig, settings, folder=folder, kind="led-pair", objective=objective)


def known_correction(rig: Rig, *, objective: str, folder: Path) -> Corrector:
    """Return the newest dark and flat of this very hardware, or no correction before they exist."""
    dark = latest(folder, kind="dark")
    flat = latest(folder, kind="flat-field", objective=objective)
    if dark is None or flat is None or not (dark.passed and flat.passed):
        return NoCorrection()
    ours = [
        dependency_hash(rig.identity(objective=subject)) == record.depends_on
        for record, subject in ((dark, ""), (flat, objective))
    ]
    return Corrector.from_records(dark, flat, folder=folder) if all(ours) else NoCorrection()


def stage_from_px(record: CalibrationRecord) -> NDArray[np.float64]:
    """Return the 2x2 matrix of a camera-stage record, µm per px.

    Raises CalibrationRefused for one whose pixels are not of the size that the record names.
    """
    m00, m01, m10, m11 = (record.value(key) for key in ("m00", "m01", "m10", "m11"))
    measured_um, area_um2 = record.value("pixel_size_um"), abs(m00 * m11 - m01 * m10)
    # Nor is NaN, of numbers beyond all bounds, within the limit.
    if not abs(area_um2 - measured_um**2) <= 2 * PIXEL_SIZE_LIMIT * measured_um**2:
        raise CalibrationRefused(
            f"calibration 'camera-stage for {record.objective}' contradicts itself",
            value=f"pixels of {area_um2:.4g} µm² by its matrix",
            limit=f"{measured_um**2:.4g} µm² by its pixel size",
            remedy=f"run: nightscope calibrate camera-stage --objective {record.objective}",
        )
    return np.array([[m00, m01], [m10, m11]], np.float64)


def record_files(folder: Path) -> list[Path]:
    """Return the files of the newest record of every calibration in a folder, arrays included."""
    return [
        file
        for record in newest(folder).values()
        for file in sorted(folder.glob(f"{glob.escape(record.name.removesuffix('.json'))}.*"))
    ]
