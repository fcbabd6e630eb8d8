"""Quantities in words: every number with its unit, in the size a person reads."""

from __future__ import annotations

import math
from datetime import datetime

DASH = "–"


def counted(number: int, noun: str) -> str:
    """Return "1 tile", "49 tiles"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def length(um: float) -> str:
    """Return a length given in micrometres, in µm or mm."""
    return f"{um / 1000:.3g} mm" if abs(um) >= 1000 else f"{um:.3g} µm"


def area(width_um: float, height_um: float) -> str:
    """Return "1.43 × 1.23 mm" or "300 × 200 µm"."""
    unit, scale = ("mm", 1000.0) if max(width_um, height_um) >= 1000 else ("µm", 1.0)
    return f"{width_um / scale:.3g} × {height_um / scale:.3g} {unit}"


def signed_um(um: float, *, decimals: int = 1) -> str:
    """Return a signed height or place in micrometres, with a true minus sign."""
    return f"{round(um, decimals) + 0.0:+.{decimals}f} µm".replace("-", "−")


def milliseconds(ms: float) -> str:
    """Return a time given in milliseconds, in ms or s."""
    if ms >= 1000:
        return f"{ms / 1000:.3g} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def duration(s: float | None) -> str:
    """Return how long something took: "47 s", "12 min 5 s", "7 h 40 min", "3 d 2 h"."""
    if s is None:
        return DASH
    whole = round(s)
    if whole < 60:
        return f"{s:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"


def megabytes(mb: float) -> str:
    """Return room on a disk given in megabytes: "240 MB", "51 GB"."""
    return f"{mb:,.0f} MB" if mb < 10_000 else f"{mb / 1000:,.0f} GB"


def file_size(size_bytes: int) -> str:
    """Return the size of a file: "620 B", "5.5 MB", "24 GB"."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, 4)
    scaled = size_bytes / 1000**power
    return f"{scaled:.1f}".removesuffix(".0") + " " + ("kB", "MB", "GB", "TB")[power - 1]


def date(unix_s: float | None) -> str:
    """Return a day and minute in the controller's own time zone."""
    return DASH if unix_s is None else _local(unix_s).strftime("%-d %B %Y, %H:%M")


def time_of_day(unix_s: float) -> str:
    """Return hours, minutes and seconds in the controller's own time zone."""
    return _local(unix_s).strftime("%H:%M:%S")


def percent(fraction: float) -> str:
    """Return a fraction in per cent."""
    return f"{fraction * 100:.0f} %"


def measured(value: float, uncertainty: float | None, unit: str) -> str:
    """Return "value ± uncertainty unit", as many decimals as the uncertainty deserves."""
    if not uncertainty or not math.isfinite(uncertainty):
        return f"{value:.4g} {unit}".rstrip()
    decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{decimals}f} ± {uncertainty:.{decimals}f} {unit}".rstrip()


def _local(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s).astimezone()
