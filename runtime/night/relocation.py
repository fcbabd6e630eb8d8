"""Finds the place of a stage that has forgotten where it stands, by the tiles of its own night.

While the place is unknown the stage moves in a box in which it cannot leave its travel wherever it
stands (`runtime.instrument.fence`). It finds focus where it is, or beside a textured tile nearby if
there is nothing to see, and the frame is looked for among the tiles (`runtime.stitch.look.place`).
What that says is believed when a second frame, taken elsewhere, says so too: dust on the sensor
agrees with every tile, but does not move with the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.config.plan import Focus
from runtime.conveyor import alongside
from runtime.focus.belief import Height
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sharpness import BRENNER
from runtime.focus.sight import Lamp
from runtime.instrument.errors import OriginUnknown
from runtime.instrument.fence import FencedStage, room_around
from runtime.instrument.rig import Rig
from runtime.ports import DeclaredStage, Position, Travel
from runtime.record.origins import FoundOrigin
from runtime.record.rows import FocusRow, StoredTile
from runtime.stitch.look.place import NoPlace, Place, TakenTiles, shared_part
from runtime.tile import FocusVerdict, Pixels, StageLimits, StagePosition

REACH_FIELDS = 2.5
"""How far the stage goes to see something, and for the second frame, in fields."""

APART_FIELDS = 0.25
"""Two frames so far apart are of two places: what stays with the sensor is off by as much."""

PLACES, CHECKS = 4, 3
"""Places tried for the first frame, and for the second."""

NARROW_DEPTHS = 4.0
"""A first sweep is so many depths of field wide: a stage that stood in focus stands near it."""

SURE_DEPTHS = 0.5
"""The largest σ of z, in depths of field, and the least σ to which a prediction is used."""

SIGMAS = 3.0

SHARP_SHARE = 0.7
"""A tile at a fixed height that is less sharp than this share of the frame was not in focus."""

UM = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """A corrected frame, where it was taken as that was called then, how far above the focus found
    there, and the σ of that.
    """

    pixels: Pixels
    at: StagePosition
    above_um: float = 0.0
    sigma_z_um: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """One search. `taken` are all tiles of the run, the overview's among them in `overview`, those
    with something to see in `textured`; `been` is a box in which the stage surely is;
    `height` predicts the z of focus at (x, y), None where it cannot.
    """

    rig: Rig
    stage: DeclaredStage
    objective: str
    wanted: Focus
    lamp: Lamp
    correct: Callable[[Pixels], Pixels]
    depth_of_field_um: float
    stage_from_px: NDArray[np.float64]
    overview: Mapping[str, StoredTile]
    textured: Sequence[StoredTile]
    focus: Mapping[str, FocusRow]
    been: StageLimits
    scene: TakenTiles
    read: Callable[[str], Pixels | None]
    height: Callable[[float, float], Height | None]
    should_stop: Callable[[], bool]

    def find(self, believed: StagePosition, *, focus_z_um: float) -> FoundOrigin:
        """Find out where the stage stands, which is believed to be at `believed` with focus near
        `focus_z_um`; afterwards it knows its place.

        Raises OriginUnknown where that cannot be told, and what the devices raise; it then knows no
        place at all.
        """
        found = None
        try:
            self.stage.stand_at(x_um=believed.x_um, y_um=believed.y_um, z_um=believed.z_um)
            self.rig.turret.select(objective=self.objective)
            sight, place = self._recognised(believed, focus_z_um)
            found = self._checked(sight, place)
            return found
        finally:
            if found is None:
                self.stage.forget()

    # -- the first frame --------------------------------------------------------------------

    def _recognised(self, believed: StagePosition, focus_z_um: float) -> tuple[_Sight, Place]:
        """Return a frame in focus and the place that the tiles know it by."""
        fenced = self._fenced(believed, within=self.been)
        why = "there is nothing to see"
        for target in (None, *self._near(believed, fenced.stage.limits)):
            if target is not None:
                fenced.approach(x_um=target[0], y_um=target[1])
            verdict = self._focused(fenced, focus_z_um)
            if verdict.status != "ok":
                why = f"focus is not found ({verdict.status}: {verdict.reason})"
                continue
            sight = self._sight(fenced)
            seen = self._place(sight)
            if isinstance(seen, Place):
                above_um = sight.at.z_um - verdict.z_um
                return replace(sight, above_um=above_um, sigma_z_um=verdict.sigma_z_um), seen
            why = seen.why
            if seen.kind == "ambiguous":
                break
        raise OriginUnknown(why)

    def _near(self, believed: StagePosition, box: Travel) -> Iterator[UM]:
        """Yield places of textured tiles nearby, as they are called now, inside the box."""
        tiles = sorted(self.textured, key=lambda tile: _way_um(tile, believed))
        run_up_um, tried = self.rig.motion.approach_um, 0
        for tile in tiles:
            at = tile.shot.stage
            inside = all(
                low + run_up_um <= um <= high
                for um, (low, high) in ((at.x_um, box.x_um), (at.y_um, box.y_um))
            )
            if inside and _way_um(tile, believed) > APART_FIELDS * self._field_um:
                tried += 1
                yield at.x_um, at.y_um
            if tried == PLACES:
                return

    def _focused(self, rig: Rig, z_um: float) -> FocusVerdict:
        """Look for focus near a z, and then in the planned range about it."""
        low, high = rig.stage.limits.z_um
        least_um = rig.motion.approach_z_um + 2 * self.depth_of_field_um
        if high - low < least_um:
            raise OriginUnknown(
                "there is no travel in z in which it could surely look for focus",
                value=f"{high - low:.1f} µm",
                limit=f"{least_um:.1f} µm",
            )
        narrow_um = min(NARROW_DEPTHS * self.depth_of_field_um, self.wanted.range_um)
        for range_um in (narrow_um, self.wanted.range_um):
            verdict = find_focus(
                rig,
                request=FocusRequest(
                    start_z_um=z_um,
                    range_um=range_um,
                    depth_of_field_um=self.depth_of_field_um,
                    limits_um=(low, high),
                ),
                lamp=self.lamp,
                correct=self.correct,
                should_stop=self.should_stop,
            ).verdict
            if verdict.status == "ok":
                break
        return verdict

    # -- the second frame -------------------------------------------------------------------

    def _checked(self, sight: _Sight, place: Place) -> FoundOrigin:
        """Believe the place, have a frame taken elsewhere say the same, and return what it is."""
        if place.sigma_um > self.rig.stage_sigma_um:
            raise OriginUnknown(
                "the tiles do not agree well enough on where it is",
                value=f"{place.sigma_um:.2f} µm",
                limit=f"{self.rig.stage_sigma_um:.2f} µm, what the stage itself errs by",
            )
        height = self._height(place.at_um, place.tiles, sight)
        sigma_z_um = float(np.hypot(sight.sigma_z_um, height.sigma_um))
        if sigma_z_um > SURE_DEPTHS * self.depth_of_field_um:
            raise OriginUnknown(
                "its height is not told well enough",
                value=f"{sigma_z_um:.2f} µm",
                limit=f"{SURE_DEPTHS * self.depth_of_field_um:.2f} µm",
            )
        x_um, y_um = place.at_um
        here = StagePosition(x_um=x_um, y_um=y_um, z_um=height.z_um + sight.above_um)
        self.stage.stand_at(x_um=here.x_um, y_um=here.y_um, z_um=here.z_um)
        beside, second, off = self._elsewhere(here, place)
        # Both frames are as good: the middle of what they say is better.
        at = self.rig.position()
        half_x_um, half_y_um = (float(um) / 2 for um in off)
        self.stage.stand_at(x_um=at.x_um + half_x_um, y_um=at.y_um + half_y_um, z_um=at.z_um)
        return FoundOrigin(
            believed=sight.at,
            found=replace(here, x_um=x_um + half_x_um, y_um=y_um + half_y_um),
            sigma_um=float(np.hypot(place.sigma_um, second.sigma_um)) / 2,
            sigma_z_um=sigma_z_um,
            tiles=place.tiles,
            checked=beside,
            off_um=float(np.hypot(*off)),
        )

    def _elsewhere(
        self, here: StagePosition, place: Place
    ) -> tuple[str, Place, NDArray[np.float64]]:
        """Return the tile beside which a second frame was taken, the place of that, and how far
        (x, y) from where the stage was sent it lies.
        """
        slack_um = SIGMAS * place.sigma_um
        within = StageLimits(
            x_um=(here.x_um - slack_um, here.x_um + slack_um),
            y_um=(here.y_um - slack_um, here.y_um + slack_um),
            z_um=(here.z_um, here.z_um),
        )
        fenced = self._fenced(here, within=within)
        why = "no tile with something to see lies near enough to check it by"
        for tile, target in self._targets(here, fenced.stage.limits):
            z_um = self._height(target, (tile.tile_id,)).z_um
            fenced.approach(x_um=target[0], y_um=target[1], z_um=z_um)
            sight = self._sight(fenced)
            seen = self._place(sight)
            if isinstance(seen, NoPlace):
                why = f"a second frame does not confirm it: {seen.why}"
                continue
            off = np.subtract(seen.at_um, (sight.at.x_um, sight.at.y_um))
            most_um = SIGMAS * float(np.hypot(place.sigma_um, seen.sigma_um))
            if np.hypot(*off) > most_um:
                raise OriginUnknown(
                    f"a second frame, beside {tile.tile_id}, contradicts the first",
                    value=f"{np.hypot(*off):.1f} µm",
                    limit=f"{most_um:.1f} µm",
                )
            return tile.tile_id, seen, off
        raise OriginUnknown(why)

    def _targets(self, here: StagePosition, box: Travel) -> Iterator[tuple[StoredTile, UM]]:
        """Yield places a quarter of a field beside textured tiles, the nearest first.

        Beside, so that what stays with the sensor is seen to be off.
        """
        info, run_up_um, tried = self.rig.camera.info, self.rig.motion.approach_um, 0
        for tile in sorted(self.textured, key=lambda tile: _way_um(tile, here)):
            at = tile.shot.stage
            for sign in (1, -1):
                aside = self.stage_from_px @ (sign * info.width_px / 4, sign * info.height_px / 4)
                x_um, y_um = float(at.x_um + aside[0]), float(at.y_um + aside[1])
                apart_um = float(np.hypot(x_um - here.x_um, y_um - here.y_um))
                inside = all(
                    low + run_up_um <= um <= high
                    for um, (low, high) in ((x_um, box.x_um), (y_um, box.y_um))
                )
                if inside and apart_um >= APART_FIELDS * self._field_um:
                    tried += 1
                    yield tile, (x_um, y_um)
                    break
            if tried == CHECKS:
                return

    # -- what both have in common -----------------------------------------------------------

    @property
    def _field_um(self) -> float:
        """The longer side of a frame."""
        info = self.rig.camera.info
        pixel_um = float(np.sqrt(abs(np.linalg.det(self.stage_from_px))))
        return max(info.width_px, info.height_px) * pixel_um

    def _fenced(self, named: Position, *, within: StageLimits) -> Rig:
        """Return the rig with its stage kept where it is surely safe."""
        reach_um, in_z_um = REACH_FIELDS * self._field_um, self.rig.motion.approach_z_um
        reach = {"x_um": reach_um, "y_um": reach_um, "z_um": in_z_um + self.wanted.range_um / 2}
        limits = room_around(named, within=within, limits=self.rig.stage.limits, reach_um=reach)
        return replace(self.rig, stage=FencedStage(stage=self.rig.stage, limits=limits))

    def _sight(self, rig: Rig) -> _Sight:
        lamp = self.lamp
        frame = rig.expose(
            channel=lamp.channel, brightness=lamp.brightness, exposure_ms=lamp.exposure_ms
        )
        return _Sight(pixels=self.correct(frame.pixels), at=rig.position())

    def _place(self, sight: _Sight) -> Place | NoPlace:
        near_um = sight.at.x_um, sight.at.y_um
        return alongside(
            lambda: self.scene.place(sight.pixels, near_um=near_um),
            clock=self.rig.clock,
            asked=self.should_stop,
        )

    def _height(self, at_um: UM, tiles: Sequence[str], sight: _Sight | None = None) -> Height:
        """Return the z at which focus lies at a place: as the model of focus says where it is sure,
        else as the nearest of these tiles was taken, which must then be as sharp as the frame.
        """
        known = self.height(*at_um)
        if known is not None and known.sigma_um <= SURE_DEPTHS * self.depth_of_field_um:
            return known
        there = StagePosition(x_um=at_um[0], y_um=at_um[1], z_um=0.0)
        good = [name for name in tiles if self.focus[name].verdict.status == "ok"]
        if not good:
            raise OriginUnknown(f"no tile there was in focus: {', '.join(tiles)}")
        name = min(good, key=lambda name: _way_um(self.overview[name], there))
        row, tile = self.focus[name], self.overview[name]
        if sight is not None and row.source == "fixed" and not self._as_sharp(tile, at_um, sight):
            raise OriginUnknown(f"its height is not told: {name} was taken out of focus")
        return Height(z_um=tile.shot.stage.z_um, sigma_um=row.verdict.sigma_z_um)

    def _as_sharp(self, tile: StoredTile, at_um: UM, sight: _Sight) -> bool:
        """Return whether a tile shows as much as the frame of the place they share."""
        stored = self.read(tile.tile_id)
        if stored is None:
            return False
        stands = np.array([tile.shot.stage.x_um, tile.shot.stage.y_um])
        x, y = np.rint(np.linalg.inv(self.stage_from_px) @ (np.array(at_um) - stands)).astype(int)
        old, new = shared_part(stored, sight.pixels, int(x), int(y))
        return BRENNER(old) >= SHARP_SHARE * BRENNER(new)


def _way_um(tile: StoredTile, to: Position) -> float:
    at = tile.shot.stage
    return float(np.hypot(at.x_um - to.x_um, at.y_um - to.y_um))
