"""The frozen records that move between stages, and the conventions they share.

Axes: pixel arrays are (y, x), row 0 at the top. Pixel (0, 0) has its *centre* at coordinate
(0, 0), so a tile of width W has its centre at x = (W - 1) / 2. Mosaic coordinates are camera
pixels of the scan's objective with the camera's axes. Stage coordinates are micrometres in the
stage's axes. The 2x2 `stage_from_px` matrix of the camera-stage calibration joins the two:
`d_stage_um = stage_from_px @ (dx_px, dy_px)` is how far the stage travels between two tiles whose
contents lie (dx_px, dy_px) apart in the mosaic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.instant import Instant

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
TILE_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}")


def _finite(record: str, **values: float) -> None:
    for name, value in values.items():
        if not isfinite(value):
            raise ValueError(f"{record}.{name} is {value}; it must be a finite number")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePosition:
    """Where the stage says it is, micrometres in its own axes."""

    x_um: float
    y_um: float
    z_um: float

    def __post_init__(self) -> None:
        _finite("StagePosition", x_um=self.x_um, y_um=self.y_um, z_um=self.z_um)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLimits:
    """Closed travel ranges in micrometres: (lowest, highest) per axis."""

    x_um: tuple[float, float]
    y_um: tuple[float, float]
    z_um: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Pixels and their scale: all that compute needs to know of an image.

    `pixels` is (y, x), uint8 or uint16, read-only from here on; `pixel_size_um` is the side of one
    pixel on the specimen, micrometres. Raises ValueError for any other array or scale.
    """

    pixels: Pixels
    pixel_size_um: float

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"Picture.pixels is {self.pixels.dtype}{self.pixels.shape}; "
                "it must be a (y, x) array of uint8 or uint16"
            )
        _finite("Picture", pixel_size_um=self.pixel_size_um)
        if self.pixel_size_um <= 0:
            raise ValueError(f"Picture.pixel_size_um is {self.pixel_size_um}; it must be above 0")
        self.pixels.setflags(write=False)

    @property
    def shape_px(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


Phase = Literal["overview", "visit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imaging:
    """How frames are taken: through which objective, with which light, for how long."""

    objective: str
    pixel_size_um: float
    light: str
    brightness: float
    exposure_ms: float

    def __post_init__(self) -> None:
        _finite("Imaging", brightness=self.brightness, exposure_ms=self.exposure_ms)
        if not (np.isfinite(self.pixel_size_um) and self.pixel_size_um > 0):
            raise ValueError(f"Imaging.pixel_size_um is {self.pixel_size_um}; it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Everything about one tile's exposure but its pixels; stored as it is, in file and journal.

    `region_id` names the region that a visit goes back to; (`row`, `column`) is the place in the
    grid. `stage` is the position read back after the move, `taken` when the frame was read out; of
    a tile of several frames, when the stage was back at the tile's own height after the last.
    """

    tile_id: str
    phase: Phase
    region_id: str | None = None
    row: int
    column: int
    stage: StagePosition
    imaging: Imaging
    taken: Instant
    simulated: bool = False

    def __post_init__(self) -> None:
        if not TILE_ID.fullmatch(self.tile_id):
            raise ValueError(f"Shot.tile_id {self.tile_id!r} must match {TILE_ID.pattern}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackFrame:
    """One of several frames of a tile: (y, x) pixels, its light, and where it was taken.

    `above_um` is how far above the tile's own height it was asked for, `z_um` the height that the
    stage then read.
    """

    light: str
    exposure_ms: float
    above_um: float
    z_um: float
    pixels: Pixels


Covariance = tuple[tuple[float, float], tuple[float, float]]
UNSURE_PX2: Covariance = ((0.25, 0.0), (0.0, 0.25))


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPair:
    """The same specimen point seen in tiles a and b, pixel coordinates (x, y) in each.

    `covariance_px2` is 2x2 over (x, y): how surely the two are the same point.
    """

    a_px: tuple[float, float]
    b_px: tuple[float, float]
    covariance_px2: Covariance = UNSURE_PX2


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another place of tile b that explains the overlap about as well, as on periodic specimens.

    `lead_nats` is by how much the shift given is likelier for the overlap than this place, the
    natural logarithm of the ratio: negative where the flaws of the specimen speak for this one.
    """

    dx_px: float
    dy_px: float
    ncc: float
    lead_nats: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How tile b lies against tile a: b's pixel (0, 0) is at (dx_px, dy_px) in a's pixels.

    Of tiles turned against each other by `rotation_rad`, from x towards y, (dx_px, dy_px) is how
    far a place at the middle of the overlap lies in a beyond where it lies in b.
    `covariance_px2` is 2x2 over (dx, dy). `ncc` is the mean-centred correlation on the true
    overlap; `method` is "phase", "sift" or "loftr", or "none" where no match was accepted.
    `alternatives` are other shifts that the overlap does not rule out, without the one given, best
    first; `inliers` is how many keypoints or cells agree, where such were asked.
    """

    a: str
    b: str
    dx_px: float
    dy_px: float
    rotation_rad: float = 0.0
    covariance_px2: Covariance = UNSURE_PX2
    ncc: float = 0.0
    method: str = "phase"
    pairs: tuple[PointPair, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    inliers: int = 0

    def __post_init__(self) -> None:
        _finite("Shift", dx_px=self.dx_px, dy_px=self.dy_px, rotation_rad=self.rotation_rad)

    def residual_px(self, a: Placement, b: Placement) -> float:
        """Return how far b, placed beside a, lies from where this shift puts it."""
        return float(np.hypot(b.x_px - a.x_px - self.dx_px, b.y_px - a.y_px - self.dy_px))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What one tile has in common with those before it: a shift per overlap that the stage
    predicts. A `blank` tile holds nothing to match.
    """

    shifts: tuple[Shift, ...]
    blank: bool = False


PlacementFlag = Literal["", "blank", "stage-only", "suspect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Pose of a tile in the mosaic: the place of its pixel (0, 0) and its rotation.

    Pixel q lies at (x, y) + R(theta) q; where the tiles share a distortion, at
    (x, y) + R(theta) straightened(q).

    `flag` is "" for a tile held by matches; "blank" for one with nothing to match, left where the
    stage (as fitted so far) put it; "stage-only" for a textured tile none of whose matches were
    accepted; "suspect" where its matches disagree. `sigma_px` is the standard error of the tile's
    centre on either axis: against the scan as a whole, with what adds up over it, for a tile held
    by matches; against the stage for others. Neighbours err against each other by less.
    """

    tile_id: str
    x_px: float
    y_px: float
    theta_rad: float = 0.0
    sigma_px: float = 0.0
    flag: PlacementFlag = ""

    def __post_init__(self) -> None:
        _finite("Placement", x_px=self.x_px, y_px=self.y_px, theta_rad=self.theta_rad)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamEvidence:
    """What a seam's match rests on.

    `candidates` is how many places of b the overlap allows, 0 where nothing was matched; `inliers`
    how many keypoints agree, where keypoints were asked; `covariance_px2` 2x2 over (dx, dy).
    """

    candidates: int = 0
    inliers: int = 0
    covariance_px2: Covariance = UNSURE_PX2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """One predicted overlap of tiles a and b, and its quality under the full solution.

    (`dx_px`, `dy_px`) is the measured place of b's pixel (0, 0) in a's pixels, or the stage's
    prediction for method "none"; `residual_px` how far the mosaic is from it.
    """

    a: str
    b: str
    dx_px: float
    dy_px: float
    residual_px: float
    ncc: float
    method: str
    evidence: SeamEvidence = SeamEvidence()


VISIBLE_PX = 0.5
"""Half a pixel is what a reader of the map can just see; smaller faults are no suspicion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamQuality:
    """One seam: `sigma_px` of what it measured, how far that is from what the others predict
    (`left_out_px`, None where they predict nothing), how far its pictures lie apart in the map
    (`mismatch_px`, None where nothing could be compared), and what speaks against it.
    """

    seam: Seam
    sigma_px: float
    left_out_px: float | None
    mismatch_px: float | None
    suspicions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileQuality:
    """One tile: how many of its overlaps matched, its pictures' mismatch with its neighbours' in
    the map, and what speaks against its place.
    """

    place: Placement
    matched: int
    overlaps: int
    mismatch_px: float | None
    suspicions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlash:
    """Where a tile lies that the stage came to by a move up, beyond one it came to by a move down.

    For either axis of the stage the way (x, y) in mosaic pixels, and its standard error on either
    axis; 0 with a standard error of 0 where the scan moved one way only.
    """

    x_px: tuple[float, float]
    y_px: tuple[float, float]
    sigma_px: tuple[float, float]

    def in_words(self) -> str:
        """Return the length of either, as "backlash 3.9 ± 0.2 px in x"."""
        ways = zip("xy", (self.x_px, self.y_px), self.sigma_px, strict=True)
        said = [f"{np.hypot(*way):.1f} ± {s:.1f} px in {axis}" for axis, way, s in ways if s > 0]
        return "backlash " + ", ".join(said)


FocusStatus = Literal["ok", "empty", "multi-peak", "edge", "saturated", "drifting", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusVerdict:
    """The end of a focus loop: best z with its uncertainty, the curve, and why it failed.

    `curve` holds (z_um, sharpness) in the order measured, nothing where no sweep was needed;
    `exposures` counts the frames taken, under any lamp. For every status but "ok", `z_um` is where
    the loop started and `reason` says what was seen; of an "ok" one, which measurer erred.
    """

    status: FocusStatus
    z_um: float
    sigma_z_um: float
    curve: tuple[tuple[float, float], ...] = ()
    exposures: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        _finite("FocusVerdict", z_um=self.z_um)


DoubtAbout = Literal["", "specimen", "instrument", "score"]
BLANK_DOUBT = "blank: nothing in it beyond noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the classifier says of one picture; `scores` maps every class to its probability.

    `strangeness` is how unlike the training set the picture is, 1 at the model's limit, None for a
    model without a guard; beyond the limit `doubt` says in words why the label is not to be
    trusted, and `doubt_about` whether for the specimen, which is none that the model knows or shows
    nothing, for the instrument, which records it as training did not, or for the score alone. A
    doubt that is `BLANK_DOUBT` is an answer rather than a fault.
    """

    name: str
    score: float
    scores: dict[str, float] = field(default_factory=dict[str, float])
    model: str = ""
    strangeness: float | None = None
    doubt: str = ""
    doubt_about: DoubtAbout = ""

    @property
    def tells_where(self) -> bool:
        """Return whether regions may be looked for on its word: a doubt about the specimen forbids
        it; one about the instrument or the score leaves the plan's own least score to decide.
        """
        return self.doubt_about != "specimen"

    @property
    def trusted(self) -> bool:
        """Return whether the label is free of doubt."""
        return not self.doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Neighbouring tiles of a wanted class, to be visited at high magnification.

    `x_um, y_um` is the centre in stage coordinates of the overview objective; `box_px` is
    (x0, y0, x1, y1) in the overview mosaic.
    """

    region_id: str
    label: str
    score: float
    tile_ids: tuple[str, ...]
    x_um: float
    y_um: float
    box_px: tuple[float, float, float, float]
