"""The witness: every exposure's true state, one JSON line each, which no pipeline code may read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.simulator.exposure import TrueExposure


def append(path: Path, exposure: TrueExposure) -> None:
    """Add one line and hand it to the operating system, so that a killed process leaves it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(exposure)) + "\n")


def read_truth(path: Path) -> list[TrueExposure]:
    """Return the exposures in the order they were made.

    A last line without its end, as a power cut leaves it, is no entry. Raises InputRefused for a
    file that is missing or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputRefused(
            f"truth {path}: {error.strerror}", remedy="only simulated runs have one"
        ) from None
    return [_parse(line, f"{path}:{n}") for n, line in enumerate(_whole_lines(text), start=1)]


def _whole_lines(text: str) -> list[str]:
    return text[: text.rfind("\n") + 1].splitlines()


def _parse(line: str, where: str) -> TrueExposure:
    try:
        values = json.loads(line)
        x, y, z = values["position_nm"]
        centre_x, centre_y = values["centre_um"]
        pairs = {"position_nm": (x, y, z), "centre_um": (centre_x, centre_y)}
        return TrueExposure(**(values | pairs))
    except (ValueError, TypeError, KeyError) as error:
        raise InputRefused(f"{where}: no entry of the witness: {error}") from None
