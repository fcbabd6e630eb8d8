"""Which plane of a focus stack a file is by its name: a count ("z07") or a height ("z-1.50um")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

NUMBER = re.compile(
    r"(?P<before>.*?)(?P<sign>[-+]?)(?P<whole>\d+)(?:[.,](?P<more>\d+))?(?P<after>\D*)"
)
LENGTH = re.compile(r"[\s_]*(?:[unm]m|[µμ]m|micron)", re.IGNORECASE)

Numbers = dict[str, Fraction]


@dataclass(frozen=True, slots=True)
class _AsWritten:
    """The last number in a name, as it is written, and what stands around it."""

    before: str
    sign: str
    whole: str
    more: str | None
    after: str

    @property
    def kind(self) -> tuple[str, str]:
        return self.before, self.after

    @property
    def height(self) -> Fraction:
        return Fraction(f"{self.whole}.{self.more or 0}")


def numbered(names: Iterable[str]) -> tuple[Numbers, dict[str, str]]:
    """Return the numbers of the files whose names differ in nothing but their last number, the most
    that there are of a kind; and all others, with the reason.

    A hyphen that all of them have parts words ("scan-01"); one that some have is a sign. A point
    between digits is a decimal one where a unit follows or the heights are evenly spaced; else it
    parts a name from a count ("img.3.07").
    """
    kinds: dict[tuple[str, str], dict[str, _AsWritten]] = {}
    others: dict[str, str] = {}
    for name in names:
        found = NUMBER.fullmatch(Path(name).stem)
        if found is None:
            others[name] = "no number in its name"
            continue
        told = _AsWritten(*found.groups())
        kinds.setdefault(told.kind, {})[name] = told
    stacks = [stack for kind in kinds.values() for stack in _stacks(kind)]
    if not stacks:
        return {}, others
    most = max(stacks, key=len)
    strange = (name for stack in stacks if stack is not most for name in stack)
    return most, others | dict.fromkeys(strange, "named otherwise than most")


def _stacks(kind: dict[str, _AsWritten]) -> Iterator[Numbers]:
    """Yield the numbers of a kind: all, or apart by what stands before a point that parts words."""
    signed = {told.sign for told in kind.values()} != {"-"}
    signs = {name: -1 if signed and told.sign == "-" else 1 for name, told in kind.items()}
    heights = {name: signs[name] * told.height for name, told in kind.items()}
    if not any(told.more for told in kind.values()) or _are_heights(kind, heights):
        yield heights
        return
    apart: dict[tuple[str, str], Numbers] = {}
    for name, told in kind.items():
        before, count = ("", told.whole) if told.more is None else (told.whole, told.more)
        apart.setdefault((told.sign, before), {})[name] = Fraction(count)
    yield from apart.values()


def _are_heights(kind: dict[str, _AsWritten], heights: Numbers) -> bool:
    (after,) = {told.after for told in kind.values()}
    if LENGTH.match(after):
        return True
    one_before = len({told.whole for told in kind.values()}) == 1
    return not one_before and len({b - a for a, b in pairwise(sorted(heights.values()))}) == 1
