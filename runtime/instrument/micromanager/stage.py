"""A stage driven by Micro-Manager: its XY stage and its focus drive."""

from __future__ import annotations

import threading
from collections.abc import Collection
from functools import partial

from runtime.errors import HardwareFailed
from runtime.instrument.errors import NotHomed, Rejected, Stalled, refuse_outside
from runtime.instrument.micromanager.core import Core
from runtime.ports import Travel
from runtime.tile import StagePosition

AXES = ("x_um", "y_um", "z_um")
# Homing crosses the whole travel slowly, often twice.
HOME_S = 300.0
# MMDevice's DEVICE_UNSUPPORTED_COMMAND, which the core puts behind its message.
UNSUPPORTED = "(11)"


class MicroManagerStage:
    """A `Stage` of the configuration's XY stage and focus drive, in the coordinates it shows.

    Micro-Manager hosts everything: when it dies, motors and lights stay as they are.
    """

    failsafe = False

    def __init__(
        self,
        core: Core,
        *,
        limits: Travel,
        keeps_origin: Collection[str] = (),
        arrival_um: float = 1.0,
        move_timeout_s: float = 60.0,
    ) -> None:
        """Find the drives. `keeps_origin` names those ("xy", "z") that need no homing.

        Raises HardwareFailed when the configuration has no XY stage or no focus drive.
        """
        self._core, self.limits = core, limits
        self._arrival_um, self._move_timeout_s = arrival_um, move_timeout_s
        self._xy = _required(core.ask("XY stage", core.mm.getXYStageDevice), "XYStage")
        self._z = _required(core.ask("focus drive", core.mm.getFocusDevice), "Focus")
        drives = {"xy": self._xy, "z": self._z}
        self._to_home = [label for name, label in drives.items() if name not in keeps_origin]
        self._homed = not self._to_home
        self._targets_um: dict[str, float] = {}
        self._stopped = threading.Event()
        self.simulated = any(core.is_simulated(label) for label in drives.values())
        self.stage_id = f"micromanager-{core.identity(self._xy)}+{core.identity(self._z)}"

    def home(self) -> None:
        """Find the reference switches of the drives that do not keep their origin.

        Raises NotHomed for a drive whose adapter cannot home, Stalled when it does not end.
        """
        self._stopped.clear()
        self._targets_um.clear()
        for label in self._to_home:
            self._homed = False
            self._home(label)
        self._refuse_stopped("homing")
        self._homed = True

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        """Move the named axes, wait until they stand still, and return the position read back.

        Raises LimitHit or NotHomed before anything moves, Rejected when another thread stopped
        it, Stalled when it did not arrive in time.
        """
        here = self.position()
        named = dict(zip(AXES, (x_um, y_um, z_um), strict=True))
        wanted = {axis: um for axis, um in named.items() if um is not None}
        refuse_outside(self.limits, wanted)
        self._stopped.clear()
        target = {axis: wanted.get(axis, self._held_um(axis, here)) for axis in AXES}
        try:
            self._go(target, xy="x_um" in wanted or "y_um" in wanted, z="z_um" in wanted)
        except Stalled:
            self.stop()
            raise
        self._refuse_stopped("the move")
        self._targets_um = target
        return self._arrived(wanted)

    def position(self) -> StagePosition:
        """Return the position read back. Raises NotHomed without an origin."""
        if not self._homed:
            raise NotHomed("the stage has no origin yet", remedy="home it first")
        return self._core.ask("stage, position", self._read)

    def stop(self) -> None:
        """Halt all axes at once, ahead of anything queued; callable from any thread."""
        self._stopped.set()
        self._core.ask_urgently("stage, stop", self._halt)

    def _halt(self) -> None:
        try:
            self._core.mm.stop(self._xy)
        finally:
            self._core.mm.stop(self._z)

    def _read(self) -> StagePosition:
        x_um, y_um = self._core.mm.getXYPosition(self._xy)
        return StagePosition(x_um=x_um, y_um=y_um, z_um=self._core.mm.getPosition(self._z))

    def _home(self, label: str) -> None:
        try:
            self._core.ask(f"{label}, home", partial(self._core.mm.home, label), timeout_s=HOME_S)
        except HardwareFailed as error:
            if UNSUPPORTED not in error.what:
                raise
            raise NotHomed(
                f"{label} cannot home itself",
                remedy="set its origin in Micro-Manager and name it in [stage] keeps_origin",
            ) from error
        self._core.wait_until_still(label, timeout_s=HOME_S)

    def _go(self, target: dict[str, float], *, xy: bool, z: bool) -> None:
        """Start the drives that are to move, then wait for both."""
        mm, timeout_s = self._core.mm, self._move_timeout_s
        if xy:
            go_xy = partial(mm.setXYPosition, self._xy, target["x_um"], target["y_um"])
            self._core.ask(f"{self._xy}, move", go_xy, timeout_s=timeout_s)
        if z:
            go_z = partial(mm.setPosition, self._z, target["z_um"])
            self._core.ask(f"{self._z}, move", go_z, timeout_s=timeout_s)
        for label in (self._xy, self._z):
            self._core.wait_until_still(label, timeout_s=timeout_s)

    def _held_um(self, axis: str, here: StagePosition) -> float:
        """Return the target to send for an axis that is not to move.

        It is the last target while the axis stands there: sending the read-back instead would let
        the encoder's noise walk it away.
        """
        now_um: float = getattr(here, axis)
        last_um = self._targets_um.get(axis, now_um)
        return last_um if abs(now_um - last_um) <= self._arrival_um else now_um

    def _arrived(self, wanted: dict[str, float]) -> StagePosition:
        reached = self.position()
        for axis, um in wanted.items():
            there_um = getattr(reached, axis)
            if not abs(there_um - um) <= self._arrival_um:
                raise Stalled(
                    f"{axis[0]} did not reach its target",
                    value=f"{there_um:g} µm",
                    limit=f"{um:g} ± {self._arrival_um:g} µm",
                    remedy="free the axis, home, and resume",
                )
        return reached

    def _refuse_stopped(self, what: str) -> None:
        if self._stopped.is_set():
            self._targets_um.clear()
            raise Rejected(f"{what} was stopped", remedy="resume the run when it is safe")


def _required(label: str, role: str) -> str:
    if not label:
        raise HardwareFailed(
            f"the Micro-Manager configuration has no {role}",
            remedy=f"give it one: 'Property,Core,{role},<label>'",
        )
    return label
