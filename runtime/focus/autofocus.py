"""The autofocus loop: a generator that yields the z it wants to see and ends with a verdict.

Measurers that need no sweep are asked first, one after the other: predict, correct once, check. The
sweep is the last resort, and the only one that may call a field empty. Nothing here moves; a frame
costs what `runtime.focus.loop` makes it cost.

A measurer is never believed on one look alone. The stage is halted a known way *below* where focus
is expected, and the measurer must say so: LEDs that were swapped say "above", dust of the sensor
and a frozen camera say "in focus", and what is left to go is a climb, on the flank of the drive
that every tile is taken on. Where the prediction is not sure enough to bear witness, a second look
at another z takes its place: by as much as the stage moved, the defocus must have changed.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from runtime.focus.curve import SATURATED, Observation
from runtime.focus.search import REACHED, SIGMA_FLOOR, FocusRequest, ZRequest, focus_search
from runtime.focus.sharpness import BRENNER, Measure
from runtime.focus.sight import Lamp, Sight, unchanged
from runtime.focus.single_shot import Defocus, SingleShot
from runtime.tile import FocusVerdict

# All lengths in depths of field. The first look lies so far below the z expected, a second one
# nearer to what the first told, and no closer to the first than APART.
BELOW = 1.5
CHECK_BELOW = 0.5
APART = 0.5
# A σ above this is of no use: half of it is the error of a good tile.
SURE = 0.25
# A prediction this sure takes the place of a second look: where the first one is taken, three σ
# below it, whoever says "in focus" contradicts it, and whoever has the sign wrong twice as much.
WITNESS = BELOW / 3
# A look from further away than this is not the last one.
NEAR = 3.0
# What one look says moves the stage no further: an error is found out before it has gone far.
LONGEST_STEP = 5.0
LOOKS = 4
# Two looks agree within so many standard errors, this much, and this share of the way between them.
AGREE_SIGMAS = 3.0
AGREE = 0.1
AGREE_SHARE = 0.1
# By how much less or more than the stage's way the defocus may change.
FOLLOWS = 0.4
# As shares of full scale: a frame that is darker is compared with one under a lamp that is off, and
# must be this much brighter.
DIM = 0.1
LEAST_LIGHT = 0.002
# Frames are told apart where they lie so far from each other.
ELSEWHERE = 0.1

Loop = Generator[ZRequest, Sight, "Focused"]


class Focused(NamedTuple):
    """A verdict, and what told it: "sweep" or the name of a measurer."""

    by: str
    verdict: FocusVerdict

    def as_json(self) -> dict[str, Any]:
        """Return what JSON says of it: z and σ in micrometres, the curve as pairs of z and
        sharpness.
        """
        verdict = self.verdict
        return {
            "status": verdict.status,
            "z_um": verdict.z_um,
            "sigma_z_um": verdict.sigma_z_um,
            "by": self.by,
            "exposures": verdict.exposures,
            "curve": [list(point) for point in verdict.curve],
            "reason": verdict.reason,
        }


class _Lost(Exception):
    """What is seen cannot belong to a microscope that does as it is told; says why."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look of a measurer: where from, and what it told."""

    z_um: float
    told: Defocus

    @property
    def focus_um(self) -> float:
        return self.z_um - self.told.z_um


def autofocus(
    request: FocusRequest,
    *,
    lamp: Lamp,
    sharpness: Measure = BRENNER,
    singles: Sequence[SingleShot] = (),
) -> Loop:
    """Yield the z to look at and the lamps, be sent a `Sight` for each, and return what was found.

    `lamp` is that of the sweep; `singles` are asked in their order, the cheapest first. A measurer
    that the stage or the prediction contradicts is named in the verdict's reason, whatever the
    sweep then finds. No z lies outside the request's limits.
    """
    watch = _Watch(request)
    wrong = ""
    try:
        for single in singles:
            told = yield from _ask(single, request, watch)
            if isinstance(told, FocusVerdict):
                return Focused(single.name, told)
            wrong = told or wrong
        verdict = yield from _sweep(request, lamp, sharpness, watch)
    except _Lost as end:
        verdict = FocusVerdict(
            status="lost",
            z_um=request.start_z_um,
            sigma_z_um=request.range_um,
            reason=str(end),
        )
    reason = "; ".join(filter(None, (verdict.reason, wrong)))
    curve = tuple(watch.curve)
    return Focused("sweep", replace(verdict, curve=curve, exposures=watch.exposures, reason=reason))


class _Watch:
    """Sees every frame of a loop: counts them, and notices a camera or a stage that stands still.

    `first` and `last` are the frames of the sweep; no others are kept.
    """

    def __init__(self, request: FocusRequest) -> None:
        self._request = request
        self._begun_s: float | None = None
        self._seen_at: dict[int, float] = {}
        self.exposures = 0
        self.curve: list[tuple[float, float]] = []
        self.first: Sight | None = None
        self.last: Sight | None = None

    def look(self, wanted: ZRequest) -> Generator[ZRequest, Sight, Sight]:
        """Ask for a look and return it. Raises _Lost for one that cannot be."""
        sight = yield wanted
        self.exposures += len(wanted.lamps)
        self._begun_s = sight.time_s if self._begun_s is None else self._begun_s
        if sight.time_s - self._begun_s > self._request.timeout_s:
            raise _Lost(f"no focus within {self._request.timeout_s:g} s")
        # Frames that are white all over are alike, but not because the camera is frozen.
        if sight.saturated_fraction <= SATURATED:
            self._refuse_the_same(sight)
        return sight

    def _refuse_the_same(self, sight: Sight) -> None:
        for number, one in enumerate(sight.prints):
            before_um = self._seen_at.setdefault(one, sight.z_um)
            apart = abs(before_um - sight.z_um) > ELSEWHERE * self._request.depth_of_field_um
            if apart or one in sight.prints[:number]:
                raise _Lost(
                    f"the camera gave the very frame of z {before_um:.1f} µm again at z "
                    f"{sight.z_um:.1f}: it is frozen"
                )


# -- measurers that need no sweep ---------------------------------------------------------------


def _ask(
    single: SingleShot, request: FocusRequest, watch: _Watch
) -> Generator[ZRequest, Sight, FocusVerdict | str]:
    """Return a measurer's verdict, or in words how it erred, or "" where it could not tell."""
    depth_um = request.depth_of_field_um
    before: _Look | None = None
    z_um = _inside(request.start_z_um - BELOW * depth_um, request.reach_um)
    for _ in range(LOOKS):
        climbing = before is not None and z_um > before.z_um
        sight = yield from watch.look(
            ZRequest(z_um=z_um, climbing=climbing, lamps=tuple(single.lamps))
        )
        if abs(sight.z_um - z_um) > REACHED * depth_um:
            raise _Lost(f"sent to z {z_um:.2f} µm, the stage stands at {sight.z_um:.2f}")
        told = single.measure(sight.frames)
        if told.doubt:
            return f"{single.name} is not used: {told.doubt}"
        if not told.sigma_um <= SURE * depth_um or sight.saturated_fraction > SATURATED:
            return ""
        look = _Look(sight.z_um, told)
        if before is not None and (erred := _contradiction(before, look)):
            return f"{single.name} is not used: {erred}"
        if _settled(request, before, look):
            return FocusVerdict(
                status="ok",
                z_um=look.focus_um,
                sigma_z_um=max(told.sigma_um, SIGMA_FLOOR * depth_um),
                exposures=watch.exposures,
            )
        wanted_um = _next_z(request, look)
        if wanted_um is None:
            return ""
        before, z_um = look, wanted_um
    return ""


def _settled(request: FocusRequest, before: _Look | None, look: _Look) -> bool:
    """Return whether a look and what is known beside it say the same, near enough to focus."""
    depth_um = request.depth_of_field_um
    low, high = request.limits_um
    if abs(look.told.z_um) > NEAR * depth_um or not low <= look.focus_um <= high:
        return False
    if before is None:
        # A prediction sure enough, and from far enough to tell the sign.
        other_um, other_sigma_um = request.start_z_um, request.start_sigma_um
        way_um = abs(look.z_um - other_um)
        if not other_sigma_um <= WITNESS * depth_um or way_um < APART * depth_um:
            return False
    else:
        other_um, other_sigma_um = before.focus_um, before.told.sigma_um
        way_um = abs(look.z_um - before.z_um)
    allowed_um = AGREE_SIGMAS * math.hypot(look.told.sigma_um, other_sigma_um)
    allowed_um = min(allowed_um + AGREE * depth_um + AGREE_SHARE * way_um, (1 - FOLLOWS) * way_um)
    return abs(look.focus_um - other_um) <= allowed_um


def _contradiction(before: _Look, look: _Look) -> str:
    """Return in words how the defocus failed to follow the stage from one look to the next."""
    way_um = look.z_um - before.z_um
    change_um = look.told.z_um - before.told.z_um
    unsure_um = AGREE_SIGMAS * math.hypot(look.told.sigma_um, before.told.sigma_um)
    if abs(change_um - way_um) <= max(FOLLOWS * abs(way_um), unsure_um):
        return ""
    moved = f"the stage moved by {way_um:+.1f} µm, the defocus by {change_um:+.1f}"
    if abs(change_um + way_um) <= max(FOLLOWS * abs(way_um), unsure_um):
        return f"{moved}: the correction made it worse, its sign is wrong; are the LEDs swapped?"
    return f"{moved}: what it sees is not the specimen, or the specimen moves"


def _next_z(request: FocusRequest, look: _Look) -> float | None:
    """Return where to look next, or None where it leads nowhere."""
    depth_um = request.depth_of_field_um
    step_um = LONGEST_STEP * depth_um
    within = (
        max(request.reach_um[0], look.z_um - step_um),
        min(request.reach_um[1], look.z_um + step_um),
    )
    places = [_inside(look.focus_um - below * depth_um, within) for below in (CHECK_BELOW, BELOW)]
    furthest = max(places, key=lambda z: abs(z - look.z_um))
    near_enough = [z for z in places if abs(z - look.z_um) >= APART * depth_um]
    if not near_enough and abs(furthest - look.z_um) < APART * depth_um / 2:
        return None
    return near_enough[0] if near_enough else furthest


# -- the sweep ----------------------------------------------------------------------------------


def _sweep(
    request: FocusRequest, lamp: Lamp, sharpness: Measure, watch: _Watch
) -> Generator[ZRequest, Sight, FocusVerdict]:
    """Return the verdict of a sweep; one without focus is asked whether the microscope can see."""
    search = focus_search(request)
    wanted = next(search)
    while True:
        sight = yield from watch.look(replace(wanted, lamps=(lamp,)))
        (frame,) = sight.frames
        seen = Observation(
            z_um=sight.z_um,
            sharpness=sharpness(frame),
            saturated_fraction=sight.saturated_fraction,
            time_s=sight.time_s,
            noise=sharpness.noise(frame.size),
        )
        watch.curve.append((seen.z_um, seen.sharpness))
        watch.first, watch.last = watch.first or sight, sight
        try:
            wanted = search.send(seen)
        except StopIteration as end:
            verdict: FocusVerdict = end.value
            break
    if verdict.status in ("ok", "saturated"):
        return verdict
    yield from _refuse_darkness(sight, lamp, watch)
    if verdict.status == "empty":
        _refuse_standing(watch)
    return verdict


def _refuse_darkness(sight: Sight, lamp: Lamp, watch: _Watch) -> Generator[ZRequest, Sight, None]:
    """Raise _Lost if a dim frame is no brighter than one under a lamp that is off."""
    if sight.level >= DIM:
        return
    off = replace(lamp, brightness=0.0)
    dark = yield from watch.look(ZRequest(z_um=sight.z_um, climbing=True, lamps=(off,)))
    if sight.level - dark.level < LEAST_LIGHT:
        raise _Lost(
            f"the light is off: frames have {sight.level:.1%} of full scale with {lamp.channel} "
            f"and {dark.level:.1%} without"
        )


def _refuse_standing(watch: _Watch) -> None:
    """Raise _Lost if a field looks empty only because it looks the same from everywhere."""
    first, last = watch.first, watch.last
    assert first is not None
    assert last is not None
    if first is not last and unchanged(first.frames[0], last.frames[0]):
        raise _Lost(
            f"the same detail is seen from z {first.z_um:.1f} to {last.z_um:.1f} µm, unchanged: "
            "the stage does not move"
        )


def _inside(z_um: float, span_um: tuple[float, float]) -> float:
    return min(max(z_um, span_um[0]), span_um[1])
