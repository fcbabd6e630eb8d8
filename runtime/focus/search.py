"""The focus search: a generator that yields the z it wants measured and ends with a verdict.

A coarse pass over the whole range finds the hill, a fine pass its top, and one more frame at the
answer checks that it is still true. Every pass ascends, so the slack of the drive always lies on
the same side. It is the last resort of `runtime.focus.autofocus`; nothing here moves anything,
`runtime.focus.loop` does.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np

from runtime.focus import curve as shape
from runtime.focus.curve import Curve, Observation
from runtime.focus.peak import SharpnessPeak, fit_peak
from runtime.focus.sight import Lamp
from runtime.tile import FocusStatus, FocusVerdict

# In depths of field. Brenner's curve is about one depth of field wide at half height for a well
# corrected lens: 1.25 cannot step over it, and 0.4 puts six frames on its top.
COARSE_STEP = 1.25
FINE_STEP = 0.4
FINE_HALF = 1.0
FIT_HALF = 1.6
# A window this narrow needs no coarse pass: the prediction has already found the hill.
NARROW = 4.0
NARROW_STEP = 0.6
# A rise of this share of what is surely no noise, up to an end of the range, may be the foot of a
# hill beyond: the range is extended before the field is called empty.
FAINT = 0.5
# How far the stage may stand from where it was sent before its z is not believed.
REACHED = 0.25
# σ from a handful of residuals can be absurdly small by luck.
SIGMA_FLOOR = 0.02
MAX_FRAMES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusRequest:
    """Search `range_um` centred on `start_z_um`, never outside `limits_um` (lowest, highest).

    A range below four depths of field is searched in one pass: use it where a surface predicts z.
    `start_sigma_um` is the σ of such a prediction, infinite where nothing is predicted.
    """

    start_z_um: float
    start_sigma_um: float = math.inf
    range_um: float
    depth_of_field_um: float
    limits_um: tuple[float, float]
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("range_um", "depth_of_field_um", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"FocusRequest.{name} is {getattr(self, name)}; it must be above 0"
                )
        if not math.isfinite(self.start_z_um):
            raise ValueError(f"FocusRequest.start_z_um is {self.start_z_um}; it must be finite")
        if self.limits_um[0] >= self.limits_um[1]:
            raise ValueError(f"FocusRequest.limits_um leave no travel in z: {self.limits_um}")

    @property
    def window_um(self) -> tuple[float, float]:
        """Return the lowest and highest z of the first pass, the range slid inside the limits."""
        lowest, highest = self.limits_um
        half = min(self.range_um, highest - lowest) / 2
        centre = min(max(self.start_z_um, lowest + half), highest - half)
        return max(lowest, centre - half), min(highest, centre + half)

    @property
    def reach_um(self) -> tuple[float, float]:
        """Return the lowest and highest z that any pass may go to: half a range more."""
        (low, high), (lowest, highest) = self.window_um, self.limits_um
        return max(lowest, low - self.range_um / 2), min(highest, high + self.range_um / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZRequest:
    """Go to `z_um` and take a frame under each of `lamps`. `climbing` says the last request was
    lower in the same pass, so the drive's slack is already taken up and no detour is needed.

    The search leaves the lamps to who drives it: one, always the same.
    """

    z_um: float
    climbing: bool = False
    lamps: tuple[Lamp, ...] = ()


Search = Generator[ZRequest, Observation, FocusVerdict]
Pass = Generator[ZRequest, Observation, None]


class _GaveUp(Exception):
    """A search ended without an answer; carries the verdict's status and reason."""

    def __init__(self, status: FocusStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def focus_search(request: FocusRequest) -> Search:
    """Yield the z to measure, be sent an `Observation` for each, and return the verdict."""
    curve = Curve()
    try:
        peak = yield from _search(request, curve)
    except _GaveUp as end:
        return FocusVerdict(
            status=end.status,
            z_um=request.start_z_um,
            sigma_z_um=request.range_um,
            curve=curve.points,
            reason=end.reason,
        )
    return FocusVerdict(
        status="ok",
        z_um=peak.z_um,
        sigma_z_um=max(peak.sigma_um, SIGMA_FLOOR * request.depth_of_field_um),
        curve=curve.points,
    )


def _search(request: FocusRequest, curve: Curve) -> Generator[ZRequest, Observation, SharpnessPeak]:
    depth = request.depth_of_field_um
    low, high = request.window_um
    narrow = high - low <= NARROW * depth + 1e-6
    step = (NARROW_STEP if narrow else COARSE_STEP) * depth
    yield from _measure(request, curve, _ladder(low, high, step))
    if curve.edge and curve.contrast >= FAINT * curve.least_contrast:
        yield from _extend(request, curve, step)
    _refuse_empty(curve)
    _refuse_edge(request, curve, step)
    _refuse_multi_peak(curve)
    if not narrow:
        centre = curve.rough_top_um
        fine = centre + depth * np.arange(-FINE_HALF, FINE_HALF + 1e-9, FINE_STEP)
        yield from _measure(request, curve, _inside(fine, request))
    peak = _fit(curve, depth, seen_before=not narrow)
    yield from _measure(request, curve, [peak.z_um])
    _refuse_drift(curve, peak, depth)
    return peak


def _measure(request: FocusRequest, curve: Curve, z_um: Iterable[float]) -> Pass:
    """Ask for each z of one ascending pass; give up on a frame that cannot belong to the curve."""
    climbing = False
    for target in z_um:
        if len(curve.observed) >= MAX_FRAMES:
            raise _GaveUp("lost", f"no end after {MAX_FRAMES} frames")
        seen = yield ZRequest(z_um=float(target), climbing=climbing)
        climbing = True
        curve.observed.append(seen)
        if seen.saturated_fraction > shape.SATURATED:
            raise _GaveUp(
                "saturated",
                f"{seen.saturated_fraction:.1%} of the pixels saturate at z {seen.z_um:.1f} µm",
            )
        if not math.isfinite(seen.sharpness):
            raise _GaveUp("lost", f"sharpness is {seen.sharpness} at z {seen.z_um:.1f} µm")
        if abs(seen.z_um - target) > REACHED * request.depth_of_field_um:
            raise _GaveUp("lost", f"sent to z {target:.2f} µm, the stage stands at {seen.z_um:.2f}")
        if seen.time_s - curve.observed[0].time_s > request.timeout_s:
            raise _GaveUp("lost", f"no focus within {request.timeout_s:g} s")


def _extend(request: FocusRequest, curve: Curve, step: float) -> Pass:
    """Extend the sweep once, by half the range, past the end where the curve is still rising."""
    (low, high), furthest = curve.span_um, request.reach_um
    if curve.edge == "low":
        end, more = low, _ladder(min(furthest[0], low), low, step)[:-1]
    else:
        end, more = high, _ladder(high, max(furthest[1], high), step)[1:]
    # At a limit nothing is left to go: the same z again, a hair beside, would hide that it rises.
    further = [z for z in more if abs(z - end) > REACHED * request.depth_of_field_um]
    yield from _measure(request, curve, further)


def _fit(curve: Curve, depth: float, *, seen_before: bool) -> SharpnessPeak:
    """Return the top of the curve; it must lie among the frames that show it.

    `seen_before` says that an earlier pass did see a top there.
    """
    top = curve.best.z_um
    near = curve.near(top, half_um=FIT_HALF * depth)
    peak = fit_peak(
        [seen.z_um for seen in near], [seen.sharpness for seen in near], lowest=curve.floor
    )
    if peak is None and seen_before:
        raise _GaveUp("drifting", f"the top seen near z {top:.1f} µm is not there a second time")
    if peak is None:
        raise _GaveUp("lost", f"the curve has no top near z {top:.1f} µm")
    low, high = curve.span_um
    beyond = (near[0].z_um == low and peak.z_um < low) or (
        near[-1].z_um == high and peak.z_um > high
    )
    # A top that an earlier pass saw among its frames does not lie beyond them: it went away.
    if beyond and not (seen_before and not curve.edge):
        raise _GaveUp(
            "edge", f"the top seems to lie at z {peak.z_um:.1f} µm, beyond the frames taken"
        )
    if not near[0].z_um <= peak.z_um <= near[-1].z_um:
        raise _GaveUp("drifting", f"the top moved from z {top:.1f} to {peak.z_um:.1f} µm")
    return peak


def _refuse_empty(curve: Curve) -> None:
    if curve.contrast < curve.least_contrast:
        raise _GaveUp(
            "empty",
            f"sharpness varies by {curve.contrast:.1%} over the range; "
            f"below {curve.least_contrast:.0%} it is noise",
        )


def _refuse_edge(request: FocusRequest, curve: Curve, step: float) -> None:
    if not curve.edge:
        return
    end = curve.span_um[0 if curve.edge == "low" else 1]
    at_limit = min(abs(end - limit) for limit in request.limits_um) < step / 2
    raise _GaveUp(
        "edge",
        f"still rising at z {end:.1f} µm after extending the range {curve.edge}"
        + (", at the z limit" if at_limit else ""),
    )


def _refuse_multi_peak(curve: Curve) -> None:
    rivals = curve.rival_tops_um
    if rivals:
        tops = ", ".join(f"{z:.1f}" for z in (curve.best.z_um, *rivals))
        raise _GaveUp("multi-peak", f"the curve has several tops, at z {tops} µm")


def _refuse_drift(curve: Curve, peak: SharpnessPeak, depth: float) -> None:
    """Give up when the frame repeated at the top is duller than half a depth of field would make
    it: then focus or specimen moved during the sweep.
    """
    repeat = curve.observed[-1].sharpness / peak.sharpness
    tolerance = max(peak.fall(away_um=depth / 2), 1 + curve.least_contrast)
    if repeat * tolerance < 1:
        raise _GaveUp(
            "drifting",
            f"repeated at z {peak.z_um:.1f} µm the sharpness is {repeat:.2f} of the fitted top; "
            "focus or specimen moved during the sweep",
        )


def _ladder(low: float, high: float, step: float) -> list[float]:
    """Return evenly spaced z from `low` to `high`, both included, no further apart than `step`."""
    count = max(1, math.ceil((high - low) / step - 1e-9))
    return [float(z) for z in np.linspace(low, high, count + 1)]


def _inside(z_um: Iterable[float], request: FocusRequest) -> list[float]:
    lowest, highest = request.limits_um
    return [float(z) for z in z_um if lowest <= z <= highest]
