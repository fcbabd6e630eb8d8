"""Exercise and monitor: what they find, and that the monitor shows every kind of frame."""

import io
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.drivers.registry import BRANDS
from firmware_bridge.drivers.sangaboard.emulator import V1, SangaboardFirmware
from firmware_bridge.errors import FirmwareIncompatible
from firmware_bridge.find.detect import probe
from firmware_bridge.frames.codec import DELIMITER, Frame, FrameType, decode, encode
from firmware_bridge.frames.protocol import REQUEST_LENGTH, BoardStatus, Opcode
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from firmware_bridge.text.words import text_in_words
from firmware_bridge.tools.emulate import emulated
from firmware_bridge.tools.exercise import exercise
from firmware_bridge.tools.monitor import Monitor, in_words, watch
from runtime.cli.commands.bridge import emulate
from runtime.clock import SystemClock

SPECIFICATION = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.mark.parametrize("driver", ["native", "auto"])
def test_exercise_ends_where_it_began(bench, clock, driver):
    bench.board.stage.move_to(x_um=-120.0)
    bench.board.close()
    seen = []
    result = exercise(
        bench.emulator.port, driver=driver, moves=8, seed=5, clock=clock, progress=seen.append
    )
    assert (result["moves"], result["errors"], result["final_error_steps"]) == (8, 0, 0)
    assert result["failsafe"]
    assert result["latency_ms"]["p99"] >= result["latency_ms"]["p50"] > 0
    assert seen == list(range(1, 9))
    assert bench.plant.steps == (-1200, 0, 0)


def test_exercise_counts_retries_on_a_bad_line(bench, clock):
    bench.board.close()
    faults = Faults.bytewise(0.01)
    with ChaosProxy(bench.emulator.port, clock=clock, faults=faults, seed=1) as line:
        result = exercise(line.port, driver="native", moves=5, seed=5, clock=clock)
    assert result["retries"] > 0
    assert (result["errors"], result["final_error_steps"]) == (0, 0)


TRIED = {"driver", "stage", "moves", "failsafe"}
FOUND = TRIED | {"retries", "errors", "final_error_steps", "latency_ms"}
FOREIGN = {
    "sangaboard": lambda plant: SangaboardFirmware(plant, build=replace(V1, step_delay_us=10)),
    "grbl": GrblFirmware,
    "illuminate": IlluminateFirmware,
}


@pytest.mark.parametrize("driver", FOREIGN)
def test_exercise_finds_the_same_of_every_board_and_leaves_it_dark(clock, driver):
    plant = BenchPlant()
    with PtyHost(FOREIGN[driver](plant), clock=clock) as host:
        for named in (driver, "auto"):
            result = exercise(host.port, driver=named, moves=4, seed=5, clock=clock)
            assert set(result) == FOUND
            assert set(result["latency_ms"]) == {"p50", "p99"}
            assert (result["moves"], result["errors"], result["final_error_steps"]) == (4, 0, 0)
            assert result["latency_ms"]["p99"] >= result["latency_ms"]["p50"] > 0
            assert not result["failsafe"]
            assert (result["driver"], result["stage"]) == (driver, driver != "illuminate")
    assert plant.light is None


def test_exercise_takes_the_nearest_motor_step_for_the_target(clock):
    """At GRBL's factory setting, 250 steps a millimetre, only every fourth micrometre is one."""
    axes = tuple(
        replace(axis, step_nm=4000, limits_steps=(-5000, 5000)) for axis in BENCH_BOARD.axes
    )
    firmware = GrblFirmware(BenchPlant(board=replace(BENCH_BOARD, axes=axes)))
    with PtyHost(firmware, clock=clock) as host:
        result = exercise(host.port, driver="grbl", moves=12, seed=5, clock=clock)
    assert (result["errors"], result["final_error_steps"]) == (0, 0)


def test_exercise_refuses_a_driver_it_does_not_know(bench, clock):
    with pytest.raises(FirmwareIncompatible, match="unknown driver; value steam"):
        exercise(bench.emulator.port, driver="steam", moves=1, seed=0, clock=clock)


def test_monitor_shows_both_directions_in_words(bench, clock):
    bench.board.close()
    lines = []
    with watch(bench.emulator.port, clock=clock, write=lines.append) as line:
        exercise(line.port, driver="native", moves=2, seed=5, clock=clock)
    text = "\n".join(lines)
    assert "host → board  URGENT   HELLO" in text
    assert re.search(r"board → host  DONE     MOVE_TO   #\d+ +session \w{4} \(-?\d+, ", text)
    assert "bench-0001" in text
    assert "GOODBYE" in text
    assert "DAMAGED" not in text


def test_monitor_shows_the_camera_trigger_of_a_board_and_of_a_command(clock):
    lines, plant = [], BenchPlant()
    with (
        BoardEmulator(plant, clock=clock, trigger=plant.trigger) as emulator,
        watch(emulator.port, clock=clock, write=lines.append) as line,
    ):
        board = NativeBoard.open(line.port, clock=clock, options=NativeOptions(watchdog_ms=5000))
        board.light.on(channel="left", brightness=1.0, trigger=True)
        board.light.on(channel="left", brightness=0.5)
        board.close()
    text = "\n".join(lines)
    assert "3 axes, camera trigger [" in text
    assert "channel 1 level 255 [camera trigger]\n" in text
    assert "channel 1 level 128\n" in text


def test_monitor_shows_lines_of_text_as_they_are(clock):
    lines = []
    with (
        PtyHost(GrblFirmware(BenchPlant()), clock=clock) as host,
        watch(host.port, clock=clock, write=lines.append) as line,
    ):
        exercise(line.port, driver="grbl", moves=1, seed=5, clock=clock)
    text = "\n".join(lines)
    assert "host → board  <status ?>" in text
    assert re.search(r"host → board  \$J=G90G21G53X-?\d", text)
    assert "board → host  <Idle|MPos:" in text
    assert "board → host  ok" in text
    assert "host → board  <jog cancel>" in text
    assert "DAMAGED" not in text


@pytest.mark.parametrize(
    ("heard", "words"),
    [(b"\x9f", ["<byte 0x9f>"]), (b"?\r\n", ["?"]), (b"?", ["<status ?>"]), (b"\xff", None)],
)
def test_a_byte_that_means_nothing_has_words_too(heard, words):
    assert text_in_words(heard) == words


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_monitor_survives_any_bytes_in_any_pieces(pieces):
    monitor = Monitor(clock=SystemClock(), write=lambda _line: None)
    for piece in pieces:
        monitor.tap("host", piece)


@pytest.mark.parametrize("opcode", [*Opcode, 0x7F])
def test_any_frame_has_words(opcode):
    for kind, length, byte in product(FrameType, range(20), (b"\x01", b"\xff")):
        frame = Frame(type=kind, session=1, command_id=2, opcode=opcode, payload=byte * length)
        assert in_words(encode(frame).strip(DELIMITER))


def test_damage_is_shown_with_what_is_wrong():
    sent = encode(Frame(type=FrameType.REQUEST, session=1, command_id=2, opcode=3))
    assert in_words(sent.strip(DELIMITER)[:-1]).startswith("DAMAGED 03 01 01")


def test_specification_lists_every_opcode_and_its_example_is_true():
    text = SPECIFICATION.read_text(encoding="utf-8")
    for opcode in REQUEST_LENGTH:
        assert f"| {opcode:#04x} | {opcode.name} |" in text
    host, board = (
        bytes.fromhex(line) for line in re.findall(r"^(?:host|board)\s+([0-9a-f ]+)$", text, re.M)
    )
    assert decode(host.strip(DELIMITER)).opcode == Opcode.STATUS
    status = BoardStatus.unpack(decode(board.strip(DELIMITER)).payload)
    assert (status.steps, status.level, status.objective) == ((100, -2, 0), 0, 1)


@pytest.mark.parametrize("brand", [row.name for row in BRANDS])
def test_every_brand_can_be_tried_without_a_board(brand, monkeypatch):
    """As a technician does: the port that is printed is probed, then Ctrl-C."""
    found, said = [], io.StringIO()

    class Technician(SystemClock):
        def sleep(self, *, duration_s):
            found.extend(probe([said.getvalue().split()[1].rstrip(":")], clock=SystemClock()))
            raise KeyboardInterrupt

    monkeypatch.setattr("runtime.cli.commands.bridge.SystemClock", Technician)
    told = emulate(board=emulated, brand=brand, console=Console(file=said, width=200))
    assert [finding.driver for finding in found] == [brand]
    assert told == {"port": found[0].port.device, "brand": brand}


def test_a_brand_that_nobody_knows_is_not_emulated(clock):
    with pytest.raises(FirmwareIncompatible, match="arduino"):
        emulated("arduino", clock=clock)
