"""`nightscope calibrate`: a technician's routine on the real or simulated microscope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import load_settings
from runtime.errors import ConfigRefused
from runtime.instrument.opening import open_microscope

FAILED = 5


def calibrate(
    *,
    routine: str,
    objective: str | None,
    settings: Path,
    run_routine: Callable[..., Sequence[CalibrationRecord]],
    console: Console,
) -> dict[str, Any]:
    """Run one routine, or "all" of them; return the records made."""
    instrument = load_settings(settings)
    if instrument.recording is not None:
        raise ConfigRefused(
            f"{settings} plays a recording, of which nothing can be measured any more",
            remedy="name the records it was taken with in 'recording.corrected_by'",
        )
    with open_microscope(instrument) as rig:
        rig.stage.home()
        records = run_routine(
            rig,
            instrument,
            name=routine,
            objective=objective,
            progress=lambda said: console.print(f"calibrating: {said}"),
        )
    for record in records:
        _show(record, console)
    passed = all(record.passed for record in records)
    return {
        "records": [record.model_dump(mode="json") for record in records],
        "passed": passed,
        "exit_code": 0 if passed else FAILED,
    }


def _show(record: CalibrationRecord, console: Console) -> None:
    verdict = "[green]passed[/]" if record.passed else "[red]failed[/]"
    simulated = "SIMULATED " if record.simulated else ""
    table = Table("value", "", "±", "unit", title=f"{simulated}{record.name}: {verdict}")
    for key, value in record.values.items():
        sigma = record.uncertainties.get(key, float("nan"))
        table.add_row(key, f"{value:.5g}", f"{sigma:.2g}", record.units.get(key, ""))
    console.print(table)
    console.print(record.advice)
