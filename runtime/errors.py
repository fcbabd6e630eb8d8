"""Errors a user can act on: what happened, the value, the limit, what to do; and the exit code."""

from __future__ import annotations

from typing import ClassVar


class NightscopeError(Exception):
    """Base of every error that ends a command with one line and its own exit code."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.what, self.value, self.limit, self.remedy = what, value, limit, remedy
        parts = [what]
        if value is not None:
            parts.append(f"value {value}")
        if limit is not None:
            parts.append(f"limit {limit}")
        super().__init__("; ".join(parts) + (f". {remedy}" if remedy else ""))


class ConfigRefused(NightscopeError):
    """Settings or a plan cannot be used as written."""

    exit_code = 3


class CalibrationRefused(ConfigRefused):
    """A calibration the plan needs is missing, stale, failed, or belongs to other hardware."""


class HardwareFailed(NightscopeError):
    """A device is absent, busy, or stopped answering."""

    exit_code = 4


class CameraFailed(HardwareFailed):
    """The camera gave no frame, or one that cannot be used."""


class InputRefused(NightscopeError):
    """A file handed in is unreadable, truncated or of the wrong shape."""

    exit_code = 3


class ModelRefused(NightscopeError):
    """A bundle is missing, tampered with, or not made for this pixel size."""

    exit_code = 6


class InferenceStalled(HardwareFailed):
    """A back end gave no scores within its limit."""


class DiskFull(NightscopeError):
    """Storage ran out, or will before the plan ends; what was written stays resumable."""

    exit_code = 7


class Stopped(NightscopeError):
    """A person or the system asked the run to stop; it can be resumed."""

    exit_code = 130
