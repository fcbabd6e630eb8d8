"""The simulated board's description of itself."""

from __future__ import annotations

from firmware_bridge.plant import AxisDescription, BoardDescription
from runtime.instrument.simulator.motion import STEP_NM

LIMITS_STEPS = {"x": (-60_000, 60_000), "y": (-60_000, 60_000), "z": (-4_000, 4_000)}
BRIGHTFIELD = "brightfield"


def simulated_board(
    *, seed: int, objectives: tuple[str, ...], channels: tuple[str, ...]
) -> BoardDescription:
    """Return the description of the board that belongs to a seed."""
    return BoardDescription(
        unique_id=f"SIMULATED-{seed}",
        axes=tuple(
            AxisDescription(name=name, step_nm=STEP_NM, limits_steps=limits)
            for name, limits in LIMITS_STEPS.items()
        ),
        channels=channels,
        objectives=objectives,
    )
