"""How a stitch ended: matched, partly or not at all, in words and as an exit code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from scipy.cluster.hierarchy import DisjointSet

from runtime.offline.inventory import MEANINGS, Inventory
from runtime.offline.placing import Solved
from runtime.report.ending import Ending, by_reason, listed
from runtime.report.wording import counted

Verdict = Literal["matched", "partly", "nothing"]
EXIT_CODES: dict[Verdict, int] = {"matched": 0, "partly": 5, "nothing": 3}

UNSEEN = Ending()

DISAGREES_PX = 2.0
"""Residual of a seam above which the map visibly does not show what was matched there."""

NAMED = 4
"""How many names a sentence gives before it only counts."""

LUCKY_SHARE = 0.02
"""Of many overlaps of noise with noise, chance lets one pass; where more match, tiles that look
blank are faint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stitch came to; the first sentence of its ending is the summary."""

    verdict: Verdict
    ending: Ending

    @property
    def exit_code(self) -> int:
        """0 when all tiles hold together, 5 for a part of them, 3 for none."""
        return EXIT_CODES[self.verdict]


def judge(
    solved: Solved, inventory: Inventory, name: Callable[[str], str], seen: Ending = UNSEEN
) -> Outcome:
    """Return the outcome; `name` gives a tile's file name by its id, `seen` what is told with it:
    nothing is called matched that needs attention.

    Blank tiles have nothing to match, and lie where the positions put them without blame; so does
    a scan of a single tile. Unmatched overlaps are told, and count only where nothing else holds
    their tiles together: specimens have empty places.
    """
    count, matched = len(solved.placed), len(solved.matched)
    first = f"{counted(count, 'tile')}, {matched} of {counted(len(solved.seams), 'seam')} matched"
    told = replace(seen, done=(first, *seen.done), left_out=_of_files(inventory))
    harmless = all(one.fate == "not named" for one in inventory.left_out)
    if count == 1 and harmless:
        return Outcome(verdict="matched", ending=told)
    textured = any(solved.textured & {seam.a, seam.b} for seam in solved.matched)
    if not textured and matched <= max(1, LUCKY_SHARE * len(solved.seams)):
        why = _why_nothing(solved, inventory)
        return Outcome(verdict="nothing", ending=replace(told, attention=(*told.attention, why)))
    faults = [
        *told.attention,
        *_of_flags(solved, name),
        *_of_groups(solved, name),
        *_of_residuals(solved, name),
        *_of_missing(inventory),
    ]
    return Outcome(
        verdict="partly" if faults else "matched",
        ending=replace(
            told,
            assumed=(*told.assumed, *_of_empty(solved, inventory)),
            attention=tuple(faults),
        ),
    )


def _of_empty(solved: Solved, inventory: Inventory) -> list[str]:
    blank = sum(place.flag == "blank" for place in solved.placed.values())
    words = [f"{counted(blank, 'tile')} blank, left where the positions say"] if blank else []
    flat = [f"{name} ({value})" for name, value in sorted(inventory.flat.items())]
    if flat:
        words.append(
            f"{counted(len(flat), 'tile')} of one value: {listed(flat[:NAMED], len(flat))}"
        )
    return words


def _why_nothing(solved: Solved, inventory: Inventory) -> str:
    if len(solved.placed) < 2:
        return "one tile is left, and none to match it with; no map is drawn"
    if not solved.textured:
        values = sorted(set(inventory.flat.values()))
        held = (
            f": {counted(len(inventory.flat), 'tile')} of one value, {values[:3]}" if values else ""
        )
        return f"nothing to match: all tiles are blank{held}; no map is drawn"
    if not solved.seams:
        return "no two tiles overlap by their positions; no map is drawn: check unit and overlap"
    return "nothing matched, so no map is drawn: check positions, overlap and order of the tiles"


def _of_files(inventory: Inventory) -> tuple[str, ...]:
    words = []
    for fate, meaning in MEANINGS.items():
        some = [one for one in inventory.left_out if one.fate == fate]
        if some:
            reasons = by_reason({one.name: one.why for one in some}, NAMED)
            files = counted(sum(one.count for one in some), "file")
            words.append(f"{files} {meaning}: {reasons}")
    return tuple(words)


def _of_missing(inventory: Inventory) -> list[str]:
    """Say that tiles are missing in the map, where some are: why is told of each with its file."""
    lost = any(one.fate != "not named" for one in inventory.left_out)
    return ["tiles are missing in the map: see what was left out"] if lost else []


def _of_flags(solved: Solved, name: Callable[[str], str]) -> list[str]:
    by_flag: defaultdict[str, list[str]] = defaultdict(list)
    for tile_id, place in solved.placed.items():
        by_flag[place.flag].append(name(tile_id))
    words = []
    for flag, meaning in (
        ("stage-only", "matched by no neighbour, left where the positions say"),
        ("suspect", "whose matches disagree"),
    ):
        names = by_flag.get(flag, [])
        if names:
            words.append(
                f"{counted(len(names), 'tile')} {meaning}: {listed(names[:NAMED], len(names))}"
            )
    return words


def _of_groups(solved: Solved, name: Callable[[str], str]) -> list[str]:
    """Say which tiles hold together among themselves, but not with the rest."""
    held = [
        tile_id
        for tile_id, place in solved.placed.items()
        if place.flag not in ("blank", "stage-only")
    ]
    groups = DisjointSet(held)
    for seam in solved.matched:
        if seam.a in groups and seam.b in groups and seam.residual_px <= DISAGREES_PX:
            groups.merge(seam.a, seam.b)
    apart = sorted((sorted(group) for group in groups.subsets()), key=lambda g: (-len(g), g))
    if len(apart) < 2:
        return []
    firsts = [f"{len(group)} with {name(group[0])}" for group in apart]
    return [
        f"{len(apart)} groups of tiles, placed against each other by the positions alone: "
        + listed(firsts[:NAMED], len(firsts))
    ]


def _of_residuals(solved: Solved, name: Callable[[str], str]) -> list[str]:
    off = sorted(
        (seam for seam in solved.matched if seam.residual_px > DISAGREES_PX),
        key=lambda seam: -seam.residual_px,
    )
    if not off:
        return []
    named = [f"{name(s.a)} – {name(s.b)} by {s.residual_px:.1f} px" for s in off[:NAMED]]
    return [f"{counted(len(off), 'seam')} that the map disagrees with: {listed(named, len(off))}"]
