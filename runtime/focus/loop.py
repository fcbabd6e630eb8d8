"""Drives an autofocus loop with the stage, the lamps and the camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from runtime.errors import Stopped
from runtime.focus.autofocus import Focused, autofocus
from runtime.focus.search import REACHED, FocusRequest, ZRequest
from runtime.focus.sharpness import BRENNER, Measure, saturated_fraction
from runtime.focus.sight import Lamp, Sight, fingerprint
from runtime.focus.single_shot import SingleShot
from runtime.instrument.rig import Rig
from runtime.tile import Pixels


def find_focus(
    rig: Rig,
    *,
    request: FocusRequest,
    lamp: Lamp,
    correct: Callable[[Pixels], Pixels],
    singles: Sequence[SingleShot] = (),
    should_stop: Callable[[], bool] = lambda: False,
    sharpness: Measure = BRENNER,
) -> Focused:
    """Find focus where the stage stands, by `singles` or else a sweep under `lamp`, and leave the
    stage at the verdict's z; return the verdict and what told it.

    `request.limits_um` are narrowed by the run-up, so that even the detour that takes up the slack
    stays inside them. A lamp burns only while a frame is exposed. Raises Stopped between two looks
    once `should_stop()` is true.
    """
    loop = autofocus(_with_run_up(request, rig), lamp=lamp, sharpness=sharpness, singles=singles)
    wanted = next(loop)
    while True:
        if should_stop():
            raise Stopped("focusing stopped", remedy="nightscope resume RUN goes on from here")
        try:
            wanted = loop.send(_look(rig, wanted, correct))
        except StopIteration as end:
            found: Focused = end.value
            reached = rig.approach(z_um=_clipped(found.verdict.z_um, rig))
            return _arrived(found, request, stands_um=reached.z_um)


def _arrived(found: Focused, request: FocusRequest, *, stands_um: float) -> Focused:
    """Return what was found, or "lost" where the stage did not go there."""
    verdict = found.verdict
    if verdict.status != "ok":
        return found
    if abs(stands_um - verdict.z_um) <= REACHED * request.depth_of_field_um:
        return found
    lost = replace(
        verdict,
        status="lost",
        z_um=request.start_z_um,
        sigma_z_um=request.range_um,
        reason=f"focus is at z {verdict.z_um:.2f} µm, but the stage stands at {stands_um:.2f}",
    )
    return found._replace(verdict=lost)


def _look(rig: Rig, wanted: ZRequest, correct: Callable[[Pixels], Pixels]) -> Sight:
    """Go to a z and take a frame under each lamp; one burns only while its own is exposed."""
    z_um = _go(rig, wanted)
    raw = [
        rig.expose(
            channel=lamp.channel, brightness=lamp.brightness, exposure_ms=lamp.exposure_ms
        ).pixels
        for lamp in wanted.lamps
    ]
    full_scale = rig.camera.info.full_scale
    return Sight(
        z_um=z_um,
        frames=tuple(correct(pixels) for pixels in raw),
        level=float(raw[0].mean()) / full_scale,
        saturated_fraction=max(saturated_fraction(one, full_scale=full_scale) for one in raw),
        prints=tuple(fingerprint(pixels) for pixels in raw),
        time_s=rig.instant().monotonic_s,
    )


def _go(rig: Rig, wanted: ZRequest) -> float:
    if not wanted.climbing:
        return rig.approach(z_um=wanted.z_um).z_um
    reached = rig.stage.move_to(z_um=wanted.z_um)
    rig.clock.sleep(duration_s=rig.motion.settle_ms / 1000)
    return reached.z_um


def _with_run_up(request: FocusRequest, rig: Rig) -> FocusRequest:
    low, high = request.limits_um
    return replace(request, limits_um=(low + rig.motion.approach_z_um, high))


def _clipped(z_um: float, rig: Rig) -> float:
    low, high = rig.stage.limits.z_um
    return min(max(z_um, low + rig.motion.approach_z_um), high)
