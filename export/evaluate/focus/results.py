"""What an evaluation of networks for defocus found: a row a seed, network, precision and group."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from export.evaluate.focus.score import DefocusScore
from export.evaluate.summary import Spread, spread

EVERY, DENSE = "all", "dense"
FILE = "results.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefocusRow:
    """`inputs` names the network, `model_bytes` is its size in this precision."""

    seed: int
    inputs: str
    precision: str
    group: str
    model_bytes: int
    score: DefocusScore


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusResults:
    """The rows, and in words how they came about."""

    settings: dict[str, str]
    rows: tuple[DefocusRow, ...]

    def write(self, out: Path) -> None:
        """Write every number into a folder."""
        (out / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def names(self, key: str) -> list[str]:
        """Return the inputs, precisions or groups that there are, in their order."""
        return list(dict.fromkeys(str(getattr(row, key)) for row in self.rows))

    def spread_of(self, what: str, **where: str) -> Spread | None:
        """Return mean and deviation over the seeds of one number, None where it was never told."""
        found = [
            float(getattr(row.score, what, row.model_bytes))
            for row in self.rows
            if all(str(getattr(row, key)) == value for key, value in where.items())
        ]
        return spread([one for one in found if one == one])
