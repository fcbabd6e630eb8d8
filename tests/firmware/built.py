"""The firmware's programs, made by its own Makefile."""

import fcntl
import subprocess
from pathlib import Path

FIRMWARE = Path(__file__).parents[2] / "firmware_bridge" / "firmware"
BUILD = FIRMWARE / "build"


def build(*targets: Path) -> None:
    """Make `targets`, one test worker at a time: what another still links cannot be run."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", FIRMWARE, *map(str, targets)], check=True)
