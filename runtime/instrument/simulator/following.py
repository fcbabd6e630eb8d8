"""Hardware in the loop: the simulated world follows stage, light and turret that are not simulated.

Commands pass to the real (or emulated) device; when it has answered, the world is brought to where
the device says it is. So a simulated camera sees the specimen through a stage it does not move,
under a light it does not switch. World time passes as the simulated mechanics would take for the
same moves, so drift stays a function of the seed and of the positions read back.
"""

from __future__ import annotations

from runtime.instrument.simulator.mechanics import Triple
from runtime.instrument.simulator.motion import STEP_UM, Steps
from runtime.instrument.simulator.world import FULL_LEVEL, World
from runtime.ports import DeclaredStage, Light, Position, Stage, Travel, Turret


class FollowedStage:
    """A `Stage` that carries the simulated specimen."""

    def __init__(self, stage: Stage, world: World, *, specimen_um: Triple) -> None:
        """Follow `stage`; `specimen_um` is where on it the middle of the specimen is in view."""
        self._stage, self._world, self._specimen_um = stage, world, specimen_um
        self._followed: Steps | None = None

    @property
    def stage_id(self) -> str:
        """Return the followed board's id, marked: what is measured with it is half simulated."""
        return f"{self._stage.stage_id}+SIMULATED-{self._world.seed}"

    @property
    def failsafe(self) -> bool:
        """Return whether the followed board goes dark by itself."""
        return self._stage.failsafe

    @property
    def limits(self) -> Travel:
        """Return the followed stage's travel ranges."""
        return self._stage.limits

    def home(self) -> None:
        """Home the followed stage."""
        self._stage.home()
        self._world.begin_home()
        self._world.finish_move()
        self._followed = None
        self._follow(self._stage.position())

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> Position:
        """Move the followed stage, and the specimen to the position read back."""
        reached = self._stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
        self._follow(reached)
        return reached

    def position(self) -> Position:
        """Return the position read back from the followed stage.

        The specimen goes there too: a move that was stopped on its way ended in an error.
        """
        here = self._stage.position()
        self._follow(here)
        return here

    def stop(self) -> None:
        """Halt the followed stage; its position, asked for next, says where."""
        self._stage.stop()

    def _follow(self, at: Position) -> None:
        """Bring the specimen to a position; the world's motors have steps, the last one rounds."""
        x0_um, y0_um, z0_um = self._specimen_um
        steps: Steps = (
            round((at.x_um - x0_um) / STEP_UM),
            round((at.y_um - y0_um) / STEP_UM),
            round((at.z_um - z0_um) / STEP_UM),
        )
        if steps == self._followed:
            return
        self._world.begin_move(target_steps=steps)
        self._world.finish_move()
        self._followed = steps


class FollowedDeclaredStage(FollowedStage):
    """The same of a stage that somebody else has to tell where it stands.

    The specimen stays where it is when the place gets another name.
    """

    def __init__(self, stage: DeclaredStage, world: World, *, specimen_um: Triple) -> None:
        super().__init__(stage, world, specimen_um=specimen_um)
        self._declared = stage

    @property
    def finds_origin(self) -> bool:
        """Return whether the followed stage has switches."""
        return self._declared.finds_origin

    @property
    def lost(self) -> bool:
        """Return whether the followed stage lost its position."""
        return self._declared.lost

    def forget(self) -> None:
        """Void the followed stage's position."""
        self._declared.forget()

    def stand_at(self, *, x_um: float, y_um: float, z_um: float) -> None:
        """Tell the followed stage where it stands."""
        self._declared.stand_at(x_um=x_um, y_um=y_um, z_um=z_um)
        named = self._declared.position()
        if self._followed is not None:
            x, y, z = (n * STEP_UM for n in self._followed)
            self._specimen_um = (named.x_um - x, named.y_um - y, named.z_um - z)
        self._follow(named)


class FollowedLight:
    """A `Light` whose channels light the simulated specimen from where the world's of the same name
    do; the first one does so as brightfield, whatever it is called. The others shine elsewhere.
    """

    def __init__(self, light: Light, world: World) -> None:
        self._light, self._world = light, world

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the followed light's channels."""
        return self._light.channels

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel."""
        self._light.on(channel=channel, brightness=brightness)
        index = self._light.channels.index(channel)
        if channel in self._world.channels:
            index = self._world.channels.index(channel)
        elif index > 0:
            index = len(self._world.channels)
        self._world.set_light(channel=index, level=round(brightness * FULL_LEVEL))

    def off(self) -> None:
        """Switch every channel off."""
        self._light.off()
        self._world.set_light(channel=0, level=0)


class FollowedTurret:
    """A `Turret` that swings the simulated optics along."""

    def __init__(self, turret: Turret, world: World) -> None:
        self._turret, self._world = turret, world

    @property
    def objectives(self) -> tuple[str, ...]:
        """Return the followed turret's objectives."""
        return self._turret.objectives

    def select(self, *, objective: str) -> None:
        """Swing an objective in, on both sides."""
        self._turret.select(objective=objective)
        self._world.begin_turret(index=list(self._world.objectives).index(objective))
        self._world.finish_move()
