"""The table of brands in `docs/boards.md`, from the registry.

    python -m firmware_bridge.tools.brands docs/boards.md

renews it; a test compares it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

from firmware_bridge.drivers.brand import PARTS, BoardOptions, Brand
from firmware_bridge.drivers.registry import BRANDS

HEAD = (
    "driver",
    "versions",
    *PARTS,
    "goes dark alone when the controller dies",
    "unattended",
    "asked on an unknown port",
    "settings of its own",
)
TABLE = re.compile(r"^\| driver \| versions \|.*\n(?:\|.*\n)+", re.MULTILINE)
NOT_THERE = "–"


def table() -> str:
    """Return the Markdown table, a row a brand, with its line ends."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, BRANDS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def renew(page: Path) -> None:
    """Put the table into a page in place of the one that stands there."""
    text = page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub(lambda _old: table(), text, count=1), encoding="utf-8")


def _row(brand: Brand) -> tuple[str, ...]:
    of_every_board = {field.name for field in fields(BoardOptions)}
    own = [f"`{f.name}`" for f in fields(brand.options) if f.name not in of_every_board]
    return (
        f"`{brand.name}`",
        brand.versions,
        *(brand.parts.get(part, NOT_THERE) for part in PARTS),
        f"yes, {brand.dark_after}" if brand.failsafe else "**no**",
        "yes" if brand.failsafe else "only if accepted by id",
        f"`{brand.greeting.shown}`",
        ", ".join(own) or NOT_THERE,
    )


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
