"""Micro-Manager's position lists, of releases 1.4 and 2.0: stage places by label, micrometres.

https://micro-manager.org/Position_List_Dialog; images carry the label in their names
("scan_MMStack_1-Pos_000_001.ome.tif") or in that of their folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.errors import InputRefused
from runtime.instrument.camera.tile_configuration import TileEntry


def parse_micromanager(text: str, *, source: Path, names: Sequence[str]) -> list[TileEntry]:
    """Return an entry for every position: the file of `names` that carries its label, or the label
    where none does, and the stage's x and y in µm.

    Raises InputRefused, naming the file, for what is no position list, and for a label that several
    files carry.
    """
    try:
        told = json.loads(text)
        entries = [_entry(place) for place in _places(told)]
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InputRefused(
            f"positions {source}: not a position list of Micro-Manager",
            remedy="save it in its Stage Position List window, or give a TileConfiguration.txt",
        ) from None
    if not entries:
        raise InputRefused(f"positions {source}: holds no positions", remedy="save the list again")
    return [
        TileEntry(name=_file_of(label, names, source), x_px=x_um, y_px=y_um)
        for label, x_um, y_um in entries
    ]


def _places(told: Any) -> list[dict[str, Any]]:
    """Return the positions as plain dictionaries; release 2.0 wraps every value with its type."""
    if "POSITIONS" in told:
        return list(told["POSITIONS"])
    return [_unwrapped(place) for place in told["map"]["StagePositions"]["array"]]


def _unwrapped(place: dict[str, Any]) -> dict[str, Any]:
    stages = place["DevicePositions"]["array"]
    devices = []
    for stage in stages:
        at_um = stage["Position_um"]["array"]
        if len(at_um) == 2:
            named = {"DEVICE": stage["Device"]["scalar"], "AXES": 2}
            devices.append(named | {"X": at_um[0], "Y": at_um[1]})
    return {
        "LABEL": place["Label"]["scalar"],
        "DEFAULT_XY_STAGE": place["DefaultXYStage"]["scalar"],
        "DEVICES": devices,
    }


def _entry(place: dict[str, Any]) -> tuple[str, float, float]:
    stages = {one["DEVICE"]: one for one in place["DEVICES"] if one["AXES"] == 2}
    stage = stages[place["DEFAULT_XY_STAGE"]] if len(stages) != 1 else next(iter(stages.values()))
    return str(place["LABEL"]), float(stage["X"]), float(stage["Y"])


def _file_of(label: str, names: Sequence[str], source: Path) -> str:
    whole = re.compile(rf"(?<![0-9A-Za-z]){re.escape(label)}(?![0-9A-Za-z])")
    found = [name for name in names if whole.search(name)]
    if len(found) > 1:
        raise InputRefused(
            f"positions {source}: several files carry the label '{label}'",
            value=", ".join(found[:3]),
            limit=1,
            remedy="keep one channel, plane and time of every position in the folder",
        )
    return found[0] if found else label
