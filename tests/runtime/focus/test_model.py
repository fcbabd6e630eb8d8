"""The focus model: known slides recovered, lies doubted, moves believed, and a σ that is true."""

import numpy as np
import pytest

from runtime.focus.model import FocusModel, FocusPoint
from runtime.instant import Instant
from tests.runtime.focus.slides import DEPTH_UM, Slide, scan

HOUR_S = 3600.0


def at(monotonic_s, boot_id="tonight"):
    return Instant(boot_id=boot_id, monotonic_s=monotonic_s, wall_s=0.0)


def tilted(x_um, y_um, time_s=0.0, rate_um_h=0.0):
    bowl = 14e-6 * (x_um**2 + y_um**2)
    return 4.0 + 9e-3 * x_um - 6e-3 * y_um + bowl + rate_um_h * time_s / HOUR_S


def look(model, x_um, y_um, z_um, *, time_s=0.0, boot_id="tonight", sigma_um=0.15):
    model.observe(
        FocusPoint(
            x_um=x_um, y_um=y_um, z_um=z_um, sigma_um=sigma_um, at=at(time_s, boot_id=boot_id)
        )
    )


def looked(*, every_s=30.0, rate_um_h=0.0, **limits):
    """A model that looked at 25 places of a tilted bowl, from second 0 on, in no order that a
    slope could pass for drift.
    """
    model = FocusModel(depth_of_field_um=DEPTH_UM, **limits)
    side = np.linspace(-600, 600, 5)
    for n in range(25):
        x, y = side[7 * n % 25 % 5], side[7 * n % 25 // 5]
        look(model, x, y, tilted(x, y, n * every_s, rate_um_h), time_s=n * every_s)
    return model


def predict(model, x_um=0.0, y_um=0.0, *, time_s, boot_id="tonight"):
    return model.predict(x_um=x_um, y_um=y_um, at=at(time_s, boot_id=boot_id))


def asks(model, x_um=0.0, y_um=0.0, *, time_s, boot_id="tonight"):
    return model.needs_look(x_um=x_um, y_um=y_um, at=at(time_s, boot_id=boot_id))


def test_nothing_is_predicted_from_nothing():
    model = FocusModel(depth_of_field_um=DEPTH_UM)
    assert predict(model, time_s=0) is None
    assert asks(model, time_s=0) == "no focus found yet"


def test_sigma_grows_with_distance_and_asks_for_a_look():
    model = FocusModel(depth_of_field_um=DEPTH_UM)
    look(model, 0, 0, 3.0)
    sigmas = [predict(model, x, time_s=0).sigma_um for x in (0, 20, 100, 400)]
    assert sigmas == sorted(sigmas)
    assert sigmas[0] == pytest.approx(0.15, abs=0.01)
    assert asks(model, 20, time_s=0) == ""
    assert "above 1.9 µm" in asks(model, 400, time_s=0)


def test_sigma_grows_with_time_and_a_long_pause_asks_for_a_look():
    model = looked()
    sigmas = [predict(model, 50, 50, time_s=725 + wait).sigma_um for wait in (0, 600, 7200, 36000)]
    assert sigmas == sorted(sigmas)
    assert asks(model, 50, 50, time_s=725) == ""
    assert "predicted to" in asks(model, 50, 50, time_s=725 + 36000)


def test_a_tilted_bowl_is_recovered():
    model = looked()
    for x, y in [(-500, 300), (100, -250), (600, 600)]:
        height = predict(model, x, y, time_s=725)
        assert height.z_um == pytest.approx(tilted(x, y), abs=0.4)
        assert height.sigma_um < 0.6


@pytest.mark.parametrize("rate_um_h", [6.0, -20.0])
def test_drift_is_followed_and_goes_on_between_looks(rate_um_h):
    model = looked(every_s=120.0, rate_um_h=rate_um_h)
    height = predict(model, time_s=3200)
    assert height.z_um == pytest.approx(tilted(0, 0, 3200, rate_um_h), abs=0.8)


def test_a_place_that_is_known_is_predicted_better_than_its_neighbour():
    """A lump of 1 µm in the middle of one tile, found once, is there when one comes back."""
    model = looked()
    look(model, 150, 150, tilted(150, 150) + 1.0, time_s=760)
    assert not model.outliers
    for x, y, lump_um in [(150, 150, 1.0), (-450, 150, 0.0)]:
        height = predict(model, x, y, time_s=770)
        assert height.z_um == pytest.approx(tilted(x, y) + lump_um, abs=0.5)


def test_a_lie_is_doubted_and_a_second_look_lays_it_aside():
    model, there = looked(), {"x_um": 100, "y_um": 100}
    before = predict(model, **there, time_s=760)
    look(model, 0, 100, tilted(0, 100) + 18.0, time_s=750)
    assert [point.x_um for point in model.outliers] == [0]
    doubtful = predict(model, **there, time_s=760)
    assert doubtful.z_um == pytest.approx(before.z_um, abs=0.1)
    assert doubtful.sigma_um > 9
    assert "a second one decides" in asks(model, **there, time_s=760)
    look(model, **there, z_um=tilted(**there), time_s=770)
    assert asks(model, **there, time_s=780) == ""
    assert predict(model, **there, time_s=780).z_um == pytest.approx(tilted(**there), abs=0.3)
    assert [point.x_um for point in model.outliers] == [0]


def test_a_world_that_moved_is_believed_at_the_second_look():
    """A stage that slipped by 12 µm: tilt and bowl stay, height does not."""
    model = looked()
    look(model, 0, 100, tilted(0, 100) - 12.0, time_s=750)
    look(model, -200, 100, tilted(-200, 100) - 12.0, time_s=780)
    assert not model.outliers
    for x, y in [(100, 100), (500, -400)]:
        height = predict(model, x, y, time_s=790)
        assert height.z_um == pytest.approx(tilted(x, y) - 12, abs=0.6)
        assert height.sigma_um < DEPTH_UM / 4


def test_looks_that_agree_with_nothing_end_what_was_believed():
    model = looked()
    for n, away_um in enumerate((15.0, -20.0, 40.0)):
        look(model, 100.0 * n, 0, tilted(100.0 * n, 0) + away_um, time_s=750 + 10 * n)
    assert len(model.outliers) == 2
    height = predict(model, 200, 0, time_s=780)
    assert height.z_um == pytest.approx(tilted(200, 0) + 40, abs=0.5)
    assert asks(model, 600, 0, time_s=780)


def test_drift_is_not_counted_across_boots():
    """Seconds since boot begin at zero again: hours of drift must not be run backwards."""
    model = looked(every_s=1500.0, rate_um_h=-6.0)
    evening_um = predict(model, time_s=36_000).z_um
    height = predict(model, time_s=60, boot_id="morning")
    assert height.z_um == pytest.approx(evening_um, abs=1.0)
    assert height.sigma_um > 40
    assert "since the controller started again" in asks(model, time_s=60, boot_id="morning")


def test_one_look_after_a_boot_brings_the_whole_slide_back():
    model, after_um = looked(), 17.0
    look(model, 0, 0, tilted(0, 0) + after_um, time_s=60, boot_id="morning")
    assert not model.outliers
    for x in (-500, 0, 500):
        height = predict(model, x, time_s=90, boot_id="morning")
        assert height.z_um == pytest.approx(tilted(x, 0) + after_um, abs=0.8)
        assert asks(model, x, time_s=90, boot_id="morning") == ""
    # A boot later nobody has looked in yet, the newest one is the best guess.
    later = predict(model, time_s=5, boot_id="noon")
    assert later.z_um == pytest.approx(tilted(0, 0) + after_um, abs=0.8)
    assert later.sigma_um > 40


def test_z_is_clipped_and_what_was_cut_off_stands_in_sigma():
    whole, model = looked(), looked(limits_um=(-40.0, 6.0))
    asked, told = (predict(m, 600, -600, time_s=725) for m in (whole, model))
    assert asked.z_um > 15
    assert told.z_um == 6.0
    assert told.sigma_um >= asked.z_um - 6.0


def test_nothing_is_predicted_further_from_what_was_found_than_one_may_reach():
    model = FocusModel(depth_of_field_um=DEPTH_UM, reach_um=10.0)
    for n in range(3):
        look(model, 50.0 * n, 0, float(n))
    height = predict(model, 20_000, time_s=0)
    assert height.z_um == pytest.approx(12.0)
    assert height.sigma_um > 300


def test_a_look_without_a_sigma_is_refused():
    with pytest.raises(ValueError, match="sigma_um is 0"):
        FocusPoint(x_um=0, y_um=0, z_um=0, sigma_um=0, at=at(0))


def test_the_model_is_its_looks_and_nothing_else():
    """A resumed run knows bit for bit what this one knows, whatever was asked in between."""
    first, again = looked(), FocusModel(depth_of_field_um=DEPTH_UM)
    look(first, 0, 100, 60.0, time_s=750)
    for point in first.points:
        again.predict(x_um=1.0, y_um=2.0, at=point.at)
        again.observe(point)
    for boot_id in ("tonight", "later"):
        told = [predict(m, 123.4, -77.0, time_s=800, boot_id=boot_id) for m in (first, again)]
        assert told[0] == told[1]


@pytest.mark.parametrize("seed", range(4))
def test_a_slide_of_49_tiles_needs_few_looks(seed):
    night = scan(Slide.drawn(seed, tilt=6e-3), side=7)
    assert sum(night.asked) <= 14
    assert np.percentile(night.used_um, 95) <= DEPTH_UM / 2


def test_what_is_not_asked_for_is_in_focus_and_sigma_is_true():
    """`benchmarks/focus_model.py` says the same of twelve seeds and all pairs of drift and tilt."""
    nights = [
        scan(Slide.drawn(seed, tilt=tilt, drift_um_h=drift), side=8, revisits=12)
        for seed, (drift, tilt) in enumerate([(0, 3e-3), (5, 10e-3), (20, 0), (10, 6e-3)])
    ]
    good = np.concatenate([night.good for night in nights])
    standardised = np.concatenate([night.standardised for night in nights])
    assert good.mean() >= 0.99
    assert 0.8 <= np.sqrt(np.mean(standardised**2)) <= 1.25
    assert np.mean(np.concatenate([night.asked for night in nights])) <= 0.25
