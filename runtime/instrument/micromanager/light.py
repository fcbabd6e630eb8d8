"""Light driven by Micro-Manager: shutters, what chooses a colour, and what dims it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from runtime.config.micromanager_settings import LightChannel
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.errors import Rejected, Stalled, refuse_unlit
from runtime.instrument.micromanager.core import Core

# MMDevice cuts floating-point properties to four decimals.
FLOAT_GRAIN = 1e-4


class MicroManagerLight:
    """A `Light` of named channels, each behind a shutter; only one shutter is ever open."""

    def __init__(self, core: Core, *, lights: Mapping[str, LightChannel]) -> None:
        """Find the devices, close every shutter, and read what range each level has.

        Raises ConfigRefused for a channel whose devices or range are not there, HardwareFailed
        when a shutter does not close.
        """
        self._core, self._lights = core, dict(lights)
        self._shutters = sorted({core.device(light.shutter) for light in lights.values()})
        self.light_id = f"micromanager-{'+'.join(map(core.identity, self._shutters))}"
        self.off()
        for light in lights.values():
            for name in light.choose:
                core.device(_split(name)[0])
        self._ranges = {
            name: self._range(light.level, light.level_range)
            for name, light in lights.items()
            if light.level is not None
        }
        self.simulated = any(map(core.is_simulated, self._devices()))

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channel names."""
        return tuple(self._lights)

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel at a brightness from 0 to 1; all others go off.

        Raises Rejected for an unknown channel, a brightness out of range, or one between 0 and 1
        where nothing dims; after any other failure everything is dark.
        """
        self._refuse(channel, brightness)
        self.off()
        if brightness == 0:
            return
        try:
            self._open(channel, brightness)
        except HardwareFailed:
            self.off()
            raise

    def off(self) -> None:
        """Close every shutter and see that it closed. Raises Stalled when one did not."""
        mm = self._core.mm
        for shutter in self._shutters:
            self._core.ask(f"{shutter}, close", partial(mm.setShutterOpen, shutter, False))
        for shutter in self._shutters:
            self._core.wait_until_still(shutter)
            if self._core.ask(f"{shutter}, open?", partial(mm.getShutterOpen, shutter)):
                raise Stalled(
                    f"shutter {shutter} did not close",
                    remedy="switch the lamp off by hand, then check the shutter",
                )

    def close(self) -> None:
        """Leave everything dark."""
        self.off()

    def _open(self, channel: str, brightness: float) -> None:
        light = self._lights[channel]
        for name, value in light.choose.items():
            self._set(name, value)
        if light.level is not None:
            self._set(light.level, self._level(channel, light.level, brightness))
        shutter = light.shutter
        self._core.ask(f"{shutter}, open", partial(self._core.mm.setShutterOpen, shutter, True))
        self._core.wait_until_still(shutter)

    def _set(self, name: str, value: str) -> None:
        device, prop = _split(name)
        self._core.ask(name, partial(self._core.mm.setProperty, device, prop, value))
        self._core.wait_until_still(device)

    def _level(self, channel: str, name: str, brightness: float) -> str:
        """Return a brightness in the level's own numbers, at least one grain away from dark."""
        from pymmcore_plus import PropertyType

        dark, full = self._ranges[channel]
        kind = self._core.ask(name, partial(self._core.mm.getPropertyType, *_split(name)))
        whole = kind == PropertyType.Integer
        grain = 1.0 if whole else FLOAT_GRAIN
        grains = max(1, round(brightness * abs(full - dark) / grain))
        level = dark + math.copysign(grains * grain, full - dark)
        return f"{level:.{0 if whole else 4}f}"

    def _devices(self) -> set[str]:
        """Return the labels of everything that makes the light."""
        named = {name for light in self._lights.values() for name in (*light.choose, light.level)}
        return {*self._shutters, *(_split(name)[0] for name in named if name is not None)}

    def _range(self, level: str, given: tuple[float, float] | None) -> tuple[float, float]:
        device, prop = _split(level)
        mm, _ = self._core.mm, self._core.device(device)
        if given is not None:
            return given
        if not self._core.ask(level, partial(mm.hasPropertyLimits, device, prop)):
            raise ConfigRefused(
                f"the light level {level} has no limits",
                remedy="give its level_range = [dark, full] of the channel in [light]",
            )
        return self._core.ask(
            level,
            lambda: (
                mm.getPropertyLowerLimit(device, prop),
                mm.getPropertyUpperLimit(device, prop),
            ),
        )

    def _refuse(self, channel: str, brightness: float) -> None:
        refuse_unlit(self.channels, channel=channel, brightness=brightness)
        if self._lights[channel].level is None and brightness not in (0, 1):
            raise Rejected(
                f"light channel {channel} does not dim",
                value=brightness,
                limit="0 or 1",
                remedy="use full brightness, or give the channel a level",
            )


def _split(name: str) -> tuple[str, str]:
    """Return the device and the property of "Device.Property"."""
    device, _, prop = name.partition(".")
    return device, prop
