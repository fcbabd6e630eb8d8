"""The driver on the emulated board: recovery, safety, refusals."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import (
    DeviceRebooted,
    FirmwareIncompatible,
    LinkLost,
    PortAbsent,
    PortBusy,
    PositionUnknown,
    Rejected,
)
from firmware_bridge.frames.protocol import STEPS, Opcode, ResetCause
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.plant import AxisDescription, BoardDescription

PATIENCE_S = 120.0
REPOSITORY = Path(__file__).parents[2]
OPEN_IN_ANOTHER_PROCESS = """
import sys
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.errors import PortBusy
from runtime.clock import SystemClock
try:
    NativeBoard.open(sys.argv[1], clock=SystemClock())
except PortBusy as busy:
    print("refused:", busy)
"""


@pytest.fixture
def elsewhere():
    """Return a function that runs a call in another thread and gives its future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def test_hello_and_description_are_the_plants(bench):
    assert bench.board.description == bench.plant.board
    assert bench.board.hello.reset_cause is ResetCause.POWER_ON
    assert bench.board.hello.watchdog_ms == 5000


def test_second_process_on_the_port_is_refused(bench):
    shown = subprocess.run(
        [sys.executable, "-c", OPEN_IN_ANOTHER_PROCESS, bench.emulator.port],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=REPOSITORY,
    )
    assert shown.stdout.startswith(f"refused: serial port in use; value {bench.emulator.port}")
    assert bench.board.stage.steps() == (0, 0, 0)


def test_second_opening_in_this_process_is_refused(bench, clock):
    with pytest.raises(PortBusy, match="limit one process"):
        NativeBoard.open(bench.emulator.port, clock=clock)


def test_absent_port_says_what_to_do(clock):
    with pytest.raises(PortAbsent, match=r"value /dev/ttyNOWHERE\. check cable"):
        NativeBoard.open("/dev/ttyNOWHERE", clock=clock)


def test_other_protocol_version_is_refused(clock):
    with (
        BoardEmulator(BenchPlant(), clock=clock, protocol_major=2) as emulator,
        pytest.raises(FirmwareIncompatible, match="board version 2; limit host version 1"),
    ):
        NativeBoard.open(emulator.port, clock=clock)


def test_board_without_three_axes_is_refused(clock):
    axis = AxisDescription(name="x", step_nm=100, limits_steps=(0, 10))
    lamp_only = BoardDescription(unique_id="lamp", axes=(axis,), channels=("a",), objectives=())
    with (
        BoardEmulator(BenchPlant(board=lamp_only), clock=clock) as emulator,
        pytest.raises(FirmwareIncompatible, match="value x; limit x, y, z"),
    ):
        NativeBoard.open(emulator.port, clock=clock)


def test_late_heartbeat_is_survived_and_counted(clock, slow_plant):
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(emulator.port, clock=clock, options=NativeOptions(watchdog_ms=100))
        board.stage.home()
        slow_plant.dark.clear()
        board.light.on(channel="left", brightness=1.0)
        assert slow_plant.dark.wait(PATIENCE_S)
        board.light.on(channel="right", brightness=1.0)
        assert (slow_plant.light, board.rearmed) == ((2, 255), 1)
        board.close()


def test_light_off_notices_that_the_board_had_gone_dark(clock, slow_plant):
    """An exposure may have been dark: whoever exposes sees it in the count."""
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(emulator.port, clock=clock, options=NativeOptions(watchdog_ms=100))
        slow_plant.dark.clear()
        board.light.on(channel="left", brightness=1.0)
        assert slow_plant.dark.wait(PATIENCE_S)
        board.light.off()
        assert board.rearmed == 1
        board.close()


def test_long_move_feeds_its_own_watchdog(clock, slow_plant):
    """Half as long again as the board waits for its host, which a busy machine may hold up."""
    options = NativeOptions(watchdog_ms=1000)
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(emulator.port, clock=clock, options=options)
        board.stage.home()
        assert board.stage.move_to(x_um=750.0).x_um == 750.0
        assert board.rearmed == 0
        board.close()


def test_stop_from_another_thread_ends_a_move(clock, slow_plant, elsewhere):
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        slow_plant.moving.clear()
        move = elsewhere(lambda: board.stage.move_to(x_um=10_000.0))
        assert slow_plant.moving.wait(PATIENCE_S)
        board.stage.stop()
        with pytest.raises(Rejected, match="stopped"):
            move.result(PATIENCE_S)
        assert board.stage.steps() == slow_plant.steps
        assert 0 <= slow_plant.steps[0] < 100_000
        board.close()


def test_stop_gets_through_a_full_queue(clock, slow_plant):
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        session = board.session
        tickets = [session.start(Opcode.MOVE_BY, STEPS.pack(20_000, 0, 0)) for _ in range(5)]
        with pytest.raises(Rejected, match="queue-full"):
            board.command(Opcode.MOVE_BY, STEPS.pack(1, 0, 0))
        board.stage.stop()
        for ticket in tickets:
            assert session.finish(ticket).payload[0] == 7
        assert board.stage.steps() == slow_plant.steps
        board.close()


@pytest.mark.parametrize("watchdog_ms", [5000, 100])
def test_unplugged_and_replugged_in_mid_move(clock, slow_plant, elsewhere, watchdog_ms):
    """With time left the board finishes alone; else it trips and the move is taken up again."""
    with (
        BoardEmulator(slow_plant, clock=clock) as emulator,
        ChaosProxy(emulator.port, clock=clock) as cable,
    ):
        board = NativeBoard.open(
            cable.port, clock=clock, options=NativeOptions(watchdog_ms=watchdog_ms)
        )
        board.stage.home()
        slow_plant.moving.clear()
        slow_plant.dark.clear()
        move = elsewhere(lambda: board.stage.move_by_steps((2_500, -40, 0)))
        assert slow_plant.moving.wait(PATIENCE_S)
        cable.close_line()
        if watchdog_ms == 100:
            assert slow_plant.dark.wait(PATIENCE_S)
        cable.reopen_line()
        assert move.result(PATIENCE_S) == (2_500, -40, 0) == slow_plant.steps
        assert slow_plant.moves == (2 if watchdog_ms == 5000 else 3)
        assert board.session.recoveries == 1
        board.close()


def test_unplugged_for_good_is_link_lost_and_dark(clock, slow_plant):
    with (
        BoardEmulator(slow_plant, clock=clock) as emulator,
        ChaosProxy(emulator.port, clock=clock) as cable,
    ):
        board = NativeBoard.open(
            cable.port, clock=clock, options=NativeOptions(watchdog_ms=100, reopen_s=0.1)
        )
        slow_plant.dark.clear()
        board.light.on(channel="left", brightness=1.0)
        cable.close_line()
        with pytest.raises(LinkLost, match=r"value .*/line; limit 0.1 s. check cable and power"):
            board.light.off()
        assert slow_plant.dark.wait(PATIENCE_S)
        assert slow_plant.light is None
        board.close()


def test_reboot_is_named_once_and_the_position_is_gone(bench):
    bench.board.light.on(channel="left", brightness=1.0)
    bench.emulator.reboot(ResetCause.BROWN_OUT)
    assert bench.plant.light is None
    with pytest.raises(DeviceRebooted, match=r"cause brown-out\. its light is off"):
        bench.board.stage.move_to(x_um=5.0)
    with pytest.raises(PositionUnknown, match="home it again"):
        bench.board.stage.position()
    bench.board.light.on(channel="right", brightness=1.0)
    bench.board.stage.home()
    assert bench.board.stage.move_to(x_um=5.0).x_um == 5.0
    assert bench.plant.light == (2, 255)


def test_reboot_in_mid_move(clock, slow_plant, elsewhere):
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        slow_plant.moving.clear()
        move = elsewhere(lambda: board.stage.move_to(x_um=500.0))
        assert slow_plant.moving.wait(PATIENCE_S)
        emulator.reboot()
        with pytest.raises(DeviceRebooted):
            move.result(PATIENCE_S)
        assert slow_plant.steps[0] < 5_000
        board.close()


def test_closing_leaves_it_dark_and_idle_and_may_be_repeated(bench):
    bench.board.light.on(channel="left", brightness=0.5)
    bench.board.close()
    assert (bench.plant.light, bench.plant.powered) == (None, False)
    bench.board.close()
