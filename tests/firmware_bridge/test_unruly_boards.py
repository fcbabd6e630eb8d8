"""Every way a board or its line misbehaves, on every driver: a reason by name, and then no harm.

None hangs, none moves twice, none leaves a light on; and when the trouble is over the same driver
works again.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import Firmware, PtyHost, Send
from firmware_bridge.drivers.grbl import stage as grbl_stage
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.board import IlluminateBoard
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import NativeFirmware
from firmware_bridge.drivers.sangaboard import stage as sangaboard_stage
from firmware_bridge.drivers.sangaboard.board import SangaboardBoard
from firmware_bridge.drivers.sangaboard.emulator import V1, SangaboardFirmware
from firmware_bridge.errors import (
    BridgeError,
    DeviceRebooted,
    FirmwareIncompatible,
    LimitHit,
    NotHomed,
    PortBusy,
    PositionUnknown,
    ReplyTimeout,
    Stalled,
)
from firmware_bridge.frames import exchange, session, ticket
from firmware_bridge.frames.codec import DELIMITER
from firmware_bridge.frames.protocol import PROTOCOL_MAJOR
from firmware_bridge.line import roundtrip
from firmware_bridge.text import dialogue
from runtime.clock import SystemClock
from tests.boards.sangaboard import sangaboard_with

CLOCK = SystemClock()
AXES = tuple(replace(axis, limits_steps=(-5000, 14_000)) for axis in BENCH_BOARD.axes)
TRAVEL_UM = 20.0
OVERSIZE = 10_000
Mangle = Callable[[bytes], bytes]


class Unruly:
    """A board's firmware whose words come out otherwise: `say` changes them.

    `stuck_since_s` stops its time, and with it its motors.
    """

    def __init__(self, inner: Firmware) -> None:
        self.inner = inner
        self.say: Mangle = bytes
        self.stuck_since_s: float | None = None

    def power_on(self, send: Send, now_s: float, /) -> None:
        self.inner.power_on(lambda data: send(self.say(data)), now_s)

    def receive(self, data: bytes, now_s: float, /) -> None:
        self.inner.receive(data, self.stuck_since_s or now_s)

    def tick(self, now_s: float, /) -> None:
        self.inner.tick(self.stuck_since_s or now_s)

    def next_event_s(self) -> float | None:
        return None if self.stuck_since_s else self.inner.next_event_s()

    def power_off(self, now_s: float, /) -> None:
        self.inner.power_off(now_s)


@dataclass
class Bench:
    """A driver, its unruly board, and the truth behind both."""

    board: Any
    unruly: Unruly
    host: PtyHost
    plant: BenchPlant
    reopen: Callable[[str], Any]

    def ready(self) -> None:
        """Home and light up."""
        if self.board.stage is not None:
            self.board.stage.home()
        if self.board.light is not None:
            self.board.light.on(channel=self.board.light.channels[0], brightness=1)

    def act(self) -> None:
        """Do one thing that moves, or lights where there is no stage."""
        if self.board.stage is None:
            self.board.light.on(channel="left", brightness=1)
        else:
            self.board.stage.move_to(x_um=-TRAVEL_UM)

    def when_moving(self, then: Callable[[], None], *, takes_s: float) -> None:
        """Have something happen as the next move begins, which takes so long."""
        begin = self.plant.begin_move

        def beginning(*, target_steps: tuple[int, int, int]) -> float:
            self.plant.begin_move = begin  # type: ignore[method-assign]
            begin(target_steps=target_steps)
            then()
            return takes_s

        self.plant.begin_move = beginning  # type: ignore[method-assign]

    def seize(self) -> None:
        """The motors stop where they are, and nobody tells."""
        self.unruly.stuck_since_s = CLOCK.now_s()

    def works(self) -> None:
        """Do it for sure, homing first where the position was lost."""
        try:
            self.act()
        except (DeviceRebooted, PositionUnknown, NotHomed):
            self.board.stage.home()
            self.act()


def native(plant: BenchPlant) -> tuple[Firmware, Callable[[str], Any]]:
    firmware = NativeFirmware(
        plant,
        watchdog_ms=5000,
        watchdog_range_ms=(100, 5000),
        protocol_major=PROTOCOL_MAJOR,
        trigger=None,
    )
    return firmware, partial(
        NativeBoard.open, clock=CLOCK, options=NativeOptions(watchdog_ms=5000, reopen_s=0.1)
    )


def sangaboard(plant: BenchPlant) -> tuple[Firmware, Callable[[str], Any]]:
    build = replace(V1, step_delay_us=10, endstops=True)
    return SangaboardFirmware(plant, build=build), partial(
        SangaboardBoard.open, clock=CLOCK, options=sangaboard_with(AXES)
    )


def grbl(plant: BenchPlant) -> tuple[Firmware, Callable[[str], Any]]:
    return GrblFirmware(plant), partial(GrblBoard.open, clock=CLOCK)


def illuminate(plant: BenchPlant) -> tuple[Firmware, Callable[[str], Any]]:
    return IlluminateFirmware(plant), partial(IlluminateBoard.open, clock=CLOCK)


DRIVERS = {"native": native, "sangaboard": sangaboard, "grbl": grbl, "illuminate": illuminate}
STAGES = ["native", "sangaboard", "grbl"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is bounded anyway; here the bounds are short."""
    monkeypatch.setattr(exchange, "TRIES", 6)
    monkeypatch.setattr(session, "RECOVERIES", 2)
    monkeypatch.setattr(dialogue, "PATIENCE_S", 0.05)
    monkeypatch.setattr(dialogue, "AFTERWARDS_S", 0.02)
    monkeypatch.setattr(roundtrip, "FIRST_TIMEOUT_S", 0.02)
    monkeypatch.setattr(sangaboard_stage, "STILL_S", 0.01)
    monkeypatch.setattr(ticket, "MOTION_SLACK_S", 0.3)
    monkeypatch.setattr(grbl_stage, "AT_REST_S", 0.3)
    monkeypatch.setattr(sangaboard_stage, "AT_REST_S", 0.5)


@contextmanager
def bench(driver: str) -> Iterator[Bench]:
    plant = BenchPlant()
    firmware, opened = DRIVERS[driver](plant)
    unruly = Unruly(firmware)
    with PtyHost(unruly, clock=CLOCK) as host:
        board = opened(host.port)
        yield Bench(board, unruly, host, plant, opened)
        board.close()
        assert plant.light is None


def garbage() -> Mangle:
    random = Random(7)
    return lambda data: random.randbytes(len(data))


def oversize() -> Mangle:
    """Lengthen what is said beyond all measure; a frame keeps its last delimiter only."""
    return lambda data: b"\xa5" * OVERSIZE + data.lstrip(DELIMITER)


def wrong_checksum() -> Mangle:
    """Change the last byte of the checksum, of a text the last but its line's end."""
    return lambda data: data[:-3] + bytes((data[-3] ^ 0x04 or 0x01,)) + data[-2:]


def nothing() -> Mangle:
    return lambda _data: b""


def one_late() -> Mangle:
    """Every answer comes when the next one is due."""
    held = [b""]

    def say(data: bytes) -> bytes:
        held.append(data)
        return held.pop(0)

    return say


def swapped() -> Mangle:
    """Answers come in pairs, the second first."""
    held: list[bytes] = []

    def say(data: bytes) -> bytes:
        if not held:
            held.append(data)
            return b""
        return data + held.pop()

    return say


def twice() -> Mangle:
    return lambda data: data + data


SILENCING = {
    "garbage": garbage,
    "oversize": oversize,
    "wrong checksum": wrong_checksum,
    "never answers": nothing,
}
CONFUSING = {"late": one_late, "out of order": swapped, "doubled": twice}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("trouble", SILENCING)
def test_a_board_that_cannot_be_understood(driver: str, trouble: str) -> None:
    with bench(driver) as rig:
        rig.ready()
        before = rig.plant.steps
        rig.unruly.say = SILENCING[trouble]()
        with pytest.raises((ReplyTimeout, FirmwareIncompatible)) as caught:
            rig.act()
        assert caught.value.remedy
        assert rig.plant.steps in (before, moved(rig, before))
        rig.unruly.say = bytes
        rig.works()
    assert rig.plant.light is None


# Boards of lines are waited for longest.
WAITED_FOR = ("sangaboard", "grbl")
WAITING = [
    pytest.param(name, marks=pytest.mark.slow) if name in WAITED_FOR else name for name in DRIVERS
]


@pytest.mark.parametrize("driver", WAITING)
def test_a_board_that_answers_nothing_is_left_dark_all_the_same(driver: str) -> None:
    with bench(driver) as rig:
        rig.ready()
        rig.unruly.say = nothing()
        rig.board.close()
        rig.host.do(lambda _now_s: None)  # what it was told has arrived
        assert rig.plant.light is None


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_port_without_a_board_that_answers(driver: str) -> None:
    with bench(driver) as rig:
        rig.board.close()
        rig.unruly.say = nothing()
        with pytest.raises((ReplyTimeout, FirmwareIncompatible)) as caught:
            rig.reopen(rig.host.port)
        assert caught.value.remedy
        assert rig.plant.moves == 0


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("trouble", CONFUSING)
def test_answers_late_swapped_or_doubled(driver: str, trouble: str) -> None:
    """Right in the end or a typed error, and never a step too many."""
    with bench(driver) as rig:
        rig.ready()
        before = rig.plant.steps
        rig.unruly.say = CONFUSING[trouble]()
        try:
            rig.act()
        except BridgeError as error:
            assert error.remedy  # noqa: PT017
            assert rig.plant.steps in (before, moved(rig, before))
        else:
            assert rig.plant.steps == moved(rig, before)
        rig.unruly.say = bytes
        rig.works()
        assert rig.plant.steps == moved(rig, before)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_second_program_on_the_port(driver: str) -> None:
    with bench(driver) as rig:
        rig.ready()
        with pytest.raises(PortBusy, match=r"in use.*close the other program"):
            rig.reopen(rig.host.port)
        rig.works()


@pytest.mark.parametrize("driver", STAGES)
def test_a_board_that_restarts_in_mid_move(driver: str) -> None:
    with bench(driver) as rig:
        rig.ready()
        before = rig.plant.steps
        restart = threading.Thread(target=rig.host.reset)
        rig.when_moving(restart.start, takes_s=60.0)
        with pytest.raises((DeviceRebooted, PositionUnknown), match="home") as caught:
            rig.act()
        restart.join()
        assert caught.value.remedy
        assert rig.plant.light is None
        moves = rig.plant.moves
        with pytest.raises((PositionUnknown, NotHomed), match="home"):
            rig.act()
        assert rig.plant.moves == moves
        assert moved(rig, before)[0] <= rig.plant.steps[0] <= before[0]
        rig.works()


@pytest.mark.parametrize("driver", STAGES)
@pytest.mark.parametrize("x_um", [-1e6, 1e6, float("nan")])
def test_a_limit(driver: str, x_um: float) -> None:
    with bench(driver) as rig:
        rig.ready()
        moves = rig.plant.moves
        with pytest.raises(LimitHit, match="choose a target inside the travel") as caught:
            rig.board.stage.move_to(x_um=x_um)
        assert caught.value.axis == "x"
        assert rig.plant.moves == moves
        rig.works()


@pytest.mark.parametrize("driver", STAGES)
def test_an_axis_that_never_arrives(driver: str) -> None:
    with bench(driver) as rig:
        rig.ready()
        before = rig.plant.steps
        rig.when_moving(rig.seize, takes_s=0.2)
        with pytest.raises(Stalled, match="free the axis, home, and resume"):
            rig.act()
        rig.unruly.stuck_since_s = None
        rig.host.do(lambda _now_s: None)
        assert moved(rig, before)[0] <= rig.plant.steps[0] <= before[0]
        rig.works()
        assert rig.plant.steps == moved(rig, before)


@pytest.mark.slow
def test_a_line_that_loses_every_other_position_is_given_up_though_the_stage_stalls() -> None:
    """Of such a line any answer may be a late one: it is told of the line, not of the stage."""
    positions = itertools.count()

    def say(said: bytes) -> bytes:
        return b"" if b" " in said and next(positions) % 2 else said

    with bench("sangaboard") as rig:
        rig.ready()
        rig.when_moving(rig.seize, takes_s=0.2)
        rig.unruly.say = say
        with pytest.raises(ReplyTimeout, match=r"no usable answer to 'p\?'.*check cable"):
            rig.act()


def moved(rig: Bench, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return where the motors stand after exactly one `act` from home."""
    if rig.board.stage is None:
        return before
    step_um = rig.plant.board.axes[0].step_nm / 1000
    return before[0] - round(TRAVEL_UM / step_um), before[1], before[2]
