"""What a fit hands to the registry: measured values, and whether they may be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Measured(NamedTuple):
    """A value with its standard uncertainty (1 σ) and its unit."""

    value: float
    sigma: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One finished measurement. `acceptance` states the limit in words with numbers; `advice`
    what the technician should do, empty when all is well. `arrays` are kept beside the record.
    """

    values: dict[str, Measured]
    residuals: tuple[float, ...]
    acceptance: str
    passed: bool
    advice: str = ""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"])
