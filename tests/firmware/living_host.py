"""A host at work, started by the tests as a process of its own so that it can be killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.frames.protocol import STEPS, Opcode
from tests.firmware.patient_clock import PatientClock


def work(port: str) -> None:
    """Home, light up, set off on a long way, and beat for as long as we live."""
    clock = PatientClock()
    board = NativeBoard.open(port, clock=clock)
    board.stage.home()
    board.light.on(channel="brightfield", brightness=1.0)
    board.session.start(Opcode.MOVE_BY, STEPS.pack(150_000, 0, 0))
    print("at work", flush=True)
    while True:
        board.beat()
        clock.sleep(duration_s=0.02)


work(sys.argv[1])
