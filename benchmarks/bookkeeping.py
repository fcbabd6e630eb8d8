"""What a tile costs besides its pixels, with few and with many tiles before it.

    python benchmarks/bookkeeping.py
    python benchmarks/bookkeeping.py --tiles 1000 10000

A square scan of that many tiles is put into a journal, a stitcher and a mosaic; then the next tiles
are taken in by the product's own table of stages, and the live line is redrawn. Timed is all of it
but the work on pixels (files, matching, drawing, tones) and the passes of the pose graph, which are
subtracted where they are called: left are journal rows, the search for neighbours, what moved,
which chunks are dirty, the meter and the live line. The graph's passes go over the tiles a few
seams away, and over all of the scan when it has grown by a fifth; they stand in a column of their
own. All timed tiles lie below ones that were there before, whose borders are read again, as after a
resume: so no more than a row of the smallest scan. The time is the processor's, so that other work
on the machine does not count. Printed are medians and 95th percentiles per tile, and the ratio of
the medians to the first.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from runtime.calibrated.correct import NoCorrection
from runtime.clock import SystemClock
from runtime.instant import Instant
from runtime.night.intake import Intake
from runtime.night.live import LiveLine
from runtime.night.pipeline import TileDone
from runtime.night.stages import Journey, budgets, take_in
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StoredTile, TileFile
from runtime.record.run_folder import RunFolder
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.ladder import Cut
from runtime.stitch.match.refined import Match
from runtime.stitch.stitcher import Stitcher
from runtime.tile import (
    FocusVerdict,
    Imaging,
    Matches,
    Pixels,
    PointPair,
    Shift,
    Shot,
    StagePosition,
)

SIZE_PX = 64
STEP_PX = 48
JITTER_PX = 0.1
GRAPH = (
    "runtime.stitch.graph.pose_graph.PoseGraph.solve",
    "runtime.stitch.graph.pose_graph.PoseGraph._catch_up",
    "runtime.stitch.graph.pose_graph.measure",
)
PIXELS = (
    "runtime.stitch.match.borders.Detail.of",
    "runtime.stitch.meeting.Meeting.matches",
    "runtime.stitch.match.borders.Chance.of",
    "runtime.stitch.meeting.by_the_sensor",
    "runtime.stitch.map.mosaic.look_into",
    "runtime.stitch.map.mosaic.solve_tones",
    "runtime.stitch.map.mosaic.Mosaic._draw",
)


class Apart:
    """Adds up the time spent in calls that are not bookkeeping: on pixels, and in the graph."""

    def __init__(self) -> None:
        self.pixels_s = self.graph_s = 0.0
        self._depth = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Time these calls apart from the rest."""
        with ExitStack() as patched:
            for name in (*GRAPH, *PIXELS):
                patched.enter_context(patch(name, self._timed(name, resolve_name(name))))
            yield

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        kind = "graph_s" if name in GRAPH else "pixels_s"

        def timed(*args: Any, **named: Any) -> Any:
            self._depth += 1
            start_s = time.thread_time()
            try:
                return call(*args, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    setattr(self, kind, getattr(self, kind) + time.thread_time() - start_s)

        return timed


class Night:
    """A square overview of `tiles` tiles, taken in as far as the journal goes."""

    def __init__(self, folder: Path, tiles: int) -> None:
        self.side = round(tiles**0.5)
        self._random = np.random.default_rng(tiles)
        self._pixels: Pixels = self._random.integers(900, 1100, (SIZE_PX, SIZE_PX)).astype("u2")
        self._at = {}
        for name in ("tiles", "regions"):
            (folder / name).mkdir()
        self.journal = Journal(folder / "journal.sqlite", create=True)
        self.intake = Intake(
            folder=RunFolder(folder),
            journal=self.journal,
            corrector=dict.fromkeys(["10x"], NoCorrection()).__getitem__,
            classifier=None,
            stitcher=Stitcher(
                px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=(SIZE_PX, SIZE_PX)
            ),
            mosaic=Mosaic(
                folder / "map.ome.zarr",
                tile_shape_px=(SIZE_PX, SIZE_PX),
                pixel_size_um=1.0,
                dtype=np.uint16,
                name="benchmark",
                simulated=True,
                bounds_px=(-SIZE_PX, -SIZE_PX, *2 * ((self.side + 3) * STEP_PX + SIZE_PX,)),
            ),
        )
        self._fill(tiles)

    def _fill(self, tiles: int) -> None:
        """Journal, place and draw what came before, as a resumed run would have it."""
        stitcher = self.intake.stitcher
        with self.journal.transaction():
            for number in range(tiles):
                shot, matches = self.shot(number), self.matches(number)
                at = TileFile(file="", sha256="", height_px=SIZE_PX, width_px=SIZE_PX)
                self.journal.add_tile(StoredTile(seq=number, shot=shot, file=at), focus_of(shot))
                self.journal.set_matches(shot.tile_id, matches)
                where = shot.stage
                stitcher.place(shot.tile_id, matches, x_um=where.x_um, y_um=where.y_um)
        moved = stitcher.moved()
        self.journal.set_placements(list(moved.values()))
        with (
            patch("runtime.stitch.map.mosaic.look_into", lambda *_: iter(())),
            patch("runtime.stitch.map.mosaic.Mosaic._draw", _drawn),
        ):
            self.intake.mosaic.update(moved, lambda _: self._pixels)

    @contextmanager
    def without_files(self) -> Iterator[None]:
        """Have every tile's file hold the same, and every match found where it is expected."""
        with (
            patch("runtime.night.intake.write_tile", lambda *_, **__: "0" * 64),
            patch("runtime.night.intake.read_pixels", lambda _: self._pixels),
            patch("runtime.stitch.meeting.climb", self._match),
        ):
            yield

    def _match(self, _: object, cut: Cut, __: object) -> Match:
        strips = cut(False)
        assert strips is not None
        dx, dy = strips.shift_px + self._random.normal(0, JITTER_PX, 2)
        pairs = tuple(PointPair(a_px=(n, n), b_px=(n - dx, n - dy)) for n in range(8))
        return Match((dx, dy), 0.0, ((0.01, 0.0), (0.0, 0.01)), 0.9, "phase", pairs)

    def shot(self, number: int) -> Shot:
        """Return the exposure of a tile by its place in the order taken, row by row."""
        row, column = divmod(number, self.side)
        x_um, y_um = ((n * STEP_PX + (SIZE_PX - 1) / 2) for n in (column, row))
        how = Imaging(
            objective="10x", pixel_size_um=1.0, light="white", brightness=0.5, exposure_ms=1.0
        )
        return Shot(
            tile_id=name_of(row, column),
            phase="overview",
            row=row,
            column=column,
            stage=StagePosition(x_um=x_um, y_um=y_um, z_um=0.0),
            imaging=how,
            taken=Instant(boot_id="benchmark", monotonic_s=float(number), wall_s=float(number)),
            simulated=True,
        )

    def matches(self, number: int) -> Matches:
        """Return what a tile has in common with the one on its left and the one above it."""
        row, column = divmod(number, self.side)
        self._at[row, column] = self._random.normal(0, JITTER_PX, 2)
        shifts = []
        for r, c in ((row, column - 1), (row - 1, column)):
            if r >= 0 and c >= 0:
                off = self._at[row, column] - self._at[r, c]
                dx, dy = np.add(off, (STEP_PX * (column - c), STEP_PX * (row - r)))
                a, b = name_of(r, c), name_of(row, column)
                shifts.append(Shift(a=a, b=b, dx_px=dx, dy_px=dy, ncc=0.9))
        return Matches(shifts=tuple(shifts))

    def journey(self, number: int) -> Journey:
        """Return the journey of a tile that was just exposed."""
        shot = self.shot(number)
        return Journey(
            tile_id=shot.tile_id,
            phase="overview",
            focus=focus_of(shot),
            shot=shot,
            raw=self._pixels,
        )


def _drawn(mosaic: Mosaic, _: object, *, whole: bool) -> int:
    """Have the mosaic believe that it was drawn."""
    shown = mosaic._shown
    shown.torn, shown.unlifted = set(), set()
    return int(whole)


def name_of(row: int, column: int) -> str:
    """Return a tile's id."""
    return f"r{row:03d}_c{column:03d}"


def focus_of(shot: Shot) -> FocusRow:
    """Return the focus of a tile that needed no sweep."""
    verdict = FocusVerdict(status="ok", z_um=0.0, sigma_z_um=0.1)
    return FocusRow(tile_id=shot.tile_id, source="surface", verdict=verdict)


def per_tile_ms(tiles: int, row: int) -> NDArray[np.float64]:
    """Return (row, 2): what each of the next `row` tiles costs in bookkeeping and in the graph."""
    clock = SystemClock()
    meter = Meter(clock, budgets({}))
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    spent_s = []
    with TemporaryDirectory() as folder:
        night = Night(Path(folder), tiles)
        live = LiveLine(console, meter=meter, clock=clock, simulated=True)
        live.phase("overview", total=tiles + row, done=tiles)
        for number in range(tiles, tiles + row):
            journey, apart = night.journey(number), Apart()
            with night.without_files(), apart.inside():
                start_s = time.thread_time()
                journey = take_in(night.intake, journey, meter)
                live.tile_done(done(night.intake, journey))
                total_s = time.thread_time() - start_s
            spent_s.append((total_s - apart.pixels_s - apart.graph_s, apart.graph_s))
        night.journal.close()
    return 1e3 * np.array(spent_s)


def done(intake: Intake, journey: Journey) -> TileDone:
    """Return what the live line hears of a tile."""
    assert journey.matches is not None
    return TileDone(
        tile_id=journey.tile_id,
        label=None,
        trusted=True,
        sigma_z_um=0.1,
        residual_px=intake.residual_px(journey.matches),
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--row", type=int, default=30, help="tiles taken in and timed")
    arguments = parser.parse_args()
    first_ms = None
    print(f"{'tiles before':>12} {'p50 ms':>8} {'p95 ms':>8} {'ratio':>6} {'graph p50 ms':>13}")
    for tiles in arguments.tiles:
        spent_ms = per_tile_ms(tiles, arguments.row)
        (p50_ms, graph_ms), (p95_ms, _) = np.percentile(spent_ms, (50, 95), axis=0)
        first_ms = first_ms or p50_ms
        print(
            f"{tiles:>12} {p50_ms:8.2f} {p95_ms:8.2f} {p50_ms / first_ms:6.2f} {graph_ms:13.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
