"""`nightscope focus`: focus measures on a recorded stack, and where a run has focus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from runtime.cli.progress_bar import progress_bar
from runtime.offline.focus_curve import focus_curve
from runtime.offline.focus_map import focus_map as map_of_run

# A terminal of 80 columns has room for so many.
MOST_COLUMNS, MOST_ROWS = 5, 16


def curve(*, folder: Path, console: Console, **how: Any) -> dict[str, Any]:
    """Measure a stack; return what `focus_curve` returns."""
    with progress_bar(console) as bar:
        task = bar.add_task("measuring", total=None)
        found = focus_curve(
            folder,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            **how,
        )
    for name, best in found["best"].items():
        line = f"{name}: plane {best['plane']} ({best['file']}), top at {best['top']:g}"
        console.print(line, markup=False, highlight=False)
    for what in (*found["words"], f"{found['csv']}, {found['png']}"):
        console.print(what, markup=False, highlight=False)
    return found


def focus_map(*, run: Path, out: Path, console: Console) -> dict[str, Any]:
    """Show the focus map of a run; return what `focus_map` returns."""
    found = map_of_run(run, out=out)
    console.print(_heights(found["tiles"]))
    tilt_x, tilt_y, drift = (found["terms"][name] for name in ("slope_x", "slope_y", "rate"))
    doubted = sum(not look["believed"] for look in found["looks"])
    for line in (
        f"tilt x {tilt_x[0]:+.1f} ± {tilt_x[1]:.1f}, y {tilt_y[0]:+.1f} ± {tilt_y[1]:.1f} µm/mm; "
        f"drift {drift[0]:+.1f} ± {drift[1]:.1f} µm/h",
        f"{len(found['looks'])} looks, {doubted} not believed",
        f"{found['png']}, {found['map']}",
    ):
        console.print(line, markup=False, highlight=False)
    return found


def _heights(tiles: list[dict[str, Any]]) -> Table:
    """Return z and σ of the grid's tiles, of some where there are more than have room."""
    known = {(tile["row"], tile["column"]): tile for tile in tiles}
    rows, columns = (sorted({place[axis] for place in known}) for axis in (0, 1))
    columns = columns[:: -(-len(columns) // MOST_COLUMNS)]
    table = Table("z, µm", *(f"c{column:03d}" for column in columns))
    for row in rows[:: -(-len(rows) // MOST_ROWS)]:
        cells = [known.get((row, column)) for column in columns]
        told = ["" if t is None else f"{t['z_um']:+.1f} ±{t['sigma_um']:.1f}" for t in cells]
        table.add_row(f"r{row:03d}", *told)
    return table
