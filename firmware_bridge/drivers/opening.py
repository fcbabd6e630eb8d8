"""Any board by the name of its driver, open and dark."""

from __future__ import annotations

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.grbl import GrblBoard
from firmware_bridge.drivers.illuminate import IlluminateBoard
from firmware_bridge.drivers.native import NativeBoard
from firmware_bridge.drivers.sangaboard import SangaboardBoard
from firmware_bridge.errors import FirmwareIncompatible

DRIVERS = ("native", "sangaboard", "grbl", "illuminate")
OpenBoard = NativeBoard | SangaboardBoard | GrblBoard | IlluminateBoard


def open_board(
    port: str, *, driver: str, clock: Clock, origin_here: bool = False, watchdog_ms: int = 500
) -> OpenBoard:
    """Return the board on `port` through one of DRIVERS; see that driver's `open` for errors.

    `origin_here` concerns Sangaboards without switches, `watchdog_ms` native boards. `stage` is
    None on a board without one, `light` too; `failsafe` says whether the board goes dark alone.
    """
    if driver == "native":
        return NativeBoard.open(port, clock=clock, watchdog_ms=watchdog_ms)
    if driver == "sangaboard":
        return SangaboardBoard.open(port, clock=clock, origin_here=origin_here)
    if driver == "grbl":
        return GrblBoard.open(port, clock=clock)
    if driver == "illuminate":
        return IlluminateBoard.open(port, clock=clock)
    raise FirmwareIncompatible(
        "unknown driver", value=driver, limit=", ".join(DRIVERS), remedy="name one of them"
    )
