"""The host is killed or frozen, light on, stage moving: the board goes safe alone."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_bridge.drivers.native.emulator import BoardEmulator

PATIENCE_S = 120.0
REPOSITORY = Path(__file__).parents[2]
HOST = """
import sys
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from runtime.clock import SystemClock
board = NativeBoard.open(sys.argv[1], clock=SystemClock(), options=NativeOptions(watchdog_ms=200))
board.stage.home()
board.light.on(channel="left", brightness=1.0)
print("lit", flush=True)
board.stage.move_to(x_um=10_000.0)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_dark_and_still_when_the_host_dies(clock, slow_plant, end):
    with BoardEmulator(slow_plant, clock=clock) as emulator:
        command = [sys.executable, "-c", HOST, emulator.port]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as host:
            assert host.stdout.readline() == "lit\n"
            assert slow_plant.moving.wait(PATIENCE_S)
            assert slow_plant.light == (1, 255)
            slow_plant.dark.clear()
            host.send_signal(end)
            assert slow_plant.dark.wait(PATIENCE_S)
            assert slow_plant.light is None
            assert not slow_plant.powered
            assert slow_plant.steps[0] < 100_000
            host.kill()
