"""Many points of a seam told as few: what the graph makes of them, and what the journal keeps."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.stitch.graph.pose_graph import PoseGraph
from runtime.stitch.graph.seam import measure
from runtime.stitch.match.condensed import MOST, condensed
from runtime.stitch.match.refined import as_covariance
from runtime.stitch.match.turned import RigidMotion
from runtime.tile import PointPair, Shift

SIDE_PX = 512
SHAPE = (SIDE_PX, SIDE_PX)
PRIOR, LIES_PX = (460.0, 0.0), (459.0, 3.0)


def seam(degrees, seed, *, bend_px=0.0, count=1500):
    """Points of an upright seam, each as noisy as it says, unequal along and across."""
    rng = np.random.default_rng(seed)
    a_px = rng.uniform((SIDE_PX - 60, 8), (SIDE_PX - 8, SIDE_PX - 8), (count, 2))
    motion = RigidMotion(np.deg2rad(degrees), np.array(LIES_PX))
    sigmas = rng.uniform(0.05, 0.6, (count, 2))
    angles = rng.uniform(0, np.pi, count)
    turns = np.moveaxis(
        np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0
    )
    covariances = turns @ (np.eye(2) * sigmas[:, None] ** 2) @ turns.transpose(0, 2, 1)
    off = np.einsum("nij,nj->ni", turns, rng.normal(0, sigmas))
    off[:, 0] += bend_px * np.sin(np.pi * a_px[:, 1] / SIDE_PX)
    b_px = motion.into_b(a_px + off)
    points = tuple(
        PointPair(a_px=tuple(a), b_px=tuple(b), covariance_px2=as_covariance(covariance))
        for a, b, covariance in zip(a_px.tolist(), b_px.tolist(), covariances, strict=True)
    )
    dx, dy = (a_px - b_px).mean(axis=0).tolist()
    return Shift(a="a", b="b", dx_px=dx, dy_px=dy, method="loftr", ncc=0.5, pairs=points)


def told(shift):
    return replace(shift, pairs=condensed(shift.pairs))


@pytest.mark.parametrize("degrees", [0.0, 4.0])
@pytest.mark.parametrize("bend_px", [0.0, 3.0])
def test_few_points_place_tiles_as_many_do_and_as_surely(degrees, bend_px):
    for seed in range(3):
        whole = seam(degrees, seed, bend_px=bend_px)
        few = told(whole)
        assert 32 <= len(few.pairs) <= MOST
        of_all, of_few = (measure(one, shape_px=SHAPE) for one in (whole, few))
        off = of_few.pose - of_all.pose
        assert np.hypot(*off[:2]) + abs(off[2]) * SIDE_PX / 2 < 0.02
        sigmas = [np.sqrt(np.diag(np.linalg.inv(one.information))) for one in (of_all, of_few)]
        assert sigmas[1] == pytest.approx(sigmas[0], rel=0.03)


@pytest.mark.parametrize("degrees", [0.0, 2.0])
def test_the_graph_places_tiles_as_they_lie_and_finds_no_field_in_noise(degrees):
    """Of 1,500 points, none believed to more than what a field leaves, it found one in noise."""
    graph = PoseGraph(5.0, shape_px=SHAPE)
    graph.extend("a", prior_px=(0.0, 0.0), blank=False, shifts=())
    graph.extend("b", prior_px=PRIOR, blank=False, shifts=(told(seam(degrees, 7)),))
    a, b = (graph.solve()[name] for name in ("a", "b"))
    assert graph.distortion is None
    assert b.theta_rad - a.theta_rad == pytest.approx(np.deg2rad(degrees), abs=1e-4)
    way = RigidMotion(a.theta_rad, np.array([a.x_px, a.y_px])).into_b(np.array([[b.x_px, b.y_px]]))
    assert way[0] == pytest.approx(LIES_PX, abs=0.03)


def test_what_is_few_is_told_as_it_is():
    points = seam(1.0, 1, count=MOST).pairs
    assert condensed(points) == points


def test_a_wide_overlap_is_told_by_larger_squares():
    points = seam(1.0, 1, count=4000).pairs
    stretched = tuple(
        replace(p, a_px=(p.a_px[0] * 4, p.a_px[1] * 8), b_px=(p.b_px[0] * 4, p.b_px[1] * 8))
        for p in points
    )
    assert 24 <= len(condensed(stretched)) <= MOST
    assert condensed(tuple(replace(p, a_px=(5.0, 5.0)) for p in points[: MOST + 1]))


def test_points_of_one_square_are_one_as_sure_as_all():
    whole = seam(0.0, 3, count=MOST + 1).pairs
    near = tuple(
        replace(p, a_px=(10.0, 10.0 + n / 100), b_px=(9.0, 10.0 + n / 100 + off))
        for n, (p, off) in enumerate(
            zip(whole, np.random.default_rng(0).normal(0, 0.1, MOST + 1), strict=True)
        )
    )
    (point,) = condensed(near)
    inverse = np.linalg.inv([p.covariance_px2 for p in near])
    assert np.array(point.covariance_px2) == pytest.approx(np.linalg.inv(inverse.sum(axis=0)))
    offs = np.array([np.subtract(p.a_px, p.b_px) for p in near])
    mean = point.covariance_px2 @ np.einsum("nij,nj->i", inverse, offs)
    assert np.subtract(point.a_px, point.b_px) == pytest.approx(mean, abs=1e-3)
