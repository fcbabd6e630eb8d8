"""The focus model: where focus will be at the next tile, and whether that is known well enough.

What is believed is in `runtime.focus.belief`. Here every look is tested against what was predicted
before it is believed. One that misses by more than its σ allow is taken in by nobody: from then on
two things are held possible, that the look was wrong and that the world moved, and whatever is
predicted is as unsure as they differ, until a second look says which. What the model says depends
on the looks alone, in their order, so a resumed run rebuilds it from the journal, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.focus.belief import REBOOT_UM, FocusBelief, Height
from runtime.instant import Instant

# The share of the depth of field up to which σ of a prediction needs no look: then half the depth
# of field is two σ.
GOOD_ENOUGH = 0.25
# A look so many σ off its prediction is doubted, unless it is off by less than a prediction may be;
# so many in a row that agree with nothing, and all that was believed is given up.
GATE = 4.0
MOST_DOUBTED = 3
# How far a stage that slipped may be off, as far as when its controller started again.
SLIP_UM = REBOOT_UM

EVERYWHERE = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusPoint:
    """Where focus was found: one look."""

    x_um: float
    y_um: float
    z_um: float
    sigma_um: float
    at: Instant

    def __post_init__(self) -> None:
        for name in ("x_um", "y_um", "z_um"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"FocusPoint.{name} is {getattr(self, name)}; it must be finite")
        if not 0 < self.sigma_um < math.inf:
            raise ValueError(f"FocusPoint.sigma_um is {self.sigma_um}; it must be above 0")


class FocusModel:
    """Predicts z within `limits_um` (lowest, highest), and no further than `reach_um` from what was
    ever found.
    """

    def __init__(
        self,
        *,
        depth_of_field_um: float,
        limits_um: tuple[float, float] = EVERYWHERE,
        reach_um: float = math.inf,
    ) -> None:
        self._depth_um, self._reach_um = depth_of_field_um, reach_um
        self._limits_um, self._found_um = limits_um, (math.inf, -math.inf)
        self._points: list[FocusPoint] = []
        self._doubted: list[int] = []
        self._outliers: set[int] = set()
        self._belief: FocusBelief | None = None
        self._moved: FocusBelief | None = None

    @property
    def depth_of_field_um(self) -> float:
        """Return the depth of field that predictions are held against."""
        return self._depth_um

    @property
    def good_um(self) -> float:
        """Return the largest σ that needs no look."""
        return GOOD_ENOUGH * self._depth_um

    def terms(self, *, at: Instant) -> dict[str, tuple[float, float]]:
        """Return tilt, bowl, height and drift with their σ at a moment; empty before a look."""
        return {} if self._belief is None else self._belief.terms(at)

    @property
    def points(self) -> tuple[FocusPoint, ...]:
        """Return every look, the doubted included, in order."""
        return tuple(self._points)

    @property
    def outliers(self) -> tuple[FocusPoint, ...]:
        """Return the looks that were not believed, or not yet."""
        left_out = self._outliers.union(self._doubted)
        return tuple(point for n, point in enumerate(self._points) if n in left_out)

    def observe(self, point: FocusPoint) -> None:
        """Take in a good look, or doubt it; failed and empty ones have no place here."""
        self._points.append(point)
        if self._belief is None:
            self._belief = self._first(point)
        elif (believed := self._explaining(point)) is not None:
            # Where the world moved, the looks doubted last told so; all before were wrong.
            right = self._doubted[-1:] if believed is self._moved else []
            self._outliers.update(set(self._doubted).difference(right))
            self._belief, self._moved, self._doubted = _looked(believed, point), None, []
        else:
            self._doubt(point)
        if not self._doubted:
            lowest, highest = self._found_um
            self._found_um = min(lowest, point.z_um), max(highest, point.z_um)

    def predict(self, *, x_um: float, y_um: float, at: Instant) -> Height | None:
        """Return z of focus at a place and time with its σ, µm; None before the first look.

        Where z has to be clipped, σ is as large as what was cut off at least.
        """
        possible = [belief for belief in (self._belief, self._moved) if belief is not None]
        if not possible:
            return None
        heights = [belief.height(x_um=x_um, y_um=y_um, at=at) for belief in possible]
        # Between two that are possible there is nothing, so the one that stood so far is told.
        z_um = heights[0].z_um
        variance = sum(h.sigma_um**2 + (h.z_um - z_um) ** 2 for h in heights) / len(heights)
        low, high = self._limits_um
        # Far from every look the bowl can run away, further than a sweep could find back from.
        low = max(low, self._found_um[0] - self._reach_um)
        high = min(high, self._found_um[1] + self._reach_um)
        clipped_um = min(max(z_um, low), high)
        return Height(z_um=clipped_um, sigma_um=math.hypot(math.sqrt(variance), z_um - clipped_um))

    def needs_look(self, *, x_um: float, y_um: float, at: Instant) -> str:
        """Return why the prediction here is not good enough to image on, or "" when it is."""
        predicted = self.predict(x_um=x_um, y_um=y_um, at=at)
        if predicted is None:
            return "no focus found yet"
        if self._belief is not None and at.boot_id != self._belief.at.boot_id:
            return "no focus found since the controller started again"
        if self._doubted:
            return "the last look is not where focus was expected; a second one decides"
        if predicted.sigma_um > self.good_um:
            return f"predicted to ± {predicted.sigma_um:.1f} µm, above {self.good_um:.1f} µm"
        return ""

    def _first(self, point: FocusPoint) -> FocusBelief:
        """Return what is believed of a slide that was looked at once."""
        nothing = FocusBelief.before(
            x_um=point.x_um,
            y_um=point.y_um,
            z_um=point.z_um,
            at=point.at,
            depth_of_field_um=self._depth_um,
        )
        return _looked(nothing, point)

    def _explaining(self, point: FocusPoint) -> FocusBelief | None:
        """Return which of what is held possible expected the look, the one that did so most."""
        passing: list[tuple[float, FocusBelief]] = []
        for belief in (self._belief, self._moved):
            if belief is None:
                continue
            height = belief.height(x_um=point.x_um, y_um=point.y_um, at=point.at)
            missed_um = abs(point.z_um - height.z_um)
            spread_um = math.hypot(height.sigma_um, point.sigma_um)
            if missed_um <= max(GATE * spread_um, self.good_um):
                passing.append(((missed_um / spread_um) ** 2 / 2 + math.log(spread_um), belief))
        return min(passing, key=lambda pair: pair[0])[1] if passing else None

    def _doubt(self, point: FocusPoint) -> None:
        """Hold possible that the world moved, or where looks agree with nothing, say so."""
        assert self._belief is not None
        self._doubted.append(len(self._points) - 1)
        shaken = self._belief.until(point.at).shaken(height_um=SLIP_UM)
        self._moved = _looked(shaken, point)
        if len(self._doubted) >= MOST_DOUBTED:
            self._outliers.update(self._doubted[:-1])
            self._belief, self._moved, self._doubted = self._first(point), None, []


def _looked(belief: FocusBelief, point: FocusPoint) -> FocusBelief:
    return belief.looked(
        x_um=point.x_um,
        y_um=point.y_um,
        z_um=point.z_um,
        sigma_um=point.sigma_um,
        at=point.at,
    )
