"""Sangaboards of three firmwares, and the axes that their drivers must be told."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.drivers.position import MotorAxis, to_um
from firmware_bridge.drivers.sangaboard.board import SangaboardOptions
from firmware_bridge.drivers.sangaboard.emulator import (
    V04,
    V1,
    V1_BETA,
    SangaboardBuild,
    SangaboardFirmware,
)
from firmware_bridge.plant import AxisDescription
from tests.boards.bench import Bench, Emulated

LEDS = ("cc", "pwm0", "pwm1")


def sangaboard_with(axes: Iterable[AxisDescription], **options: Any) -> SangaboardOptions:
    """Return the options of a Sangaboard that drives these axes."""
    x, y, z = (
        MotorAxis(step_nm=axis.step_nm, travel_um=tuple(to_um(n, axis) for n in axis.limits_steps))
        for axis in axes
    )
    return SangaboardOptions(x=x, y=y, z=z, **options)


def emulate(build: SangaboardBuild) -> Emulated:
    plant = BenchPlant()
    firmware = SangaboardFirmware(plant, build=replace(build, step_delay_us=10))
    return Emulated(
        firmware=firmware,
        options=sangaboard_with(BENCH_BOARD.axes, origin_here=True),
        true_steps=lambda: plant.steps,
        true_light=lambda: {LEDS[plant.light[0]]} if plant.light else set(),
    )


def bench(name: str, build: SangaboardBuild, *parts: str) -> Bench:
    return Bench(
        name=name, brand="sangaboard", parts=frozenset(parts), emulate=partial(emulate, build)
    )


BENCHES = (
    bench("sangaboard v0.4", V04, "stage"),
    bench("sangaboard v1-beta", V1_BETA, "stage"),
    bench("sangaboard v1", V1, "stage", "light"),
)
