"""What a night will be: its tiles, how long its mechanics take, and the room it needs."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from runtime.config.plan import Plan, PlannedTile
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused
from runtime.instrument.rig import Rig
from runtime.report.wording import counted, duration, megabytes

# To the next field from below, one step of a sweep, and the frames of one, settling and exposure
# aside: as the simulated microscope takes them at real speed. Other stages are up to twice as slow.
MOVE_S, STEP_S, READOUT_S = 0.33, 0.23, 0.03
SWEEP_FRAMES = 10
LONGEST_S = 30 * 86400.0
"""No slide, and no calibration by default, keeps still for longer than a month or three."""

# Raw tile, its share of the uncompressed map pyramid (4/3), and the TIFF of it.
COPIES_OF_A_TILE = 1 + 4 / 3 + 4 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is planned and what of it is left; a night may find fewer regions than `visits`.

    `visit_s` is about how long each takes, `mechanics_s` moving, focusing and exposing for all that
    is left, `exposure_s` the exposures alone; `needed_mb` what is left to write, the reserve of the
    settings included. It `calibrates` first where tiles lie as the settings' pixel size has them
    until then. `told` is what is remarkable, in words.
    """

    name: str
    planned: tuple[PlannedTile, ...]
    left: int
    visits: int
    visited_with: str
    visit_s: float
    exposure_s: float
    mechanics_s: float
    needed_mb: float
    free_mb: float
    calibrates: bool
    told: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Return how many rows of tiles there are; numbers are left out where there is a gap."""
        return len({tile.row for tile in self.planned})

    @property
    def columns(self) -> int:
        """Return how many columns of tiles there are, as `rows` does."""
        return len({tile.column for tile in self.planned})

    @property
    def words(self) -> tuple[str, ...]:
        """Return sentences without a full stop."""
        count = len(self.planned)
        tiles = f"{self.name}: {counted(count, 'tile')} ({self.rows} x {self.columns})"
        if self.left < count:
            tiles += f", {self.left} of them left"
        if self.visits:
            tiles += f", then up to {counted(self.visits, 'frame')} with {self.visited_with}"
        exposing = f", {duration(self.exposure_s)} of it exposure" if self.exposure_s >= 1 else ""
        first = ("will calibrate first, which may shift the tiles a little",)
        return (
            tiles,
            f"about {duration(self.mechanics_s)} of moving, focusing and exposing{exposing}",
            f"{megabytes(self.needed_mb)} to write at most, {megabytes(self.free_mb)} free",
            *(first if self.calibrates else ()),
        )


def outlook(
    plan: Plan,
    settings: Settings,
    rig: Rig,
    planned: Collection[PlannedTile],
    *,
    taken: Collection[str],
    free_mb: float,
    calibrates: bool,
) -> Outlook:
    """Return what is left of a plan on an instrument; `taken` are the ids of tiles that are safe.

    Raises ConfigRefused for a plan that takes longer than any specimen keeps still.
    """
    left = [tile for tile in planned if tile.tile_id not in taken]
    visits = visits_at_most(plan, len(planned))
    visits -= min(visits, len(set(taken) - {tile.tile_id for tile in planned}))
    field_s, visit_s = seconds_a_field(plan, settings)
    exposure_s = sum(exposures_s(plan, tile) for tile in left)
    mechanics_s = exposure_s + len(left) * field_s + visits * visit_s
    if plan.visits is not None:
        exposure_s += visits * plan.visits.exposure_ms / 1000
    hurry = _hurry(settings)
    _refuse_endless(plan, mechanics_s / hurry, exposure_s / hurry)
    return Outlook(
        name=plan.name,
        planned=tuple(planned),
        left=len(left),
        visits=visits,
        visited_with=plan.visits.objective if plan.visits else "",
        visit_s=visit_s / hurry,
        exposure_s=exposure_s / hurry,
        mechanics_s=mechanics_s / hurry,
        needed_mb=_needed_mb(settings, rig, left, visits),
        free_mb=free_mb,
        calibrates=calibrates,
    )


def visits_at_most(plan: Plan, tiles: int) -> int:
    """Return how many frames of regions there can be: no more regions than tiles, and of each no
    more frames than members.
    """
    wanted = plan.visits
    if wanted is None:
        return 0
    return min(
        min(wanted.max_regions, tiles) * min(wanted.frames_per_region, wanted.max_tiles), tiles
    )


def exposures_s(plan: Plan, tile: PlannedTile) -> float:
    """Return the seconds that a tile's own frames are exposed for."""
    own_ms = [frame.exposure_ms for frame in tile.frames] or [plan.exposure_ms]
    return sum(own_ms) / 1000


def seconds_a_field(plan: Plan, settings: Settings) -> tuple[float, float]:
    """Return about how long a tile takes beside its own exposures, sweeps shared out among all, and
    how long a frame of a region does, every one of which is focused by a sweep.
    """
    settle_s = settings.motion.settle_ms / 1000
    standing_s = MOVE_S + settle_s + READOUT_S
    step_s = STEP_S + settle_s + plan.exposure_ms / 1000
    a_sweep = {"fixed": math.inf, "every-tile": 1, "surface": plan.focus.sweep_every}
    field_s = standing_s + SWEEP_FRAMES * step_s / a_sweep[plan.focus.policy]
    if plan.visits is None:
        return field_s, 0.0
    step_s += (plan.visits.exposure_ms - plan.exposure_ms) / 1000
    return field_s, standing_s + plan.visits.exposure_ms / 1000 + SWEEP_FRAMES * step_s


def _hurry(settings: Settings) -> float:
    """Return by what the instrument's times are divided: a simulated one's may be, and the
    recorded one takes none.
    """
    hurries = {"simulated": settings.simulation.speed, "recorded": math.inf}
    return hurries.get(settings.stage.driver, 1.0)


def _refuse_endless(plan: Plan, mechanics_s: float, exposure_s: float) -> None:
    if mechanics_s > LONGEST_S:
        raise ConfigRefused(
            f"plan '{plan.name}' would take too long",
            value=f"{duration(mechanics_s)}, {duration(exposure_s)} of it exposure",
            limit=duration(LONGEST_S),
            remedy="shorten 'exposure_ms', shrink the area, or make several plans",
        )


def _needed_mb(settings: Settings, rig: Rig, left: list[PlannedTile], visits: int) -> float:
    info = rig.camera.info
    frame_mb = info.width_px * info.height_px * (2 if info.full_scale > 255 else 1) / 1e6
    more = sum(max(len(tile.frames) - 1, 0) for tile in left)
    needed_mb = ((len(left) + visits) * COPIES_OF_A_TILE + more) * frame_mb
    return needed_mb + settings.pipeline.disk_reserve_mb
