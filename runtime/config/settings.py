"""The instrument's settings: one frozen tree, read from TOML, ranges checked where declared."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from runtime.config.message_settings import MessagesSection
from runtime.config.micromanager_settings import MicroManagerSection
from runtime.config.port_settings import (
    CameraSection,
    LightSection,
    MountedTurretSection,
    RecordingSection,
    SimulationSection,
    StageSection,
    TurretSection,
)
from runtime.config.service_settings import ServiceSection
from runtime.config.strict import FLATTER, Strict, no_such_value
from runtime.errors import ConfigRefused
from runtime.plain_file import read_text

Positive = Annotated[float, Field(gt=0)]
Section = TypeVar("Section", bound=Strict | None)
MOST_BYTES = 2**18
"""Of a settings file; the longest that ships has 4 kB."""
WHOSE = "name the instrument's with --settings FILE, or in NIGHTSCOPE_SETTINGS"

PORTS = ("stage", "light", "camera", "turret")
USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nightscope"
KEYS, STORE = "NIGHTSCOPE_KEYS", "NIGHTSCOPE_STORE"
SHIPPED_MODELS = Path(__file__).resolve().parents[1] / "models"


def device_store() -> Path:
    """Return the folder of the models that are installed on this device: the one that
    NIGHTSCOPE_STORE names, else one among the user's state; it need not be there.
    """
    state = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state"))
    return Path(os.environ.get(STORE) or state / "nightscope" / "models")


FocusFirst = Literal["auto", "network", "led-pair", "sweep"]

# What stood in [instrument] when one word chose all the hardware.
ONE_KIND = ("kind", "port", "driver", "light", "boards", "camera", "mounted", "watchdog_ms")


class InstrumentSection(Strict):
    """The instrument as a whole; its devices are in `[stage]`, `[light]`, `[camera]`, `[turret]`.

    Boards that do not go dark by themselves when the host dies are used unattended only when
    `accept_without_failsafe` holds their ids.
    """

    name: str = "microscope"
    accept_without_failsafe: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _names_no_devices(cls, values: Any) -> Any:
        if isinstance(values, dict) and (old := [key for key in ONE_KIND if key in values]):
            raise ValueError(
                f"has no key '{old[0]}' any more; [stage], [light], [camera] and [turret] "
                "each name their own driver and its settings"
            )
        return values


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


class MotionSection(Strict):
    """How the control loop moves: the final approach is always from below by `approach_um`. A
    person who moves the stage by hand may change z by `jog_z_um` at once.
    """

    approach_um: Positive = 12.0
    approach_z_um: Positive = 6.0
    jog_z_um: Positive = 50.0
    settle_ms: Annotated[float, Field(ge=0)] = 60.0


class FocusSection(Strict):
    """What a night looks with where its focus surface cannot say: "network", the one of
    `models.focus` under the first of the LEDs, "led-pair", two opposite LEDs calibrated by
    `led-pair`, "sweep", or "auto", the pair where its record is there. What is not sure, or wrong,
    is followed by the next of them. A network, too, needs the pair's record, and looks with the
    plan's own objective alone.
    """

    first: FocusFirst = "auto"


class CalibrationSection(Strict):
    """Where records live, how long they hold, and where the slide is empty (for flat fields).

    `led_pair` names two channels of the light that are opposite LEDs, in the order they are lit.
    `automatic` runs what is missing before a run starts: sensible on the simulated microscope.
    """

    folder: Path = Path("calibration")
    max_age_days: Positive = 90.0
    empty_field_um: tuple[float, float] = (0.0, 0.0)
    textured_field_um: tuple[float, float] = (0.0, 0.0)
    led_pair: tuple[str, str] = ("led_left", "led_right")
    automatic: bool = False


class ModelsSection(Strict):
    """Where bundles and the public keys they must be signed with are kept: `folder` is the shelf
    that comes with a release and is only read, `store` has what was installed on this device (None
    for nothing). An installed model is confirmed after `trial_tiles` good tiles; a trial longer
    than `trial_days` ends with the model before. `selftest_mb` and `selftest_s` bound what a model
    may take when it is tried out.

    `cache` remembers which back end measured fastest here. `matcher` names the network that is
    asked for overlaps which nothing else can match: "auto" the shipped one if it is there, "none"
    for none. `focus` names the one that `focus.first = "network"` asks; none ships. `classifier` is
    the one whose guard `calibrate guard` fits to the instrument, "auto" the only one there is.
    """

    folder: Path = SHIPPED_MODELS
    store: Path | None = Field(default_factory=device_store)
    trial_tiles: Annotated[int, Field(ge=1, le=100_000)] = 50
    trial_days: Positive = 14.0
    selftest_mb: Annotated[int, Field(ge=64)] = 3000
    selftest_s: Positive = 300.0
    cache: Path = USER_CACHE
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto"
    matcher: str = "auto"
    focus: str = "none"
    classifier: str = "auto"

    @property
    def keyring(self) -> Path:
        """Return the folder of the public keys that come with the device's configuration; those
        that were trusted later lie in the store.

        It is the one that NIGHTSCOPE_KEYS names, else `keys` among the models: never one that came
        beside a bundle, of which it could only say what the bundle says of itself.
        """
        named = os.environ.get(KEYS)
        return Path(named) if named else self.folder / "keys"


class SealedModelsSection(ModelsSection):
    """The models of a run, which were sealed into it with their keys."""

    @property
    def keyring(self) -> Path:
        """Return the keys that the run began with, whatever the environment names by now."""
        return self.folder / "keys"


class PipelineSection(Strict):
    """How far acquisition may run ahead of compute, and the storage reserve."""

    queue_tiles: Annotated[int, Field(ge=1, le=64)] = 4
    disk_reserve_mb: Annotated[float, Field(ge=0)] = 200.0


class Settings(Strict):
    """Everything that belongs to the instrument rather than to one plan.

    Each port names its driver. Without `[turret]` the only objective there is is in place.
    """

    instrument: InstrumentSection = InstrumentSection()
    stage: StageSection
    light: LightSection
    camera: CameraSection
    turret: TurretSection | None = None
    objectives: Annotated[dict[str, Objective], Field(min_length=1)]
    motion: MotionSection = MotionSection()
    focus: FocusSection = FocusSection()
    calibration: CalibrationSection = CalibrationSection()
    models: ModelsSection = ModelsSection()
    pipeline: PipelineSection = PipelineSection()
    messages: MessagesSection = MessagesSection()
    simulation: SimulationSection = SimulationSection()
    recording: RecordingSection | None = None
    micromanager: MicroManagerSection | None = None
    service: ServiceSection = ServiceSection()
    budgets_ms: dict[str, Positive] = {}

    @property
    def drivers(self) -> dict[str, str]:
        """Return the driver's name of every port."""
        turret = "mounted" if self.turret is None else self.turret.driver
        return {
            "stage": self.stage.driver,
            "light": self.light.driver,
            "camera": self.camera.driver,
            "turret": turret,
        }

    def use(self, driver: str, *, ports: Collection[str] = PORTS) -> bool:
        """Return whether one of these ports names this driver."""
        return any(self.drivers[port] == driver for port in ports)

    @model_validator(mode="after")
    def _sections_are_used(self) -> Settings:
        """Refuse a shared device that no port names, and a port whose shared device is missing."""
        for section, driver, needed in (
            ("simulation", "simulated", False),
            ("recording", "recorded", True),
            ("micromanager", "micromanager", True),
        ):
            given = getattr(self, section) is not None and section in self.model_fields_set
            if given and not self.use(driver):
                raise ValueError(
                    f"[{section}] is not used: no port names the driver '{driver}'; remove it, "
                    f"or name that driver in [stage], [light], [camera] or [turret]"
                )
            if needed and not given and self.use(driver):
                raise ValueError(f"the driver '{driver}' needs the section [{section}]; add it")
        return self

    @model_validator(mode="after")
    def _simulation_is_used(self) -> Settings:
        told = self.simulation.model_fields_set
        board = self.use("simulated", ports=("stage", "light", "turret"))
        for key, used, why in (
            ("line_faults", board, "neither stage, light nor turret is simulated"),
            ("specimen_um", self.follows, "no simulated camera follows a stage that is not"),
        ):
            if key in told and not used:
                raise ValueError(f"'simulation.{key}' is not used: {why}; remove it")
        return self

    @property
    def follows(self) -> bool:
        """Return whether a simulated camera looks through a stage that is not simulated."""
        return self.camera.driver == "simulated" and self.stage.driver != "simulated"

    @model_validator(mode="after")
    def _a_recording_is_whole(self) -> Settings:
        """The frames of a recording belong to the places it was taken at, and to its light."""
        recorded = [port for port in PORTS if self.drivers[port] == "recorded"]
        if recorded and len(recorded) < 3:
            raise ValueError(
                f"only {' and '.join(recorded)} are recorded; a recording is stage, light and "
                "camera together: give all three the driver 'recorded'"
            )
        if recorded and self.drivers["turret"] != "mounted":
            raise ValueError(
                "a recording has no turret; remove [turret], or name the objective it was taken "
                "with: driver = 'mounted'"
            )
        if recorded and self.calibration.automatic:
            raise ValueError(
                "a recording cannot be calibrated; remove 'calibration.automatic', and name the "
                "records it was taken with in 'recording.corrected_by'"
            )
        return self

    @model_validator(mode="after")
    def _an_objective_is_in_place(self) -> Settings:
        known = ", ".join(self.objectives)
        if self.turret is None and len(self.objectives) > 1:
            raise ValueError(
                f"[turret] is missing, and there are several objectives ({known}); name its "
                "driver, or the one that is screwed in: driver = 'mounted', objective = '...'"
            )
        if (
            isinstance(self.turret, MountedTurretSection)
            and self.turret.objective not in self.objectives
        ):
            raise ValueError(
                f"'turret.objective' is '{self.turret.objective}'; [objectives] holds {known}"
            )
        return self

    @property
    def records(self) -> Path | None:
        """Return the folder of the records a run needs; a recording may need none."""
        if self.recording is None:
            return self.calibration.folder
        return self.recording.corrected_by

    @property
    def lowest_objective(self) -> str:
        """Return the objective of lowest magnification, which offsets are measured against."""
        return min(self.objectives, key=lambda name: self.objectives[name].magnification)

    @property
    def mounted(self) -> str:
        """Return the objective in place where there is no turret."""
        if isinstance(self.turret, MountedTurretSection):
            return self.turret.objective
        return next(iter(self.objectives))


def load_settings(path: Path, *, base: Path | None = None) -> Settings:
    """Return the settings in a TOML file; relative paths hang on its folder, or on `base`.

    Raises ConfigRefused when the file is missing, is not TOML, or holds an unknown key.
    """
    return parse_settings(settings_text(path), source=path, base=base)


def settings_text(path: Path) -> str:
    """Return the text of a settings file. Raises ConfigRefused for what is no text of that size."""
    return read_text(
        path, what="settings", most_bytes=MOST_BYTES, refuse=ConfigRefused, remedy=WHOSE
    )


def parse_settings(text: str, *, source: Path, base: Path | None = None) -> Settings:
    """Return the settings in TOML `text`, whose relative paths hang on `base` or `source`'s folder.

    Raises ConfigRefused for what is not TOML, and for unknown keys.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigRefused(f"{source}: not TOML: {error}", remedy="mend the line named") from None
    except RecursionError:
        raise ConfigRefused(f"{source}: is nested too deeply", remedy=FLATTER) from None
    except (ValueError, OverflowError) as error:
        # A number or a date as TOML writes them, and no number or date.
        raise no_such_value(source, error) from None
    return _anchored(Settings.read(values, source=source), base or source.parent)


def _anchored(settings: Settings, base: Path) -> Settings:
    """Return the settings with their relative paths hung on `base`."""
    anchored = {
        "calibration": _hung(settings.calibration, base, "folder"),
        "recording": _hung(settings.recording, base, "folder", "corrected_by"),
        "simulation": _hung(settings.simulation, base, "faults"),
        "micromanager": _hung(settings.micromanager, base, "config", "adapters"),
        "messages": _hung(settings.messages, base, "targets"),
        "models": _hung(settings.models, base, "store"),
        "service": _hung(settings.service, base, "state", "runs", "plans", "certificate", "key"),
    }
    return settings.model_copy(update=anchored)


def _hung(section: Section, base: Path, *paths: str) -> Section:
    """Return a section, which may be left out, with the paths it gives hung on `base`."""
    if section is None:
        return section
    given = {key: base / path for key in paths if (path := getattr(section, key)) is not None}
    return section.model_copy(update=given)
