"""How well a run did, by the simulator's own truth. Nothing the pipeline runs may import this."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.simulator.ground_truth import GroundTruth
from runtime.instrument.simulator.truth import TrueExposure, specimen_from_px
from runtime.tile import Label, Placement

# World times of different exposures differ by a readout at least, 15 ms.
SAME_TIME_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTile:
    """What scoring needs of a journaled tile; `time_s`, its frame's camera time, finds its
    exposure.
    """

    tile_id: str
    time_s: float
    width_px: int
    height_px: int


def score(
    *,
    truth: Iterable[TrueExposure],
    tiles: Sequence[ScoredTile],
    placements: Mapping[str, Placement],
    labels: Mapping[str, Label],
    ground: GroundTruth | None,
) -> dict[str, Any]:
    """Return the demo's figures: errors as {median, p95, max}, None where nothing can be judged.

    `position_error_px` is the distance between placed and true tile centres, in pixels of the
    tiles, after removing the common offset (the median per axis). `focus_error_um` is |true z -
    best focus z| at the tile's centre. `label_accuracy` is the share of labelled tiles whose label
    is the true one. Raises InputRefused for a tile the witness did not see.
    """
    seen = exposures_of(tiles, truth)
    placed = [tile for tile in tiles if tile.tile_id in placements]
    errors_px = position_errors_px(placed, seen, placements)
    focus_um = np.array([abs(seen[tile.tile_id].defocus_um) for tile in tiles])
    return {
        "position_error_px": _spread(errors_px),
        "focus_error_um": _spread(focus_um),
        "label_accuracy": None if ground is None else _accuracy(tiles, seen, labels, ground),
    }


def exposures_of(
    tiles: Sequence[ScoredTile], truth: Iterable[TrueExposure]
) -> dict[str, TrueExposure]:
    """Return each tile's exposure by tile id; of several with the tile's time, the last.

    A tile lost between exposure and journal is exposed again by the resumed run.
    """
    by_time = {round(exposure.time_s, SAME_TIME_DIGITS): exposure for exposure in truth}
    seen: dict[str, TrueExposure] = {}
    for tile in tiles:
        exposure = by_time.get(round(tile.time_s, SAME_TIME_DIGITS))
        if exposure is None:
            raise InputRefused(
                f"the witness saw no exposure for tile {tile.tile_id}",
                value=f"time {tile.time_s} s",
                remedy="score a run with its own truth.jsonl",
            )
        seen[tile.tile_id] = exposure
    return seen


def position_errors_px(
    tiles: Sequence[ScoredTile],
    seen: Mapping[str, TrueExposure],
    placements: Mapping[str, Placement],
) -> NDArray[np.float64]:
    """Return the distance of each tile's placed centre from its true one, common offset removed."""
    if not tiles:
        return np.empty(0)
    placed = np.array([_centre_px(placements[tile.tile_id], tile) for tile in tiles])
    true = np.array([_true_centre_px(seen[tile.tile_id]) for tile in tiles])
    away = placed - true
    return np.asarray(np.linalg.norm(away - np.median(away, axis=0), axis=1))


def _centre_px(placement: Placement, tile: ScoredTile) -> tuple[float, float]:
    half_x, half_y = (tile.width_px - 1) / 2, (tile.height_px - 1) / 2
    cosine, sine = math.cos(placement.theta_rad), math.sin(placement.theta_rad)
    return (
        placement.x_px + cosine * half_x - sine * half_y,
        placement.y_px + sine * half_x + cosine * half_y,
    )


def _true_centre_px(exposure: TrueExposure) -> NDArray[np.float64]:
    turn = specimen_from_px(
        rotation_rad=exposure.rotation_rad, pixel_size_um=exposure.pixel_size_um
    )
    return np.asarray(np.linalg.solve(turn, np.array(exposure.centre_um)))


def _accuracy(
    tiles: Sequence[ScoredTile],
    seen: Mapping[str, TrueExposure],
    labels: Mapping[str, Label],
    ground: GroundTruth,
) -> float | None:
    right = [
        labels[tile.tile_id].name
        == ground.label(seen[tile.tile_id], width_px=tile.width_px, height_px=tile.height_px)
        for tile in tiles
        if tile.tile_id in labels
    ]
    return float(np.mean(right)) if right else None


def _spread(values: NDArray[np.float64]) -> dict[str, float] | None:
    if values.size == 0:
        return None
    return {
        "median": round(float(np.median(values)), 4),
        "p95": round(float(np.percentile(values, 95)), 4),
        "max": round(float(values.max()), 4),
    }
