"""Overlaps that allow several shifts: the graph chooses, and says where it had little to go by."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.tile import Alternative, Shift
from tests.runtime.stitch.made_graphs import SHAPE_PX, MadeGraph, Maker, centre

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


def periodic(
    shift: Shift, pitch_px: float, random: np.random.Generator, lead_nats: float = 0.0
) -> Shift:
    """Return the match as a periodic specimen gives it: any of its places may come out best, and
    its flaws give the true one a lead.
    """
    ways = [(x * pitch_px, y * pitch_px) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    first = ways.pop(int(random.integers(9)))
    at = shift.dx_px + first[0], shift.dy_px + first[1]
    pairs = tuple(
        replace(p, b_px=(p.b_px[0] - first[0], p.b_px[1] - first[1])) for p in shift.pairs
    )
    given = lead_nats if first == (0, 0) else 0.0
    others = tuple(
        Alternative(
            dx_px=shift.dx_px + x,
            dy_px=shift.dy_px + y,
            ncc=0.8,
            lead_nats=given - (lead_nats if (x, y) == (0, 0) else 0.0),
        )
        for x, y in ways
    )
    return replace(shift, dx_px=at[0], dy_px=at[1], pairs=pairs, alternatives=others)


def anywhere(name: str) -> bool:
    return True


def only_the_middle_one(name: str) -> bool:
    return name == "r002_c002"


@cache
def scanned(
    pitch_px: float,
    *,
    stage_px: float,
    seed: int,
    only: Callable[[str], bool] = anywhere,
    lead_nats: float = 0.0,
    claimed_px: float | None = None,
):
    """Return how far each tile is off, its flag, all placements and the graph that found them."""
    maker = Maker(6, stage_px=stage_px, seed=seed)
    made, random = maker.made(), np.random.default_rng(seed)
    tiles = [
        replace(
            tile,
            shifts=tuple(
                periodic(s, pitch_px, random, lead_nats) if only(s.a) or only(s.b) else s
                for s in tile.shifts
            ),
        )
        for tile in made.tiles
    ]
    graph = MadeGraph(tiles, made.truth, set()).fill(
        PoseGraph(claimed_px or stage_px, shape_px=SHAPE_PX)
    )
    placed = graph.solve()
    off = np.array([centre(placed[name]) - pose for name, pose in made.truth.items()])[:, :2]
    off -= np.median(off, axis=0)
    return np.hypot(*off.T), [placed[n].flag for n in made.truth], placed, graph


@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_stage_decides_the_right_candidates_are_taken(seed):
    errors_px, flags, *_ = scanned(40.0, stage_px=3.0, seed=seed)
    assert errors_px.max() < 0.5
    assert flags.count("") > 30


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "pitch_px", [12.0, *(pytest.param(n, marks=pytest.mark.slow) for n in (16.0, 24.0)), 40.0]
)
def test_no_tile_is_further_off_than_the_stage_without_a_flag(pitch_px, seed):
    errors_px, flags, *_ = scanned(pitch_px, stage_px=5.0, seed=seed)
    for error_px, flag in zip(errors_px, flags, strict=True):
        assert error_px < pitch_px / 2 or flag == "suspect"


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_stage_that_errs_more_than_it_claims_decides_next_to_nothing_on_a_lattice(seed):
    errors_px, flags, *_ = scanned(24.0, stage_px=10.0, seed=seed, claimed_px=5.0)
    off = errors_px > 12.0
    assert off.sum() > 15
    assert sum(flag == "" for flag in flags) < 4
    assert sum(flag == "" for flag, far in zip(flags, off, strict=True) if far) < 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_flaws_that_tell_a_little_in_each_seam_decide_together(seed):
    errors_px, flags, *_ = scanned(12.0, stage_px=5.0, seed=seed, lead_nats=6.0)
    assert errors_px.max() < 0.5
    assert flags.count("") > 30


def test_a_tile_that_might_lie_a_period_further_says_so_in_its_sigma():
    *_, placed, _ = scanned(12.0, stage_px=5.0, seed=1, only=only_the_middle_one)
    assert 3.0 < placed["r002_c002"].sigma_px < 12.0
    assert placed["r004_c004"].sigma_px < 0.5


def test_of_two_contradicting_seams_of_a_corner_the_stage_decides_and_the_tile_is_suspect():
    made = Maker(4, seed=3).made()
    tiles = []
    for tile in made.tiles:
        shifts = tuple(
            replace(
                s,
                dx_px=s.dx_px + 9,
                pairs=tuple(replace(p, b_px=(p.b_px[0] - 9, p.b_px[1])) for p in s.pairs),
            )
            if (s.a, s.b) == ("r002_c000", "r003_c000")
            else s
            for s in tile.shifts
        )
        tiles.append(replace(tile, shifts=shifts))
    placed = MadeGraph(tiles, made.truth, set()).fill(PoseGraph(5.0, shape_px=SHAPE_PX)).solve()
    assert [name for name in made.truth if placed[name].flag] == ["r003_c000"]
    assert placed["r003_c000"].sigma_px > 1.0


def test_one_periodic_tile_among_others_is_held_by_the_stage_and_flagged():
    errors_px, flags, *_ = scanned(12.0, stage_px=5.0, seed=1, only=only_the_middle_one)
    assert flags.count("suspect") == 1
    assert np.sort(errors_px)[-2] < 0.5


def test_the_seam_tells_which_shift_was_taken():
    *_, placed, graph = scanned(40.0, stage_px=3.0, seed=0)
    seams = graph.seams(placed)
    assert max(seam.residual_px for seam in seams) < 1.0
    assert all(seam.evidence.covariance_px2[0][0] > 20.0**2 for seam in seams)


def test_a_single_match_that_carries_a_tile_far_from_the_stage_is_suspect():
    graph, made = PoseGraph(5.0, shape_px=SHAPE_PX), Maker(4).made()
    made.fill(graph)
    last = made.tiles[-1]
    sure = ((1e-4, 0.0), (0.0, 1e-4))
    for name, dy_px, flag in (("near", 432.0, ""), ("far", 462.0, "suspect")):
        shift = Shift(a=last.name, b=name, dx_px=0.0, dy_px=dy_px, covariance_px2=sure)
        at = last.prior_px[0], last.prior_px[1] + 432.0
        graph.extend(name, prior_px=at, blank=False, shifts=(shift,))
        assert graph.placement(name).flag == flag
