"""A number for every seam and tile: each says what it says it says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from runtime.stitch.map.truth import MapTruth, block_mismatch
from runtime.stitch.quality import Quality, quality
from runtime.stitch.stitcher import Stitcher
from runtime.tile import Matches, Placement, Seam, Shift
from tests.runtime.stitch.stitch_scans import SHAPE_PX, Scan, nothing_earlier, recall, scan

NO_PICTURES = MapTruth(())


@cache
def made() -> tuple[Scan, dict[str, Matches]]:
    """Return a scan of 3 × 3 tiles and what was measured in it."""
    tiles = scan(rows=3, columns=3)
    stitcher = new_stitcher()
    matches = {}
    for tile in tiles.tiles:
        matches[tile.tile_id] = stitcher.add(
            tile.tile_id, tile.pixels, x_um=tile.x_um, y_um=tile.y_um, earlier=nothing_earlier
        )
    return tiles, matches


def new_stitcher() -> Stitcher:
    return Stitcher(px_from_stage=np.eye(2), stage_sigma_px=5.0, shape_px=SHAPE_PX)


def changed(
    matches: dict[str, Matches], pair: tuple[str, str], new: Shift | None
) -> dict[str, Matches]:
    """Return the matches with one shift replaced, or without it."""
    return {
        tile_id: replace(
            each,
            shifts=tuple(
                kept
                for old in each.shifts
                if (kept := new if (old.a, old.b) == pair else old) is not None
            ),
        )
        for tile_id, each in matches.items()
    }


def solved(matches: dict[str, Matches]) -> tuple[dict[str, Placement], tuple[Seam, ...]]:
    stitcher = new_stitcher()
    for tile in made()[0].tiles:
        recall(stitcher, tile, matches[tile.tile_id])
    placed = stitcher.solve()
    return placed, stitcher.seams(placed)


def shifts_of(matches: dict[str, Matches]) -> dict[tuple[str, str], Shift]:
    return {(s.a, s.b): s for each in matches.values() for s in each.shifts}


def judged(matches: dict[str, Matches], truth: MapTruth = NO_PICTURES) -> Quality:
    placed, seams = solved(matches)
    covariances = {pair: shift.covariance_px2 for pair, shift in shifts_of(matches).items()}
    return quality(placed, seams, covariances, truth)


def moved(shift: Shift, dx_px: float) -> Shift:
    """Return a shift that says b lies further right, its points too."""
    pairs = tuple(replace(pair, b_px=(pair.b_px[0] - dx_px, pair.b_px[1])) for pair in shift.pairs)
    return replace(shift, dx_px=shift.dx_px + dx_px, pairs=pairs)


@pytest.mark.parametrize("pair", [("r0_c0", "r0_c1"), ("r1_c1", "r2_c1"), ("r2_c1", "r2_c2")])
def test_a_seam_left_out_is_predicted_as_if_it_had_never_been(pair: tuple[str, str]) -> None:
    """By the formula what a second solution without the seam gives."""
    _, matches = made()
    off = moved(shifts_of(matches)[pair], 0.8)
    found = judged(changed(matches, pair, off))
    (seam,) = [one for one in found.seams if (one.seam.a, one.seam.b) == pair]
    placed, _ = solved(changed(matches, pair, None))
    assert seam.left_out_px == pytest.approx(off.residual_px(placed[pair[0]], placed[pair[1]]), 0.2)
    assert seam.left_out_px == pytest.approx(0.8, abs=0.1)
    assert seam.seam.residual_px < 0.75


def test_a_wrong_seam_is_suspect_and_a_right_one_is_not() -> None:
    _, matches = made()
    assert not [one for one in judged(matches).seams if one.suspicions]
    pair = ("r1_c0", "r1_c1")
    found = judged(changed(matches, pair, moved(shifts_of(matches)[pair], 6.0)))
    suspects = {(one.seam.a, one.seam.b): one for one in found.seams if one.suspicions}
    assert pair in suspects
    assert suspects[pair].left_out_px == pytest.approx(6.0, abs=0.3)


def without(matches: dict[str, Matches], *pairs: tuple[str, str]) -> dict[str, Matches]:
    """Return the matches as if some overlaps had matched nothing."""
    for pair in pairs:
        none = replace(shifts_of(matches)[pair], method="none", ncc=0.0, pairs=())
        matches = changed(matches, pair, none)
    return matches


def test_a_seam_that_alone_holds_a_tile_is_predicted_by_nothing() -> None:
    _, matches = made()
    found = judged(without(matches, ("r0_c2", "r1_c2")))
    by_pair = {(one.seam.a, one.seam.b): one for one in found.seams}
    assert by_pair["r0_c1", "r0_c2"].left_out_px is None
    assert by_pair["r0_c0", "r0_c1"].left_out_px is not None
    tiles = {one.place.tile_id: one for one in found.tiles}
    assert tiles["r0_c2"].suspicions == ("one seam alone holds it",)
    assert (tiles["r0_c2"].matched, tiles["r0_c2"].overlaps) == (1, 2)
    assert tiles["r0_c1"].suspicions == ()


def test_a_tile_held_in_one_direction_is_suspect() -> None:
    _, matches = made()
    found = judged(without(matches, ("r0_c1", "r1_c1"), ("r1_c1", "r2_c1")))
    tiles = {one.place.tile_id: one for one in found.tiles}
    assert tiles["r1_c1"].suspicions == ("held in one direction only",)


def test_the_maps_numbers_join_measurements_and_pictures() -> None:
    tiles, matches = made()
    pixels = {tile.tile_id: tile.pixels for tile in tiles.tiles}
    placed, _ = solved(matches)
    truth = block_mismatch(placed, pixels.__getitem__, shape_px=SHAPE_PX)
    found = judged(matches, truth)
    numbers = found.summary()
    assert numbers["truth"]["mismatch_px"]["median"] < 0.2
    assert (numbers["suspect_seams"], numbers["suspect_tiles"]) == (0, 0)
    assert numbers["left_out_px"]["seams"] == 12
    assert numbers["left_out_px"]["max"] < 0.3
    assert all(tile.mismatch_px is not None for tile in found.tiles)
