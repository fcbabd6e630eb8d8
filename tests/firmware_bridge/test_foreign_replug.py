"""A plug pulled in mid-move, on boards without ids: a reason by name and no second move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import Firmware, PtyHost
from firmware_bridge.drivers.brand import BoardOptions
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.board import IlluminateOptions
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.registry import brand
from firmware_bridge.drivers.sangaboard.emulator import V04, V1, SangaboardBuild, SangaboardFirmware
from firmware_bridge.errors import (
    FirmwareIncompatible,
    LinkInterrupted,
    LinkLost,
    PositionUnknown,
)
from firmware_bridge.line.backoff import SHORTEST_PAUSE_S, attempts
from firmware_bridge.line.chaos import ChaosProxy
from runtime.clock import SystemClock
from tests.boards.sangaboard import sangaboard_with

CLOCK = SystemClock()
SLOW_STEPS_PER_S = 1000


class Hand(SystemClock):
    """A clock in whose pauses between two attempts to reopen a port someone acts."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None

    def sleep(self, *, duration_s: float) -> None:
        if duration_s >= SHORTEST_PAUSE_S:
            act, self.act = self.act, lambda: None
            act()
        super().sleep(duration_s=duration_s)


@dataclass
class Bench:
    """A board behind a plug that can be pulled; `asked` is what the host said."""

    plant: BenchPlant
    host: PtyHost
    cable: ChaosProxy
    hand: Hand
    board: Any = None
    asked: bytearray = field(default_factory=bytearray)

    def pull_in_mid_move(self, then: Callable[[], None]) -> None:
        """Have the plug pulled when the next move has begun, and `then` done a little later."""
        begin = self.plant.begin_move

        def pulled(*, target_steps: tuple[int, int, int]) -> float:
            self.plant.begin_move = begin  # type: ignore[method-assign]
            self.cable.close_line()
            self.hand.act = then
            return begin(target_steps=target_steps)

        self.plant.begin_move = pulled  # type: ignore[method-assign]

    def replug(self) -> None:
        self.cable.reopen_line()

    def replug_after_power_loss(self) -> None:
        self.host.reset()
        self.cable.reopen_line()


@contextmanager
def bench(
    driver: str,
    firmware: Firmware,
    plant: BenchPlant,
    *,
    options: BoardOptions | None = None,
    reopen_s: float = 20.0,
) -> Iterator[Bench]:
    hand, row = Hand(), brand(driver)
    options = options or row.options()
    asked = bytearray()

    def tap(sender: str, data: bytes) -> None:
        if sender == "host":
            asked.extend(data)

    with (
        PtyHost(firmware, clock=CLOCK) as host,
        ChaosProxy(host.port, clock=CLOCK, tap=tap) as cable,
    ):
        board = row.open(cable.port, clock=hand, options=replace(options, reopen_s=reopen_s))
        yield Bench(plant, host, cable, hand, board, asked)
        board.close()
        assert plant.light is None


def grbl(**wanted: Any) -> Any:
    plant = BenchPlant(steps_per_s=SLOW_STEPS_PER_S)
    return bench("grbl", GrblFirmware(plant, name="stage-7"), plant, **wanted)


def sangaboard(build: SangaboardBuild, **wanted: Any) -> Any:
    plant = BenchPlant(steps_per_s=SLOW_STEPS_PER_S)
    firmware = SangaboardFirmware(plant, build=replace(build, step_delay_us=1000, endstops=False))
    options = sangaboard_with(BENCH_BOARD.axes, origin_here=True)
    return bench("sangaboard", firmware, plant, options=options, **wanted)


STAGES = {
    "grbl": grbl,
    "sangaboard v0.4": partial(sangaboard, V04),
    "sangaboard v1": partial(sangaboard, V1),
}


def test_grbl_that_kept_its_power_keeps_its_position() -> None:
    with grbl() as rig:
        rig.board.stage.home()
        rig.board.light.on(channel="spindle", brightness=1)
        rig.pull_in_mid_move(then=rig.replug)
        with pytest.raises(LinkInterrupted, match=r"is back.*cut short: do it again"):
            rig.board.stage.move_to(x_um=-100)
        assert rig.plant.light is None
        assert -100 < rig.board.stage.position().x_um < 0
        assert rig.board.stage.move_to(x_um=-20).x_um == -20
        assert rig.plant.steps[0] == -1000 - 200


def test_a_setting_that_the_line_lost_makes_no_other_board_of_it() -> None:
    """Over a bad line `$$` may come without a line that nothing needs."""
    plant = BenchPlant(steps_per_s=SLOW_STEPS_PER_S)
    firmware = GrblFirmware(plant, name="stage-7")
    with bench("grbl", firmware, plant) as rig:
        rig.board.stage.home()
        rig.board.light.on(channel="spindle", brightness=1)
        rig.host.do(lambda _now_s: firmware.settings.pop("31"))  # type: ignore[arg-type]
        rig.pull_in_mid_move(then=rig.replug)
        with pytest.raises(LinkInterrupted):
            rig.board.stage.move_to(x_um=-100)
        assert rig.plant.light is None


def test_grbl_that_lost_its_power_must_be_homed() -> None:
    with grbl() as rig:
        rig.board.stage.home()
        rig.pull_in_mid_move(then=rig.replug_after_power_loss)
        with pytest.raises(PositionUnknown, match=r"may have restarted.*home it, then resume"):
            rig.board.stage.move_to(x_um=-100)
        moves = rig.plant.moves
        with pytest.raises(PositionUnknown, match="home it"):
            rig.board.stage.move_to(x_um=-20)
        assert rig.plant.moves == moves
        rig.board.stage.home()
        assert rig.board.stage.move_to(x_um=-20).x_um == -20


@pytest.mark.parametrize("build", [V04, V1], ids=["v0.4", "v1"])
@pytest.mark.parametrize("power", ["kept", "lost"])
def test_a_sangaboard_proves_nothing_and_moves_once(build: SangaboardBuild, power: str) -> None:
    with sangaboard(build) as rig:
        rig.board.stage.home()
        rig.pull_in_mid_move(then=rig.replug if power == "kept" else rig.replug_after_power_loss)
        rig.asked.clear()
        with pytest.raises(PositionUnknown, match="may have restarted"):
            rig.board.stage.move_to(x_um=30)
        with pytest.raises(PositionUnknown, match="home it again"):
            rig.board.stage.move_to(x_um=30)
        assert rig.asked.count(b"mr ") == 1
        with pytest.raises(PositionUnknown, match="to its origin by hand"):
            rig.board.stage.home()


@pytest.mark.parametrize("name", STAGES)
def test_a_plug_that_stays_out_is_a_lost_link_within_bounds(name: str) -> None:
    with STAGES[name](reopen_s=0.2) as rig:
        rig.board.stage.home()
        rig.pull_in_mid_move(then=lambda: None)
        for _ in range(2):
            with pytest.raises(LinkLost, match="check cable and power, then home and resume"):
                rig.board.stage.move_to(x_um=-30)
        rig.replug()
        with pytest.raises((LinkInterrupted, PositionUnknown), match="is back"):
            rig.board.stage.position()


@pytest.mark.parametrize("name", STAGES)
def test_closing_uses_a_plug_that_is_back_to_stop_and_darken(name: str) -> None:
    with STAGES[name](reopen_s=0.2) as rig:
        rig.board.stage.home()
        if rig.board.light is not None:
            rig.board.light.on(channel=rig.board.light.channels[0], brightness=1)
        rig.pull_in_mid_move(then=lambda: None)
        with pytest.raises(LinkLost):
            rig.board.stage.move_to(x_um=-30)
        rig.replug()
        rig.board.close()
        assert rig.plant.light is None


def test_a_light_whose_line_came_back_is_dark_and_can_be_lit_again() -> None:
    plant = BenchPlant()
    firmware = IlluminateFirmware(plant)
    with bench("illuminate", firmware, plant, options=IlluminateOptions(na=0.4)) as rig:
        rig.board.light.on(channel="left", brightness=1)
        rig.cable.close_line()
        rig.hand.act = rig.replug_after_power_loss
        with pytest.raises(LinkInterrupted, match="dark and still"):
            rig.board.light.off()
        assert firmware.lit == ()
        assert firmware.na_percent == 40
        rig.board.light.on(channel="left", brightness=1)
        assert firmware.lit == ("left",)


def test_another_board_in_its_place_is_refused() -> None:
    plant = BenchPlant(steps_per_s=SLOW_STEPS_PER_S)
    other = GrblFirmware(plant, name="stage-8")
    with bench("grbl", GrblFirmware(plant, name="stage-7"), plant) as rig:
        rig.board.stage.home()

        def swap() -> None:
            rig.host.replace(other)
            rig.replug()

        rig.pull_in_mid_move(then=swap)
        for _ in range(2):
            with pytest.raises(FirmwareIncompatible, match=r"another board.*STAGE-8.*STAGE-7"):
                rig.board.stage.move_to(x_um=-30)


def test_pauses_grow_and_end() -> None:
    class Told:
        def __init__(self) -> None:
            self.time_s, self.pauses_s = 0.0, list[float]()

        def now_s(self) -> float:
            return self.time_s

        def sleep(self, *, duration_s: float) -> None:
            self.time_s += duration_s
            self.pauses_s.append(duration_s)

    clock = Told()
    assert len(list(attempts(clock, within_s=3.0))) == len(clock.pauses_s) + 1
    assert clock.time_s == 3.0
    assert clock.pauses_s[:4] == [0.05, 0.1, 0.2, 0.25]
    assert max(clock.pauses_s) == 0.25
