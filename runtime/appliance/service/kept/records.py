"""What the service keeps, a record a row: plans that wait, who may ask, and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runtime.instant import Instant

Role = Literal["look", "operate", "administer"]
ROLES: tuple[Role, ...] = ("look", "operate", "administer")
"""Each may what those before it may."""

ItemState = Literal["waiting", "running", "done", "failed", "held"]
Wanted = Literal["run", "pause", "abort"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedPlan:
    """A plan in the queue. It is "held" by a person, or because its night cannot go on: then `run`,
    the name of its folder below the runs, is not empty. `wanted` is what was last asked of it, by
    `by`; `start_at` is Unix time. `attempts` counts how often in a row its process ended without a
    tile more than the `tiles_then`.
    """

    id: int
    name: str
    plan: str
    settings: str
    by: str
    position: int
    start_at: float | None = None
    state: ItemState = "waiting"
    wanted: Wanted = "run"
    reason: str = ""
    run: str = ""
    attempts: int = 0
    tiles_then: int = 0

    @property
    def in_hand(self) -> bool:
        """Return whether this is the night that has the microscope, paused or not."""
        return bool(self.run) and self.state in ("running", "held")

    @property
    def to_come(self) -> bool:
        """Return whether its night has not begun."""
        return not self.run and self.state in ("waiting", "held")

    @property
    def over(self) -> bool:
        """Return whether nothing more comes of it."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastId:
    """The highest id that was ever given out for a table."""

    kind: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """A token by its SHA-256: whoever reads this cannot ask with it."""

    digest: str
    name: str
    role: str
    created_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A browser that has shown a token: by the SHA-256 of its cookie and of the token."""

    digest: str
    token: str
    ends_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened to the queue or a night, in words; `run` is empty where it was
    neither's. `kind` is one word, for whoever sorts messages.
    """

    at: Instant
    run: str
    kind: str
    words: str
