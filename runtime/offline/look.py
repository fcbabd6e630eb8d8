"""Look before you stitch: do the pictures agree with the positions or names they came with?

Half a dozen neighbouring pairs, spread over the scan, are matched where they are claimed to
overlap. Where all do beyond doubt, that is enough. Else a dozen are correlated as whole tiles, free
to overlap anywhere. Where they agree with what is claimed, the scan goes on at once. Where they
agree with one another on something else (another scale or overlap, an axis mirrored, axes swapped,
a serpentine, another first number, a turned camera), that is named, and mended or refused. Where
they do not agree at all (blank, periodic or faint specimens), nobody can tell, and it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import Listing, RecordedScan, RecordedTile
from runtime.offline.claims import Claim, Pair, claims_of, neighbours
from runtime.offline.mending import Mending, mending, overlaps
from runtime.offline.still import made_small, one_picture
from runtime.stitch.look.geometry import Geometry, fit
from runtime.stitch.look.whole import Small, WholeShift, chance_score, whole_shift
from runtime.stitch.match.blank import is_blank
from runtime.stitch.workers import on_all_cores
from runtime.tile import Pixels

SIDES_PX = (256, 768)
"""Longer side of the small tiles: the first is cheap, the second sees narrower overlaps."""

PAIRS = 6
"""Textured pairs looked at along either axis; half of them are enough where all agree."""

TRIED = 14
"""Pairs tried along either axis to find so many with texture."""

CHANCE_FACTOR, CHANCE_FACTOR_ALONE = 1.3, 2.0
CHANCE_PERCENTILE = 75.0
"""How far a score must stand above that of its own tiles turned about and above what most pairs
reach so; and where there are too few pairs to confirm one another. Not the highest: a single field
that looks alike upside down would silence all others."""

AGREE_SHARE = 0.08
"""How far two pairs may differ and still agree, as a share of the longer side."""

LEAST_AGREEING = 3
SURE, SOUND, BETTER = 0.7, 0.9, 0.15
"""Share of the matched pairs that must agree on a geometry; share of all pairs from which nothing
else is tried; and by how much another reading of the names must be better than the one given."""

MOST, MOST_SHEAR_DEG = 0.5, 8.0
"""Share of the pairs along one axis that must agree; no stage's axes are further from square."""

ReadTile = Callable[[RecordedTile], Pixels | None]
Seen = tuple[int, Pair, WholeShift]
"""Along which axis two tiles are neighbours, which ones, and how they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the look came to: the tiles to stitch, mended where that was done, and that in words
    (none where all is as claimed).

    `matched` of `tried` pairs could be matched at all.
    """

    tiles: tuple[RecordedTile, ...]
    tried: int
    matched: int
    words: tuple[str, ...] = ()
    mending: Mending | None = None

    @property
    def unsure(self) -> bool:
        """Whether the pictures could not tell if the positions are right."""
        return bool(self.words) and self.mending is None

    def summary(self) -> dict[str, Any]:
        """Return the numbers of pairs, and what was mended, as JSON holds them."""
        seen: dict[str, Any] = {"pairs": self.tried, "matched": self.matched}
        if self.mending is not None:
            seen |= {"mended": self.mending.says, "seen_from_claimed": self.mending.matrix}
        return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Neighbours under one claim: how many `pairs` there are, how many with texture were `tried`,
    which were matched (`along` 0 for x, 1 for y), which of those lie where they are claimed, and
    what they agree on.
    """

    claim: Claim
    pairs: int
    tried: int
    along: NDArray[np.int64]
    as_claimed: NDArray[np.bool_]
    geometry: Geometry | None

    @property
    def matched(self) -> int:
        """How many pairs were matched at all."""
        return len(self.along)

    @property
    def stands(self) -> bool:
        """Whether the claim is confirmed along every axis of which the pairs say anything."""
        axes = [self.as_claimed[self.along == axis] for axis in (0, 1)]
        confirmed = int(self.as_claimed.sum())
        return confirmed >= max(min(LEAST_AGREEING, self.tried), 1) and all(
            len(some) == 0 or some.mean() >= SURE for some in axes
        )

    @property
    def agreeing(self) -> int:
        """How many pairs agree with the geometry."""
        return 0 if self.geometry is None else int(self.geometry.agree.sum())

    @property
    def sure(self) -> bool:
        """Whether the geometry is more than chance: a scan is contradicted by no single pair, nor
        by a row that lies elsewhere: most pairs along either axis must agree, and on no shear.
        """
        if self.geometry is None or abs(self.geometry.shear_deg) > MOST_SHEAR_DEG:
            return False
        least = max(min(LEAST_AGREEING, self.pairs), 1)
        axes = [self.geometry.agree[self.along == axis] for axis in (0, 1)]
        most = all(len(some) == 0 or some.mean() >= MOST for some in axes)
        return most and self.agreeing >= max(least, SURE * self.matched)

    @property
    def share(self) -> float:
        """The share of all pairs that agree with the geometry."""
        return self.agreeing / max(self.tried, 1)


class Look:
    """The pairs of one scan, each tile made small and each pair matched at most once.

    `gate_px` is how far from its claimed place a neighbour may lie for the stitcher to find it;
    `read` gives a tile's pixels, or None for one that cannot be read.
    """

    def __init__(
        self, listing: Listing, scan: RecordedScan, *, read: ReadTile, gate_px: float
    ) -> None:
        self._scan = scan
        self._overlap = listing.overlap
        self._claims = claims_of(listing, scan)
        self._read = read
        self._gate_px = gate_px
        self._tiles = {tile.tile_id: tile for tile in scan.tiles}
        self._small: dict[tuple[str, int], Small | None] = {}
        self._shifts: dict[tuple[Pair, int], WholeShift] = {}
        self._chances: dict[tuple[Pair, int], float] = {}
        self._owed: dict[tuple[Pair, int], None] = {}
        self._blank: dict[str, bool] = {}

    @cached_property
    def first_pairs(self) -> list[Pair]:
        """The neighbours that are looked at first, none where these are too few to tell anything.

        Where all of them plainly match at the places that are claimed, nothing else is to be seen.
        """
        pairs = [pair for along in neighbours(self._claims[0]) for pair in along[: PAIRS // 2]]
        return pairs if len(pairs) >= LEAST_AGREEING else []

    def confirmed(self) -> Looked:
        """Return that the first pairs all lie where they are claimed to."""
        count = len(self.first_pairs)
        return Looked(tiles=self._scan.tiles, tried=count, matched=count)

    def look(self, *, mend: bool) -> Looked:
        """Return what was seen.

        Raises InputRefused when the pictures contradict the positions and `mend` is false, and
        when they are all one picture.
        """
        given = self._judge(self._claims[0], SIDES_PX[0])
        if given.stands and given.share >= SOUND:
            return self._as_claimed(given)
        self._refuse_still()
        best = self._best_of(given)
        if best.stands and not best.claim.says:
            return self._as_claimed(best)
        if not best.sure or best.geometry is None:
            return self._as_claimed(given, *_cannot_tell(given))
        found = mending(best.claim, best.geometry, self._scan, self._overlap)
        if not found.says:
            return self._as_claimed(best)
        if not mend:
            raise found.refusal(self._scan.folder, best.agreeing, best.matched)
        return Looked(
            tiles=found.tiles,
            tried=best.tried,
            matched=best.matched,
            words=(f"mended: {found.sentence}",),
            mending=found,
        )

    def _refuse_still(self) -> None:
        """Raise InputRefused where all tiles looked at so far show one picture."""
        looked_at = sorted(
            {tile_id for (tile_id, _), small in self._small.items() if small is not None}
        )
        read = (self._read(self._tiles[tile_id]) for tile_id in looked_at)
        if one_picture(made_small(pixels) for pixels in read if pixels is not None):
            raise InputRefused(
                f"{self._scan.folder}: all pictures show one place: stage or camera stood still",
                value=f"{len(looked_at)} of {len(looked_at)} pictures compared are the same but "
                "for noise",
                remedy="see that both move and take pictures, and take the scan again",
            )

    def _best_of(self, given: Judged) -> Judged:
        """Return the claim that the pairs fit best, the given one unless another is better."""
        best = given
        for claim in self._claims[1:]:
            judged = self._judge(claim, SIDES_PX[0])
            if self._plain(judged) and judged.share >= best.share + BETTER:
                best = judged
            if best.share >= SOUND:
                return best
        if not best.sure and max(self._scan.shape_px) > SIDES_PX[0]:
            return self._judge(self._claims[0], SIDES_PX[1])
        return best

    def _plain(self, judged: Judged) -> bool:
        """Return whether another reading of the names is borne out along both axes, and changes
        nothing else: two mistakes at once are less likely than chance.
        """
        if not judged.sure or judged.geometry is None or self._overlap is None:
            return False
        off = overlaps(judged.geometry, self._scan, self._overlap) - self._overlap
        along = np.bincount(judged.along[judged.geometry.agree], minlength=2)
        return int(along.min()) >= 2 and float(np.abs(off).max()) < AGREE_SHARE

    def _as_claimed(self, judged: Judged, *words: str) -> Looked:
        return Looked(
            tiles=self._scan.tiles, tried=judged.tried, matched=judged.matched, words=words
        )

    def _judge(self, claim: Claim, side_px: int) -> Judged:
        """Match pairs along x and y in turn, until enough agree with the claim or have texture."""
        pairs = neighbours(claim)
        queues = [iter(along[:TRIED]) for along in pairs]
        seen: list[Seen] = []
        for wanted in (PAIRS // 2, PAIRS):
            likely = [pair for along in pairs for pair in along[wanted - PAIRS // 2 : wanted]]
            for _ in on_all_cores(partial(self._shift, claim, pair, side_px) for pair in likely):
                pass  # what is seen is kept, and asked for below
            for axis, queue in enumerate(queues):
                while sum(a == axis for a, _, _ in seen) < wanted:
                    pair = next(queue, None)
                    if pair is None:
                        break
                    shift = self._shift(claim, pair, side_px)
                    if shift is not None:
                        seen.append((axis, pair, shift))
            judged = self._sum_up(claim, seen, side_px, pairs=len(pairs[0]) + len(pairs[1]))
            if judged.stands and judged.share == 1:
                break
        return judged

    def _sum_up(self, claim: Claim, seen: list[Seen], side_px: int, *, pairs: int) -> Judged:
        matched = [one for one in seen if self._where_claimed(claim, *one[1:])]
        if len(matched) < len(seen):
            factor = CHANCE_FACTOR if pairs >= LEAST_AGREEING else CHANCE_FACTOR_ALONE
            matched = self._beyond_chance(seen, matched, side_px, factor)
        claimed = np.array([claim.shift_px(pair) for _, pair, _ in matched]).reshape(-1, 2)
        found = np.array([shift.shift_px for _, _, shift in matched]).reshape(-1, 2)
        off_px = np.abs(found - claimed).max(axis=1, initial=0.0)
        return Judged(
            claim=claim,
            pairs=pairs,
            tried=len(seen),
            along=np.array([axis for axis, _, _ in matched], np.int64),
            as_claimed=np.asarray(off_px <= self._gate_px),
            geometry=fit(claimed, found, within_px=AGREE_SHARE * max(self._scan.shape_px)),
        )

    def _beyond_chance(
        self, seen: list[Seen], matched: list[Seen], side_px: int, factor: float
    ) -> list[Seen]:
        """Return the pairs that match: those `matched` where they are claimed to lie, and those
        that stand out from what chance gives in them and in most pairs.

        What it gives in the others is looked at only when one stands out from its own.
        """
        self._owed |= {(pair, side_px): None for _, pair, _ in seen}
        doubtful = [one for one in seen if one not in matched]
        self._look_at_chance((pair, side_px) for _, pair, _ in doubtful)
        told = [one for one in doubtful if one[2].score > factor * self._chances[one[1], side_px]]
        if told:
            self._look_at_chance(self._owed)
            level = float(np.percentile(list(self._chances.values()), CHANCE_PERCENTILE))
            told = [one for one in told if one[2].score > factor * level]
        return [one for one in seen if one in matched or one in told]

    def _look_at_chance(self, keys: Iterable[tuple[Pair, int]]) -> None:
        new = [key for key in keys if key not in self._chances]
        found = on_all_cores(partial(self._chance, *key) for key in new)
        self._chances |= dict(zip(new, found, strict=True))

    def _where_claimed(self, claim: Claim, pair: Pair, shift: WholeShift) -> bool:
        """Return whether a pair lies where it is claimed to.

        That is proof enough: of all places where two tiles may meet, chance hardly picks this one.
        """
        (x, y), (claimed_x, claimed_y) = shift.shift_px, claim.shift_px(pair)
        return shift.score > 0 and max(abs(x - claimed_x), abs(y - claimed_y)) <= self._gate_px

    def _shift(self, claim: Claim, pair: Pair, side_px: int) -> WholeShift | None:
        """Return how a pair lies; None where one cannot be read, holds nothing, or is a copy."""
        a, b = (self._made_small(tile_id, side_px) for tile_id in pair)
        if a is None or b is None or np.array_equal(a.image, b.image):
            return None
        key = (pair, side_px)
        if key not in self._shifts:
            self._shifts[key] = whole_shift(a, b)
        shift = self._shifts[key]
        if not self._where_claimed(claim, pair, shift) and any(map(self._is_blank, pair)):
            return None
        return shift

    def _chance(self, pair: Pair, side_px: int) -> float:
        a, b = (self._made_small(tile_id, side_px) for tile_id in pair)
        return 0.0 if a is None or b is None else chance_score(a, b)

    def _is_blank(self, tile_id: str) -> bool:
        if tile_id not in self._blank:
            pixels = self._read(self._tiles[tile_id])
            self._blank[tile_id] = pixels is None or is_blank(pixels)
        return self._blank[tile_id]

    def _made_small(self, tile_id: str, side_px: int) -> Small | None:
        if (tile_id, side_px) not in self._small:
            pixels = self._read(self._tiles[tile_id])
            small = None if pixels is None else Small.of(pixels, side_px=side_px)
            self._small[tile_id, side_px] = small
        return self._small[tile_id, side_px]


def _cannot_tell(judged: Judged) -> list[str]:
    """Return that in words; nothing for a scan in which no tile has a neighbour."""
    if not judged.pairs:
        return []
    why = f"{judged.matched} of {judged.tried} neighbours match"
    if judged.matched > judged.agreeing:
        why += f", and only {judged.agreeing} of them agree with one another"
    return [f"the pictures cannot tell whether the positions are right: {why}"]
