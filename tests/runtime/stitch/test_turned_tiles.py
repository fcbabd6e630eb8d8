"""Tiles that turn: poses, their uncertainty, false matches, any order, retakes."""

import numpy as np
import pytest

from runtime.stitch.graph.pose_graph import PoseGraph
from tests.runtime.stitch.made_graphs import SHAPE_PX, STEP_PX, Maker, turn


def graph_of(maker: Maker) -> PoseGraph:
    return PoseGraph(maker.stage_px, shape_px=SHAPE_PX)


@pytest.mark.parametrize("turn_rad", [0.005, 0.05])
def test_turned_tiles_are_turned_back(turn_rad):
    maker = Maker(7, turn_rad=turn_rad)
    made = maker.made()
    errors = made.errors(made.fill(graph_of(maker)).solve())
    assert np.abs(errors[:, 2]).max() < 2e-3
    assert np.percentile(np.hypot(*errors[:, :2].T), 95) < 0.6


def test_tiles_that_do_not_turn_are_not_turned():
    maker = Maker(7)
    made = maker.made()
    placed = made.fill(graph_of(maker)).solve()
    assert max(abs(place.theta_rad) for place in placed.values()) < 1e-4
    assert np.percentile(np.hypot(*made.errors(placed)[:, :2].T), 95) < 0.15


@pytest.mark.parametrize("turn_rad", [0.01, pytest.param(0.05, marks=pytest.mark.slow)])
def test_a_map_of_tiles_that_turn_lies_as_the_stage_has_it(turn_rad):
    """How they turn on average says little of that, and the stage knows it to its own error."""
    whole_rad = []
    for seed in range(4):
        maker = Maker(7, turn_rad=turn_rad, seed=seed)
        made = maker.made()
        placed = made.fill(graph_of(maker)).solve()
        turned = [placed[name].theta_rad - pose[2] for name, pose in made.truth.items()]
        whole_rad.append(np.median(turned))
    by_stage = maker.stage_px / (np.sqrt(2 * 49) * 2 * STEP_PX.mean())
    assert np.sqrt(np.mean(np.square(whole_rad))) < 2 * by_stage


def test_a_camera_turned_against_the_stage_leaves_its_tiles_straight():
    """All tiles are turned alike then, and the map lies as they do."""
    maker = Maker(7)
    made = maker.made()
    turned = turn(0.01)
    graph = graph_of(maker)
    for tile in made.tiles:
        x, y = turned @ tile.prior_px
        graph.extend(tile.name, prior_px=(x, y), blank=False, shifts=tile.shifts)
    placed = graph.solve()
    assert max(abs(place.theta_rad) for place in placed.values()) < 1e-4


@pytest.mark.parametrize("turn_rad", [pytest.param(0.0, marks=pytest.mark.slow), 0.01])
def test_sigma_covers_the_error_of_a_centre(turn_rad):
    squares = []
    for seed in range(5):
        maker = Maker(8, turn_rad=turn_rad, seed=seed)
        made = maker.made()
        placed = made.fill(graph_of(maker)).solve()
        sigma = np.array([placed[name].sigma_px for name in made.truth])
        squares.append((made.errors(placed)[:, :2] / sigma[:, None]) ** 2)
    assert 0.8 < np.mean(squares) < 1.25


@pytest.mark.parametrize("seed", range(3))
def test_false_matches_are_not_believed_and_true_ones_are(seed):
    maker = Maker(12, turn_rad=0.005, outliers=0.02, seed=seed)
    made = maker.made()
    graph = made.fill(graph_of(maker))
    graph.solve()
    believed = {
        graph._seams.keys[row]
        for row, weight in zip(graph._solved.seams, graph._solved.weights, strict=True)
        if weight >= 0.5
    }
    assert made.false
    assert not believed & made.false
    assert len(believed) == len(graph._seams.keys) - len(made.false)


@pytest.mark.slow
def test_the_running_estimate_is_close_to_the_whole():
    maker = Maker(15, turn_rad=0.005, outliers=0.02)
    made, placed = maker.made(), {}
    made.fill(graph_of(maker), hear=placed.update)
    assert np.percentile(np.hypot(*made.errors(placed)[:, :2].T), 95) < 0.8


def test_any_order_gives_the_same_map_whether_or_not_it_was_asked_for_on_the_way():
    made = Maker(5, turn_rad=0.01, outliers=0.05).made()
    solved = [made.fill(PoseGraph(5.0, shape_px=SHAPE_PX)).solve()]
    for seed in range(3):
        graph = PoseGraph(5.0, shape_px=SHAPE_PX)
        for n in np.random.default_rng(seed).permutation(25):
            tile = made.tiles[n]
            graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=tile.shifts)
            graph.moved()
        solved.append(graph.solve())
    assert solved[0] == solved[1] == solved[2] == solved[3]


def test_a_tile_taken_again_replaces_the_first():
    """Its first take lay elsewhere and matched there; nothing of that is left."""
    made, again = Maker(4).made(), Maker(4).made()
    graph = again.fill(PoseGraph(5.0, shape_px=SHAPE_PX))
    shifts = [s for t in made.tiles for s in t.shifts if "r001_c001" in (s.a, s.b)]
    wrong = PoseGraph(5.0, shape_px=SHAPE_PX)
    for tile in made.tiles:
        moved = [
            type(s)(a=s.a, b=s.b, dx_px=s.dx_px + 30, dy_px=s.dy_px)
            if "r001_c001" in (s.a, s.b)
            else s
            for s in tile.shifts
        ]
        wrong.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=moved)
        wrong.moved()
    prior = next(tile.prior_px for tile in made.tiles if tile.name == "r001_c001")
    wrong.extend("r001_c001", prior_px=prior, blank=False, shifts=shifts)
    assert "r001_c001" in wrong.moved()
    assert wrong.solve() == graph.solve()
