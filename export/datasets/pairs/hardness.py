"""How hard the pairs are: the ranges from which `draw_pair` draws."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseRanges:
    """How the second strip lies against the first, and both upon the specimen.

    Turned by up to `rotation_deg` either way, moved by up to `along_px` in x, the direction in
    which strips are long, and `across_px` in y, larger or smaller by up to the share `stretch`.
    Both are magnified by a factor in `scale`, turned by any angle and mirrored at random, unless
    `upright`.

    Where the tiles bend the picture, it is by second and third order over the `tile_px` of a tile,
    whose corners move by up to `bend_px`. The first strip lies at the lower border of its tile, the
    second at the upper one of a tile that bends alike.
    """

    rotation_deg: float = 10.0
    along_px: float = 40.0
    across_px: float = 24.0
    stretch: float = 0.03
    scale: tuple[float, float] = (0.6, 1.4)
    upright: bool = False
    bend_px: float = 8.0
    tile_px: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRanges:
    """What the camera makes of a strip; the two strips of a pair are drawn one by one.

    `noise` is the standard deviation of white noise as a multiple of the signal's, which is taken
    over 56 px (slower changes are flattened before matching anyway), drawn by its logarithm.
    `blur_px` is the largest Gaussian sigma of defocus. `contrast` scales the specimen's signal
    against everything the light adds: `shading`, the largest change of brightness towards a strip's
    end as a multiple of the full signal. `pattern` is the largest standard deviation of a pattern
    that sits on the sensor, the same in both strips, as a multiple of the signal. A share
    `eight_bit` of the pairs comes from a camera of 256 levels, scaled to 16 bits.
    """

    noise: tuple[float, float] = (0.05, 2.2)
    blur_px: float = 2.5
    contrast: tuple[float, float] = (0.25, 1.0)
    shading: float = 1.5
    pattern: float = 0.1
    eight_bit: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardness:
    """All of it: `bent`, `blank`, `patterned` and `apart` are shares of the pairs.

    In a bent pair the tiles distort the picture; in a blank one part of the specimen is empty
    resin; a patterned one shows the sensor's pattern; strips apart have no place in common.
    """

    pose: PoseRanges = field(default_factory=PoseRanges)
    camera: CameraRanges = field(default_factory=CameraRanges)
    bent: float = 0.5
    blank: float = 0.25
    patterned: float = 0.25
    apart: float = 0.08


FULL = Hardness()
"""What the matcher must stand in the end."""

GENTLE = Hardness(pose=PoseRanges(rotation_deg=3.0))
"""How training begins: noise from clean to heavy from the first step, but small turns only."""
