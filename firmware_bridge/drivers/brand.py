"""A brand of boards: its row in the registry, and the protocols that an open board meets.

Detection, settings, the choices of a command line and the table in `docs/boards.md` know no brand
by name; they read these rows (`registry.BRANDS`). So a new brand is a folder and a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.position import BoardPosition, BoardTravel
from firmware_bridge.plant import AxisDescription, Steps

PARTS = ("stage", "light", "turret")
LONGEST_REOPEN_S = 600.0


class DrivenStage(Protocol):
    """A stage as every driver provides it; `runtime.ports.Stage` by shape, and its motor steps."""

    @property
    def axes(self) -> tuple[AxisDescription, ...]:
        """Return the axes x, y, z."""

    @property
    def stage_id(self) -> str:
        """Return the board's unique id."""

    @property
    def failsafe(self) -> bool:
        """Return whether the board goes dark and idle by itself when the host dies."""

    @property
    def limits(self) -> BoardTravel:
        """Return the travel ranges."""

    @property
    def arrival_steps(self) -> Steps:
        """Return how far from a target each axis may rightly end: on the nearest motor step."""

    def home(self) -> None:
        """Find the origin."""

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> BoardPosition:
        """Move the named axes, wait, and return the position read back."""

    def position(self) -> BoardPosition:
        """Return the position read back."""

    def steps(self) -> Steps:
        """Return the motor positions read back."""

    def stop(self) -> None:
        """Halt all axes at once."""


class DrivenLight(Protocol):
    """A light as every driver provides it."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of what can be lit."""

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel alone at 0 to 1 and return when the board has confirmed it."""

    def off(self) -> None:
        """Switch every channel off."""


class DrivenTurret(Protocol):
    """An objective changer as every driver provides it."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """Return the mounted objectives' names."""

    def select(self, *, objective: str) -> None:
        """Swing an objective in and wait until it is seated."""


class Watchdog(Protocol):
    """What makes a board go dark and idle by itself `timeout_s` after the last `beat`.

    `rearmed` counts how often it tripped and was re-armed: a trip during an exposure made that
    exposure dark, so whoever exposes compares it before and after.
    """

    @property
    def timeout_s(self) -> float:
        """Return how long the board waits for the next beat."""

    @property
    def rearmed(self) -> int:
        """Return how often it tripped."""

    def beat(self) -> None:
        """Tell the board that the control loop is alive."""


class OpenBoard(Protocol):
    """An open board of any brand. A part it does not have is None."""

    @property
    def driver(self) -> str:
        """Return the brand's name."""

    @property
    def unique_id(self) -> str:
        """Return an id that no other board has, as far as this board can report one."""

    @property
    def failsafe(self) -> bool:
        """Return whether it goes dark and idle by itself when the host dies."""

    @property
    def stage(self) -> DrivenStage | None:
        """Return its stage."""

    @property
    def light(self) -> DrivenLight | None:
        """Return its light."""

    @property
    def turret(self) -> DrivenTurret | None:
        """Return its turret."""

    @property
    def retries(self) -> int:
        """Return how many frames, questions or commands had to be sent again."""

    @property
    def watchdog(self) -> Watchdog | None:
        """Return what must hear from the control loop, if anything."""

    def close(self) -> None:
        """Stop, dark, port released; may be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardOptions:
    """What every board must be told: how long an unplugged line is waited for.

    Each brand derives its own record and adds what its boards cannot say of themselves. The fields
    are the keys of the settings, and no others are read. Raises ValueError for a bad value.
    """

    # Whoever builds one from settings with pydantic gets an unknown key refused.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    reopen_s: float = 10.0

    def __post_init__(self) -> None:
        require_within("reopen_s", self.reopen_s, above=0, at_most=LONGEST_REOPEN_S)

    @classmethod
    def by_hand(cls) -> BoardOptions:
        """Return the options for a person who stands beside the board and watches."""
        return cls()


def require_within(name: str, value: float, *, above: float, at_most: float) -> None:
    """Raise ValueError unless `value` is greater than `above` and at most `at_most`."""
    if not above < value <= at_most:
        raise ValueError(f"{name} must be above {above:g} and at most {at_most:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The question by which a brand is recognised on an unknown port.

    `data` are the bytes sent: they move nothing and are harmless to boards of every other brand;
    `shown` is the question in words. `firmware` returns the firmware that an answer or a boot
    banner names, None when the bytes heard so far prove nothing. `usb_ids`, vendor and product,
    only decide which brand is asked first.
    """

    data: bytes
    shown: str
    firmware: Callable[[bytes], str | None]
    usb_ids: tuple[tuple[int, int], ...] = ()


class Opens(Protocol):
    """Opens a port as a board of one brand; `options` is that brand's own record."""

    def __call__(self, port: str, *, clock: MonotonicClock, options: Any) -> OpenBoard:
        """Return the board, dark and still. Raises BridgeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """One row of the registry.

    `parts` describes the stage, light and turret that boards of this brand have; parts they never
    have are left out. `dark_after` says how long after the host's death a board goes dark by
    itself, None when it does not. `versions` are the firmware versions that can be driven.
    """

    name: str
    versions: str
    parts: Mapping[str, str]
    dark_after: str | None
    greeting: Greeting
    options: type[BoardOptions]
    opener: Opens

    @property
    def offers(self) -> frozenset[str]:
        """Return what boards of this brand may have of "stage", "light" and "turret"."""
        return frozenset(self.parts)

    @property
    def failsafe(self) -> bool:
        """Return whether the boards go dark and idle by themselves when the host dies."""
        return self.dark_after is not None

    def open(
        self, port: str, *, clock: MonotonicClock, options: BoardOptions | None = None
    ) -> OpenBoard:
        """Return the board on `port`, dark and still; `options` are `self.options()` unless given.

        Raises the BridgeError that says why it cannot be used.
        """
        return self.opener(port, clock=clock, options=options or self.options())
