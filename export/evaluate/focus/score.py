"""What a network tells of whole frames, judged against their true defocus."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from export.datasets.defocus.frames import KnownFrame
from export.tasks.focus.sigma import UnpackedRegressor
from runtime.tasks.focus.regressor import FrameDefocus

SPARSE, BEYOND = "sparse", "beyond the range"
# The loop uses a σ of no more than this share of the depth of field.
USABLE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAnswer:
    """A frame's group, "amplitude", "weak phase" or "mixed", with "sparse" before it where it is,
    or "beyond the range"; its true defocus, what was told, and the processor's milliseconds for it.
    """

    group: str
    z_um: float
    told: FrameDefocus
    took_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DefocusScore:
    """Of so many `frames` the share of which a defocus was told; of those the mean absolute error
    and its 95th percentile, the share of those beyond a depth of field that were told on the wrong
    side of focus, and the shares within σ and 2σ; the share whose σ the loop can use, with the 95th
    percentile of their error; the median milliseconds.

    What nothing is left for is NaN.
    """

    frames: int
    told: float
    mae_um: float
    p95_um: float
    wrong_side: float
    within_sigma: float
    within_2_sigma: float
    usable: float
    usable_p95_um: float
    took_ms: float


def asked(reader: UnpackedRegressor, frames: Iterable[KnownFrame]) -> list[FrameAnswer]:
    """Return what a network tells of frames, transforms included in the time."""
    found = []
    for one in frames:
        begun = time.process_time()
        told = reader.measure(one.pixels)
        took_ms = 1e3 * (time.process_time() - begun)
        group = BEYOND if one.beyond else f"{SPARSE} {one.kind}" if one.sparse else one.kind
        found.append(FrameAnswer(group=group, z_um=one.z_um, told=told, took_ms=took_ms))
    return found


def score(answers: Sequence[FrameAnswer], *, depth_um: float) -> DefocusScore:
    """Return the score of answers, of one group or of several."""
    told = [one for one in answers if math.isfinite(one.told.sigma_um) and not one.told.doubt]
    true = np.array([one.z_um for one in told])
    said = np.array([one.told.z_um for one in told])
    sigma = np.array([one.told.sigma_um for one in told])
    off = np.abs(said - true)
    wrong = np.sign(said) != np.sign(true)
    sure = sigma <= USABLE * depth_um
    return DefocusScore(
        frames=len(answers),
        told=len(told) / len(answers),
        mae_um=_mean(off),
        p95_um=_p95(off),
        wrong_side=_mean(wrong[np.abs(true) > depth_um]),
        within_sigma=_mean(off <= sigma),
        within_2_sigma=_mean(off <= 2 * sigma),
        usable=int(sure.sum()) / len(answers),
        usable_p95_um=_p95(off[sure]),
        took_ms=float(np.median([one.took_ms for one in answers])),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95)) if values.size else math.nan
