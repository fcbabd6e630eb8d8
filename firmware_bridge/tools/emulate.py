"""A board that is not there: the bytes and the timing of a brand's firmware, on its own port."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.drivers.registry import brand
from firmware_bridge.drivers.sangaboard.emulator import SangaboardFirmware

# About as fast as a real stage: a move takes time, and can be watched.
STEPS_PER_S = 20_000.0

Host = Callable[[BenchPlant, MonotonicClock], PtyHost]
EMULATORS: dict[str, Host] = {
    "native": lambda plant, clock: BoardEmulator(plant, clock=clock),
    "sangaboard": lambda plant, clock: PtyHost(SangaboardFirmware(plant), clock=clock),
    "grbl": lambda plant, clock: PtyHost(GrblFirmware(plant), clock=clock),
    "illuminate": lambda plant, clock: PtyHost(IlluminateFirmware(plant), clock=clock),
}


def emulated(name: str, *, clock: MonotonicClock) -> PtyHost:
    """Return an emulated board of a brand, to be entered; its `port` is opened as a real one's.

    Raises FirmwareIncompatible for a brand that nobody knows.
    """
    return EMULATORS[brand(name).name](BenchPlant(steps_per_s=STEPS_PER_S), clock)
