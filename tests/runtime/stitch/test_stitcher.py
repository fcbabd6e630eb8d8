"""Known answers: tiles cut at known places are put back there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.errors import ConfigRefused, InputRefused
from runtime.stitch.stitcher import Stitcher
from tests.runtime.stitch.stitch_scans import SHAPE_PX, Scan, add, recall, scan, section


def stitched(made: Scan, *, tiles=None, sigma_px: float = 2.0) -> Stitcher:
    stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=sigma_px, shape_px=SHAPE_PX)
    for tile in tiles or made.tiles:
        add(stitcher, tile)
    return stitcher


def seams(stitcher: Stitcher):
    return stitcher.seams(stitcher.solve())


def as_numbers(placements):
    return {name: (p.x_px, p.y_px, p.flag) for name, p in placements.items()}


@pytest.mark.parametrize("noise", [0.0, pytest.param(2.0, marks=pytest.mark.slow), 12.0])
def test_jittered_tiles_go_back_to_a_tenth_of_a_pixel(noise):
    made = scan(noise=noise)
    assert np.percentile(made.errors_px(stitched(made).solve()), 95) < 0.1


def test_five_percent_overlap_is_enough():
    made = scan(overlap=0.08, jitter_px=1.5)
    assert np.percentile(made.errors_px(stitched(made, sigma_px=1.5).solve()), 95) < 0.2


def test_the_running_estimate_is_already_good():
    made = scan()
    stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX)
    placed = {}
    for tile in made.tiles:
        add(stitcher, tile)
        placed |= stitcher.moved()
    assert np.percentile(made.errors_px(placed), 95) < 0.2


def test_the_same_shifts_and_places_in_any_order():
    made = scan(rows=3, columns=3)
    shuffled = [made.tiles[i] for i in np.random.default_rng(5).permutation(len(made.tiles))]
    first, second = stitched(made), stitched(made, tiles=shuffled)
    assert seams(first) == seams(second)
    assert as_numbers(first.solve()) == as_numbers(second.solve())


def test_an_interrupted_scan_gives_the_same_result_and_reads_its_front_alone():
    made = scan(rows=4, columns=3, blank=lambda row, column: row == 1 and column != 1)
    whole = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX)
    matches = [add(whole, tile) for tile in made.tiles]
    resumed = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX)
    pixels = {tile.tile_id: tile.pixels for tile in made.tiles[:8]}
    for tile, known in list(zip(made.tiles, matches, strict=True))[:8]:
        recall(resumed, tile, known)
    read = []

    def earlier(tile_id):
        read.append(tile_id)
        return pixels[tile_id]

    again = [add(resumed, tile, earlier) for tile in made.tiles[8:]]
    assert again == matches[8:]
    assert as_numbers(resumed.solve()) == as_numbers(whole.solve())
    # The last tile of the third row lies beside r2_c1 and below r1_c2; the fourth row comes to
    # lie below r2_c0. Nothing further behind is read.
    assert sorted(read) == ["r1_c2", "r2_c0", "r2_c1"]


def test_blank_tiles_stay_with_the_stage_and_say_so():
    made = scan(blank=lambda row, column: column == 3)
    placed = stitched(made).solve()
    textured = Scan(made.tiles, {n: at for n, at in made.truth_px.items() if "c3" not in n})
    assert {n for n, p in placed.items() if p.flag == "blank"} == {f"r{i}_c3" for i in range(4)}
    assert np.percentile(textured.errors_px(placed), 95) < 0.1
    for row in range(4):
        place = placed[f"r{row}_c3"]
        assert np.hypot(*np.subtract((place.x_px, place.y_px), made.truth_px[f"r{row}_c3"])) < 15


def test_islands_between_blank_tiles_are_right_within_themselves():
    made = scan(columns=5, blank=lambda row, column: column == 2)
    placed = stitched(made).solve()
    for columns in ("01", "34"):
        island = {n: at for n, at in made.truth_px.items() if n[-1] in columns}
        assert np.percentile(Scan(made.tiles, island).errors_px(placed), 95) < 0.1


def test_dust_on_the_sensor_does_not_pull():
    rng = np.random.default_rng(8)
    dust = 15 * rng.normal(size=SHAPE_PX).astype(np.float32)
    made = scan(pattern=lambda: dust)
    assert np.percentile(made.errors_px(stitched(made).solve()), 95) < 0.1


@pytest.mark.slow
def test_a_fixed_pattern_alone_is_no_match():
    rng = np.random.default_rng(8)
    stripes = 20 * rng.normal(size=(SHAPE_PX[0], 1)) + 20 * rng.normal(size=(1, SHAPE_PX[1]))
    made = scan(rows=2, columns=3, blank=lambda row, column: True, pattern=lambda: stripes)
    assert {seam.method for seam in seams(stitched(made))} == {"none"}


def test_blank_tiles_that_show_the_sensors_dust_are_blank_where_one_came_before():
    """Specks that shade a third of the sensor, as dark as the specimen."""
    rng, dust = np.random.default_rng(3), np.zeros(SHAPE_PX, np.float32)
    for x, y in rng.uniform(0, 1, (12, 2)) * (SHAPE_PX[1], SHAPE_PX[0]):
        cv2.circle(dust, (round(x), round(y)), 6, -40.0, -1)
    made = scan(rows=3, columns=4, blank=lambda row, column: column > 1, pattern=lambda: dust)
    stitcher = stitched(made)
    # Two specks match in every pair of tiles that lie one above the other.
    assert {s.a[-2:] + s.b[-2:] for s in seams(stitcher) if s.method != "none"} <= {
        "c0c0", "c0c1", "c1c1"
    }  # fmt: skip
    flags = {name: place.flag for name, place in stitcher.solve().items()}
    assert {name for name, flag in flags.items() if flag == "blank"} >= {
        f"r{row}_c{column}" for row in (1, 2) for column in (2, 3)
    }
    assert all(flags[f"r{row}_c{column}"] == "" for row in range(3) for column in (0, 1))


def like_dust(step_px):
    """Specks all along every side of the sensor, each once more where the opposite side overlaps it
    when the stage has moved on by a step.
    """
    rng, dust = np.random.default_rng(3), np.zeros(SHAPE_PX, np.float32)
    sides = rng.uniform(0, 1, (2, 40, 2)) * SHAPE_PX[::-1]
    sides[0, :, 0] *= 0.15
    sides[1, :, 1] *= 0.15
    for specks, moved in zip(sides, np.diag(step_px), strict=True):
        for x, y in np.concatenate([specks, specks + moved]):
            cv2.circle(dust, (round(x), round(y)), 4, -40.0, -1)
    return cv2.GaussianBlur(dust, (0, 0), 1)


@pytest.mark.parametrize("empty", [True, False])
def test_like_dust_all_along_both_sides_is_no_lattice(empty):
    step_px = [round(side * 0.85) for side in SHAPE_PX[::-1]]
    made = scan(
        rows=2, columns=2, blank=lambda row, column: empty, pattern=lambda: like_dust(step_px)
    )
    stitcher = stitched(made)
    matched = {seam.method for seam in seams(stitcher)} != {"none"}
    assert matched == (not empty)
    if matched:
        assert made.errors_px(stitcher.solve()).max() < 0.1


def test_a_dust_peak_inside_the_gate_is_refused():
    """Tiles so close that a shift of zero lies in the gate: only dust is there to agree on."""
    rng = np.random.default_rng(2)
    dust = 60 * rng.normal(size=SHAPE_PX).astype(np.float32)
    made = scan(
        rows=1, columns=2, overlap=0.95, blank=lambda row, column: True, pattern=lambda: dust
    )
    assert [seam.method for seam in seams(stitched(made, sigma_px=6.0))] == ["none"]


def test_a_turned_and_scaled_stage_is_fitted():
    """The stage is off by 2 % and one degree: blank tiles must follow the fit, not the claim."""
    made = scan(rows=5, columns=5, jitter_px=0.5, blank=lambda row, column: (row, column) == (2, 4))
    turn = 1.02 * np.array([[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]])
    stitcher = Stitcher(px_from_stage=turn, stage_sigma_px=4.0, shape_px=SHAPE_PX)
    for tile in made.tiles:
        add(stitcher, tile)
    placed = stitcher.solve()
    assert placed["r2_c4"].flag == "blank"
    assert made.errors_px(placed)[[*made.truth_px].index("r2_c4")] < 3.0


def test_a_tile_of_another_shape_is_refused():
    made = scan(rows=1, columns=2)
    stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=(100, 100))
    with pytest.raises(InputRefused, match="another shape"):
        add(stitcher, made.tiles[0])


def test_an_unknown_matcher_is_refused_by_name():
    with pytest.raises(ConfigRefused, match="value best; limit auto, phase, sift, loftr"):
        Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX, matcher="best")


def test_point_pairs_show_the_same_specimen():
    made = scan(rows=1, columns=2)
    stitcher = stitched(made, tiles=made.tiles[:1])
    (shift,) = add(stitcher, made.tiles[1]).shifts
    assert len(shift.pairs) >= 4
    true = np.subtract(made.truth_px[shift.b], made.truth_px[shift.a])
    for pair in shift.pairs:
        assert np.subtract(pair.a_px, pair.b_px) == pytest.approx(true, abs=0.3)


def test_in_a_dense_scan_every_tile_is_matched_with_the_one_beside_it():
    """Six tenths of overlap: the next but one overlaps too, and is not to take the side away."""
    made = scan(rows=1, columns=4, overlap=0.6)
    stitcher = Stitcher(
        px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX, border_px=SHAPE_PX[1]
    )
    for tile in made.tiles:
        add(stitcher, tile)
    matched = {(seam.a, seam.b) for seam in seams(stitcher) if seam.method != "none"}
    assert {("r0_c0", "r0_c1"), ("r0_c1", "r0_c2"), ("r0_c2", "r0_c3")} <= matched


def test_a_tile_that_shows_something_else_is_left_to_the_stage_and_says_so():
    """Textured, so not blank, but of another place: none of its four overlaps is a match."""
    made = scan(rows=3, columns=3)
    height, width = SHAPE_PX
    other = (16 * section()[1100 : 1100 + height, 1250 : 1250 + width] + 200).astype(np.uint16)
    tiles = [replace(t, pixels=other) if t.tile_id == "r1_c1" else t for t in made.tiles]
    stitcher = stitched(made, tiles=tiles)
    flags = {name: place.flag for name, place in stitcher.solve().items() if place.flag}
    assert flags == {"r1_c1": "stage-only"}
    methods = {"r1_c1" in (seam.a, seam.b): seam.method for seam in seams(stitcher)}
    assert methods == {True: "none", False: "phase"}
