"""What the map on disk shows, so that a resumed scan draws only what is missing.

A text file beside the chunks. Before anything is drawn, lines say which chunks that changes, and
then what the map will show; while they are drawn, lines name the blocks that are done; the last
says that the coarse levels are up to date as well. So whatever moment the process dies at, the file
tells what has to be shown and what does not show it yet. The lines outlive the process but are not
forced to the disk, nor are the chunks: after another boot of the machine, nothing is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runtime.stitch.map.canvas import BLOCK_CHUNKS, Chunk
from runtime.stitch.map.cuts import SeamCut
from runtime.stitch.map.gains import Shading, SharedTones, Tone
from runtime.stitch.map.overlaps import Overlap, Pair
from runtime.tile import Placement

FORMAT = 3


@dataclass(slots=True)
class Shown:
    """What the map shows: where and in which tone each tile, what overlaps are like, the shading.

    `torn` chunks do not show it yet; `rough` ones were drawn on the way, in pieces that depend on
    what came when, and are drawn once more when the map is settled. Above the blocks `unlifted`,
    the coarse levels are behind.
    """

    places: dict[str, Placement] = field(default_factory=dict)
    tones: dict[str, Tone] = field(default_factory=dict)
    overlaps: dict[Pair, Overlap] = field(default_factory=dict)
    shading: Shading = ()
    torn: set[Chunk] = field(default_factory=set)
    rough: set[Chunk] = field(default_factory=set)
    unlifted: set[Chunk] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Change:
    """What a drawing changes: the tiles that are new, moved or toned, overlaps, and which chunks.

    A `whole` one says everything anew, and draws in whole blocks.
    """

    places: Sequence[Placement]
    tones: Sequence[Tone]
    overlaps: Sequence[Overlap]
    shading: Shading
    chunks: list[Chunk]
    whole: bool


class Ledger:
    """The file `path`, written in the boot `boot_id` of the machine; none without one."""

    def __init__(self, path: Path, *, boot_id: str) -> None:
        self._path, self._boot_id = path, boot_id

    def begin(self) -> None:
        """Start again, for a canvas that shows nothing."""
        if self._boot_id:
            self._path.write_text(self._head(), encoding="utf-8")

    def announce(self, change: Change) -> None:
        """Say what is about to be drawn."""
        if self._boot_id:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(_lines(change))

    def done(self, block: Chunk) -> None:
        """Say that a block shows what was announced."""
        self._write({"done": block})

    def lifted(self) -> None:
        """Say that the coarse levels show what the finest does."""
        self._write({"lifted": True})

    def condense(self, shown: Change) -> None:
        """Keep what a finished map shows, and forget how it came to that."""
        if self._boot_id:
            aside = self._path.with_name(f"{self._path.name}.part")
            with aside.open("w", encoding="utf-8") as file:
                file.write(self._head())
                file.writelines(_lines(shown))
                file.write(_line({"lifted": True}))
            aside.replace(self._path)

    def shown(self) -> Shown | None:
        """Return what the chunks show, or None where nobody can tell."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError:
            return None
        lines = text.splitlines()
        if not self._boot_id or not lines or lines[0] + "\n" != self._head():
            return None
        if not text.endswith("\n"):
            # A process was killed in the middle of a line; the next one must begin on its own.
            self._append("\n")
        shown = Shown()
        for line in lines[1:]:
            _read(shown, _parsed(line))
        return shown

    def _head(self) -> str:
        return _line({"boot_id": self._boot_id, "format": FORMAT})

    def _write(self, said: dict[str, Any]) -> None:
        if self._boot_id:
            self._append(_line(said))

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)


def block_of(chunk: Chunk) -> Chunk:
    """Return the block that a chunk lies in."""
    return chunk[0] // BLOCK_CHUNKS, chunk[1] // BLOCK_CHUNKS


def chunks_of(block: Chunk) -> list[Chunk]:
    """Return all chunks of a block, those beyond the canvas's edge too."""
    steps = range(BLOCK_CHUNKS)
    row, column = block[0] * BLOCK_CHUNKS, block[1] * BLOCK_CHUNKS
    return [(row + down, column + across) for down in steps for across in steps]


def _lines(change: Change) -> Iterator[str]:
    """Yield the lines that say a change, the chunks first: what follows may be cut short."""
    said = {"chunks": change.chunks, "shading": change.shading, "whole": change.whole}
    yield _line(said)
    for place, tone in zip(change.places, change.tones, strict=True):
        yield _line({"tile": [*_pose(place), tone.gain, tone.offset]})
    for overlap in change.overlaps:
        yield _line({"overlap": _row(overlap)})


def _read(shown: Shown, said: dict[str, Any]) -> None:
    """Take a line over into what is shown."""
    if "chunks" in said:
        _read_change(shown, said)
    elif "tile" in said:
        *pose, gain, offset = said["tile"]
        place = _placement(pose)
        shown.places[place.tile_id] = place
        shown.tones[place.tile_id] = Tone(gain, offset)
    elif "overlap" in said:
        overlap = _overlap(said["overlap"])
        shown.overlaps[overlap.pair] = overlap
    elif "done" in said:
        row, column = said["done"]
        shown.torn.difference_update(chunks_of((row, column)))
    elif "lifted" in said:
        shown.unlifted.clear()


def _read_change(shown: Shown, said: dict[str, Any]) -> None:
    if said["whole"]:
        shown.places, shown.tones, shown.overlaps = {}, {}, {}
    shown.shading = tuple(said["shading"])
    chunks = {(row, column) for row, column in said["chunks"]}
    shown.torn |= chunks
    shown.unlifted |= {block_of(chunk) for chunk in chunks}
    shown.rough = set() if said["whole"] else shown.rough | chunks


def _pose(place: Placement) -> list[Any]:
    return [place.tile_id, place.x_px, place.y_px, place.theta_rad, place.flag]


def _placement(pose: list[Any]) -> Placement:
    name, x_px, y_px, theta_rad, flag = pose
    return Placement(tile_id=name, x_px=x_px, y_px=y_px, theta_rad=theta_rad, flag=flag)


def _row(overlap: Overlap) -> list[Any]:
    tones, cut = overlap.tones, overlap.cut
    return [
        _pose(overlap.a),
        _pose(overlap.b),
        None if tones is None else tones.moments.tolist(),
        None if cut is None else [cut.box_px, cut.upright, cut.first, cut.cells],
    ]


def _overlap(row: list[Any]) -> Overlap:
    a, b, moments, cut = row
    first, second = _placement(a), _placement(b)
    return Overlap(
        first,
        second,
        None if moments is None else SharedTones(a[0], b[0], np.array(moments)),
        None if cut is None else SeamCut(tuple(cut[0]), cut[1], cut[2], tuple(cut[3])),
    )


def _line(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":")) + "\n"


def _parsed(line: str) -> dict[str, Any]:
    """Return what a line says; nothing for one the process was killed in the middle of."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return said
