"""The driver of boards that speak our own protocol: one board with stage, light and turret."""

from __future__ import annotations

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.native.commands import NativeCommands
from firmware_bridge.drivers.native.light import NativeLight, NativeTurret
from firmware_bridge.drivers.native.stage import NativeStage
from firmware_bridge.errors import BridgeError
from firmware_bridge.frames.session import Session


class NativeBoard(NativeCommands):
    """An open board with its stage, light and turret."""

    driver = "native"
    failsafe = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.stage = NativeStage(self)
        self.light = NativeLight(self)
        self.turret = NativeTurret(self)

    @classmethod
    def open(
        cls, port: str, *, clock: Clock, watchdog_ms: int = 500, reopen_s: float = 10.0
    ) -> NativeBoard:
        """Return the board on `port`, dark and armed.

        Waiting feeds this board by itself; `clock.sleep` is called meanwhile, so that it can feed
        others. `reopen_s` is how long an unplugged line is waited for. Raises PortAbsent, PortBusy,
        ReplyTimeout when nothing there speaks our protocol, FirmwareIncompatible when its version
        or watchdog does not fit.
        """
        session = Session(port, clock=clock, watchdog_ms=watchdog_ms, reopen_s=reopen_s)
        try:
            return cls(session)
        except BridgeError:
            session.close()
            raise

    @property
    def retries(self) -> int:
        """Return how many frames were sent more than once."""
        return self.session.retries

    def beat(self) -> None:
        """Tell the board that the control loop is alive; call at least every 100 ms."""
        self.session.beat()

    def close(self) -> None:
        """Light off, motors idle, port released; may be called twice."""
        self.session.close()
