"""The Sangaboard driver against the emulated board on a real pty, quirks and all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.sangaboard.board import SangaboardBoard
from firmware_bridge.drivers.sangaboard.emulator import (
    V04,
    V1,
    V1_BETA,
    SangaboardBuild,
    SangaboardFirmware,
)
from firmware_bridge.errors import (
    DeviceRebooted,
    FirmwareIncompatible,
    LimitHit,
    NotHomed,
    PortBusy,
    PositionUnknown,
    Rejected,
)
from runtime.clock import SystemClock
from tests.boards.sangaboard import sangaboard_with

CLOCK = SystemClock()
BUILDS = [V1, V1_BETA, V04]
QUICK_US = 10


class Rig:
    """A board, the plant behind it, and the driver in front."""

    def __init__(self, plant: BenchPlant, host: PtyHost, firmware: SangaboardFirmware) -> None:
        self.plant, self.host, self.firmware = plant, host, firmware
        self.board = SangaboardBoard.open(
            host.port, clock=CLOCK, options=sangaboard_with(BENCH_BOARD.axes, origin_here=True)
        )


@contextmanager
def rig(build: SangaboardBuild, *, step_delay_us: int = QUICK_US) -> Iterator[Rig]:
    plant = BenchPlant()
    firmware = SangaboardFirmware(plant, build=replace(build, step_delay_us=step_delay_us))
    with PtyHost(firmware, clock=CLOCK) as host:
        opened = Rig(plant, host, firmware)
        yield opened
        opened.board.close()


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.banner)
def test_moves_exactly_and_reads_back(build: SangaboardBuild) -> None:
    with rig(build) as one:
        one.board.stage.home()
        assert one.board.stage.move_to(x_um=120, z_um=-3).x_um == 120
        one.board.stage.move_to(y_um=-50.5)
        assert one.plant.steps == (1200, -505, -60)


def test_a_move_past_16_bits_goes_the_right_way() -> None:
    with rig(V1_BETA, step_delay_us=1) as one:
        one.board.stage.home()
        one.board.stage.move_to(x_um=4000)
        assert one.plant.steps == (40_000, 0, 0)


@pytest.mark.parametrize("build", [V1_BETA, V04], ids=lambda build: build.banner)
def test_homes_on_boards_with_switches(build: SangaboardBuild) -> None:
    with rig(replace(build, endstops=True)) as one:
        one.board.stage.home()
        assert one.board.stage.steps() == (0, 0, 0)
        assert one.plant.steps in ((5000,) * 3, (3500,) * 3)  # beside the switches at step 0
        one.board.stage.move_to(x_um=10)
        assert one.plant.steps[0] - one.plant.steps[1] == 100


def test_switches_asked_after_in_damaged_questions_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle, damaged = SangaboardFirmware._handle, [2]

    def hears(firmware: SangaboardFirmware, line: str, now_s: float) -> None:
        if line.startswith("endstops?") and damaged[0] > 0:
            damaged[0] -= 1
            line = f"~{line[1:]}"
        handle(firmware, line, now_s)

    monkeypatch.setattr(SangaboardFirmware, "_handle", hears)
    with rig(replace(V1_BETA, endstops=True)) as one:
        one.board.stage.home()
        assert damaged == [0]
        assert one.plant.steps == (5000,) * 3


def test_homing_does_not_restart_a_board() -> None:
    """V1.0-beta does on a bare `home_min`, which does not say which axes."""
    with rig(replace(V1_BETA, endstops=True)) as one:
        one.board.stage.home()
        assert one.firmware.crashes == 0


def test_without_switches_the_origin_must_be_allowed_and_is_taken_once() -> None:
    with rig(V1) as one:
        with pytest.raises(NotHomed, match="no origin yet"):
            one.board.stage.move_to(x_um=1)
        one.board.stage.home()
        with pytest.raises(NotHomed, match="origin_here"):
            one.board.stage.home()


def test_a_restart_voids_the_position_for_good() -> None:
    with rig(V1_BETA) as one:
        one.board.stage.home()
        one.board.stage.move_to(x_um=100)
        one.host.reset()
        with pytest.raises(DeviceRebooted, match="home, then resume"):
            while True:
                one.board.stage.position()
        with pytest.raises(PositionUnknown):
            one.board.stage.move_to(x_um=0)
        with pytest.raises(PositionUnknown, match="by hand"):
            one.board.stage.home()


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.banner)
def test_told_where_it_stands_after_a_restart_it_moves_from_there(build: SangaboardBuild) -> None:
    """What the board counts from then on does not matter: zero, or what its EEPROM kept."""
    with rig(build) as one:
        assert not one.board.stage.finds_origin
        one.board.stage.home()
        one.board.stage.move_to(x_um=100, z_um=-3)
        one.host.reset()
        with pytest.raises(DeviceRebooted):
            while True:
                one.board.stage.position()
        assert one.board.stage.lost
        one.board.stage.stand_at(x_um=130.02, y_um=-20, z_um=5)
        assert not one.board.stage.lost
        assert one.board.stage.steps() == (1300, -200, 100)
        stood = one.plant.steps
        assert one.board.stage.move_to(x_um=131, y_um=-30).x_um == 131
        moved = tuple(b - a for a, b in zip(stood, one.plant.steps, strict=True))
        assert moved == (10, -100, 0)
        one.board.stage.stand_at(x_um=0, y_um=0, z_um=0)
        assert one.board.stage.steps() == (0, 0, 0)
        with pytest.raises(LimitHit, match="travel of x"):
            one.board.stage.stand_at(x_um=20_001, y_um=0, z_um=0)
        assert one.board.stage.steps() == (0, 0, 0)


def test_a_board_that_was_never_homed_can_be_told_and_a_zero_forgets_it() -> None:
    with rig(V1) as one:
        one.board.stage.stand_at(x_um=50, y_um=60, z_um=7)
        assert one.board.stage.move_to(x_um=51).y_um == 60
        assert one.plant.steps == (10, 0, 0)
        one.board.stage.home()
        assert one.board.stage.steps() == (0, 0, 0)


def test_with_switches_it_finds_its_origin_itself() -> None:
    with rig(replace(V1_BETA, endstops=True)) as one:
        assert one.board.stage.finds_origin


def test_a_target_outside_the_travel_moves_nothing() -> None:
    with rig(V1) as one:
        one.board.stage.home()
        with pytest.raises(LimitHit, match="20000 µm") as caught:
            one.board.stage.move_to(x_um=20_001)
        assert caught.value.axis == "x"
        assert one.plant.moves == 0


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.banner)
def test_stop_from_another_thread_ends_a_long_move(build: SangaboardBuild) -> None:
    with rig(build, step_delay_us=1000) as one:
        one.board.stage.home()
        timer = threading.Timer(0.2, one.board.stage.stop)
        timer.start()
        with pytest.raises(Rejected, match="stopped") as caught:
            one.board.stage.move_to(x_um=2000)
        timer.join()
        assert caught.value.code == "stopped"
        assert one.plant.steps == one.board.stage.steps()
        assert one.plant.steps[0] < 20_000


def test_a_stage_driven_off_by_a_damaged_line_is_corrected() -> None:
    with rig(V1) as one:
        one.board.stage.home()
        one.host.do(lambda now_s: one.firmware.receive(b"mr 500 0 0\n", now_s))
        one.board.stage.move_to(y_um=10)
        one.board.stage.move_to(x_um=0)
        assert one.plant.steps == (0, 100, 0)


def test_the_lights_are_the_channels_the_board_reports() -> None:
    with rig(V1) as one:
        light = one.board.light
        assert light is not None
        assert light.channels == ("cc", "pwm0", "pwm1")
        light.on(channel="pwm1", brightness=0.5)
        assert one.plant.light == (2, 128)
        light.on(channel="cc", brightness=0.001)
        assert one.plant.light is not None
        light.off()
        assert one.plant.light is None
        with pytest.raises(Rejected, match="unknown light channel"):
            light.on(channel="cc2", brightness=1)
    with rig(V04) as one:
        assert one.board.light is None


def test_closing_leaves_it_dark_and_still() -> None:
    with rig(V1) as one:
        assert one.board.light is not None
        one.board.light.on(channel="cc", brightness=1)
        one.board.close()
        one.board.close()
        one.host.do(lambda _now_s: None)
        assert one.plant.light is None


def test_a_second_host_is_kept_out() -> None:
    with rig(V1) as one, pytest.raises(PortBusy):
        SangaboardBoard.open(one.host.port, clock=CLOCK)


@pytest.mark.parametrize("banner", ["Sangaboard Firmware v2.0", "OpenFlexure Motor Board v0.3"])
def test_other_versions_are_refused(banner: str) -> None:
    firmware = SangaboardFirmware(BenchPlant(), build=replace(V1, banner=banner))
    with PtyHost(firmware, clock=CLOCK) as host, pytest.raises(FirmwareIncompatible, match="flash"):
        SangaboardBoard.open(host.port, clock=CLOCK)
