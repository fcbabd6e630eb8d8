"""The objective of an instrument without a turret: screwed in, by hand."""

from __future__ import annotations

from runtime.instrument.errors import Rejected


class MountedObjective:
    """A `Turret` of one."""

    def __init__(self, name: str) -> None:
        self.objectives = (name,)

    def select(self, *, objective: str) -> None:
        """Do nothing for the mounted objective; raise Rejected for any other."""
        if objective not in self.objectives:
            raise Rejected(
                "unknown objective",
                value=repr(objective),
                limit=f"{self.objectives[0]}, for there is no turret",
                remedy="use the mounted objective, or correct [turret] objective",
            )
