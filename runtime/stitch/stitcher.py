"""From tiles as they arrive to their places in the mosaic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.errors import InputRefused
from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.match.borders import Facing, Matchable, OpenBorders, ReadPixels
from runtime.stitch.match.ladder import Network, Rung, by_phase, by_plain_phase, ladder
from runtime.stitch.match.strips import XY, Neighbours, predict
from runtime.stitch.meeting import Meeting, shift_of
from runtime.tile import Backlash, Matches, Pixels, Placement, Seam, Shift

Stood = tuple[str, float, float]
"""A tile's id and where the stage stood for it, x_um and y_um."""

GATE_SIGMAS = 3.0
GATE_MARGIN_PX = 2
BORDER_SHARE = 0.3
"""Border strips kept by default, as a share of the longer side; enough for 20 % overlap."""


def no_pixels(tile_id: str) -> Pixels:
    """Raise KeyError: what is asked for is all in memory."""
    raise KeyError(tile_id)


def no_network() -> None:
    """Return that there is no network to ask."""


class Stitcher:
    """Places tiles by matching their overlaps under a stage prior.

    `px_from_stage` (2x2) turns stage micrometres into mosaic pixels; `stage_sigma_px` is the
    standard deviation of one stage position in pixels and sets the gate of the matcher; `shape_px`
    the (height, width) of every tile; `border_px` how deep a strip of past tiles is kept (default:
    enough for 20 % overlap); `network` gives what is asked where nothing else is sure; `known` a
    field that bends every tile, through which they are then matched; with `calibrated` it was
    measured, and the graph looks for no other; `in_order` says that tiles are placed in the order
    they were taken, so that the way the stage came tells its backlash. Matching looks at stage
    positions, pixels and that field only, never at earlier results, so an interrupted scan gives
    the same shifts.
    """

    def __init__(
        self,
        *,
        px_from_stage: NDArray[np.float64],
        stage_sigma_px: float,
        shape_px: tuple[int, int],
        matcher: str = "auto",
        network: Network = no_network,
        border_px: int | None = None,
        known: Distortion | None = None,
        calibrated: bool = False,
        in_order: bool = False,
    ) -> None:
        self._known = known
        self._calibrated = known if calibrated else None
        self._px_from_stage = np.asarray(px_from_stage, dtype=np.float64)
        self._shape_px = shape_px
        self._gate_px = int(np.ceil(GATE_SIGMAS * np.sqrt(2) * stage_sigma_px)) + GATE_MARGIN_PX
        depth_px = border_px or int(BORDER_SHARE * max(shape_px)) + self._gate_px
        self._no_borders = partial(OpenBorders, depth_px=depth_px, gate_px=self._gate_px)
        self._borders = self._no_borders()
        self._rungs = ladder(matcher, network)
        self._plain: dict[tuple[str, str], Shift] = {}
        self._cells: dict[tuple[int, int], list[str]] = {}
        self._graph = PoseGraph(stage_sigma_px, shape_px=shape_px, calibrated=self._calibrated)
        self._priors: dict[str, XY] = {}
        self._in_order = in_order
        self._stood_um: XY | None = None
        self._heading: XY = (0.0, 0.0)

    def prior_px(self, *, x_um: float, y_um: float) -> XY:
        """Return where pixel (0, 0) of a tile taken at (x_um, y_um) lies in the mosaic, (x, y)."""
        height, width = self._shape_px
        x, y = self._px_from_stage @ (x_um, y_um)
        return float(x - (width - 1) / 2), float(y - (height - 1) / 2)

    def add(
        self, tile_id: str, pixels: Pixels, *, x_um: float, y_um: float, earlier: ReadPixels
    ) -> Matches:
        """Match a new tile against the earlier ones it should overlap, and place it.

        `pixels` is (y, x); the other arguments, result and errors are those of `match`.
        """
        seen = self.look(pixels)
        matches = self.match(tile_id, seen, x_um=x_um, y_um=y_um, earlier=earlier)
        self.place(tile_id, matches, x_um=x_um, y_um=y_um)
        return matches

    def look(self, pixels: Pixels) -> Matchable:
        """Return what matching needs of a tile's (y, x) pixels; may run on any thread."""
        return self._borders.look(pixels)

    def match(
        self,
        tile_id: str,
        seen: Matchable,
        *,
        x_um: float,
        y_um: float,
        earlier: ReadPixels,
        rungs: int | None = None,
    ) -> Matches:
        """Return how a new tile lies against the placed ones it should overlap; the arguments and
        errors are those of `meet`.

        There is one shift per predicted overlap, method "none" where nothing was matched.
        """
        met = self.meet(tile_id, seen, x_um=x_um, y_um=y_um, earlier=earlier, rungs=rungs)
        return met.matches([job() for job in met.jobs])

    def meet(
        self,
        tile_id: str,
        seen: Matchable,
        *,
        x_um: float,
        y_um: float,
        earlier: ReadPixels,
        rungs: int | None = None,
    ) -> Meeting:
        """Return a new tile and its neighbours, to be matched at once or later.

        `seen` is what `look` saw of it; (x_um, y_um) is where the stage stood. `earlier` reads a
        tile that stands by id, when its borders are not in memory: after an interruption, or in a
        very wide scan. `rungs` is how many of the ladder's its overlaps may climb, all by default.
        Raises InputRefused for a tile of another shape.
        """
        if seen.borders.shape_px != self._shape_px:
            raise InputRefused(
                f"tile {tile_id} has another shape than the scan",
                value=seen.borders.shape_px,
                limit=self._shape_px,
                remedy="Stitch tiles of one camera setting together",
            )
        self._borders.keep(tile_id, seen)
        pairs = self._neighbours(tile_id, self.prior_px(x_um=x_um, y_um=y_um))
        facing = [self._borders.facing(pair, tile_id, earlier) for pair in pairs]
        shift = partial(self._shift, rungs=self._rungs[:rungs])
        return Meeting(
            tuple(partial(shift, *job) for job in zip(pairs, facing, strict=True)),
            *self._borders.details(tile_id, beside=pairs),
        )

    def _shift(self, pair: Neighbours, facing: Facing | None, *, rungs: tuple[Rung, ...]) -> Shift:
        """Return what is found in an overlap, or was when it was looked at plainly; once."""
        plain = self._plain.pop((pair.a, pair.b), None)
        if plain is not None and facing is not None:
            return plain
        return shift_of(pair, facing, rungs=rungs, field=self._known)

    def look_plainly(
        self, earlier: Stood, later: Stood, *, seen: Mapping[str, Matchable]
    ) -> Shift | None:
        """Return how two tiles that are not here yet lie, None where that is not plain.

        Plain is what straight strips agree on at one place only, without a doubt. The first rung of
        the ladder would find the same. On any thread; `seen` is what `look` saw of either, by id.
        """
        first, second = (
            (name, self.prior_px(x_um=x_um, y_um=y_um)) for name, x_um, y_um in (earlier, later)
        )
        pair = predict(first, second, shape_px=self._shape_px)
        if pair is None:
            return None
        borders = self._no_borders()
        for name in (pair.a, pair.b):
            borders.keep(name, seen[name])
        facing = borders.facing(pair, later[0], no_pixels)
        if facing is None:
            return None
        shift = shift_of(pair, facing, rungs=(by_plain_phase,), field=self._known)
        return None if shift.method == "none" or shift.alternatives else shift

    def take_over(self, plain: Iterable[Shift]) -> None:
        """Have overlaps that were looked at plainly not matched again, if they would be so."""
        if self._rungs[0] is by_phase:
            self._plain |= {(shift.a, shift.b): shift for shift in plain}

    def look_again(self, tile_id: str, other: str, *, read: ReadPixels) -> Shift:
        """Return what the whole ladder finds in an overlap of two placed tiles, method "none" for
        nothing; `tile_id` is the one that came later. Both are read once more.
        """
        earlier, later = ((name, self._priors[name]) for name in (other, tile_id))
        pair = predict(earlier, later, shape_px=self._shape_px)
        assert pair is not None
        facing = self._no_borders().facing(pair, tile_id, read)
        return shift_of(pair, facing, rungs=self._rungs, field=self._known)

    def improve(self, shift: Shift) -> None:
        """Take what a second look found in an overlap in place of what the first one did."""
        self._graph.improve(shift)

    def place(self, tile_id: str, matches: Matches, *, x_um: float, y_um: float) -> None:
        """Place a tile by its matches, new or from before an interruption.

        `moved` and `placement` tell where, and what else that moved.
        """
        self.stand(tile_id, x_um=x_um, y_um=y_um)
        self.hold(tile_id, matches, x_um=x_um, y_um=y_um)

    def stand(self, tile_id: str, *, x_um: float, y_um: float) -> None:
        """Have a tile stand where the stage says, so that later ones meet it before it is placed.

        `hold` places it, once its overlaps are matched.
        """
        prior = self.prior_px(x_um=x_um, y_um=y_um)
        for pair in self._neighbours(tile_id, prior):
            self._borders.meet(pair)
        before = self._priors.get(tile_id)
        if before is not None:
            self._cells[self._cell(before)].remove(tile_id)
        self._priors[tile_id] = prior
        self._cells.setdefault(self._cell(prior), []).append(tile_id)

    def hold(self, tile_id: str, matches: Matches, *, x_um: float, y_um: float) -> None:
        """Place a tile that stands by its matches; tiles in the order in which they stand."""
        self._graph.extend(
            tile_id,
            prior_px=self.prior_px(x_um=x_um, y_um=y_um),
            blank=matches.blank,
            shifts=matches.shifts,
            heading=self._headed((x_um, y_um)),
        )

    def placement(self, tile_id: str) -> Placement:
        """Return the current estimate of one tile; raises KeyError for one never added."""
        return self._graph.placement(tile_id)

    def moved(self) -> dict[str, Placement]:
        """Return the tiles placed for the first time or moved since the last call, and no others.

        Whoever keeps a copy of the placements takes these over, at a cost that does not grow with
        the scan. Moves of less than a hundredth of a pixel are kept back until they add up.
        """
        return self._graph.moved()

    def solve(self) -> dict[str, Placement]:
        """Return the robust solution over all tiles; the same for the same tiles and shifts."""
        return self._graph.solve()

    def seams(self, solved: Mapping[str, Placement]) -> tuple[Seam, ...]:
        """Return every predicted overlap with its quality under what `solve` returned."""
        return self._graph.seams(solved)

    def residual_px(self, shift: Shift) -> float:
        """Return how far the current estimate disagrees with a match between placed tiles."""
        return self._graph.residual_px(shift)

    @property
    def distortion(self) -> Distortion | None:
        """The field that all tiles share: the calibrated one, else that which `solve` found, None
        where there is none beyond noise.
        """
        return self._calibrated or self._graph.distortion

    @property
    def uncalibrated(self) -> Distortion | None:
        """The field that `solve` found where none was calibrated, None without one."""
        return None if self._calibrated else self._graph.distortion

    @property
    def backlash(self) -> Backlash | None:
        """What `solve` found of the stage's backlash; None where the order does not tell."""
        return self._graph.backlash

    def _headed(self, at_um: XY) -> XY:
        """Return the sign of the last move of either axis, now that the stage is at a place."""
        if not self._in_order:
            return 0.0, 0.0
        for_now = zip(self._stood_um or at_um, at_um, self._heading, strict=True)
        x, y = (float(np.sign(now - before)) or last for before, now, last in for_now)
        self._stood_um, self._heading = at_um, (x, y)
        return x, y

    def _neighbours(self, tile_id: str, prior: XY) -> list[Neighbours]:
        """Return the predicted overlaps with earlier tiles, sorted, so that ties never matter."""
        column, row = self._cell(prior)
        near = sorted(
            name
            for c in (column - 1, column, column + 1)
            for r in (row - 1, row, row + 1)
            for name in self._cells.get((c, r), ())
            if name != tile_id
        )
        pairs = (
            predict((name, self._priors[name]), (tile_id, prior), shape_px=self._shape_px)
            for name in near
        )
        return [pair for pair in pairs if pair is not None]

    def _cell(self, prior: XY) -> tuple[int, int]:
        height, width = self._shape_px
        return int(np.floor(prior[0] / width)), int(np.floor(prior[1] / height))
