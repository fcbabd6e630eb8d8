"""What there is to tell of a night that ended: how, and what the next one will lack."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime.appliance.messages.message import Message
from runtime.config.message_settings import Occasion
from runtime.config.settings import Settings
from runtime.instant import Instant
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.report.ending import Ending
from runtime.report.night_ending import night_ending
from runtime.report.wording import megabytes

STOPPED = 130
OCCASION_OF: Mapping[int, Occasion] = {0: "finished", 5: "attention", 4: "hardware", 7: "disk"}
"""By exit code; any other is a pause."""
SAID: Mapping[Occasion, str] = {
    "finished": "finished",
    "attention": "finished, and needs attention",
    "hardware": "paused, a device failed",
    "disk": "paused, the disk is full or fails",
    "paused": "paused",
    "stalled": "stalled",
}
DAY_S, MB = 86_400.0, 1e6


def messages_of(
    folder: RunFolder,
    journal: Journal,
    settings: Settings,
    *,
    code: int,
    reason: str = "",
    now: Instant,
) -> Iterator[Message]:
    """Yield the messages of a night that ended with exit code `code`, `reason` being why it paused.

    Who stopped it by hand is not told that it stopped.
    """
    here = _where(folder, journal, settings)
    if code != STOPPED:
        ending = night_ending(folder.path, journal, code=code, reason=reason)
        occasion = OCCASION_OF.get(code, "paused")
        yield here(occasion, SAID[occasion], _lines(ending))
    if code != 7 and (short := _disk_is_low(folder, settings)):
        yield here("disk", "the disk is low", (short,))
    if due := _calibrations_due(journal, settings, now):
        yield here("calibration", "calibration is due", due)


def stalled(folder: RunFolder, journal: Journal, settings: Settings, *, words: str) -> Message:
    """Return the message that a night has not come on, though nothing ended it: `words` say for how
    long, and what was done about it.
    """
    how = f"by hand: `nightscope resume {folder.path}`, once nothing works on it"
    return _where(folder, journal, settings)("stalled", SAID["stalled"], (words, how))


def map_of(folder: RunFolder) -> Path | None:
    """Return the picture of a run's map, None before there is one."""
    return folder.picture if folder.picture.is_file() else None


class _Here:
    """Makes the messages of one run: all name it and its controller, and show its map."""

    def __init__(self, name: str, link: str, picture: Path | None) -> None:
        self._name, self._link, self._picture = name, link, picture

    def __call__(self, occasion: Occasion, what: str, lines: tuple[str, ...]) -> Message:
        return Message(
            occasion=occasion,
            title=f"{self._name} on {platform.node()}: {what}",
            lines=lines,
            picture=self._picture,
            link=self._link,
        )


def _where(folder: RunFolder, journal: Journal, settings: Settings) -> _Here:
    name = journal.fact("name") or folder.path.resolve().name
    base = settings.messages.link.rstrip("/")
    link = f"{base}/#{folder.path.resolve().name}" if base else ""
    return _Here(str(name), link, map_of(folder))


def _lines(ending: Ending) -> tuple[str, ...]:
    """Return what the last screen says: what needs a person first, for a message is cut short."""
    sections = (
        ("", ending.attention),
        ("", ending.done),
        ("Left out: ", ending.left_out),
        ("Assumed: ", ending.assumed),
        ("", tuple(f"{what}: {at}" for what, at in ending.results)),
    )
    return tuple(f"{title}{sentence}" for title, sentences in sections for sentence in sentences)


def _disk_is_low(folder: RunFolder, settings: Settings) -> str:
    """Say so where another night like this one would not fit."""
    taken = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file()) / MB
    needed_mb = taken + settings.pipeline.disk_reserve_mb
    free_mb = shutil.disk_usage(folder.path).free / MB
    if free_mb >= needed_mb:
        return ""
    return (
        f"{megabytes(free_mb)} are free, and another night like this one takes "
        f"{megabytes(needed_mb)}: move old runs away"
    )


def _calibrations_due(journal: Journal, settings: Settings, now: Instant) -> tuple[str, ...]:
    if settings.calibration.automatic or settings.recording is not None:
        return ()
    soon = settings.messages.calibration_days
    left = {
        " ".join(str(record[key]) for key in ("kind", "objective") if record.get(key)): (
            settings.calibration.max_age_days - (now.wall_s - record["made"]["wall_s"]) / DAY_S
        )
        for record in journal.fact("calibrations") or []
    }
    return tuple(
        f"{name} holds for {days:.0f} more days" if days > 0 else f"{name} has expired"
        for name, days in sorted(left.items(), key=lambda item: item[1])
        if days <= soon
    )
