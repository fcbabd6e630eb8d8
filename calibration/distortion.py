"""Distortion: how a lens or a scanned beam bends every frame, from overlaps of a textured area.

Two frames of one place show it in different pixels, so what an overlap has left after a shift is
the difference of the field between those. Overlaps of a scan lie along the rims and tell a part of
a field only; here neighbours share from a tenth to most of a frame, and every overlap is matched
strip by strip, so that all terms are seen but the linear ones, which are pixel size and rotation.

It is done twice. Where one frame is stretched against the other, a block's match is that of its
strongest detail, wherever in it that is. So the second pass draws one of two frames as bent
as the other, by the first field, which is right to a tenth of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.imaging import MicroscopeView, open_view
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.loaded import require_record, stage_from_px
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.distortion import Distortion, terms
from runtime.errors import CalibrationRefused
from runtime.instrument.rig import Rig
from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.ladder import match_phase
from runtime.stitch.match.refined import Match
from runtime.stitch.match.straight import as_taken, straightened
from runtime.stitch.match.strips import XY, StripPair
from runtime.stitch.match.threshold import Chance
from runtime.stitch.stitcher import GATE_MARGIN_PX, GATE_SIGMAS
from runtime.tile import Pixels

SIDE, STEP = 4, 0.3
"""Frames a row, and how far apart as a share of a frame."""

WAYS = {(1, 0), (2, 0), (0, 1), (0, 2), (1, 1)}
"""Columns and rows between the two frames of a pair. The nearest alone would leave the rim open."""

DEGREE = 5
STRIPS, STRIP_LEAST_PX = 6, 48
"""An overlap is matched in strips of this share of a frame's side, or of the least width."""

BLOCK_SIGMA_PX = 0.02
"""What a field of this degree leaves of a real one: a block surer than that says no more."""

LIKELY_PX = 20.0
PASSES, ROUNDS = 2, 6
ENOUGH = 0.6
"""Share of the frames that must hold detail, and of the overlaps that must match."""

SIGMA_LIMIT_PX, RESIDUAL_LIMIT_PX = 0.1, 0.5
CLAIM_SIGMAS = 3.0
"""A field larger than this is no noise, and then must leave less than there was without it."""


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """What the blocks of all overlaps show: the same specimen at `a_px` and `b_px` (n, 2) x, y.

    `variances_px2` (n, 2) are those of a - b, `pairs` (n,) which two frames they belong to;
    `wanted` pairs were looked at.
    """

    a_px: Floats
    b_px: Floats
    variances_px2: Floats
    pairs: Ints

    wanted: int

    @property
    def seams(self) -> int:
        """How many pairs of frames matched."""
        return len(np.unique(self.pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class DistortionFit:
    """The `field`; the largest displacement on the rim with its standard error, the largest such
    error anywhere on the rim; what each pair of frames has left (rms), px, without and with it.
    """

    field: Distortion
    largest_px: float
    largest_sigma_px: float
    worst_sigma_px: float
    before_px: Floats
    after_px: Floats

    @property
    def beyond_noise(self) -> bool:
        """Whether the field says of itself that there is one."""
        return self.largest_px > CLAIM_SIGMAS * self.largest_sigma_px


def fit_distortion(seen: Overlaps, *, shape_px: tuple[int, int]) -> DistortionFit:
    """Return the field of frames (height, width) that the overlaps agree on.

    Least squares of a polynomial without linear terms and one shift a pair. Blocks that follow
    something else count less (Geman and McClure's weights).
    """
    found, before, after, covariances = [], [], [], []
    in_a, in_b = (terms(p, shape_px=shape_px, degree=DEGREE) for p in (seen.a_px, seen.b_px))
    for axis in (0, 1):
        slopes = in_b - in_a
        shifts = (seen.a_px - seen.b_px)[:, axis]
        fitted, covariance, left = _solved(slopes, shifts, seen.variances_px2[:, axis], seen.pairs)
        found.append(fitted)
        covariances.append(covariance)
        after.append(left)
        before.append(_within(shifts, np.ones_like(shifts), seen.pairs))
    field = Distortion(shape_px, DEGREE, np.column_stack(found))
    rim = field.rim_px
    moved, along = field.straightened(rim) - rim, field.terms(rim)
    sigmas = np.sqrt([((along @ one) * along).sum(axis=1) for one in covariances]).T
    furthest = int(np.hypot(*moved.T).argmax())
    way = moved[furthest] / max(float(np.hypot(*moved[furthest])), 1e-12)
    return DistortionFit(
        field=field,
        largest_px=float(np.hypot(*moved[furthest])),
        largest_sigma_px=float(np.hypot(*(way * sigmas[furthest]))),
        worst_sigma_px=float(sigmas.max()),
        before_px=_each_pair(before, seen.pairs),
        after_px=_each_pair(after, seen.pairs),
    )


def judge(fit: DistortionFit, *, shape_px: tuple[int, int]) -> Measurement:
    """Return the measurement with its verdict."""
    before, after = (float(np.sqrt(np.mean(left**2))) for left in (fit.before_px, fit.after_px))
    advice = ""
    if fit.worst_sigma_px > SIGMA_LIMIT_PX:
        advice = "too little detail: set calibration.textured_field_um to a place with more of it"
    elif after > RESIDUAL_LIMIT_PX or (after >= before and fit.beyond_noise):
        advice = (
            "frames do not agree on one field: look for vibration or a specimen that moves, or set "
            "calibration.textured_field_um to a place with more detail"
        )
    height, width = shape_px
    return Measurement(
        values={
            "largest_px": Measured(fit.largest_px, fit.largest_sigma_px, "px"),
            "sigma_px": Measured(fit.worst_sigma_px, 0.0, "px"),
            "residual_before_px": Measured(before, 0.0, "px"),
            "residual_px": Measured(after, 0.0, "px"),
            "seams": Measured(len(fit.after_px), 0.0, ""),
            "width_px": Measured(width, 0.0, "px"),
            "height_px": Measured(height, 0.0, "px"),
        },
        residuals=tuple(fit.after_px.tolist()),
        acceptance=f"σ on the rim ≤ {SIGMA_LIMIT_PX} px, residual ≤ {RESIDUAL_LIMIT_PX} px "
        "and less than without",
        passed=not advice,
        advice=advice,
        arrays={"coefficients": fit.field.coefficients_px},
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Photograph a dense grid about the textured field and file the record; needs camera-stage.

    Raises CalibrationRefused when too few of the overlaps match.
    """
    matrix = stage_from_px(
        require_record(rig, settings, folder=folder, kind="camera-stage", objective=objective)
    )
    x_um, y_um = settings.calibration.textured_field_um
    progress(f"distortion {objective}: {SIDE} x {SIDE} frames about ({x_um:g}, {y_um:g}) µm")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    view.focus()
    info = rig.camera.info
    shape_px = info.height_px, info.width_px
    frames = _frames(view, matrix, (x_um, y_um), shape_px)
    sigma_px = rig.stage_sigma_um / float(np.sqrt(abs(np.linalg.det(matrix))))
    gate_px = int(np.ceil(GATE_SIGMAS * np.sqrt(2) * sigma_px)) + GATE_MARGIN_PX
    wide, high = (STEP * (SIDE - 1) + 1) * np.abs(matrix) @ shape_px[::-1]
    remedy = (
        "set calibration.textured_field_um to the middle of "
        f"{wide:.0f} x {high:.0f} µm of fine, lasting detail"
    )
    textured = sum(not is_blank(frame.pixels) for frame in frames)
    _refuse_few(f"distortion {objective}: too few frames hold detail", textured, SIDE**2, remedy)
    fit: DistortionFit | None = None
    for _ in range(PASSES):
        seen = match_frames(frames, gate_px=gate_px, known=None if fit is None else fit.field)
        too_few = f"distortion {objective}: too few overlaps match"
        _refuse_few(too_few, seen.seams, seen.wanted, remedy)
        fit = fit_distortion(seen, shape_px=shape_px)
    assert fit is not None
    outcome = judge(fit, shape_px=shape_px)
    return file_away(
        rig, folder, kind="distortion", objective=objective, subject=objective, outcome=outcome
    )


def _refuse_few(what: str, count: int, wanted: int, remedy: str) -> None:
    if count < ENOUGH * wanted:
        raise CalibrationRefused(
            what, value=f"{count} of {wanted}", limit=f"{ENOUGH:.0%}", remedy=remedy
        )


@dataclass(frozen=True, slots=True)
class GridFrame:
    """A corrected frame, and where its pixel (0, 0) lies by the stage, (x, y) camera pixels.

    (`column`, `row`) is its place in the grid.
    """

    pixels: Pixels
    at_px: XY
    column: int
    row: int

    def steps_to(self, other: GridFrame) -> tuple[int, int]:
        """Return how many columns and rows lie between two frames."""
        return abs(self.column - other.column), abs(self.row - other.row)


def match_frames(
    frames: list[GridFrame], *, gate_px: int, known: Distortion | None = None
) -> Overlaps:
    """Return what the frames' overlaps show; a match may lie `gate_px` from where the stage has it.

    `known` is about how the frames are bent. What is returned are the pixels of the frames as they
    are, whether it is known or not.
    """
    chance = [Chance.of(frame.pixels, gate_px=gate_px) for frame in frames]
    pairs = [
        (i, j)
        for i, j in combinations(range(len(frames)), 2)
        if frames[i].steps_to(frames[j]) in WAYS
    ]
    rows: list[list[float]] = []
    for number, (i, j) in enumerate(pairs):
        for strips in _strips(frames[i], frames[j], gate_px):
            match = _matched(strips, chance[i] + chance[j], known)
            for point in () if match is None else match.pairs:
                (xx, _), (_, yy) = point.covariance_px2
                rows.append([*point.a_px, *point.b_px, xx, yy, number])
    told = np.array(rows).reshape(-1, 7)
    return Overlaps(
        a_px=told[:, :2],
        b_px=told[:, 2:4],
        variances_px2=told[:, 4:6],
        pairs=told[:, 6].astype(np.int64),
        wanted=len(pairs),
    )


def _matched(strips: StripPair, chance: Chance, known: Distortion | None) -> Match | None:
    """Return the match of two strips in the pixels of the frames as they are, or None."""
    # Of empty glass every place is as likely, and each would be looked into.
    if is_blank(strips.a) or is_blank(strips.b):
        return None
    if known is None:
        return match_phase(strips, chance)
    straight = straightened(strips, known)
    match = None if straight is None else match_phase(straight, chance)
    return None if match is None else as_taken(match, strips.shift_px, known)


def _frames(
    view: MicroscopeView, matrix: Floats, centre_um: XY, shape_px: tuple[int, int]
) -> list[GridFrame]:
    step_px = STEP * np.array(shape_px[::-1])
    frames = []
    for row in range(SIDE):
        for column in range(SIDE):
            way_px = step_px * (np.array([column, row]) - (SIDE - 1) / 2)
            x_um, y_um = np.array(centre_um) + matrix @ way_px
            pixels, reached = view.picture_at(x_um=float(x_um), y_um=float(y_um))
            x_px, y_px = np.linalg.solve(matrix, (reached.x_um, reached.y_um)).tolist()
            frames.append(GridFrame(pixels, (x_px, y_px), column, row))
    return frames


def _strips(a: GridFrame, b: GridFrame, gate_px: int) -> Iterator[StripPair]:
    """Yield the overlap of two frames in strips across the longer way between them."""
    shift = b.at_px[0] - a.at_px[0], b.at_px[1] - a.at_px[1]
    size = a.pixels.shape[::-1]
    spans = [
        (max(round(way), 0), min(round(way), 0) + side)
        for way, side in zip(shift, size, strict=True)
    ]
    axis = 0 if abs(shift[0]) / size[0] >= abs(shift[1]) / size[1] else 1
    low, high = spans[axis]
    width = max(size[axis] // STRIPS, STRIP_LEAST_PX)
    count = max((high - low) // width, 1)
    for n in range(count):
        part = list(spans)
        part[axis] = low + (high - low) * n // count, low + (high - low) * (n + 1) // count
        (x0, x1), (y0, y1) = part
        in_b = [
            (max(start - round(way) - gate_px, 0), min(end - round(way) + gate_px, side))
            for (start, end), way, side in zip(part, shift, size, strict=True)
        ]
        crop_b = b.pixels[slice(*in_b[1]), slice(*in_b[0])]
        origin_b = in_b[0][0], in_b[1][0]
        yield StripPair(a.pixels[y0:y1, x0:x1], crop_b, (x0, y0), origin_b, shift, gate_px)


def _solved(
    slopes: Floats, shifts: Floats, variances: Floats, pairs: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return the coefficients (terms,) along one axis, their covariance, and what is left (n,)."""
    weights = 1 / (variances + BLOCK_SIGMA_PX**2)
    sure = weights
    for _ in range(ROUNDS):
        free, wanted = _within(slopes, sure, pairs), _within(shifts, sure, pairs)
        held = free.T @ (sure[:, None] * free) + np.eye(slopes.shape[1]) / LIKELY_PX**2
        found = np.linalg.solve(held, free.T @ (sure * wanted))
        left = wanted - free @ found
        noise = max(float(np.median(weights * left**2)) / 0.4549, 1e-3)
        sure = weights * (1 + weights * left**2 / (4 * noise)) ** -2.0
    # Blocks of one overlap may err alike, so that overlaps are what is counted (White's
    # covariance); it knows little of its own size where there are few of them.
    scores = np.zeros((int(pairs.max()) + 1, len(found)))
    np.add.at(scores, pairs, free * (sure * left)[:, None])
    spread = np.linalg.solve(held, scores.T)
    count = len(np.unique(pairs))
    of_pairs = spread @ spread.T * (count / max(count - len(found), 1))
    spare = max(len(shifts) - count - len(found), 1)
    of_blocks = np.linalg.inv(held) * float(sure @ left**2) / spare
    covariance = max(of_pairs, of_blocks, key=np.trace)
    return np.asarray(found, np.float64), np.asarray(covariance, np.float64), left


def _within(values: Floats, weights: Floats, pairs: Ints) -> Floats:
    """Return values (n, ...) with the weighted mean of each pair of frames taken out."""
    rows = values.reshape(len(values), -1)
    sums = np.zeros((int(pairs.max()) + 1, rows.shape[1]))
    np.add.at(sums, pairs, weights[:, None] * rows)
    total = np.maximum(np.bincount(pairs, weights, len(sums)), 1e-12)
    within: Floats = (rows - (sums / total[:, None])[pairs]).reshape(values.shape)
    return within


def _each_pair(left: list[Floats], pairs: Ints) -> Floats:
    """Return the rms of what two axes have left, for each pair of frames that matched."""
    square = left[0] ** 2 + left[1] ** 2
    counts = np.bincount(pairs)
    rms: Floats = np.sqrt(np.bincount(pairs, square)[counts > 0] / counts[counts > 0])
    return rms
