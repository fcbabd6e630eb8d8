"""The focus surface: known shapes recovered, liars left out, few sweeps over a whole slide."""

import numpy as np
import pytest

from runtime.focus.surface import FocusPoint, FocusSurface
from runtime.instant import Instant
from tests.honest import assert_honest

DEPTH_UM = 7.6


def slide(x_um, y_um, time_s=0.0):
    return 4.0 + 9e-3 * x_um - 6e-3 * y_um + 14e-6 * (x_um**2 + y_um**2)


def at(monotonic_s, boot_id="tonight"):
    return Instant(boot_id=boot_id, monotonic_s=monotonic_s, wall_s=0.0)


def surface_of(points, *, shape=slide, noise_um=0.1, time_s=lambda n: 0.0):
    rng = np.random.default_rng(7)
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    for n, (x, y) in enumerate(points):
        z = shape(x, y, time_s(n)) + noise_um * rng.normal()
        surface.add(FocusPoint(x_um=x, y_um=y, z_um=z, sigma_um=0.1, at=at(time_s(n))))
    return surface


def grid(side):
    return [(x, y) for y in np.linspace(-600, 600, side) for x in np.linspace(-600, 600, side)]


def test_nothing_is_predicted_from_nothing():
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    assert surface.predict(x_um=0, y_um=0, at=at(0)) is None
    assert surface.needs_sweep(x_um=0, y_um=0, at=at(0)) == "no focus found yet"


def test_sigma_grows_with_distance_and_asks_for_a_sweep():
    surface = surface_of([(0, 0)])
    near = surface.predict(x_um=20, y_um=0, at=at(0))
    far = surface.predict(x_um=400, y_um=0, at=at(0))
    assert near[1] < far[1]
    assert surface.needs_sweep(x_um=20, y_um=0, at=at(0)) == ""
    assert "above 1.9 µm" in surface.needs_sweep(x_um=400, y_um=0, at=at(0))


def test_a_tilted_bowl_is_recovered():
    surface = surface_of(grid(4))
    for x, y in [(-500, 300), (100, -250), (600, 600)]:
        z_um, sigma_um = surface.predict(x_um=x, y_um=y, at=at(0))
        assert z_um == pytest.approx(slide(x, y), abs=0.4)
        assert sigma_um < 0.6


def test_liars_are_left_out():
    lie = {5: 18.0, 10: -25.0}
    points = grid(4)
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    for n, (x, y) in enumerate(points):
        z_um = slide(x, y) + lie.get(n, 0.0)
        surface.add(FocusPoint(x_um=x, y_um=y, z_um=z_um, sigma_um=0.1, at=at(float(n))))
    assert {(p.x_um, p.y_um) for p in surface.outliers} == {points[5], points[10]}
    z_um, _ = surface.predict(x_um=0, y_um=0, at=at(16))
    assert z_um == pytest.approx(slide(0, 0), abs=0.3)


def test_drift_is_followed_when_it_shows():
    rng = np.random.default_rng(2)
    points = [tuple(rng.uniform(-600, 600, 2)) for _ in range(24)]
    hour_s = 3600.0

    def sinking(x, y, time_s):
        return slide(x, y) - 6.0 * time_s / hour_s

    surface = surface_of(points, shape=sinking, time_s=lambda n: n * 300.0)
    z_um, _ = surface.predict(x_um=0, y_um=0, at=at(24 * 300.0))
    assert z_um == pytest.approx(sinking(0, 0, 24 * 300.0), abs=0.6)


def drifting_night(*, hour_s=3600.0):
    """An evening's sweeps on a slide that sinks by 6 µm an hour, long after the machine started."""

    def sinking(x, y, time_s):
        return slide(x, y) - 6.0 * time_s / hour_s

    rng = np.random.default_rng(2)
    points = [tuple(rng.uniform(-600, 600, 2)) for _ in range(24)]
    return surface_of(points, shape=sinking, time_s=lambda n: 40_000.0 + n * 300.0)


def test_drift_is_not_counted_across_boots():
    """Seconds since boot begin at zero again: eleven hours of drift backwards would be 66 µm."""
    surface, morning = drifting_night(), at(60.0, boot_id="morning")
    evening_um = surface.predict(x_um=0, y_um=0, at=at(40_000.0))[0]
    z_um, sigma_um = surface.predict(x_um=0, y_um=0, at=morning)
    assert z_um == pytest.approx(evening_um, abs=3.0)
    assert sigma_um > 40
    assert "since the controller started again" in surface.needs_sweep(x_um=0, y_um=0, at=morning)


def test_one_sweep_after_a_boot_brings_the_whole_slide_back():
    surface, after_um = drifting_night(), 17.0
    before = {x: surface.predict(x_um=x, y_um=0, at=at(40_000.0))[0] for x in (-500, 0, 500)}
    found = FocusPoint(
        x_um=0, y_um=0, z_um=before[0] + after_um, sigma_um=0.1, at=at(60.0, boot_id="morning")
    )
    surface.add(found)
    assert not surface.outliers
    for x, z_um in before.items():
        now = at(90.0, boot_id="morning")
        assert surface.predict(x_um=x, y_um=0, at=now)[0] == pytest.approx(z_um + after_um, abs=0.5)
    # A boot later nobody has swept in yet, the newest one is the best guess.
    later = surface.predict(x_um=0, y_um=0, at=at(5.0, boot_id="noon"))
    assert later[0] == pytest.approx(before[0] + after_um, abs=0.5)
    assert later[1] > 40


def test_it_depends_on_the_points_alone():
    first, again = surface_of(grid(3)), FocusSurface(depth_of_field_um=DEPTH_UM)
    for point in first.points:
        again.add(point)
    where = {"x_um": 123.4, "y_um": -77.0, "at": at(5.0)}
    assert again.predict(**where) == first.predict(**where)


@pytest.mark.parametrize("seed", range(8))
def test_a_serpentine_needs_few_sweeps(seed):
    rng = np.random.default_rng(seed)
    tilt_x, tilt_y, bowl = rng.uniform(-12e-3, 12e-3, 3) * (1, 1, 1.5e-3)
    surface, sweeps, errors = FocusSurface(depth_of_field_um=DEPTH_UM), 0, []
    for n in range(49):
        row, along = divmod(n, 7)
        column = along if row % 2 == 0 else 6 - along
        where = {"x_um": (column - 3) * 200.0, "y_um": (row - 3) * 200.0, "at": at(float(n))}
        x, y = where["x_um"], where["y_um"]
        truth = tilt_x * x + tilt_y * y + bowl * (x * x + y * y)
        if surface.needs_sweep(**where):
            sweeps += 1
            z_um = truth + rng.normal(0, 0.15)
            surface.add(FocusPoint(**where, z_um=z_um, sigma_um=0.15))
        else:
            errors.append(abs(surface.predict(**where)[0] - truth))
    assert sweeps <= 14
    assert np.percentile(errors, 95) <= DEPTH_UM / 4


@pytest.mark.parametrize(("sweeps", "slides"), [(8, 60), (16, 30)])
def test_sigma_is_how_far_off_the_next_tile_is(sweeps, slides):
    """Rough slides of every tilt and bowl; the σ of each sweep is known and small."""
    errors, sigmas = [], []
    for seed in range(slides):
        rng = np.random.default_rng(seed)
        terms = rng.normal(0, (10e-3, 10e-3, 10e-6, 10e-6, 10e-6))
        rough_um, sweep_um = rng.normal(0, 0.6, sweeps + 4), rng.normal(0, 0.15, sweeps)
        at_um = rng.uniform(-600, 600, (sweeps + 4, 2))
        x, y = at_um.T
        z_um = np.stack([x, y, x * x, x * y, y * y], axis=1) @ terms + rough_um
        surface = FocusSurface(depth_of_field_um=DEPTH_UM)
        for n in range(sweeps):
            swept_um = z_um[n] + sweep_um[n]
            surface.add(
                FocusPoint(x_um=x[n], y_um=y[n], z_um=swept_um, sigma_um=0.15, at=at(float(n)))
            )
        for n in range(sweeps, sweeps + 4):
            predicted = surface.predict(x_um=x[n], y_um=y[n], at=at(float(sweeps)))
            errors.append(predicted[0] - z_um[n])
            sigmas.append(predicted[1])
    assert_honest(errors, sigmas, one_sigma=(0.6, 0.88), two_sigma=(0.88, 0.995))
