"""`nightscope focus`: focus measures on a recorded stack, and where a run has focus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.cli.screen import plain, show
from runtime.offline.focus_curve import focus_curve
from runtime.offline.focus_map import focus_map as map_of_run
from runtime.report.ending import Ending

# Characters of the name of a row and of a tile's z with its σ, and how many rows are shown.
HEAD, CELL, MOST_ROWS = 6, 13, 12


def curve(*, source: Path, console: Console, **how: Any) -> dict[str, Any]:
    """Measure a stack; return what `focus_curve` returns."""
    with progress_bar(console) as bar:
        task = bar.add_task("measuring", total=None)
        found = focus_curve(
            source,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            **how,
        )
    for name, best in found["best"].items():
        line = f"{name}: plane {best['plane']} ({best['file']}), top at {best['top']:g}"
        console.print(line, highlight=False)
    console.print(f"z by {found['z_told_by']}", highlight=False)
    for what in (*found["words"], f"{found['csv']}, {found['png']}"):
        console.print(what, highlight=False)
    return found


def focus_map(*, run: Path, out: Path, console: Console) -> dict[str, Any]:
    """Show the focus map of a run; return what `focus_map` returns."""
    found = map_of_run(run, out=out)
    for line in _heights(found["tiles"], console):
        console.file.write(line + "\n")
    show(_ending(found), console)
    return found


def _ending(found: dict[str, Any]) -> Ending:
    tilt_x, tilt_y, drift = (
        f"{value:+.1f} ± {sigma:.1f}"
        for value, sigma in (found["terms"][name] for name in ("slope_x", "slope_y", "rate"))
    )
    doubted = [look["point"] for look in found["looks"] if not look["believed"]]
    return Ending(
        done=(
            f"{len(found['tiles'])} tiles, {len(found['looks'])} looks",
            f"tilt x {tilt_x}, y {tilt_y} µm/mm; drift {drift} µm/h",
        ),
        left_out=tuple(
            f"a look at x {point['x_um']:.0f}, y {point['y_um']:.0f} µm found focus at z "
            f"{point['z_um']:+.1f} µm, which is not believed"
            for point in doubted
        ),
        results=(("picture", Path(found["png"])), ("map", Path(found["map"]))),
    )


def _heights(tiles: list[dict[str, Any]], console: Console) -> list[str]:
    """Return z and σ of the grid's tiles, of some where there are more than have room."""
    encoding = getattr(console.file, "encoding", None)
    known = {(tile["row"], tile["column"]): tile for tile in tiles}
    rows, columns = (sorted({place[axis] for place in known}) for axis in (0, 1))
    columns = columns[:: -(-len(columns) // max((console.width - HEAD) // CELL, 1))]
    lines = [
        plain("z, µm", encoding).ljust(HEAD)
        + "".join(f"c{column:03d}".rjust(CELL) for column in columns)
    ]
    for row in rows[:: -(-len(rows) // MOST_ROWS)]:
        cells = [known.get((row, column)) for column in columns]
        told = ["" if t is None else f"{t['z_um']:+.1f} ±{t['sigma_um']:.1f}" for t in cells]
        lines.append(
            f"r{row:03d}".ljust(HEAD) + "".join(plain(cell, encoding).rjust(CELL) for cell in told)
        )
    return lines
