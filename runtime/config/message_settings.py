"""The section `[messages]`: who is told what became of a night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from runtime.config.strict import Strict

Occasion = Literal["finished", "attention", "paused", "stalled", "hardware", "disk", "calibration"]
OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)


class MessagesSection(Strict):
    """`targets` is a file of Apprise addresses, one a line; without it nobody is told anything.

    A file of its own, and not a key of the settings: an address holds passwords, and every run
    folder holds a copy of the settings. `on` are the occasions that are told; `link` is the address
    of the page that shows the runs. The same news of one run is told again after `quiet_min` at
    the earliest, and no more than `most_per_day` messages leave for one run. `calibration_days` is
    how long before it expires a calibration is due.
    """

    targets: Path | None = None
    on: tuple[Occasion, ...] = OCCASIONS
    link: str = ""
    quiet_min: Annotated[float, Field(ge=0)] = 60.0
    most_per_day: Annotated[int, Field(ge=1, le=1000)] = 24
    calibration_days: Annotated[float, Field(ge=0)] = 7.0
