"""The focus surface: known shapes recovered, liars left out, few sweeps over a whole slide."""

import numpy as np
import pytest

from runtime.focus.surface import FocusSurface
from tests.honest import assert_honest

DEPTH_UM = 7.6


def slide(x_um, y_um, time_s=0.0):
    return 4.0 + 9e-3 * x_um - 6e-3 * y_um + 14e-6 * (x_um**2 + y_um**2)


def surface_of(points, *, shape=slide, noise_um=0.1, time_s=lambda n: 0.0):
    rng = np.random.default_rng(7)
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    for n, (x, y) in enumerate(points):
        z = shape(x, y, time_s(n)) + noise_um * rng.normal()
        surface.add(x_um=x, y_um=y, z_um=z, sigma_um=0.1, time_s=time_s(n))
    return surface


def grid(side):
    return [(x, y) for y in np.linspace(-600, 600, side) for x in np.linspace(-600, 600, side)]


def test_nothing_is_predicted_from_nothing():
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    assert surface.predict(x_um=0, y_um=0, time_s=0) is None
    assert surface.needs_sweep(x_um=0, y_um=0, time_s=0) == "no focus found yet"


def test_sigma_grows_with_distance_and_asks_for_a_sweep():
    surface = surface_of([(0, 0)])
    near = surface.predict(x_um=20, y_um=0, time_s=0)
    far = surface.predict(x_um=400, y_um=0, time_s=0)
    assert near[1] < far[1]
    assert surface.needs_sweep(x_um=20, y_um=0, time_s=0) == ""
    assert "above 1.9 µm" in surface.needs_sweep(x_um=400, y_um=0, time_s=0)


def test_a_tilted_bowl_is_recovered():
    surface = surface_of(grid(4))
    for x, y in [(-500, 300), (100, -250), (600, 600)]:
        z_um, sigma_um = surface.predict(x_um=x, y_um=y, time_s=0)
        assert z_um == pytest.approx(slide(x, y), abs=0.4)
        assert sigma_um < 0.6


def test_liars_are_left_out():
    lie = {5: 18.0, 10: -25.0}
    points = grid(4)
    surface = FocusSurface(depth_of_field_um=DEPTH_UM)
    for n, (x, y) in enumerate(points):
        surface.add(
            x_um=x, y_um=y, z_um=slide(x, y) + lie.get(n, 0.0), sigma_um=0.1, time_s=float(n)
        )
    assert {(p.x_um, p.y_um) for p in surface.outliers} == {points[5], points[10]}
    z_um, _ = surface.predict(x_um=0, y_um=0, time_s=16)
    assert z_um == pytest.approx(slide(0, 0), abs=0.3)


def test_drift_is_followed_when_it_shows():
    rng = np.random.default_rng(2)
    points = [tuple(rng.uniform(-600, 600, 2)) for _ in range(24)]
    hour_s = 3600.0

    def sinking(x, y, time_s):
        return slide(x, y) - 6.0 * time_s / hour_s

    surface = surface_of(points, shape=sinking, time_s=lambda n: n * 300.0)
    z_um, _ = surface.predict(x_um=0, y_um=0, time_s=24 * 300.0)
    assert z_um == pytest.approx(sinking(0, 0, 24 * 300.0), abs=0.6)


def test_it_depends_on_the_points_alone():
    first, again = surface_of(grid(3)), FocusSurface(depth_of_field_um=DEPTH_UM)
    for point in first.points:
        again.add(
            x_um=point.x_um,
            y_um=point.y_um,
            z_um=point.z_um,
            sigma_um=point.sigma_um,
            time_s=point.time_s,
        )
    where = {"x_um": 123.4, "y_um": -77.0, "time_s": 5.0}
    assert again.predict(**where) == first.predict(**where)


@pytest.mark.parametrize("seed", range(8))
def test_a_serpentine_needs_few_sweeps(seed):
    rng = np.random.default_rng(seed)
    tilt_x, tilt_y, bowl = rng.uniform(-12e-3, 12e-3, 3) * (1, 1, 1.5e-3)
    surface, sweeps, errors = FocusSurface(depth_of_field_um=DEPTH_UM), 0, []
    for n in range(49):
        row, along = divmod(n, 7)
        column = along if row % 2 == 0 else 6 - along
        where = {"x_um": (column - 3) * 200.0, "y_um": (row - 3) * 200.0, "time_s": float(n)}
        x, y = where["x_um"], where["y_um"]
        truth = tilt_x * x + tilt_y * y + bowl * (x * x + y * y)
        if surface.needs_sweep(**where):
            sweeps += 1
            surface.add(**where, z_um=truth + rng.normal(0, 0.15), sigma_um=0.15)
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
            surface.add(
                x_um=x[n], y_um=y[n], z_um=z_um[n] + sweep_um[n], sigma_um=0.15, time_s=float(n)
            )
        for n in range(sweeps, sweeps + 4):
            predicted = surface.predict(x_um=x[n], y_um=y[n], time_s=float(sweeps))
            errors.append(predicted[0] - z_um[n])
            sigmas.append(predicted[1])
    assert_honest(errors, sigmas, one_sigma=(0.6, 0.88), two_sigma=(0.88, 0.995))
