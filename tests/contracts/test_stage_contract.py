"""What every stage must do, whatever drives it. Openers are in `conftest.STAGES`."""

import math

import pytest

from firmware_bridge import errors as bridge
from runtime.instrument import errors as ours

LIMIT_HIT = (bridge.LimitHit, ours.LimitHit)
NOT_HOMED = (bridge.NotHomed, ours.NotHomed)

AXES = ("x", "y", "z")


def um(staged, axis, fraction):
    """Return a coordinate that lies on a motor step, at this fraction of the axis's travel."""
    low, high = getattr(staged.board.stage.limits, f"{axis}_um")
    step_um = staged.steps_um[AXES.index(axis)]
    return round((low + (high - low) * fraction) / step_um) * step_um


def test_it_says_what_it_is(staged):
    stage = staged.board.stage
    assert stage.stage_id
    assert isinstance(stage.failsafe, bool)
    for axis in AXES:
        low, high = getattr(stage.limits, f"{axis}_um")
        assert low <= 0 <= high
        assert low < high


def test_without_an_origin_nothing_moves(staged):
    before = staged.true_steps()
    with pytest.raises(NOT_HOMED, match="home"):
        staged.board.stage.position()
    with pytest.raises(NOT_HOMED, match="home"):
        staged.board.stage.move_to(x_um=1.0)
    assert staged.true_steps() == before


def test_home_is_zero(staged):
    stage = staged.board.stage
    stage.home()
    assert (stage.position().x_um, stage.position().y_um, stage.position().z_um) == (0, 0, 0)


def test_move_ends_where_it_says_and_where_it_is(staged):
    stage = staged.board.stage
    stage.home()
    origin = staged.true_steps()
    for fraction in (0.52, 0.47, 0.5):
        x_um, y_um, z_um = (um(staged, axis, fraction) for axis in AXES)
        reached = stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
        assert (reached.x_um, reached.y_um, reached.z_um) == pytest.approx((x_um, y_um, z_um))
        assert stage.position() == reached
        travelled = (b - a for a, b in zip(origin, staged.true_steps(), strict=True))
        assert tuple(travelled) == staged.steps()


@pytest.mark.parametrize("axis", AXES)
def test_axes_not_named_stay(staged, axis):
    stage = staged.board.stage
    stage.home()
    stage.move_to(**{f"{axis}_um": um(staged, axis, 0.51)})
    moved = {name for name, steps in zip(AXES, staged.steps(), strict=True) if steps}
    assert moved <= {axis}
    assert staged.steps()[AXES.index(axis)] == round(
        um(staged, axis, 0.51) / staged.steps_um[AXES.index(axis)]
    )


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("end", [0, 1])
def test_target_outside_the_travel_is_refused_before_anything_moves(staged, axis, end):
    stage = staged.board.stage
    stage.home()
    before = staged.true_steps()
    beyond_um = getattr(stage.limits, f"{axis}_um")[end] + (2 * end - 1) * 5.0
    inside = {f"{name}_um": um(staged, name, 0.51) for name in AXES}
    with pytest.raises(LIMIT_HIT, match=f"travel of {axis}") as caught:
        stage.move_to(**{**inside, f"{axis}_um": beyond_um})
    assert caught.value.axis == axis
    assert f"{beyond_um:g} µm" in str(caught.value)
    assert staged.true_steps() == before


@pytest.mark.parametrize("nonsense_um", [math.nan, math.inf])
def test_target_that_is_no_number_is_refused(staged, nonsense_um):
    staged.board.stage.home()
    before = staged.true_steps()
    with pytest.raises(LIMIT_HIT, match="no number"):
        staged.board.stage.move_to(y_um=nonsense_um)
    assert staged.true_steps() == before


def test_stop_at_rest_changes_nothing(staged):
    stage = staged.board.stage
    stage.home()
    there = stage.move_to(x_um=um(staged, "x", 0.51))
    stage.stop()
    assert stage.position() == there
    assert stage.move_to(x_um=0.0).x_um == 0.0
