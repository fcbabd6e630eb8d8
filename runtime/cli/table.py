"""Tables for people: at any width every name is there to its end, so that it can be used."""

from __future__ import annotations

from rich.table import Table


def table(*columns: str) -> Table:
    """Return an empty table whose cells are folded where there is no room, and never cut."""
    made = Table()
    for title in columns:
        made.add_column(title, overflow="fold")
    return made
