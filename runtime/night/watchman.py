"""The watchman: asks every tile whether it can be true, and stops a night that cannot go on.

One doubtful tile is an accident: it is taken again when the others are. Several in a short time
are either the specimen's or the instrument's, and no picture of this specimen can tell which. So a
field that was good is looked at again. Looks it as it did, the specimen is strange, and the tiles
are kept as "doubtful"; looks it not, the night pauses, and they are "to retake". Until that is
known nobody else sees them: neither files nor map hold anything that has to be taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Generic, Protocol, TypeVar

from runtime.errors import CameraFailed, InstrumentDoubted
from runtime.night.glance import Glance, Glancer
from runtime.night.suspicion import Judged, Suspicion
from runtime.night.witness import Witness
from runtime.record.journal import Journal
from runtime.record.rows import Doubt, StoredTile, TileState
from runtime.tile import Pixels, Shot

# No specimen does this: rows of another frame, bit for bit. One is enough to look.
CERTAIN = ("frozen", "late", "torn")
# So many doubtful tiles among those held are no accident; none is held for longer than the other.
TOO_MANY = 3
LONGEST = 5
# After so many good ones in a row the doubt was an accident.
GOOD_AGAIN = 2
# A doubt that was the specimen's holds up no tile for the next ones, and twice as many each time.
QUIET_TILES = 20
# A lamp that lost a tenth is told: what it still loses costs contrast, not the tile.
FADED = 0.9
# So many tiles in a row tell of it, their median: of 4,920 small ones five had less each by itself,
# where edges lie across overlaps that are off by some pixels.
LAMP_TILES = 5
# A settled stand creeps by some µm/h; the focus model supposes up to 20. What sinks faster,
# as surely as three σ and for so long, does not hold its own weight.
SINKING_UM_PER_H = 20.0
SURE_SIGMAS = 3.0
SINKING_S = 900.0
# Tiles read back by a resumed night: the next one's neighbours.
RECALLED = 24


class Watched(Protocol):
    """A tile under way, as far as the watchman knows it."""

    @property
    def tile_id(self) -> str:
        """Return its id."""

    @property
    def state(self) -> TileState | None:
        """Return what was said of it."""


Tile = TypeVar("Tile", bound=Watched)


class FieldLook(Protocol):
    """Looks at a field that was good; see `runtime.night.known_field`."""

    def look(self, known: Glance, *, here: Glance, objective: str) -> list[Doubt]:
        """Return what is wrong with the instrument."""


@dataclass(slots=True, kw_only=True)
class Watchman(Generic[Tile]):
    """Watches one session of a night. `glancers` look at frames, one an objective.

    `field` is None for a recording, which nobody can take again: its doubtful tiles are told, and
    hold up nothing. `say` enters a finding into the log. `retaking` are tiles that were doubtful
    before: what is doubtful again is no accident.
    """

    journal: Journal
    witness: Witness
    suspicion: Suspicion
    glancers: Callable[[str], Glancer]
    known_field: FieldLook | None
    say: Callable[[str, str], None]
    retaking: bool = False
    _last: Judged | None = None
    _began: bool = False
    _objective: str = ""
    _held: list[Tile] = field(default_factory=list[Tile])
    _quiet: dict[str, int] = field(default_factory=dict[str, int])
    _acquitted: dict[str, int] = field(default_factory=dict[str, int])
    _lamps: deque[float] = field(default_factory=lambda: deque[float](maxlen=LAMP_TILES))

    def recall(self, read: Callable[[StoredTile], Pixels]) -> None:
        """Look again at the tiles that a resumed night took last; `read` reads their pixels."""
        states = self.journal.states()
        for tile in self.journal.tiles()[-RECALLED:]:
            state = states.get(tile.tile_id)
            if state is not None and state.state in ("good", "blank"):
                shot = tile.shot
                glance = self.glancers(shot.imaging.objective).look(shot, read(tile))
                self.suspicion.learn(glance, state)

    def look(self, shot: Shot, raw: Pixels, frame: tuple[Doubt, ...]) -> TileState:
        """Return what is to be said of a tile; `frame` is what was seen while it was exposed."""
        self._objective = shot.imaging.objective
        seen = self.glancers(self._objective).look(shot, raw)
        state = self.suspicion.judged(seen, frame, self._last)
        self._last = seen, state
        if state.state == "good":
            self.suspicion.learn(seen, state)
        return state

    def sort(self, tile: Tile) -> list[Tile]:
        """Return the tiles that may go on, in the order taken; this one may have to wait.

        Raises InstrumentDoubted where the night has to pause; what is held is to retake then.
        """
        if self._began and not self._held and not self._doubted(tile):
            return [self._passed(tile)]
        # The first one waits for the second: it might be what a frozen camera had in hand.
        self._began = True
        self._held.append(tile)
        doubted = sum(self._doubted(held) for held in self._held)
        if self.known_field is None:
            return self._acquit("nobody can take it again")
        known = self._known()
        certain = self._doubted(tile) and self._certain(tile)
        if doubted >= TOO_MANY or len(self._held) >= LONGEST or (certain and known is not None):
            return self._ask(self.known_field, known)
        latest = self._held[-GOOD_AGAIN:]
        over = len(latest) == GOOD_AGAIN and not any(self._doubted(held) for held in latest)
        return self.rest() if over else []

    def rest(self) -> list[Tile]:
        """Return what may go on when there is nothing to wait for, as `sort` does."""
        doubted = any(self._doubted(held) for held in self._held)
        if self.retaking and doubted and self.known_field is not None:
            return self._ask(self.known_field, self._known())
        return self._let_go()

    def hear_focus(self, sunk_um: tuple[float, float], *, since_first_s: float) -> None:
        """Tell, once, where focus sinks or climbs by more than drift: `sunk_um` is how far it has
        moved since the first look, and the σ of that.
        """
        moved_um, sigma_um = sunk_um
        allowed_um = SINKING_UM_PER_H * since_first_s / 3600
        surely = abs(moved_um) - SURE_SIGMAS * sigma_um > allowed_um
        if surely and since_first_s > SINKING_S and not self.journal.fact("focus_sinks"):
            self.journal.note(focus_sinks=True)
            way = "sunk" if moved_um < 0 else "climbed"
            after = f"{abs(moved_um):.0f} ± {sigma_um:.0f} µm in {since_first_s / 60:.0f} minutes"
            self.say("focus", f"focus has {way} by {after}: more than drift")

    def to_retake(self) -> set[str]:
        """Return the tiles that are to be taken again."""
        states = self.journal.states()
        return {name for name, state in states.items() if state.state == "to retake"}

    # -- what becomes of tiles that were held -----------------------------------------------

    def _doubted(self, tile: Tile) -> bool:
        """Return whether something speaks against a tile that was not the specimen's before."""
        doubts = tile.state.doubts if tile.state is not None else ()
        return any(self._quiet.get(doubt.kind, 0) <= 0 for doubt in doubts)

    def _certain(self, tile: Tile) -> bool:
        """Return whether what speaks against a tile cannot be the specimen's."""
        doubts = tile.state.doubts if tile.state is not None else ()
        return any(doubt.kind in CERTAIN for doubt in doubts)

    def _passed(self, tile: Tile) -> Tile:
        """Take a tile's word for it."""
        state = tile.state
        for kind in self._quiet:
            self._quiet[kind] -= 1
        if state is not None and state.state == "good":
            self._tell_lamp(state)
        return tile

    def _let_go(self) -> list[Tile]:
        """Pass the good ones of those held on; the others were an accident, and are to retake."""
        good = [self._passed(held) for held in self._held if not self._doubted(held)]
        self._retake([held for held in self._held if self._doubted(held)])
        self._held = []
        return good

    def _acquit(self, why: str) -> list[Tile]:
        """Pass all on: what speaks against them is the specimen's."""
        for kind in {d.kind for held in self._held if held.state for d in held.state.doubts}:
            times = self._acquitted[kind] = self._acquitted.get(kind, 0) + 1
            self._quiet[kind] = QUIET_TILES * 2 ** (times - 1)
            self.say("doubtful", f"tiles that are {kind}: kept, for {why}")
        passed = [self._passed(held) for held in self._held]
        self._held = []
        return passed

    def _known(self) -> Glance | None:
        """Return a good field taken before the first doubtful tile of those held."""
        assert self._last is not None
        doubted = [self._doubted(held) for held in self._held]
        first = doubted.index(True) if True in doubted else 0
        suspected = {held.tile_id for held in self._held[first:]}
        return self.suspicion.known(self._last[0], beside=suspected)

    def _ask(self, look_at: FieldLook, known: Glance | None) -> list[Tile]:
        assert self._last is not None
        if known is None:
            raise self._pause("no tile of this night was good before, to compare with")
        try:
            wrong = look_at.look(known, here=self._last[0], objective=self._objective)
        except CameraFailed as error:
            raise self._pause(f"{known.tile_id} was good, and now there is no frame") from error
        if wrong:
            raise self._pause(f"{known.tile_id} was good, and now: {wrong[0].reason}")
        if not any(self._certain(held) for held in self._held):
            return self._acquit(f"{known.tile_id}, seen again, looks as it did")
        if self.retaking:
            raise self._pause(f"{known.tile_id}, seen again, looks as it did, but it is the second")
        return self._let_go()

    def _pause(self, compared: str) -> InstrumentDoubted:
        """Return why the night pauses. Everything held is to retake, good or not."""
        doubted = [held for held in self._held if self._doubted(held)]
        first = doubted[0]
        reason = first.state.doubts[0] if first.state is not None else None
        self._retake(self._held)
        said = f"{len(doubted)} of the last {len(self._held)} tiles cannot be true"
        self._held = []
        assert reason is not None
        return InstrumentDoubted(
            f"{said}: {first.tile_id} is {reason.kind}: {reason.reason}; {compared}",
            remedy=f"{CURES[reason.kind]}, then `nightscope resume` the run: it takes them again",
        )

    def _retake(self, tiles: list[Tile]) -> None:
        states = [held.state for held in tiles if held.state is not None]
        self.journal.set_states([replace(state, state="to retake") for state in states])

    def _tell_lamp(self, state: TileState) -> None:
        if self.known_field is None or state.lamp is None:
            return
        self._lamps.append(state.lamp)
        lamp, told = median(self._lamps), self.journal.fact("lamp_faded")
        if len(self._lamps) == LAMP_TILES and lamp < FADED and not told:
            self.journal.note(lamp_faded=True)
            self.say("lamp", f"at {state.tile_id} the lamp has {lamp:.0%} of what it had")


CURES: Mapping[str, str] = {
    "black": "see that the lamp burns, the shutter is open and the camera's lid is off",
    "white": "see that no other light falls in, and that the exposure is right",
    "frozen": "replug the camera",
    "late": "replug the camera, and close what else reads it",
    "torn": "replug the camera, with a shorter cable or on another port",
    "dim": "see to the lamp",
    "bright": "see that no other light falls in",
    "elsewhere": "see that the stage moves freely: it is homed again",
    "still": "see that the stage moves freely and its motors have power",
}
