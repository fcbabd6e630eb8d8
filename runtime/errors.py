"""Errors a user can act on: what happened, the value, the limit, what to do; and the exit code."""

from __future__ import annotations

from typing import ClassVar

LONGEST = 480
"""Characters of a message: a line that is still read, whatever a file held."""


class NightscopeError(Exception):
    """Base of every error that ends a command with one line and its own exit code."""

    exit_code: ClassVar[int] = 1
    shown = False
    """Whether a person was told already, by more than this line."""

    def __init__(
        self, what: str, *, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.what, self.value, self.limit, self.remedy = what, value, limit, remedy
        parts = [str(what)]
        if value is not None:
            parts.append(f"value {value}")
        if limit is not None:
            parts.append(f"limit {limit}")
        super().__init__(_line(parts, remedy))


def _line(parts: list[str], remedy: str) -> str:
    """Return one printable line of at most `LONGEST` characters.

    Of parts that are too long the longest loses its middle first: a path stands at its beginning,
    what is wrong with it at the end.
    """
    shown = [_printable(part) for part in (*parts, remedy)]
    while (over := sum(map(len, shown)) + 2 * len(shown) - LONGEST) > 0:
        longest = max(shown, key=len)
        kept = max(len(longest) - over - 1, len(longest) // 2)
        shown[shown.index(longest)] = (
            f"{longest[: kept // 2]}…{longest[len(longest) - kept // 2 :]}"
        )
    *told, cure = shown
    return "; ".join(told) + (f". {cure}" if cure else "")


def _printable(text: str) -> str:
    """Return a text without breaks of line and without what moves a terminal's cursor.

    What no encoding can hold stays: names of files that are no text are written as their bytes.
    """
    if text.isprintable():
        return text
    return "".join(
        one
        if one.isprintable() or "\ud800" <= one <= "\udfff"
        else " "
        if one in "\n\r\t"
        else ascii(one)[1:-1]
        for one in text
    )


class ConfigRefused(NightscopeError):
    """Settings or a plan cannot be used as written."""

    exit_code = 3


class CalibrationRefused(ConfigRefused):
    """A calibration the plan needs is missing, stale, failed, or belongs to other hardware."""


class CalibrationExpired(CalibrationRefused):
    """A calibration was good and is too old by now: it can be renewed under way."""


class HardwareFailed(NightscopeError):
    """A device is absent, busy, or stopped answering."""

    exit_code = 4


class CameraFailed(HardwareFailed):
    """The camera gave no frame, or one that cannot be used."""


class InstrumentDoubted(HardwareFailed):
    """What the instrument gives cannot be true: the night pauses before it gives more."""


class InputRefused(NightscopeError):
    """A file handed in is unreadable, truncated or of the wrong shape."""

    exit_code = 3


class ModelRefused(NightscopeError):
    """A bundle is missing, tampered with, or not made for this pixel size."""

    exit_code = 6


class ModelRolledBack(NightscopeError):
    """A bundle was installed, failed on this device, and the model before is active again."""

    exit_code = 8


class InferenceStalled(HardwareFailed):
    """A back end gave no scores within its limit."""


class StorageFailed(NightscopeError):
    """The disk, or the journal on it, did not take or give what was asked of it, several times."""

    exit_code = 7


class DiskFull(StorageFailed):
    """Storage ran out, or will before the plan ends; what was written stays resumable."""


class MemoryShort(NightscopeError):
    """Memory, or the threads that the system allows, ran out."""

    exit_code = 7


class ComputeStuck(NightscopeError):
    """Work on one tile does not end."""

    exit_code = 7


class Stopped(NightscopeError):
    """A person or the system asked the run to stop; it can be resumed."""

    exit_code = 130
