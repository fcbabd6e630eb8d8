"""How a verb ends: what came of it, in sentences for a person, by what they are good for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Sentences = tuple[str, ...]
DONE, NEEDS_ATTENTION = 0, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Sentences without a full stop, and what was written, by name, with the place where it lies.

    `assumed` is what nobody said and nothing showed; `left_out` what was there and is in no result.
    """

    done: Sentences = ()
    assumed: Sentences = ()
    left_out: Sentences = ()
    attention: Sentences = ()
    results: tuple[tuple[str, Path], ...] = ()

    @property
    def words(self) -> list[str]:
        """Return all sentences, what was done first and what needs attention last."""
        return [*self.done, *self.assumed, *self.left_out, *self.attention]

    @property
    def exit_code(self) -> int:
        """Return 5 where something needs attention, else 0: what is told and the code agree."""
        return NEEDS_ATTENTION if self.attention else DONE


def listed(names: Sequence[str], count: int) -> str:
    """Return the first of `count` names, and how many more there are."""
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def by_reason(reasons: Mapping[str, str], most: int) -> str:
    """Return names with what is wrong with each, said once of those that share it: `most` names of
    as many reasons, and how many more names there are.
    """
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for name, why in reasons.items():
        sharing[why].append(name)
    shown = list(sharing.items())[:most]
    parts = [f"{listed(names[:most], len(names))} ({why})" for why, names in shown]
    return listed(parts, len(parts) + len(reasons) - sum(len(names) for _, names in shown))
