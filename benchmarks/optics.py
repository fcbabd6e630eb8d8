"""Frames a second of the simulated microscope: brightfield by blur, light from the side by waves.

    python benchmarks/optics.py

A frame is 512 x 448 pixels of the committed section, 10 µm out of focus, through optics alone and
through the whole camera with its noise. Processor time counts, too: the wall clock is of the
machine's other users. The peer is one Fourier transform there and back of the same size by NumPy,
below which no formation by waves can be.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from runtime.clock import SystemClock
from runtime.config.settings import Objective
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.optics import transmitted
from runtime.instrument.simulator.side_light import Material, SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.world import World

ROUNDS = 15
SIZE = {"width_px": 512, "height_px": 448}
OBJECTIVE = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
SEEN = TrueExposure(
    time_s=0.0,
    exposure_ms=10.0,
    objective="10x",
    light_level=0.5,
    centre_um=(-100.0, 0.0),
    defocus_um=10.0,
    rotation_rad=0.012,
    pixel_size_um=0.5,
    position_nm=(0, 0, 0),
    frame_index=0,
    channel="led_left",
)


def there_and_back(field: np.ndarray) -> None:
    """Transform a complex field and back."""
    np.fft.ifft2(np.fft.fft2(field))


def cost(function: Callable[[], object]) -> tuple[float, float]:
    """Return the median milliseconds of a call: wall, and processor (all threads)."""
    wall, processor = [], []
    function()
    for _ in range(ROUNDS):
        begun, worked = time.perf_counter(), time.process_time()
        function()
        wall.append(1e3 * (time.perf_counter() - begun))
        processor.append(1e3 * (time.process_time() - worked))
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    """Time every mode and print frames a second."""
    specimen = Specimen()
    mixed = Material(absorption=1.0, phase_rad=1.0)
    point, disc = (
        SideLight(sine=0.2, material=mixed),
        SideLight(sine=0.2, source=0.03, material=mixed),
    )
    world = World(
        seed=0,
        speed=1000.0,
        objectives={"10x": OBJECTIVE},
        camera_width_px=SIZE["width_px"],
        camera_height_px=SIZE["height_px"],
        specimen=specimen,
        side_light=point,
    )
    camera = SimulatedCamera(world, clock=SystemClock())
    world.set_light(channel=1, level=128)
    scene = (specimen, OBJECTIVE, SEEN)
    field = np.ones((SIZE["height_px"], SIZE["width_px"]), np.complex64)
    modes = {
        "brightfield by blur": partial(transmitted, *scene, **SIZE),
        "a point source by waves": partial(point.transmitted, *scene, **SIZE),
        "a disc of seven points by waves": partial(disc.transmitted, *scene, **SIZE),
        "the camera under a point source": partial(camera.capture, exposure_ms=10.0),
        "NumPy's transform there and back": partial(there_and_back, field),
    }
    for name, function in modes.items():
        wall, processor = cost(function)
        print(
            f"{name}: {wall:.1f} ms a frame, {1e3 / wall:.0f} frames/s; "
            f"{processor:.1f} ms of processor"
        )


if __name__ == "__main__":
    main()
