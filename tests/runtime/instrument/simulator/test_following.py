"""Hardware in the loop: a simulated camera looks through the stage of a board on a serial line."""

from collections.abc import Iterator

import numpy as np
import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.emulator import BoardEmulator
from runtime.clock import SystemClock
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.opening import open_microscope
from runtime.instrument.simulator.following import FollowedStage
from runtime.instrument.simulator.truth import read_truth
from runtime.record.journal import Journal
from runtime.tile import StagePosition
from tests.simulated import looped, looped_plan, spend_night

SPECIMEN_UM, SIZE_PX = (500, 0, 20), (256, 320)


def settings_of(port: str) -> str:
    return looped(port, specimen_um=SPECIMEN_UM, size_px=SIZE_PX)


@pytest.fixture
def bench() -> Iterator[tuple[BenchPlant, str]]:
    """A native board of ideal mechanics on a pty: (what is truly so, its port)."""
    plant = BenchPlant()
    with BoardEmulator(plant, clock=SystemClock()) as emulator:
        yield plant, emulator.port


@pytest.fixture
def wanted(bench, tmp_path):
    return parse_settings(settings_of(bench[1]), source=tmp_path / "settings.toml")


@pytest.mark.slow
def test_the_camera_sees_from_where_the_board_says_it_stands(wanted, bench, tmp_path):
    plant, _ = bench
    with open_microscope(wanted, truth=tmp_path / "truth.jsonl") as rig:
        rig.stage.home()
        for x_um, y_um in ((500.0, 0.0), (600.0, 50.0)):
            rig.approach(x_um=x_um, y_um=y_um, z_um=20.0)
            rig.expose(channel="brightfield", brightness=0.5, exposure_ms=10)
        assert plant.steps == (6000, 500, 400)
    first, second = read_truth(tmp_path / "truth.jsonl")
    # Approached from below both times, so the slack is taken up; screws and drift stay below 2 µm.
    travelled = np.abs(np.subtract(second.centre_um, first.centre_um))
    assert travelled == pytest.approx([100, 50], abs=2)
    assert np.abs(first.centre_um).max() < 5


def test_the_light_of_the_board_lights_the_specimen(wanted):
    with open_microscope(wanted) as rig:
        rig.stage.home()
        rig.approach(x_um=500.0, y_um=900.0)
        lit, other, dark = (
            rig.expose(channel=channel, brightness=brightness, exposure_ms=10).pixels.mean()
            for channel, brightness in (("brightfield", 0.5), ("left", 0.5), ("brightfield", 0.0))
        )
    assert lit > 10 * dark
    assert other == pytest.approx(dark, rel=0.1)


def test_what_a_simulated_camera_took_is_marked_whatever_held_the_specimen(wanted):
    with open_microscope(wanted) as rig:
        assert rig.simulated
        assert "SIMULATED" in rig.stage.stage_id
        assert rig.stage.failsafe
        assert rig.without_failsafe == ()


@pytest.mark.slow
def test_a_whole_night_runs_with_the_board_in_the_loop(bench, tmp_path):
    plant, port = bench
    plan = looped_plan(rows=2, columns=2, specimen_um=SPECIMEN_UM)
    folder, summary = spend_night(tmp_path / "run", plan=plan, settings=settings_of(port))
    assert (summary["tiles_done"], summary["simulated"]) == (4, True)
    journal = Journal(folder.journal)
    placed = journal.placements()
    tiles = {tile.tile_id: tile for tile in journal.tiles()}
    journal.close()
    assert {placement.flag for placement in placed.values()} == {""}
    across = tiles["r000_c001"].shot.stage.x_um - tiles["r000_c000"].shot.stage.x_um
    assert abs(across) == pytest.approx(320 * 0.85 * 0.5, rel=0.02)
    assert plant.light is None
    assert "Of this instrument the camera is simulated." in folder.report.read_text()


class HaltedStage:
    """A stage that somebody stops half way, every time."""

    def __init__(self):
        self.at = StagePosition(x_um=0.0, y_um=0.0, z_um=0.0)

    def home(self):
        pass

    def move_to(self, *, x_um=None, y_um=None, z_um=None):
        self.at = StagePosition(x_um=x_um / 2, y_um=0.0, z_um=0.0)
        raise HardwareFailed("the move was stopped")

    def position(self):
        return self.at


def test_a_move_that_was_stopped_leaves_the_specimen_where_the_stage_says_it_stands(make_world):
    world = make_world()
    stage = FollowedStage(HaltedStage(), world, specimen_um=(0.0, 0.0, 0.0))
    stage.home()
    before_um = world.expose(exposure_ms=1.0).centre_um[0]
    with pytest.raises(HardwareFailed):
        stage.move_to(x_um=200.0)
    assert stage.position().x_um == 100.0
    assert abs(world.expose(exposure_ms=1.0).centre_um[0] - before_um) == pytest.approx(100, abs=3)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("speed = 1000", "line_faults = 0.001", "'simulation.line_faults' is not used"),
        (
            'driver = "native"\nport = "p"\nwatchdog_ms = 5000',
            'driver = "simulated"',
            "'simulation.specimen_um' is not used",
        ),
    ],
)
def test_what_a_half_simulated_instrument_does_not_use_is_refused(old, new, reason, tmp_path):
    with pytest.raises(ConfigRefused, match=reason):
        parse_settings(settings_of("p").replace(old, new), source=tmp_path / "settings.toml")
