"""The objective changer of a Micro-Manager configuration: a state device with labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from runtime.errors import ConfigRefused
from runtime.instrument.errors import Rejected, Stalled
from runtime.instrument.micromanager.core import Core

# Large turrets lower the focus, turn and come back.
SWING_S = 30.0


class MicroManagerTurret:
    """A `Turret` on a state device, by its labels or by our names for them."""

    def __init__(self, core: Core, *, turret: str, objectives: Mapping[str, str]) -> None:
        """Find the device. `objectives` maps our names to labels; empty takes the labels.

        Raises ConfigRefused when there is no such device or label.
        """
        self._core, self._device = core, core.device(turret)
        self.simulated = core.is_simulated(turret)
        labels = core.ask(f"{turret}, labels", lambda: tuple(core.mm.getStateLabels(turret)))
        self._labels = dict(objectives) or {label: label for label in labels}
        for label in self._labels.values():
            if label not in labels:
                raise ConfigRefused(
                    f"{turret} has no such label",
                    value=repr(label),
                    limit=", ".join(labels),
                    remedy="mend [turret] objectives, or the labels in the configuration",
                )

    @property
    def objectives(self) -> tuple[str, ...]:
        """Return the mounted objectives' names."""
        return tuple(self._labels)

    def select(self, *, objective: str) -> None:
        """Swing an objective in, wait until it is seated, and see that it is.

        Raises Rejected for an unknown one, Stalled when it does not come.
        """
        if objective not in self._labels:
            raise Rejected(
                "unknown objective",
                value=repr(objective),
                limit=", ".join(self._labels),
                remedy="use a name of [turret] objectives",
            )
        core, device, label = self._core, self._device, self._labels[objective]
        turn = partial(core.mm.setStateLabel, device, label)
        core.ask(f"{device}, turn", turn, timeout_s=SWING_S)
        core.wait_until_still(device, timeout_s=SWING_S)
        there = core.ask(f"{device}, label", partial(core.mm.getStateLabel, device))
        if there != label:
            raise Stalled(
                f"{device} did not reach its objective",
                value=repr(there),
                limit=repr(label),
                remedy="free the turret, then resume the run",
            )
