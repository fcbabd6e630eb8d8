"""The true state of the simulated world at every exposure, kept as one JSON line each.

The frames are rendered from it and runs are scored by it; no pipeline code may read it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueExposure:
    """State at mid-exposure. `time_s` is when the frame had been read out, in world seconds.

    `centre_um` is the specimen point on the image centre; `defocus_um` the true z minus that of
    best focus there; `smear_um` how far the stage travelled while the shutter was open;
    `frame_index` counts the frames since anything last moved; `channel` is what lit it.
    """

    time_s: float
    exposure_ms: float
    objective: str
    light_level: float
    centre_um: tuple[float, float]
    defocus_um: float
    rotation_rad: float
    pixel_size_um: float
    position_nm: tuple[int, int, int]
    frame_index: int
    smear_um: float = 0.0
    channel: str = "brightfield"


def specimen_from_px(*, rotation_rad: float, pixel_size_um: float) -> NDArray[np.float64]:
    """Return the 2x2 matrix from camera pixels (x, y) to specimen micrometres (x, y)."""
    cosine, sine = np.cos(rotation_rad), np.sin(rotation_rad)
    return np.asarray(pixel_size_um * np.array([[cosine, -sine], [sine, cosine]]))


def append(path: Path, exposure: TrueExposure) -> None:
    """Add one line and hand it to the operating system, so that a killed process leaves it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(exposure)) + "\n")


def read_truth(path: Path) -> list[TrueExposure]:
    """Return the exposures in the order they were made.

    A last line without its end, as a power cut leaves it, is no entry. Raises InputRefused for a
    file that is missing or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputRefused(
            f"truth {path}: {error.strerror}", remedy="only simulated runs have one"
        ) from None
    return [_parse(line, f"{path}:{n}") for n, line in enumerate(_whole_lines(text), start=1)]


def _whole_lines(text: str) -> list[str]:
    return text[: text.rfind("\n") + 1].splitlines()


def _parse(line: str, where: str) -> TrueExposure:
    try:
        values = json.loads(line)
        x, y, z = values["position_nm"]
        centre_x, centre_y = values["centre_um"]
        pairs = {"position_nm": (x, y, z), "centre_um": (centre_x, centre_y)}
        return TrueExposure(**(values | pairs))
    except (ValueError, TypeError, KeyError) as error:
        raise InputRefused(f"{where}: no entry of the witness: {error}") from None
