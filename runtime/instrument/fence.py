"""A stage that is kept within a box while nobody knows where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.instrument.errors import NotHomed, refuse_outside
from runtime.ports import Position, Stage, Travel
from runtime.tile import StageLimits

AXES = ("x_um", "y_um", "z_um")


def room_around(
    named: Position, *, within: Travel, limits: Travel, reach_um: dict[str, float]
) -> StageLimits:
    """Return the box of places, as they are named for now, to which a stage is surely safe to move.

    It really stands anywhere `within` a box, and is named `named`. Along each axis it may go as far
    as `reach_um` says, and no further than what lies between that box and the `limits`: so it stays
    inside them wherever it stands.
    """
    box = {}
    for axis in AXES:
        at, (low, high) = getattr(named, axis), getattr(limits, axis)
        lowest, highest = getattr(within, axis)
        down = min(max(lowest - low, 0.0), reach_um[axis])
        up = min(max(high - highest, 0.0), reach_um[axis])
        box[axis] = (at - down, at + up)
    return StageLimits(**box)


@dataclass(frozen=True, slots=True, kw_only=True)
class FencedStage:
    """A `Stage` whose travel is a box around where it stands; it moves nowhere else."""

    stage: Stage
    limits: StageLimits

    @property
    def stage_id(self) -> str:
        """Return the stage's own id."""
        return self.stage.stage_id

    @property
    def failsafe(self) -> bool:
        """Return whether the board goes dark and idle by itself when the host dies."""
        return self.stage.failsafe

    def home(self) -> None:
        """Raise NotHomed: homing goes to the ends of the travel."""
        raise NotHomed(
            "the stage is not homed while it looks for its origin", remedy="let it look first"
        )

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> Position:
        """Move the named axes as the stage does. Raises LimitHit before anything moves when a
        target lies outside the box.
        """
        named = {"x_um": x_um, "y_um": y_um, "z_um": z_um}
        refuse_outside(self.limits, {axis: um for axis, um in named.items() if um is not None})
        return self.stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)

    def position(self) -> Position:
        """Return the position read back, in the name that it has for now."""
        return self.stage.position()

    def stop(self) -> None:
        """Halt all axes at once."""
        self.stage.stop()
