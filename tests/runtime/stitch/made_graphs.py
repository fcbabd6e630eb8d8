"""Graphs of known truth with point pairs: tiles that turn, bend alike, and match falsely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.tile import Placement, PointPair, Shift

SHAPE_PX = (480, 512)
STEP_PX = np.array([461.0, 432.0])
MIDDLE_PX = np.array([255.5, 239.5])


@dataclass(frozen=True)
class Tile:
    """A tile as the stage has it, with its matches to earlier ones."""

    name: str
    prior_px: tuple[float, float]
    shifts: tuple[Shift, ...]


@dataclass(frozen=True)
class MadeGraph:
    """Tiles in the order taken, each true centre pose (3,), and the pairs that match falsely."""

    tiles: list[Tile]
    truth: dict[str, NDArray[np.float64]]
    false: set[tuple[str, str]]

    def fill(
        self, graph: PoseGraph, hear: Callable[[dict[str, Placement]], object] | None = None
    ) -> PoseGraph:
        """Add all tiles; the graph is asked for its running estimate only where somebody hears."""
        for tile in self.tiles:
            graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=tile.shifts)
            if hear is not None:
                hear(graph.moved())
        return graph

    def errors(self, placed: dict[str, Placement]) -> NDArray[np.float64]:
        """Return what each tile's centre and angle have over the truth (n, 3).

        Where the scan lies as a whole, and how it is turned, is taken out: that of the tiles that
        matches hold.
        """
        truth = np.array(list(self.truth.values()))
        off = np.array([centre(placed[name]) for name in self.truth]) - truth
        held = np.array([placed[name].flag == "" for name in self.truth])
        off[:, :2] -= off[held, :2].mean(axis=0)
        away = truth[:, :2] - truth[held, :2].mean(axis=0)
        aside = np.column_stack([-away[:, 1], away[:, 0]])
        turned = (off[held, :2] * aside[held]).sum() / (aside[held] ** 2).sum()
        off[:, :2] -= turned * aside
        off[:, 2] -= turned
        return off


def turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def centre(place: Placement) -> NDArray[np.float64]:
    at = np.array([place.x_px, place.y_px]) + turn(place.theta_rad) @ MIDDLE_PX
    return np.array([*at, place.theta_rad])


@dataclass
class Maker:
    """Makes grids of `side` x `side` tiles in serpentine order."""

    side: int
    stage_px: float = 5.0
    turn_rad: float = 0.0
    point_px: float = 0.1
    points: int = 8
    outliers: float = 0.0
    bend: Distortion | None = None
    seed: int = 0
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def made(self) -> MadeGraph:
        tiles, truth, false = [], {}, set()
        for row in range(self.side):
            for column in range(self.side) if row % 2 == 0 else reversed(range(self.side)):
                name, at = f"r{row:03d}_c{column:03d}", STEP_PX * (column, row)
                true = at + MIDDLE_PX + self.random.normal(0, self.stage_px, 2)
                truth[name] = np.array([*true, self.random.normal(0, self.turn_rad)])
                shifts = []
                for r, c in ((row - 1, column), (row, column - 1), (row, column + 1)):
                    other = f"r{r:03d}_c{c:03d}"
                    if other in truth and other != name:
                        wrong = bool(self.random.random() < self.outliers)
                        shifts.append(self.shift(other, name, truth, wrong=wrong))
                        if wrong:
                            false.add((other, name))
                tiles.append(Tile(name, (float(at[0]), float(at[1])), tuple(shifts)))
        return MadeGraph(tiles, truth, false)

    def shift(self, a: str, b: str, truth, *, wrong: bool) -> Shift:
        """Return a match with points spread along the overlap of two tiles."""
        (at_a, turn_a), (at_b, turn_b) = ((truth[n][:2], truth[n][2]) for n in (a, b))
        middle, way = (at_a + at_b) / 2, at_b - at_a
        aside = np.array([-way[1], way[0]]) / np.hypot(*way)
        across = way / np.hypot(*way)
        spread = np.linspace(-0.42, 0.42, self.points)[:, None] * min(SHAPE_PX) * aside
        seen = middle + spread + self.random.uniform(-15, 15, (self.points, 1)) * across
        in_a = self.bent((seen - at_a) @ turn(turn_a) + MIDDLE_PX)
        in_b = self.bent((seen - at_b) @ turn(turn_b) + MIDDLE_PX)
        in_b += self.random.normal(0, self.point_px, in_b.shape)
        if wrong:
            in_b += self.random.choice([-1, 1], 2) * self.random.uniform(6, 20, 2)
        dx, dy = (in_a - in_b).mean(axis=0)
        each = ((self.point_px**2, 0.0), (0.0, self.point_px**2))
        pairs = tuple(
            PointPair(a_px=(p[0], p[1]), b_px=(q[0], q[1]), covariance_px2=each)
            for p, q in zip(in_a.tolist(), in_b.tolist(), strict=True)
        )
        return Shift(a=a, b=b, dx_px=dx, dy_px=dy, pairs=pairs)

    def bent(self, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
        return points_px if self.bend is None else self.bend.bent(points_px)
