"""The instrument's settings: one frozen tree, read from TOML, ranges checked where declared."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from runtime.config.board_settings import Boards, LightBoard
from runtime.config.micromanager_settings import MicroManager
from runtime.config.strict import Strict
from runtime.errors import ConfigRefused

Positive = Annotated[float, Field(gt=0)]
USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nightscope"
SHIPPED_MODELS = Path(__file__).resolve().parents[1] / "models"


class Instrument(Strict):
    """Which hardware; the simulated microscope is chosen here by name, never fallen back to.

    A "serial" instrument has its stage on `port`, spoken to by `driver`, its light there too
    unless `light` names another board, and a V4L2 `camera` (index or path). `port` is a path, or
    pins a board wherever it is plugged in: "serial:NUMBER" of its USB plug, "id:NAME" of its own,
    or "auto" for the only one there is; `driver` may be "auto" too. `boards` holds what boards
    cannot say of themselves. Without a turret the one `mounted` objective is in place. A
    "micromanager" instrument is described in the section of that name. Boards that do not go dark
    by themselves when the host dies are used only when `accept_without_failsafe` holds their ids.
    """

    kind: Literal["simulated", "serial", "micromanager"]
    name: str = "microscope"
    port: str = ""
    driver: Literal["native", "sangaboard", "grbl", "auto"] = "native"
    light: LightBoard | None = None
    boards: Boards = Boards()
    camera: str = ""
    mounted: str = ""
    accept_without_failsafe: tuple[str, ...] = ()
    watchdog_ms: Annotated[int, Field(ge=100, le=5000)] = 500

    @model_validator(mode="after")
    def _hardware_is_named(self) -> Instrument:
        if self.kind == "serial" and not (self.port and self.camera):
            raise ValueError("a serial instrument needs 'port' and 'camera' (a V4L2 index or path)")
        return self


class Objective(Strict):
    """One objective: nominal optics. The calibrated pixel size must agree with the nominal one."""

    magnification: Positive
    na: Annotated[float, Field(gt=0, lt=1.6)]
    pixel_size_um: Positive
    wavelength_um: Positive = 0.53
    refractive_index: Positive = 1.0
    sensor_pixel_um: Positive = 5.0

    @property
    def depth_of_field_um(self) -> float:
        """Return the total depth of field, λn/NA² + n·e/(M·NA), micrometres."""
        diffraction = self.wavelength_um * self.refractive_index / self.na**2
        return diffraction + self.refractive_index * self.sensor_pixel_um / (
            self.magnification * self.na
        )


class Motion(Strict):
    """How the control loop moves: the final approach is always from below by `approach_um`."""

    approach_um: Positive = 12.0
    approach_z_um: Positive = 6.0
    settle_ms: Annotated[float, Field(ge=0)] = 60.0


class Calibration(Strict):
    """Where records live, how long they hold, and where the slide is empty (for flat fields).

    `automatic` runs what is missing before a run starts: sensible on the simulated microscope.
    """

    folder: Path = Path("calibration")
    max_age_days: Positive = 90.0
    empty_field_um: tuple[float, float] = (0.0, 0.0)
    textured_field_um: tuple[float, float] = (0.0, 0.0)
    automatic: bool = False


class Models(Strict):
    """Where bundles and the public keys they must be signed with are kept; `cache` remembers which
    back end measured fastest here.
    """

    folder: Path = SHIPPED_MODELS
    cache: Path = USER_CACHE
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto"


class Pipeline(Strict):
    """How far acquisition may run ahead of compute, and the storage reserve."""

    queue_tiles: Annotated[int, Field(ge=1, le=64)] = 4
    disk_reserve_mb: Annotated[float, Field(ge=0)] = 200.0


class Simulation(Strict):
    """The simulated microscope. `speed` divides every mechanical time; 1 is real time.
    `line_faults` is the share of the serial line's bytes dropped, duplicated and flipped, each.
    """

    seed: int = 0
    speed: Annotated[float, Field(gt=0, le=1000)] = 10.0
    line_faults: Annotated[float, Field(ge=0, le=0.05)] = 0.0
    camera_width_px: Annotated[int, Field(ge=64, le=4096)] = 512
    camera_height_px: Annotated[int, Field(ge=64, le=4096)] = 448


class Settings(Strict):
    """Everything that belongs to the instrument rather than to one plan."""

    instrument: Instrument
    objectives: dict[str, Objective]
    motion: Motion = Motion()
    calibration: Calibration = Calibration()
    models: Models = Models()
    pipeline: Pipeline = Pipeline()
    simulation: Simulation = Simulation()
    budgets_ms: dict[str, Positive] = {}
    micromanager: MicroManager | None = None

    @model_validator(mode="after")
    def _devices_are_described(self) -> Settings:
        if self.instrument.kind == "micromanager" and self.micromanager is None:
            raise ValueError("a micromanager instrument needs the section [micromanager]")
        return self


def load_settings(path: Path) -> Settings:
    """Return the settings in a TOML file; relative folders are relative to that file.

    Raises ConfigRefused when the file is missing, is not TOML, or holds an unknown key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigRefused(
            f"settings {path}: {error.strerror}", remedy="name an existing TOML file"
        ) from None
    return parse_settings(text, source=path)


def parse_settings(text: str, *, source: Path) -> Settings:
    """Return the settings in TOML `text`, whose relative folders hang on `source`'s folder."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigRefused(f"{source}: not TOML: {error}", remedy="mend the line named") from None
    return _anchored(Settings.read(values, source=source), source.parent)


def _anchored(settings: Settings, base: Path) -> Settings:
    """Return the settings with their relative folders hung on `base`."""
    own = settings.calibration
    anchored: dict[str, Strict] = {
        "calibration": own.model_copy(update={"folder": base / own.folder})
    }
    if (devices := settings.micromanager) is not None:
        paths = {"config": base / devices.config}
        if devices.adapters is not None:
            paths["adapters"] = base / devices.adapters
        anchored["micromanager"] = devices.model_copy(update=paths)
    return settings.model_copy(update=anchored)
