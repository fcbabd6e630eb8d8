"""Stitch a scan that lies in a folder: `nightscope stitch DIR`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.compiler import let_go_of_compiler
from runtime.errors import InputRefused
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.recorded import Listing, RecordedScan, list_scan
from runtime.offline.alone import alone_in
from runtime.offline.claims import claims_of
from runtime.offline.grid_shape import at_the_rim
from runtime.offline.inventory import Inventory
from runtime.offline.look import Look, Looked
from runtime.offline.mending import camera_turned
from runtime.offline.outcome import judge
from runtime.offline.placing import Placing, sigma_px
from runtime.offline.results import (
    MOSAIC,
    PLACEMENTS,
    REGISTERED,
    new_mosaic,
    stated_pixel_size,
    summary,
    write_placements,
    write_registered,
)
from runtime.offline.vouching import vouched
from runtime.record.storage import make_folder
from runtime.report.ending import Ending
from runtime.report.judged import in_words
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.ladder import Network
from runtime.stitch.stitcher import GATE_MARGIN_PX, GATE_SIGMAS

if TYPE_CHECKING:
    from runtime.tasks.match.finder import StripFinder

Progress = Callable[[int, int], object]
Ready = Callable[[str], bool]

SAME_PLACE_PX = 1e-3
LOOKED_AGAIN = 2
"""A look that could not tell is repeated when there are so many times as many tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchRequest:
    """What is to be stitched, and how.

    Positions come from a Fiji `TileConfiguration.txt`, or from a file-name `pattern` and an
    `overlap` (share of a side). Where the pictures contradict them, the scan is refused, or with
    `fix` stitched where the pictures say. `network` names the bundle that is asked where the other
    matchers are not sure, by default the device's own; the matcher "loftr" asks it alone, "none"
    is none. With `report` the map is judged by its
    own pictures, and a page of it is written. With `bottom_first` files keep their lowest row
    first, as MRC may; `choice` is which frame is stitched of files that hold several.
    """

    folder: Path
    positions: Path | None = None
    pattern: str | None = None
    overlap: float | None = None
    matcher: str = "auto"
    network: str | None = None
    stage_sigma_px: float | None = None
    fix: bool = False
    report: bool = False
    bottom_first: bool = False
    choice: FrameChoice = AS_NAMED

    def list(self) -> Listing:
        """Return what the folder holds by now."""
        return list_scan(
            self.folder,
            positions=self.positions,
            pattern=self.pattern,
            overlap=self.overlap,
            bottom_first=self.bottom_first,
        )


def stitch_folder(
    folder: Path, *, out: Path, progress: Progress | None = None, **how: Any
) -> dict[str, Any]:
    """Place the tiles of `folder` and write placements, Fiji's tile configuration and the mosaic.

    `how` is what `StitchRequest` takes beside the folder; `progress` hears (tiles done, in all).
    Returns what `FolderStitch.finish` returns. Raises InputRefused for an unreadable or
    contradicted scan, ConfigRefused for an unknown matcher, or while another process writes to
    `out`.
    """
    stitch = FolderStitch(StitchRequest(folder=folder, **how))
    with alone_in(out):
        stitch.take(progress=progress)
        return stitch.finish(out)


class FolderStitch:
    """The tiles of a folder, listed, looked at and placed; more may come, and be taken later."""

    def __init__(self, request: StitchRequest) -> None:
        self._request = request
        self._inventory: Inventory | None = None
        self._placing: Placing | None = None
        self._looked: Looked | None = None
        self._listing: Listing | None = None
        self._waiting = 0

    def take(self, ready: Ready | None = None, progress: Progress | None = None) -> int:
        """Place the tiles that are there and `ready` (all, without); return how many were added.

        Raises InputRefused when there are none, or the pictures contradict the positions.
        """
        listing = self._request.list()
        named = len(listing.tiles)
        if ready is not None:
            listing = replace(listing, tiles=tuple(t for t in listing.tiles if ready(t.name)))
        self._listing, self._waiting = listing, named - len(listing.tiles)
        if not listing.tiles:
            return 0
        if self._inventory is None:
            self._inventory = Inventory(
                listing,
                bottom_first=self._request.bottom_first,
                choice=self._request.choice,
            )
        else:
            self._inventory.list_again(listing)
        _refuse_one_place(self._inventory)
        self._look(listing, self._inventory)
        let_go_of_compiler()
        self._inventory.leave_out_far()
        placing = self._placing_for(self._inventory)
        there = {tile.tile_id for tile in placing.added}
        tiles = [tile for tile in self._inventory.tiles if tile.tile_id not in there]
        heard = progress or _unheard
        placing.add(tiles, lambda done: heard(len(there) + done, len(there) + len(tiles)))
        let_go_of_compiler()
        return len(tiles)

    @property
    def complete(self) -> bool:
        """Whether every file that positions name was taken; a pattern never says which are all."""
        if self._listing is None or self._placing is None or self._listing.overlap is not None:
            return False
        return not self._listing.absent and not self._waiting

    def draw(self, mosaic: Mosaic | None, path: Path) -> Mosaic | None:
        """Draw what is new in a live map, this or a new one; return it, None if nothing matched."""
        if self._inventory is None or self._placing is None or not self._placing.any_match:
            return mosaic
        if mosaic is None:
            make_folder(path.parent)
            drawn = replace(self._inventory.scan, tiles=self._placing.added)
            mosaic = new_mosaic(drawn, path, live=True)
        moved = self._placing.moved()
        mosaic.update(moved, self._placing.read)
        while mosaic.update({}, self._placing.read):
            pass
        return mosaic

    def finish(self, out: Path) -> dict[str, Any]:
        """Write what was found to folder `out`, with the map drawn from the placements alone.

        Returns a summary: the numbers of tiles, of flagged tiles by flag, of seams and matched
        seams, the residuals in px, every file that was left out and why, what was mended, the
        outcome in words with its exit code and as an `Ending`, and what was written: nothing, where
        nothing matched.
        """
        inventory, placing, looked = self._inventory, self._placing, self._looked
        if inventory is None or placing is None or looked is None:
            raise InputRefused(
                f"{self._request.folder}: no tile was written to its end",
                remedy="wait until the files are there, and call this again",
            )
        placing.straighten()
        solved = placing.solve()
        scale = inventory.scan.read_as.scale
        size_um, sized = stated_pixel_size(inventory.scan)
        seen = Ending(
            done=_said(camera_turned(placing.camera_turn_deg(solved))),
            assumed=_said(*inventory.scan.read_as.words, sized, self._rim(inventory)),
        )
        if looked.unsure:
            solved, doubts = vouched(solved, placing.read)
            seen = replace(seen, assumed=(*seen.assumed, *looked.words), attention=doubts)
        else:
            seen = replace(seen, done=(*looked.words, *seen.done))
        outcome = judge(solved, inventory, placing.file_name, seen)
        numbers = summary(solved, inventory, outcome) | {"look": looked.summary()}
        numbers |= {"pixel_size_um": size_um, "ending": outcome.ending}
        if outcome.verdict == "nothing":
            return numbers
        make_folder(out)
        drawn = replace(inventory.scan, tiles=placing.added)
        mosaic = new_mosaic(drawn, out / MOSAIC, live=False, distortion=placing.distortion)
        mosaic.settle(solved.placed, placing.read)
        if looked.mending is not None:
            numbers["mended"] = str(looked.mending.write(out))
        judging = _judging() if self._request.report else None
        found = None if judging is None else judging.judged(inventory.scan, placing, solved)
        write_placements(out / PLACEMENTS, placing, solved, found, scale)
        write_registered(out / REGISTERED, placing, solved)
        if judging is not None and found is not None:
            numbers["quality"] = found.summary()
            numbers["words"] = [*numbers["words"], in_words(numbers["quality"])]
            done = (*outcome.ending.done, in_words(numbers["quality"]))
            numbers["ending"] = replace(outcome.ending, done=done)
            numbers |= judging.write_report(
                out, self._request.folder.resolve().name, outcome=outcome, placing=placing,
                found=found, scan=inventory.scan, inventory=inventory,
            )  # fmt: skip
        return numbers | {
            "placements": str(out / PLACEMENTS),
            "registered": str(out / REGISTERED),
            "mosaic": str(out / MOSAIC),
        }

    def _rim(self, inventory: Inventory) -> str:
        """Return in words what a grid lacks at its rim; nothing, where the look counted it anew."""
        mended = self._looked is None or self._looked.mending is not None
        if mended or self._listing is None:
            return ""
        far = {one.name for one in inventory.left_out if one.fate == "far away"}
        near = tuple(tile for tile in self._listing.tiles if tile.name not in far)
        return at_the_rim(replace(self._listing, tiles=near))

    def _look(self, listing: Listing, inventory: Inventory) -> None:
        """Compare a few neighbours with their positions, and put the tiles where they belong."""
        scan = replace(inventory.scan, tiles=inventory.tiles)
        before = self._looked
        if before is None or (before.unsure and _grown(before, scan)):
            sigma = sigma_px(scan, self._request.stage_sigma_px)
            gate_px = GATE_SIGMAS * np.sqrt(2) * sigma + GATE_MARGIN_PX
            look = Look(listing, scan, read=inventory.read, gate_px=gate_px)
            if self._plainly_as_claimed(look, inventory):
                self._looked = look.confirmed()
            else:
                self._looked = look.look(mend=self._request.fix)
        elif before.mending is not None:
            mending = before.mending.again(claims_of(listing, scan), scan)
            self._looked = replace(before, mending=mending, tiles=mending.tiles)
        else:
            self._looked = replace(before, tiles=scan.tiles)
        inventory.move(self._looked.tiles)

    def _plainly_as_claimed(self, look: Look, inventory: Inventory) -> bool:
        """Return whether the first pairs match beyond doubt; what was found is for the placing."""
        if self._placing is not None or not look.first_pairs:
            return False
        placing = self._new_placing(inventory)
        if not placing.plainly_as_claimed(look.first_pairs):
            return False
        self._placing = placing
        return True

    def _placing_for(self, inventory: Inventory) -> Placing:
        """Return the placing with the tiles of the inventory, anew if they lie otherwise by now.

        A grid whose first row comes last is counted from another tile, and lies as it did.
        """
        if self._placing is not None:
            scan = _as_before(inventory.scan, self._placing)
            if scan is not None:
                inventory.move(scan.tiles)
                self._placing.extend(inventory.scan)
                return self._placing
        self._placing = self._new_placing(inventory)
        return self._placing

    def _new_placing(self, inventory: Inventory) -> Placing:
        return Placing(
            inventory,
            inventory.scan,
            matcher=self._request.matcher,
            network=self._network,
            stage_sigma_px=self._request.stage_sigma_px,
        )

    @cached_property
    def _network(self) -> Network:
        return _network(self._request.network)


def _network(name: str | None) -> Network:
    """Return what gives the network: a named one is verified at once, the device's own is looked
    for when a seam needs it, which takes half a second.
    """
    lock = Lock()

    @cache
    def found() -> StripFinder | None:
        from runtime.config.models_here import models_here
        from runtime.tasks.match.finder import finder_of

        return finder_of(models_here(), name)

    def asked() -> StripFinder | None:
        with lock:
            return found()

    if name is not None:
        asked()
    return asked


def _judging() -> ModuleType:
    """Return `runtime.offline.judging`, loaded for a report only: in a quarter of a second."""
    from runtime.offline import judging

    return judging


def _said(*sentences: str) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence)


def _unheard(*_: int) -> None:
    """Have progress that nobody asked for go nowhere."""


def _grown(looked: Looked, scan: RecordedScan) -> bool:
    return len(scan.tiles) >= LOOKED_AGAIN * len(looked.tiles)


def _as_before(scan: RecordedScan, placing: Placing) -> RecordedScan | None:
    """Return the scan with its places counted as the tiles added so far are; None if they differ
    by more than where the count begins.
    """
    now = {tile.tile_id: tile for tile in scan.tiles}
    if any(tile.tile_id not in now for tile in placing.added):
        return None
    off = np.array(
        [
            (now[tile.tile_id].x_px - tile.x_px, now[tile.tile_id].y_px - tile.y_px)
            for tile in placing.added
        ]
    ).reshape(-1, 2)
    if not len(off):
        return scan
    x, y = off[0].tolist()
    if np.abs(off - off[0]).max() > SAME_PLACE_PX:
        return None
    moved = (replace(tile, x_px=tile.x_px - x, y_px=tile.y_px - y) for tile in scan.tiles)
    return replace(scan, tiles=tuple(moved))


def _refuse_one_place(inventory: Inventory) -> None:
    """Refuse positions that are all the same: no tile has neighbours, whatever the pictures say."""
    tiles = inventory.tiles
    places = {(tile.x_px, tile.y_px) for tile in tiles}
    if len(tiles) > 1 and len(places) == 1:
        raise InputRefused(
            f"{inventory.scan.folder}: all {len(tiles)} tiles are said to lie at one place",
            value=f"({tiles[0].x_px:g}, {tiles[0].y_px:g})",
            remedy="give positions that differ, or a file-name pattern and an overlap",
        )
