"""Which tiles lie where they do for want of better evidence, and which had better lie elsewhere.

On a periodic specimen a tile one period further, or several together, may match all neighbours as
well, and only the stage and a few flaws of the specimen tell. A false match may carry a tile off,
where another one contradicts it. So every move that would meet a seam otherwise is weighed: what
the stage says of it, what seams cost at the place they then have, and what those that would break.
A move that gains is made; one that costs little leaves a doubt, and is not to pass without a flag.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph.elimination import NO_PLAN
from runtime.stitch.graph.model import Floats, GraphModel
from runtime.stitch.graph.robust import BELIEVED, Belief, Cuts, choose, renew
from runtime.stitch.graph.seating import BROKEN, MET_PX, met

Mask = NDArray[np.bool_]

DECIDED = 8.0
"""Half a square of sigmas: the place taken is to be 3,000 times as likely as the next one. A scan
of some hundred tiles has stage errors of three sigmas."""

FAR_SIGMAS = 4.0
"""Further than any stage error, a tile must have two seams that agree."""

TRUSTED = 8
"""How many tiles' errors the claim of a stage is worth."""

MEDIAN_SQUARE = 2 * float(np.log(2))
"""The median of a distance squared, in squares of its standard deviation on either axis."""

MOST_MOVED = 40
"""Groups that may go along with another: what needs more is a matter of the whole scan."""

ROUNDS = 6

_ONLY = np.zeros(1)
"""What the one place of most seams costs."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Which of the free tiles (n,) might as well lie elsewhere, and by how much that adds to the
    variance of their place on either axis (n,), px^2.
    """

    held: Mask
    variance_px2: Floats


def weighed(model: GraphModel, belief: Belief) -> tuple[Belief, Doubts]:
    """Return the belief with all moves made that gain, and what is left in doubt."""
    moves: list[_Move] = []
    if not len(model.seams.crowded) and bool((belief.weights >= BELIEVED).all()):
        # Every seam is met, and none has another place.
        return belief, _doubts(model, belief, moves)
    for left in reversed(range(ROUNDS)):
        moves = _Rivals(model, belief).moves()
        gaining = [move for move in moves if move.cost < 0]
        if not gaining or left == 0:
            break
        belief = _moved(model, belief, gaining)
    return belief, _doubts(model, belief, moves)


def _doubts(model: GraphModel, belief: Belief, moves: list[_Move]) -> Doubts:
    off_px = belief.poses[:, :2] - model.stage.corrected(belief.correction)
    seams = np.bincount(model.seams.ends[belief.weights >= BELIEVED].ravel(), minlength=len(off_px))
    far = np.hypot(off_px[:, 0], off_px[:, 1]) > FAR_SIGMAS * model.stage.sigma_px
    held = (far & (seams < 2))[: model.free]
    odds, squares = np.ones(model.free), np.zeros(model.free)
    for move in moves:
        tiles, odd = list(move.tiles), float(np.exp(-max(move.cost, 0.0)))
        held[tiles] = True
        odds[tiles] += odd
        squares[tiles] += odd * float(move.way @ move.way)
    return Doubts(held, squares / odds / 2)


def _moved(model: GraphModel, belief: Belief, moves: list[_Move]) -> Belief:
    """Return the belief after those moves that touch no other, the best first."""
    poses, touched = belief.poses.copy(), set[int]()
    beside = defaultdict(set)
    for a, b in model.seams.ends.tolist():
        beside[a].add(b)
        beside[b].add(a)
    for move in sorted(moves, key=lambda move: move.cost):
        around = move.tiles.union(*(beside[tile] for tile in move.tiles))
        if not touched & around:
            poses[list(move.tiles), :2] += move.way
            touched |= move.tiles
    over = model.misfits(poses, model.seams.poses)
    cuts = Cuts.of(model.seams.information)
    measured = choose(model.seams, over, cuts)
    agree = cuts.ratio(model.misfits(poses, measured)) <= 1
    # Where all agreed at once, nothing was planned to be eliminated.
    if model.plan is NO_PLAN:
        model = GraphModel.of(model.stage, model.seams, model.free)
    return renew(
        model, replace(belief, poses=poses, measured=measured, weights=agree.astype(np.float64))
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """Tiles that go the same way together, and what that costs."""

    tiles: frozenset[int]
    way: Floats
    cost: float


@dataclass(slots=True)
class _Edge:
    """A seam between two groups: the ways b may go to meet it, each with its cost, what it costs
    now, and by how much less than if b lay elsewhere.
    """

    a: int
    b: int
    ways: Floats
    costs: Floats
    now: float
    lead: float
    cut: dict[tuple[int, int], float] = field(default_factory=dict)

    def added(self, way: Floats, *, of_b: bool) -> float:
        """Return what the seam costs more when one of its ends goes a way and the other stays."""
        x, y = way.tolist() if of_b else (-way).tolist()
        # Ways that differ by less than what counts as met cost the same.
        key = round(x), round(y)
        if key not in self.cut:
            self.cut[key] = float(met(self.ways - (x, y), self.costs)) - self.now
        return self.cut[key]


class _Rivals:
    """The tiles in groups that go together, if at all, and the seams between them."""

    def __init__(self, model: GraphModel, belief: Belief) -> None:
        off_px = belief.poses[:, :2] - model.stage.corrected(belief.correction)
        self._sigma_px = _stage_sigma_px(model, off_px)
        seams = _edges(model, belief)
        self._tiles = _groups(model, seams)
        group = {tile: name for name, tiles in self._tiles.items() for tile in tiles}
        self._seams: defaultdict[int, list[_Edge]] = defaultdict(list)
        for seam in seams:
            seam.a, seam.b = group[seam.a], group[seam.b]
            if seam.a != seam.b:
                self._seams[seam.a].append(seam)
                self._seams[seam.b].append(seam)
        self._broken = {name: sum(s.now for s in around) for name, around in self._seams.items()}
        self._fixed = {group[tile] for tile in range(model.free, len(belief.poses))}
        self._pull: dict[int, list[float]] = {
            name: off_px[sorted(self._tiles[name])].sum(axis=0).tolist()
            for name in self._seams.keys() - self._fixed
        }

    def moves(self) -> list[_Move]:
        """Return every move that costs less than what counts as decided."""
        found = []
        for name in sorted(self._pull):
            for way in self._ways(name):
                if self._strained(name, way) < 2 * DECIDED:
                    move = self._joined(name, way)
                    if move.cost < DECIDED:
                        found.append(move)
        return found

    def _ways(self, name: int) -> Floats:
        """Return the different ways (n, 2) of a group to meet one of its seams otherwise."""
        ways = np.concatenate([s.ways if s.b == name else -s.ways for s in self._seams[name]])
        ways = ways[(ways**2).sum(axis=1) > MET_PX**2]
        kept: list[int] = []
        for n in range(len(ways)):
            if not kept or (((ways[kept] - ways[n]) ** 2).sum(axis=1) > MET_PX**2 / 4).all():
                kept.append(n)
        different: Floats = ways[kept]
        return different

    def _strained(self, name: int, way: Floats) -> float:
        """Return what the stage has against a group's going a way."""
        (x, y), (pull_x, pull_y), size = way.tolist(), self._pull[name], len(self._tiles[name])
        along: float = 2 * (x * pull_x + y * pull_y) + size * (x * x + y * y)
        return along / (2 * self._sigma_px**2)

    def _joined(self, name: int, way: Floats) -> _Move:
        """Return the move of a group, joined by those neighbours that are better off moving too."""
        inside, waiting, cost = {name}, [name], self._added(name, way, set())
        while waiting and len(inside) < MOST_MOVED:
            seams = self._seams[waiting.pop()]
            for other in sorted({end for seam in seams for end in (seam.a, seam.b)} - inside):
                if other in self._fixed or self._surely_stays(other, way, inside):
                    continue
                more = self._added(other, way, inside)
                if more < 0:
                    inside.add(other)
                    waiting.append(other)
                    cost += more
        tiles = frozenset(tile for one in inside for tile in self._tiles[one])
        return _Move(tiles, way, cost)

    def _surely_stays(self, name: int, way: Floats, inside: set[int]) -> bool:
        """Return whether no seam could win a group what the stage has against its going along.

        Most of a scan is one group, and to ask each of its seams would take a solve its square.
        """
        between = sum(len(self._seams[one]) for one in inside)
        return self._strained(name, way) >= self._broken[name] + BROKEN * between

    def _added(self, name: int, way: Floats, inside: set[int]) -> float:
        """Return what it costs more if a group goes along with those that go already."""
        cost = self._strained(name, way)
        for seam in self._seams[name]:
            own = seam.b == name
            other = seam.a if own else seam.b
            cost += -seam.added(way, of_b=not own) if other in inside else seam.added(way, of_b=own)
        return cost


def _stage_sigma_px(model: GraphModel, off_px: Floats) -> float:
    """Return the sigma to weigh moves with, of a stage that is `off_px` (n, 2) from the map.

    Only the stage speaks against the other places of a lattice, so a stage that errs more than it
    claims, as one against which the camera is turned does, must not decide by its claim.
    """
    claimed2 = model.stage.sigma_px**2
    if not len(model.seams.crowded):
        return float(claimed2**0.5)
    seen2 = float(np.median((off_px[: model.free] ** 2).sum(axis=1))) / MEDIAN_SQUARE
    count = model.free
    return float(max(claimed2, (TRUSTED * claimed2 + count * seen2) / (TRUSTED + count)) ** 0.5)


def _edges(model: GraphModel, belief: Belief) -> list[_Edge]:
    """Return the seams between tiles, with what each allows as the map lies now."""
    seams = model.seams
    off = Cuts.of(seams.information).ways_px(model.misfits(belief.poses, seams.poses))
    angle = belief.poses[seams.ends[:, 0], 2]
    turns = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    ways = -np.einsum("mi,ijm->mj", off, turns)
    now = np.where((ways**2).sum(axis=1) > MET_PX**2, BROKEN, 0.0)
    rows = zip(seams.ends.tolist(), ways[:, None], now.tolist(), strict=True)
    # Of a seam with one place, either that is met, or it is the one that is elsewhere.
    found = [_Edge(a, b, way, _ONLY, cost, BROKEN - 2 * cost) for (a, b), way, cost in rows]
    for seam, choices in zip(seams.crowded.tolist(), seams.choices, strict=True):
        known = choices[np.isfinite(choices[:, 0])]
        places, costs = (known[:, :2] - off[seam]) @ turns[:, :, seam], known[:, 2]
        cost = float(met(places, costs))
        others = costs[(places**2).sum(axis=1) > MET_PX**2]
        lead = float(others.min(initial=BROKEN)) - cost
        found[seam] = _Edge(found[seam].a, found[seam].b, places, costs, cost, lead)
    return found


def _groups(model: GraphModel, seams: list[_Edge]) -> dict[int, list[int]]:
    """Return the tiles, by a name, of groups that no move of interest takes apart.

    A seam whose place leads by what counts as decided holds its tiles together, unless
    one of them has seams that are not met and might gain more by that.
    """
    count = len(model.stage.centres_px)
    parent, broken = list(range(count)), [0] * count
    for seam in seams:
        if seam.now >= BROKEN:
            broken[seam.a] += 1
            broken[seam.b] += 1

    def root(tile: int) -> int:
        while parent[tile] != tile:
            parent[tile] = tile = parent[parent[tile]]
        return tile

    for seam in seams:
        if seam.lead >= DECIDED + BROKEN * max(broken[seam.a], broken[seam.b]):
            parent[root(seam.a)] = root(seam.b)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for tile in range(count):
        groups[root(tile)].append(tile)
    return dict(groups)
