"""Look, jog and focus on the bench: numbers, limits by value, and the light off in between."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.appliance.service.by_hand.at_hand import AtHand
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused, InputRefused, Stopped
from runtime.focus.sharpness import BRENNER
from runtime.focus.sight import Lamp
from runtime.instrument.errors import LimitHit
from tests.night_fakes import SETTINGS, Bench

LAMP = {"channel": "brightfield", "brightness": 0.5, "exposure_ms": 10.0}
WIDTH = {"width_px": 100}


@pytest.fixture
def begin(tmp_path):
    """Open a bench and have it at hand; asked for twice it is another."""

    def begun(bench, objective="10x"):
        settings = parse_settings(SETTINGS, source=tmp_path / "settings.toml")
        with bench.open(settings) as rig:
            return AtHand.begin(rig, settings, objective=objective)

    return begun


def test_a_frame_comes_with_brenner_s_sharpness_and_the_light_goes_off(begin):
    bench = Bench(best_z_um=0.0)
    hand = begin(bench)
    assert bench.homed
    figures, picture = hand.look(**LAMP, **WIDTH)
    assert not bench.lit
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (80, 100)
    assert figures["sharpness"] == pytest.approx(BRENNER(bench.seen()), rel=0.05)
    assert figures["saturated"] == 0
    assert figures["level"] == pytest.approx(2000 / 4095, rel=0.1)
    hand.jog(dx_um=0, dy_um=0, dz_um=20)
    blurred, _ = hand.look(**LAMP, **WIDTH)
    assert blurred["sharpness"] < figures["sharpness"] / 2
    assert blurred["stage_um"] == [0, 0, 20]


def test_a_jog_arrives_from_below_like_every_move(begin):
    bench = Bench()
    hand = begin(bench)
    assert hand.jog(dx_um=-5, dy_um=0, dz_um=2) == {"stage_um": [-5, 0, 2]}
    assert bench.moves[-2:] == [(-17, 0, -4), (-5, 0, 2)]
    assert hand.jog(dx_um=0, dy_um=0, dz_um=0) == {"stage_um": [-5, 0, 2]}


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        ({"dz_um": 50.5}, InputRefused, "value 50.5 µm; limit 50 µm at once"),
        ({"dz_um": -51}, InputRefused, "value -51 µm; limit 50 µm at once"),
        ({"dx_um": 1000.5}, LimitHit, "travel of x; value 1000.5 µm; limit -988 to 1000 µm"),
        ({"dx_um": -989}, LimitHit, "travel of x; value -989 µm; limit -988 to 1000 µm"),
        ({"dy_um": 2e3, "dz_um": 1}, LimitHit, "travel of y; value 2000 µm"),
    ],
)
def test_a_step_beyond_a_limit_is_refused_by_value_and_moves_nothing(begin, step, error, said):
    bench = Bench()
    hand = begin(bench)
    moves = len(bench.moves)
    with pytest.raises(error, match=said):
        hand.jog(**{"dx_um": 0.0, "dy_um": 0.0, "dz_um": 0.0} | step)
    assert len(bench.moves) == moves


def test_z_goes_to_its_end_in_steps_and_no_further(begin):
    bench = Bench()
    hand = begin(bench)
    for _ in range(2):
        hand.jog(dx_um=0, dy_um=0, dz_um=50)
    with pytest.raises(LimitHit, match="travel of z; value 101 µm; limit -94 to 100 µm"):
        hand.jog(dx_um=0, dy_um=0, dz_um=1)
    assert max(z for _, _, z in bench.moves) == 100


@pytest.mark.parametrize(
    ("lamp", "said"),
    [
        ({"channel": "led"}, "unknown light; value led; limit brightfield"),
        ({"exposure_ms": 20_000.0}, "value 20000 ms; limit 0.001 to 10000 ms"),
    ],
)
def test_a_lamp_that_there_is_not_lights_nothing(begin, lamp, said):
    bench = Bench()
    hand = begin(bench)
    with pytest.raises(ConfigRefused, match=said):
        hand.look(**LAMP | lamp, **WIDTH)
    assert bench.lights == []


def test_focus_is_found_as_a_night_finds_it(begin):
    bench = Bench(best_z_um=7.0)
    hand = begin(bench)
    found = hand.focus(lamp=Lamp(**LAMP), range_um=60, should_stop=lambda: False)
    assert (found["status"], found["by"]) == ("ok", "sweep")
    assert found["stage_um"][2] == pytest.approx(7.0, abs=0.6)
    assert found["exposures"] == len(found["curve"]) == len(bench.frames)
    assert not bench.lit


def test_a_focus_that_nobody_waits_for_any_more_ends_between_two_looks(begin):
    bench = Bench(best_z_um=7.0)
    hand = begin(bench)
    with pytest.raises(Stopped):
        hand.focus(lamp=Lamp(**LAMP), range_um=60, should_stop=lambda: len(bench.frames) >= 3)
    assert (len(bench.frames), bench.lit) == (3, False)


def test_another_objective_is_swung_in_and_one_that_is_not_there_refused(begin):
    bench = Bench()
    assert begin(bench, objective="20x").about()["objective"] == "20x"
    assert bench.mounted == "20x"
    with pytest.raises(ConfigRefused, match="not mounted; value 40x; limit 10x, 20x"):
        begin(Bench(), objective="40x")


@pytest.mark.parametrize("x_um", [-995, 1001])
def test_a_field_that_leaves_no_room_for_the_run_up_is_refused_before_anything_moves(
    tmp_path, x_um
):
    place = f"automatic = true\ntextured_field_um = [{x_um}, 0]"
    text, bench = SETTINGS.replace("automatic = true", place), Bench()
    settings = parse_settings(text, source=tmp_path / "settings.toml")
    with bench.open(settings) as rig, pytest.raises(ConfigRefused, match=r"leaves .* axis x"):
        AtHand.begin(rig, settings, objective="10x")
    assert (bench.homed, bench.moves) == (False, [])


def test_a_board_that_stays_lit_is_not_opened_unless_it_is_accepted(tmp_path):
    bench, lit = Bench(), ("old-board",)
    accepted = f'{SETTINGS}[instrument]\naccept_without_failsafe = ["OLD-board"]\n'
    for text in (SETTINGS, accepted):
        settings = parse_settings(text, source=tmp_path / "settings.toml")
        rig = replace(bench.rig(), without_failsafe=lit)
        if text == SETTINGS:
            with pytest.raises(ConfigRefused, match="old-board does not go dark by itself"):
                AtHand.begin(rig, settings, objective="10x")
            assert not bench.homed
        else:
            assert AtHand.begin(rig, settings, objective="10x").about()["unwatched"] == [
                "old-board"
            ]
