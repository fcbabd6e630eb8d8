"""What every light and every turret must do. Openers are in `conftest.LIGHTS` and `TURRETS`."""

import math

import pytest

from firmware_bridge import errors as bridge
from runtime.instrument import errors as ours

REJECTED = (bridge.Rejected, ours.Rejected)


def test_dark_when_opened_after_off_and_when_closed(lighted):
    light = lighted.board.light
    assert lighted.true_light() == set()
    light.on(channel=light.channels[0], brightness=1.0)
    assert lighted.true_light() == {light.channels[0]}
    light.off()
    assert lighted.true_light() == set()
    light.on(channel=light.channels[-1], brightness=0.5)
    lighted.board.close()
    assert lighted.true_light() == set()


def test_one_channel_at_a_time(lighted):
    light = lighted.board.light
    for channel in light.channels:
        light.on(channel=channel, brightness=0.5)
        assert lighted.true_light() == {channel}


def test_faintest_brightness_gives_light_and_zero_none(lighted):
    light = lighted.board.light
    light.on(channel=light.channels[0], brightness=1e-6)
    assert lighted.true_light() == {light.channels[0]}
    light.on(channel=light.channels[0], brightness=0.0)
    assert lighted.true_light() == set()


@pytest.mark.parametrize("brightness", [-0.01, 1.01, math.nan])
def test_brightness_out_of_range_is_refused(lighted, brightness):
    light = lighted.board.light
    with pytest.raises(REJECTED, match=r"limit 0 to 1"):
        light.on(channel=light.channels[0], brightness=brightness)
    assert lighted.true_light() == set()


def test_unknown_channel_is_refused_naming_the_known(lighted):
    light = lighted.board.light
    with pytest.raises(REJECTED, match="unknown light channel; value 'x-ray'") as caught:
        light.on(channel="x-ray", brightness=1.0)
    assert ", ".join(light.channels) in str(caught.value)
    assert lighted.true_light() == set()


def test_every_objective_can_be_swung_in(turreted):
    turret = turreted.board.turret
    for objective in (*turret.objectives, turret.objectives[0]):
        turret.select(objective=objective)


def test_objective_that_is_not_mounted_is_refused(turreted):
    turret = turreted.board.turret
    with pytest.raises(REJECTED, match="unknown objective; value '400x'"):
        turret.select(objective="400x")
