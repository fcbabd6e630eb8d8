"""The watchman in the simulated microscope's own time: a night that paused ends as another did."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from rich.console import Console

from calibration.routines import ensure
from runtime.clock import SystemClock
from runtime.errors import InstrumentDoubted
from runtime.instrument.opening import open_microscope
from runtime.night.run import carry_out
from runtime.ports import Camera, CameraFrame, CameraInfo
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from tests.simulated import by_itself

PLAN = """
name: watched
objective: 10x
grid: {rows: 3, columns: 4, centre_um: [0, 0]}
overlap: 0.2
focus: {range_um: 80}
"""
CAMERA = "width_px = 512\nheight_px = 448"


@dataclass
class Spoilt:
    """The simulated camera, whose frames are spoilt from one on."""

    camera: Camera
    spoil: Callable[[CameraFrame, list[CameraFrame]], CameraFrame]
    begins: int
    given: list[CameraFrame] = field(default_factory=list)

    @property
    def info(self) -> CameraInfo:
        return self.camera.info

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        frame = self.camera.capture(exposure_ms=exposure_ms)
        if len(self.given) >= self.begins:
            frame = self.spoil(frame, self.given)
        self.given.append(frame)
        return frame

    def close(self) -> None:
        self.camera.close()


def black(frame, given):
    noise = np.random.default_rng(len(given)).normal(64, 1.5, frame.pixels.shape)
    return replace(frame, pixels=np.rint(noise).astype(np.uint16))


def white(frame, given):
    return replace(frame, pixels=np.full_like(frame.pixels, 4095))


def frozen(frame, given):
    return replace(frame, pixels=given[-1].pixels)


def torn(frame, given):
    half = frame.pixels.shape[0] // 2
    return replace(frame, pixels=np.vstack([given[-1].pixels[:half], frame.pixels[half:]]))


def spend(folder, spoil=None, begins=0):
    """Go on with a night; its camera is spoilt once it has calibrated."""

    @contextmanager
    def opened(settings, *, truth=None):
        with open_microscope(settings, truth=truth) as rig:
            scans = spoil is not None and truth is not None
            yield replace(rig, camera=Spoilt(rig.camera, spoil, begins)) if scans else rig

    return carry_out(
        folder,
        open_microscope=opened,
        calibrate=ensure,
        console=Console(quiet=True),
        clock=SystemClock(),
    )


def new(path):
    folder = RunFolder(path)
    folder.create(plan_text=PLAN, settings_text=by_itself(speed=1000, camera=CAMERA))
    return folder


def outcome(folder):
    journal = Journal(folder.journal)
    try:
        files = {tile.tile_id: tile.file.sha256 for tile in journal.tiles()}
        return files, journal.placements(), {s.state for s in journal.states().values()}
    finally:
        journal.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = new(tmp_path_factory.mktemp("watched") / "night")
    spend(folder)
    return outcome(folder)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [black, white, frozen, torn])
def test_a_night_that_paused_ends_as_an_undisturbed_one_bit_for_bit(spoil, tmp_path, undisturbed):
    folder = new(tmp_path / "night")
    with pytest.raises(InstrumentDoubted):
        spend(folder, spoil, begins=60)
    assert len(outcome(folder)[0]) < 12
    spend(folder)
    files, placements, states = outcome(folder)
    assert files == undisturbed[0]
    assert placements == undisturbed[1]
    assert states == undisturbed[2] == {"good"}
