"""Every tile's position from the shifts and the stage, kept current as tiles arrive.

Two views of the same graph. `solve` takes all of it at once, sorted by id, and so depends on the
set of shifts and priors alone. The running estimate re-solves only the rows around a new tile with
the rest held, and everything about once a row. `moved` hands on only what such a solve changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import hypot

import numpy as np

from runtime.stitch.graph.model import Floats, GraphModel, affine_basis, no_basis
from runtime.stitch.graph.robust import believe
from runtime.stitch.match.strips import XY
from runtime.tile import Placement, PlacementFlag, Shift

WINDOW_ROWS = 2
BELIEVED = 0.5

TOLD_PX = 0.01
"""A full solve nudges every tile of the scan by far less than this. Handing such moves on would
make journal and map write the whole scan once a row, for a difference nobody can see."""


@dataclass(slots=True)
class PoseGraph:
    """Positions of tiles' pixel (0, 0) in mosaic pixels, from shifts under a stage prior."""

    sigma_px: float
    row_height_px: float
    priors: dict[str, XY] = field(default_factory=dict)
    blank: dict[str, bool] = field(default_factory=dict)
    shifts: dict[tuple[str, str], Shift] = field(default_factory=dict)
    _links: defaultdict[str, list[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _rows: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    _placed: dict[str, Placement] = field(default_factory=dict)
    _told: dict[str, Placement] = field(default_factory=dict)
    _moved: set[str] = field(default_factory=set)
    _unsolved: list[str] = field(default_factory=list)
    _since_full: int = 0

    def extend(self, tile_id: str, *, prior_px: XY, blank: bool, shifts: Iterable[Shift]) -> None:
        """Add a tile with its matches to earlier ones; solved for when a placement is asked for.

        `prior_px` is the stage's prediction (x, y) of its pixel (0, 0). Shifts of method "none"
        are kept for the record and pull on nothing.
        """
        self.priors[tile_id], self.blank[tile_id] = prior_px, blank
        self._rows[self._row(tile_id)].append(tile_id)
        for shift in shifts:
            key = (shift.a, shift.b)
            # Point pairs are most of a shift's memory, and nothing here looks at them.
            self.shifts[key] = replace(shift, pairs=())
            if shift.method != "none":
                self._links[shift.a].append(key)
                self._links[shift.b].append(key)
        self._unsolved.append(tile_id)

    def placement(self, tile_id: str) -> Placement:
        """Return the current estimate of one tile; raises KeyError for an unknown one."""
        self._catch_up()
        return self._placed[tile_id]

    def moved(self) -> dict[str, Placement]:
        """Return the tiles that are new, or whose estimate changed, since the last call.

        A change of less than `TOLD_PX` in place and in sigma, with the same flag, is kept back
        until it adds up to more.
        """
        self._catch_up()
        changes = {name: self._placed[name] for name in sorted(self._moved)}
        self._told.update(changes)
        self._moved.clear()
        return changes

    def solve(self) -> dict[str, Placement]:
        """Return the robust solution of the whole graph; the same for the same set of records."""
        ids = sorted(self.priors)
        if not ids:
            return {}
        keys = sorted(key for key, shift in self.shifts.items() if shift.method != "none")
        return self._solve(ids, keys, held={})

    def _catch_up(self) -> None:
        """Solve for what was added since: one tile by its rows, many, as on a resume, at once."""
        self._since_full += len(self._unsolved)
        if len(self._unsolved) > 1 or self._since_full**2 > len(self.priors):
            self._put(self.solve())
            self._since_full = 0
        elif self._unsolved:
            self._put(self._solve_window(self._unsolved[0]))
        self._unsolved.clear()

    def _put(self, solved: dict[str, Placement]) -> None:
        self._placed.update(solved)
        for name, place in solved.items():
            told = self._told.get(name)
            if told is None or _differs(told, place):
                self._moved.add(name)

    def _solve_window(self, tile_id: str) -> dict[str, Placement]:
        row = self._row(tile_id)
        near = range(row - WINDOW_ROWS + 1, row + WINDOW_ROWS)
        ids = sorted(name for r in near for name in self._rows.get(r, ()))
        inside = set(ids)
        keys = sorted({key for name in ids for key in self._links[name]})
        outside = {end for key in keys for end in key if end not in inside}
        return self._solve(ids, keys, held={name: self._placed[name] for name in outside})

    def _solve(
        self, ids: Sequence[str], keys: Sequence[tuple[str, str]], *, held: dict[str, Placement]
    ) -> dict[str, Placement]:
        """Solve for `ids`; tiles in `held` take part where they are and do not move."""
        names = [*ids, *sorted(held)]
        model = self._model(names, keys, held)
        weights = believe(model)
        positions, corrected = model.solve(weights)
        believed: dict[str, float] = defaultdict(float)
        matched: set[str] = set()
        for (a, b), weight, variance in zip(keys, weights, model.variances_px2, strict=True):
            matched.update((a, b))
            if weight >= BELIEVED:
                believed[a] += 1 / variance
                believed[b] += 1 / variance
        return {
            name: self._placement(
                name, positions[i] if name in believed else corrected[i], believed, matched
            )
            for i, name in enumerate(ids)
        }

    def _model(
        self, names: Sequence[str], keys: Sequence[tuple[str, str]], held: dict[str, Placement]
    ) -> GraphModel:
        index = {name: i for i, name in enumerate(names)}
        here = [held.get(n) for n in names]
        priors = np.array(
            [
                self.priors[n] if p is None else (p.x_px, p.y_px)
                for n, p in zip(names, here, strict=True)
            ]
        )
        sigma = np.array([self.sigma_px if p is None else HELD_SIGMA_PX for p in here])
        basis, basis_sigma = no_basis(len(names)) if held else affine_basis(priors)
        shifts = [self.shifts[key] for key in keys]
        return GraphModel(
            priors,
            sigma,
            np.array([(index[a], index[b]) for a, b in keys], dtype=np.int64).reshape(-1, 2),
            np.array([(s.dx_px, s.dy_px) for s in shifts]).reshape(-1, 2),
            np.array([_variance(s) for s in shifts]),
            basis,
            basis_sigma,
        )

    def _placement(
        self, name: str, at: Floats, believed: dict[str, float], matched: set[str]
    ) -> Placement:
        stiffness = believed.get(name, 0.0) + self.sigma_px**-2
        return Placement(
            tile_id=name,
            x_px=float(at[0]),
            y_px=float(at[1]),
            sigma_px=float(stiffness**-0.5),
            flag=self._flag(name, believed=name in believed, matched=name in matched),
        )

    def _flag(self, name: str, *, believed: bool, matched: bool) -> PlacementFlag:
        if believed:
            return ""
        if matched:
            return "suspect"
        return "blank" if self.blank[name] else "stage-only"

    def _row(self, tile_id: str) -> int:
        return round(self.priors[tile_id][1] / self.row_height_px)


HELD_SIGMA_PX = 1e-3
"""Tiles outside the window stay where the last solve put them."""


def _differs(told: Placement, place: Placement) -> bool:
    return (
        told.flag != place.flag
        or abs(told.sigma_px - place.sigma_px) > TOLD_PX
        or hypot(told.x_px - place.x_px, told.y_px - place.y_px) > TOLD_PX
    )


def _variance(shift: Shift) -> float:
    """Return one variance for both axes: the mean of the covariance's diagonal, px^2."""
    (xx, _), (_, yy) = shift.covariance_px2
    return max((xx + yy) / 2, 1e-6)
