"""Stage and light on boards of different makes, pinned and described in the settings alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from serial.tools.list_ports_common import ListPortInfo

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.drivers.sangaboard.emulator import V1, SangaboardFirmware
from firmware_bridge.line import inventory
from runtime.clock import SystemClock
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.opening import open_microscope, port_of

CLOCK = SystemClock()
BOARDS_PAGE = Path(__file__).parents[3] / "docs" / "boards.md"
REST = """
mounted = "10x"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[motion]
settle_ms = 0
"""
Plug = Callable[[str, PtyHost], str]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Plug boards into this computer, each under the serial number of its plug."""
    ports: list[ListPortInfo] = []
    monkeypatch.setattr(inventory.list_ports, "comports", lambda: ports)
    with ExitStack() as stack:

        def plug(number: str, board: PtyHost) -> str:
            stack.enter_context(board)
            info = ListPortInfo(board.port)
            info.serial_number = number
            ports.append(info)
            return board.port

        yield plug


def settings(folder: Path, instrument: str, boards: str = ""):
    camera = folder / "camera.avi"
    writer = cv2.VideoWriter(str(camera), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for level in range(40):
        writer.write(np.full((48, 64, 3), level * 5, np.uint8))
    writer.release()
    text = f'[instrument]\nkind = "serial"\ncamera = "{camera}"\n{instrument}\n{REST}\n{boards}'
    return parse_settings(text, source=folder / "settings.toml")


def test_a_grbl_stage_by_its_plug_and_an_led_array_by_its_id(tmp_path, plugged):
    plant = BenchPlant()
    array = IlluminateFirmware(BenchPlant(), led_count=64, serial_number=7)
    plugged("G1", PtyHost(GrblFirmware(plant), clock=CLOCK))
    plugged("A1", PtyHost(array, clock=CLOCK))
    wanted = settings(
        tmp_path,
        'port = "serial:G1"\ndriver = "grbl"\n'
        'light = { port = "id:illuminate-7", driver = "auto" }',
        "[instrument.boards.illuminate]\nna = 0.3\nled_groups = { ring = [1, 2, 3] }\n"
        "[instrument.boards.grbl]\norigin_um = [-1000, -1000, -100]\n",
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        assert rig.stage.position().x_um == 900
        assert rig.approach(x_um=0, y_um=10, z_um=-5).z_um == pytest.approx(-5)
        assert plant.steps == (-10_000, -9_900, -2_100)
        assert array.na_percent == 30
        frame = rig.expose(channel="ring", brightness=0.5, exposure_ms=5)
        assert frame.pixels.shape == (48, 64)
        rig.light.on(channel="ring", brightness=1.0)
        assert array.lit == ("led 1", "led 2", "led 3")
        assert sorted(rig.without_failsafe) == ["G1", "illuminate-7"]
    assert array.lit == ()


def test_a_sangaboard_with_axes_of_its_own_and_the_only_array_there_is(tmp_path, plugged):
    plant = BenchPlant()
    array = IlluminateFirmware(BenchPlant())
    firmware = SangaboardFirmware(plant, build=replace(V1, step_delay_us=10))
    plugged("S1", PtyHost(firmware, clock=CLOCK))
    plugged("A1", PtyHost(array, clock=CLOCK))
    wanted = settings(
        tmp_path,
        'port = "auto"\ndriver = "auto"\nlight = { port = "auto", driver = "illuminate" }',
        "[instrument.boards.sangaboard]\norigin_here = true\n"
        "x = { step_nm = 200, travel_um = [-1000, 1000] }\n",
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        assert rig.stage.limits.x_um == (-1000, 1000)
        rig.stage.move_to(x_um=100.0, z_um=10.0)
        assert plant.steps == (500, 0, 200)
        rig.light.on(channel="left", brightness=1.0)
        assert array.lit == ("left",)
    assert array.lit == ()


@pytest.mark.parametrize(("driver", "step_um"), [("sangaboard", 0.088), ("native", 0.1)])
def test_a_long_move_does_not_darken_the_light_of_another_board(tmp_path, plugged, driver, step_um):
    plant, lamp = BenchPlant(steps_per_s=1000), BenchPlant()
    stages = {
        "sangaboard": PtyHost(
            SangaboardFirmware(plant, build=replace(V1, step_delay_us=10)), clock=CLOCK
        ),
        "native": BoardEmulator(plant, clock=CLOCK),
    }
    port = plugged("S1", stages[driver])
    lamp_port = plugged("N1", BoardEmulator(lamp, clock=CLOCK))
    wanted = settings(
        tmp_path,
        f'port = "{port}"\ndriver = "{driver}"\nwatchdog_ms = 500\n'
        f'light = {{ port = "{lamp_port}", driver = "native" }}',
        "[instrument.boards.sangaboard]\norigin_here = true\n",
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        rig.light.on(channel="left", brightness=1.0)
        trips = rig.trips()
        rig.stage.move_to(x_um=1200 * step_um)
        assert lamp.light == (1, 255)
        assert rig.trips() == trips
    assert lamp.light is None


@pytest.mark.parametrize(
    ("instrument", "reason"),
    [
        ('port = "serial:none"', "no usable board fits; value serial:none; limit no such port"),
        ('port = "id:stage-8"', "id:stage-8.*grbl with stage, light, id stage-7"),
        ('port = "auto"\ndriver = "native"', "no usable board fits; value auto"),
        ('port = "auto"\ndriver = "auto"', "more than one board fits; value auto; limit /dev/"),
        ('port = "auto"\ndriver = "sangaboard"', "no usable board fits"),
    ],
)
def test_what_fits_no_board_or_several_says_why(tmp_path, plugged, instrument, reason):
    for number in ("A", "B"):
        plugged(number, PtyHost(GrblFirmware(BenchPlant(), name="stage-7"), clock=CLOCK))
    if 'driver = "' not in instrument:
        instrument += '\ndriver = "grbl"'
    with (
        pytest.raises(HardwareFailed, match=reason),
        open_microscope(settings(tmp_path, instrument)),
    ):
        pass


@pytest.mark.parametrize(
    ("boards", "reason"),
    [
        ("[instrument.boards.sangaboard]\nx = { step_nm = 0, travel_um = [0, 1] }", "step_nm"),
        ("[instrument.boards.sangaboard]\nx = { step_nm = 9, travel_um = [1, 2] }", "origin"),
        ("[instrument.boards.illuminate]\nled_groups = { ring = [] }", "led_groups"),
        ("[instrument.boards.illuminate]\nna = 1.2", "na"),
        ("[instrument.boards.abacus]\nbeads = 10", "abacus"),
    ],
)
def test_settings_of_boards_are_checked(tmp_path, boards, reason):
    with pytest.raises(ConfigRefused, match=reason):
        settings(tmp_path, 'port = "auto"', boards)


def test_an_led_the_array_has_not_is_refused_by_name(tmp_path, plugged):
    plugged("G1", PtyHost(GrblFirmware(BenchPlant()), clock=CLOCK))
    plugged("A1", PtyHost(IlluminateFirmware(BenchPlant(), led_count=8), clock=CLOCK))
    wanted = settings(
        tmp_path,
        'port = "serial:G1"\ndriver = "grbl"\n'
        'light = { port = "serial:A1", driver = "illuminate" }',
        "[instrument.boards.illuminate]\nled_groups = { ring = [8] }\n",
    )
    with pytest.raises(HardwareFailed, match="no such LED; value 8"), open_microscope(wanted):
        pass


def test_a_technicians_pin_is_a_port(plugged):
    port = plugged("G1", PtyHost(GrblFirmware(BenchPlant(), name="stage-7"), clock=CLOCK))
    assert port_of("/dev/ttyUSB9") == "/dev/ttyUSB9"
    assert port_of("serial:G1") == port_of("id:stage-7") == port_of("auto") == port


def test_the_settings_in_the_documentation_are_settings():
    text = BOARDS_PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    objective = REST.partition("\n[objectives")[1] + REST.partition("\n[objectives")[2]
    instrument = parse_settings(text + objective, source=BOARDS_PAGE).instrument
    assert instrument.boards.illuminate.led_groups == {"ring": (1, 2, 3, 4)}
    assert instrument.boards.sangaboard.z is not None
