"""The distortion of a camera: fitted on made overlaps, measured on the simulated microscope."""

import numpy as np
import pytest

from calibration.distortion import DistortionFit, Overlaps, fit_distortion, judge
from calibration.routines import run_routine
from runtime.calibrated.loaded import Calibrated
from runtime.config.port_settings import BentSection
from runtime.instrument.simulator.lens import lens
from runtime.instrument.simulator.specimen import Specimen

SHAPE_PX = (256, 320)
SIZE = {"width_px": 320, "height_px": 256}


def grid(steps=9):
    x, y = np.meshgrid(np.linspace(0, 319, steps), np.linspace(0, 255, steps))
    return np.column_stack([x.ravel(), y.ravel()])


def overlaps(bend, *, noise_px, seed):
    """Blocks of neighbours a third, half and most of a frame apart, along x, y and both."""
    rng = np.random.default_rng(seed)
    ways = [(96, 0), (192, 0), (0, 77), (0, 154), (96, 77)] * 6
    a_px, b_px, pairs = [], [], []
    for number, way in enumerate(ways):
        low, high = np.array(way), np.array([319.0, 255.0])
        a = bend.straightened(low + rng.uniform(size=(24, 2)) * (high - low))
        b = bend.bent(a - way - rng.normal(0, 1, 2))
        a_px.append(bend.bent(a) + rng.normal(0, noise_px, b.shape))
        b_px.append(b)
        pairs += [number] * len(b)
    return Overlaps(
        a_px=np.concatenate(a_px),
        b_px=np.concatenate(b_px),
        variances_px2=np.full((len(pairs), 2), noise_px**2),
        pairs=np.array(pairs),
        wanted=len(ways),
    )


def true_px(found, bend):
    """Return how far `bend` moves the place that `found` moves furthest, along the same way."""
    rim = found.rim_px
    moved = found.straightened(rim) - rim
    at = int(np.hypot(*moved.T).argmax())
    way = moved[at] / np.hypot(*moved[at])
    return float((bend.straightened(rim[at][None]) - rim[at])[0] @ way)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["radial", "scan"])
def test_the_field_that_was_made_is_found_with_its_error(kind):
    bend = lens(BentSection(kind=kind, corner_px=6.0), **SIZE)
    pulls = []
    for seed in range(8):
        seen = overlaps(bend, noise_px=0.05, seed=seed)
        fit = fit_distortion(seen, shape_px=SHAPE_PX)
        off = fit.field.straightened(grid()) - bend.straightened(grid())
        assert np.sqrt((off**2).sum(axis=1).mean()) < 0.05
        pulls.append((fit.largest_px - true_px(fit.field, bend)) / fit.largest_sigma_px)
        assert 0.03 < np.sqrt(np.mean(fit.after_px**2)) < 0.09 < fit.before_px.max()
        assert judge(fit, shape_px=SHAPE_PX).passed
    # The largest of four corners alike is the one that noise pulls outwards: 1.25 by itself.
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 2.5


def test_a_field_told_too_badly_is_not_used():
    bend = lens(BentSection(kind="radial", corner_px=6.0), **SIZE)
    fit = fit_distortion(overlaps(bend, noise_px=0.5, seed=0), shape_px=SHAPE_PX)
    outcome = judge(fit, shape_px=SHAPE_PX)
    assert not outcome.passed
    assert "textured_field_um" in outcome.advice


@pytest.mark.parametrize(("largest_px", "left_px", "passed"), [
    (0.27, 0.49, False), (0.27, 0.2, True), (0.14, 0.45, True),
])  # fmt: skip
def test_a_field_that_says_it_is_there_must_leave_less_than_there_was(largest_px, left_px, passed):
    bend = lens(BentSection(kind="radial", corner_px=largest_px), **SIZE)
    fit = DistortionFit(
        field=bend,
        largest_px=largest_px,
        largest_sigma_px=0.05,
        worst_sigma_px=0.07,
        before_px=np.full(9, 0.44),
        after_px=np.full(9, left_px),
    )
    outcome = judge(fit, shape_px=SHAPE_PX)
    assert outcome.passed == passed
    assert ("do not agree on one field" in outcome.advice) == (not passed)


@pytest.mark.slow
def test_a_field_told_at_the_specimens_rim_is_not_used(make_rig, settings):
    rig = make_rig(settings)
    for name in ("dark", "flat-field", "camera-stage"):
        run_routine(rig, settings, name=name, objective="10x")
    rim = settings.calibration.model_copy(update={"textured_field_um": (330.0, 280.0)})
    asked = settings.model_copy(update={"calibration": rim})
    (record,) = run_routine(rig, asked, name="distortion", objective="10x")
    assert not record.passed
    assert "textured_field_um" in record.advice
    assert not rig.light.lit


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "corner_px"), [("radial", 6.0), ("radial", -8.0), ("scan", 4.0)])
def test_the_routine_recovers_the_cameras_field(make_rig, settings, kind, corner_px):
    bend = lens(BentSection(kind=kind, corner_px=corner_px), **SIZE)
    rig = make_rig(settings, specimen=Specimen(), distortion=bend)
    records = run_routine(rig, settings, name="all")
    assert all(record.passed for record in records)
    found = Calibrated.load(rig, settings, objectives=["10x"]).distortion
    off = found.straightened(grid()) - bend.straightened(grid())
    assert np.sqrt((off**2).sum(axis=1).mean()) < 0.1
    (record,) = (r for r in records if r.kind == "distortion" and r.objective == "10x")
    assert record.values["residual_px"] < 0.1 * record.values["residual_before_px"]
    assert abs(record.values["largest_px"] - bend.largest_px) < 0.15


@pytest.mark.slow
def test_a_straight_camera_is_found_straight(make_rig, settings):
    rig = make_rig(settings, specimen=Specimen())
    assert all(record.passed for record in run_routine(rig, settings, name="all"))
    assert Calibrated.load(rig, settings, objectives=["10x"]).distortion is None
