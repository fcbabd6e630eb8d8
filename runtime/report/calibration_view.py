"""The calibration records a run was taken with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.report.markup import Html, element, section, table
from runtime.report.run_data import RunData
from runtime.report.wording import date, measured


def calibration_section(run: RunData) -> Html:
    """Return the calibration records this run was taken with."""
    records: list[Mapping[str, Any]] = run.facts["calibrations"] or []
    title = "Calibration used"
    if not records:
        words = "The journal names no calibration."
        return section("calibration", title, "", element("p", words, class_="empty"))
    return section(
        "calibration",
        title,
        "Measured on the day shown; ± is one standard uncertainty.",
        table(["Routine", "Made", "Values", "Limit", "Verdict"], map(_calibration, records)),
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
