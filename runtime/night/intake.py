"""What happens to a tile after exposure: stored, corrected, labelled, matched, placed, drawn.

All of it runs on the compute worker, in the order the tiles were taken. `runtime.night.stages` says
in which order the methods here are called, and with what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.calibrated.correct import Corrector
from runtime.record.journal import Journal
from runtime.record.microscope import UNKNOWN, Microscope
from runtime.record.rows import FocusRow, StoredTile, TileFile, TileState
from runtime.record.run_folder import RunFolder
from runtime.record.storage import read_pixels
from runtime.record.tile_file import write_tile
from runtime.record.trouble import again, trouble_is_told
from runtime.tile import Label, Matches, Picture, Pixels, Placement, Shot, StackFrame

# Their libraries take longer to load than a stage takes to home: `runtime.night.mapping` loads
# them then.
if TYPE_CHECKING:
    from runtime.stitch.map.mosaic import Mosaic
    from runtime.stitch.stitcher import Stitcher
    from runtime.tasks.classify.classifier import TileClassifier

AT_ONCE, IN_HASTE = 2, 1
"""How many rungs of the matchers' ladder a tile's budget allows, and how many when others wait. The
rest is for a second look (`runtime.night.second_looks`)."""

FOLDERS = {"overview": "tiles", "visit": "regions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The compute side of one run. `corrector` gives an objective's flat-field correction;
    `microscope` is what its tiles say they were taken with.
    """

    folder: RunFolder
    journal: Journal
    corrector: Callable[[str], Corrector]
    classifier: TileClassifier | None
    stitcher: Stitcher
    mosaic: Mosaic
    microscope: Microscope = UNKNOWN

    # -- one stage each ---------------------------------------------------------------------

    def store(
        self,
        shot: Shot,
        raw: Pixels,
        frames: tuple[StackFrame, ...],
        focus: FocusRow,
        state: TileState | None,
    ) -> StoredTile:
        """Make the tile safe: its file first, then its row, its focus and its state in one
        transaction.

        All `frames` of a tile are in its one file, `raw` as the first page.
        """
        name = f"{FOLDERS[shot.phase]}/{shot.tile_id}"
        file = f"{name}.ome.tif" if frames else f"{name}.tif"
        path = self.folder.path / file
        sha256 = again(lambda: write_tile(path, shot, raw, frames, by=self.microscope))
        height_px, width_px = raw.shape
        stored = StoredTile(
            seq=self.journal.next_seq(),
            shot=shot,
            file=TileFile(file=file, sha256=sha256, height_px=height_px, width_px=width_px),
        )
        again(lambda: self.journal.add_tile(stored, focus, state))
        return stored

    def correct(self, shot: Shot, raw: Pixels) -> Picture:
        """Return the picture without dark level and uneven light."""
        how = shot.imaging
        pixels = self.corrector(how.objective).apply(raw)
        return Picture(pixels=pixels, pixel_size_um=how.pixel_size_um)

    def classify(self, picture: Picture, raw: Pixels) -> Label | None:
        """Return what the model says of the tile; None for a plan without one."""
        return None if self.classifier is None else self.classifier.classify(picture, raw=raw)

    def register(self, shot: Shot, picture: Picture, hurried: bool) -> Matches:
        """Return how the tile lies against its earlier neighbours, as far as there is time."""
        at = shot.stage
        return self.stitcher.match(
            shot.tile_id,
            self.stitcher.look(picture.pixels),
            x_um=at.x_um,
            y_um=at.y_um,
            earlier=self.corrected_pixels,
            rungs=IN_HASTE if hurried else AT_ONCE,
        )

    def solve(self, shot: Shot, matches: Matches) -> Mapping[str, Placement]:
        """Place the tile; return every placement that this changed."""
        at = shot.stage
        self.stitcher.place(shot.tile_id, matches, x_um=at.x_um, y_um=at.y_um)
        return self.stitcher.moved()

    def render(self, moved: Mapping[str, Placement]) -> None:
        """Draw what moved."""
        again(lambda: self._draw(lambda: self.mosaic.update(moved, self.corrected_pixels)))

    def _draw(self, draw: Callable[[], object]) -> None:
        with trouble_is_told("drawing the map"):
            draw()

    # -- what a resumed run need not do again -----------------------------------------------

    def read_back(self, stored: StoredTile) -> tuple[Shot, Pixels, tuple[StackFrame, ...]]:
        """Return a stored tile's shot and raw pixels; of several frames the main one alone."""
        return stored.shot, read_pixels(self.folder.path / stored.file.file), ()

    def known_label(self, stored: StoredTile) -> tuple[Label | None] | None:
        """Return the journaled label, (None,) in a run without a model, or None where one is
        missing.
        """
        label = self.journal.label(stored.tile_id)
        return (label,) if label is not None or self.classifier is None else None

    def known_matches(self, stored: StoredTile) -> tuple[Matches] | None:
        """Return the journaled matches, if the tile got that far."""
        matches = self.journal.matches_of(stored.tile_id)
        return None if matches is None else (matches,)

    def known_place(self, stored: StoredTile) -> tuple[Mapping[str, Placement]] | None:
        """Give a matched tile back to the stitcher, unsolved until all are back; None for an
        unmatched one.
        """
        matches = self.journal.matches_of(stored.tile_id)
        if matches is None:
            return None
        at = stored.shot.stage
        self.stitcher.place(stored.tile_id, matches, x_um=at.x_um, y_um=at.y_um)
        return ({},)

    # -- the whole map ----------------------------------------------------------------------

    def settle(self) -> None:
        """Solve the whole map once, robustly, and bring journal and mosaic to that solution.

        Where no distortion was calibrated, the map is drawn with the one that the overlaps show.
        """
        solved = self.stitcher.solve()
        seams = self.stitcher.seams(solved)

        def keep() -> None:
            with self.journal.transaction():
                self.journal.set_placements(list(solved.values()))
                self.journal.set_seams(seams)

        again(keep)
        self.mosaic.straighten(self.stitcher.distortion)
        again(lambda: self._draw(lambda: self.mosaic.settle(solved, self.corrected_pixels)))

    def judge(self) -> None:
        """Compare the tiles' pictures in the settled map; write down what each seam and tile is
        worth, what the map is (`map_quality`), and how far its overlaps say that every frame is
        bent though nothing was calibrated (`bent_px`).
        """
        from runtime.stitch.map.truth import block_mismatch
        from runtime.stitch.quality import quality

        placed, taken = self.journal.placements(), self.journal.tiles("overview")
        if not taken:
            return
        truth = block_mismatch(
            placed,
            self.corrected_pixels,
            shape_px=(taken[0].file.height_px, taken[0].file.width_px),
            distortion=self.stitcher.distortion,
        )
        found = quality(placed, self.journal.seams(), self.journal.covariances_px2(), truth)
        bend = self.stitcher.uncalibrated
        with self.journal.transaction():
            self.journal.set_judged(found.seams, found.tiles)
            self.journal.note(
                map_quality=found.summary(), bent_px=0.0 if bend is None else bend.largest_px
            )

    def residual_px(self, matches: Matches) -> float | None:
        """Return how far a tile's placement disagrees with its matches, the worst of them."""
        return max(
            (self.stitcher.residual_px(s) for s in matches.shifts if s.method != "none"),
            default=None,
        )

    def corrected_pixels(self, tile_id: str) -> Pixels:
        """Return a stored tile's (y, x) pixels, corrected; for the mosaic and late neighbours."""
        shot, raw, _ = self.read_back(self.journal.tile(tile_id))
        return self.correct(shot, raw).pixels
