"""Stitching against the stitchers of other people, on tiles of known truth.

Accuracy: 64 tiles of 512 x 512, 16 bit, stage jitter of 5 px (standard deviation), kinds of scan
from `peers/grids.py`, several seeds. Printed are the errors of the tiles' centres after removing
the common offset (`shape`: after the map may be turned and scaled as a whole), and for nightscope
the largest error of an accepted seam's shift, in the middle of its points, the accepted seams that
are wrong by 2 px or more, and the tiles that lie further off than the stage would have been (three
sigma) without a flag.

Cost: the same grid as a folder of files, each tool a fresh process, in turns: from start to
mosaic (m2stitch draws none), and from files to mosaic and to places once the libraries are loaded;
processor time, wall time and peak memory, and their ratios to nightscope.

A peer runs in an environment of its own, for their dependencies exclude each other:

    python -m venv peers/ashlar && peers/ashlar/bin/pip install ashlar
    python benchmarks/stitching.py --peer ashlar=peers/ashlar/bin/python [--seeds 3]

Known peers: ashlar, m2stitch, stitch2d. Without any, nightscope alone is measured. `--source` takes
a real image of your own instead of the committed section; `--kinds` a part of the kinds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from peers.grids import JITTER_PX, KINDS, SIDE, SIZE_PX, Floats, Grid, centres_px, made  # noqa: E402

from runtime.distortion import Distortion  # noqa: E402
from runtime.stitch.stitcher import Stitcher  # noqa: E402
from runtime.stitch.straighten import straighten  # noqa: E402
from runtime.tile import Backlash, Placement, Seam, Shift  # noqa: E402

PEERS = ROOT / "benchmarks/peers/stitchers.py"
WRONG_PX, GATE_SIGMAS = 2.0, 3.0
PIXEL_UM = 0.5


@dataclass(frozen=True)
class Placed:
    """Where a tool puts the tiles' centres (n, 2), with what nightscope says of it."""

    centres_px: Floats
    seam_max_px: float | None = None
    wrong_seams: int | None = None
    unflagged: int | None = None
    said: str = ""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Matched:
    """A grid as our stitcher matched it through a field, or none: `points` by the pair of tiles."""

    stitcher: Stitcher
    points: dict[tuple[str, str], tuple[Floats, Floats]]
    known: Distortion | None = None

    @classmethod
    def of(cls, grid: Grid, known: Distortion | None = None) -> Matched:
        """Return the grid matched, tiles added one by one."""
        stitcher = Stitcher(
            px_from_stage=np.eye(2),
            stage_sigma_px=JITTER_PX,
            shape_px=(SIZE_PX, SIZE_PX),
            known=known,
            in_order=True,
        )
        names = list(grid.tiles)
        points: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        for name, (x, y) in ((names[n], grid.stage_px[n]) for n in grid.order):
            found = stitcher.add(
                name, grid.tiles[name], x_um=x, y_um=y, earlier=lambda tile: grid.tiles[tile]
            )
            points |= {(s.a, s.b): _points(s) for s in found.shifts if s.method != "none"}
        return cls(stitcher, points, known)


def nightscope(grid: Grid) -> Placed:
    """Return the placements of the product's own stitcher, as `nightscope stitch` drives it."""
    names = list(grid.tiles)
    matched = straighten(Matched.of(grid), partial(Matched.of, grid))
    solved = matched.stitcher.solve()
    return Placed(
        centres_px(solved, names),
        **_of_seams(grid, matched.stitcher.seams(solved), matched.points, names),
        unflagged=_unflagged(grid, solved, names),
        said=_said(grid, solved, names, matched.stitcher.backlash),
    )


def _points(shift: Shift) -> tuple[Floats, Floats]:
    """Return the same specimen points in a's and in b's pixels, (n, 2) x, y; a's less the shift."""
    in_a, in_b = ([getattr(pair, end) for pair in shift.pairs] for end in ("a_px", "b_px"))
    return np.array(in_a) - (shift.dx_px, shift.dy_px), np.array(in_b)


def _of_seams(
    grid: Grid,
    seams: tuple[Seam, ...],
    points: dict[tuple[str, str], tuple[Floats, Floats]],
    names: list[str],
) -> dict[str, Any]:
    """Return how far off the worst accepted seam is, and how many hold points together that lie
    2 px or more apart.
    """
    wrong, worst_px = 0, 0.0
    for seam in seams:
        if seam.method != "none":
            in_a, in_b = points[seam.a, seam.b]
            at_a = in_a + np.array([seam.dx_px, seam.dy_px])
            apart = grid.apart_px(names.index(seam.a), at_a, names.index(seam.b), in_b)
            here, there = (of.mean(axis=0, keepdims=True) for of in (at_a, in_b))
            off = grid.apart_px(names.index(seam.a), here, names.index(seam.b), there)
            worst_px = max(worst_px, float(off[0]))
            wrong += bool(np.median(apart) >= WRONG_PX)
    return {"seam_max_px": worst_px, "wrong_seams": wrong}


def _unflagged(grid: Grid, solved: Mapping[str, Placement], names: list[str]) -> int:
    """Return how many tiles are further off than the stage ever is, and say nothing."""
    off = grid.errors_px(centres_px(dict(solved), names)) > GATE_SIGMAS * np.sqrt(2) * JITTER_PX
    textured = [name for name, held in zip(names, grid.textured, strict=True) if held]
    return sum(bool(f) and solved[name].flag == "" for name, f in zip(textured, off, strict=True))


def _said(
    grid: Grid, solved: Mapping[str, Placement], names: list[str], backlash: Backlash | None
) -> str:
    """Return in words how many tiles without any specimen are called blank, and the backlash."""
    called = np.array([solved[name].flag == "blank" for name in names])
    empty = grid.shown == 0
    return (
        f"{(called & empty).sum()} of {empty.sum()} empty tiles called blank, "
        f"{(called & grid.textured).sum()} of {grid.textured.sum()} textured ones"
        + ("" if backlash is None else f"; {backlash.in_words()}")
    )


def write(grid: Grid, folder: Path) -> None:
    """Write the grid as files and positions, as the peers want them."""
    for name, tile in grid.tiles.items():
        tifffile.imwrite(folder / f"{name}.tif", tile, photometric="minisblack")
    lines = [
        f"{name}.tif; ; ({x - (SIZE_PX - 1) / 2:.4f}, {y - (SIZE_PX - 1) / 2:.4f})"
        for name, (x, y) in zip(grid.tiles, grid.stage_px, strict=True)
    ]
    (folder / "stage.txt").write_text("\n".join(["dim = 2", *lines]))
    facts = {
        "side": SIDE,
        "size_px": SIZE_PX,
        "overlap": grid.kind.overlap,
        "jitter_px": JITTER_PX,
        "names": list(grid.tiles),
        "corners_px": (grid.stage_px - (SIZE_PX - 1) / 2).tolist(),
        "pixel_size_um": PIXEL_UM,
    }
    (folder / "grid.json").write_text(json.dumps(facts))


def command(tool: str, python: str, folder: Path, out: Path, *, mosaic: bool) -> list[str]:
    """Return what places the tiles of a folder in a process of its own."""
    if tool != "nightscope":
        return by_script(tool, python, folder, out, mosaic=mosaic)
    verb = [python, "-m", "runtime", "stitch", str(folder), "--positions", "stage.txt"]
    return [*verb, "--stage-sigma-px", str(JITTER_PX), "--out", str(out)]


def by_script(tool: str, python: str, folder: Path, out: Path, *, mosaic: bool) -> list[str]:
    """Return what calls a tool by its interface."""
    return [python, str(PEERS), tool, str(folder), str(out), *(["--mosaic"] if mosaic else [])]


LAUNCHER = """
import json, os, sys, time
began_s = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ), 0)
took = used.ru_utime + used.ru_stime, time.perf_counter() - began_s, used.ru_maxrss / 1024
open(sys.argv[1], "w").write(json.dumps(took))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a tool from a small process: Linux counts the memory of the one that started it as the
tool's own, and a benchmark holds a grid."""


def timed(arguments: list[str]) -> Cost:
    """Run to the end; raises CalledProcessError with what it printed when it fails."""
    ours = "nightscope" in arguments or "runtime" in arguments
    environment = os.environ | {"PYTHONPATH": str(ROOT)} if ours else None
    with tempfile.NamedTemporaryFile("r") as took:
        launched = [sys.executable, "-S", "-c", LAUNCHER, took.name, *arguments]
        told = subprocess.run(
            launched, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if told.returncode not in (0, 5):
            raise subprocess.CalledProcessError(told.returncode, arguments, told.stdout[-2000:])
        return Cost(*json.load(took))


def by_peer(tool: str, python: str, grid: Grid) -> Placed | str:
    """Return a peer's placements, or in words why there are none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(grid, folder)
        try:
            timed(command(tool, python, folder, folder / "out.json", mosaic=False))
        except subprocess.CalledProcessError as failed:
            return _last_word(failed)
        corners = np.array(json.loads((folder / "out.json").read_text())["corners_px"])
    return Placed(corners + (SIZE_PX - 1) / 2)


def accuracy(asked: argparse.Namespace, peers: dict[str, str]) -> None:
    """Print the errors of every tool on every kind of scan."""
    head = "  median     p95  max px   shape  max px  seam max  wrong seams  silent"
    for kind in asked.kinds or KINDS:
        print(f"\n{kind}\n{'tool':26}{head}", flush=True)
        grids = [made(KINDS[kind], seed=seed, source=asked.source) for seed in range(asked.seeds)]
        _row("nightscope", grids, [nightscope(grid) for grid in grids])
        for tool, python in peers.items():
            _row(tool, grids, [by_peer(tool, python, grid) for grid in grids])


def _row(tool: str, grids: list[Grid], found: list[Placed | str]) -> None:
    """Print the medians over the seeds; the worst of them for what is counted."""
    placed = [one for one in found if not isinstance(one, str)]
    if len(placed) < len(found):
        print(f"{tool:26}{next(one for one in found if isinstance(one, str))}", flush=True)
        return
    errors = [
        [
            *np.percentile(grid.errors_px(one.centres_px), [50, 95, 100]),
            *np.percentile(grid.shape_errors_px(one.centres_px), [50, 100]),
        ]
        for grid, one in zip(grids, placed, strict=True)
    ]
    counted = [[one.seam_max_px, one.wrong_seams, one.unflagged] for one in placed]
    said = "".join(
        f"{'-':>{width}}"
        if None in column
        else f"{max(v for v in column if v is not None):>{form}}"
        for column, width, form in zip(
            zip(*counted, strict=True), (10, 13, 8), ("10.3f", "13d", "8d"), strict=True
        )
    )
    print(f"{tool:26}" + "".join(f"{v:8.3f}" for v in np.median(errors, axis=0)) + said, flush=True)
    for grid, one in zip(grids, placed, strict=True):
        if grid.kind.trouble is not None and one.said:
            print(f"{'':26}{one.said}", flush=True)


def costs(asked: argparse.Namespace, peers: dict[str, str]) -> None:
    """Print what each tool takes for the first kind, in alternating fresh processes."""
    tools = {"nightscope": sys.executable} | peers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(made(KINDS["sharp"], seed=0, source=asked.source), folder)
        for what, cost in (
            ("mosaic", _to_mosaic),
            ("mosaic, libraries loaded", partial(_loaded, mosaic=True)),
            ("places, libraries loaded", partial(_loaded, mosaic=False)),
        ):
            taken: dict[str, list[Cost]] = {tool: [] for tool in tools}
            failed: dict[str, str] = {}
            for round_ in range(asked.rounds):
                for tool in [tool for tool in tools if tool not in failed]:
                    try:
                        cost_now = cost(
                            tool, tools[tool], folder, folder / f"{tool}-{what}-{round_}.out"
                        )
                        taken[tool].append(cost_now)
                    except subprocess.CalledProcessError as error:
                        failed[tool] = _last_word(error)
            _print_costs(f"64 files to {what}", taken, failed)


def _to_mosaic(tool: str, python: str, folder: Path, out: Path) -> Cost:
    """Return the cost of a whole process."""
    return timed(command(tool, python, folder, out, mosaic=True))


def _loaded(tool: str, python: str, folder: Path, out: Path, *, mosaic: bool) -> Cost:
    """Return the cost of reading, matching and solving, and of drawing, in a process that has
    loaded its code.
    """
    whole = timed(by_script(tool, python, folder, out, mosaic=mosaic))
    said = json.loads(out.read_text())
    return Cost(said["cpu_s"], said["wall_s"], whole.peak_mb)


def _print_costs(what: str, taken: dict[str, list[Cost]], failed: dict[str, str]) -> None:
    print(f"\n{what}\n{'tool':26}{'cpu s':>8}{'wall s':>8}{'peak MB':>9}   ratios")
    base = _medians(taken["nightscope"])
    for tool, runs in taken.items():
        if tool in failed:
            print(f"{tool:26}{failed[tool]}", flush=True)
            continue
        middle = _medians(runs)
        ratios = "".join(f"{v:7.2f}" for v in middle / base)
        print(f"{tool:26}{middle[0]:8.2f}{middle[1]:8.2f}{middle[2]:9.0f}  {ratios}", flush=True)


def _last_word(error: subprocess.CalledProcessError) -> str:
    """Return the last line that a tool printed before it failed."""
    return (error.output or "no word").strip().splitlines()[-1][:60]


def _medians(runs: list[Cost]) -> Floats:
    return np.array(
        [median(getattr(run, n) for run in runs) for n in ("cpu_s", "wall_s", "peak_mb")]
    )


def main() -> None:
    """Print one table per kind, then the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS))
    parser.add_argument("--only", choices=["accuracy", "costs"])
    asked = parser.parse_args()
    peers = dict(peer.split("=", 1) for peer in asked.peer)
    cv2.setNumThreads(1)
    if asked.only != "costs":
        accuracy(asked, peers)
    if asked.only != "accuracy":
        costs(asked, peers)


if __name__ == "__main__":
    main()
