"""Poses and their covariances against gtsam's, where it is installed."""

import numpy as np
import pytest

from runtime.stitch.graph.model import GraphModel, Seams, StagePrior
from runtime.stitch.graph.pose_graph import PoseGraph
from tests.runtime.stitch.made_graphs import SHAPE_PX, Maker

gtsam = pytest.importorskip("gtsam")

STAGE_PX, TURN_RAD = 5.0, 0.05


@pytest.fixture(scope="module")
def solved():
    """Return our poses (n, 3) and covariances (n, 2, 2), and gtsam's, of the same graph."""
    maker = Maker(5, turn_rad=TURN_RAD)
    graph = maker.made().fill(PoseGraph(STAGE_PX, shape_px=SHAPE_PX))
    count, seams = len(graph._tiles.names), len(graph._seams.keys)
    centres_px = graph._tiles.centre_px[:count]
    none = np.zeros(0, dtype=np.int64)
    ours = GraphModel.of(
        StagePrior(centres_px, STAGE_PX, TURN_RAD, np.zeros((count, 0)), np.zeros(0)),
        Seams(
            graph._seams.ends[:seams],
            graph._seams.pose[:seams],
            graph._seams.information[:seams],
            none,
            np.zeros((0, 1, 3)),
        ),
    )
    poses, weights = np.column_stack([centres_px, np.zeros(count)]), np.ones(seams)
    for _ in range(8):
        poses = ours.step(poses, ours.seams.poses, weights).poses
    covariances = ours.covariances(poses, ours.seams.poses, weights, np.ones(count, bool)).own
    return (poses, covariances), theirs(ours)


def theirs(ours: GraphModel):
    problem, start = gtsam.NonlinearFactorGraph(), gtsam.Values()
    stage = gtsam.noiseModel.Diagonal.Sigmas(np.array([STAGE_PX, STAGE_PX, TURN_RAD]))
    for tile, at in enumerate(ours.stage.centres_px):
        problem.add(gtsam.PriorFactorPose2(tile, gtsam.Pose2(*at, 0.0), stage))
        start.insert(tile, gtsam.Pose2(*at, 0.0))
    for (a, b), pose, information in zip(
        ours.seams.ends.tolist(), ours.seams.poses, ours.seams.information, strict=True
    ):
        noise = gtsam.noiseModel.Gaussian.Information(information)
        problem.add(gtsam.BetweenFactorPose2(a, b, gtsam.Pose2(*pose), noise))
    parameters = gtsam.LevenbergMarquardtParams()
    parameters.setRelativeErrorTol(1e-14)
    found = gtsam.LevenbergMarquardtOptimizer(problem, start, parameters).optimize()
    marginals = gtsam.Marginals(problem, found)
    poses, covariances = [], []
    for tile in range(len(ours.stage.centres_px)):
        pose = found.atPose2(tile)
        turn = pose.rotation().matrix()
        poses.append((pose.x(), pose.y(), pose.theta()))
        # gtsam's are in the tile's own frame.
        covariances.append(turn @ marginals.marginalCovariance(tile)[:2, :2] @ turn.T)
    return np.array(poses), np.array(covariances)


def test_poses_are_those_of_gtsam(solved):
    (poses, _), (others, _) = solved
    assert np.abs(poses[:, :2] - others[:, :2]).max() < 1e-2
    assert np.abs(poses[:, 2] - others[:, 2]).max() < 1e-4


def test_covariances_are_those_of_gtsam(solved):
    (_, covariances), (_, others) = solved
    assert covariances == pytest.approx(others, rel=0.02, abs=1e-3)
