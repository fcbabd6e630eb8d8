"""Every tile's pose from the shifts and the stage, kept current as tiles arrive.

Two views of the same graph. `solve` takes all of it at once, sorted by id, and so depends on the
set of shifts and priors alone. The running estimate re-solves only the tiles a few seams away from
a new one with the rest held, and goes on where those at the rim moved; and everything each time the
scan has grown by a fifth, so that what full solves cost per tile does not grow. `moved` hands on
only what changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import cos, hypot, sin

import numpy as np

from runtime.distortion import Distortion
from runtime.stitch.graph.bending import BendSample, unbent
from runtime.stitch.graph.field import NUMBERS, numbers_of
from runtime.stitch.graph.linear_kernel import misfits
from runtime.stitch.graph.model import Floats, Ints
from runtime.stitch.graph.near_kernel import EVERYBODY, NOBODY, take_over
from runtime.stitch.graph.robust import Cuts
from runtime.stitch.graph.seam import measure
from runtime.stitch.graph.settle import FLAGS, Settled, Shared, settle_all, settle_near
from runtime.stitch.graph.store import Heading, Key, SeamRows, TileRows
from runtime.stitch.match.strips import XY
from runtime.tile import Backlash, Covariance, Placement, Seam, SeamEvidence, Shift

HOPS = 3
"""How many seams away from a new tile others may move at once."""

SPREADS = 3
MOST_TILES = 120
"""Where the change does not end within so much, the next full solve takes the rest."""

GROWTH = 0.2
FRESH_TILES = 200
"""While a scan is small, every full solve decides on all seams anew: early mistakes then do not
last, and it costs a few milliseconds."""

TOLD_PX = 0.01
TOLD_SIGMA_SHARE = 0.2
"""A full solve nudges every tile of the scan by far less than this. Handing such moves on would
make journal and map write the whole scan time and again, for a difference nobody can see."""


class PoseGraph:
    """Poses of tiles of `shape_px` (height, width) in the mosaic, from shifts under a stage prior
    of `sigma_px`. No distortion is looked for where one was `calibrated`.
    """

    def __init__(
        self, sigma_px: float, *, shape_px: tuple[int, int], calibrated: Distortion | None = None
    ) -> None:
        self.shifts: dict[Key, Shift] = {}
        self.distortion: Distortion | None = None
        self._shape_px, self._calibrated = shape_px, calibrated
        self._middle = (np.array(shape_px[::-1], dtype=np.float64) - 1) / 2
        self._half = float(self._middle[0]), float(self._middle[1])
        self._quiet = TOLD_PX, TOLD_SIGMA_SHARE, hypot(*self._half)
        self._shared = Shared(sigma_px)
        self._tiles, self._seams = TileRows(), SeamRows()
        self._rows: dict[frozenset[str], int] = {}
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)
        self._waiting: defaultdict[str, list[Shift]] = defaultdict(list)
        self._bends = BendSample()
        self._solved: Settled | None = None
        self._solution: dict[str, Placement] | None = None
        self._moved: set[int] = set()
        self._unsolved: list[int] = []
        self._since_full = 0

    def __contains__(self, tile_id: str) -> bool:
        return tile_id in self._tiles.index

    def extend(
        self,
        tile_id: str,
        *,
        prior_px: XY,
        blank: bool,
        shifts: Iterable[Shift],
        heading: Heading = (0.0, 0.0),
    ) -> None:
        """Add a tile with its matches to others; solved for when a placement is asked for.

        `prior_px` is the stage's prediction (x, y) of its pixel (0, 0), `heading` the sign of the
        last move of either of its axes, which tells its backlash, 0 where that is not known. Shifts
        of method "none" are kept for the record and pull on nothing; one to a tile that is still to
        come waits for it. A tile that is there already is a retake: what was known of its pictures
        before is forgotten, the seams of others with it too.
        """
        self._solution = None
        if tile_id in self:
            self._forget(tile_id)
        at_px = np.array(prior_px) + self._middle
        row = self._tiles.put(tile_id, centre_px=at_px, heading=heading, blank=blank)
        for shift in [*self._waiting.pop(tile_id, ()), *shifts]:
            self._take(shift)
        self._unsolved.append(row)

    def improve(self, shift: Shift) -> None:
        """Take in a shift between two tiles of the graph in place of the one before."""
        self._solution = None
        self._take(shift)
        self._unsolved.append(self._tiles.index[shift.b])

    def placement(self, tile_id: str) -> Placement:
        """Return the current estimate of one tile; raises KeyError for an unknown one."""
        self._catch_up()
        row = self._tiles.index[tile_id]
        return self._placement(tile_id, self._tiles.state[row].tolist())

    def moved(self) -> dict[str, Placement]:
        """Return the tiles that are new, or whose estimate changed, since the last call.

        A change of less than `TOLD_PX` in place and of a fifth in sigma, with the same flag, is
        kept back until it adds up to more.
        """
        self._catch_up()
        rows = sorted(self._moved, key=self._tiles.names.__getitem__)
        states = self._tiles.state[rows]
        self._tiles.told[rows] = states
        self._moved.clear()
        names = [self._tiles.names[row] for row in rows]
        return {n: self._placement(n, s) for n, s in zip(names, states.tolist(), strict=True)}

    def solve(self) -> dict[str, Placement]:
        """Return the robust solution of the whole graph; the same for the same set of records.

        `distortion` is then the field that all tiles were found to share.
        """
        if self._solution is None:
            self._solution = self._solved_whole() if self._tiles.names else {}
        return dict(self._solution)

    def _solved_whole(self) -> dict[str, Placement]:
        shared, self.distortion = self._bent()
        solved = settle_all(self._tiles, self._seams, shared, again=False)
        self._solved = solved
        names = [self._tiles.names[row] for row in solved.rows.tolist()]
        states = solved.state.tolist()
        return {n: self._placement(n, s) for n, s in zip(names, states, strict=True)}

    @property
    def backlash(self) -> Backlash | None:
        """What `solve` found to lie between the places that a move one way and the other leads to;
        None where headings tell nothing of it.
        """
        shared = None if self._solved is None else self._solved.shared
        if shared is None or shared.correction is None or shared.correction_px is None:
            return None
        told = np.ptp(self._tiles.heading[: len(self._tiles.names)], axis=0) > 0
        if not told.any():
            return None
        (xx, xy), (yx, yy) = shared.correction[3:].tolist()
        x_px, y_px = np.where(told, np.hypot(*shared.correction_px[3:].T) / 2**0.5, 0.0).tolist()
        return Backlash(x_px=(xx, xy), y_px=(yx, yy), sigma_px=(x_px, y_px))

    def seams(self, placed: Mapping[str, Placement]) -> tuple[Seam, ...]:
        """Return every predicted overlap with its quality under what `solve` returned."""
        if self._solved is None:
            return ()
        poses = np.array([self._pose(placed[name]) for name in self._tiles.names])
        taken = dict(zip(self._solved.seams.tolist(), self._solved.choice.tolist(), strict=True))
        keyed = ((key, self._rows.get(frozenset(key))) for key in sorted(self.shifts))
        matched = {key: row for key, row in keyed if row is not None}
        rows = np.array([*matched.values()], dtype=np.int64)
        ways = np.array([self._way(n, taken.get(n, 0)) for n in matched.values()]).reshape(-1, 2)
        off_px = self._residuals_px(rows, ways, poses, self._solved.shared)
        told = dict(zip(matched, zip(ways.tolist(), off_px.tolist(), strict=True), strict=True))
        found = []
        for key, shift in sorted(self.shifts.items()):
            if key in told:
                (x, y), off = told[key]
            else:
                x, y, off = 0.0, 0.0, shift.residual_px(*(placed[name] for name in key))
            found.append(_seam(shift, (shift.dx_px + x, shift.dy_px + y), off))
        return tuple(found)

    def residual_px(self, shift: Shift) -> float:
        """Return how far the current estimate disagrees with a shift between placed tiles."""
        self._catch_up()
        row = self._rows[frozenset((shift.a, shift.b))]
        way = self._way(row, int(self._seams.choice[row]))
        rows, poses = np.array([row]), self._tiles.state
        return float(self._residuals_px(rows, way[None], poses, self._shared)[0])

    def _catch_up(self) -> None:
        """Solve for what was added since: one tile by its surroundings, many, as on a resume, at
        once.
        """
        if not self._unsolved:
            return
        self._since_full += len(self._unsolved)
        count, many = len(self._tiles.names), len(self._unsolved) > 1
        due = many or self._since_full > GROWTH * count
        afresh = due and (many or count <= FRESH_TILES)
        if not afresh:
            self._settle_near(self._unsolved[0])
        if due:
            self._settle_whole(again=not afresh)
        self._unsolved.clear()

    def _settle_whole(self, *, again: bool) -> None:
        shared, _ = self._bent()
        settled = settle_all(self._tiles, self._seams, shared, again=again)
        self._shared = settled.shared
        self._take_over(settled, EVERYBODY)
        self._since_full = 0

    def _bent(self) -> tuple[Shared, Distortion | None]:
        """Return what all tiles share, with the field that their seams agree on by now."""
        found = self._bends.distortion(self._shape_px)
        numbers = np.zeros(NUMBERS) if found is None else numbers_of(found.coefficients_px)
        return replace(self._shared, numbers=numbers), found

    def _settle_near(self, new: int) -> None:
        """Solve around a new tile, and on from where the change has not died down.

        The tiles around are held, so none but the new one is known better then; what the rest of
        the scan adds comes with the next full solve.
        """
        restless, fresh, seen = np.array([new]), new, 0
        for _ in range(SPREADS):
            settled = settle_near(
                self._tiles, self._seams, restless, fresh, self._shared, hops=HOPS
            )
            restless, seen = self._take_over(settled, fresh), seen + len(settled.rows)
            fresh = NOBODY
            if not len(restless) or seen > MOST_TILES:
                break

    def _take_over(self, settled: Settled, surer: int) -> Ints:
        """Take a solution over, sigmas only of the row `surer`; return the tiles that moved beside
        one that was held.
        """
        changed, restless = take_over(
            settled.rows,
            settled.state,
            surer,
            settled.seams,
            settled.weights,
            settled.choice,
            self._seams.chains(len(self._tiles.names)),
            self._tiles.columns,
            self._seams.columns,
            self._quiet,
        )
        self._moved.update(changed.tolist())
        beside: Ints = np.sort(restless)
        return beside

    def _take(self, shift: Shift) -> None:
        """Take in a shift; of two between the same tiles the later one counts."""
        pair = frozenset((shift.a, shift.b))
        missing = [name for name in (shift.a, shift.b) if name not in self]
        if missing:
            self._waiting[missing[0]].append(shift)
            return
        self.shifts.pop((shift.b, shift.a), None)
        self._drop(pair)
        # Point pairs are most of a shift's memory, and what they say is condensed here.
        self.shifts[shift.a, shift.b] = replace(shift, pairs=())
        for name in pair:
            self._keys[name].add((shift.a, shift.b))
        if shift.method == "none":
            return
        key, seam = (shift.a, shift.b), measure(shift, self._calibrated, shape_px=self._shape_px)
        ends = self._tiles.index[shift.a], self._tiles.index[shift.b]
        self._rows[pair] = self._seams.put(key, ends, seam)
        if seam.bend is not None and self._calibrated is None:
            self._bends.add(key, seam.bend)

    def _drop(self, pair: frozenset[str]) -> None:
        row = self._rows.pop(pair, None)
        if row is not None:
            self._seams.drop(row)
            self._bends.drop(self._seams.keys[row])

    def _forget(self, tile_id: str) -> None:
        """Forget every seam of a tile."""
        row = self._tiles.index[tile_id]
        for seam in self._seams.of_tile(row):
            self._drop(frozenset(self._seams.keys[seam]))
        for key in self._keys.pop(tile_id, ()):
            self.shifts.pop(key, None)

    def _way(self, row: int, choice: int) -> Floats:
        """Return the way from a seam's first candidate to another one, px."""
        ways = self._seams.choices.get(row)
        return np.zeros(2) if ways is None else ways[choice, :2]

    def _residuals_px(self, rows: Ints, ways: Floats, poses: Floats, shared: Shared) -> Floats:
        """Return how far b is from where seams (m,) have it, by ways (m, 2) to another candidate,
        where each seam is surest.
        """
        seams = self._seams
        measured = unbent(seams.pose[rows], seams.follow[rows], shared.numbers)
        measured[:, :2] += ways
        ends = np.ascontiguousarray(poses[seams.ends[rows], :3]).reshape(-1, 3)
        over = misfits(ends, np.arange(2 * len(rows)).reshape(-1, 2), measured)
        off_px: Floats = np.hypot(*Cuts.of(seams.information[rows]).ways_px(over).T)
        return off_px

    def _placement(self, name: str, state: list[float]) -> Placement:
        x, y, theta, sigma, flag = state
        cosine, sine = cos(theta), sin(theta)
        right, down = self._half
        return Placement(
            tile_id=name,
            x_px=x - cosine * right + sine * down,
            y_px=y - sine * right - cosine * down,
            theta_rad=theta,
            sigma_px=sigma,
            flag=FLAGS[int(flag)],
        )

    def _pose(self, place: Placement) -> tuple[float, float, float]:
        """Return the pose of a placed tile's centre."""
        cosine, sine = np.cos(place.theta_rad), np.sin(place.theta_rad)
        right, down = self._middle
        x = place.x_px + cosine * right - sine * down
        return float(x), float(place.y_px + sine * right + cosine * down), place.theta_rad


def _seam(shift: Shift, at_px: tuple[float, float], residual_px: float) -> Seam:
    return Seam(
        a=shift.a,
        b=shift.b,
        dx_px=at_px[0],
        dy_px=at_px[1],
        residual_px=residual_px,
        ncc=shift.ncc,
        method=shift.method,
        evidence=SeamEvidence(
            candidates=0 if shift.method == "none" else 1 + len(shift.alternatives),
            inliers=shift.inliers,
            covariance_px2=_covariance_px2(shift, at_px),
        ),
    )


def _covariance_px2(shift: Shift, at_px: tuple[float, float]) -> Covariance:
    """Return what the overlap alone says of where b lies: with every place that it allows."""
    if not shift.alternatives:
        return shift.covariance_px2
    places = [(alt.dx_px, alt.dy_px, alt.lead_nats) for alt in shift.alternatives]
    rows = np.array([(shift.dx_px, shift.dy_px, 0.0), *places])
    odds = np.exp(rows[:, 2].min() - rows[:, 2])
    away = rows[:, :2] - at_px
    (xx, xy), (_, yy) = (shift.covariance_px2 + (odds / odds.sum() * away.T) @ away).tolist()
    return ((xx, xy), (xy, yy))
