"""Focus here and now, without a night: what `nightscope focus run` and the technician's page do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.calibrated.loaded import known_correction, led_pair_record
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused
from runtime.focus.autofocus import Focused
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import SingleShot
from runtime.instrument.rig import Rig
from runtime.night.fitness import refuse_exposure
from runtime.night.measurers import measurers

if TYPE_CHECKING:
    from runtime.tasks.focus.regressor import DefocusRegressor


def focus_here(
    rig: Rig,
    settings: Settings,
    *,
    objective: str,
    lamp: Lamp,
    start_z_um: float,
    range_um: float,
    network: DefocusRegressor | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Focused:
    """Find focus where the stage stands, as a night does, and stay there; return what was found.

    It looks `range_um` around `start_z_um`, under the lamp where it sweeps. Raises ConfigRefused
    as `refuse_impossible` does, Stopped once `should_stop()` is true.
    """
    refuse_impossible(rig, lamp=lamp, start_z_um=start_z_um)
    singles = first_looks(rig, settings, objective=objective, network=network)
    folder = settings.calibration.folder
    return find_focus(
        rig,
        request=_request(rig, settings, objective, start_z_um=start_z_um, range_um=range_um),
        lamp=lamp,
        correct=known_correction(rig, objective=objective, folder=folder).apply,
        singles=singles,
        should_stop=should_stop,
    )


def first_looks(
    rig: Rig, settings: Settings, *, objective: str, network: DefocusRegressor | None
) -> list[SingleShot]:
    """Return what is asked for focus before a sweep, the cheapest first; nothing moves.

    Raises CalibrationRefused where the LED pair is wanted and cannot serve, ModelRefused for a
    network that is not for this objective and these LEDs.
    """
    pair = led_pair_record(rig, settings, objective=objective)
    return measurers(settings, pair, objective=objective, network=network)


def refuse_impossible(rig: Rig, *, lamp: Lamp, start_z_um: float | None) -> None:
    """Raise ConfigRefused for a light, an exposure or a z that there is not; nothing moves."""
    refuse_unknown_light(rig, lamp.channel)
    refuse_exposure("a sweep's exposure", lamp.exposure_ms, *rig.camera.info.exposure_ms)
    low, high = rig.stage.limits.z_um
    if start_z_um is not None and not low <= start_z_um <= high:
        raise ConfigRefused(
            "z to start from is outside the stage's travel",
            value=f"{start_z_um:g} µm",
            limit=f"{low:g} to {high:g} µm",
            remedy="choose --z inside it",
        )


def network_for_focus(settings: Settings) -> DefocusRegressor | None:
    """Return the network for defocus where one is to look first. Raises ModelRefused."""
    if settings.focus.first != "network":
        return None
    from runtime.tasks.focus.finder import regressor_of

    return regressor_of(settings.models, settings.models.focus)


def named_objective(settings: Settings, named: str | None) -> str:
    """Return an objective's name, the one in place where none is named. Raises ConfigRefused."""
    if named is not None and named not in settings.objectives:
        raise ConfigRefused(
            "unknown objective",
            value=named,
            limit=", ".join(settings.objectives),
            remedy="name one of these",
        )
    return named or settings.mounted


def refuse_unknown_light(rig: Rig, channel: str) -> None:
    """Raise ConfigRefused for a channel that the light does not have."""
    if channel not in rig.light.channels:
        raise ConfigRefused(
            "unknown light",
            value=channel,
            limit=", ".join(rig.light.channels),
            remedy="name one of these",
        )


def _request(
    rig: Rig, settings: Settings, objective: str, *, start_z_um: float, range_um: float
) -> FocusRequest:
    return FocusRequest(
        start_z_um=start_z_um,
        range_um=range_um,
        depth_of_field_um=settings.objectives[objective].depth_of_field_um,
        limits_um=rig.stage.limits.z_um,
    )
