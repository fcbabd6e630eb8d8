"""A focus curve as measured so far: its top, its contrast, its other tops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runtime.focus.peak import fit_peak

# A rise of the curve below either of these is noise: a share of its floor (residual shading, the
# lamp), or this many standard errors of the sharpness measure on white noise.
MIN_CONTRAST = 0.05
MIN_ERRORS = 12
# A second top that rises out of its valley by this share of the highest one's rise rivals it.
RIVAL = 0.3
# Saturated spots raise contrast when defocused; more of them than this bend the curve.
SATURATED = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen at one z: the z read back, sharpness, share of saturated pixels, when.

    `noise` is the relative standard error of the sharpness where there is nothing but noise.
    """

    z_um: float
    sharpness: float
    saturated_fraction: float = 0.0
    time_s: float = 0.0
    noise: float = 0.0


@dataclass(slots=True)
class Curve:
    """Observations in the order measured; the properties read them in order of z."""

    observed: list[Observation] = field(default_factory=list[Observation])

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Return (z_um, sharpness) in the order measured."""
        return tuple((seen.z_um, seen.sharpness) for seen in self.observed)

    @property
    def by_z(self) -> list[Observation]:
        """Return the observations in ascending z."""
        return sorted(self.observed, key=lambda seen: seen.z_um)

    @property
    def best(self) -> Observation:
        """Return the sharpest observation."""
        return max(self.observed, key=lambda seen: seen.sharpness)

    @property
    def span_um(self) -> tuple[float, float]:
        """Return the lowest and the highest z measured."""
        return self.by_z[0].z_um, self.by_z[-1].z_um

    @property
    def floor(self) -> float:
        """Return the lowest sharpness measured."""
        return min(seen.sharpness for seen in self.observed)

    @property
    def contrast(self) -> float:
        """Return by what share of its floor the curve rises; infinite above a black floor."""
        top = self.best.sharpness
        if self.floor <= 0:
            return float("inf") if top > 0 else 0.0
        return top / self.floor - 1

    @property
    def least_contrast(self) -> float:
        """Return the contrast below which there is nothing but noise."""
        return max(MIN_CONTRAST, *(MIN_ERRORS * seen.noise for seen in self.observed))

    @property
    def edge(self) -> Literal["", "low", "high"]:
        """Return at which end of the range the curve is highest, or "" for inside."""
        z_um = self.best.z_um
        low, high = self.span_um
        return "low" if z_um == low else "high" if z_um == high else ""

    @property
    def rough_top_um(self) -> float:
        """Return the top of the parabola through the sharpest point and its neighbours."""
        ordered = self.by_z
        at = ordered.index(self.best)
        three = ordered[max(0, at - 1) : at + 2]
        peak = fit_peak([seen.z_um for seen in three], [seen.sharpness for seen in three])
        if peak is None:
            return self.best.z_um
        # Noise can put the parabola's top far outside the three points; the true one is among them.
        return min(max(peak.z_um, three[0].z_um), three[-1].z_um)

    @property
    def rival_tops_um(self) -> list[float]:
        """Return the z of every other top that stands out of its valley enough to be focus."""
        ordered = self.by_z
        heights = [seen.sharpness for seen in ordered]
        summit = heights.index(max(heights))
        enough = RIVAL * (max(heights) - min(heights))
        return [
            ordered[at].z_um
            for at in range(len(heights))
            if at != summit and _is_top(heights, at) and _rise(heights, at, summit) >= enough
        ]

    def near(self, z_um: float, *, half_um: float) -> list[Observation]:
        """Return the observations within `half_um` of `z_um`, in ascending z."""
        return [seen for seen in self.by_z if abs(seen.z_um - z_um) <= half_um]


def _is_top(heights: list[float], at: int) -> bool:
    left = heights[at - 1] if at > 0 else float("-inf")
    right = heights[at + 1] if at + 1 < len(heights) else float("-inf")
    return heights[at] > left and heights[at] >= right


def _rise(heights: list[float], at: int, summit: int) -> float:
    """Return how far a top stands above the deepest valley between it and the summit."""
    first, last = sorted((at, summit))
    return heights[at] - min(heights[first : last + 1])
