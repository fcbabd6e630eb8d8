"""All that an evaluation of matchers measured, and its mean and spread."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from export.evaluate.matching.picture import PictureScore
from export.evaluate.matching.score import PairScore, summed
from export.evaluate.summary import Spread, spread

Numbers = Mapping[str, float | None]
TRUE = "true places"
"""Called so among the matchers: what is drawn of a grid where its tiles truly lie."""


@dataclass(frozen=True, slots=True)
class StitchedScore:
    """A whole grid: how many of its pairs were believed, how far its tiles' centres lie from where
    they truly are, px, and how like the reference its picture is, None where none was drawn.
    """

    pairs: int
    centre_px: tuple[float, ...]
    picture: PictureScore | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return what is told of it, by name."""
        said: dict[str, float | None] = {
            "believed_pairs": float(self.pairs),
            "tile_px": median(self.centre_px),
            "tile_most_px": max(self.centre_px),
        }
        return said | ({} if self.picture is None else asdict(self.picture))


@dataclass(frozen=True, slots=True, kw_only=True)
class GridScore:
    """One matcher on all pairs of one grid of a data set, which `seed` made."""

    data: str
    seed: int
    grid: str
    matcher: str
    pairs: tuple[PairScore, ...]
    stitched: StitchedScore

    @property
    def numbers(self) -> Numbers:
        """Return what is told of the grid, by name."""
        return {**(summed(self.pairs) if self.pairs else {}), **self.stitched.numbers}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingResults:
    """`settings` are words for the head of the table."""

    settings: Mapping[str, str]
    grids: tuple[GridScore, ...]

    @property
    def matchers(self) -> tuple[str, ...]:
        """Return the matchers compared, in order."""
        return tuple(dict.fromkeys(score.matcher for score in self.grids))

    @property
    def names(self) -> tuple[str, ...]:
        """Return what is told of a grid, in order."""
        return tuple(dict.fromkeys(name for score in self.grids for name in score.numbers))

    def of(self, matcher: str) -> list[GridScore]:
        """Return what one matcher made of every grid."""
        return [score for score in self.grids if score.matcher == matcher]

    @property
    def spread_over(self) -> str:
        """Return what the spread is taken over: data sets, where there are several, or grids."""
        return "data sets" if len({score.data for score in self.grids}) > 1 else "grids"

    def spread_of(self, matcher: str, name: str) -> Spread | None:
        """Return mean and spread of one number, None where nothing has it."""
        told = [(s.data, s.numbers.get(name)) for s in self.of(matcher)]
        values = [(data, value) for data, value in told if value is not None]
        if self.spread_over == "grids":
            return spread([value for _, value in values])
        sets = dict.fromkeys(data for data, _ in values)
        return spread([mean(v for data, v in values if data == one) for one in sets])

    def write(self, path: Path) -> None:
        """Write every number and every pair as JSON; what is infinite becomes null."""
        grids = [
            {**asdict(score), "numbers": dict(score.numbers), "pairs": [*map(asdict, score.pairs)]}
            for score in self.grids
        ]
        whole = _finite({"settings": dict(self.settings), "grids": grids})
        path.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def to_csv(self) -> str:
        """Return one line for each matcher and grid, with every number."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = self.names
        writer.writerow(("data", "seed", "grid", "matcher", "pairs", *names))
        for score in self.grids:
            numbers = score.numbers
            values = ("" if numbers.get(n) is None else numbers[n] for n in names)
            writer.writerow(
                (score.data, score.seed, score.grid, score.matcher, len(score.pairs), *values)
            )
        return text.getvalue()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
