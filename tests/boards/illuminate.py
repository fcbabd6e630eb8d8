"""An LED array with illuminate's firmware."""

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.illuminate.board import IlluminateOptions
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from tests.boards.bench import Bench, Emulated


def emulate() -> Emulated:
    firmware = IlluminateFirmware(BenchPlant())
    return Emulated(
        firmware=firmware,
        options=IlluminateOptions(led_groups={"led 5": (5,)}),
        true_light=lambda: set(firmware.lit),
    )


BENCHES = (
    Bench(name="illuminate", brand="illuminate", parts=frozenset({"light"}), emulate=emulate),
)
