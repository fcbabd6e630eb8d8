"""The sections `[stage]`, `[light]`, `[camera]` and `[turret]`: each names the driver of its port.

A section is read by its driver's own record, so a setting that this driver does not use is an
unknown key. Ports that share one device name the same one: a board by its port, and the simulated
world, the recording or the Micro-Manager configuration by the section that describes it
(`[simulation]`, `[recording]`, `[micromanager]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from runtime.config.micromanager_settings import (
    MicroManagerCameraSection,
    MicroManagerLightSection,
    MicroManagerStageSection,
    MicroManagerTurretSection,
)
from runtime.config.strict import NO_DRIVER, OF_DRIVER, Strict

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
BOARD = "of a serial board"


class BoardSection(Strict):
    """A port on a serial board; `driver` is a board's, or "auto" to ask what is there.

    `port` is a path, or pins a board wherever it is plugged in: "serial:NUMBER" of its USB plug,
    "id:NAME" of its own, or "auto" for the only one there is. All else are options of the driver;
    they are checked against it where the instrument is opened, before anything moves.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    driver: Text
    port: Text

    @property
    def options(self) -> dict[str, Any]:
        """Return the settings that are the driver's own."""
        return dict(self.model_extra or {})


class SimulatedSection(Strict):
    """A stage, light or turret of the simulated microscope described in `[simulation]`."""

    driver: Literal["simulated"]


class BentSection(Strict):
    """How the simulated camera bends its frames: a corner is moved by `corner_px`.

    "radial" is a lens, along the way from the middle; "scan" a scanned beam, without symmetry.
    """

    kind: Literal["radial", "scan"]
    corner_px: Annotated[float, Field(ge=-40, le=40)]


class SimulatedCameraSection(Strict):
    """The camera of the simulated microscope; its frames are straight unless `distortion` is given.

    It looks at the simulated specimen from wherever the stage stands, be that simulated or real.
    """

    driver: Literal["simulated"]
    width_px: Annotated[int, Field(ge=64, le=4096)] = 512
    height_px: Annotated[int, Field(ge=64, le=4096)] = 448
    distortion: BentSection | None = None


class RecordedSection(Strict):
    """A stage or camera that plays the scan described in `[recording]`."""

    driver: Literal["recorded"]


class RecordedLightSection(Strict):
    """The light a scan was recorded under; `channel` is what plans call it."""

    driver: Literal["recorded"]
    channel: Text = "brightfield"


class OpenCvCameraSection(Strict):
    """A V4L2 camera: `device` is its index or path."""

    driver: Literal["opencv"]
    device: Text


class MountedTurretSection(Strict):
    """No turret: one `objective`, screwed in by hand."""

    driver: Literal["mounted"]
    objective: Text


class SideLightSection(Strict):
    """LEDs beside the axis of the simulated microscope: channels led_left, led_right, led_top and
    led_bottom, their frames formed by waves.

    `sine` is that of their angle, below the apertures of the objectives, or a frame is dark; each
    is a disc of radius `source` (a sine). To waves the specimen's darkness absorbs, to the power of
    `absorption`, and delays by up to `phase_rad`.
    """

    sine: Annotated[float, Field(gt=0, lt=1)] = 0.2
    source: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    absorption: Annotated[float, Field(ge=0, le=4)] = 1.0
    phase_rad: Annotated[float, Field(ge=-6.3, le=6.3)] = 0.0


class UnrestSection(Strict):
    """What shakes the simulated stage while it stands: a vibration, and the rest of the last move,
    which dies away with the time constant `settling_s`.
    """

    vibration_um: Annotated[float, Field(ge=0, le=10)] = 0.0
    vibration_hz: Positive = 30.0
    settling_um: Annotated[float, Field(ge=0, le=10)] = 0.0
    settling_s: Positive = 0.05


class SimulationSection(Strict):
    """The simulated microscope. `speed` divides how long every motion and exposure is waited for,
    and changes nothing else; 1 is real time.

    `line_faults` is the share of bytes dropped, duplicated and flipped, each, on the serial line of
    the board that carries the simulated ones of stage, light and turret. A stage that is not
    simulated has the middle of the specimen, in focus, at `specimen_um`. With a `side_light` there
    are LEDs beside brightfield, which is the fast mode: blur, without waves. `dust_specks` lie on
    the specimen and move with it; those on the sensor are always there. The file `faults`, where it
    is there, says what goes wrong in each session (`runtime.config.simulated_faults`).
    """

    seed: int = 0
    speed: Annotated[float, Field(gt=0, le=1000)] = 10.0
    line_faults: Annotated[float, Field(ge=0, le=0.05)] = 0.0
    specimen_um: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    side_light: SideLightSection | None = None
    unrest: UnrestSection = UnrestSection()
    dust_specks: Annotated[int, Field(ge=0, le=10_000)] = 0
    faults: Path | None = None


class RecordingSection(Strict):
    """A scan taken elsewhere, that the driver "recorded" plays.

    `folder` holds its tiles. Where they lie is told by a TileConfiguration file in it, named in
    `positions` when it is called otherwise, or by a `pattern` of names and the `overlap` of
    neighbours; with `flip` its files keep their lowest row first. `pixel_size_um` joins pixels to
    the stage, whose axes are the camera's. Dark and flat-field records in the folder `corrected_by`
    correct every tile; without it tiles are used as they are.
    """

    folder: Path
    pixel_size_um: Positive
    positions: Path | None = None
    pattern: str | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] | None = None
    flip: bool = False
    corrected_by: Path | None = None


def _driver_of(*own: str, boards: bool) -> Discriminator:
    """Return what finds a section's record by its driver's name.

    Any name besides `own` is a serial board's where `boards` may serve the port; only whoever opens
    boards knows their drivers.
    """

    def tag(section: object) -> str | None:
        values = section if isinstance(section, Mapping) else vars(section)
        driver = values.get("driver")
        if driver in own:
            return OF_DRIVER + str(driver)
        return OF_DRIVER + BOARD if boards and "port" in values else None

    names = ", ".join(own)
    need = f"must name its 'driver': {names}"
    if boards:
        need += "; or that of a serial board, together with the board's 'port'"
    return Discriminator(tag, custom_error_type=NO_DRIVER, custom_error_message=need)


Board = Annotated[BoardSection, Tag(OF_DRIVER + BOARD)]
Simulated = Annotated[SimulatedSection, Tag(OF_DRIVER + "simulated")]
Recorded = Annotated[RecordedSection, Tag(OF_DRIVER + "recorded")]
StageSection = Annotated[
    Simulated
    | Recorded
    | Annotated[MicroManagerStageSection, Tag(OF_DRIVER + "micromanager")]
    | Board,
    _driver_of("simulated", "recorded", "micromanager", boards=True),
]
LightSection = Annotated[
    Simulated
    | Annotated[RecordedLightSection, Tag(OF_DRIVER + "recorded")]
    | Annotated[MicroManagerLightSection, Tag(OF_DRIVER + "micromanager")]
    | Board,
    _driver_of("simulated", "recorded", "micromanager", boards=True),
]
CameraSection = Annotated[
    Annotated[SimulatedCameraSection, Tag(OF_DRIVER + "simulated")]
    | Recorded
    | Annotated[MicroManagerCameraSection, Tag(OF_DRIVER + "micromanager")]
    | Annotated[OpenCvCameraSection, Tag(OF_DRIVER + "opencv")],
    _driver_of("simulated", "recorded", "micromanager", "opencv", boards=False),
]
TurretSection = Annotated[
    Simulated
    | Annotated[MountedTurretSection, Tag(OF_DRIVER + "mounted")]
    | Annotated[MicroManagerTurretSection, Tag(OF_DRIVER + "micromanager")]
    | Board,
    _driver_of("simulated", "mounted", "micromanager", boards=True),
]
