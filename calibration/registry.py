"""The registry of calibrations: numbered, dated records, only ever added, and when each is due."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibration.outcome import Measurement
from calibration.plot import record_svg
from runtime.calibrated.filing import filed, newest, next_number
from runtime.calibrated.record import (
    CalibrationRecord,
    Kind,
    dependency_hash,
    read_record_file,
)
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.record.storage import write_durably


def file_away(
    rig: Rig, folder: Path, *, kind: Kind, objective: str, subject: str, outcome: Measurement
) -> CalibrationRecord:
    """Write a measurement as a dated record with its arrays and its page; return the record.

    `subject` is the objective, or pair of objectives, that the result depends on, "" for none.
    Arrays are durable before the record that names them; failed measurements are kept too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = rig.clock.instant()
    stem = f"{kind}-{objective}" if objective else kind
    stem += f"@{next_number(folder, stem)}-{_stamp(made)}"
    files = {key: f"{stem}.{key}.npy" for key in outcome.arrays}
    for key, array in outcome.arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_durably(folder / files[key], buffer.getvalue())
    record = CalibrationRecord(
        kind=kind,
        objective=objective,
        made=made,
        values={name: measured.value for name, measured in outcome.values.items()},
        uncertainties={name: measured.sigma for name, measured in outcome.values.items()},
        units={name: measured.unit for name, measured in outcome.values.items()},
        residuals=outcome.residuals,
        acceptance=outcome.acceptance,
        passed=outcome.passed,
        advice=outcome.advice,
        depends_on=dependency_hash(rig.identity(objective=subject)),
        files=files,
        simulated=rig.simulated,
    )
    write_durably(folder / f"{stem}.json", record.model_dump_json(indent=1).encode())
    page = record_svg(record, history(folder, kind=kind, objective=objective))
    write_durably(folder / f"{stem}.svg", page.encode())
    return record


def history(folder: Path, *, kind: Kind, objective: str = "") -> list[CalibrationRecord]:
    """Return every record of a kind, as they were filed.

    Raises CalibrationRefused naming a record that cannot be read.
    """
    stem = f"{kind}-{objective}" if objective else kind
    return [read_record_file(path) for path in filed(folder, stem)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The newest record of one calibration, and for how long it holds."""

    record: CalibrationRecord
    max_age_days: float

    def state(self, *, now: Instant) -> str:
        """Return "failed", "ahead", of a date in the future, "stale" or "ok"."""
        if not self.record.passed:
            return "failed"
        if self.record.is_ahead(now):
            return "ahead"
        return "stale" if self.record.age_days(now) > self.max_age_days else "ok"


def standings(folder: Path, *, max_age_days: float) -> list[Standing]:
    """Return where every calibration in the folder stands, by name."""
    records = [read_record_file(path) for _, path in sorted(newest(folder).items())]
    return [Standing(record=record, max_age_days=max_age_days) for record in records]


def _stamp(made: Instant) -> str:
    """Return the ISO date, to the millisecond, in characters that every file system takes."""
    moment = datetime.fromtimestamp(made.wall_s, tz=UTC)
    return f"{moment:%Y-%m-%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"
