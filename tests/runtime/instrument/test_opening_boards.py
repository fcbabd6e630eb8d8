"""Stage and light on boards of different makes, pinned and described in the settings alone."""

import re
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
from firmware_bridge.drivers.native.emulator import BoardEmulator, NativeFirmware
from firmware_bridge.drivers.sangaboard.emulator import V04, V1, SangaboardFirmware
from firmware_bridge.frames.protocol import PROTOCOL_MAJOR
from firmware_bridge.line import inventory
from runtime.clock import SystemClock
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.opening import check_drivers, open_microscope, port_of
from tests.simulated import SIMULATED

CLOCK = SystemClock()
DOCS = Path(__file__).parents[3] / "docs"
REST = """
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


def settings(folder: Path, stage: str, light: str):
    camera = folder / "camera.avi"
    writer = cv2.VideoWriter(str(camera), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for level in range(40):
        writer.write(np.full((48, 64, 3), level * 5, np.uint8))
    writer.release()
    text = f'[stage]\n{stage}\n[light]\n{light}\n[camera]\ndriver = "opencv"\ndevice = "{camera}"'
    return parse_settings(text + REST, source=folder / "settings.toml")


def test_a_grbl_stage_by_its_plug_and_an_led_array_by_its_id(tmp_path, plugged):
    plant = BenchPlant()
    array = IlluminateFirmware(BenchPlant(), led_count=64, serial_number=7)
    plugged("G1", PtyHost(GrblFirmware(plant), clock=CLOCK))
    plugged("A1", PtyHost(array, clock=CLOCK))
    wanted = settings(
        tmp_path,
        'driver = "grbl"\nport = "serial:G1"\norigin_um = [-1000, -1000, -100]',
        'driver = "auto"\nport = "id:illuminate-7"\nna = 0.3\nled_groups = { ring = [1, 2, 3] }',
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
        'driver = "auto"\nport = "auto"\norigin_here = true\n'
        "x = { step_nm = 200, travel_um = [-1000, 1000] }",
        'driver = "illuminate"\nport = "auto"',
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        assert rig.stage.limits.x_um == (-1000, 1000)
        rig.stage.move_to(x_um=100.0, z_um=10.0)
        assert plant.steps == (500, 0, 200)
        rig.light.on(channel="left", brightness=1.0)
        assert array.lit == ("left",)
    assert array.lit == ()


class Heard(NativeFirmware):
    """A native board that counts what it hears; when asked to, that is the time of the boards
    beside it, whose clock it is.
    """

    SECONDS_EACH = 0.4

    def __init__(self, plant: BenchPlant) -> None:
        super().__init__(
            plant,
            watchdog_ms=500,
            watchdog_range_ms=(100, 5000),
            protocol_major=PROTOCOL_MAJOR,
            trigger=None,
            patient=True,
        )
        self.heard = 0
        self._since: tuple[float, int] | None = None

    def receive(self, data: bytes, now_s: float, /) -> None:
        self.heard += 1
        super().receive(data, now_s)

    def hold_the_clock(self) -> None:
        self._since = CLOCK.now_s(), self.heard

    def now_s(self) -> float:
        if self._since is None:
            return CLOCK.now_s()
        now_s, heard = self._since
        return now_s + (self.heard - heard) * self.SECONDS_EACH


@pytest.mark.parametrize(("driver", "step_um"), [("sangaboard", 0.088), ("native", 0.1)])
def test_a_long_move_does_not_darken_the_light_of_another_board(tmp_path, plugged, driver, step_um):
    """The move goes on only as the other board hears from the host, which it does nearly ten times
    a second: however busy this machine is, it ends if that is so, and never if not.
    """
    plant, lamp = BenchPlant(steps_per_s=1000), BenchPlant()
    other = Heard(lamp)
    stages = {
        "sangaboard": PtyHost(
            SangaboardFirmware(plant, build=replace(V1, step_delay_us=10)), clock=other
        ),
        "native": BoardEmulator(plant, clock=other, patient=True),
    }
    port = plugged("S1", stages[driver])
    lamp_port = plugged("N1", PtyHost(other, clock=CLOCK))
    option = {"sangaboard": "origin_here = true", "native": "watchdog_ms = 500"}[driver]
    wanted = settings(
        tmp_path,
        f'driver = "{driver}"\nport = "{port}"\n{option}',
        f'driver = "native"\nport = "{lamp_port}"\nwatchdog_ms = 500',
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        rig.light.on(channel="left", brightness=1.0)
        other.hold_the_clock()
        heard = other.heard
        rig.stage.move_to(x_um=1200 * step_um)
        assert other.heard - heard >= 3
        assert lamp.light == (1, 255)
    assert lamp.light is None


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ('port = "serial:none"', "no usable board fits; value serial:none; limit no such port"),
        ('port = "id:stage-8"', "id:stage-8.*grbl with stage, light, id STAGE-7"),
        ('port = "auto"\ndriver = "native"', "no usable board fits; value auto"),
        ('port = "auto"\ndriver = "auto"', "more than one board fits; value auto; limit /dev/"),
        ('port = "auto"\ndriver = "sangaboard"', "no usable board fits"),
    ],
)
def test_what_fits_no_board_or_several_says_why(tmp_path, plugged, stage, reason):
    for number in ("A", "B"):
        plugged(number, PtyHost(GrblFirmware(BenchPlant(), name="stage-7"), clock=CLOCK))
    if 'driver = "' not in stage:
        stage += '\ndriver = "grbl"'
    with (
        pytest.raises(HardwareFailed, match=reason),
        open_microscope(settings(tmp_path, stage, stage)),
    ):
        pass


NATIVE = 'driver = "native"'


@pytest.mark.parametrize(
    ("stage", "light", "reason"),
    [
        (
            'driver = "sangaboard"\nx = { step_nm = 0, travel_um = [0, 1] }',
            NATIVE,
            "'x': step_nm must be at least 1",
        ),
        (
            'driver = "sangaboard"\nx = { step_nm = 9, travel_um = [1, 2] }',
            NATIVE,
            "with 0, the origin",
        ),
        (
            'driver = "sangaboard"\nx = { step = 9, travel_um = [-1, 2] }',
            NATIVE,
            "unknown key 'x.step'; did you mean 'step_nm'",
        ),
        (NATIVE, 'driver = "illuminate"\nled_groups = { ring = [] }', "led_groups"),
        (NATIVE, 'driver = "illuminate"\nna = 1.2', "na must be above 0"),
        (
            'driver = "grbl"\nwatchdog_ms = 500',
            NATIVE,
            r"\[stage\] driver = 'grbl': unknown key 'watchdog_ms'; remove it",
        ),
        ('driver = "grbl"\norigin_uum = [0, 0, 0]', NATIVE, "did you mean 'origin_um'"),
        ('driver = "steam"', NATIVE, r"\[stage\] names an unknown driver; value steam; limit na"),
        (
            'driver = "illuminate"',
            NATIVE,
            "boards have no stage; value illuminate; limit native, sangaboard, grbl",
        ),
    ],
)
def test_a_setting_that_the_driver_does_not_use_is_refused_before_any_port_is_opened(
    tmp_path, stage, light, reason
):
    port = 'port = "/dev/ttyNONE"'
    wanted = settings(tmp_path, f"{stage}\n{port}", f"{light}\n{port}")
    with pytest.raises(ConfigRefused, match=reason):
        check_drivers(wanted)
    with pytest.raises(ConfigRefused, match=reason), open_microscope(wanted):
        pass


def test_a_setting_is_checked_against_the_driver_that_was_found(tmp_path, plugged):
    plugged("G1", PtyHost(GrblFirmware(BenchPlant()), clock=CLOCK))
    stage = 'driver = "auto"\nport = "serial:G1"'
    wanted = settings(tmp_path, f"{stage}\norigin_here = true", stage)
    with (
        pytest.raises(ConfigRefused, match="driver = 'grbl': unknown key 'origin_here'"),
        open_microscope(wanted),
    ):
        pass


def test_one_board_behind_two_pins_is_opened_once_with_what_both_ports_say(tmp_path, plugged):
    plant = BenchPlant()
    port = plugged("N1", BoardEmulator(plant, clock=CLOCK))
    wanted = settings(
        tmp_path,
        f'driver = "native"\nport = "{port}"\nwatchdog_ms = 5000',
        'driver = "native"\nport = "serial:N1"\nreopen_s = 3',
    )
    with open_microscope(wanted) as rig:
        rig.stage.home()
        rig.light.on(channel="left", brightness=1.0)
        assert rig.stage.move_to(x_um=10.0).x_um == pytest.approx(10.0)
        assert plant.light == (1, 255)


@pytest.mark.parametrize(
    ("light", "reason"),
    [
        ('driver = "native"\nwatchdog_ms = 400', "one board, which cannot have two values"),
        ('driver = "grbl"', "one board, which has one driver; value grbl; limit native"),
    ],
)
def test_two_ports_must_agree_about_their_one_board(tmp_path, plugged, light, reason):
    port = plugged("N1", BoardEmulator(BenchPlant(), clock=CLOCK))
    wanted = settings(
        tmp_path,
        f'driver = "native"\nport = "{port}"\nwatchdog_ms = 500',
        f'{light}\nport = "{port}"',
    )
    with pytest.raises(ConfigRefused, match=reason), open_microscope(wanted):
        pass


def test_a_board_without_what_is_asked_of_it_is_refused_by_name(tmp_path, plugged):
    port = plugged("S1", PtyHost(SangaboardFirmware(BenchPlant(), build=V04), clock=CLOCK))
    section = f'driver = "sangaboard"\nport = "{port}"'
    with (
        pytest.raises(HardwareFailed, match=r"the board of \[light\] has no light; value sanga"),
        open_microscope(settings(tmp_path, section, section)),
    ):
        pass


def test_an_led_the_array_has_not_is_refused_by_name(tmp_path, plugged):
    plugged("G1", PtyHost(GrblFirmware(BenchPlant()), clock=CLOCK))
    plugged("A1", PtyHost(IlluminateFirmware(BenchPlant(), led_count=8), clock=CLOCK))
    wanted = settings(
        tmp_path,
        'driver = "grbl"\nport = "serial:G1"',
        'driver = "illuminate"\nport = "serial:A1"\nled_groups = { ring = [8] }',
    )
    with pytest.raises(HardwareFailed, match="no such LED; value 8"), open_microscope(wanted):
        pass


def test_a_technicians_pin_is_a_port(plugged):
    port = plugged("G1", PtyHost(GrblFirmware(BenchPlant(), name="stage-7"), clock=CLOCK))
    assert port_of("/dev/ttyUSB9") == "/dev/ttyUSB9"
    assert port_of("serial:G1") == port_of("id:stage-7") == port_of("auto") == port


@pytest.mark.parametrize("page", ["boards.md", "quickstart.md", "micromanager.md"])
def test_the_settings_in_the_documentation_are_settings(page):
    blocks = re.findall("```toml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        # A part of a file says nothing of the ports.
        text = block if "[stage]" in block else SIMULATED + block
        text = text if "[objectives" in text else text + REST
        if page == "micromanager.md":  # which names two of them
            text += "[objectives.20x]\nmagnification = 20\nna = 0.5\npixel_size_um = 0.25\n"
        check_drivers(parse_settings(text, source=DOCS / page))
