"""How the instrument's calibrations stand: the newest of each, how old it is, and what to do."""

from __future__ import annotations

from typing import Any

from runtime.calibrated.filing import newest
from runtime.calibrated.record import CalibrationRecord, read_record_file
from runtime.config.settings import CalibrationSection
from runtime.errors import CalibrationRefused
from runtime.instant import Instant
from runtime.report.wording import measured


def calibration_answer(section: CalibrationSection, now: Instant) -> dict[str, Any]:
    """Return what `GET /calibration` answers: a row for every calibration in the instrument's
    folder, one that cannot be read with "error". Whether board and camera are still those it was
    made with is asked when a night begins.
    """
    rows = []
    for stem, path in sorted(newest(section.folder).items()):
        try:
            rows.append(_row(read_record_file(path), section, now))
        except CalibrationRefused as refusal:
            rows.append({"kind": stem, "state": "unreadable", "error": str(refusal)})
    return {
        "automatic": section.automatic,
        "max_age_days": section.max_age_days,
        "records": rows,
    }


def _row(record: CalibrationRecord, section: CalibrationSection, now: Instant) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "objective": record.objective,
        "made": record.made.wall_s,
        "age_days": round(record.age_days(now), 2),
        "state": _state(record, section, now),
        "passed": record.passed,
        "acceptance": record.acceptance,
        "advice": record.advice,
        "simulated": record.simulated,
        "values": [
            f"{name} {measured(value, record.uncertainties.get(name), record.units.get(name, ''))}"
            for name, value in record.values.items()
        ],
    }


def _state(record: CalibrationRecord, section: CalibrationSection, now: Instant) -> str:
    if not record.passed:
        return "failed"
    if record.is_ahead(now):
        return "dated in the future"
    return "stale" if record.age_days(now) > section.max_age_days else "good"
