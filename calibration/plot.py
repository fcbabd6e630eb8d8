"""One calibration record as a self-contained SVG page: verdict, values, residuals, trend."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from runtime.calibrated.record import CalibrationRecord

WIDTH, PLOT_HEIGHT, LINE, LEFT = 720, 150, 20, 24
GOOD, BAD, INK, PALE = "#1a7f37", "#b42318", "#1f2328", "#d0d7de"


def record_svg(record: CalibrationRecord, history: Sequence[CalibrationRecord]) -> str:
    """Return the page of `record`; `history` (oldest first) gives the trend of its first value."""
    lines = _words(record)
    plots = [("residuals", list(record.residuals))]
    if record.values:
        name = next(iter(record.values))
        trend = [old.values[name] for old in history if name in old.values]
        plots.append((f"{name} over {len(trend)} records", trend))
    top = LINE * (len(lines) + 2)
    drawn = [
        _plot(title, values, top + row * (PLOT_HEIGHT + 2 * LINE))
        for row, (title, values) in enumerate(plots)
    ]
    height = top + len(plots) * (PLOT_HEIGHT + 2 * LINE)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{_text(lines)}{"".join(drawn)}</svg>\n'
    )


def _words(record: CalibrationRecord) -> list[tuple[str, str]]:
    """Return the lines above the plots as (text, colour)."""
    date = datetime.fromtimestamp(record.made.wall_s, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    origin = "SIMULATED, " if record.simulated else ""
    verdict = ("PASSED", GOOD) if record.passed else ("FAILED", BAD)
    lines = [
        (f"{record.name} ({origin}{date})", INK),
        (f"{verdict[0]}: {record.acceptance}", verdict[1]),
    ]
    if record.advice:
        lines.append((f"What to do: {record.advice}", BAD))
    for name, value in record.values.items():
        sigma, unit = record.uncertainties.get(name, 0.0), record.units.get(name, "")
        lines.append((f"{name} = {value:.6g} ± {sigma:.2g} {unit}", INK))
    return lines


def _text(lines: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f'<text x="{LEFT}" y="{LINE * (row + 1.4):.0f}" fill="{colour}">{escape(words)}</text>'
        for row, (words, colour) in enumerate(lines)
    )


def _plot(title: str, values: Sequence[float], top: float) -> str:
    """Return dots joined by a line, between the extremes written at the left."""
    if not values:
        return ""
    low, high = min(values), max(values)
    reach = (high - low) or 1.0
    right = WIDTH - LEFT
    step = (right - LEFT) / max(1, len(values) - 1)
    points = [
        (LEFT + at * step, top + LINE + PLOT_HEIGHT * (high - value) / reach)
        for at, value in enumerate(values)
    ]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    return (
        f'<text x="{LEFT}" y="{top + 12:.0f}">{escape(title)}: {low:.4g} to {high:.4g}</text>'
        f'<rect x="{LEFT}" y="{top + LINE}" width="{right - LEFT}" height="{PLOT_HEIGHT}" '
        f'fill="none" stroke="{PALE}"/>'
        f'<polyline points="{joined}" fill="none" stroke="{PALE}"/><g fill="{GOOD}">{dots}</g>'
    )
