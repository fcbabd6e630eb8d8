"""Shutters, levels and the turret of the demo devices."""

import pytest

from runtime.config.micromanager_settings import LightChannel
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.errors import Rejected, Stalled
from runtime.instrument.micromanager.light import MicroManagerLight
from runtime.instrument.micromanager.turret import MicroManagerTurret

WHITE = LightChannel(shutter="White", level="White Level.Voltage")
BLUE = LightChannel(shutter="LED Shutter", choose={"LED.Label": "470nm"})
GREEN = LightChannel(shutter="LED Shutter", choose={"LED.Label": "550nm"})


def opened(core, **lights):
    return MicroManagerLight(core, lights=lights)


def test_a_lamp_the_configuration_left_on_is_dark_once_opened(core):
    assert core.mm.getShutterOpen("White")
    opened(core, white=WHITE)
    assert not core.mm.getShutterOpen("White")


def test_the_camera_does_not_open_a_shutter_by_itself(core):
    opened(core, white=WHITE)
    assert not core.mm.getAutoShutter()


@pytest.mark.parametrize(
    ("level_range", "brightness", "volts"),
    [(None, 1.0, 10.0), (None, 0.25, 2.5), ((1.0, 5.0), 0.5, 3.0), ((5.0, 1.0), 0.25, 4.0)],
)
def test_brightness_runs_over_the_level(core, level_range, brightness, volts):
    way = LightChannel(shutter="White", level="White Level.Voltage", level_range=level_range)
    opened(core, white=way).on(channel="white", brightness=brightness)
    assert float(core.mm.getProperty("White Level", "Voltage")) == volts


def test_the_faintest_brightness_is_one_grain_of_the_level(core):
    opened(core, white=WHITE).on(channel="white", brightness=1e-9)
    assert float(core.mm.getProperty("White Level", "Voltage")) == 1e-4


def test_whole_numbers_are_never_rounded_down_to_dark(core):
    way = LightChannel(shutter="White", level="LED.State", level_range=(0, 3))
    light = opened(core, white=way)
    light.on(channel="white", brightness=0.01)
    assert core.mm.getState("LED") == 1


def test_two_colours_behind_one_shutter(core):
    light = opened(core, blue=BLUE, green=GREEN)
    for channel, label in (("blue", "470nm"), ("green", "550nm")):
        light.on(channel=channel, brightness=1.0)
        assert core.mm.getShutterOpen("LED Shutter")
        assert core.mm.getStateLabel("LED") == label
    light.close()
    assert not core.mm.getShutterOpen("LED Shutter")


def test_a_channel_that_does_not_dim_refuses_half_brightness(core):
    light = opened(core, blue=BLUE)
    with pytest.raises(Rejected, match=r"blue does not dim; value 0\.5; limit 0 or 1"):
        light.on(channel="blue", brightness=0.5)


def test_a_failure_on_the_way_to_light_leaves_dark(core):
    wrong = LightChannel(shutter="White", choose={"LED.Label": "ultraviolet"})
    light = opened(core, white=WHITE, wrong=wrong)
    light.on(channel="white", brightness=1.0)
    with pytest.raises(HardwareFailed, match="ultraviolet"):
        light.on(channel="wrong", brightness=1.0)
    assert not core.mm.getShutterOpen("White")


def test_a_shutter_that_does_not_close_is_noticed(broken):
    core = broken(setShutterOpen=lambda label, is_open: None)
    with pytest.raises(Stalled, match="White did not close"):
        opened(core, white=WHITE)


@pytest.mark.parametrize(
    ("way", "named"),
    [
        (LightChannel(shutter="Lamp"), "'Lamp'"),
        (LightChannel(shutter="White", choose={"Wheel.Label": "red"}), "'Wheel'"),
        (LightChannel(shutter="White", level="Dimmer.Volts"), "'Dimmer'"),
        (LightChannel(shutter="White", level="LED.Number of positions"), "level_range"),
    ],
)
def test_a_channel_of_devices_that_are_not_there_is_refused(core, way, named):
    with pytest.raises(ConfigRefused, match=named):
        opened(core, white=way)


def test_the_turret_goes_by_our_names(core):
    ours = {"10x": "Nikon 10X S Fluor", "40x": "Nikon 40X Plan Fluor ELWD"}
    turret = MicroManagerTurret(core, turret="Objective", objectives=ours)
    assert turret.objectives == ("10x", "40x")
    turret.select(objective="40x")
    assert core.mm.getStateLabel("Objective") == ours["40x"]


def test_an_objective_that_is_no_label_is_refused(core):
    with pytest.raises(ConfigRefused, match=r"'100x'.*Nikon 10X"):
        MicroManagerTurret(core, turret="Objective", objectives={"100x": "100x"})


def test_a_turret_that_does_not_turn_is_noticed(broken):
    core = broken(setStateLabel=lambda label, state: None)
    turret = MicroManagerTurret(core, turret="Objective", objectives={})
    with pytest.raises(Stalled, match="did not reach its objective"):
        turret.select(objective=turret.objectives[-1])
