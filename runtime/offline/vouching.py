"""What vouches for the places of a lattice, where the look could not tell whether they are right.

A stage that is turned or scaled by a period a step has every neighbour match, a period off: no tile
contradicts another one. Only the specimen's flaws speak against that. They are asked of every seam,
and summed along either axis, for such a stage is wrong in all seams along it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scipy.cluster.hierarchy import DisjointSet

from runtime.offline.outcome import DISAGREES_PX
from runtime.offline.placing import Solved
from runtime.stitch.match.repeats import led_by_nats, periods_px
from runtime.tile import Pixels, Seam

SAMPLED = 9
"""Tiles looked at; where no more than half of them repeat, matches are proof enough."""

DECIDED_NATS = 8.0
"""The places along an axis are 3,000 times as likely as those a period further."""

TOLD_NATS = 1.0
"""A seam of which flaws say less holds its tiles together by the lattice alone."""


def vouched(solved: Solved, read: Callable[[str], Pixels]) -> tuple[Solved, tuple[str, ...]]:
    """Return the tiles with those suspect whose place no flaw of a repeating specimen vouches for,
    and that in words, none where all are vouched for.
    """
    if not _repeats(solved, read):
        return solved, ()
    whole, doubted = doubts(_leads(solved, read))
    placed = {
        tile: replace(place, flag="suspect") if tile in doubted and place.flag == "" else place
        for tile, place in solved.placed.items()
    }
    if not doubted:
        return solved, ()
    which = f"{len(doubted)} of the tiles lie" if whole else "the whole scan lies"
    words = "the specimen repeats, and its flaws do not tell whether "
    words += f"{which} one period further: check the positions"
    return replace(solved, placed=placed), (words,)


def doubts(leads: Mapping[Seam, float]) -> tuple[bool, frozenset[str]]:
    """Return whether most of a scan is vouched for, and the tiles that are not.

    `leads` says of every matched seam by how many nats its place is likelier than those a period
    away. One that the map does not follow vouches for no place in it, however sure it is.
    """
    followed = {seam: led for seam, led in leads.items() if seam.residual_px <= DISAGREES_PX}
    decided = all(
        sum(along) >= DECIDED_NATS
        for along in (
            [led for seam, led in followed.items() if _beside(seam) is beside]
            for beside in (True, False)
        )
        if along
    )
    groups = DisjointSet({end for seam in leads for end in (seam.a, seam.b)})
    for seam, led in followed.items():
        if led >= TOLD_NATS:
            groups.merge(seam.a, seam.b)
    # What hangs on most of the tiles by the lattice alone may lie a period off from them.
    held = max(groups.subsets(), key=lambda group: (len(group), sorted(group)), default=set())
    whole = decided and 2 * len(held) > len(list(groups))
    return whole, frozenset(tile for tile in groups if not whole or tile not in held)


def _leads(solved: Solved, read: Callable[[str], Pixels]) -> dict[Seam, float]:
    """Return by how much each seam's place is likelier than those a period away, nats."""
    ways = {name: periods_px(read(name)) for name in {seam.a for seam in solved.matched}}
    return {
        seam: led_by_nats(read(seam.a), read(seam.b), (seam.dx_px, seam.dy_px), ways[seam.a])
        if ways[seam.a]
        else DECIDED_NATS
        for seam in solved.matched
    }


def _beside(seam: Seam) -> bool:
    """Return whether the tiles of a seam lie beside, not above one another."""
    return abs(seam.dx_px) > abs(seam.dy_px)


def _repeats(solved: Solved, read: Callable[[str], Pixels]) -> bool:
    textured = sorted(solved.textured)
    some = textured[:: max(len(textured) // SAMPLED, 1)][:SAMPLED]
    return 2 * sum(bool(periods_px(read(tile))) for tile in some) > len(some)
