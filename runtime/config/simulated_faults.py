"""What goes wrong with a simulated microscope, read from a file beside the settings.

A run is sealed with its settings, but not with this file: so a fault can be mended, by taking the
file away, before the run is resumed.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from runtime.config.strict import Strict
from runtime.errors import ConfigRefused
from runtime.plain_file import read_text

MOST_BYTES = 2**16
FaultKind = Literal[
    "black", "white", "frozen", "torn", "late", "dated-before", "dead", "slow",
    "lamp-dead", "lamp-fades", "lamp-dims", "lamp-elsewhere",
    "stuck", "slips", "sinks",
    "board-reboots", "board-unplugged",
]  # fmt: skip


class FaultSection(Strict):
    """One fault: it begins after so many frames of this session and lasts for so many, or for good.

    Camera: "black", "white", "frozen" (the frame before again), "torn" (its lower half is the frame
    before), "late" (the frame of `frames_late` exposures before), "dated-before" (it was read out
    before it was asked for), "dead" (no frame comes), "slow" (one comes `delay_s` later). Lamp:
    "lamp-dead", "lamp-fades" (loses `lost_share` of its light a frame), "lamp-dims" (has lost it
    at once), "lamp-elsewhere" (another channel shines). Stage: "stuck" (the `axes` stand where they
    are, though their counters arrive), "slips" (from then on it stands `slip_um` beside where it
    says), "sinks" (z, by `sink_um_per_h`). Board: "board-reboots", "board-unplugged", once.
    """

    kind: FaultKind
    after_frames: Annotated[int, Field(ge=0)] = 0
    for_frames: Annotated[int, Field(ge=1)] = 10**9
    frames_late: Annotated[int, Field(ge=1, le=16)] = 2
    delay_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    lost_share: Annotated[float, Field(gt=0, le=1)] = 0.01
    axes: Annotated[str, Field(pattern="^[xyz]+$")] = "xy"
    slip_um: tuple[float, float] = (100.0, 0.0)
    sink_um_per_h: float = 200.0


class FaultsFile(Strict):
    """The faults of a file, in [[fault]] sections."""

    fault: tuple[FaultSection, ...] = ()


def read_faults(path: Path | None) -> tuple[FaultSection, ...]:
    """Return the faults in a file; none where no file is named, or the one named is not there.

    Raises ConfigRefused for a file that cannot be read or holds an unknown key.
    """
    if path is None or not path.exists():
        return ()
    text = read_text(path, what="faults", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    try:
        return FaultsFile.read(tomllib.loads(text), source=path).fault
    except tomllib.TOMLDecodeError as error:
        raise ConfigRefused(f"{path}: not TOML: {error}", remedy="mend the line named") from None
