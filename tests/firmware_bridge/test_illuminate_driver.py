"""The LED array's driver against the emulated array on a real pty."""

from collections.abc import Iterator

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.illuminate.board import IlluminateBoard, IlluminateOptions
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.errors import Rejected
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.clock import SystemClock

CLOCK = SystemClock()


@pytest.fixture
def firmware() -> IlluminateFirmware:
    return IlluminateFirmware(BenchPlant(), led_count=16)


@pytest.fixture
def board(firmware: IlluminateFirmware) -> Iterator[IlluminateBoard]:
    with PtyHost(firmware, clock=CLOCK) as host:
        opened = IlluminateBoard.open(
            host.port,
            clock=CLOCK,
            options=IlluminateOptions(led_groups={"led 3": (3,), "pair": (7, 12)}, na=0.4),
        )
        yield opened
        opened.close()


def test_describes_itself(board: IlluminateBoard, firmware: IlluminateFirmware) -> None:
    assert board.led_count == 16
    assert board.unique_id == "illuminate-21"
    assert board.light.channels[-2:] == ("led 3", "pair")
    assert firmware.na_percent == 40
    assert not board.failsafe


@pytest.mark.parametrize("channel", ["brightfield", "left", "top", "led 3"])
def test_lights_one_channel_at_a_brightness(
    board: IlluminateBoard, firmware: IlluminateFirmware, channel: str
) -> None:
    board.light.on(channel=channel, brightness=0.5)
    assert firmware.lit == (channel,)
    assert firmware.level == 128
    board.light.on(channel=channel, brightness=0)
    assert firmware.lit == ()


def test_a_group_of_leds_is_one_channel(
    board: IlluminateBoard, firmware: IlluminateFirmware
) -> None:
    board.light.on(channel="pair", brightness=1)
    assert firmware.lit == ("led 7", "led 12")


def test_refuses_what_it_has_not(board: IlluminateBoard, firmware: IlluminateFirmware) -> None:
    with pytest.raises(Rejected, match="unknown light channel"):
        board.light.on(channel="led 4", brightness=1)
    with pytest.raises(Rejected, match="brightness"):
        board.light.on(channel="left", brightness=-0.1)
    assert firmware.lit == ()


def test_an_led_the_array_has_not_is_refused_on_opening(firmware: IlluminateFirmware) -> None:
    with PtyHost(firmware, clock=CLOCK) as host, pytest.raises(Rejected, match="no such LED"):
        IlluminateBoard.open(
            host.port, clock=CLOCK, options=IlluminateOptions(led_groups={"ring": (1, 16)})
        )


def test_off_is_off_even_when_a_sequence_runs(
    board: IlluminateBoard, firmware: IlluminateFirmware
) -> None:
    board.dialogue.lines.write(b"bf\nscf.500\n")
    board.light.off()
    assert firmware.lit == ()


def test_closing_leaves_it_dark(board: IlluminateBoard, firmware: IlluminateFirmware) -> None:
    board.light.on(channel="left", brightness=1)
    board.close()
    board.close()
    assert firmware.lit == ()


def test_lights_and_darkens_over_a_bad_line(firmware: IlluminateFirmware) -> None:
    faults = Faults.bytewise(0.005)
    with (
        PtyHost(firmware, clock=CLOCK) as host,
        ChaosProxy(host.port, clock=CLOCK, faults=faults, seed=5) as cable,
    ):
        board = IlluminateBoard.open(cable.port, clock=CLOCK)
        for _ in range(5):
            board.light.on(channel="brightfield", brightness=1)
            assert firmware.lit == ("brightfield",)
            board.light.off()
            assert firmware.lit == ()
        board.close()
