"""The sweep on a microscope of a few lines: it finds focus, stays inside, and leaves it dark."""

import pytest

from runtime.errors import CameraFailed, Stopped
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sharpness import BRENNER, MEASURES
from runtime.focus.sight import Lamp
from tests.runtime.focus.bench import LIMITS, Bench, rig_of


def run(bench, *, start_z_um=0.0, range_um=60.0, should_stop=lambda: False, sharpness=BRENNER):
    return find_focus(
        rig_of(bench),
        request=FocusRequest(
            start_z_um=start_z_um,
            range_um=range_um,
            depth_of_field_um=7.6,
            limits_um=LIMITS.z_um,
        ),
        lamp=Lamp(channel="brightfield", brightness=0.5, exposure_ms=10),
        correct=lambda pixels: pixels,
        should_stop=should_stop,
        sharpness=sharpness,
    ).verdict


@pytest.mark.parametrize("best_z_um", [-20.0, 5.0, 24.0])
def test_finds_focus_and_stays_there(best_z_um):
    bench = Bench(best_z_um=best_z_um)
    verdict = run(bench)
    assert verdict.status == "ok"
    assert verdict.z_um == pytest.approx(best_z_um, abs=0.6)
    assert bench.z_um == pytest.approx(verdict.z_um)
    assert bench.carriage_um == pytest.approx(bench.z_um - 0.5), "must arrive from below"
    assert not bench.lit


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_finds_it(name):
    verdict = run(Bench(best_z_um=7.0), sharpness=MEASURES[name])
    assert verdict.status == "ok"
    assert verdict.z_um == pytest.approx(7.0, abs=0.8)


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - {"vollath-f4"}))
def test_every_measure_with_a_floor_knows_an_empty_field(name):
    assert run(Bench(contrast=0.0), sharpness=MEASURES[name]).status == "empty"


def test_a_host_kept_busy_does_not_end_the_sweep():
    """The sweep's time is the camera's: what the host does in between is not the specimen's."""
    assert run(Bench(host_s_per_frame=1000.0)).status == "ok"


def test_the_run_up_stays_inside_the_limits():
    bench = Bench(best_z_um=-42.0)
    verdict = run(bench, start_z_um=-30.0)
    assert verdict.status == "edge"
    assert min(bench.visited) >= LIMITS.z_um[0]
    assert max(bench.visited) <= LIMITS.z_um[1]


def test_an_empty_field_goes_back_to_where_it_began():
    bench = Bench(contrast=0.0)
    verdict = run(bench, start_z_um=3.0)
    assert verdict.status == "empty"
    assert bench.z_um == 3.0
    assert not bench.lit


def test_stops_between_frames_when_asked():
    bench = Bench()
    with pytest.raises(Stopped, match="focusing stopped"):
        run(bench, should_stop=lambda: bench.frames >= 4)
    assert bench.frames == 4
    assert not bench.lit


def test_a_failing_camera_leaves_it_dark():
    bench = Bench(fail_at=3)
    with pytest.raises(CameraFailed):
        run(bench)
    assert not bench.lit
