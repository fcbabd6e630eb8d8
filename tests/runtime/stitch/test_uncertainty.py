"""Covariances of shifts and σ of places, by how often the truth lies within them."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.match.subpixel import refine
from runtime.tile import Shift
from tests.honest import assert_honest
from tests.runtime.stitch.made_graphs import SHAPE_PX as MADE_SHAPE_PX
from tests.runtime.stitch.made_graphs import Maker
from tests.runtime.stitch.stitch_scans import cut, section

SHIFT_PX, STAGE_PX, STEP_PX = 0.1, 5.0, 100.0
SHAPE_PX = (110, 110)


def refined(noise, *, count, shape=(224, 40)):
    """Errors of the sub-pixel shifts of two noisy views of the section, and what they claim."""
    rng = np.random.default_rng(0)
    errors_px, sigmas_px = [], []
    for _ in range(count):
        at_px, off_px = rng.uniform(40, (1100, 850)), rng.uniform(-0.5, 0.5, 2)
        a, b = (
            cut(section(), at_px=(float(x), float(y)), shape=shape) + rng.normal(0, noise, shape)
            for x, y in (at_px, at_px + off_px)
        )
        blocks = refine(a, b)
        if blocks is not None:
            errors_px.append(blocks.shift_px - off_px)
            sigmas_px.append(np.sqrt(np.diag(blocks.covariance_px2)))
    assert len(errors_px) > 0.9 * count
    return np.array(errors_px), np.array(sigmas_px)


def test_a_shifts_covariance_covers_what_noise_does_to_it():
    errors_px, sigmas_px = refined(25.0, count=40)
    assert_honest(errors_px.ravel(), sigmas_px.ravel(), one_sigma=(0.55, 0.85))


def test_without_noise_only_what_interpolation_leaves_is_claimed():
    errors_px, sigmas_px = refined(1.0, count=10)
    assert sigmas_px == pytest.approx(np.full_like(sigmas_px, 0.005), rel=0.1)
    assert np.abs(errors_px).max() < 0.005


def test_a_seam_along_x_is_as_honest_as_one_along_y():
    errors_px, sigmas_px = refined(25.0, count=30, shape=(40, 224))
    assert_honest(errors_px.ravel(), sigmas_px.ravel(), one_sigma=(0.55, 0.85))


def test_of_a_lattice_with_hardly_a_period_in_the_overlap_the_shift_is_found_and_covered():
    """Both windows stay where they are: of its shift such a lattice shows a tenth at once."""
    rng, shape, pitch_px = np.random.default_rng(5), (224, 50), 40.0
    (y, x), turns = np.mgrid[: shape[0], : shape[1]], 2 * np.pi / pitch_px
    errors_px, sigmas_px = [], []
    for _ in range(12):
        at_px, off_px = rng.uniform(0, pitch_px, 2), rng.uniform(-0.8, 0.8, 2)
        a, b = (
            500 * (1 + np.cos(turns * (x + left))) * (1 + np.cos(turns * (y + top)))
            + rng.normal(0, 20, shape)
            for left, top in (at_px, at_px + off_px)
        )
        blocks = refine(a.astype(np.float32), b.astype(np.float32))
        assert blocks is not None
        errors_px.append(blocks.shift_px - off_px)
        sigmas_px.append(np.sqrt(np.diag(blocks.covariance_px2)))
    assert np.abs(errors_px).max() < 0.1
    assert (np.abs(errors_px) < 4 * np.array(sigmas_px)).all()


def grid(side, seed):
    """Return every tile's error and its σ, by place, on a grid with unbiased shifts."""
    rng = np.random.default_rng(seed)
    graph = PoseGraph(STAGE_PX, shape_px=SHAPE_PX)
    truth = {}
    covariance = ((SHIFT_PX**2, 0.0), (0.0, SHIFT_PX**2))
    for row, column in np.ndindex(side, side):
        prior = STEP_PX * np.array([column, row])
        truth[row, column] = prior + rng.normal(0, STAGE_PX, 2)
        shifts = []
        for before in ((row - 1, column), (row, column - 1)):
            if before in truth:
                dx, dy = truth[row, column] - truth[before] + rng.normal(0, SHIFT_PX, 2)
                a, b = (f"r{r}_c{c}" for r, c in (before, (row, column)))
                shifts.append(Shift(a=a, b=b, dx_px=dx, dy_px=dy, covariance_px2=covariance))
        graph.extend(f"r{row}_c{column}", prior_px=(prior[0], prior[1]), blank=False, shifts=shifts)
    placed = graph.solve()
    at = {(r, c): placed[f"r{r}_c{c}"] for r, c in truth}
    off = {p: np.subtract((at[p].x_px, at[p].y_px), truth[p]) for p in truth}
    return off, {place: found.sigma_px for place, found in at.items()}


def test_a_tile_errs_against_the_whole_scan_by_what_its_sigma_says():
    errors_px, sigmas_px = [], []
    for seed in range(6):
        off, sigma = grid(8, seed)
        middle = np.mean(list(off.values()), axis=0)
        errors_px += [value for place in off for value in off[place] - middle]
        sigmas_px += [sigma[place] for place in off for _ in range(2)]
    assert_honest(errors_px, sigmas_px)
    chi2 = np.mean((np.array(errors_px) / np.array(sigmas_px)) ** 2)
    assert 0.8 < chi2 < 1.25


@pytest.mark.slow
def test_a_thousand_tiles_taken_in_any_order_or_again_give_one_map_that_errs_by_its_sigma():
    """Of a map of 2 % false seams, a twentieth of the tiles is taken again: what was seen of them
    first lay elsewhere.
    """
    made, maps = Maker(32, turn_rad=0.005, outliers=0.02).made(), []
    shifts = [shift for tile in made.tiles for shift in tile.shifts]
    for seed in (None, 1):
        graph, random = PoseGraph(STAGE_PX, shape_px=MADE_SHAPE_PX), np.random.default_rng(seed)
        order = np.arange(len(made.tiles)) if seed is None else random.permutation(len(made.tiles))
        retaken = {made.tiles[n].name for n in (order[::20] if seed else ())}
        for tile in (made.tiles[n] for n in order):
            seen = [
                replace(s, dx_px=s.dx_px + 30.0, pairs=()) if {s.a, s.b} & retaken else s
                for s in tile.shifts
            ]
            graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=seen)
            graph.moved()
        for tile in (tile for tile in made.tiles if tile.name in retaken):
            true = [s for s in shifts if tile.name in (s.a, s.b)]
            graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=true)
            graph.moved()
        maps.append(graph.solve())
    assert maps[0] == maps[1]
    errors_px = made.errors(maps[0])[:, :2]
    sigmas_px = np.array([maps[0][name].sigma_px for name in made.truth])
    assert 0.8 < np.mean((errors_px / sigmas_px[:, None]) ** 2) < 1.25


def test_a_tile_nobody_matched_is_as_sure_as_the_stage():
    graph = PoseGraph(STAGE_PX, shape_px=SHAPE_PX)
    graph.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
    assert graph.solve()["a"].sigma_px == pytest.approx(STAGE_PX)


def test_a_shift_that_is_not_believed_makes_nothing_surer():
    """Its only match lies 100 px from where the stage has it: σ is the stage's, and what is left
    unknown of the stage's scale at the end of the row.
    """
    graph = PoseGraph(STAGE_PX, shape_px=SHAPE_PX)
    for at in range(6):
        before = [Shift(a=f"t{at - 1}", b=f"t{at}", dx_px=100.0, dy_px=0.0)] if at else []
        graph.extend(f"t{at}", prior_px=(100.0 * at, 0.0), blank=False, shifts=before)
    wrong = Shift(a="t5", b="far", dx_px=20.0, dy_px=60.0)
    graph.extend("far", prior_px=(600.0, 0.0), blank=False, shifts=[wrong])
    placed = graph.solve()
    assert placed["far"].flag == "suspect"
    assert STAGE_PX < placed["far"].sigma_px < 1.5 * STAGE_PX


def test_a_tile_that_nothing_holds_makes_no_other_less_sure():
    """A scan's place as a whole is that of the tiles that hold together."""
    sure = ((1e-4, 0.0), (0.0, 1e-4))
    sigmas_px = []
    for blank in (0, 3):
        graph = PoseGraph(STAGE_PX, shape_px=SHAPE_PX)
        for at in range(6):
            before = [Shift(a=f"t{at - 1}", b=f"t{at}", dx_px=90.0, dy_px=0.0, covariance_px2=sure)]
            at_px = (90.0 * at, 0.0)
            graph.extend(f"t{at}", prior_px=at_px, blank=False, shifts=before if at else [])
        for at in range(blank):
            graph.extend(f"x{at}", prior_px=(900.0, 90.0 * at), blank=True, shifts=[])
        sigmas_px.append(graph.solve()["t5"].sigma_px)
    assert sigmas_px[1] == pytest.approx(sigmas_px[0], rel=0.01)
    assert sigmas_px[0] < 0.1


def with_backlash(backlash_px, *, told=True):
    """Return a graph of a serpentine scan, its last tile blank, and the truth."""
    made, graph = Maker(6, stage_px=0.5).made(), PoseGraph(0.5, shape_px=MADE_SHAPE_PX)
    for at, tile in enumerate(made.tiles):
        way, last = (1.0 if at // 6 % 2 == 0 else -1.0), at == len(made.tiles) - 1
        graph.extend(
            tile.name,
            prior_px=(tile.prior_px[0] - way * backlash_px / 2, tile.prior_px[1]),
            blank=last,
            shifts=() if last else tile.shifts,
            heading=(way, 1.0) if told else (0.0, 0.0),
        )
    return graph, made


def test_the_backlash_of_a_stage_is_told_from_the_way_it_came_and_blank_tiles_follow():
    graph, made = with_backlash(4.0)
    placed, found = graph.solve(), graph.backlash
    assert found is not None
    assert found.sigma_px[0] < 0.3
    assert found.sigma_px[1] == 0.0
    assert found.x_px == pytest.approx((4.0, 0.0), abs=4 * found.sigma_px[0])
    assert found.in_words().startswith(f"backlash {np.hypot(*found.x_px):.1f} ± ")
    last = made.tiles[-1].name
    assert placed[last].flag == "blank"
    assert np.abs(made.errors(placed)[-1, :2]).max() < 4 * placed[last].sigma_px < 4.0


def test_without_the_order_nothing_is_said_of_backlash():
    graph, _ = with_backlash(0.0, told=False)
    graph.solve()
    assert graph.backlash is None
