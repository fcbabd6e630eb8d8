"""The sweep: drives a focus search with the stage, the light and the camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from runtime.errors import Stopped
from runtime.focus.curve import Observation
from runtime.focus.search import SweepRequest, ZRequest, focus_search
from runtime.focus.sharpness import BRENNER, Measure, saturated_fraction
from runtime.instrument.rig import Rig
from runtime.tile import FocusVerdict, Pixels

__all__ = ["SweepRequest", "sweep"]


def sweep(
    rig: Rig,
    *,
    request: SweepRequest,
    exposure_ms: float,
    channel: str,
    brightness: float,
    correct: Callable[[Pixels], Pixels],
    should_stop: Callable[[], bool] = lambda: False,
    sharpness: Measure = BRENNER,
) -> FocusVerdict:
    """Search for focus where the stage stands and leave it at the verdict's z; return the verdict.

    `request.limits_um` are narrowed by the run-up, so that even the detour that takes up the slack
    stays inside them. The light is on only while a frame is exposed. Raises Stopped between two
    frames once `should_stop()` is true.
    """
    search = focus_search(_with_run_up(request, rig))
    wanted = next(search)
    while True:
        if should_stop():
            raise Stopped("focus sweep stopped", remedy="nightscope resume RUN goes on from here")
        z_um = _go(rig, wanted)
        frame = rig.expose(channel=channel, brightness=brightness, exposure_ms=exposure_ms)
        seen = Observation(
            z_um=z_um,
            sharpness=sharpness(correct(frame.pixels)),
            saturated_fraction=saturated_fraction(
                frame.pixels, full_scale=rig.camera.info.full_scale
            ),
            time_s=frame.at.monotonic_s,
            noise=sharpness.noise(frame.pixels.size),
        )
        try:
            wanted = search.send(seen)
        except StopIteration as end:
            verdict: FocusVerdict = end.value
            rig.approach(z_um=_clipped(verdict.z_um, rig))
            return verdict


def _go(rig: Rig, wanted: ZRequest) -> float:
    if not wanted.climbing:
        return rig.approach(z_um=wanted.z_um).z_um
    reached = rig.stage.move_to(z_um=wanted.z_um)
    rig.clock.sleep(duration_s=rig.motion.settle_ms / 1000)
    return reached.z_um


def _with_run_up(request: SweepRequest, rig: Rig) -> SweepRequest:
    low, high = request.limits_um
    return replace(request, limits_um=(low + rig.motion.approach_z_um, high))


def _clipped(z_um: float, rig: Rig) -> float:
    low, high = rig.stage.limits.z_um
    return min(max(z_um, low + rig.motion.approach_z_um), high)
