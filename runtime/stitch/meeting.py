"""A new tile as it meets its neighbours: what is to be matched, and what that comes to.

Nothing of it depends on what any other tile came to, so the overlaps of several tiles may be
matched at once, in any order and on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from runtime.distortion import Distortion
from runtime.stitch.match.blank import Detail
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.condensed import condensed
from runtime.stitch.match.ladder import Rung, climb
from runtime.stitch.match.refined import Match
from runtime.stitch.match.sensor import by_the_sensor
from runtime.stitch.match.straight import as_taken, straightened
from runtime.stitch.match.strips import Neighbours, StripPair
from runtime.tile import Matches, Shift


@dataclass(frozen=True, slots=True)
class Meeting:
    """A new tile and the placed ones it should overlap.

    `jobs` match one overlap each and return its shift, method "none" where nothing was matched.
    `detail` is what the tile shows, `beside` what its neighbours show.
    """

    jobs: tuple[Callable[[], Shift], ...]
    detail: Detail
    beside: tuple[Detail, ...]

    def matches(self, shifts: Sequence[Shift]) -> Matches:
        """Return what the jobs came to, given in their order.

        Where nothing matched, the tile is blank, too, if it shows what the sensor leaves in a
        neighbour, and no more.
        """
        unmatched = all(shift.method == "none" for shift in shifts)
        blank = self.detail.blank or (unmatched and any(map(self.detail.blank_beside, self.beside)))
        return Matches(shifts=tuple(shifts), blank=blank)


def shift_of(
    pair: Neighbours, facing: Facing | None, *, rungs: tuple[Rung, ...], field: Distortion | None
) -> Shift:
    """Return what the matchers find in an overlap, method "none" for nothing."""
    match = None if facing is None else _match(pair, facing, rungs, field)
    if match is None:
        dx, dy = pair.shift_px
        return Shift(a=pair.a, b=pair.b, dx_px=dx, dy_px=dy, method="none")
    return Shift(
        a=pair.a,
        b=pair.b,
        dx_px=match.shift_px[0],
        dy_px=match.shift_px[1],
        rotation_rad=match.rotation_rad,
        covariance_px2=match.covariance_px2,
        ncc=match.ncc,
        method=match.method,
        pairs=condensed(match.pairs),
        alternatives=match.alternatives,
        inliers=match.inliers,
    )


def _match(
    pair: Neighbours, facing: Facing, rungs: tuple[Rung, ...], field: Distortion | None
) -> Match | None:
    """Return the match of two neighbours through a field, None where it is none of the specimen."""

    @cache
    def cut(turned: bool) -> StripPair | None:
        strips = facing.wide if turned else facing.straight
        return straightened(strips, field) if strips and field else strips

    match = None if cut(False) is None else climb(rungs, cut, facing.chance)
    if match is not None and field is not None:
        match = as_taken(match, pair.shift_px, field)
    if match is None or by_the_sensor(match, facing):
        return None
    return match
