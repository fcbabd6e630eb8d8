"""What a board remembers of the commands it has seen, so that none is executed twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from firmware_bridge.frames.codec import Frame

RING = 8
HALF_OF_ALL_IDS = 0x8000
ALL_IDS = 0x10000


class Seen(Enum):
    """Whether a command id is new, under way or done already, or too old to be remembered."""

    NEW = auto()
    KNOWN = auto()
    STALE = auto()


@dataclass(slots=True)
class _Place:
    request: Frame
    outcome: Frame | None = None


class OutcomeRing:
    """The outcomes of one session's last commands, one place for each `id % RING`.

    A place remembers the newest id that used it. Ids grow and wrap, so an id behind the one in its
    place has fallen out of memory: it must be refused, for it may have been executed.
    """

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def seen(self, command_id: int) -> Seen:
        """Return how an arriving id stands to what is remembered."""
        known = self._places.get(command_id % RING)
        if known is None:
            return Seen.NEW
        ahead = (command_id - known.request.command_id) % ALL_IDS
        if ahead == 0:
            return Seen.KNOWN
        return Seen.NEW if ahead < HALF_OF_ALL_IDS else Seen.STALE

    def same_command(self, request: Frame) -> bool:
        """Return whether a known id asks for what it asked for the first time."""
        return self._places[request.command_id % RING].request.opcode == request.opcode

    def outcome(self, command_id: int) -> Frame | None:
        """Return the outcome of a known id, or None while it is under way."""
        return self._places[command_id % RING].outcome

    def begin(self, request: Frame) -> None:
        """Remember a new id as under way."""
        self._places[request.command_id % RING] = _Place(request)

    def conclude(self, outcome: Frame) -> None:
        """Remember an outcome, unless a newer command has taken its place."""
        place = self._places.get(outcome.command_id % RING)
        if place is not None and place.request.command_id == outcome.command_id:
            place.outcome = outcome

    def clear(self) -> None:
        """Forget everything: a new session begins."""
        self._places.clear()
