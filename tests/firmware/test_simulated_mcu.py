"""The same image that is flashed, under simavr, through the real driver over a real pty."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.errors import DeviceRebooted, LimitHit, NotHomed, Rejected
from firmware_bridge.frames.codec import FrameType
from firmware_bridge.frames.protocol import STEPS, Opcode, unpack_steps
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.clock import SystemClock

pytestmark = [pytest.mark.firmware, pytest.mark.xdist_group("firmware")]

CYCLES_PER_MS = 16_000
RAMP_MS = 50
# What simavr's UART takes for a byte; a real one at 115,200 baud takes 1,389.
SIMULATED_BYTE_CYCLES = 3000
Connect = Callable[[str], NativeBoard]


@pytest.mark.parametrize("mcu", ["atmega328p", "atmega2560"])
def test_homes_and_moves_exactly(simulate: Any, connect: Connect, mcu: str) -> None:
    simulated = simulate(mcu)
    board = connect(simulated.port)
    assert [axis.name for axis in board.description.axes] == ["x", "y", "z"]
    with pytest.raises(NotHomed):
        board.stage.steps()
    board.stage.home()
    assert board.stage.steps() == (0, 0, 0) == simulated.carriages()
    draw, here = random.Random(11), (0, 0, 0)
    for _ in range(6):
        there = tuple(draw.randrange(900) for _ in range(3))
        x, y, z = (b - a for a, b in zip(here, there, strict=True))
        assert board.stage.move_by_steps((x, y, z)) == there == simulated.carriages()
        here = there


def test_homing_ends_at_the_same_place_from_either_side(simulate: Any, connect: Connect) -> None:
    for from_switch in (-30, 1, 400):
        simulated = simulate(from_switch=from_switch)
        connect(simulated.port).stage.home()
        assert simulated.carriages() == (0, 0, 0)


def test_an_answer_is_made_within_a_millisecond(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    mark = len(simulated.events)
    for _ in range(20):
        board.session.call(Opcode.STATUS)
    status, done = str(int(Opcode.STATUS)), str(int(FrameType.DONE))
    for _ in range(20):
        asked = simulated.wait("got", "1", status, since=mark)
        answer = simulated.wait("sent", done, status, asked.values[2], since=mark)
        place = simulated.events.index(answer)
        # On a slow machine the host asks again, and the line is busy with that answer's repetition.
        said = [event.cycle for event in simulated.events[:place] if event.what == "sent"]
        begun = max(asked.cycle, said[-1] + SIMULATED_BYTE_CYCLES)
        line_cycles = 28 * SIMULATED_BYTE_CYCLES  # the answer's own bytes, less its first
        assert answer.cycle - begun - line_cycles < CYCLES_PER_MS
        mark = place


def test_each_pattern_lights_its_own_leds(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    masks = {}
    for channel in board.light.channels:
        mark = len(simulated.events)
        board.light.on(channel=channel, brightness=0.5)
        mask, level = simulated.wait("light", since=mark).values
        masks[channel] = int(mask, 16)
        assert level == "128"
    assert len(set(masks.values())) == len(masks) - 4  # four single LEDs also have a name
    assert masks["brightfield"] == 0x1FF
    assert masks["pair-x"] == masks["left"] | masks["right"]
    assert masks["pair-y"] == masks["top"] | masks["bottom"]
    assert [masks[f"led-{led}"] for led in range(25)] == [1 << led for led in range(25)]


def test_stop_in_mid_move_ramps_down_and_keeps_the_position(
    simulate: Any, connect: Connect
) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    mark = len(simulated.events)
    refused: list[Rejected] = []

    def go() -> None:
        try:
            board.stage.move_by_steps((100_000, 0, 0))
        except Rejected as error:
            refused.append(error)

    mover = threading.Thread(target=go)
    mover.start()
    simulated.wait("moving", since=mark)
    board.stage.stop()
    mover.join()
    assert [error.code for error in refused] == ["stopped"]
    heard = simulated.wait("got", "2", str(int(Opcode.STOP)), since=mark)
    last_step_cycle = int(simulated.wait("still", since=mark).values[0])
    assert last_step_cycle - heard.cycle <= (RAMP_MS + 1) * CYCLES_PER_MS
    assert 0 < board.stage.steps()[0] < 100_000
    assert board.stage.steps() == simulated.carriages()


def test_a_switch_in_the_way_is_a_limit_hit(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    board.stage.move_by_steps((3000, 0, 0))
    simulated.order("hold 0")
    with pytest.raises(LimitHit) as caught:
        board.stage.move_by_steps((-2000, 0, 0))
    assert caught.value.axis == "x"
    simulated.order("release 0")
    board.stage.home()
    assert simulated.carriages() == (0, 0, 0)


def test_a_repeated_frame_moves_once(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    link = board.session._exchange.link
    ticket = board.session.start(Opcode.MOVE_BY, STEPS.pack(400, 0, 0))
    for _ in range(5):
        link.send(ticket.frame)
    assert unpack_steps(board.session.finish(ticket).payload) == (400, 0, 0)
    link.send(ticket.frame)
    assert board.stage.steps() == (400, 0, 0) == simulated.carriages()


def test_a_bad_line_moves_nothing_twice(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    with ChaosProxy(
        simulated.port, clock=SystemClock(), faults=Faults.bytewise(0.002), seed=5
    ) as line:
        board = connect(line.port)
        board.stage.home()
        draw, here = random.Random(7), (0, 0, 0)
        for _ in range(8):
            there = tuple(draw.randrange(300) for _ in range(3))
            x, y, z = (b - a for a, b in zip(here, there, strict=True))
            assert board.stage.move_by_steps((x, y, z)) == there
            here = there
        assert line.damaged > 0
        assert simulated.carriages() == here
        board.close()


def test_a_reboot_is_noticed_and_voids_the_position(simulate: Any, connect: Connect) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    board.light.on(channel="brightfield", brightness=1.0)
    before = board.hello.boot_nonce
    mark = simulated.order("reset")
    simulated.wait("light", "000000", since=mark)
    with pytest.raises(DeviceRebooted):
        board.stage.steps()
    assert board.hello.boot_nonce not in (before, 0)
    board.stage.home()
    assert simulated.carriages() == (0, 0, 0)


def test_the_trigger_pulses_when_the_light_stands_and_the_move_has_ended(
    simulate: Any, connect: Connect
) -> None:
    simulated = simulate()
    board = connect(simulated.port)
    board.stage.home()
    mark = len(simulated.events)
    board.light.on(channel="brightfield", brightness=1.0, trigger=True)
    lit = simulated.wait("light", "0001ff", since=mark)
    up = simulated.wait("trigger", "1", since=mark)
    assert 0 <= up.cycle - lit.cycle < CYCLES_PER_MS
    mark = len(simulated.events)
    board.stage.move_to(x_um=50.0, trigger=True)
    up = simulated.wait("trigger", "1", since=mark)
    down = simulated.wait("trigger", "0", since=mark)
    last_step_cycle = int(simulated.wait("still", since=mark).values[0])
    assert 0 <= up.cycle - last_step_cycle < CYCLES_PER_MS // 10
    assert 0.9 * CYCLES_PER_MS < down.cycle - up.cycle < 1.1 * CYCLES_PER_MS
