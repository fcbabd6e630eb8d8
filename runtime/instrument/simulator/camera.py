"""The simulated camera: sees the specimen through the stage's true position."""

from __future__ import annotations

import numpy as np

from runtime.errors import CameraFailed
from runtime.instrument.simulator.board import BRIGHTFIELD
from runtime.instrument.simulator.optics import transmitted
from runtime.instrument.simulator.sensor import FULL_SCALE, Sensor
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.world import READOUT_S, World
from runtime.ports import CameraFrame, CameraInfo, Clock
from runtime.tile import Pixels

# At half brightness a clear slide reaches three quarters of full scale in 10 ms.
PHOTOELECTRONS_PER_MS = 2500.0
SHORTEST_EXPOSURE_MS, LONGEST_EXPOSURE_MS = 1e-3, 10_000.0


class SimulatedCamera:
    """A `Camera` on a `World`; everything it makes is marked simulated."""

    def __init__(self, world: World, *, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self._sensor = Sensor(
            seed=world.seed, width_px=world.camera_width_px, height_px=world.camera_height_px
        )
        self._open = True

    @property
    def info(self) -> CameraInfo:
        """Return what this camera is; its id names what it is made of: the seed, which its fixed
        pattern hangs on, and the distortion.
        """
        bend = self._world.distortion
        return CameraInfo(
            camera_id=f"SIMULATED-camera-{self._world.seed}"
            + ("" if bend is None else f"-bent-{bend.fingerprint[:8]}"),
            width_px=self._world.camera_width_px,
            height_px=self._world.camera_height_px,
            full_scale=FULL_SCALE,
            exposure_ms=(SHORTEST_EXPOSURE_MS, LONGEST_EXPOSURE_MS),
            simulated=True,
        )

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Expose once, and wait until exposure and readout would be over at the world's speed.

        `CameraFrame.at` is in the world's own time. Raises CameraFailed when closed or asked for an
        exposure outside (0, 10 s].
        """
        if not self._open:
            raise CameraFailed("the simulated camera is closed", remedy="open it again")
        if not 0 < exposure_ms <= LONGEST_EXPOSURE_MS:
            raise CameraFailed(
                "exposure out of range",
                value=f"{exposure_ms} ms",
                limit=f"0 to {LONGEST_EXPOSURE_MS:.0f} ms",
                remedy="choose another 'exposure_ms'",
            )
        start_s = self._clock.now_s()
        exposure = self._world.expose(exposure_ms=exposure_ms)
        pixels = self._render(exposure)
        pixels.setflags(write=False)
        due_s = start_s + self._world.time.wait_s(exposure_ms / 1000 + READOUT_S)
        self._clock.sleep(duration_s=max(due_s - self._clock.now_s(), 0.0))
        return CameraFrame(pixels=pixels, at=self._world.time.instant_at(exposure.time_s))

    def close(self) -> None:
        """Take no more frames."""
        self._open = False

    def _render(self, exposure: TrueExposure) -> Pixels:
        info = self.info
        shape = (info.height_px, info.width_px)
        rate = PHOTOELECTRONS_PER_MS * exposure.light_level * self._brightness(exposure.objective)
        light_e = np.zeros(shape, np.float32)
        if rate > 0:
            side = None if exposure.channel == BRIGHTFIELD else self._world.side_light
            share = (transmitted if side is None else side.transmitted)(
                self._world.specimen,
                self._world.objectives[exposure.objective],
                exposure,
                width_px=info.width_px,
                height_px=info.height_px,
                distortion=self._world.distortion,
            )
            np.multiply(share, np.float32(rate * exposure.exposure_ms), out=light_e)
        turret = list(self._world.objectives).index(exposure.objective)
        return self._sensor.expose(
            light_e,
            exposure_ms=exposure.exposure_ms,
            noise_key=(
                *exposure.position_nm,
                turret,
                round(exposure.exposure_ms * 1000),
                exposure.frame_index,
            ),
        )

    def _brightness(self, objective: str) -> float:
        """Return the image brightness against the brightest objective: it goes with (NA/M)²."""
        squares = {
            name: (optics.na / optics.magnification) ** 2
            for name, optics in self._world.objectives.items()
        }
        return squares[objective] / max(squares.values())
