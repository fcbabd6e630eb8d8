"""What a plan or a map says of focus beforehand: believed, tested at the first look, kept."""

import json

import numpy as np
import pytest

from runtime.errors import ConfigRefused
from runtime.focus.history import read_map
from runtime.offline.focus_map import focus_map
from tests.night_fakes import BEST_Z_UM, Bench, Night
from tests.runtime.night.test_after_a_boot import SURFACE, focus_of

CORNERS_UM = [(x, y) for x in (-60, 60) for y in (-48, 48)]
TILT = 8e-3


def planned(z_um):
    points = [{"x_um": x, "y_um": y, "z_um": z_um, "sigma_um": 0.5} for x, y in CORNERS_UM]
    return SURFACE.replace("sweep_every: 100", f"sweep_every: 100, points: {json.dumps(points)}")


def looks(night):
    """Return how many frames were exposed for focus alone."""
    return len(night.bench.frames) - len(focus_of(night))


@pytest.fixture(scope="module")
def told_nothing(tmp_path_factory):
    night = Night(tmp_path_factory.mktemp("plain") / "night", Bench(), plan=SURFACE)
    night.go_on()
    return night


def test_a_plan_that_knows_where_focus_is_needs_fewer_frames(told_nothing, tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=planned(BEST_Z_UM))
    night.go_on()
    assert looks(night) < looks(told_nothing)
    assert [z_um for _, z_um in focus_of(night)] == pytest.approx([BEST_Z_UM] * 9, abs=0.6)


@pytest.mark.slow
def test_a_plan_that_is_wrong_costs_a_second_look_and_no_focus(tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=planned(BEST_Z_UM - 18))
    night.go_on()
    (first, *_), heights = zip(*focus_of(night), strict=True)
    assert first == "sweep"
    assert heights == pytest.approx([BEST_Z_UM] * 9, abs=0.8)


def test_a_map_of_another_night_brings_its_tilt_and_one_look_the_height(tmp_path):
    at = {"boot_id": "last week", "monotonic_s": 5.0, "wall_s": 0.0}
    points = [
        {"x_um": x, "y_um": y, "z_um": 30.0 + TILT * x, "sigma_um": 0.2, "at": at}
        for x, y in CORNERS_UM
    ]
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"points": points}))
    night = Night(tmp_path / "night", Bench(), plan=SURFACE, facts=read_map(file))
    night.go_on()
    told = focus_map(night.path, out=tmp_path / "out")
    across = [tile["z_um"] for tile in told["tiles"] if tile["row"] == 1]
    assert across == pytest.approx(BEST_Z_UM + TILT * np.array([60, 0, -60]), abs=0.3)
    assert len([look for look in told["looks"] if look["point"]["at"] != at]) == 1


def test_what_a_map_file_holds_is_refused_by_name(tmp_path):
    file = tmp_path / "map.json"
    with pytest.raises(ConfigRefused, match="No such file"):
        read_map(file)
    for text, what in [
        ("points", "not JSON"),
        ("[]", "holds no map"),
        ('{"points": []}', "points"),
        ('{"points": [{"x_um": 0, "y_um": 0, "z_um": 1, "sigma_um": 0}]}', "sigma_um"),
        ('{"points": [{"x_um": 0, "y_um": 0, "z_um": NaN, "sigma_um": 1}]}', "z_um"),
    ]:
        file.write_text(text)
        with pytest.raises(ConfigRefused, match=what):
            read_map(file)


def test_a_point_beyond_the_limits_is_refused_before_the_first_move(tmp_path):
    night = Night(tmp_path / "night", Bench(), plan=planned(99.0 + 2))
    with pytest.raises(ConfigRefused, match="point of the plan's focus leaves the stage limits"):
        night.go_on()


def test_a_fixed_focus_has_no_use_for_points(tmp_path):
    plan = planned(2.0).replace("policy: surface", "policy: fixed")
    with pytest.raises(ConfigRefused, match="'points' serve a focus that is predicted"):
        Night(tmp_path / "night", Bench(), plan=plan).go_on()
