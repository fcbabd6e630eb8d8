"""How pixels become network inputs, as frozen data that travels inside the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPEC_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpec:
    """Sizes, conventions and constants of one preprocessing.

    `height_px, width_px`: the network's input, (y, x). `radii_px`: LBP radii, one map each.
    The bright and dark percentiles of the tile fix the intensity scale: the bright one becomes 0
    and their distance 1, but never less than `contrast_floor` of the bright level, so that the
    noise of an empty tile stays small; values are clipped to [`lowest`, `highest`].
    """

    version: int = SPEC_VERSION
    height_px: int = 224
    width_px: int = 256
    radii_px: tuple[int, ...] = (1, 2, 3)
    bright_percentile: int = 90
    dark_percentile: int = 5
    contrast_floor: float = 0.25
    lowest: float = -2.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        if self.version != SPEC_VERSION:
            raise ValueError(f"preprocessing version {self.version}; expected {SPEC_VERSION}")
        if min(self.height_px, self.width_px) < 1 or max(self.height_px, self.width_px) > 8192:
            raise ValueError(f"input {self.height_px}x{self.width_px}; sides must be 1 to 8192 px")
        if any(radius not in (1, 2, 3) for radius in self.radii_px):
            raise ValueError(f"LBP radii {self.radii_px}; only 1, 2 and 3 px are defined")
        if not 0 <= self.dark_percentile < self.bright_percentile <= 100:
            raise ValueError(
                f"percentiles {self.dark_percentile}, {self.bright_percentile}; "
                "they must rise within 0 to 100"
            )
        if self.contrast_floor <= 0 or self.lowest >= self.highest:
            raise ValueError("contrast_floor must be above 0 and lowest below highest")

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> PreprocessSpec:
        """Return the spec a manifest holds; ValueError or TypeError for anything unknown."""
        return cls(**{**plain, "radii_px": tuple(plain["radii_px"])})

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        return {**asdict(self), "radii_px": list(self.radii_px)}


def sample_points(*, source_px: int, target_px: int) -> NDArray[np.int64]:
    """Return the source index of every target index, floor(i * s): OpenCV's INTER_NEAREST.

    The scale is formed as OpenCV forms it, as the reciprocal of target/source in float64; dividing
    source by target directly differs by a pixel at some sizes.
    """
    scale = 1.0 / (target_px / source_px)
    points = np.floor(np.arange(target_px) * scale).astype(np.int64)
    return np.asarray(np.minimum(points, source_px - 1), dtype=np.int64)
