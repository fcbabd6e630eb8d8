"""`nightscope calibrate`: a technician's routine on the real or simulated microscope."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.calibrated.record import CalibrationRecord
from runtime.cli.screen import show
from runtime.config.settings import Settings, load_settings
from runtime.errors import ConfigRefused
from runtime.instrument.opening import open_microscope
from runtime.report.ending import Ending, listed
from runtime.report.wording import measured

NAMED = 4
"""How many values a sentence gives before it only counts."""
ELEMENT = re.compile(r"m\d\d")


def calibrate(
    *,
    routine: str,
    objective: str | None,
    settings: Path,
    planned: Callable[..., Sequence[Callable[[], CalibrationRecord]]],
    console: Console,
) -> dict[str, Any]:
    """Run one routine, or "all" of them, as `planned`; return the records made.

    What is refused by its name is refused before the stage is homed.
    """
    instrument = load_settings(settings)
    if instrument.recording is not None:
        raise ConfigRefused(
            f"{settings} plays a recording, of which nothing can be measured any more",
            remedy="name the records it was taken with in 'recording.corrected_by'",
        )
    with open_microscope(instrument) as rig:
        runs = planned(
            rig,
            instrument,
            name=routine,
            objective=objective,
            progress=lambda said: console.print(f"calibrating: {said}"),
        )
        rig.stage.home()
        records = [run() for run in runs]
    ending = _ending(records, instrument)
    show(ending, console)
    return {
        "records": [record.model_dump(mode="json") for record in records],
        "passed": all(record.passed for record in records),
        "exit_code": ending.exit_code,
    }


def _ending(records: Sequence[CalibrationRecord], settings: Settings) -> Ending:
    seen = {record.objective for record in records if record.objective}
    others = [name for name in settings.objectives if seen and name not in seen]
    simulated = ("the instrument is SIMULATED: no real one may rely on this",)
    return Ending(
        done=tuple(map(_measured, records)),
        assumed=simulated if any(record.simulated for record in records) else (),
        left_out=(f"not measured: {', '.join(others)}",) if others else (),
        attention=tuple(
            f"{record.name} failed; limit {record.acceptance}; {record.advice}"
            for record in records
            if not record.passed
        ),
        results=(("records", settings.calibration.folder),),
    )


def _measured(record: CalibrationRecord) -> str:
    """Return a record's values in words, the elements of a matrix aside: they are in its file."""
    values = [
        f"{key.removesuffix('_um').removesuffix('_px')} "
        + measured(value, record.uncertainties.get(key), record.units.get(key, ""))
        for key, value in record.values.items()
        if not ELEMENT.fullmatch(key)
    ]
    verdict = "passed" if record.passed else "failed"
    return f"{record.name} {verdict}: {listed(values[:NAMED], len(values))}"
