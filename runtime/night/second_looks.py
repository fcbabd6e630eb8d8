"""Overlaps that a tile's own time was too short for, looked at again when compute has time.

A tile is matched by as much of the ladder as its budget allows: not by the network, and when
compute has fallen behind not by keypoints either. Where that found nothing the whole ladder is
climbed later, between tiles, and before the map is settled for all that are left. So what the map
rests on in the end does not depend on how busy the machine was.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from runtime.night.intake import Intake
from runtime.night.stages import SECOND_LOOK, Journey
from runtime.record.budget import Meter
from runtime.tile import Matches


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLooks:
    """What is left to look at again, oldest first; on the compute worker's thread.

    `asks` says whether there is a network, which no tile's own time is enough for.
    """

    intake: Intake
    meter: Meter
    asks: bool
    _left: deque[tuple[str, str]] = field(default_factory=deque[tuple[str, str]])

    def __len__(self) -> int:
        return len(self._left)

    def note(self, journey: Journey) -> None:
        """Remember the overlaps of a tile in which the rungs that were climbed found nothing."""
        if journey.matches is not None and (self.asks or journey.hurried):
            self._note(journey.tile_id, journey.matches)

    def recall(self) -> None:
        """Remember those of all journaled tiles: which of them were looked at again is not kept."""
        for tile in self.intake.journal.tiles("overview"):
            matches = self.intake.journal.matches_of(tile.tile_id)
            if matches is not None:
                self._note(tile.tile_id, matches)

    def one(self) -> bool:
        """Look at one overlap again; return False where none is left.

        What is found counts from then on: journaled, placed, drawn.
        """
        if not self._left:
            return False
        tile_id, other = self._left.popleft()
        with self.meter.time(SECOND_LOOK.stage, tile_id):
            self._look(tile_id, other)
        return True

    def _look(self, tile_id: str, other: str) -> None:
        stitcher, journal = self.intake.stitcher, self.intake.journal
        shift = stitcher.look_again(tile_id, other, read=self.intake.corrected_pixels)
        if shift.method == "none":
            return
        stitcher.improve(shift)
        moved = stitcher.moved()
        with journal.transaction():
            journal.set_shift(tile_id, shift)
            journal.set_placements(list(moved.values()))
        self.intake.render(moved)

    def _note(self, tile_id: str, matches: Matches) -> None:
        missed = (shift for shift in matches.shifts if shift.method == "none")
        self._left.extend((tile_id, s.a if s.b == tile_id else s.b) for s in missed)
