"""What the autofocus loop says of fields that are not as they should be: a confusion table.

    python benchmarks/focus_verdicts.py --fields 1007 --seed 1

The fields of `tests/runtime/focus/fields.py`, seen by the loop that a night runs. A verdict is
right
if it is what the case's row allows and, where that is "ok", within half a depth of field of focus.
It is wrong whatever it says if the stage was sent beyond a limit or a lamp burns afterwards. The
goal is 98 %.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime.focus.autofocus import Focused

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.runtime.focus.fields import CASES, draw, judge, seen_by_the_loop  # noqa: E402


class Outcome(NamedTuple):
    """One field: its case, whether LEDs were asked, what was said, and what is wrong with that."""

    case: str
    paired: bool
    found: Focused
    wrong: str


def outcomes(fields: int, *, seed: int) -> Iterator[Outcome]:
    """Yield the outcome of every field; the cases take turns."""
    names = list(CASES)
    for number in range(fields):
        case = names[number % len(names)]
        drawn = draw(case, seed + number)
        found = seen_by_the_loop(drawn)
        yield Outcome(case, drawn.paired, found, judge(case, drawn, found))


def table(seen: list[Outcome]) -> str:
    """Return the confusion table: a row per case, a column per verdict, then what was wrong."""
    statuses = ("ok", "empty", "multi-peak", "edge", "saturated", "drifting", "lost")
    lines = [f"{'':40}" + "".join(f"{status:>11}" for status in (*statuses, "right"))]
    for case in CASES:
        mine = [one for one in seen if one.case == case]
        said = Counter(one.found.verdict.status for one in mine)
        right = f"{sum(not one.wrong for one in mine)}/{len(mine)}"
        lines.append(f"{case:40}" + "".join(f"{said[s]:>11}" for s in statuses) + f"{right:>11}")
    share = sum(not one.wrong for one in seen) / len(seen)
    shots = {how: [o.found.verdict.exposures for o in seen if o.paired == how] for how in (1, 0)}
    lines.append(
        f"{len(seen)} fields, {share:.1%} right; {np.mean(shots[1]):.1f} exposures a field with a "
        f"pair of LEDs, {np.mean(shots[0]):.1f} without"
    )
    wrong = Counter((one.case, one.paired, one.wrong) for one in seen if one.wrong)
    lines += [
        f"  {count} x {case}{', LEDs' * paired}: {what}"
        for (case, paired, what), count in wrong.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Draw, look, judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=190)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(table(list(outcomes(asked.fields, seed=asked.seed))))


if __name__ == "__main__":
    main()
