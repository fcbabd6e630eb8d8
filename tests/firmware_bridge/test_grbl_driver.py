"""The GRBL driver against the emulated controller on a real pty."""

import os
import re
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.grbl.report import STATUS, GrblStatus, Machine
from firmware_bridge.errors import (
    DeviceRebooted,
    FirmwareIncompatible,
    LimitHit,
    NotHomed,
    PositionUnknown,
    Rejected,
    ReplyTimeout,
)
from runtime.clock import SystemClock
from tests.boards.virtual_line import plugged_in

CLOCK = SystemClock()
# Where homing ends: 0.1 mm off the switches, in plant steps.
HOMED_STEPS = (-1000, -1000, -2000)


class Rig:
    """A controller, the plant behind it, and the driver in front."""

    def __init__(self, plant: BenchPlant, host: PtyHost, firmware: GrblFirmware) -> None:
        self.plant, self.host, self.firmware = plant, host, firmware
        self.board = GrblBoard.open(host.port, clock=CLOCK)

    @property
    def from_home(self) -> tuple[int, ...]:
        return tuple(n - m for n, m in zip(self.plant.steps, HOMED_STEPS, strict=True))


@contextmanager
def rig(*, homed: bool = True, steps_per_s: float = float("inf")) -> Iterator[Rig]:
    plant = BenchPlant(steps_per_s=steps_per_s)
    firmware = GrblFirmware(plant, name="bench")
    with PtyHost(firmware, clock=CLOCK) as host:
        opened = Rig(plant, host, firmware)
        if homed:
            opened.board.stage.home()
        yield opened
        opened.board.close()


def test_moves_exactly_and_reads_back() -> None:
    with rig() as one:
        reached = one.board.stage.move_to(x_um=-120, y_um=-50, z_um=3)
        assert (reached.x_um, reached.y_um, reached.z_um) == (-120, -50, 3)
        assert one.from_home == (-1200, -500, 60)
        assert one.board.stage.stage_id == "BENCH"  # GRBL keeps names in capitals


def test_needs_homing_first_and_checks_the_travel() -> None:
    with rig(homed=False) as one:
        with pytest.raises(NotHomed):
            one.board.stage.move_to(x_um=0)
        one.board.stage.home()
        moves = one.plant.moves
        with pytest.raises(LimitHit, match="-19900 to 100 µm"):
            one.board.stage.move_to(x_um=101)
        assert one.plant.moves == moves


def test_a_restart_voids_the_position_until_it_is_homed() -> None:
    with rig() as one:
        one.host.reset()
        with pytest.raises(DeviceRebooted, match="home"):
            while True:
                one.board.stage.position()
        with pytest.raises(PositionUnknown):
            one.board.stage.move_to(x_um=0)
        one.board.stage.home()
        one.board.stage.move_to(x_um=7)
        assert one.from_home[0] == 70


def test_an_alarm_voids_the_position_until_it_is_homed() -> None:
    with rig() as one:
        one.host.do(one.firmware.trip_hard_limit)
        with pytest.raises(PositionUnknown, match="limit switch"):
            one.board.stage.move_to(x_um=0)
        with pytest.raises(PositionUnknown):
            one.board.stage.position()


def test_a_feed_hold_that_noise_made_is_resumed() -> None:
    with rig() as one:
        one.host.do(lambda now_s: one.firmware.receive(b"!", now_s))
        one.board.stage.move_to(x_um=5)
        assert one.from_home[0] == 50


def test_stop_from_another_thread_ends_a_long_move() -> None:
    with rig(steps_per_s=100_000) as one:
        timer = threading.Timer(0.2, one.board.stage.stop)
        timer.start()
        with pytest.raises(Rejected, match="stopped"):
            one.board.stage.move_to(x_um=-9000)
        timer.join()
        assert one.from_home[0] > -90_000


def test_a_stop_of_the_past_does_not_spoil_the_next_move() -> None:
    with rig() as one:
        one.board.stage.stop()
        one.board.stage.move_to(x_um=1)
        assert one.from_home[0] == 10


def test_what_an_earlier_host_left_running_is_ended_on_opening() -> None:
    plant = BenchPlant(steps_per_s=1000)
    firmware = GrblFirmware(plant, settings={"22": 0})
    with PtyHost(firmware, clock=CLOCK) as host:
        host.do(lambda now_s: firmware.receive(b"M3S1000\n$J=G90X-5F6000\n", now_s))
        firmware.settings["22"] = 1.0
        board = GrblBoard.open(host.port, clock=CLOCK)
        assert plant.light is None
        assert board.status().state == "Idle"
        board.close()


def test_the_lamp_is_believed_only_when_reported() -> None:
    with rig() as one:
        one.board.light.on(channel="spindle", brightness=0.5)
        assert one.plant.light == (0, 128)
        one.board.light.off()
        assert one.plant.light is None
        with pytest.raises(Rejected, match="brightness"):
            one.board.light.on(channel="spindle", brightness=1.5)


@pytest.mark.parametrize(("setting", "value"), [("10", 0.0), ("13", 1.0), ("20", 0.0), ("22", 0.0)])
def test_settings_that_cannot_be_worked_with_are_refused(setting: str, value: float) -> None:
    firmware = GrblFirmware(BenchPlant(), settings={setting: value})
    with (
        PtyHost(firmware, clock=CLOCK) as host,
        pytest.raises(FirmwareIncompatible, match=rf"\${setting}="),
    ):
        GrblBoard.open(host.port, clock=CLOCK)


def test_doing_what_a_refusal_says_makes_a_controller_fit() -> None:
    """In its order: GRBL takes soft limits only once homing is on."""
    firmware = GrblFirmware(BenchPlant(), settings={"20": 0.0, "22": 0.0})
    with PtyHost(firmware, clock=CLOCK) as host:
        with pytest.raises(FirmwareIncompatible, match=r"value \$22=0, \$20=0") as caught:
            GrblBoard.open(host.port, clock=CLOCK)
        told = re.findall(r"\$\d+=\d", str(caught.value).partition("send ")[2])
        for waited_s, setting in enumerate(told):  # each write deafens the receiver for a while
            line = f"{setting}\n".encode()
            host.do(partial(_receive, firmware, line, waited_s))
        assert (firmware.settings["22"], firmware.settings["20"]) == (1, 1)
        firmware._deaf_until_s = 0.0
        GrblBoard.open(host.port, clock=CLOCK).close()


class OftenMisread(GrblFirmware):
    """Its third and fourth answers to `$$` lose the same decimal point on the line."""

    dumps = 0

    def _dump(self) -> None:
        self.dumps += 1
        true = self.settings
        self.settings = dict(true)
        if self.dumps <= 2:
            del self.settings["131"]
        elif self.dumps <= 4:
            self.settings["132"] = 1000.0
        super()._dump()
        self.settings = true


def test_a_setting_misread_twice_alike_is_not_believed() -> None:
    """It would make the travel a thousand times as long."""
    with PtyHost(OftenMisread(BenchPlant()), clock=CLOCK) as host:
        board = GrblBoard.open(host.port, clock=CLOCK)
        assert board.machine.settings[132] == 1.0
        board.close()


def _receive(firmware: GrblFirmware, line: bytes, later_s: int, now_s: float) -> None:
    firmware.receive(line, now_s + later_s)


def test_after_a_hard_limit_the_stage_is_homed_and_the_lamp_lit_again() -> None:
    """Until it is reset, GRBL answers nothing after ALARM:1, not even a question."""
    with rig() as one:
        one.host.do(one.firmware.trip_hard_limit)
        with pytest.raises(PositionUnknown, match="a limit switch was hit"):
            one.board.stage.move_to(x_um=-1)
        one.board.light.on(channel="spindle", brightness=1.0)
        assert one.plant.light == (0, 255)
        one.board.stage.home()
        assert one.board.stage.move_to(x_um=-1).x_um == -1


def test_a_controller_deaf_since_an_alarm_nobody_heard_is_reset_and_homed() -> None:
    firmware = GrblFirmware(BenchPlant())
    with plugged_in(firmware) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        cable.plugged = False  # what it says is lost, and the host does not know
        firmware.trip_hard_limit(clock.now_s())
        clock.sleep(duration_s=1.0)
        cable.plugged = True
        board.stage.home()
        assert board.stage.move_to(x_um=-1).x_um == -1
        board.close()


def test_a_controller_that_an_earlier_host_left_deaf_is_opened() -> None:
    firmware = GrblFirmware(BenchPlant())
    with plugged_in(firmware) as (cable, clock):
        firmware.trip_hard_limit(0.0)
        clock.sleep(duration_s=1.0)
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        board.close()


def test_a_reset_that_comes_too_early_is_sent_again() -> None:
    """For half a second after an alarm GRBL forgets it; the position is lost all the same."""
    firmware = GrblFirmware(BenchPlant())
    with plugged_in(firmware) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        firmware.trip_hard_limit(clock.now_s())
        with pytest.raises(PositionUnknown, match="a limit switch was hit"):
            board.stage.position()
        assert board.status().state == "Alarm"
        board.close()


def test_the_restart_behind_an_alarm_is_not_told_as_another_one() -> None:
    firmware = GrblFirmware(BenchPlant(steps_per_s=10_000))
    with plugged_in(firmware) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        clock.after(0.2, lambda: firmware.receive(b"\x18", clock.now_s()))
        with pytest.raises(PositionUnknown, match="reset in motion"):
            board.stage.move_to(x_um=-1000)
        board.stage.home()
        assert board.stage.move_to(x_um=-1).x_um == -1
        assert board.rebooted == 0
        board.close()


def test_what_a_cancel_at_a_jogs_end_suspended_is_resumed() -> None:
    firmware = GrblFirmware(BenchPlant())
    with plugged_in(firmware) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        board.light.on(channel="spindle", brightness=1.0)
        firmware._suspended = True
        board.light.off()
        assert firmware.spindle == 0
        assert board.stage.position().x_um == 0  # no reset was needed
        firmware._suspended = True
        assert board.stage.move_to(x_um=-5).x_um == -5
        board.close()


def test_an_open_door_that_noise_made_is_resumed() -> None:
    firmware = GrblFirmware(BenchPlant())
    with plugged_in(firmware) as (cable, clock):
        board = GrblBoard.open(cable.port, clock=clock)
        board.stage.home()
        firmware.receive(b"\x84", clock.now_s())
        assert board.stage.move_to(x_um=-5).x_um == -5
        board.close()


def test_nothing_sent_holds_a_space_or_writes_a_setting() -> None:
    with rig() as one:
        before = dict(one.firmware.settings)
        heard = bytearray()
        receive = one.firmware.receive

        def listen(data: bytes, now_s: float) -> None:
            heard.extend(data)
            receive(data, now_s)

        one.firmware.receive = listen  # type: ignore[method-assign]
        one.board.stage.move_to(x_um=1, y_um=2)
        one.board.light.off()
        assert b"$J=G90G21G53X" in heard
        assert b" " not in heard
        assert one.firmware.settings == before


@pytest.mark.slow  # it waits; of a board that never answers test_unruly_boards.py asks the same
def test_a_silent_port_is_told_within_bounds() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    with pytest.raises(ReplyTimeout, match="bridge probe"):
        GrblBoard.open(os.ttyname(slave), clock=CLOCK)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("<Idle|MPos:0.000,-1.500,2.001|FS:0,0>", ("Idle", (0, -1500, 2001), 0)),
        (
            "<Hold:1|MPos:0.000,0.000,0.000|FS:0,500|WCO:0.000,0.000,0.000>",
            ("Hold", (0, 0, 0), 500),
        ),
        (
            "<Jog|MPos:1.000,1.000,1.000|Bf:15,127|F:60|Ov:100,100,100|A:S>",
            ("Jog", (1000,) * 3, None),
        ),
    ],
)
def test_status_reports(report: str, expected: tuple[object, ...]) -> None:
    found = STATUS.fullmatch(report)
    assert found is not None
    status = GrblStatus.parse(found)
    assert (status.state, status.at_um, status.spindle) == expected


@pytest.mark.parametrize(
    "report", ["<Idle|MPos:0.000,-1.500>", "<Idle|MPos:0.00,-1.500,2.0|FS:0,0>", "Idle|MPos:0.000"]
)
def test_damaged_status_reports_are_not_believed(report: str) -> None:
    assert STATUS.fullmatch(report) is None


@pytest.mark.parametrize(
    ("direction", "options", "homed", "reach"),
    [
        (0, "V,15,128", -1000, (-200_000, 0)),
        (1, "V,15,128", -199_000, (-200_000, 0)),
        (1, "VZ,15,128", 0, (0, 200_000)),
        (0, "VZ,15,128", 0, (-200_000, 0)),
    ],
)
def test_where_homing_ends_follows_from_the_settings(
    direction: int, options: str, homed: int, reach: tuple[int, int]
) -> None:
    settings = {23: float(direction), 27: 1.0, 130: 200.0, 131: 200.0, 132: 200.0}
    machine = Machine(name="", settings=settings, options=options)
    assert machine.homed_um[0] == homed
    assert machine.ranges_um[0] == reach


def test_lighting_a_locked_controller_does_not_make_its_position_known() -> None:
    with rig(homed=False) as one:
        one.board.light.on(channel="spindle", brightness=1)
        assert one.plant.light == (0, 255)
        with pytest.raises(NotHomed):
            one.board.stage.move_to(x_um=0)
        one.board.stage.home()
        assert one.board.stage.position().x_um == 0


@pytest.mark.parametrize(
    ("steps_per_mm", "target_um", "reports"),
    [
        (10_000.0, -155, {-155}),
        (1000.0, -155, {-155}),
        (250.0, -156, {-156}),
        (250.0, -155, {-156}),
        (250.0, -154, {-156, -152}),  # half-way between two motor steps
        (400.0, -5, {-5}),
        (400.0, -3, {-2, -3}),  # the step is at 2.5 µm: the report's last digit is a tie
    ],
)
def test_only_the_nearest_motor_step_counts_as_arrived(
    steps_per_mm: float, target_um: int, reports: set[int]
) -> None:
    machine = Machine(name="", settings={100: steps_per_mm}, options="")
    assert machine.reports_for(0, target_um) == reports
