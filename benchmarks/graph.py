"""The pose graph alone, on made-up scans: time per tile as it grows, whole solves, false matches.

Square serpentine scans with point pairs (eight a seam, 0.1 px), stage errors of 5 px, tiles that
turn by 0.3 degrees, two seams a tile, 2 % of them false by 6 to 28 px. Timed is the processor time
of `PoseGraph.extend` and `moved` for every tile; full solves, which come each time the scan has
grown by a fifth, stand in a column of their own. Peers solve the same relative poses at once:
gtsam by Levenberg-Marquardt with a Huber kernel, and python-graphslam, which has no kernel.

    python benchmarks/graph.py
    python benchmarks/graph.py --tiles 100 1024 10000 --peers
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.stitch.graph.pose_graph import PoseGraph  # noqa: E402
from runtime.tile import Placement  # noqa: E402
from tests.runtime.stitch.made_graphs import SHAPE_PX, MadeGraph, Maker  # noqa: E402

TURN_RAD, OUTLIERS = 0.005, 0.02
Floats = NDArray[np.float64]


def grown(made: MadeGraph) -> tuple[PoseGraph, Floats, float]:
    """Return the graph, each tile's time without full solves (n,) in ms, and theirs, ms a tile."""
    graph, full_s = PoseGraph(5.0, shape_px=SHAPE_PX), [0.0]
    inner = graph._settle_whole

    def apart(**how: bool) -> None:
        start_s = time.thread_time()
        inner(**how)
        full_s[0] += time.thread_time() - start_s

    graph._settle_whole = apart  # type: ignore[method-assign]
    times_s = []
    for tile in made.tiles:
        start_s, before_s = time.thread_time(), full_s[0]
        graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=tile.shifts)
        graph.moved()
        times_s.append(time.thread_time() - start_s - (full_s[0] - before_s))
    return graph, 1e3 * np.array(times_s), 1e3 * full_s[0] / len(times_s)


def believed(graph: PoseGraph, placed: dict[str, Placement]) -> set[tuple[str, str]]:
    """Return the seams that the last whole solve believed, and that hold no tile in doubt."""
    solved = graph._solved
    assert solved is not None
    pairs = zip(solved.seams.tolist(), solved.weights.tolist(), strict=True)
    held = {graph._seams.keys[row] for row, weight in pairs if weight >= 0.5}
    return {pair for pair in held if not any(placed[name].flag for name in pair)}


def rms_px(made: MadeGraph, poses: Floats) -> float:
    """Return how far poses (n, 3) are off, as the truth is sorted; the whole's pose is left out."""
    truth = np.array(list(made.truth.values()))
    off = poses[:, :2] - truth[:, :2]
    off = off - off.mean(axis=0)
    away = truth[:, :2] - truth[:, :2].mean(axis=0)
    aside = np.column_stack([-away[:, 1], away[:, 0]])
    off = off - (off * aside).sum() / (aside**2).sum() * aside
    return float(np.sqrt((off**2).sum(axis=1).mean()))


def by_gtsam(graph: PoseGraph) -> Floats:
    """Return the poses (n, 3) by gtsam's Levenberg-Marquardt with a Huber kernel."""
    import gtsam

    problem, start, rows = gtsam.NonlinearFactorGraph(), gtsam.Values(), graph._tiles
    stage = gtsam.noiseModel.Diagonal.Sigmas(np.array([5.0, 5.0, TURN_RAD]))
    for row in range(len(rows.names)):
        at = gtsam.Pose2(*rows.centre_px[row], 0.0)
        problem.add(gtsam.PriorFactorPose2(row, at, stage))
        start.insert(row, at)
    huber = gtsam.noiseModel.mEstimator.Huber.Create(1.345)
    for seam in range(len(graph._seams.keys)):
        a, b = graph._seams.ends[seam].tolist()
        noise = gtsam.noiseModel.Gaussian.Information(graph._seams.information[seam])
        measured = gtsam.Pose2(*graph._seams.pose[seam])
        robust = gtsam.noiseModel.Robust.Create(huber, noise)
        problem.add(gtsam.BetweenFactorPose2(a, b, measured, robust))
    solved = gtsam.LevenbergMarquardtOptimizer(problem, start).optimize()
    poses = (solved.atPose2(row) for row in range(len(rows.names)))
    return np.array([(pose.x(), pose.y(), pose.theta()) for pose in poses])


def by_graphslam(graph: PoseGraph) -> Floats:
    """Return the poses (n, 3) by python-graphslam: least squares, the first tile held."""
    from graphslam.edge.edge_odometry import EdgeOdometry
    from graphslam.graph import Graph
    from graphslam.pose.se2 import PoseSE2
    from graphslam.vertex import Vertex

    vertices = [
        Vertex(row, PoseSE2(graph._tiles.centre_px[row], 0.0), fixed=row == 0)
        for row in range(len(graph._tiles.names))
    ]
    edges = [
        EdgeOdometry(
            graph._seams.ends[seam].tolist(),
            graph._seams.information[seam],
            PoseSE2(graph._seams.pose[seam, :2], graph._seams.pose[seam, 2]),
        )
        for seam in range(len(graph._seams.keys))
    ]
    problem = Graph(edges, vertices)
    problem.optimize(verbose=False)
    return np.array([vertex.pose.to_array() for vertex in vertices])


PEERS: dict[str, Callable[[PoseGraph], Floats]] = {
    "gtsam, Huber": by_gtsam,
    "python-graphslam": by_graphslam,
}


def _timed(call: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    start_s = time.process_time()
    result = call(*args)
    return result, time.process_time() - start_s


def main() -> None:
    """Print a row for each size, and one for each peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[100, 1024, 10000])
    parser.add_argument("--peers", action="store_true")
    chosen = parser.parse_args()
    PoseGraph(5.0, shape_px=SHAPE_PX)
    grown(Maker(3).made())
    for tiles in chosen.tiles:
        made = Maker(round(tiles**0.5), turn_rad=TURN_RAD, outliers=OUTLIERS).made()
        graph, times_ms, full_ms = grown(made)
        placed, whole_s = _timed(graph.solve)
        errors = made.errors(placed)[:, :2]
        sigma_px = np.array([placed[name].sigma_px for name in made.truth])
        chi2 = float(((errors / sigma_px[:, None]) ** 2).mean())
        held, seams = believed(graph, placed), len(graph._seams.keys)
        print(
            f"{len(made.tiles):7} tiles: {np.median(times_ms):.2f} ms a tile "
            f"(p99 {np.percentile(times_ms, 99):.2f}), full solves {full_ms:.2f} ms a tile; "
            f"whole {whole_s:.2f} s, rms {np.sqrt((errors**2).sum(axis=1).mean()):.3f} px, "
            f"chi2 {chi2:.2f}; of {len(made.false)} false seams {len(held & made.false)} believed, "
            f"of {seams - len(made.false)} true ones {seams - len(held | made.false)} not"
        )
        for name, solve in PEERS.items() if chosen.peers else ():
            poses, taken_s = _timed(solve, graph)
            print(f"{name:>25}: {taken_s:.2f} s, rms {rms_px(made, poses):.3f} px")


if __name__ == "__main__":
    main()
