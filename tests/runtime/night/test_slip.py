"""Small slips of a stage, told from all else that shifts seams."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.night.slip import rifts, slips
from runtime.tile import Placement, Seam
from tests.runtime.made import shot, stored

ROWS, COLUMNS, STEP_UM = 6, 7, 100.0
PX_FROM_STAGE = np.array([[0.0, -2.0], [2.0, 0.0]])


def scan(slipped=(), *, noise_um=0.2, matrix=None, drift_um_per_s=0.0, wrong=0, seed=0):
    """Return tiles in a serpentine, where the map has them, and its seams.

    `slipped` holds (number, (x, y) µm); `wrong` seams were matched elsewhere, and tore their tile
    along.
    """
    rng = np.random.default_rng(seed)
    torn = rng.choice(ROWS * COLUMNS, wrong, replace=False)
    tiles, places, number = [], {}, 0
    for row in range(ROWS):
        columns = range(COLUMNS) if row % 2 == 0 else range(COLUMNS - 1, -1, -1)
        for column in columns:
            name = f"r{row:03d}_c{column:03d}"
            at = np.array([column, row]) * STEP_UM
            one = shot(name, at_um=(float(at[0]), float(at[1]), 0.0), time_s=2.0 * number)
            tiles.append(stored(one, seq=number))
            true = (np.eye(2) if matrix is None else matrix) @ at + rng.normal(0, noise_um, 2)
            true[0] += drift_um_per_s * 2.0 * number
            true += sum((np.array(um) for when, um in slipped if number >= when), np.zeros(2))
            true[0] += 30.0 * (number in torn)
            x, y = PX_FROM_STAGE @ true
            places[name] = Placement(tile_id=name, x_px=x, y_px=y)
            number += 1
    names = {tuple(int(part[1:]) for part in t.tile_id.split("_")): t.tile_id for t in tiles}
    seams = [
        Seam(a=name, b=names[there], dx_px=0, dy_px=0, residual_px=0, ncc=0.9, method="phase")
        for (row, column), name in names.items()
        for there in ((row, column + 1), (row + 1, column))
        if there in names
    ]
    return tiles, places, seams


def found(*scanned):
    return slips(*scanned, px_from_stage=PX_FROM_STAGE, stage_sigma_um=2.0)


@pytest.mark.parametrize("when", [5, 16, 21, 39])
@pytest.mark.parametrize("um", [(5.0, -3.5), (0.0, 3.0)])
def test_a_small_slip_is_told_with_its_size_and_place(when, um):
    (slip,) = found(*scan([(when, um)]))
    assert (slip.x_um, slip.y_um) == pytest.approx(um, abs=0.3)
    assert slip.number == when
    assert slip.before.tile_id in slip.words
    assert slip.after.tile_id in slip.words


def test_two_slips_are_told_apart():
    one, other = found(*scan([(12, (4.0, 0.0)), (30, (0.0, -5.0))]))
    assert (one.number, other.number) == (12, 30)
    assert (one.x_um, other.y_um) == pytest.approx((4.0, -5.0), abs=0.3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "otherwise",
    [
        {},
        {"noise_um": 0.8},
        {"matrix": np.array([[1.01, 0.02], [-0.02, 0.99]])},
        {"drift_um_per_s": 0.2},
        {"wrong": 3},
        {"slipped": [(20, (1.2, 0.0))]},
    ],
)
def test_what_is_no_slip_is_not_told_as_one(otherwise, seed):
    assert found(*scan(**otherwise, seed=seed)) == []


def test_a_scan_of_one_row_is_asked_and_says_nothing():
    tiles, places, seams = scan([(3, (5.0, 0.0))])
    row = [tile for tile in tiles if tile.tile_id.startswith("r000")]
    names = {tile.tile_id for tile in row}
    assert found(row, places, [s for s in seams if {s.a, s.b} <= names]) == []


def torn(seams, tiles, number, *, also=()):
    """Return the seams, those across the `number`-th tile and of the tiles `also` unmatched."""
    order = {tile.tile_id: n for n, tile in enumerate(tiles)}

    def lost(seam):
        first, last = sorted((order[seam.a], order[seam.b]))
        return first < number <= last or {seam.a, seam.b} & set(also)

    return [replace(s, method="none") if lost(s) else s for s in seams]


@pytest.mark.parametrize("number", [5, 16, 30])
def test_a_slip_so_far_that_nothing_matches_across_it_is_told(number):
    tiles, _, seams = scan()
    (rift,) = rifts(tiles, torn(seams, tiles, number))
    assert rift.number == number
    assert rift.after.tile_id in rift.words
    assert rifts(tiles, seams) == []


def test_a_row_of_faint_tiles_is_no_rift():
    tiles, _, seams = scan()
    faint = [tile.tile_id for tile in tiles if tile.tile_id.startswith("r003")]
    assert rifts(tiles, torn(seams, tiles, 10**6, also=faint)) == []


def test_a_scan_in_which_nothing_matches_says_nothing():
    tiles, _, seams = scan()
    assert rifts(tiles, [replace(seam, method="none") for seam in seams]) == []
    assert rifts([], []) == []
