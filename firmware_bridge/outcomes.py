"""What a board remembers of the commands it has seen, so that none is executed twice."""

from __future__ import annotations

from enum import Enum, auto

from firmware_bridge.codec import Frame

RING = 8
HALF_OF_ALL_IDS = 0x8000
ALL_IDS = 0x10000


class Seen(Enum):
    """Whether a command id is new, under way or done already, or too old to be remembered."""

    NEW = auto()
    KNOWN = auto()
    STALE = auto()


class OutcomeRing:
    """The outcomes of one session's last commands, one place for each `id % RING`.

    A place remembers the newest id that used it. Ids grow and wrap, so an id behind the one in its
    place has fallen out of memory: it must be refused, for it may have been executed.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, Frame | None]] = {}

    def seen(self, command_id: int) -> Seen:
        """Return how an arriving id stands to what is remembered."""
        known = self._places.get(command_id % RING)
        if known is None:
            return Seen.NEW
        ahead = (command_id - known[0]) % ALL_IDS
        if ahead == 0:
            return Seen.KNOWN
        return Seen.NEW if ahead < HALF_OF_ALL_IDS else Seen.STALE

    def outcome(self, command_id: int) -> Frame | None:
        """Return the outcome of a known id, or None while it is under way."""
        return self._places[command_id % RING][1]

    def begin(self, command_id: int) -> None:
        """Remember a new id as under way."""
        self._places[command_id % RING] = (command_id, None)

    def conclude(self, outcome: Frame) -> None:
        """Remember an outcome, unless a newer command has taken its place."""
        place = outcome.command_id % RING
        if self._places.get(place, (None, None))[0] == outcome.command_id:
            self._places[place] = (outcome.command_id, outcome)

    def clear(self) -> None:
        """Forget everything: a new session begins."""
        self._places.clear()
