"""Opening instruments: the right drivers in the right places, refusals by name, dark at the end."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.native.emulator import BoardEmulator
from runtime.clock import SystemClock
from runtime.config.plan import Plan
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.opening import open_microscope
from runtime.night.fitness import check_rig

Section = dict[str, object]
CLOCK = SystemClock()
PLAN = Plan(
    name="p", objective="10x", grid={"rows": 1, "columns": 1, "centre_um": (0, 0)}, light="spindle"
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file that stands in for a live camera."""
    path = tmp_path / "camera.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for level in range(40):
        writer.write(np.full((48, 64, 3), level * 5, np.uint8))
    writer.release()
    return path


@pytest.fixture
def grbl() -> Iterator[tuple[PtyHost, BenchPlant]]:
    plant = BenchPlant()
    with PtyHost(GrblFirmware(plant, name="bench"), clock=CLOCK) as host:
        yield host, plant


def settings(video: Path, stage: Section, light: Section, **instrument: object) -> Settings:
    return Settings.read(
        {
            "stage": stage,
            "light": light,
            "camera": {"driver": "opencv", "device": str(video)},
            "instrument": instrument,
            "objectives": {"10x": {"magnification": 10, "na": 0.3, "pixel_size_um": 0.5}},
            "motion": {"settle_ms": 0},
        },
        source="test",
    )


def test_a_foreign_board_moves_exposes_and_is_refused_unattended(video, grbl):
    host, plant = grbl
    board = {"driver": "grbl", "port": host.port}
    wanted = settings(video, board, board)
    with open_microscope(wanted) as rig:
        rig.stage.home()
        assert rig.approach(x_um=100, y_um=50, z_um=2).x_um == pytest.approx(100)
        channel = rig.light.channels[0]
        frame = rig.expose(channel=channel, brightness=0.5, exposure_ms=5)
        assert frame.pixels.shape == (48, 64)
        with pytest.raises(HardwareFailed, match="value '20x'; limit 10x, for there is no turret"):
            rig.turret.select(objective="20x")
        plan = PLAN.model_copy(update={"light": channel})
        (name,) = rig.without_failsafe
        with pytest.raises(ConfigRefused, match=f"board {name} does not go dark by itself"):
            check_rig(plan, wanted, rig)
        for written in (name, name.upper()):  # GRBL stores its name in capitals
            accepted = settings(video, board, board, accept_without_failsafe=(written,))
            check_rig(plan, accepted, rig)
    assert plant.light is None


def test_stage_and_light_may_be_on_different_boards(video, grbl):
    host, _ = grbl
    lamp = BenchPlant()
    emulator = BoardEmulator(lamp, clock=CLOCK)
    emulator.start()
    try:
        stage = {"driver": "grbl", "port": host.port}
        light = {"driver": "native", "port": emulator.port}
        with open_microscope(settings(video, stage, light)) as rig:
            assert not rig.stage.failsafe
            rig.light.on(channel=rig.light.channels[0], brightness=1.0)
            assert lamp.light is not None
            rig.clock.sleep(duration_s=0.05)
        assert lamp.light is None
    finally:
        emulator.stop()


def test_an_absent_port_is_a_hardware_failure(video):
    absent = {"driver": "native", "port": "/dev/ttyNONE"}
    with (
        pytest.raises(HardwareFailed, match="/dev/ttyNONE"),
        open_microscope(settings(video, absent, absent)),
    ):
        pass
