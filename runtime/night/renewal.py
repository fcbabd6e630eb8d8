"""Calibrations that grew too old while a run stood still, renewed before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.calibrated.loaded import Calibrated, record_files
from runtime.config.plan import Plan
from runtime.config.settings import Settings, load_settings
from runtime.errors import CalibrationExpired
from runtime.instrument.rig import Rig
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.storage import write_durably


def load_renewed(
    folder: RunFolder,
    journal: Journal,
    rig: Rig,
    plan: Plan,
    settings: Settings,
    *,
    calibrate: Callable[[Rig], object],
    clock: Clock,
) -> Calibrated:
    """Return the calibrations of a run; where one of its records is too old, with new ones.

    A run that calibrates by itself measures again, by `calibrate`; any other takes the newest
    records of the folder that its settings name. What it had stays in its folder. Raises
    CalibrationRefused where those cannot serve either, and for a stage without switches, which
    nobody has told yet where it stands.
    """
    try:
        return Calibrated.load(rig, settings, objectives=plan.objectives)
    except CalibrationExpired as stale:
        if settings.calibration.automatic:
            if rig.declared is not None:
                raise  # nobody knows yet where it stands, and calibrating moves it far
            rig.stage.home()
            calibrate(rig)
        else:
            _fetch_newer(folder, journal)
        renewed = Calibrated.load(rig, settings, objectives=plan.objectives)
        told = f"{stale.what} ({stale.value}): the run goes on with new records"
        with journal.transaction():
            folder.keep_sealed(journal)
            journal.event(at=clock.instant(), level="info", kind="calibration", message=told)
        return renewed


def _fetch_newer(folder: RunFolder, journal: Journal) -> None:
    """Copy the instrument's own records into the run, where they lie since the run began."""
    base = Path(journal.fact("paths_from") or folder.path)
    shelf = load_settings(folder.settings, base=base).records
    for file in () if shelf is None else record_files(shelf):
        if not (folder.calibration / file.name).exists():
            write_durably(folder.calibration / file.name, file.read_bytes())
