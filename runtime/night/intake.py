"""What happens to a tile after exposure: stored, corrected, labelled, registered, placed, drawn.

All of it runs on the compute worker, in the order the tiles were taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runtime.calibrated.correct import Corrector
from runtime.night.acquire import Taken
from runtime.ports import Clock
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.rows import SeamRow, TileRow
from runtime.record.run_folder import RunFolder
from runtime.record.storage import disk_full_is_resumable, read_pixels, write_tile
from runtime.tile import Label, Picture, Pixels, Placement, Shift, Tile

# Their libraries take longer to load than a stage takes to home: `runtime.night.mapping` loads
# them then.
if TYPE_CHECKING:
    from runtime.stitch.map.mosaic import Mosaic
    from runtime.stitch.stitcher import Stitcher
    from runtime.tasks.classify.classifier import TileClassifier

PHASES = {"overview": "tiles", "visit": "regions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TileDone:
    """What a person watching wants to hear of a finished tile."""

    tile_id: str
    label: str | None
    trusted: bool
    sigma_z_um: float
    residual_px: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The compute side of one run. `corrector` gives an objective's flat-field correction;
    `on_done` hears of every tile that has gone all the way.
    """

    folder: RunFolder
    journal: Journal
    corrector: Callable[[str], Corrector]
    classifier: TileClassifier | None
    stitcher: Stitcher
    mosaic: Mosaic
    meter: Meter
    clock: Clock
    on_done: Callable[[TileDone], None]

    def overview(self, taken: Taken) -> None:
        """Take an overview tile from the camera to the map."""
        self._store(taken, phase="overview")
        corrected = self._corrected(taken.tile)
        label = self._classify(corrected, raw=taken.tile.pixels)
        shifts = self._register(corrected)
        with self.meter.time("solve", corrected.tile_id):
            moved = self._place()
        with self.meter.time("render", corrected.tile_id):
            self._draw(moved)
        self._finish(taken, label, self._residual_px(shifts))

    def visit(self, taken: Taken) -> None:
        """Keep a high-magnification tile."""
        self._store(taken, phase="visit")
        self._finish(taken, None, None)

    def restore(self) -> None:
        """Bring a resumed run up to the journal: what crashed after storing is derived again."""
        shifts = self.journal.shifts()
        labelled = self.journal.labels()
        for row in self.journal.tiles("overview"):
            raw = read_pixels(self.folder.path / row.file)
            corrected = row.with_pixels(self.corrector(row.objective).apply(raw))
            if row.tile_id in shifts:
                self.stitcher.restore(
                    row.tile_id,
                    corrected.pixels,
                    shifts[row.tile_id],
                    x_um=row.x_um,
                    y_um=row.y_um,
                )
            else:
                self._register(corrected)
            if self.classifier is not None and row.tile_id not in labelled:
                self._classify(corrected, raw=raw)
        self._draw(self._place())

    def settle(self) -> None:
        """Solve the whole map once, robustly, and bring journal and mosaic to that solution."""
        solved = self.stitcher.solve()
        with self.journal.transaction():
            self.journal.set_placements(list(solved.values()))
            self.journal.set_seams(
                [
                    SeamRow(
                        a=seam.a,
                        b=seam.b,
                        dx_px=seam.shift_px[0],
                        dy_px=seam.shift_px[1],
                        residual_px=seam.residual_px,
                        ncc=seam.ncc,
                        method=seam.method,
                    )
                    for seam in self.stitcher.seams()
                ]
            )
        with disk_full_is_resumable("the map"):
            self.mosaic.settle(solved, self._pixels)

    # -- one step each ----------------------------------------------------------------------

    def _store(self, taken: Taken, *, phase: str) -> None:
        tile = taken.tile
        file = f"{PHASES[phase]}/{tile.tile_id}.tif"
        with self.meter.time("store", tile.tile_id):
            sha256 = write_tile(self.folder.path / file, tile)
            row = TileRow.of(
                tile,
                seq=self.journal.next_seq(),
                phase=phase,
                region_id=taken.region_id,
                file=file,
                sha256=sha256,
                taken_at=self.clock.wall_s(),
            )
            self.journal.add_tile(row, taken.focus)

    def _corrected(self, tile: Tile) -> Tile:
        with self.meter.time("correct", tile.tile_id):
            return replace(tile, pixels=self.corrector(tile.objective).apply(tile.pixels))

    def _classify(self, tile: Tile, *, raw: Pixels) -> Label | None:
        if self.classifier is None:
            return None
        with self.meter.time("classify", tile.tile_id):
            seen = Picture(pixels=tile.pixels, pixel_size_um=tile.pixel_size_um)
            label = self.classifier.classify(seen, raw=raw)
            self.journal.add_label(tile.tile_id, label)
        return label

    def _register(self, tile: Tile) -> tuple[Shift, ...]:
        with self.meter.time("register", tile.tile_id):
            at = tile.stage
            shifts = self.stitcher.add(tile.tile_id, tile.pixels, x_um=at.x_um, y_um=at.y_um)
            self.journal.add_shifts(tile.tile_id, shifts)
        return shifts

    def _place(self) -> dict[str, Placement]:
        """Journal only what moved, so that a tile's cost does not grow with the scan."""
        moved = self.stitcher.moved()
        self.journal.set_placements(list(moved.values()))
        return moved

    def _residual_px(self, shifts: tuple[Shift, ...]) -> float | None:
        """Return how far a tile's placement disagrees with its matches, the worst of them."""
        at = self.stitcher.placement
        return max(
            (s.residual_px(at(s.a), at(s.b)) for s in shifts if s.method != "none"), default=None
        )

    def _draw(self, moved: dict[str, Placement]) -> None:
        with disk_full_is_resumable("the map"):
            self.mosaic.update(moved, self._pixels)

    def _finish(self, taken: Taken, label: Label | None, residual_px: float | None) -> None:
        self.journal.add_timings(self.meter.drain())
        self.on_done(
            TileDone(
                tile_id=taken.tile.tile_id,
                label=label.name if label else None,
                trusted=label is None or label.trusted,
                sigma_z_um=taken.focus.verdict.sigma_z_um,
                residual_px=residual_px,
            )
        )

    # -- tiles already on disk --------------------------------------------------------------

    def _pixels(self, tile_id: str) -> Pixels:
        row = self.journal.tile(tile_id)
        raw = read_pixels(self.folder.path / row.file)
        return self.corrector(row.objective).apply(raw)
