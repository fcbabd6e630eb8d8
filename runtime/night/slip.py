"""A stage that slipped a little: its counter went on, and every later tile lies beside its place.

What is less than the watchman's reach no tile tells alone. But from the slip on, all seams between
a tile before it and one after it are shifted alike, against where the stage says, and no others
are. What else moves tiles is told apart: a matrix that is not quite right shifts seams by their
direction, drift by the time between their tiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from runtime.record.rows import StoredTile
from runtime.tile import Placement, Seam

Floats = NDArray[np.float64]

MOST = 8
"""Slips looked for: more are no slips but a stage without a grip."""
FEWEST_SEAMS = 3
SURE_SIGMAS = 6.0
ALIKE = 0.3
"""Seams that a slip shifts agree to within this share of it; a wrong match agrees with none."""
ROUNDS = 12
LEAST_UM = 0.05
"""No seam is known better than that against a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """The stage slipped by (`x_um`, `y_um`) between two tiles: `after` is the first that lies
    beside its place, the `number`-th taken, from 0; so say so many `seams`, to within `sigma_um`.
    """

    before: StoredTile
    after: StoredTile
    number: int
    x_um: float
    y_um: float
    sigma_um: float
    seams: int

    @property
    def words(self) -> str:
        """Return it in a sentence."""
        far = float(np.hypot(self.x_um, self.y_um))
        return (
            f"the stage slipped by {far:.1f} ± {self.sigma_um:.1f} µm ({self.x_um:+.1f}, "
            f"{self.y_um:+.1f}) between {self.before.tile_id} and {self.after.tile_id}, at "
            f"{_clock(self.after)}: {self.seams} seams are shifted alike. the map allows for it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rift:
    """None of so many `seams` between tiles before and from `after` on, the `number`-th, matched,
    though all those tiles match others on their own side: further apart than is looked for.
    """

    before: StoredTile
    after: StoredTile
    number: int
    seams: int

    @property
    def words(self) -> str:
        """Return it in a sentence."""
        return (
            f"the stage slipped far, or the specimen moved, between {self.before.tile_id} and "
            f"{self.after.tile_id}, at {_clock(self.after)}: none of {self.seams} seams matches. "
            "the map is in two parts, of which only the stage says how they lie"
        )


def rifts(tiles: Sequence[StoredTile], seams: Sequence[Seam]) -> list[Rift]:
    """Return where a scan falls into two parts that share nothing; `tiles` are in the order taken.

    Faint specimen matches nothing either: a seam counts where both its tiles match others.
    """
    order = {tile.tile_id: n for n, tile in enumerate(tiles)}
    known = [s for s in seams if {s.a, s.b} <= order.keys()]
    matched = np.array([s.method != "none" for s in known], bool)
    if not matched.any():
        return []
    ends = np.sort(np.array([(order[s.a], order[s.b]) for s in known]), axis=1)
    tells = np.zeros(len(tiles), bool)
    tells[ends[matched].ravel()] = True
    missed = ~matched & tells[ends].all(axis=1)
    held, lost = (_crossing(ends[which], len(tiles)) for which in (matched, missed))
    torn = (held == 0) & (lost >= FEWEST_SEAMS)
    numbers = np.flatnonzero(torn & ~np.concatenate([[False], torn[:-1]]))
    return [
        Rift(before=tiles[n - 1], after=tiles[n], number=int(n), seams=int(lost[n]))
        for n in numbers.tolist()
    ]


def _crossing(ends: NDArray[np.int64], tiles: int) -> Floats:
    """Return how many seams lie between a tile before the n-th and one not before it."""
    counts = np.zeros(tiles + 1)
    np.add.at(counts, ends[:, 0] + 1, 1)
    np.subtract.at(counts, ends[:, 1] + 1, 1)
    crossing: Floats = np.cumsum(counts)[:tiles]
    return crossing


def _clock(tile: StoredTile) -> str:
    return datetime.fromtimestamp(tile.shot.taken.wall_s).strftime("%H:%M:%S")


def slips(
    tiles: Sequence[StoredTile],
    placements: Mapping[str, Placement],
    seams: Sequence[Seam],
    *,
    px_from_stage: Floats,
    stage_sigma_um: float,
) -> list[Slip]:
    """Return where a stage slipped by more than its own σ, in the order of the tiles taken.

    `tiles` are in that order, `placements` those of the settled map, whose matched `seams` are
    asked; `px_from_stage` (2x2) turns µm of the stage into pixels of the map.
    """
    order = {tile.tile_id: n for n, tile in enumerate(tiles)}
    pairs = sorted(
        {
            (min(order[s.a], order[s.b]), max(order[s.a], order[s.b]))
            for s in seams
            if s.method != "none" and {s.a, s.b} <= order.keys() & placements.keys()
        }
    )
    if len(pairs) <= FEWEST_SEAMS:
        return []
    ends = np.array(pairs)
    off_um, known = _misfits(tiles, placements, ends, px_from_stage)
    found: list[int] = []
    left, ways = _fit(off_um, known, ends, found)
    while len(found) < MOST:
        number = _likeliest(left, ends, len(tiles), least_um=stage_sigma_um)
        if number is None or number in found:
            break
        found.append(number)
        left, ways = _fit(off_um, known, ends, found)
    told: list[Slip] = []
    for number, (x_um, y_um) in sorted(zip(found, ways.tolist(), strict=True)):
        across = _across(ends, number) > 0
        told.append(
            Slip(
                before=tiles[number - 1],
                after=tiles[number],
                number=number,
                x_um=x_um,
                y_um=y_um,
                sigma_um=max(float(np.median(np.hypot(*left[across].T))), LEAST_UM),
                seams=int(across.sum()),
            )
        )
    return [slip for slip in told if np.hypot(slip.x_um, slip.y_um) > stage_sigma_um]


def _misfits(
    tiles: Sequence[StoredTile],
    placements: Mapping[str, Placement],
    ends: NDArray[np.int64],
    px_from_stage: Floats,
) -> tuple[Floats, Floats]:
    """Return of every seam how far its tiles lie from where the stage has them (n, 2), µm, and what
    may explain it (n, 3): the way between them, and the time.
    """
    at_um = np.array([(t.shot.stage.x_um, t.shot.stage.y_um) for t in tiles])
    first = tiles[0].shot.taken
    since_s = np.array([t.shot.taken.since_s(first) or 0.0 for t in tiles])
    nowhere = (np.nan, np.nan)
    placed = [placements.get(t.tile_id) for t in tiles]
    at_px = np.array([nowhere if p is None else (p.x_px, p.y_px) for p in placed])
    a, b = ends.T
    way_um = at_um[b] - at_um[a]
    off_um = (at_px[b] - at_px[a]) @ np.linalg.inv(px_from_stage).T - way_um
    return off_um, np.column_stack([way_um, since_s[b] - since_s[a]])


def _fit(
    off_um: Floats, known: Floats, ends: NDArray[np.int64], found: list[int]
) -> tuple[Floats, Floats]:
    """Return what is left of the misfits without matrix, drift and the slips found, and how far
    each of those goes (n, 2), by robust weights.
    """
    terms = np.column_stack([known, *(_across(ends, number) for number in found)])
    terms = terms / np.maximum(np.abs(terms).max(axis=0), 1e-9)
    weights = np.ones((len(off_um), 1))
    for _ in range(ROUNDS):
        fit, *_rest = np.linalg.lstsq(terms * weights, off_um * weights, rcond=None)
        left = off_um - terms @ fit
        sigma = max(float(np.median(np.hypot(*left.T))), LEAST_UM)
        weights = 1 / (1 + (np.hypot(*left.T)[:, None] / (3 * sigma)) ** 2)
    return left, fit[known.shape[1] :]


def _across(ends: NDArray[np.int64], number: int) -> Floats:
    """Return 1 for every seam between a tile before the `number`-th and one not before it."""
    return ((ends[:, 0] < number) & (ends[:, 1] >= number)).astype(np.float64)


def _likeliest(
    left_um: Floats, ends: NDArray[np.int64], tiles: int, *, least_um: float
) -> int | None:
    """Return the tile from which on seams are shifted alike by more than `least_um`, None where
    there is none.
    """
    sums = np.zeros((tiles + 1, 4))
    values = np.column_stack([np.ones(len(ends)), left_um, (left_um**2).sum(axis=1)])
    np.add.at(sums, ends[:, 0] + 1, values)
    np.subtract.at(sums, ends[:, 1] + 1, values)
    count, x, y, square = np.cumsum(sums, axis=0).T
    several = np.maximum(count, 1)
    size = np.hypot(x, y) / several
    spread = np.sqrt(np.maximum(square / several - size**2, 0))
    sigma = max(float(np.median(np.hypot(*left_um.T))), LEAST_UM)
    sure = (
        (count >= FEWEST_SEAMS)
        & (size > least_um)
        & (spread < ALIKE * size + sigma)
        & (size * np.sqrt(several) > SURE_SIGMAS * sigma)
    )
    tells = np.where(sure, size**2 * count, 0.0)
    return int(tells.argmax()) if tells.any() else None
