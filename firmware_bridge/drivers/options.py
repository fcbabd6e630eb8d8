"""What boards cannot say of themselves, so that whoever opens them must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firmware_bridge.drivers.line_board import REOPEN_S
from firmware_bridge.drivers.sangaboard.board import OPENFLEXURE_AXES
from firmware_bridge.plant import AxisDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardOptions:
    """Options by the driver that reads them; the others pass over them.

    All: `reopen_s`, how long an unplugged line is waited for. Native: `watchdog_ms`. Sangaboard:
    `axes`, and `origin_here`, which declares the position at the first `home()` the origin of a
    board without switches. GRBL: `origin_um`, the machine position the stage calls zero.
    illuminate: `led_groups`, LEDs by channel name, and `na`, the aperture of the objective.
    """

    reopen_s: float = REOPEN_S
    watchdog_ms: int = 500
    axes: tuple[AxisDescription, ...] = OPENFLEXURE_AXES
    origin_here: bool = False
    origin_um: tuple[int, int, int] | None = None
    led_groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    na: float | None = None
