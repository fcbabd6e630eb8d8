"""Foreign boards over a bad line: exact or a typed error, never silently wrong; naive resend is.

One byte in a hundred is lost, one doubled, one flipped. GRBL ends every move exactly where it was
sent; a Sangaboard too, or says why not.
"""

import re
from contextlib import AbstractContextManager
from dataclasses import replace
from random import Random

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import Firmware
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.sangaboard.board import SangaboardBoard
from firmware_bridge.drivers.sangaboard.emulator import V04, V1, V1_BETA, SangaboardFirmware
from firmware_bridge.errors import (
    DeviceRebooted,
    PositionUnknown,
    Stalled,
)
from firmware_bridge.line.faults import Faults
from firmware_bridge.plant import AxisDescription
from firmware_bridge.text.dialogue import Dialogue
from firmware_bridge.text.lines import LineSession, resembles
from tests.boards.sangaboard import sangaboard_with
from tests.boards.virtual_line import Cable, VirtualClock, plugged_in

BAD = Faults.bytewise(0.01)
NAIVE_MOVES = 40
# Homing ends this far above the switches at the lower ends.
RETREAT_STEPS = {"v0.4": 3500, "v1-beta": 5000, "v1": 5000}
SWITCHED_AXES = tuple(replace(axis, limits_steps=(-3500, 14_000)) for axis in BENCH_BOARD.axes)
BUILDS = {
    name: replace(build, endstops=True, step_delay_us=10)
    for name, build in {"v0.4": V04, "v1-beta": V1_BETA, "v1": V1}.items()
}
HOMINGS = 20
PULL_OFF_UM = 100


def bad_line(
    firmware: Firmware, seed: int, faults: Faults = BAD
) -> AbstractContextManager[tuple[Cable, VirtualClock]]:
    return plugged_in(firmware, faults=faults, seed=seed)


def home(stage: object) -> None:
    """Home over the bad line: an error that says to home again is obeyed."""
    for _ in range(HOMINGS):
        try:
            return stage.home()  # type: ignore[attr-defined]
        except (DeviceRebooted, PositionUnknown):
            continue
    pytest.fail(f"not homed in {HOMINGS} tries")


def grbl_moves(seed: int, moves: int, faults: Faults = BAD) -> None:
    """Motor steps of a micrometre: GRBL reports no finer, so of finer ones it could not tell."""
    axes = tuple(
        AxisDescription(name=name, step_nm=1000, limits_steps=(-20_000, 0)) for name in "xyz"
    )
    plant, random = BenchPlant(board=replace(BENCH_BOARD, axes=axes)), Random(seed)
    with bad_line(GrblFirmware(plant), seed, faults) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        home(board.stage)
        for _ in range(moves):
            x_um, y_um, z_um = (random.randint(-400, 0) for _ in range(3))
            while True:
                try:
                    board.stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
                    break
                except (DeviceRebooted, PositionUnknown):
                    home(board.stage)
            truth = tuple(n + PULL_OFF_UM for n in plant.steps)
            assert truth == (x_um, y_um, z_um)
        board.close()


def sangaboard_moves(build: str, seed: int, moves: int, faults: Faults = BAD) -> None:
    plant, random = BenchPlant(), Random(seed)
    firmware = SangaboardFirmware(plant, build=BUILDS[build])
    with bad_line(firmware, seed, faults) as (cable, clock):
        board = SangaboardBoard.open(
            cable.port, clock=clock, options=sangaboard_with(SWITCHED_AXES)
        )
        home(board.stage)
        for _ in range(moves):
            x_um, y_um, z_um = (random.randint(0, 400) for _ in range(3))
            try:
                board.stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
            except (DeviceRebooted, PositionUnknown, Stalled):
                home(board.stage)
            else:
                truth = tuple(n - RETREAT_STEPS[build] for n in plant.steps)
                assert truth == (10 * x_um, 10 * y_um, 20 * z_um)
        board.close()


def naive(firmware: Firmware, seed: int, line: bytes, done: re.Pattern[str]) -> None:
    """Send relative moves and, hearing no "done", send them again: what most hosts do."""
    with bad_line(firmware, seed) as (cable, clock):
        dialogue = Dialogue(LineSession(cable.port, clock=clock), clock=clock)
        for _ in range(NAIVE_MOVES):
            while dialogue.once(line, done) is None:
                continue
        dialogue.lines.close()


def test_grbl_is_exact_and_naive_resend_is_not() -> None:
    grbl_moves(seed=1, moves=3)
    plant = BenchPlant()
    firmware = GrblFirmware(plant, settings={"22": 0})
    naive(firmware, 1, b"$J=G91X-0.01F6000\n", re.compile("ok"))
    assert plant.steps != (-100 * NAIVE_MOVES, 0, 0)


@pytest.mark.parametrize("build", ["v0.4"])
def test_sangaboard_is_exact_or_says_why_not(build: str) -> None:
    sangaboard_moves(build, seed=2, moves=4)


def test_naive_resend_goes_wrong_on_a_sangaboard() -> None:
    plant = BenchPlant()
    firmware = SangaboardFirmware(plant, build=replace(V1, step_delay_us=0))
    naive(firmware, 1, b"mr 100 0 0\n", re.compile(r"done\.|stopped"))
    assert plant.steps != (100 * NAIVE_MOVES, 0, 0)


@pytest.mark.parametrize("rate", [0.0, 0.002])
def test_a_slow_board_is_exact_too(rate: float) -> None:
    """Every hundredth byte comes 50 to 500 ms late, behind which everything waits."""
    slow = Faults.bytewise(rate, gap=0.01)
    grbl_moves(seed=3, moves=3, faults=slow)
    for build in BUILDS:
        sangaboard_moves(build, seed=19, moves=3, faults=slow)


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 0.01])
@pytest.mark.parametrize("seed", range(1, 7))
def test_grbl_stays_exact_for_long(seed: int, gap: float) -> None:
    grbl_moves(seed, moves=20, faults=Faults.bytewise(0.01, gap=gap))


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 0.01])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("build", BUILDS)
def test_sangaboard_stays_true_for_long(build: str, seed: int, gap: float) -> None:
    sangaboard_moves(build, seed, moves=20, faults=Faults.bytewise(0.01, gap=gap))


@pytest.mark.parametrize(
    "line",
    [
        "Sangaboard Firmware v1.0-beta",
        "Sngabboard Firmwar~ v1.0-bta",
        "falseSangaboard Firmware v1.0-beta",
    ],
)
def test_a_damaged_banner_is_still_a_banner(line: str) -> None:
    assert resembles(line, "Sangaboard Firmware v1.0-beta")


@pytest.mark.parametrize("line", ["1234 -5678 90", "done.", "Type 'help' for a list of commands."])
def test_answers_are_no_banners(line: str) -> None:
    assert not resembles(line, "Sangaboard Firmware v1.0-beta")
    assert not resembles(line, "OpenFlexure Motor Board v0.4")
    assert not resembles(line, "Grbl 1.1h ['$' for help]")
