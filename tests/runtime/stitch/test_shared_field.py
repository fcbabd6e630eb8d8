"""The distortion that all tiles share, told from their overlaps alone."""

import numpy as np
import pytest

from runtime.distortion import Distortion, exponents
from runtime.stitch.graph.pose_graph import PoseGraph
from tests.runtime.stitch.made_graphs import SHAPE_PX, Maker


def field(**terms: tuple[float, float]) -> Distortion:
    """Return a field by its terms, as x1y2=(px, px)."""
    rows = [terms.get(f"x{i}y{j}", (0.0, 0.0)) for i, j in exponents(3)]
    return Distortion(SHAPE_PX, 3, np.array(rows))


BARREL = field(x3y0=(4.0, 0.0), x1y2=(4.0, 0.0), x2y1=(0.0, 4.0), x0y3=(0.0, 4.0))
KEYSTONE = field(x1y1=(4.0, -3.0), x2y1=(1.0, 0.0))


def solved(maker: Maker):
    made, graph = maker.made(), PoseGraph(maker.stage_px, shape_px=SHAPE_PX)
    return made.errors(made.fill(graph).solve()), graph


@pytest.mark.parametrize("bend", [BARREL, KEYSTONE])
@pytest.mark.parametrize("turn_rad", [0.0, 0.008])
def test_a_field_is_found_and_left_out_of_the_places(bend, turn_rad):
    errors, graph = solved(Maker(6, bend=bend, turn_rad=turn_rad))
    grid = np.stack(np.meshgrid(np.linspace(20, 490, 9), np.linspace(20, 460, 9)), -1)
    off = graph.distortion.straightened(grid.reshape(-1, 2)) - bend.straightened(
        grid.reshape(-1, 2)
    )
    assert np.hypot(*off.T).max() < 0.3
    assert np.percentile(np.hypot(*errors[:, :2].T), 95) < 0.7


def test_without_a_field_none_is_found():
    for seed in range(4):
        assert solved(Maker(4, seed=seed))[1].distortion is None


def test_a_row_of_tiles_does_not_take_a_turn_for_a_field():
    """Side by side only: a keystone looks like tiles that turn, each a little further."""
    maker = Maker(9, turn_rad=0.01)
    made, graph = maker.made(), PoseGraph(maker.stage_px, shape_px=SHAPE_PX)
    for tile in made.tiles[:9]:
        graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=tile.shifts)
    placed = graph.solve()
    if graph.distortion is not None:
        assert graph.distortion.largest_px < 1.0
    assert max(abs(place.theta_rad) for place in placed.values()) < 0.05


def test_the_field_is_that_of_the_set_whatever_the_order():
    made = Maker(5, bend=BARREL).made()
    found = []
    for order in (range(25), reversed(range(25))):
        graph = PoseGraph(5.0, shape_px=SHAPE_PX)
        for tile in (made.tiles[n] for n in order):
            graph.extend(tile.name, prior_px=tile.prior_px, blank=False, shifts=tile.shifts)
        found.append((graph.solve(), graph.distortion.coefficients_px.tolist()))
    assert found[0] == found[1]
