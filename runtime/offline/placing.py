"""Tiles of a recorded scan, matched and placed one by one; of rivals the one that fits is kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from runtime.distortion import Distortion
from runtime.instrument.camera.recorded import RecordedScan, RecordedTile
from runtime.offline.claims import Pair
from runtime.offline.inventory import Fate, Imprint, Inventory, imprint, sharing_a_place
from runtime.offline.still import made_small, same_pictures
from runtime.stitch.match.borders import Matchable
from runtime.stitch.match.ladder import Network
from runtime.stitch.meeting import Meeting
from runtime.stitch.stitcher import Stitcher, no_network
from runtime.stitch.straighten import straighten
from runtime.stitch.workers import Workers, workers
from runtime.tile import Backlash, Matches, Pixels, Placement, Seam, Shift

LEARNT_TILES = 40
"""So many tell a field well enough to match the rest through it from the start."""

KEPT_BYTES = 2**20
"""Strips of a tile looked at ahead are kept until its turn comes, if they are no larger."""

STAGE_SIGMA_SHARE = 0.02
"""Stage error taken when none is given, as a share of the longer tile side: recorded positions
are often nominal ones, and real stages miss them by a percent or two of a field."""


FEWEST_HELD, TURN_SIGMAS = 4, 4.0
"""Tiles that tell how the camera is turned, and how surely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Where the tiles lie, by id, and how well every predicted overlap agrees with it.

    `textured` are the tiles with more in them than noise, whatever their matches.
    """

    placed: dict[str, Placement]
    seams: tuple[Seam, ...]
    textured: frozenset[str]

    @property
    def matched(self) -> tuple[Seam, ...]:
        """The overlaps in which a match was accepted."""
        return tuple(seam for seam in self.seams if seam.method != "none")


@dataclass(frozen=True, slots=True)
class _Pass:
    """The tiles as matched through a field, or none: by id, and placed by a stitcher."""

    stitcher: Stitcher
    matches: dict[str, Matches]
    known: Distortion | None = None


class Placing:
    """A stitcher for files: what cannot be read, or is another tile's copy, costs its own place.

    `matcher`, `network` and `stage_sigma_px` are those of `Stitcher`; the latter by default a share
    of the tile. Raises ConfigRefused for an unknown matcher.
    """

    def __init__(
        self,
        inventory: Inventory,
        scan: RecordedScan,
        *,
        matcher: str,
        network: Network = no_network,
        stage_sigma_px: float | None = None,
    ) -> None:
        self._inventory = inventory
        self._scan = scan
        self._matcher, self._network = matcher, network
        self._sigma_px = sigma_px(scan, stage_sigma_px)
        self._by_id: dict[str, RecordedTile] = {}
        self._by_name: dict[str, RecordedTile] = {}
        self.extend(scan)
        self._copies: dict[str, list[RecordedTile]] = {}
        self._seen: dict[str, tuple[Imprint, Matchable]] = {}
        self._pass = _Pass(self._new_stitcher(), {})

    def extend(self, scan: RecordedScan) -> None:
        """Take over a scan that has more tiles than before, those added so far where they were."""
        self._scan = scan
        self._by_id = {tile.tile_id: tile for tile in scan.tiles}
        self._by_name = {tile.name: tile for tile in scan.tiles}

    @property
    def added(self) -> tuple[RecordedTile, ...]:
        """The tiles that were added, where they are said to lie."""
        return tuple(self._by_id[tile_id] for tile_id in self._pass.matches)

    @property
    def any_match(self) -> bool:
        """Whether any two tiles were matched so far."""
        return any(s.method != "none" for m in self._pass.matches.values() for s in m.shifts)

    def moved(self) -> dict[str, Placement]:
        """Return the tiles placed for the first time or moved since the last call."""
        return self._pass.stitcher.moved()

    def add(self, tiles: Sequence[RecordedTile], heard: Callable[[int], object]) -> None:
        """Read, match and place tiles one after another; `heard` is told how many are done.

        One that cannot be read is left out of the inventory. Every core is busy with the overlaps
        of a few tiles and what matching needs of the next ones.
        """
        with workers() as cores:
            looks = cores.run(partial(self._look, tile) for tile in tiles)
            readable = self._readable(zip(tiles, looks, strict=True))
            number = {tile.tile_id: n for n, tile in enumerate(tiles, start=1)}
            until_learnt = max(LEARNT_TILES - len(self._pass.matches), 0)
            for most in (until_learnt, None):
                for tile in self._placed(self._pass, islice(readable, most), cores):
                    heard(number[tile.tile_id])
                if most and len(self._pass.matches) == LEARNT_TILES:
                    self._straighten(cores)
        heard(len(tiles))

    def _look(self, tile: RecordedTile) -> tuple[Imprint, Matchable] | None:
        seen = self._seen.pop(tile.tile_id, None)
        if seen is not None:
            return seen
        pixels = self._inventory.read(tile)
        return None if pixels is None else (imprint(pixels), self._pass.stitcher.look(pixels))

    def _readable(
        self, seen: Iterable[tuple[RecordedTile, tuple[Imprint, Matchable] | None]]
    ) -> Iterator[tuple[RecordedTile, Matchable]]:
        """Yield the tiles that could be read, noting which are copies."""
        for tile, found in seen:
            if found is None:
                continue
            first = self._inventory.copy_of(tile, found[0])
            if first is not None:
                self._copies.setdefault(first, [self._by_name[first]]).append(tile)
            yield tile, found[1]

    def plainly_as_claimed(self, pairs: Sequence[Pair]) -> bool:
        """Return whether every one of these neighbours plainly lies where it is claimed to.

        What was found of them is not looked for again when their tiles are added.
        """
        with workers() as cores:
            found = list(cores.run(partial(self._look_plainly, pair) for pair in pairs))
        plain = [shift for shift in found if shift is not None]
        if len(plain) < len(pairs):
            return False
        self._pass.stitcher.take_over(plain)
        return True

    def _look_plainly(self, pair: Pair) -> Shift | None:
        tiles = [tile for tile in self._scan.tiles if tile.tile_id in pair]
        seen: dict[str, Matchable] = {}
        for tile in tiles:
            found = self._look(tile)
            if found is None:
                return None
            seen[tile.tile_id] = found[1]
            if found[1].borders.nbytes <= KEPT_BYTES:
                self._seen[tile.tile_id] = found
        earlier, later = ((tile.tile_id, *self._centre_px(tile)) for tile in tiles)
        return self._pass.stitcher.look_plainly(earlier, later, seen=seen)

    def straighten(self) -> None:
        """Match the tiles again through the field that bends them all, where one does."""
        with workers() as cores:
            self._straighten(cores)

    def _straighten(self, cores: Workers) -> None:
        self._pass = straighten(self._pass, partial(self._through, cores))

    def _through(self, cores: Workers, field: Distortion) -> _Pass:
        found = _Pass(self._new_stitcher(field), {}, field)
        tiles = [self._by_id[tile_id] for tile_id in self._pass.matches]
        looks = cores.run(partial(self._look_again, tile) for tile in tiles)
        for _ in self._placed(found, zip(tiles, looks, strict=True), cores):
            pass
        return found

    def _look_again(self, tile: RecordedTile) -> Matchable:
        return self._pass.stitcher.look(self._inventory.pixels(tile))

    def _placed(
        self, into: _Pass, seen: Iterable[tuple[RecordedTile, Matchable]], cores: Workers
    ) -> Iterator[RecordedTile]:
        """Yield tiles as they are placed, in their order; overlaps of the next ones are matched
        meanwhile.
        """
        met: deque[tuple[RecordedTile, Meeting]] = deque()
        shifts: list[Shift] = []
        for shift in cores.run(self._jobs(into.stitcher, seen, met)):
            shifts.append(shift)
            yield from self._hold(into, met, shifts)
        yield from self._hold(into, met, shifts)

    def _jobs(
        self,
        stitcher: Stitcher,
        seen: Iterable[tuple[RecordedTile, Matchable]],
        met: deque[tuple[RecordedTile, Meeting]],
    ) -> Iterator[Callable[[], Shift]]:
        """Yield what matches one overlap after another, noting which tiles have `met` for it."""
        for tile, matchable in seen:
            x, y = self._centre_px(tile)
            meeting = stitcher.meet(tile.tile_id, matchable, x_um=x, y_um=y, earlier=self.read)
            stitcher.stand(tile.tile_id, x_um=x, y_um=y)
            met.append((tile, meeting))
            yield from meeting.jobs

    def _hold(
        self, into: _Pass, met: deque[tuple[RecordedTile, Meeting]], shifts: list[Shift]
    ) -> Iterator[RecordedTile]:
        """Place the tiles of which all overlaps are matched; take them and their shifts away."""
        while met and len(shifts) >= (count := len(met[0][1].jobs)):
            tile, meeting = met.popleft()
            matches = meeting.matches(shifts[:count])
            del shifts[:count]
            x, y = self._centre_px(tile)
            into.stitcher.hold(tile.tile_id, matches, x_um=x, y_um=y)
            into.matches[tile.tile_id] = matches
            yield tile

    def read(self, tile_id: str) -> Pixels:
        """Return the pixels of a tile that was added; raises InputRefused when they are gone."""
        return self._inventory.pixels(self._by_id[tile_id])

    def file_name(self, tile_id: str) -> str:
        """Return the name of a tile's file."""
        return self._by_id[tile_id].name

    def file(self, tile_id: str) -> Path:
        """Return a tile's file."""
        return self._by_id[tile_id].file

    @property
    def distortion(self) -> Distortion | None:
        """The field that `solve` found all tiles to share, if any."""
        return self._pass.stitcher.distortion

    @property
    def backlash(self) -> Backlash | None:
        """What `solve` found of the stage's backlash, where files come in the order taken."""
        return self._pass.stitcher.backlash

    @property
    def shifts(self) -> dict[tuple[str, str], Shift]:
        """What was measured in every predicted overlap, by the ids of its tiles."""
        return {(s.a, s.b): s for matches in self._pass.matches.values() for s in matches.shifts}

    def solve(self) -> Solved:
        """Return the places of all tiles, each content and each place once.

        A tile that is another's copy, or is said to lie where another lies, is at most one of two
        right: the one with more accepted matches stays, the other is left out by name.
        """
        solved = self._solved()
        out = {tile.tile_id for tile in self._losers(solved)}
        if not out:
            return solved
        if any(out & {seam.a, seam.b} for seam in solved.matched):
            self._place_again(out)
            solved = self._solved()
        return Solved(
            placed={name: place for name, place in solved.placed.items() if name not in out},
            seams=tuple(seam for seam in solved.seams if not out & {seam.a, seam.b}),
            textured=solved.textured - out,
        )

    def _solved(self) -> Solved:
        placed = self._pass.stitcher.solve()
        listed = [tile.tile_id for tile in self._scan.tiles if tile.tile_id in placed]
        return Solved(
            placed={tile_id: placed[tile_id] for tile_id in listed},
            seams=self._pass.stitcher.seams(placed),
            textured=frozenset(i for i in listed if not self._pass.matches[i].blank),
        )

    def _losers(self, solved: Solved) -> list[RecordedTile]:
        held = Counter(name for seam in solved.matched for name in (seam.a, seam.b))
        added = [tile for tile in self._scan.tiles if tile.tile_id in self._pass.matches]
        losers: dict[str, RecordedTile] = {}
        rivals: list[tuple[Fate, Sequence[RecordedTile]]] = [
            *(("duplicate", group) for group in self._copies.values()),
            *(("same picture", group) for group in self._same_pictures(solved)),
            *(("same place", group) for group in sharing_a_place(added)),
        ]
        for fate, group in rivals:
            # Of equals the first stays.
            winner = max(group, key=lambda tile: held[tile.tile_id])
            for tile in group:
                if tile is not winner and tile.tile_id not in losers:
                    losers[tile.tile_id] = tile
                    fits = ", which its neighbours match" if held[winner.tile_id] else ""
                    self._inventory.leave_out(tile, fate, f"as {winner.name}{fits}")
        return list(losers.values())

    def camera_turn_deg(self, solved: Solved) -> float:
        """Return how far the camera is turned against the stage, clockwise with y down; 0 where
        that is no more than tiles that turn, each by itself, are on average.
        """
        held = [place for place in solved.placed.values() if place.flag == ""]
        if len(held) < FEWEST_HELD:
            return 0.0
        claimed = np.array([self._centre_px(self._by_id[place.tile_id]) for place in held])
        corners = np.array([(place.x_px, place.y_px) for place in held])
        turns = np.array([place.theta_rad for place in held])
        half = (np.array(self._scan.shape_px[::-1]) - 1) / 2 @ (1, 1j)
        seen = corners @ (1, 1j) + half * np.exp(1j * turns)
        said = claimed @ (1, 1j)
        whole = np.angle(np.sum((seen - seen.mean()) * np.conj(said - said.mean())))
        turn = float(whole - np.median(turns))
        by_chance = TURN_SIGMAS * float(np.std(turns)) / len(turns) ** 0.5
        return float(np.degrees(turn)) if abs(turn) > by_chance else 0.0

    def _same_pictures(self, solved: Solved) -> list[list[RecordedTile]]:
        """Return the groups of tiles that are one picture, where some are not matched as claimed.

        All tiles are read again for that.
        """
        doubted = [
            tile_id
            for tile_id in solved.textured
            if solved.placed[tile_id].flag in ("stage-only", "suspect")
        ]
        if not doubted:
            return []
        copies = {tile.tile_id for group in self._copies.values() for tile in group[1:]}
        names = [tile_id for tile_id in solved.placed if tile_id not in copies]
        pictures = {tile_id: made_small(self.read(tile_id)) for tile_id in names}
        groups = same_pictures(pictures, [name for name in doubted if name not in copies])
        return [[self._by_id[tile_id] for tile_id in group] for group in groups]

    def _place_again(self, without: set[str]) -> None:
        """Place all tiles but those, by the matches they have."""
        self._pass = replace(self._pass, stitcher=self._new_stitcher(self._pass.known))
        for tile_id, matches in self._pass.matches.items():
            if tile_id in without:
                continue
            kept = tuple(s for s in matches.shifts if not without & {s.a, s.b})
            x, y = self._centre_px(self._by_id[tile_id])
            self._pass.stitcher.place(tile_id, replace(matches, shifts=kept), x_um=x, y_um=y)

    def _centre_px(self, tile: RecordedTile) -> tuple[float, float]:
        """Return a tile's stage counted in pixels: its centre, as a camera would have had it."""
        height, width = self._scan.shape_px
        return tile.x_px + (width - 1) / 2, tile.y_px + (height - 1) / 2

    def _new_stitcher(self, known: Distortion | None = None) -> Stitcher:
        return Stitcher(
            px_from_stage=np.eye(2),
            stage_sigma_px=self._sigma_px,
            shape_px=self._scan.shape_px,
            matcher=self._matcher,
            network=self._network,
            border_px=border_px(self._scan.tiles, self._scan.shape_px, self._sigma_px),
            known=known,
            in_order=True,
        )


def sigma_px(scan: RecordedScan, given: float | None) -> float:
    """Return how far a position may be off, one standard deviation."""
    return STAGE_SIGMA_SHARE * max(scan.shape_px) if given is None else given


def border_px(
    tiles: Iterable[RecordedTile], shape_px: tuple[int, int], sigma_px: float
) -> int | None:
    """Return as much of each tile's border as the scan's overlap needs; None for the default."""
    points = np.unique([(tile.x_px, tile.y_px) for tile in tiles], axis=0)
    if len(points) < 2:
        return None
    longest = max(shape_px)
    nearest = np.median(np.asarray(cKDTree(points).query(points, k=2)[0])[:, 1])
    return int(np.clip(longest - nearest + 5 * sigma_px, longest // 8, longest))
