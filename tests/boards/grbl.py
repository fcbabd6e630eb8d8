"""A GRBL controller; its stage counts micrometres whatever its motors' steps are."""

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.grbl.board import GrblOptions
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from tests.boards.bench import Bench, Emulated


def emulate() -> Emulated:
    plant = BenchPlant()

    def micrometres() -> tuple[int, int, int]:
        x, y, z = (
            n * a.step_nm // 1000 for n, a in zip(plant.steps, plant.board.axes, strict=True)
        )
        return x, y, z

    return Emulated(
        firmware=GrblFirmware(plant, name="stage-7"),
        options=GrblOptions(),
        true_steps=micrometres,
        true_light=lambda: {"spindle"} if plant.light else set(),
    )


BENCHES = (Bench(name="grbl", brand="grbl", parts=frozenset({"stage", "light"}), emulate=emulate),)
