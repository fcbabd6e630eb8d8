"""A small world whose specimen is a grating, so that optics can be read off as a phase."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from runtime.config.settings import Objective
from runtime.instrument.simulator.mechanics import Unrest
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.world import World

OBJECTIVES = {
    "10x": Objective(magnification=10, na=0.3, pixel_size_um=0.5),
    "20x": Objective(magnification=20, na=0.5, pixel_size_um=0.25),
}
PERIOD_UM = 12.0
PICTURE_PX = (1600, 2000)


class FreeClock:
    """Waits take no time but are counted."""

    def __init__(self):
        self.slept_s = 0.0

    def now_s(self):
        return self.slept_s

    def sleep(self, *, duration_s):
        self.slept_s += duration_s


@dataclass
class Grating:
    """Cosines along x and y of specimen coordinates, about a mean of one half."""

    period_um: float = PERIOD_UM
    pixel_um: float = 0.25

    def specimen(self) -> Specimen:
        return Specimen(self.picture, pixel_um=self.pixel_um)

    def picture(self):
        height, width = PICTURE_PX
        x = (np.arange(width) - (width - 1) / 2) * self.pixel_um
        y = (np.arange(height) - (height - 1) / 2) * self.pixel_um
        wave = np.cos(2 * np.pi * x / self.period_um)[None, :]
        wave = wave + np.cos(2 * np.pi * y / self.period_um)[:, None]
        return np.rint(128 + 50 * wave).astype(np.uint8)

    def read(self, image, *, pixel_um: float):
        """Return the complex amplitudes (along x, along y) of an unrotated image of the grating.

        Their angle is 2π·centre/period, their size the contrast that is left.
        """
        height, width = image.shape
        window = np.outer(np.hanning(height), np.hanning(width))
        level = image - np.average(image, weights=window)
        x = (np.arange(width) - (width - 1) / 2) * pixel_um
        y = (np.arange(height) - (height - 1) / 2) * pixel_um
        along_x = np.exp(-2j * np.pi * x / self.period_um)[None, :]
        along_y = np.exp(-2j * np.pi * y / self.period_um)[:, None]
        scale = 2 / window.sum()
        return (level * window * along_x).sum() * scale, (level * window * along_y).sum() * scale


@pytest.fixture
def clock():
    return FreeClock()


@pytest.fixture(scope="session")
def grating():
    return Grating()


@pytest.fixture(scope="session")
def grating_specimen(grating):
    return grating.specimen()


@pytest.fixture
def objectives():
    return OBJECTIVES


@pytest.fixture
def make_world(grating_specimen):
    def make(
        *,
        seed: int = 0,
        speed: float = 100.0,
        truth: Path | None = None,
        unrest: Unrest | None = None,
    ) -> World:
        return World(
            seed=seed,
            speed=speed,
            objectives=OBJECTIVES,
            camera_width_px=256,
            camera_height_px=192,
            specimen=grating_specimen,
            truth=truth,
            unrest=unrest,
        )

    return make


@pytest.fixture
def move():
    def move(world: World, x_um: float = 0.0, y_um: float = 0.0, z_um: float = 0.0) -> float:
        steps = tuple(round(value / 0.05) for value in (x_um, y_um, z_um))
        wall_s = world.begin_move(target_steps=steps)
        world.finish_move()
        return wall_s

    return move
