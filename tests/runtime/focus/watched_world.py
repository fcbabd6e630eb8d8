"""A simulated microscope that keeps what it showed and where it was sent, and can restart."""

from __future__ import annotations

import math
from dataclasses import replace

from firmware_bridge.plant import BoardDescription
from runtime.config.plan import PlannedTile
from runtime.config.settings import Settings
from runtime.instant import Instant
from runtime.instrument.simulator.imperfections import draw
from runtime.instrument.simulator.motion import STEP_UM
from runtime.instrument.simulator.side_light import SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.virtual_time import VirtualTime
from runtime.instrument.simulator.world import World
from tests.runtime.focus.bare_slide import PIXEL_UM, Slide

SIZE_PX = (256, 320)
DRIFT_UM_H = 5.0
SPEED = 1000.0


class Boots(VirtualTime):
    """Time that begins anew when the controller restarts."""

    number, _began_s = 0, 0.0

    def start_again(self, *, off_s: float | None = None) -> None:
        """Be off for some time; without one, go back to when everything was new."""
        self.elapse(duration_s=-self.now_s() if off_s is None else off_s)
        self.number, self._began_s = self.number + 1, self.now_s()

    def instant_at(self, now_s: float) -> Instant:
        """Return the moment in the boot that runs."""
        since_s = now_s - self._began_s
        return Instant(boot_id=f"boot-{self.number}", monotonic_s=since_s, wall_s=since_s)


class Watched(World):
    """A world that keeps what it showed, and the lowest and highest z (µm) that motors stood at or
    were sent to; its board knows `z_limits_um` where they are set.
    """

    def __init__(self, slide: Slide, settings: Settings) -> None:
        hidden = draw(seed=slide.seed, objectives=settings.objectives)
        picture = slide.picture(hidden.handedness)
        height_px, width_px = SIZE_PX
        # A night finds its place again by what it sees; here nothing but focus is looked for.
        ramps = (0.0, 0.0, math.copysign(DRIFT_UM_H / 3600, hidden.drift[2].ramp_um_per_s))
        x_drift, y_drift, z_drift = (
            replace(drift, ramp_um_per_s=ramp)
            for drift, ramp in zip(hidden.drift, ramps, strict=True)
        )
        super().__init__(
            seed=slide.seed,
            speed=SPEED,
            objectives=settings.objectives,
            camera_width_px=width_px,
            camera_height_px=height_px,
            specimen=Specimen(lambda: picture, pixel_um=PIXEL_UM),
            side_light=SideLight(sine=0.2, source=0.02),
            imperfections=replace(hidden, drift=(x_drift, y_drift, z_drift)),
        )
        self.hidden = hidden
        self.time: Boots = Boots(seed=slide.seed, speed=SPEED)
        self.z_limits_um: tuple[float, float] | None = None
        self.sent_um: list[float] = []
        self.lit = False
        self.seen: list[TrueExposure] = []

    @property
    def board(self) -> BoardDescription:
        """Return what the board says of itself."""
        board = super().board
        if self.z_limits_um is None:
            return board
        low, high = (round(z / STEP_UM) for z in self.z_limits_um)
        x, y, z = board.axes
        return replace(board, axes=(x, y, replace(z, limits_steps=(low, high))))

    def begin_move(self, *, target_steps: tuple[int, int, int]) -> float:
        """Note where z is sent."""
        self.sent_um.append(target_steps[2] * STEP_UM)
        return super().begin_move(target_steps=target_steps)

    def set_light(self, *, channel: int, level: int) -> None:
        """Note whether a lamp burns."""
        self.lit = level > 0
        super().set_light(channel=channel, level=level)

    def power_off(self) -> None:
        """Note that none does."""
        self.lit = False
        super().power_off()

    def expose(self, *, exposure_ms: float) -> TrueExposure:
        """Keep what is exposed."""
        self.seen.append(super().expose(exposure_ms=exposure_ms))
        return self.seen[-1]

    def best_um(self, tile: PlannedTile) -> float:
        """Return about where a tile is in focus."""
        hand, seat = self.hidden.handedness, self.hidden.seats["10x"]
        plane = self.hidden.focus_plane
        return plane.at(x_um=hand[0] * tile.x_um, y_um=hand[1] * tile.y_um) + seat.parfocal_um
