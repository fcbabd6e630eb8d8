"""The true state of the world during one exposure: what is rendered, and what the witness keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueExposure:
    """State at mid-exposure. `time_s` is when the frame had been read out, in world seconds.

    `centre_um` is the specimen point on the image centre; `defocus_um` the true z minus that of
    best focus there; `smear_um` how far the stage travelled while the shutter was open;
    `frame_index` counts the frames since anything last moved.
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


def specimen_from_px(*, rotation_rad: float, pixel_size_um: float) -> NDArray[np.float64]:
    """Return the 2x2 matrix from camera pixels (x, y) to specimen micrometres (x, y)."""
    cosine, sine = np.cos(rotation_rad), np.sin(rotation_rad)
    return np.asarray(pixel_size_um * np.array([[cosine, -sine], [sine, cosine]]))
