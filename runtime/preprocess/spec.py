"""How pixels become network inputs, as frozen data that travels inside the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.code_classes import TEXTURE_CHANNELS

SPEC_VERSION = 2
# Names an input may be joined from, in this order, with the channels each brings: the codes of one
# LBP radius become three coordinates.
PART_CHANNELS = {"intensity": 1, "lbp1": 3, "lbp2": 3, "lbp3": 3}
PART_RADII_PX = {"lbp1": 1, "lbp2": 2, "lbp3": 3}
# An input by itself: counts of codes in cells, which no map can be stacked on.
TEXTURE = "texture"
WHOLE = (
    "version",
    "height_px",
    "width_px",
    "bright_percentile",
    "dark_percentile",
    "texture_cells",
    "texture_points",
)
REAL = ("contrast_floor", "lowest", "highest", "texture_dither")
INTENSITIES = ("means", "nearest")
MOST_CELLS, MOST_POINTS = 64, 2**26
LARGEST = 1e6
"""Of what a pixel's brightness is scaled to; tiles are compared in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpec:
    """Sizes, conventions and constants of one preprocessing.

    `height_px, width_px`: the network's input, (y, x). `inputs`: one name for each stream, saying
    what its channels hold, such as "intensity", "lbp2", "intensity+lbp1+lbp2+lbp3" or "texture".
    `intensity`: "means" of the pixels between sample points, or the "nearest" pixel alone.
    The bright and dark percentiles of the tile fix the intensity scale: the bright one becomes 0
    and their distance 1, but never less than `contrast_floor` of the bright level, so that the
    noise of an empty tile stays small; values are clipped to [`lowest`, `highest`].
    "texture" has `texture_cells` cells along each side, counts about `texture_points` codes of each
    radius, and is dithered by `texture_dither` of that distance either way.
    """

    version: int = SPEC_VERSION
    height_px: int = 224
    width_px: int = 224
    inputs: tuple[str, ...] = ("intensity", "lbp1+lbp2+lbp3")
    bright_percentile: int = 90
    dark_percentile: int = 5
    contrast_floor: float = 0.25
    lowest: float = -2.0
    highest: float = 1.0
    intensity: str = "means"
    texture_cells: int = 8
    texture_points: int = 2**19
    texture_dither: float = 0.005

    def __post_init__(self) -> None:
        self._refuse_other_types()
        if self.version != SPEC_VERSION:
            raise ValueError(f"preprocessing version {self.version}; expected {SPEC_VERSION}")
        if min(self.height_px, self.width_px) < 1 or max(self.height_px, self.width_px) > 8192:
            raise ValueError(f"input {self.height_px}x{self.width_px}; sides must be 1 to 8192 px")
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs {self.inputs}; each name once, and at least 1")
        for name in self.inputs:
            input_parts(name)
        if not 0 <= self.dark_percentile < self.bright_percentile <= 100:
            raise ValueError(
                f"percentiles {self.dark_percentile}, {self.bright_percentile}; "
                "they must rise within 0 to 100"
            )
        if self.contrast_floor <= 0 or self.lowest >= self.highest:
            raise ValueError("contrast_floor must be above 0 and lowest below highest")
        if self.intensity not in INTENSITIES:
            raise ValueError(f"intensity {self.intensity!r}; expected {' or '.join(INTENSITIES)}")
        self._refuse_odd_textures()

    def _refuse_odd_textures(self) -> None:
        if not 1 <= self.texture_cells <= MOST_CELLS:
            raise ValueError(f"texture_cells {self.texture_cells}; expected 1 to {MOST_CELLS}")
        if not 1 <= self.texture_points <= MOST_POINTS:
            raise ValueError(f"texture_points {self.texture_points}; expected 1 to {MOST_POINTS}")
        if not 0 <= self.texture_dither <= 1:
            raise ValueError(f"texture_dither {self.texture_dither}; expected 0 to 1")

    def _refuse_other_types(self) -> None:
        """Raise ValueError for what JSON may hold in the place of a number or a name."""
        for name in WHOLE:
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} {getattr(self, name)!r}; expected a whole number")
        for name in REAL:
            value = getattr(self, name)
            if type(value) not in (int, float) or not abs(value) <= LARGEST:
                raise ValueError(f"{name} {value!r}; expected a finite number")
        if not all(isinstance(name, str) for name in self.inputs):
            raise ValueError(f"inputs {self.inputs}; expected names")

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> PreprocessSpec:
        """Return the spec a manifest holds; ValueError or TypeError for anything unknown."""
        return cls(**{**plain, "inputs": tuple(plain["inputs"])})

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        return {**asdict(self), "inputs": list(self.inputs)}

    @property
    def radii_px(self) -> tuple[int, ...]:
        """Return the LBP radii that any input needs, ascending."""
        parts = {part for name in self.inputs for part in input_parts(name)}
        return tuple(radius for part, radius in PART_RADII_PX.items() if part in parts)

    @property
    def counts_texture(self) -> bool:
        """Return whether any input is "texture"."""
        return TEXTURE in self.inputs

    def channels(self, name: str) -> int:
        """Return the number of channels of one input."""
        return input_channels(name)


def input_parts(name: str) -> tuple[str, ...]:
    """Return what an input's channels hold, in order; ValueError for a name not so formed."""
    parts = tuple(name.split("+"))
    if parts == (TEXTURE,):
        return parts
    if parts != tuple(part for part in PART_CHANNELS if part in parts):
        raise ValueError(
            f"input '{name}'; expected one or more of {', '.join(PART_CHANNELS)}, "
            f"each at most once, in this order, joined by '+'; or {TEXTURE}"
        )
    return parts


def input_channels(name: str) -> int:
    """Return the number of channels of an input; ValueError for an unknown name."""
    if name == TEXTURE:
        return TEXTURE_CHANNELS
    return sum(PART_CHANNELS[part] for part in input_parts(name))


def sample_points(*, source_px: int, target_px: int) -> NDArray[np.int64]:
    """Return the source index of every target index, floor(i * s): OpenCV's INTER_NEAREST.

    The scale is formed as OpenCV forms it, as the reciprocal of target/source in float64; dividing
    source by target directly differs by a pixel at some sizes.
    """
    scale = 1.0 / (target_px / source_px)
    points = np.floor(np.arange(target_px) * scale).astype(np.int64)
    return np.asarray(np.minimum(points, source_px - 1), dtype=np.int64)
