"""The tables of an evaluation of networks for defocus, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from export.evaluate.focus.results import DENSE, EVERY, FocusResults
from export.evaluate.summary import Spread

HEADS = {
    "told": ("told", 2),
    "mae_um": ("error, µm: mean", 2),
    "p95_um": ("p95", 2),
    "wrong_side": ("wrong side", 3),
    "within_sigma": ("within σ", 2),
    "within_2_sigma": ("2σ", 2),
    "usable": ("σ usable", 2),
    "usable_p95_um": ("of those p95, µm", 2),
}
"""The heading of a number and its decimals."""

WHOLE = {"took_ms": ("processor a frame, ms", 1), "model_bytes": ("model, kB", 0)}


def markdown(results: FocusResults) -> str:
    """Return the whole report."""
    lines = ["# Defocus from one frame", ""]
    lines += [f"- {name}: {value}" for name, value in results.settings.items()]
    lines.append("")
    for title, rows in tables(results):
        head, *body = (f"| {' | '.join(row)} |" for row in rows)
        lines += [f"## {title}", "", head, "|---|---|" + "---:|" * (len(rows[0]) - 2), *body, ""]
    return "\n".join(lines)


def terminal(results: FocusResults) -> Iterator[Table]:
    """Yield one table for each group of frames."""
    for title, rows in tables(results):
        table = Table(title=title, title_justify="left")
        for index, name in enumerate(rows[0]):
            table.add_column(name, justify="left" if index < 2 else "right")
        for row in rows[1:]:
            table.add_row(*row)
        yield table


def tables(results: FocusResults) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the title, and the head and the rows, of every group, and of size and time."""
    for group in results.names("group"):
        if group == EVERY:
            continue
        title = "all that are not sparse" if group == DENSE else group
        yield title, _rows(results, HEADS, group)
    yield "size and time", _rows(results, WHOLE, EVERY)


def _rows(results: FocusResults, heads: dict[str, tuple[str, int]], group: str) -> list[list[str]]:
    rows = [["network", "precision", *(head for head, _ in heads.values())]]
    for inputs in results.names("inputs"):
        for precision in results.names("precision"):
            where = {"inputs": inputs, "precision": precision, "group": group}
            cells = [
                _cell(results.spread_of(name, **where), decimals, name)
                for name, (_, decimals) in heads.items()
            ]
            rows.append([inputs, precision, *cells])
    return rows


def _cell(found: Spread | None, decimals: int, name: str) -> str:
    if found is None:
        return "none"
    per = 1000 if name == "model_bytes" else 1
    std = "" if found.std is None else f" ({found.std / per:.{decimals}f})"
    return f"{found.mean / per:.{decimals}f}{std}"
