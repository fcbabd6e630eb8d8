"""What the runtime asks of the world: four small protocols and a turret.

Hardware, simulation and recorded scans all come in through these. Arguments that carry a unit are
keyword-only, so that a type checker sees the unit. Contract suites in `tests/contracts` say what
every driver must do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from runtime.instant import Instant
from runtime.tile import Pixels


class Clock(Protocol):
    """Time and waiting. Every wait of the control loop goes through `sleep`, which keeps the
    board's watchdog fed, so nothing else may block for longer than the watchdog allows.
    """

    def now_s(self) -> float:
        """Return monotonic seconds."""

    def instant(self) -> Instant:
        """Return this moment as it is stored."""

    def sleep(self, *, duration_s: float) -> None:
        """Wait for at least so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFrame:
    """One exposure: (y, x) pixels, read-only, and when it had been read out."""

    pixels: Pixels
    at: Instant


ANY_EXPOSURE_MS = (1e-3, 600_000.0)
"""What a plan may ask of a camera that states no limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo:
    """What a camera is: `camera_id` and the region of interest decide whether a calibration holds.

    `full_scale` is the largest digital number it can give, `exposure_ms` the shortest and the
    longest exposure it can make, as far as the driver knows.
    """

    camera_id: str
    width_px: int
    height_px: int
    full_scale: int
    exposure_ms: tuple[float, float] = ANY_EXPOSURE_MS
    simulated: bool = False


class Camera(Protocol):
    """A source of frames. Every frame has the shape and dtype `info` promises."""

    @property
    def info(self) -> CameraInfo:
        """Return what this camera is; constant while it is open."""

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Expose once, starting after this call, and return the frame.

        Raises CameraFailed when no usable frame came.
        """

    def close(self) -> None:
        """Release the device; may be called twice."""


class Position(Protocol):
    """A place in the stage's axes, micrometres."""

    @property
    def x_um(self) -> float:
        """Return x."""

    @property
    def y_um(self) -> float:
        """Return y."""

    @property
    def z_um(self) -> float:
        """Return z."""


class Travel(Protocol):
    """Closed travel ranges in micrometres, (lowest, highest) per axis."""

    @property
    def x_um(self) -> tuple[float, float]:
        """Return the range of x."""

    @property
    def y_um(self) -> tuple[float, float]:
        """Return the range of y."""

    @property
    def z_um(self) -> tuple[float, float]:
        """Return the range of z."""


class Stage(Protocol):
    """Three motorised axes with absolute coordinates, valid once homed."""

    @property
    def stage_id(self) -> str:
        """Return the board's unique id; calibrations depend on it."""

    @property
    def failsafe(self) -> bool:
        """Return whether the board goes dark and idle by itself when the host dies."""

    @property
    def limits(self) -> Travel:
        """Return the travel ranges."""

    def home(self) -> None:
        """Find the reference switches; afterwards the position is known."""

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> Position:
        """Move the named axes, wait until they stand still, and return the position read back.

        Raises the driver's LimitHit before anything moves when a target is outside the limits.
        """

    def position(self) -> Position:
        """Return the position read back from the board."""

    def stop(self) -> None:
        """Halt all axes at once, ahead of anything queued."""


@runtime_checkable
class DeclaredStage(Stage, Protocol):
    """A stage that somebody else has to tell where it stands, unless it has switches after all."""

    @property
    def finds_origin(self) -> bool:
        """Return whether `home` finds the origin by itself; if not, it declares one where it
        stands, as often as the settings allow.
        """

    @property
    def lost(self) -> bool:
        """Return whether the position was known and no longer is."""

    def stand_at(self, *, x_um: float, y_um: float, z_um: float) -> None:
        """Believe from now on that it stands there, to the nearest motor step; nothing moves."""

    def forget(self) -> None:
        """Void the position."""


class Light(Protocol):
    """Illumination with named channels; dark when opened and when closed."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channel names."""

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel at a brightness from 0 to 1; all others go off."""

    def off(self) -> None:
        """Switch every channel off."""


class Turret(Protocol):
    """The objective changer."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """Return the mounted objectives' names."""

    def select(self, *, objective: str) -> None:
        """Swing an objective in and wait until it is seated."""
