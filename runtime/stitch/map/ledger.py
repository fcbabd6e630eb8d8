"""What the map on disk shows, so that a resumed scan draws only what is missing.

A text file beside the chunks: before anything is drawn a line names the tiles, afterwards a line
says where and how each was drawn. A tile that was announced and never drawn may stand in some
chunks and not in others; it counts as not drawn. The lines outlive the process but are not forced
to the disk, nor are the chunks: after another boot of the machine, nothing of it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runtime.stitch.map.gains import SharedTones, Tone
from runtime.tile import Placement

Pair = tuple[str, str]


@dataclass(slots=True)
class Shown:
    """The tiles in the chunks: where, in which tone, and the tones that pairs of them share.

    `torn` holds the places that tiles were leaving or entering when their drawing was interrupted.
    """

    places: dict[str, Placement] = field(default_factory=dict)
    tones: dict[str, Tone] = field(default_factory=dict)
    shared: dict[Pair, SharedTones] = field(default_factory=dict)
    torn: list[Placement] = field(default_factory=list)


class Ledger:
    """The file `path`, written in the boot `boot_id` of the machine."""

    def __init__(self, path: Path, *, boot_id: str) -> None:
        self._path, self._boot_id = path, boot_id

    def begin(self) -> None:
        """Start again, for a canvas that shows nothing."""
        self._path.write_text(_line({"boot_id": self._boot_id}), encoding="utf-8")

    def announce(self, places: Iterable[Placement]) -> None:
        """Say which tiles are about to be drawn, and where."""
        self._write({"drawing": [(p.tile_id, p.x_px, p.y_px) for p in places]})

    def enter(
        self,
        places: Iterable[Placement],
        tones: Mapping[str, Tone],
        shared: Iterable[SharedTones],
    ) -> None:
        """Say where and in which tone tiles were drawn, and what pairs of them share."""
        rows = [
            (p.tile_id, p.x_px, p.y_px, tones[p.tile_id].gain, tones[p.tile_id].offset)
            for p in places
        ]
        self._write({"drawn": rows, "shared": [list(asdict(each).values()) for each in shared]})

    def shown(self) -> Shown | None:
        """Return what the chunks show, or None where nobody can tell."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError:
            return None
        lines = text.splitlines()
        if not lines or _parsed(lines[0]).get("boot_id") != self._boot_id:
            return None
        if not text.endswith("\n"):
            # A process was killed in the middle of a line; the next one must begin on its own.
            self._append("\n")
        shown, announced = Shown(), dict[str, Placement]()
        for line in lines[1:]:
            said = _parsed(line)
            for name, x_px, y_px in said.get("drawing", ()):
                announced[name] = Placement(tile_id=name, x_px=x_px, y_px=y_px)
            for name, x_px, y_px, gain, offset in said.get("drawn", ()):
                announced.pop(name, None)
                shown.places[name] = Placement(tile_id=name, x_px=x_px, y_px=y_px)
                shown.tones[name] = Tone(gain, offset)
            for row in said.get("shared", ()):
                each = SharedTones(*row)
                shown.shared[each.a, each.b] = each
        shown.torn.extend(announced.values())
        shown.torn.extend(shown.places.pop(name) for name in announced if name in shown.places)
        return shown

    def _write(self, said: dict[str, Any]) -> None:
        self._append(_line(said))

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)


def _line(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":")) + "\n"


def _parsed(line: str) -> dict[str, Any]:
    """Return what a line says; nothing for one the process was killed in the middle of."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return said
