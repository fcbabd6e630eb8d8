"""The objective of an instrument without a turret: screwed in, by hand."""

from __future__ import annotations

from runtime.errors import HardwareFailed


class MountedObjective:
    """A `Turret` of one."""

    def __init__(self, name: str) -> None:
        self.objectives = (name,)

    def select(self, *, objective: str) -> None:
        """Do nothing for the mounted objective; raise HardwareFailed for any other."""
        if objective not in self.objectives:
            raise HardwareFailed(
                "this instrument has no turret",
                value=objective,
                limit=f"mounted is {self.objectives[0]}",
                remedy="use the mounted objective, or correct [turret] objective",
            )
