"""A host that dies leaves the board dark and idle in time, measured in simulated cycles."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.frames.protocol import LIGHT_REQUEST, STEPS, Opcode, Reason, unpack_reason

pytestmark = [pytest.mark.firmware, pytest.mark.xdist_group("firmware")]

HALF_A_SECOND_CYCLES = 8_000_000
Host = Callable[[str], "subprocess.Popen[str]"]
Connect = Callable[[str], NativeBoard]


def wait_for_work(simulated: Any) -> int:
    """Return the place in the events from which the host's long move is under way, in light."""
    lit = simulated.wait("light", "0001ff")
    moving = simulated.wait("moving", since=simulated.events.index(lit))
    return int(simulated.events.index(moving))


def assert_safe_in_time(simulated: Any, since: int) -> None:
    """Light off, motors standing and without current within 0.5 s of the last byte heard."""
    dark = simulated.wait("light", "000000", since=since)
    idle = simulated.wait("motors", "0", since=since)
    still = simulated.wait("still", since=since)
    heard_cycle = simulated.heard_cycle()
    assert 0 < dark.cycle - heard_cycle <= HALF_A_SECOND_CYCLES
    assert 0 < idle.cycle - heard_cycle <= HALF_A_SECOND_CYCLES
    assert int(still.values[0]) - heard_cycle <= HALF_A_SECOND_CYCLES


@pytest.mark.parametrize("mcu", ["atmega328p", "atmega2560"])
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_dead_host(simulate: Any, host: Host, mcu: str, death: signal.Signals) -> None:
    simulated = simulate(mcu)
    living = host(simulated.port)
    mark = wait_for_work(simulated)
    living.send_signal(death)
    assert_safe_in_time(simulated, mark)


def test_an_unplugged_line(simulate: Any, host: Host) -> None:
    simulated = simulate()
    host(simulated.port)
    mark = wait_for_work(simulated)
    simulated.order("unplug")
    assert_safe_in_time(simulated, mark)


def test_a_trip_latches_until_rearmed(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    board.light.on(channel="left", brightness=1.0)
    simulated.wait("motors", "0", since=len(simulated.events))  # nobody beats
    light = LIGHT_REQUEST.pack(0, 255)
    for opcode, payload in ((Opcode.LIGHT, light), (Opcode.MOVE_BY, STEPS.pack(9, 0, 0))):
        reply = board.session.call(opcode, payload)
        assert unpack_reason(reply.payload)[0] is Reason.LATCHED
    board.light.on(channel="left", brightness=1.0)  # the driver re-arms, and counts it
    assert board.rearmed == 1
    assert board.stage.move_by_steps((9, 0, 0)) == (9, 0, 0) == simulated.carriages()


def test_replugged_in_the_middle_of_a_move(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    mark = len(simulated.events)
    ticket = board.session.start(Opcode.MOVE_BY, STEPS.pack(20_000, 0, 0))
    simulated.wait("moving", since=mark)
    simulated.order("unplug")
    simulated.order("plug")
    board.session.finish(ticket)
    assert board.stage.move_by_steps((100, 0, 0)) == simulated.carriages()
