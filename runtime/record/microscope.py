"""What took a run's tiles, as far as it is known: what goes into their files beside the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Self

Matrix = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """One objective: nominal magnification and aperture, and how its pictures lie to the stage.

    `refractive_index` and `wavelength_um` are None where the settings leave them open.
    `stage_from_px` is the 2x2 matrix of its calibration, µm per px (see `runtime.tile`);
    `offset_um` (x, y, z) what is added to a stage position of the overview's objective to see the
    same point with this one. Both are None where they were not measured.
    """

    magnification: float
    na: float
    refractive_index: float | None = None
    wavelength_um: float | None = None
    stage_from_px: Matrix | None = None
    offset_um: tuple[float, float, float] | None = None


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Microscope:
    """The instrument of a run; the journal has it as a fact, for the exports of later days.

    `name` is what the settings call it, `camera` and `stage` are the devices' own ids; `objectives`
    are by name. `led_angles_deg` holds by the channel how far off the axis an LED lies, where that
    was measured.
    """

    name: str = ""
    camera: str = ""
    stage: str = ""
    objectives: Mapping[str, Optics] = field(default_factory=_nothing)
    led_angles_deg: Mapping[str, float] = field(default_factory=_nothing)

    @classmethod
    def read(cls, fact: Mapping[str, Any] | None) -> Self:
        """Return the instrument from its fact in the journal, of None one of which nothing is
        known. Raises TypeError for what is none.
        """
        if fact is None:
            return cls()
        of_each = {name: Optics(**optics) for name, optics in fact["objectives"].items()}
        return cls(**{**fact, "objectives": of_each})

    def fact(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {
            "name": self.name,
            "camera": self.camera,
            "stage": self.stage,
            "objectives": {name: asdict(optics) for name, optics in self.objectives.items()},
            "led_angles_deg": dict(self.led_angles_deg),
        }


UNKNOWN = Microscope()
"""An instrument of which nothing is known."""
