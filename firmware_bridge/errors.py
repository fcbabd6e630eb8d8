"""The errors of the serial line. Each says what, value, limit and what to do, in one line."""

from __future__ import annotations


class BridgeError(Exception):
    """Base of every error of this package; the message is complete and fits one line."""

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


class PortAbsent(BridgeError):
    """Raised on opening when the port does not exist or may not be opened by this user."""


class PortBusy(BridgeError):
    """Raised on opening when another process, or another opening in this one, holds the port."""


class LinkLost(BridgeError):
    """Raised when the port vanished and could not be reopened in time (unplugged, power gone)."""


class LinkInterrupted(BridgeError):
    """Raised once by a board without ids when its port vanished and came back: nothing is repeated.

    The board is dark and still; a stage that may have restarted raises PositionUnknown instead.
    """


class FrameCorrupt(BridgeError):
    """Raised by the codec for bytes that are no frame: framing, length or checksum is wrong."""


class ReplyTimeout(BridgeError):
    """Raised when the port is open but the board did not answer after every retry."""


class DeviceRebooted(BridgeError):
    """Raised once when the board restarted under us: it is dark and its position is unknown."""


class Rejected(BridgeError):
    """Raised when the board, or the driver before sending, refuses a command.

    `code` is the reason by name, as listed in `docs/protocol.md`.
    """

    def __init__(
        self, what: str, *, code: str, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.code = code
        super().__init__(what, value=value, limit=limit, remedy=remedy)


class LimitHit(BridgeError):
    """Raised before anything moves when a target is outside an axis's travel, named by `axis`."""

    def __init__(
        self, what: str, *, axis: str, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.axis = axis
        super().__init__(what, value=value, limit=limit, remedy=remedy)


class Stalled(BridgeError):
    """Raised when a motion neither ended in time nor reached its target."""


class NotHomed(BridgeError):
    """Raised for moves and positions before the board has found its reference switches."""


class PositionUnknown(BridgeError):
    """Raised for moves and positions after a reboot or a broken-off homing, until `home()`."""


class FirmwareIncompatible(BridgeError):
    """Raised on connecting when the board's protocol or safety terms differ from what we need."""


class SafetyLatched(BridgeError):
    """Raised when the watchdog tripped and tripped again right after it was re-armed."""
