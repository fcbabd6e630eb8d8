"""Fields that are not as they should be, on a microscope of a few lines with LEDs.

Every field is drawn anew from its seed: what is wrong with it, its texture, where focus lies, how
sure the prediction is, and whether a calibrated pair of LEDs is asked first. Blur is Gaussian, and
an LED moves its picture by z tan θ; the camera has 12 bits and noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from runtime.config.settings import MotionSection
from runtime.focus.autofocus import Focused
from runtime.focus.led_pair import PairSlope
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import LedPair
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.ports import CameraFrame, CameraInfo
from runtime.tile import StageLimits, StagePosition

DEPTH_UM = 7.6
SIDE_PX = 192
FULL_SCALE = 4095
LEVEL_DN, DARK_DN, NOISE_DN = 1600.0, 60.0, 12.0
# Pixels per micrometre of z: how a point of light widens, and how far either LED moves a picture.
WIDENS, UNDER_LED, MOVES = 0.3, 0.06, 0.4
PLAY_UM = 1.0
LIMITS_UM = (-80.0, 80.0)
LAMP = Lamp(channel="brightfield", brightness=0.5, exposure_ms=10.0)
# Which way (x, y) a channel moves the picture above focus.
WAYS: Mapping[str, tuple[float, float]] = {
    "brightfield": (0.0, 0.0),
    "led_left": (-1.0, 0.0),
    "led_right": (1.0, 0.0),
    "led_top": (0.0, 1.0),
}
PAIR = LedPair(
    lamps=(replace(LAMP, channel="led_left"), replace(LAMP, channel="led_right")),
    slope=PairSlope(x_px_per_um=2 * MOVES, y_px_per_um=0.0, sigma_px_per_um=0.004),
    highest=0.19,
)


class Layer(NamedTuple):
    """Something that is sharp at one z: its share of the light, and the spectrum of its picture."""

    z_um: float
    contrast: float
    spectrum: NDArray[np.complex64]


@dataclass
class Field:
    """Stage, light, camera, turret and clock of one field, and what is wrong with them."""

    layers: list[Layer]
    rng: np.random.Generator
    limits_um: tuple[float, float] = LIMITS_UM
    lit: Mapping[str, str] = field(default_factory=lambda: {name: name for name in WAYS})
    """Which lamp burns when a channel is switched on; none for a channel without."""
    stuck: bool = False
    honest: bool = False
    """Whether the board of a stage that is stuck says so."""
    frozen: bool = False
    sinks_um: float = 0.0
    """How far the specimen sinks from frame to frame."""
    frame_s: float = 0.1
    gain: float = 1.0
    sensor_dust: NDArray[np.float32] | None = None
    z_um: float = 0.0
    carriage_um: float = 0.0
    burning: str = ""
    frames: int = 0
    visited: list[float] = field(default_factory=list)
    stage_id: str = "field"
    kept: NDArray[np.uint16] | None = None

    @property
    def limits(self) -> StageLimits:
        """Return where z may go."""
        return StageLimits(x_um=(-1, 1), y_um=(-1, 1), z_um=self.limits_um)

    @property
    def info(self) -> CameraInfo:
        """Return the camera."""
        return CameraInfo(
            camera_id="field", width_px=SIDE_PX, height_px=SIDE_PX, full_scale=FULL_SCALE
        )

    def rig(self) -> Rig:
        """Return the microscope."""
        parts: Any = self
        motion = MotionSection(approach_z_um=6.0)
        return Rig(stage=parts, light=parts, camera=parts, turret=parts, clock=parts, motion=motion)

    def position(self) -> StagePosition:
        """Return where the board says the stage stands."""
        shown = self.carriage_um if self.stuck and self.honest else self.z_um
        return StagePosition(x_um=0.0, y_um=0.0, z_um=shown)

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        """Move, unless stuck; the drive has play."""
        del x_um, y_um
        if z_um is not None:
            self.visited.append(z_um)
            self.z_um = z_um
            if not self.stuck:
                half = PLAY_UM / 2
                self.carriage_um = min(max(self.carriage_um, z_um - half), z_um + half)
        return self.position()

    def on(self, *, channel: str, brightness: float) -> None:
        """Light what a channel really lights."""
        self.burning = self.lit.get(channel, "") if brightness > 0 else "nothing"

    def off(self) -> None:
        """Darken."""
        self.burning = ""

    def now_s(self) -> float:
        """Return seconds."""
        return self.frames * self.frame_s

    def instant(self) -> Instant:
        """Return this moment."""
        return Instant(boot_id="field", monotonic_s=self.now_s(), wall_s=0.0)

    def sleep(self, *, duration_s: float) -> None:
        """Wait for nothing."""

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Return a frame."""
        del exposure_ms
        self.frames += 1
        if self.kept is None or not self.frozen:
            self.kept = self._seen()
        return CameraFrame(pixels=self.kept, at=self.instant())

    def _seen(self) -> NDArray[np.uint16]:
        picture = np.full((SIDE_PX, SIDE_PX), DARK_DN, np.float32)
        if self.burning in WAYS:
            picture += self.gain * LEVEL_DN * self._transmitted()
        picture += self.rng.normal(0, NOISE_DN, picture.shape).astype(np.float32)
        return np.clip(picture, 0, FULL_SCALE).astype(np.uint16)

    def _transmitted(self) -> NDArray[np.float32]:
        ways = WAYS[self.burning]
        per_um = UNDER_LED if any(ways) else WIDENS
        total = np.zeros((SIDE_PX, SIDE_PX // 2 + 1), np.complex64)
        # The play lies below where the stage arrives from, so calibrations hold half of it.
        stands_um = self.carriage_um + PLAY_UM / 2 + self.sinks_um * self.frames
        for layer in self.layers:
            away_um = stands_um - layer.z_um
            blur = _blur(math.hypot(0.7, per_um * away_um))
            moved = _moved(*(way * MOVES * away_um for way in ways))
            total += layer.contrast * layer.spectrum * blur * moved
        seen = 1 + scipy.fft.irfft2(total, s=(SIDE_PX, SIDE_PX))
        if self.sensor_dust is not None:
            seen = seen * self.sensor_dust
        return np.asarray(np.maximum(seen, 0), np.float32)


@lru_cache(maxsize=1)
def _frequencies() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fy, fx = scipy.fft.fftfreq(SIDE_PX)[:, None], scipy.fft.rfftfreq(SIDE_PX)[None, :]
    return fy.astype(np.float32), fx.astype(np.float32)


def _blur(sigma_px: float) -> NDArray[np.float32]:
    down, across = (np.exp(-2 * (np.pi * sigma_px * f) ** 2) for f in _frequencies())
    return np.asarray(down * across, np.float32)


def _moved(x_px: float, y_px: float) -> NDArray[np.complex64]:
    fy, fx = _frequencies()
    return np.asarray(np.exp(-2j * np.pi * fy * y_px) * np.exp(-2j * np.pi * fx * x_px))


# -- fields ---------------------------------------------------------------------------------------


def texture(rng: np.random.Generator, *, share: float = 1.0) -> NDArray[np.complex64]:
    """Return the spectrum of grain of unit variance, in a disc that covers a share of the field."""
    grain = rng.normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
    fy, fx = _frequencies()
    # The power of most pictures falls with the square of frequency.
    seen = scipy.fft.irfft2(scipy.fft.rfft2(grain) / (0.02 + np.hypot(fy, fx)), s=grain.shape)
    seen /= seen.std()
    if share < 1:
        y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] - rng.uniform(50, SIDE_PX - 50, (2, 1, 1))
        seen = seen * (x**2 + y**2 < share * SIDE_PX**2 / np.pi)
    return np.asarray(scipy.fft.rfft2(seen), np.complex64)


def specks(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return a picture of specks, 0 but for them and up to 1 dark."""
    seen = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    for _ in range(count):
        cy, cx, radius = *rng.uniform(10, SIDE_PX - 10, 2), rng.uniform(1.5, 3.5)
        seen = np.maximum(seen, np.clip(radius + 0.5 - np.hypot(y - cy, x - cx), 0, 1))
    return seen


@dataclass
class Drawn:
    """A field with what is asked of it, and where focus is."""

    field: Field
    focus_um: float
    start_um: float
    sigma_um: float
    paired: bool
    timeout_s: float = 60.0


class Case(NamedTuple):
    """What is done to a field, and which verdicts are then right."""

    spoil: Callable[[Drawn], None]
    right: tuple[str, ...]


def _light(drawn: Drawn, **instead: str) -> None:
    """Let channels light other lamps, or "" for none."""
    drawn.field.lit = {**drawn.field.lit, **instead}


def _bare(drawn: Drawn) -> None:
    drawn.field.layers = []


def _beyond_a_limit(drawn: Drawn) -> None:
    # From where the curve still slopes to where a sweep would have reached.
    limit_um = drawn.focus_um - drawn.field.rng.uniform(1.0, 2.0) * DEPTH_UM
    drawn.field.limits_um = (LIMITS_UM[0], limit_um)
    drawn.start_um, drawn.sigma_um = limit_um - 25.0, math.inf


def _near_a_limit(drawn: Drawn) -> None:
    limit_um = drawn.focus_um + drawn.field.rng.uniform(1.5, 3.0) * DEPTH_UM
    drawn.field.limits_um = (LIMITS_UM[0], limit_um)


def _stuck(drawn: Drawn, *, said: bool) -> None:
    drawn.field.stuck, drawn.field.honest = True, said


def _frozen(drawn: Drawn) -> None:
    drawn.field.frozen = True


def _two_layers(drawn: Drawn) -> None:
    (one,) = drawn.field.layers
    away_um = drawn.field.rng.uniform(2.5, 3.5) * DEPTH_UM * drawn.field.rng.choice([-1, 1])
    second = Layer(one.z_um + away_um, one.contrast, texture(drawn.field.rng))
    drawn.field.layers = [one, second]
    drawn.start_um, drawn.sigma_um = one.z_um + away_um / 2, math.inf


def _dust_on_the_sensor(drawn: Drawn) -> None:
    drawn.field.sensor_dust = 1 - 0.4 * specks(drawn.field.rng, 12)


def _dust_alone(drawn: Drawn) -> None:
    _bare(drawn)
    _dust_on_the_sensor(drawn)


def _dust_on_the_slide(drawn: Drawn) -> None:
    (one,) = drawn.field.layers
    away_um = drawn.field.rng.uniform(2.5, 3.0) * DEPTH_UM * drawn.field.rng.choice([-1, 1])
    dust = scipy.fft.rfft2(-specks(drawn.field.rng, 4))
    drawn.field.layers = [one, Layer(one.z_um + away_um, 0.3, np.asarray(dust, np.complex64))]


def _glaring(drawn: Drawn) -> None:
    drawn.field.gain = 2.6


def _sinking(drawn: Drawn) -> None:
    drawn.field.sinks_um = drawn.field.rng.uniform(1.0, 1.5)
    drawn.sigma_um, drawn.paired = math.inf, False


def _slow(drawn: Drawn) -> None:
    # No single look is enough, so that there is a second one to come too late.
    drawn.timeout_s, drawn.field.frame_s, drawn.sigma_um = 1.0, 0.6, math.inf


def _sparse(drawn: Drawn) -> None:
    (one,) = drawn.field.layers
    drawn.field.layers = [one._replace(spectrum=texture(drawn.field.rng, share=0.05))]


CASES: Mapping[str, Case] = {
    "as it should be": Case(_light, ("ok",)),
    "no texture": Case(_bare, ("empty",)),
    "light off": Case(partial(_light, **dict.fromkeys(WAYS, "")), ("lost",)),
    "another LED": Case(partial(_light, led_right="led_top"), ("ok",)),
    "LEDs swapped": Case(partial(_light, led_left="led_right", led_right="led_left"), ("ok",)),
    "one LED out": Case(partial(_light, led_right=""), ("ok",)),
    "focus beyond a limit": Case(_beyond_a_limit, ("edge",)),
    "focus near a limit": Case(_near_a_limit, ("ok",)),
    "stage stuck, says it moves": Case(partial(_stuck, said=False), ("lost",)),
    "stage stuck, says so": Case(partial(_stuck, said=True), ("lost",)),
    "camera frozen": Case(_frozen, ("lost",)),
    "two layers": Case(_two_layers, ("multi-peak",)),
    "dust on the sensor": Case(_dust_on_the_sensor, ("ok",)),
    "dust on the sensor, no specimen": Case(_dust_alone, ("empty",)),
    # Both are true: the specimen is found, or it is said that there are two to choose from.
    "dust on the slide, in focus elsewhere": Case(_dust_on_the_slide, ("ok", "multi-peak")),
    "too bright": Case(_glaring, ("saturated",)),
    "specimen sinks": Case(_sinking, ("drifting",)),
    "too slow": Case(_slow, ("lost",)),
    "sparse": Case(_sparse, ("ok",)),
}


def draw(case: str, seed: int) -> Drawn:
    """Return a field of a case; of what is predicted a third is as good as known, and a third not
    sure.
    """
    rng = np.random.default_rng((list(CASES).index(case), seed))
    focus_um = float(rng.uniform(-15, 15))
    layer = Layer(focus_um, float(rng.uniform(0.05, 0.12)), texture(rng))
    sigma_um = float(rng.choice([0.1 * DEPTH_UM, 0.4 * DEPTH_UM, math.inf]))
    off_um = rng.normal(0, sigma_um) if math.isfinite(sigma_um) else rng.uniform(-20, 20)
    drawn = Drawn(
        field=Field(layers=[layer], rng=rng),
        focus_um=focus_um,
        start_um=focus_um + float(off_um),
        sigma_um=sigma_um,
        paired=bool(rng.integers(2)),
    )
    drawn.field.carriage_um = drawn.field.z_um = float(rng.uniform(-20, 20))
    CASES[case].spoil(drawn)
    return drawn


def seen_by_the_loop(drawn: Drawn) -> Focused:
    """Return what the loop of a night says of a field."""
    narrow = math.isfinite(drawn.sigma_um)
    request = FocusRequest(
        start_z_um=drawn.start_um,
        start_sigma_um=drawn.sigma_um,
        range_um=4 * DEPTH_UM if narrow else 60.0,
        depth_of_field_um=DEPTH_UM,
        limits_um=drawn.field.limits_um,
        timeout_s=drawn.timeout_s,
    )
    return find_focus(
        drawn.field.rig(),
        request=request,
        lamp=LAMP,
        correct=lambda pixels: pixels - np.minimum(pixels, np.uint16(DARK_DN)),
        singles=[PAIR] if drawn.paired else [],
    )


def judge(case: str, drawn: Drawn, found: Focused) -> str:
    """Return what is wrong with a verdict, "" for nothing."""
    verdict, (low, high) = found.verdict, drawn.field.limits_um
    if drawn.field.burning:
        return "a lamp burns"
    if min(drawn.field.visited) < low or max(drawn.field.visited) > high:
        return "beyond a limit"
    if verdict.status not in CASES[case].right:
        return f"{verdict.status}: {verdict.reason or 'by ' + found.by}"
    off_um = verdict.z_um - drawn.focus_um
    if verdict.status == "ok" and abs(off_um) > DEPTH_UM / 2:
        return f"{off_um:+.1f} µm off, by {found.by}"
    return ""
