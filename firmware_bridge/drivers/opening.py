"""Any board by the name of its driver, open and dark."""

from __future__ import annotations

from firmware_bridge.clock import Clock
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.illuminate.board import IlluminateBoard
from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.drivers.options import BoardOptions
from firmware_bridge.drivers.sangaboard.board import SangaboardBoard
from firmware_bridge.errors import FirmwareIncompatible

DRIVERS = ("native", "sangaboard", "grbl", "illuminate")
AS_IT_IS = BoardOptions()
OpenBoard = NativeBoard | SangaboardBoard | GrblBoard | IlluminateBoard


def open_board(
    port: str, *, driver: str, clock: Clock, options: BoardOptions = AS_IT_IS
) -> OpenBoard:
    """Return the board on `port` through one of DRIVERS; see that driver's `open` for errors.

    `stage` is None on a board without one, `light` too; `failsafe` says whether the board goes
    dark alone.
    """
    reopen_s = options.reopen_s
    if driver == "native":
        return NativeBoard.open(
            port, clock=clock, watchdog_ms=options.watchdog_ms, reopen_s=reopen_s
        )
    if driver == "sangaboard":
        return SangaboardBoard.open(
            port,
            clock=clock,
            axes=options.axes,
            origin_here=options.origin_here,
            reopen_s=reopen_s,
        )
    if driver == "grbl":
        return GrblBoard.open(port, clock=clock, origin_um=options.origin_um, reopen_s=reopen_s)
    if driver == "illuminate":
        return IlluminateBoard.open(
            port, clock=clock, led_groups=options.led_groups, na=options.na, reopen_s=reopen_s
        )
    raise unknown_driver(driver)


def unknown_driver(driver: str) -> FirmwareIncompatible:
    """Return the error for a name that is none of DRIVERS."""
    return FirmwareIncompatible(
        "unknown driver", value=driver, limit=", ".join(DRIVERS), remedy="name one of them"
    )
