"""What speaks against a tile: its frame beside those of tiles that were good.

The specimen may be anything: black, white, empty, alike everywhere. But where two tiles overlap,
both show the same place, so a tile that is darker there, or brighter, than its neighbour tells of
the light and not of the specimen; and two fields apart do not show the same detail in the same
pixels unless the stage stood still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.night.glance import SAME_PLACE, Glance, alike, brightness, fit, like_itself
from runtime.record.rows import Doubt, TileState

# Below a fiftieth of what is usual, eight bits have five grey levels: nothing is seen.
BLACK = 0.02
# A lamp that has half of what it had, or twice, where the same place is seen: overlaps of tiles
# that err by a few pixels agree within some per cent.
HALF = 0.5
ALL_WHITE = 0.99
# Two that are white where both show the same place are as bright, but for their flat field.
WHITE = 0.8
# Before there is a good tile: a picture in this share of the camera's range has eight grey levels
# of twelve bits.
NOTHING = 0.002
# Pixels of the shrunken picture that a place must have moved by to be another.
MOVED_PX = 12
# Of 116 overlaps that tell, simulated and real, those that fit agree by 0.53 and more; others, by
# 0.27 at most.
DISAGREES = 0.4
# Of 4,600 fields of a section, 96 to 512 pixels wide, all but the few that a line runs through
# resemble themselves, displaced, by less: 99 in 100 by 0.32 at most.
LIKE_ITSELF = 0.4
# Some rows of a scan: the neighbours of the next tile. 80 kB each.
KEPT_TILES = 256
COMPARED = 4

Judged = tuple[Glance, TileState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Judges tiles by those before; `px_from_stage` (2x2) of each phase turns µm of the stage into
    pixels of the camera, `full_scale` is the camera's largest number, `reach_um` how far a tile may
    well lie from its neighbour's place for it.
    """

    px_from_stage: Mapping[str, NDArray[np.float64]]
    full_scale: int
    reach_um: float
    good: deque[tuple[Glance, float | None]] = field(
        default_factory=lambda: deque[tuple[Glance, float | None]](maxlen=KEPT_TILES)
    )

    def judged(self, seen: Glance, frame: Sequence[Doubt], last: Judged | None) -> TileState:
        """Return the state of a tile, "good" or "doubtful", and what the lamp had.

        `frame` is what the frame itself tells against it, `last` the tile exposed before, whatever
        came of it.
        """
        beside = list(self._beside(seen))[:COMPARED]
        ratios = [(ratio, lamp) for other, lamp in beside for ratio in self._ratio(seen, other)]
        others = [other for other, _ in beside]
        fits = [(other, found) for other in others for found in self._fit(seen, other)]
        doubts = list(frame)
        doubts += [] if doubts else self._light(seen, [ratio for ratio, _ in ratios])
        doubts += [] if doubts else self._still(seen, [*others, *([last[0]] if last else [])])
        doubts += [] if doubts else self._elsewhere(fits)
        untold = not ratios, not fits
        doubts += [] if doubts or last is None else self._inherited(seen, *last, untold=untold)
        lamps = [ratio * lamp for ratio, lamp in ratios if lamp is not None]
        first = not any(other.phase == seen.phase for other, _ in self.good)
        return TileState(
            tile_id=seen.tile_id,
            state="doubtful" if doubts else "good",
            doubts=tuple(doubts),
            lamp=float(np.median(lamps)) if lamps else 1.0 if first else None,
        )

    def learn(self, seen: Glance, state: TileState) -> None:
        """Remember a good tile."""
        self.good.append((seen, state.lamp))

    def usual(self, phase: str) -> float | None:
        """Return how bright a good tile's brightest places are, or None before the first."""
        peaks = [other.peak for other, _ in self.good if other.phase == phase]
        return float(np.median(peaks)) if peaks else None

    def known(self, here: Glance, *, beside: Set[str]) -> Glance | None:
        """Return a good overview tile to look at again: full of texture and, where there is one, in
        another row and column than `here`; None where there is none. It is none of those `beside`,
        which are under suspicion themselves.
        """
        fields = [
            (axes, other.texture, other)
            for other, _ in self.good
            if other.phase == "overview"
            and other.textured
            and other.tile_id not in beside
            and (axes := self._across(here, other))
        ]
        return max(fields, key=lambda one: one[:2])[2] if fields else None

    def _across(self, here: Glance, other: Glance) -> int:
        """Return on how many axes of the stage two tiles lie half a field apart or more.

        Of tiles of two objectives nobody asks by how much.
        """
        if here.phase != other.phase:
            return 2
        height, width = (side * here.shrink for side in here.detail.shape)
        um = np.abs(np.linalg.inv(self.px_from_stage[here.phase])) @ (width / 2, height / 2)
        apart_um = abs(here.x_um - other.x_um), abs(here.y_um - other.y_um)
        return sum(away >= half for away, half in zip(apart_um, um, strict=True))

    def _beside(self, seen: Glance) -> Iterator[tuple[Glance, float | None]]:
        """Yield the good tiles that overlap one, those taken last first."""
        height, width = (side * seen.shrink for side in seen.detail.shape)
        for other, lamp in reversed(self.good):
            if other.phase == seen.phase and other.tile_id != seen.tile_id:
                dx, dy = self._shift_px(seen, other)
                if abs(dx) < width and abs(dy) < height:
                    yield other, lamp

    def _shift_px(self, seen: Glance, other: Glance) -> tuple[float, float]:
        away_um = (seen.x_um - other.x_um, seen.y_um - other.y_um)
        dx, dy = self.px_from_stage[seen.phase] @ away_um
        return float(dx), float(dy)

    def _ratio(self, seen: Glance, other: Glance) -> list[float]:
        usual = self.usual(seen.phase) or 0.0
        ratio = brightness(seen, other, shift_px=self._shift_px(seen, other), darkest=BLACK * usual)
        return [] if ratio is None else [ratio]

    def _light(self, seen: Glance, ratios: list[float]) -> list[Doubt]:
        """Return what brightness says against a tile whose overlaps have these `ratios`."""
        usual = self.usual(seen.phase)
        if seen.saturated >= ALL_WHITE and not any(WHITE < ratio < 1 / WHITE for ratio in ratios):
            return [Doubt(kind="white", reason="every pixel at full scale")]
        if any(HALF < ratio < 1 / HALF for ratio in ratios):
            return []
        if usual is None and not seen.textured and seen.peak < NOTHING * self.full_scale:
            return [Doubt(kind="black", reason="nothing but the camera's dark level")]
        if usual is not None and seen.peak < BLACK * usual and not self._dark_beside(seen):
            said = f"its brightest places have {seen.peak / usual:.1%} of what is usual"
            return [Doubt(kind="black", reason=said)]
        if ratios:
            ratio = float(np.median(ratios))
            said = f"{ratio:.0%} of its neighbours' brightness, where both show the same place"
            return [Doubt(kind="dim" if ratio < 1 else "bright", reason=said)]
        return []

    def _dark_beside(self, seen: Glance) -> bool:
        """Return whether a good neighbour is as dark where it shows the same place."""
        floor = BLACK * (self.usual(seen.phase) or 0.0)
        return any(
            brightness(seen, other, shift_px=self._shift_px(seen, other), darkest=floor) is None
            for other, _ in self._beside(seen)
        )

    def _still(self, seen: Glance, others: Sequence[Glance]) -> list[Doubt]:
        """Return a doubt where another place shows the same detail in the same pixels, if it is
        detail that tells of such a move.
        """
        for other in others:
            if other.phase != seen.phase or not (seen.textured and other.textured):
                continue
            shift_px = self._shift_px(seen, other)
            moved_px = max(abs(shift) for shift in shift_px)
            if moved_px < MOVED_PX * seen.shrink or (same := alike(seen, other)) <= SAME_PLACE:
                continue
            if max(like_itself(each, shift_px=shift_px) for each in (seen, other)) < LIKE_ITSELF:
                said = (
                    f"it shows what {other.tile_id} shows, {moved_px:.0f} px away "
                    f"(correlation {same:.2f})"
                )
                return [Doubt(kind="still", reason=said)]
        return []

    def _elsewhere(self, fits: Sequence[tuple[Glance, float]]) -> list[Doubt]:
        """Return a doubt where a tile agrees with no more of those that it overlaps than it
        disagrees with: after a slip it agrees with those taken since.
        """
        against = [(other, found) for other, found in fits if found <= DISAGREES]
        if not against or 2 * len(against) < len(fits):
            return []
        other, found = against[0]
        said = f"it does not fit {other.tile_id}, which it overlaps (correlation {found:.2f})"
        return [Doubt(kind="elsewhere", reason=said)]

    def _fit(self, seen: Glance, other: Glance) -> list[float]:
        px_from_stage = self.px_from_stage[seen.phase]
        reach_px = self.reach_um * float(np.sqrt(abs(np.linalg.det(px_from_stage))))
        shift_px = self._shift_px(seen, other)
        found = fit(seen, other, shift_px=shift_px, reach_px=reach_px)
        return [] if found is None else [found]

    def _inherited(
        self, seen: Glance, last: Glance, state: TileState, *, untold: tuple[bool, bool]
    ) -> list[Doubt]:
        """Return the doubts of a doubtful tile with which one agrees of whose light, or of whose
        place, no other neighbour tells: whatever was wrong with the one is so with the other.
        """
        if last.phase != seen.phase or last.tile_id == seen.tile_id:
            return []
        light = untold[0] and any(HALF < ratio < 1 / HALF for ratio in self._ratio(seen, last))
        place = untold[1] and any(found > DISAGREES for found in self._fit(seen, last))
        return [
            Doubt(kind=doubt.kind, reason=f"as {last.tile_id} beside it")
            for doubt in state.doubts
            if (doubt.kind in ("dim", "bright") and light)
            or (doubt.kind in ("still", "elsewhere") and place)
        ]
