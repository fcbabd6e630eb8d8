"""What the simulated board says of itself; the emulator reads it by shape."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.instrument.simulator.motion import STEP_NM

LIMITS_STEPS = {"x": (-60_000, 60_000), "y": (-60_000, 60_000), "z": (-4_000, 4_000)}
CHANNELS = ("brightfield",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAxis:
    """An axis; limits are steps from the reference switch."""

    name: str
    step_nm: int
    limits_steps: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBoard:
    """Serial number, axes x, y, z, light channels, and objectives in turret order."""

    unique_id: str
    axes: tuple[SimulatedAxis, ...]
    channels: tuple[str, ...]
    objectives: tuple[str, ...]


def simulated_board(*, seed: int, objectives: tuple[str, ...]) -> SimulatedBoard:
    """Return the board of the instrument that a seed stands for."""
    return SimulatedBoard(
        unique_id=f"SIMULATED-{seed}",
        axes=tuple(
            SimulatedAxis(name=name, step_nm=STEP_NM, limits_steps=limits)
            for name, limits in LIMITS_STEPS.items()
        ),
        channels=CHANNELS,
        objectives=objectives,
    )
