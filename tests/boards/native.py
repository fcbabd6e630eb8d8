"""The native board."""

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.brand import PARTS
from firmware_bridge.drivers.native.board import NativeOptions
from firmware_bridge.drivers.native.emulator import NativeFirmware
from firmware_bridge.frames.protocol import PROTOCOL_MAJOR
from tests.boards.bench import Bench, Emulated


def emulate() -> Emulated:
    plant = BenchPlant()
    return Emulated(
        firmware=NativeFirmware(
            plant,
            watchdog_ms=500,
            watchdog_range_ms=(100, 5000),
            protocol_major=PROTOCOL_MAJOR,
            trigger=None,
        ),
        options=NativeOptions(watchdog_ms=5000),
        true_steps=lambda: plant.steps,
        true_light=lambda: {plant.board.channels[plant.light[0]]} if plant.light else set(),
    )


BENCHES = (Bench(name="native", brand="native", parts=frozenset(PARTS), emulate=emulate),)
