"""The solve under false shifts, missing shifts and growth, on made-up graphs."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.stitch.graph import candidates, pose_graph
from runtime.stitch.graph.near_kernel import EVERYBODY
from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.graph.settle import Settled
from runtime.tile import Shift

STEP_PX = 100.0
SHAPE_PX = (110, 110)


def graph(side: int, *, outliers: float = 0.0, stage_px: float = 5.0, seed: int = 0, hear=None):
    """Return a filled graph of side x side tiles and the true places (by id).

    `hear` gets what moved after every tile; without it the graph is not asked on the way.
    """
    rng = np.random.default_rng(seed)
    made = PoseGraph(stage_px, shape_px=SHAPE_PX)
    truth = {}
    for row in range(side):
        for column in range(side) if row % 2 == 0 else reversed(range(side)):
            name = f"r{row:02d}_c{column:02d}"
            at = STEP_PX * np.array([column, row])
            truth[name] = at + rng.normal(0, stage_px, 2)
            shifts = []
            for other in (
                f"r{row - 1:02d}_c{column:02d}",
                f"r{row:02d}_c{column - 1:02d}",
                f"r{row:02d}_c{column + 1:02d}",
            ):
                if other in truth and other != name:
                    off = rng.normal(0, 0.1, 2)
                    if rng.random() < outliers:
                        off = rng.uniform(-20, 20, 2)
                    dx, dy = truth[name] - truth[other] + off
                    shifts.append(
                        Shift(
                            a=other,
                            b=name,
                            dx_px=dx,
                            dy_px=dy,
                            covariance_px2=((0.01, 0.0), (0.0, 0.01)),
                        )
                    )
            made.extend(name, prior_px=(at[0], at[1]), blank=False, shifts=shifts)
            if hear is not None:
                hear(made.moved())
    return made, truth


def errors_px(placed, truth):
    off = np.array([np.subtract((placed[n].x_px, placed[n].y_px), at) for n, at in truth.items()])
    off -= np.median(off, axis=0)
    return np.hypot(*off.T)


def test_both_axes_of_a_shifts_covariance_count_alike():
    """A step along x, surer one way, is a step along y, surer the other way."""
    sigmas = []
    for step, xx, yy in (((STEP_PX, 0.0), 1.8, 0.2), ((0.0, STEP_PX), 0.2, 1.8)):
        made = PoseGraph(20.0, shape_px=SHAPE_PX)
        made.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
        covariance = ((xx, 0.0), (0.0, yy))
        shift = Shift(a="a", b="b", dx_px=step[0], dy_px=step[1], covariance_px2=covariance)
        made.extend("b", prior_px=step, blank=False, shifts=[shift])
        sigmas.append(made.solve()["b"].sigma_px)
    assert sigmas[0] == pytest.approx(sigmas[1])


def test_true_shifts_average_out():
    made, truth = graph(9)
    assert errors_px(made.solve(), truth).max() < 0.4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("outliers", [0.02, 0.05])
def test_false_shifts_are_left_out(outliers, seed):
    """A tile most of whose shifts are false cannot be saved; at these rates it is one at most."""
    made, truth = graph(9, outliers=outliers, seed=seed)
    assert np.sum(errors_px(made.solve(), truth) > 0.6) <= 1


def test_the_running_solution_leaves_them_out_too():
    placed = {}
    _, truth = graph(9, outliers=0.05, hear=placed.update)
    assert np.sum(errors_px(placed, truth) > 1.0) <= 1


@pytest.mark.parametrize("seed", [0, 3])
def test_noise_larger_than_believed_is_no_reason_to_disbelieve_most(seed):
    """Every shift is off by 5 px, fifty times its sigma: more noise than the cut was made for."""
    random, side = np.random.default_rng(seed), 6
    made, truth = PoseGraph(20.0, shape_px=SHAPE_PX), {}
    for row, column in np.ndindex(side, side):
        name, at = f"r{row}_c{column}", STEP_PX * np.array([column, row])
        truth[name] = at + random.normal(0, 20.0, 2)
        shifts = []
        for other in (f"r{row - 1}_c{column}", f"r{row}_c{column - 1}"):
            if other in truth:
                way = random.uniform(0, 2 * np.pi)
                dx, dy = truth[name] - truth[other] + 5.0 * np.array([np.cos(way), np.sin(way)])
                sure = ((0.01, 0.0), (0.0, 0.01))
                shifts.append(Shift(a=other, b=name, dx_px=dx, dy_px=dy, covariance_px2=sure))
        made.extend(name, prior_px=tuple(at), blank=False, shifts=shifts)
    assert sum(bool(place.flag) for place in made.solve().values()) <= 4


def pair_of(*shifts, again=None):
    """Tiles a and b, 100 px apart by the stage, with shifts between them; b may be taken again."""
    made = PoseGraph(5.0, shape_px=SHAPE_PX)
    made.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
    made.extend("b", prior_px=(100.0, 0.0), blank=False, shifts=shifts)
    if again is not None:
        made.extend("b", prior_px=(100.0, 0.0), blank=False, shifts=again)
    return made


def test_of_two_shifts_between_the_same_tiles_the_later_one_counts_alone():
    early = Shift(a="b", b="a", dx_px=-99.0, dy_px=0.0)
    late = Shift(a="a", b="b", dx_px=103.0, dy_px=0.0)
    both, one = pair_of(early, late), pair_of(late)
    assert both.solve() == one.solve()
    assert list(both.shifts) == [("a", "b")]


def test_a_retake_forgets_the_seams_that_its_new_picture_does_not_show():
    made = pair_of(Shift(a="a", b="b", dx_px=103.0, dy_px=0.0), again=[])
    assert made.shifts == {}
    assert made.solve() == pair_of().solve()
    assert {place.flag for place in made.solve().values()} == {"stage-only"}


def test_the_sigma_of_a_new_tile_holds_that_of_the_tiles_it_was_solved_beside():
    made, running_px, around = PoseGraph(200.0, shape_px=SHAPE_PX), 0.0, ((1.0, 0.0), (0.0, 1.0))
    for n in range(60):
        name, before = f"t{n:03d}", f"t{n - 1:03d}"
        shift = Shift(a=before, b=name, dx_px=STEP_PX, dy_px=0.0, covariance_px2=around)
        made.extend(name, prior_px=(STEP_PX * n, 0.0), blank=False, shifts=[shift] if n else [])
        running_px = made.placement(name).sigma_px
    assert running_px > 0.8 * made.solve()["t059"].sigma_px > 2.5


def test_the_sigma_of_a_new_tile_is_no_smaller_for_a_false_match():
    sigmas_px = []
    for false in (False, True):
        made, _ = graph(5, hear=len)
        shifts = [Shift(a="r03_c04", b="new", dx_px=0.0, dy_px=0.5)]
        if false:
            shifts.append(Shift(a="r04_c03", b="new", dx_px=STEP_PX + 12.0, dy_px=-113.0))
        made.extend("new", prior_px=(400.0, 300.0), blank=False, shifts=shifts)
        sigmas_px.append(made.placement("new").sigma_px)
    assert sigmas_px[1] == pytest.approx(sigmas_px[0], rel=0.01)


def test_a_tile_whose_only_match_is_false_is_suspect():
    made, _ = graph(5)
    shift = Shift(a="r04_c04", b="far", dx_px=60.0, dy_px=0.0)
    wrong = Shift(a="r03_c04", b="far", dx_px=180.0, dy_px=140.0)
    made.extend("far", prior_px=(500.0, 400.0), blank=False, shifts=[shift, wrong])
    assert made.solve()["far"].flag == "suspect"


def test_tiles_without_matches_keep_the_fitted_stage():
    made = PoseGraph(5.0, shape_px=SHAPE_PX)
    made.extend("a", prior_px=(0.0, 0.0), blank=True, shifts=[])
    made.extend("b", prior_px=(100.0, 0.0), blank=False, shifts=[])
    none = Shift(a="a", b="b", dx_px=100.0, dy_px=0.0, method="none")
    made.extend("c", prior_px=(200.0, 0.0), blank=False, shifts=[none])
    placed = made.solve()
    assert {n: p.flag for n, p in placed.items()} == {
        "a": "blank",
        "b": "stage-only",
        "c": "stage-only",
    }
    assert [p.x_px for p in placed.values()] == pytest.approx([0.0, 100.0, 200.0])


def test_a_match_that_is_none_pulls_on_nothing():
    """It says 130 px where the stage says 100: neither place nor σ nor flag hears of it, whether
    the tiles around are solved for or the whole.
    """
    heard, deaf = PoseGraph(5.0, shape_px=SHAPE_PX), PoseGraph(5.0, shape_px=SHAPE_PX)
    for n in range(12):
        name, prior_px = f"t{n:02d}", (100.0 * n, 0.0)
        none = Shift(a=f"t{n - 1:02d}", b=name, dx_px=130.0, dy_px=40.0, method="none")
        heard.extend(name, prior_px=prior_px, blank=n % 2 == 0, shifts=[none] if n else [])
        deaf.extend(name, prior_px=prior_px, blank=n % 2 == 0, shifts=[])
        assert heard.placement(name) == deaf.placement(name)
    assert heard.solve() == deaf.solve()
    for n, place in enumerate(heard.solve().values()):
        assert (place.x_px, place.y_px) == pytest.approx((100.0 * n, 0.0), abs=1e-6)
        assert place.flag == ("blank" if n % 2 == 0 else "stage-only")
    assert len(heard.shifts) == 11, "kept for the record"


def test_an_empty_graph_has_no_places():
    assert PoseGraph(5.0, shape_px=SHAPE_PX).solve() == {}


def test_what_was_solved_is_solved_again_only_when_something_is_new(monkeypatch):
    graph, solved = PoseGraph(2.0, shape_px=(100, 100)), []
    whole = pose_graph.settle_all
    monkeypatch.setattr(
        pose_graph, "settle_all", lambda *a, **k: solved.append(a) or whole(*a, **k)
    )
    graph.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
    graph.solve().clear()
    assert set(graph.solve()) == {"a"}
    assert len(solved) == 1
    apart = Shift(a="a", b="b", dx_px=91.0, dy_px=0.0, covariance_px2=((0.01, 0), (0, 0.01)))
    graph.extend("b", prior_px=(90.0, 0.0), blank=False, shifts=[apart])
    placed = graph.solve()
    assert placed["b"].x_px - placed["a"].x_px == pytest.approx(91.0, abs=0.1)
    graph.improve(replace(apart, dx_px=89.0))
    placed = graph.solve()
    assert placed["b"].x_px - placed["a"].x_px == pytest.approx(89.0, abs=0.1)
    assert len(solved) == 3


def test_only_tiles_that_moved_are_handed_on():
    heard = []
    made, _ = graph(6, hear=heard.append)
    assert len({name for moved in heard for name in moved}) == 36
    assert made.moved() == {}
    # What the last tiles moved by, far off, comes with a full solve; then one more tile is new.
    made.extend("first", prior_px=(-100.0, 400.0), blank=True, shifts=[])
    made.moved()
    shift = Shift(a="r05_c00", b="new", dx_px=-99.0, dy_px=0.5)
    made.extend("new", prior_px=(-100.0, 500.0), blank=False, shifts=[shift])
    moved = made.moved()
    assert "new" in moved
    assert len(moved) < 12
    assert all(made.placement(name) == place for name, place in moved.items())


def state(made: PoseGraph, **changed):
    """Return what the graph holds of its one tile, with some of it changed, as surely known."""
    now = made._tiles.state[[0]].copy()
    for name, value in changed.items():
        now[0, ["x", "y", "theta", "sigma", "flag"].index(name)] = value
    nothing = np.zeros(0, np.int64)
    return Settled(np.array([0]), now, nothing, np.zeros(0), nothing, made._shared), EVERYBODY


def test_small_moves_are_kept_back_until_they_add_up():
    made = PoseGraph(5.0, shape_px=SHAPE_PX)
    made.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
    start, x_px = made.moved()["a"], made._tiles.state[0, 0]
    told = []
    for step in range(1, 7):
        made._take_over(*state(made, x=x_px + 0.004 * step))
        told += [place.x_px - start.x_px for place in made.moved().values()]
    assert told == pytest.approx([0.012, 0.024])


@pytest.mark.parametrize("changed", [{"flag": 3}, {"sigma": 0.1}, {"theta": 0.001}])
def test_a_flag_a_sigma_or_an_angle_that_changes_is_handed_on(changed):
    made = PoseGraph(5.0, shape_px=SHAPE_PX)
    made.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=[])
    made.moved()
    made._take_over(*state(made, **changed))
    assert made.moved() == {"a": made.placement("a")}


def test_what_is_solved_for_does_not_grow_with_the_scan(monkeypatch):
    """What a tile costs is the number of tiles solved for; full solves come ever more seldom."""
    near, whole = [], []
    inner_near, inner_whole = pose_graph.settle_near, pose_graph.settle_all

    def counted_near(*args, hops):
        settled = inner_near(*args, hops=hops)
        near.append(len(settled.rows))
        return settled

    def counted_whole(tiles, seams, shared, *, again):
        whole.append(len(tiles.names))
        return inner_whole(tiles, seams, shared, again=again)

    monkeypatch.setattr(pose_graph, "settle_near", counted_near)
    monkeypatch.setattr(pose_graph, "settle_all", counted_whole)
    graph(20, hear=len)
    assert max(near) <= 60
    assert len(near) < 2 * 400
    assert sum(whole) < 6 * 400, "each tile takes part in a few full solves"


def test_what_a_false_seam_costs_does_not_grow_with_their_number(monkeypatch):
    """Tiles beside one are asked whether they had better move, not all that hold together."""
    asked, inner = [], candidates._Edge.added

    def counted(edge, way, *, of_b):
        asked.append(1)
        return inner(edge, way, of_b=of_b)

    monkeypatch.setattr(candidates._Edge, "added", counted)
    counts = []
    for rows in ([2], [2, 5, 8, 11]):
        made, _ = graph(14)
        for row in rows:
            name, at_px = f"again{row}", (STEP_PX * row, STEP_PX * row)
            a, b = f"r{row:02d}_c{row:02d}", f"r{row:02d}_c{row + 1:02d}"
            true = Shift(a=a, b=name, dx_px=0.0, dy_px=0.0)
            wrong = Shift(a=b, b=name, dx_px=9.0 - STEP_PX, dy_px=7.0)
            made.extend(name, prior_px=at_px, blank=False, shifts=[true, wrong])
        asked.clear()
        made.solve()
        counts.append(len(asked) / len(rows))
    assert 0 < counts[1] <= counts[0]
