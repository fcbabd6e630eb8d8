"""The simulated microscope in words: whole, or its camera alone above the stage of a real board."""

from pathlib import Path
from typing import Any

from rich.console import Console

from calibration.routines import ensure
from runtime.clock import SystemClock
from runtime.instrument.opening import open_microscope
from runtime.night.run import Calibrate, carry_out
from runtime.night.seal import seal
from runtime.record.run_folder import RunFolder

# A test adds sections of its own below.
SIMULATED = """
[stage]
driver = "simulated"
[light]
driver = "simulated"
[camera]
driver = "simulated"
[turret]
driver = "simulated"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[objectives.20x]
magnification = 20
na = 0.5
pixel_size_um = 0.25
"""


def by_itself(*, speed: int, camera: str = "") -> str:
    """Return settings of nights that calibrate first; `camera` adds lines to its section."""
    driver = '[camera]\ndriver = "simulated"'
    whole = SIMULATED.replace(driver, f"{driver}\n{camera}")
    return f"""{whole}
[calibration]
empty_field_um = [0, 1000]
automatic = true
[pipeline]
disk_reserve_mb = 1
[simulation]
speed = {speed}
"""


def looped(port: str, *, specimen_um: tuple[int, int, int], size_px: tuple[int, int]) -> str:
    """Return settings of a native board whose stage carries the simulated specimen.

    Its middle lies at `specimen_um`, in the stage's (x, y, z); `size_px` is a frame's (height,
    width).
    """
    x_um, y_um, z_um = specimen_um
    return f"""
[stage]
driver = "native"
port = "{port}"
watchdog_ms = 5000
[light]
driver = "native"
port = "{port}"
[camera]
driver = "simulated"
width_px = {size_px[1]}
height_px = {size_px[0]}
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[motion]
settle_ms = 0
[calibration]
empty_field_um = [{x_um}, {y_um + 1000}]
textured_field_um = [{x_um}, {y_um}]
automatic = true
[pipeline]
disk_reserve_mb = 1
[simulation]
speed = 1000
specimen_um = [{x_um}, {y_um}, {z_um}]
"""


def looped_plan(
    *, rows: int, columns: int, specimen_um: tuple[int, int, int], model: str | None = None
) -> str:
    """Return a plan of the middle of that specimen."""
    x_um, y_um, z_um = specimen_um
    plan = f"""
name: loop
objective: 10x
grid: {{rows: {rows}, columns: {columns}, centre_um: [{x_um}, {y_um}]}}
focus: {{start_z_um: {z_um}, range_um: 80}}
"""
    return plan + (f"model: {model}\n" if model else "")


def spend_night(
    path: Path, *, plan: str, settings: str, calibrate: Calibrate = ensure
) -> tuple[RunFolder, dict[str, Any]]:
    """Carry a night out in a new folder, with its calibrations; return folder and summary."""
    folder = RunFolder(path)
    seal(folder, plan_text=plan, settings_text=settings)
    summary = carry_out(
        folder,
        open_microscope=open_microscope,
        calibrate=calibrate,
        console=Console(quiet=True),
        clock=SystemClock(),
    )
    return folder, summary
