"""A start for a graph whose seams allow several places: tiles are seated one after the other.

Each tile's seams allow some places, and where it lies follows from them together and from the
stage. Chosen seam by seam instead, by what the stage says of both tiles, one in ten would be
wrong where the pitch is four of the stage's sigmas, and half of them where it is two. The next to
be seated is always the tile whose best place leads by most.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np

from runtime.stitch.graph.model import Floats, GraphModel, StagePrior

MET_PX = 3.0
"""A seam that is off by less is met by a place."""

BROKEN = 12.0
"""What it costs to say that none of a seam's shifts is true, in nats: one match in fifty is false,
and one in two thousand of these would agree with the other seams by chance."""


def seated(model: GraphModel, start: Floats) -> Floats:
    """Return poses (n, 3) for all tiles, the free ones where seams and stage together have them.

    Angles are left as at the `start` (n, 3), and tiles beyond the free ones where they are.
    """
    table = _Table(model, start)
    for tile in range(model.free, len(start)):
        table.seat(tile, start[tile, :2])
    middle = start[: model.free, :2].mean(axis=0)
    order = np.argsort(((start[: model.free, :2] - middle) ** 2).sum(axis=1), kind="stable")
    for first in order.tolist():
        if first not in table.at:
            table.seat(first, table.stage_px(first))
        table.seat_around()
    return np.column_stack([[table.at[tile] for tile in range(len(start))], start[:, 2]])


class _Table:
    """The tiles seated so far, and those whose turn it is."""

    def __init__(self, model: GraphModel, start: Floats) -> None:
        self.at: dict[int, Floats] = {}
        self._trend = _Trend(model.stage)
        self._free = model.free
        self._ways: defaultdict[int, list[tuple[int, Floats, Floats]]] = defaultdict(list)
        self._waiting: list[tuple[float, int, int]] = []
        self._places: dict[int, tuple[int, Floats]] = {}
        choices = dict(zip(model.seams.crowded.tolist(), model.seams.choices, strict=True))
        only = np.zeros((1, 3))
        for seam, (a, b) in enumerate(model.seams.ends.tolist()):
            known = choices.get(seam, only)
            known = known[np.isfinite(known[:, 0])]
            c, s = np.cos(start[a, 2]), np.sin(start[a, 2])
            ways = (model.seams.poses[seam, :2] + known[:, :2]) @ np.array([[c, s], [-s, c]])
            self._ways[b].append((a, ways, known[:, 2]))
            self._ways[a].append((b, -ways, known[:, 2]))

    def stage_px(self, tile: int) -> Floats:
        """Return where the stage, as far as its errors are known by now, has a tile."""
        return self._trend.predicted(tile)

    def seat(self, tile: int, at_px: Floats) -> None:
        """Put a tile down, and look at its neighbours again."""
        self.at[tile] = at_px
        if tile < self._free:
            self._trend.learn(tile, at_px)
        for other, *_ in self._ways[tile]:
            if other not in self.at and other < self._free:
                self._look(other)

    def seat_around(self) -> None:
        """Seat every tile that seams join to those seated."""
        while self._waiting:
            _, tile, round_ = heapq.heappop(self._waiting)
            if tile not in self.at and self._places[tile][0] == round_:
                # What was learnt of the stage since may have changed the choice.
                self._look(tile)
                self.seat(tile, self._places[tile][1])

    def _look(self, tile: int) -> None:
        seams = [
            (self.at[other] + ways, costs)
            for other, ways, costs in self._ways[tile]
            if other in self.at
        ]
        # Their ways lead from the other tile to this one.
        places = np.concatenate([at for at, _ in seams])
        cost = ((places - self.stage_px(tile)) ** 2).sum(axis=1) / (2 * self._trend.sigma_px**2)
        for at, costs in seams:
            cost += met(places[:, None, :] - at[None, :, :], costs)
        best = int(cost.argmin())
        apart = np.hypot(*(places - places[best]).T) > MET_PX
        lead = float((cost[apart] - cost[best]).min(initial=BROKEN))
        round_ = self._places[tile][0] + 1 if tile in self._places else 0
        self._places[tile] = round_, places[best]
        heapq.heappush(self._waiting, (-lead, tile, round_))


class _Trend:
    """The stage's errors by what was seated so far: least squares, with their prior."""

    def __init__(self, stage: StagePrior) -> None:
        self.sigma_px = stage.sigma_px
        self._stage = stage
        # Where the scan lies as a whole is the tiles' in the graph; here nothing else holds it.
        spread = np.maximum(stage.basis_sigma, stage.sigma_px)
        self._normal = np.diag(spread**-2.0)
        self._pull = np.zeros((len(spread), 2))
        self._found: Floats = np.zeros((len(spread), 2))

    def learn(self, tile: int, at_px: Floats) -> None:
        terms = self._stage.basis[tile] / self.sigma_px**2
        self._normal += np.outer(terms, self._stage.basis[tile])
        self._pull += np.outer(terms, at_px - self._stage.centres_px[tile])
        self._found = np.asarray(np.linalg.solve(self._normal, self._pull), np.float64)

    def predicted(self, tile: int) -> Floats:
        found: Floats = self._stage.centres_px[tile] + self._stage.basis[tile] @ self._found
        return found


def met(off_px: Floats, costs: Floats) -> Floats:
    """Return what a seam costs (...,) at places that are `off_px` (..., c, 2) off its c choices."""
    near = (off_px**2).sum(axis=-1) <= MET_PX**2
    cost: Floats = np.where(near, np.minimum(costs, BROKEN), BROKEN).min(axis=-1)
    return cost
