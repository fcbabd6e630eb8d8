"""A bench whose camera, lamp or stage goes wrong in the middle of a night, and can be mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from runtime.ports import CameraFrame
from tests.night_fakes import Bench

READ_NOISE_DN = 4
FULL_SCALE = 4095


@dataclass
class FaultyBench(Bench):
    """The fault begins with frame `begins`, counted from 0, and goes on until it is `mended`.

    `spoil` makes what the camera gives of a good frame; `misplace` where the stage truly stands.
    """

    begins: int = 5
    ends: int = 10**9
    spoil: Callable[[FaultyBench, CameraFrame], CameraFrame] = lambda bench, frame: frame
    misplace: Callable[[FaultyBench], tuple[float, float, float]] = lambda bench: bench.at_um
    mended: bool = False
    given: list[CameraFrame] = field(default_factory=list)

    @property
    def faulty(self) -> bool:
        """Return whether the fault is there."""
        return self.begins < len(self.frames) <= self.ends and not self.mended

    @property
    def stands_um(self) -> tuple[float, float, float]:
        return self.misplace(self) if self.faulty else self.at_um

    def frame_of(self, pixels: np.ndarray) -> CameraFrame:
        good = super().frame_of(pixels)
        given = self.spoil(self, good) if self.faulty else good
        self.given.append(given)
        return given


def _flat(bench: FaultyBench, level: float) -> np.ndarray:
    noise = np.random.default_rng(len(bench.frames)).normal(
        0, READ_NOISE_DN, (bench.height_px, bench.width_px)
    )
    return np.clip(level + noise, 0, FULL_SCALE).astype(np.uint16)


def black(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
    """A lamp that is dead, a closed shutter, a lid: read noise alone."""
    return replace(frame, pixels=_flat(bench, 0))


def white(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
    """The room's light falls in: full scale everywhere."""
    return replace(frame, pixels=np.full_like(frame.pixels, FULL_SCALE))


def frozen(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
    """The frame before, bit for bit, under a new date."""
    return replace(frame, pixels=bench.given[-1].pixels)


def torn(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
    """The lower half is the frame before."""
    middle = bench.height_px // 2
    return replace(
        frame, pixels=np.vstack([frame.pixels[:middle], bench.given[-1].pixels[middle:]])
    )


def late_by(frames: int) -> Callable[[FaultyBench, CameraFrame], CameraFrame]:
    """A queue that was not emptied: frames from so many exposures ago, under a new date."""
    waiting: list[CameraFrame] = []

    def spoil(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
        if not waiting:
            waiting.extend(bench.given[-frames:])
        waiting.append(frame)
        return replace(frame, pixels=waiting.pop(0).pixels)

    return spoil


def dated_before(bench: FaultyBench, frame: CameraFrame) -> CameraFrame:
    """A frame that says itself that it was read out before it was asked for."""
    at = replace(frame.at, monotonic_s=frame.at.monotonic_s - 0.25)
    return replace(frame, at=at)


def dimmed_to(share: float) -> Callable[[FaultyBench, CameraFrame], CameraFrame]:
    """A lamp that gives so much of its light at once."""
    return lambda bench, frame: replace(frame, pixels=(frame.pixels * share).astype(np.uint16))


def fading_by(share: float) -> Callable[[FaultyBench, CameraFrame], CameraFrame]:
    """A lamp that loses a share of its light with every frame."""
    return lambda bench, frame: replace(
        frame,
        pixels=(frame.pixels * (1 - share) ** (len(bench.frames) - bench.begins)).astype(np.uint16),
    )


def stuck_x(bench: FaultyBench) -> tuple[float, float, float]:
    """The motor of x has lost its current: it stands, and its counter arrives."""
    return (bench.frames[bench.begins - 1][0], *bench.at_um[1:])


def stuck_y(bench: FaultyBench) -> tuple[float, float, float]:
    """So has y's."""
    return bench.at_um[0], bench.frames[bench.begins - 1][1], bench.at_um[2]


def stuck(bench: FaultyBench) -> tuple[float, float, float]:
    """So have all."""
    return bench.frames[bench.begins - 1]


def slipped(bench: FaultyBench) -> tuple[float, float, float]:
    """A belt has jumped: from here on all lies beside its place."""
    x, y, z = bench.at_um
    return x + 25.0, y, z
