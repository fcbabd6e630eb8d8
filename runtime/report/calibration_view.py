"""The calibration records a run was taken with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.report.markup import Html, element, section, table
from runtime.report.run_data import RunData
from runtime.report.wording import date, measured


def calibration_section(run: RunData) -> Html:
    """Return the calibration records this run was taken with."""
    records: list[Mapping[str, Any]] = run.facts["calibrations"] or []
    title = "Calibration used"
    if recording := run.facts["recording"]:
        return _recorded(title, recording, records)
    if not records:
        words = "The journal names no calibration."
        return section("calibration", title, "", element("p", words, class_="empty"))
    return section(
        "calibration",
        title,
        "Measured on the day shown; ± is one standard uncertainty.",
        _table(records),
    )


def _table(records: Sequence[Mapping[str, Any]]) -> Html:
    return table(
        ["Routine", "Made", "Values", "Limit", "Verdict"],
        map(_calibration, records),
        class_="stacked",
    )


def _recorded(
    title: str, recording: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> Html:
    """Say what of a recording was stated in the settings, for nothing of it was measured."""
    words = (
        f"A recorded scan, played from {recording['folder']}. Nothing was measured: a pixel is "
        f"{recording['pixel_size_um']:g} µm because the settings say so, and the stage has the "
        "camera's axes. Tiles are "
    )
    if not records:
        return section("calibration", title, words + "used as they are.")
    folder = recording["corrected_by"]
    return section(
        "calibration", title, f"{words}corrected with the records in {folder}:", _table(records)
    )


def _calibration(record: Mapping[str, Any]) -> list[str]:
    units, sigmas = record.get("units", {}), record.get("uncertainties", {})
    values = [
        element(
            "span",
            element("span", name, class_="name"),
            " " + measured(value, sigmas.get(name), units.get(name, "")),
            class_="quantity",
        )
        for name, value in record.get("values", {}).items()
    ]
    passed = bool(record.get("passed"))
    verdict = element("span", "passed" if passed else "failed", class_=None if passed else "late")
    kind = " ".join(str(record[k]) for k in ("kind", "objective") if record.get(k))
    return [
        kind,
        date(record["made"]["wall_s"]),
        element("span", *values, class_="quantities"),
        str(record.get("acceptance", "")),
        verdict,
    ]
