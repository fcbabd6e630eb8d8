"""The driver of boards that speak our own protocol: one board with stage, light and turret."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import BoardOptions
from firmware_bridge.drivers.native.commands import NativeCommands
from firmware_bridge.drivers.native.light import NativeLight, NativeTurret
from firmware_bridge.drivers.native.stage import NativeStage
from firmware_bridge.errors import BridgeError
from firmware_bridge.frames.session import BoardSession

WATCHDOG_MS = (100, 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOptions(BoardOptions):
    """`watchdog_ms` is how long after the last heartbeat the board goes dark and idle."""

    watchdog_ms: int = 500

    def __post_init__(self) -> None:
        BoardOptions.__post_init__(self)
        low, high = WATCHDOG_MS
        if not low <= self.watchdog_ms <= high:
            raise ValueError(f"watchdog_ms must be from {low} to {high}")


DEFAULT = NativeOptions()


class NativeBoard(NativeCommands):
    """An open board with its stage, light and turret."""

    driver = "native"
    failsafe = True

    def __init__(self, session: BoardSession) -> None:
        super().__init__(session)
        self.stage = NativeStage(self)
        self.light = NativeLight(self)
        self.turret = NativeTurret(self)

    @classmethod
    def open(
        cls, port: str, *, clock: MonotonicClock, options: NativeOptions = DEFAULT
    ) -> NativeBoard:
        """Return the board on `port`, dark and armed.

        Waiting feeds this board by itself; `clock.sleep` is called meanwhile, so that it can feed
        others. Raises PortAbsent, PortBusy, ReplyTimeout when nothing there speaks our protocol,
        FirmwareIncompatible when its version or watchdog does not fit.
        """
        session = BoardSession(
            port, clock=clock, watchdog_ms=options.watchdog_ms, reopen_s=options.reopen_s
        )
        try:
            return cls(session)
        except BridgeError:
            session.close()
            raise

    @property
    def retries(self) -> int:
        """Return how many frames were sent more than once."""
        return self.session.retries

    @property
    def watchdog(self) -> NativeBoard:
        """Return the board itself: it listens for `beat`."""
        return self

    @property
    def timeout_s(self) -> float:
        """Return after how long without `beat` it goes dark, as agreed with the board."""
        return self.hello.watchdog_ms / 1000

    def beat(self) -> None:
        """Tell the board that the control loop is alive; call at least every 100 ms."""
        self.session.beat()

    def close(self) -> None:
        """Light off, motors idle, port released; may be called twice."""
        self.session.close()
