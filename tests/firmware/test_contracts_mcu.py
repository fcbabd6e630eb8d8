"""The stage and light contracts, run by the native driver against the firmware under simavr."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.errors import LimitHit, NotHomed, Rejected

pytestmark = pytest.mark.firmware

Connect = Callable[[str], NativeBoard]


@pytest.fixture
def rig(simulate: Any, connect: Connect) -> tuple[Any, NativeBoard]:
    simulated = simulate("atmega328p")
    return simulated, connect(simulated.port)


def test_stage_contract(rig: tuple[Any, NativeBoard]) -> None:
    simulated, board = rig
    stage = board.stage
    assert stage.stage_id
    before = simulated.carriages()
    with pytest.raises(NotHomed, match="home"):
        stage.position()
    with pytest.raises(NotHomed, match="home"):
        stage.move_to(x_um=1.0)
    assert simulated.carriages() == before
    stage.home()
    assert stage.steps() == (0, 0, 0)
    assert simulated.carriages() == (0, 0, 0)
    step_um = [axis.step_nm / 1000 for axis in stage.axes]
    for target in ((120, 40, 20), (30, 90, 10)):
        x_um, y_um, z_um = (n * um for n, um in zip(target, step_um, strict=True))
        reached = stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
        assert (reached.x_um, reached.y_um, reached.z_um) == pytest.approx((x_um, y_um, z_um))
        assert stage.position() == reached
        assert simulated.carriages() == target
    stage.move_to(y_um=10 * step_um[1])
    assert simulated.carriages() == (30, 10, 10)
    for axis in ("x", "y", "z"):
        for end in (0, 1):
            beyond_um = getattr(stage.limits, f"{axis}_um")[end] + (2 * end - 1) * 5.0
            with pytest.raises(LimitHit, match=f"travel of {axis}") as caught:
                stage.move_to(**{f"{axis}_um": beyond_um})
            assert caught.value.axis == axis
    with pytest.raises(LimitHit, match="no number"):
        stage.move_to(y_um=math.nan)
    stage.stop()
    assert simulated.carriages() == (30, 10, 10)
    assert stage.move_to(x_um=0.0).x_um == 0.0


def test_light_contract(rig: tuple[Any, NativeBoard]) -> None:
    simulated, board = rig
    light = board.light
    assert not lit(simulated)
    for channel in light.channels:
        light.on(channel=channel, brightness=0.5)
        assert lit(simulated)
    light.on(channel=light.channels[0], brightness=1e-6)
    assert lit(simulated)
    light.on(channel=light.channels[0], brightness=0.0)
    assert not lit(simulated)
    for brightness in (-0.01, 1.01, math.nan):
        with pytest.raises(Rejected, match=r"limit 0 to 1"):
            light.on(channel=light.channels[0], brightness=brightness)
    with pytest.raises(Rejected, match="unknown light channel; value 'x-ray'"):
        light.on(channel="x-ray", brightness=1.0)
    assert not lit(simulated)
    light.on(channel=light.channels[-1], brightness=0.5)
    board.close()
    assert not lit(simulated)


def lit(simulated: Any) -> bool:
    """Return whether any LED of the simulated array has current."""
    simulated.heard_cycle()  # answered after everything before it has been reported
    changes = [event.values for event in simulated.events if event.what == "light"]
    return bool(changes) and int(changes[-1][0], 16) != 0
