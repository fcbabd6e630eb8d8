"""Plans: what they mean in tiles, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.plan import refuse_outside, tile_positions
from runtime.config.plan_file import load_plan, parse_plan
from runtime.errors import ConfigRefused
from runtime.tile import StageLimits

AREA = {"region": {"x_um": [-500, 500], "y_um": [-400, 400]}}
BASE = {"name": "p", "objective": "10x"} | AREA
FIELD_PX = {"width_px": 512, "height_px": 448}


def _rotated(degrees: float, handedness: int) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return 0.5 * turn @ np.diag([1, handedness])


@given(
    degrees=st.floats(-180, 180),
    handedness=st.sampled_from([-1, 1]),
    overlap=st.floats(0.02, 0.5),
)
def test_every_point_of_the_region_lies_in_a_tile(degrees, handedness, overlap):
    plan = parse_plan(BASE | {"overlap": overlap}, source="test")
    matrix = _rotated(degrees, handedness)
    tiles = tile_positions(plan, **FIELD_PX, stage_from_px=matrix)
    centres_px = np.array([(t.x_um, t.y_um) for t in tiles]) @ np.linalg.inv(matrix).T
    rng = np.random.default_rng(0)
    points = rng.uniform((-500, -400), (500, 400), (200, 2)) @ np.linalg.inv(matrix).T
    away = np.abs(points[:, None] - centres_px[None])
    inside = (away <= np.array([512 / 2, 448 / 2]) + 0.1).all(axis=2)
    assert inside.any(axis=1).all()


def test_serpentine_neighbours_overlap_by_the_planned_fraction():
    plan = parse_plan(BASE | {"overlap": 0.2}, source="test")
    matrix = _rotated(2.0, -1)
    tiles = tile_positions(plan, **FIELD_PX, stage_from_px=matrix)
    px = np.array([(t.x_um, t.y_um) for t in tiles]) @ np.linalg.inv(matrix).T
    steps = np.diff(px, axis=0)
    for step, before, after in zip(steps, tiles, tiles[1:], strict=False):
        expected = (512 * 0.8, 0) if before.row == after.row else (0, 448 * 0.8)
        assert np.abs(step) == pytest.approx(expected, abs=0.05)
    assert [t.index for t in tiles] == list(range(len(tiles)))
    assert len({t.tile_id for t in tiles}) == len(tiles)


def test_a_grid_is_laid_around_its_centre():
    grid = {"grid": {"rows": 2, "columns": 3, "centre_um": [100, -50]}}
    plan = parse_plan({"name": "p", "objective": "10x"} | grid, source="test")
    tiles = tile_positions(plan, **FIELD_PX, stage_from_px=np.eye(2) * 0.5)
    assert len(tiles) == 6
    assert np.mean([(t.x_um, t.y_um) for t in tiles], axis=0) == pytest.approx((100, -50))


REFUSED = {
    "unknown key": (BASE | {"overlapp": 0.1}, "unknown key 'overlapp'; did you mean 'overlap'?"),
    "nested unknown key": (BASE | {"focus": {"polcy": "fixed"}}, "'focus.polcy'.*'policy'"),
    "out of range": (BASE | {"overlap": 0.9}, "'overlap' is 0.9"),
    "no area": ({"name": "p", "objective": "10x"}, "either 'region' or 'grid'"),
    "missing": ({"name": "p"} | AREA, "'objective' is missing"),
    "visits without model": (
        BASE | {"visits": {"labels": ["a"], "objective": "20x"}},
        "'visits' needs a 'model'",
    ),
    "reversed span": (
        BASE | {"region": {"x_um": [5, -5], "y_um": [0, 1]}},
        "lowest < highest",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_with_a_mend(case):
    values, message = REFUSED[case]
    with pytest.raises(ConfigRefused, match=message):
        parse_plan(values, source="plan.yaml")


def test_refuses_files_that_are_no_plan(tmp_path):
    with pytest.raises(ConfigRefused, match="No such file"):
        load_plan(tmp_path / "absent.yaml")
    for text in ("{[", "- just\n- a list"):
        (tmp_path / "plan.yaml").write_text(text)
        with pytest.raises(ConfigRefused):
            load_plan(tmp_path / "plan.yaml")


def test_refuses_a_tile_outside_the_travel_counting_the_approach():
    plan = parse_plan(BASE, source="test")
    tiles = tile_positions(plan, **FIELD_PX, stage_from_px=np.eye(2) * 0.5)
    lowest = min(t.x_um for t in tiles)
    limits = StageLimits(x_um=(lowest - 5, 1000), y_um=(-1000, 1000), z_um=(-100, 100))
    refuse_outside(tiles, limits, margin_um=5)
    with pytest.raises(ConfigRefused, match=r"axis x; value .* limit .*approach included"):
        refuse_outside(tiles, limits, margin_um=6)
