"""The whole grid from a matcher's pairs: where its tiles come to lie, and the picture they make.

Whatever the matcher, its pairs go through the product's graph and are drawn as the product draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from export.datasets.demis import DemisGrid, DemisTile
from export.evaluate.matching.geometry import RANSAC_PX
from export.evaluate.matching.grid import gate_px
from export.evaluate.matching.matcher import Floats
from export.evaluate.matching.score import PairOutcome
from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.map.export import opened
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.strips import MOST_TURN_RAD, turned_gate_px
from runtime.stitch.match.turned import RigidMotion
from runtime.tile import Covariance, Pixels, Placement, PointPair, Shift

FEWEST = 8
"""Matches that must agree on a motion for it to be believed."""

LEAST_PX = 0.05
"""A motion is known no better than this, however many matches agree: they share their mistakes."""


def believed(
    grid: DemisGrid, outcomes: Sequence[PairOutcome], *, stage_sigma_px: float
) -> list[Shift]:
    """Return what the pairs of a grid say that can be believed: enough matches agree on a motion
    that the stage allows.
    """
    tiles = {tile.name: tile for tile in grid.tiles}
    gate = gate_px(stage_sigma_px)
    told = (_shift(tiles[one.score.a], tiles[one.score.b], one, gate=gate) for one in outcomes)
    return [shift for shift in told if shift is not None]


def placed(
    grid: DemisGrid, shifts: Sequence[Shift], *, stage_sigma_px: float
) -> dict[str, Placement]:
    """Return where the tiles of a grid lie by these shifts, in the reference.

    The whole is laid on the reference so that its tiles' corners are nearest to where they truly
    are: a map as such lies nowhere.
    """
    graph = PoseGraph(stage_sigma_px, shape_px=grid.tile_shape)
    tiles = {tile.name: tile for tile in grid.tiles}
    of_tile: defaultdict[str, list[Shift]] = defaultdict(list)
    for shift in shifts:
        of_tile[shift.b].append(shift)
    for name, tile in sorted(tiles.items()):
        graph.extend(name, prior_px=tile.nominal_px, blank=False, shifts=of_tile[name])
    return _laid(graph.solve(), tiles, grid.tile_shape)


def true_places(grid: DemisGrid) -> dict[str, Placement]:
    """Return where the tiles of a grid truly lie, in the reference."""
    places = {}
    for tile in grid.tiles:
        (cosine, _, x), (sine, _, y) = tile.to_reference
        turn_rad = float(np.arctan2(sine, cosine))
        places[tile.name] = Placement(tile_id=tile.name, x_px=x, y_px=y, theta_rad=turn_rad)
    return places


def centre_errors_px(grid: DemisGrid, places: Mapping[str, Placement]) -> Floats:
    """Return how far the centre of each tile lies from where it truly is, (n,)."""
    height, width = grid.tile_shape
    centre = np.array([[(width - 1) / 2, (height - 1) / 2]])
    off = [_pose(places[t.name]).into_a(centre) - _true(t, centre) for t in grid.tiles]
    errors: Floats = np.hypot(*np.concatenate(off).T)
    return errors


def drawn(
    places: Mapping[str, Placement], pixels: Mapping[str, Pixels], *, shape_px: tuple[int, int]
) -> Pixels:
    """Return the map as it covers a reference of `shape_px`, (y, x), 0 where no tile lies."""
    some = next(iter(pixels.values()))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "map.ome.zarr"
        mosaic = Mosaic(
            path,
            tile_shape_px=(some.shape[0], some.shape[1]),
            pixel_size_um=None,
            dtype=some.dtype,
            name="map",
            simulated=True,
            live=False,
        )
        mosaic.settle(places, pixels.__getitem__)
        about, levels = opened(path)
        whole = np.asarray(levels[0][:])
    x0, y0 = about["nightscope"]["origin_px"]
    shown = np.zeros(shape_px, whole.dtype)
    rows, columns = (
        _common(o, n, m) for o, n, m in zip((y0, x0), whole.shape, shape_px, strict=True)
    )
    shown[rows[1], columns[1]] = whole[rows[0], columns[0]]
    return shown


def _common(origin: int, size: int, wanted: int) -> tuple[slice, slice]:
    """Return the same pixels of a map that begins at an origin, and of the reference, one axis."""
    start, end = max(origin, 0), max(min(origin + size, wanted), max(origin, 0))
    return slice(start - origin, end - origin), slice(start, end)


def _shift(a: DemisTile, b: DemisTile, outcome: PairOutcome, *, gate: int) -> Shift | None:
    """Return what a pair says of its tiles, None where it cannot be believed.

    Its matches are told as two points: as far apart as they spread along the seam, and as sure as
    all of them together are of place and angle.
    """
    model, matches = outcome.model, outcome.matches
    if model.motion is None or model.inliers < FEWEST:
        return None
    said_px = np.subtract(b.nominal_px, a.nominal_px)
    most_px = turned_gate_px((float(said_px[0]), float(said_px[1])), gate)
    off = matches.a_px - model.motion.into_a(matches.b_px)
    in_a = matches.a_px[np.hypot(*off.T) <= RANSAC_PX]
    middle = in_a.mean(axis=0)
    here = middle - model.motion.into_b(middle[None])[0]
    if np.abs(here - said_px).max() > most_px:
        return None
    if abs(model.motion.rotation_rad) > 2 * MOST_TURN_RAD:
        return None
    variances, axes = np.linalg.eigh(np.cov((in_a - middle).T, bias=True))
    ends = middle + np.outer((1, -1), axes[:, 1] * np.sqrt(variances[1]))
    variance = max(model.rms_px**2 / 2 / len(in_a), LEAST_PX**2)
    return Shift(
        a=a.name,
        b=b.name,
        dx_px=float(here[0]),
        dy_px=float(here[1]),
        rotation_rad=model.motion.rotation_rad,
        covariance_px2=_round(variance),
        pairs=_ends(ends, model.motion, 2 * variance),
    )


def _ends(in_a: Floats, motion: RigidMotion, variance: float) -> tuple[PointPair, ...]:
    both = zip(in_a.tolist(), motion.into_b(in_a).tolist(), strict=True)
    return tuple(
        PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=_round(variance))
        for (ax, ay), (bx, by) in both
    )


def _round(variance: float) -> Covariance:
    return ((variance, 0.0), (0.0, variance))


def _laid(
    places: Mapping[str, Placement], tiles: Mapping[str, DemisTile], shape_px: tuple[int, int]
) -> dict[str, Placement]:
    height, width = shape_px
    corners = np.array([(0.0, 0.0), (width - 1, 0.0), (width - 1, height - 1), (0.0, height - 1)])
    found = np.concatenate([_pose(place).into_a(corners) for place in places.values()])
    true = np.concatenate([_true(tiles[name], corners) for name in places])
    whole = RigidMotion.fitted(true, found)
    laid = {}
    for name, place in places.items():
        x, y = whole.into_a(np.array([[place.x_px, place.y_px]]))[0].tolist()
        turn_rad = place.theta_rad + whole.rotation_rad
        laid[name] = Placement(tile_id=name, x_px=x, y_px=y, theta_rad=turn_rad)
    return laid


def _pose(place: Placement) -> RigidMotion:
    return RigidMotion(place.theta_rad, np.array([place.x_px, place.y_px]))


def _true(tile: DemisTile, points: Floats) -> Floats:
    matrix = np.array(tile.to_reference)
    there: Floats = points @ matrix[:, :2].T + matrix[:, 2]
    return there
