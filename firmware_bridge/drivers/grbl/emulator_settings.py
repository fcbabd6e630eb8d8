"""GRBL's numbered settings, as `$$` prints them."""

from __future__ import annotations

from firmware_bridge.plant import Plant

NM_PER_MM = 1_000_000
REPORT_MPOS = 1
PULL_OFF_MM = 0.1
HIGHEST_MM_MIN = 6000.0


def defaults(plant: Plant) -> dict[str, float]:
    """Return a configured machine's settings: homing, soft and hard limits on.

    The travel reaches from each axis's step 0, where the switch is, down to its lowest step.
    """
    settings: dict[str, float] = {"10": REPORT_MPOS, "13": 0, "20": 1, "21": 1, "22": 1, "23": 0}
    settings |= {"27": PULL_OFF_MM, "30": 1000, "31": 0, "32": 0}
    for index, axis in enumerate(plant.board.axes):
        settings[f"10{index}"] = NM_PER_MM / axis.step_nm
        settings[f"11{index}"] = HIGHEST_MM_MIN
        settings[f"13{index}"] = -axis.limits_steps[0] * axis.step_nm / NM_PER_MM
    return settings


def lines(settings: dict[str, float]) -> list[str]:
    """Return the answer to `$$`, without its `ok`."""
    return [
        f"${number}={settings[number]:.{3 if int(number) >= 100 or number == '27' else 0}f}"
        for number in sorted(settings, key=int)
    ]
