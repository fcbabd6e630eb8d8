"""The routines on the simulated microscope, and what a run makes of their records."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from calibration.outcome import Measured, Measurement
from calibration.registry import file_away, history, standings
from calibration.routines import ROUTINES, ensure, run_routine
from runtime.calibrated.filing import filed
from runtime.calibrated.loaded import Calibrated, record_files
from runtime.calibrated.record import latest
from runtime.config.settings import FocusSection
from runtime.errors import CalibrationRefused
from runtime.focus.single_shot import LedPair
from runtime.instrument.simulator.imperfections import draw
from runtime.instrument.simulator.side_light import SideLight
from runtime.instrument.simulator.truth import specimen_from_px

BOTH = ["10x", "20x"]
SIDE = SideLight(sine=0.15, source=0.01)
DAY_S = 86400.0
LONG_AGO = {"boot_id": "old", "monotonic_s": 1.0, "wall_s": 1.0}
FAR_AHEAD = {"boot_id": "old", "monotonic_s": 1.0, "wall_s": 4e9}


@pytest.fixture(scope="module")
def finished(make_rig, make_settings, tmp_path_factory):
    """A rig with every calibration done, its settings, and the records made."""
    settings = make_settings(tmp_path_factory.mktemp("finished"))
    rig = make_rig(settings)
    return rig, settings, ensure(rig, settings, BOTH)


def test_everything_a_run_needs_is_made_once(finished):
    rig, settings, records = finished
    assert [record.name for record in records] == [
        "dark",
        "flat-field-10x",
        "flat-field-20x",
        "camera-stage-10x",
        "camera-stage-20x",
        "backlash",
        "objective-offset-20x",
    ]
    assert all(record.passed and record.simulated for record in records)
    assert ensure(rig, settings, BOTH) == []
    assert not rig.light.lit


def test_it_takes_few_frames(finished):
    rig, _, _ = finished
    assert rig.camera.frames <= 165


def test_the_records_tell_the_truth(finished):
    rig, settings, _ = finished
    calibrated = Calibrated.load(rig, settings, objectives=BOTH)
    hidden = draw(seed=3, objectives=settings.objectives)
    signs = np.diag(hidden.handedness)
    for name in BOTH:
        seat = hidden.seats[name]
        truth = signs @ specimen_from_px(
            rotation_rad=hidden.rotation_rad, pixel_size_um=seat.pixel_size_um
        )
        # The screw's periodic error of up to 0.35 µm over some 50 µm.
        assert np.abs(calibrated.stage_from_px(name) - truth).max() < 0.015 * seat.pixel_size_um
    seat = hidden.seats["20x"]
    offset = calibrated.offset_um("20x")
    expected = signs @ (-seat.offset_x_um, -seat.offset_y_um)
    assert offset[:2] == pytest.approx(expected, abs=0.8)
    assert offset[2] == pytest.approx(seat.parfocal_um, abs=0.8)
    assert calibrated.offset_um("10x") == (0.0, 0.0, 0.0)
    lost = next(r for r in calibrated.records if r.kind == "backlash").values
    play = [2 * slack for slack in hidden.slack_um]
    assert [lost["x_um"], lost["y_um"]] == pytest.approx(play[:2], abs=0.1)
    assert lost["z_um"] == pytest.approx(play[2], abs=0.3)


def test_an_empty_frame_comes_out_flat(finished):
    rig, settings, _ = finished
    corrector = Calibrated.load(rig, settings, objectives=["10x"]).corrector("10x")
    rig.approach(x_um=40.0, y_um=870.0)
    raw = rig.expose(channel="brightfield", brightness=0.5, exposure_ms=6.0).pixels
    corrected = corrector.apply(raw).astype(float)
    shot = np.sqrt(corrected.mean() * 0.25)
    assert corrected.mean() == pytest.approx(raw.mean() - 64, rel=0.005)
    assert corrected.std() < 1.15 * shot < 0.5 * raw.std()


def test_records_are_dated_durable_and_drawn(finished):
    _, settings, _ = finished
    folder = settings.calibration.folder
    (record,) = folder.glob("camera-stage-10x@*.json")
    assert record.name.startswith("camera-stage-10x@0001-2026-11-")
    page = ElementTree.parse(record.with_suffix(".svg")).getroot()
    words = "".join(page.itertext())
    assert "SIMULATED" in words
    assert "PASSED" in words
    assert "pixel_size_um = " in words
    assert not list(folder.glob("*.part"))
    names = {path.name for path in record_files(folder)}
    assert {record.name, *(p.name for p in folder.glob("*.npy"))} <= names


def test_standings_say_when_each_is_due(finished):
    rig, settings, records = finished
    found = standings(settings.calibration.folder, max_age_days=90)
    assert {standing.record.name for standing in found} == {record.name for record in records}
    now = rig.clock.instant()
    months_later = replace(now, boot_id="another", wall_s=now.wall_s + 91 * DAY_S)
    assert {standing.state(now=now) for standing in found} == {"ok"}
    assert {standing.state(now=months_later) for standing in found} == {"stale"}
    years_before = replace(now, boot_id="another", wall_s=now.wall_s - 900 * DAY_S)
    assert {standing.state(now=years_before) for standing in found} == {"ahead"}


def test_setting_the_clock_makes_no_calibration_stale(finished):
    rig, settings, _ = finished
    now = rig.clock.instant()
    clock_set = replace(now, wall_s=now.wall_s + 1000 * DAY_S)
    found = standings(settings.calibration.folder, max_age_days=90)
    assert {standing.state(now=clock_set) for standing in found} == {"ok"}


def test_a_second_dark_is_added_not_replaced(rig, settings):
    folder = settings.calibration.folder
    run_routine(rig, settings, name="dark")
    rig.clock.sleep(duration_s=60)
    (newest,) = run_routine(rig, settings, name="dark")
    assert len(history(folder, kind="dark")) == 2
    assert history(folder, kind="dark")[-1] == newest


def test_what_was_filed_last_counts_whatever_the_clock_said(rig, settings, monkeypatch):
    """A controller without a battery says 2035, then 1970, then what is right."""
    folder = settings.calibration.folder
    right = rig.clock.instant
    for years in (9, -56, 0):
        wrong_s = years * 365 * DAY_S
        monkeypatch.setattr(
            rig.clock, "instant", lambda s=wrong_s: replace(right(), wall_s=right().wall_s + s)
        )
        (made,) = run_routine(rig, settings, name="dark")
        assert latest(folder, kind="dark") == made
    ahead, behind, _ = (record.made.wall_s for record in history(folder, kind="dark"))
    assert ahead > right().wall_s > behind
    assert [path.name[:9] for path in filed(folder, "dark")] == [f"dark@000{n}" for n in (1, 2, 3)]


def spoil(folder, stem, **changes):
    (path,) = folder.glob(f"{stem}@*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("stem", "changes", "message"),
    [
        ("dark", {"passed": False, "advice": "darken"}, "'dark' failed its limit; value darken"),
        ("flat-field-20x", {"depends_on": "other"}, "'flat-field for 20x' belongs to another"),
        (
            "backlash",
            {"made": LONG_AGO},
            "'backlash' is stale",
        ),
        (
            "backlash",
            {"made": FAR_AHEAD},
            r"'backlash' is dated in the future; value 2096-10-02 07:06 UTC; limit 2026-11-"
            r".*see that the clock is right, then run: nightscope calibrate backlash",
        ),
        ("backlash", {"values": {"x_um": 1, "y_um": 13, "z_um": 1}}, "backlash of y is more than"),
        (
            "camera-stage-10x",
            {"values": {"pixel_size_um": 0.56, "m00": 1, "m01": 0, "m10": 0, "m11": 1}},
            "pixel size of 10x disagrees",
        ),
        ("objective-offset-20x", None, "'objective-offset for 20x' is missing"),
    ],
)
def test_what_cannot_serve_is_refused_by_name(finished, tmp_path, stem, changes, message):
    rig, settings, _ = finished
    for file in record_files(settings.calibration.folder):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if changes is None:
        for path in tmp_path.glob(f"{stem}@*"):
            path.unlink()
    else:
        spoil(tmp_path, stem, **changes)
    moved = settings.model_copy(
        update={"calibration": settings.calibration.model_copy(update={"folder": tmp_path})}
    )
    with pytest.raises(CalibrationRefused, match=message):
        Calibrated.load(rig, moved, objectives=BOTH)


LED_PAIR = {
    name: Measured(value, 0.01, unit)
    for name, value, unit in (
        ("x_px_per_um", 0.6, "px/µm"),
        ("y_px_per_um", 0.0, "px/µm"),
        ("x0_px", 0.0, "px"),
        ("y0_px", 0.0, "px"),
        ("brightness", 0.5, "1"),
        ("exposure_ms", 20.0, "ms"),
    )
}


def paired(finished, folder, *, first, passed=True):
    """Return the calibrated pairs of settings that look with a pair so, and have this record."""
    rig, settings, _ = finished
    for file in record_files(settings.calibration.folder):
        (folder / file.name).write_bytes(file.read_bytes())
    if passed is not None:
        outcome = Measurement(
            values=LED_PAIR, residuals=(), acceptance="", passed=passed, advice="again"
        )
        file_away(rig, folder, kind="led-pair", objective="10x", subject="10x", outcome=outcome)
    asked = settings.model_copy(
        update={
            "calibration": settings.calibration.model_copy(update={"folder": folder}),
            "focus": FocusSection(first=first),
        }
    )
    return Calibrated.load(rig, asked, objectives=["10x"]).led_pairs


def test_a_pair_of_leds_is_looked_with_where_it_is_calibrated_and_wanted(finished, tmp_path):
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    assert set(paired(finished, folders[0], first="auto")) == {"10x"}
    assert paired(finished, folders[1], first="sweep") == {}
    assert paired(finished, folders[2], first="auto", passed=None) == {}
    with pytest.raises(CalibrationRefused, match="'led-pair for 10x' is missing"):
        paired(finished, folders[3], first="led-pair", passed=None)
    with pytest.raises(CalibrationRefused, match="'led-pair for 10x' failed its limit"):
        paired(finished, folders[3], first="led-pair", passed=False)


@pytest.fixture(scope="module")
def upright(make_rig, make_settings, tmp_path_factory):
    """A rig whose settings name the LEDs above and below, after "all" routines of 10x."""
    plain = make_settings(tmp_path_factory.mktemp("upright"))
    settings = plain.model_copy(
        update={
            "calibration": plain.calibration.model_copy(
                update={"led_pair": ("led_top", "led_bottom")}
            )
        }
    )
    rig = make_rig(settings, side_light=SIDE)
    return rig, settings, run_routine(rig, settings, name="all", objective="10x")


@pytest.mark.slow
def test_all_routines_calibrate_the_pair_that_the_settings_name(upright):
    rig, settings, records = upright
    assert all(record.passed for record in records)
    assert records[-1].name == "led-pair-10x"
    loaded = Calibrated.load(rig, settings, objectives=["10x"])
    pair = LedPair.of(
        loaded.led_pairs["10x"],
        channels=settings.calibration.led_pair,
        optics=settings.objectives["10x"],
    )
    assert [lamp.channel for lamp in pair.lamps] == ["led_top", "led_bottom"]
    # They move their pictures along y, where left and right do along x.
    assert abs(pair.slope.x_px_per_um) < 0.05 * abs(pair.slope.y_px_per_um)
    assert not rig.light.lit


@pytest.mark.parametrize(("side", "of_pair"), [(SIDE, ["10x", "20x"]), (None, [])])
def test_all_are_those_that_the_light_and_the_objective_serve(
    make_rig, settings, monkeypatch, side, of_pair
):
    monkeypatch.setattr(
        "calibration.routines._run", lambda rig, settings, routine, of, progress: (routine.kind, of)
    )
    rig = make_rig(settings, side_light=side)
    made = run_routine(rig, settings, name="all")
    assert [of for kind, of in made if kind == "led-pair"] == of_pair
    assert [of for kind, of in made if kind == "objective-offset"] == ["20x"]
    of_overview = run_routine(rig, settings, name="all", objective="10x")
    assert "objective-offset" not in [kind for kind, _ in of_overview]
    assert {of for _, of in of_overview} == {"10x"}


def test_another_camera_voids_everything(finished):
    rig, settings, _ = finished
    with pytest.raises(CalibrationRefused, match="'dark' belongs to another camera"):
        Calibrated.load(
            replace(rig, stage=replace(rig.stage, stage_id="another")), settings, objectives=BOTH
        )


def test_an_unknown_routine_or_objective_is_refused(rig, settings):
    with pytest.raises(CalibrationRefused, match="no routine 'bias'"):
        run_routine(rig, settings, name="bias")
    with pytest.raises(CalibrationRefused, match="no objective '63x'"):
        run_routine(rig, settings, name="dark", objective="63x")
    with pytest.raises(CalibrationRefused, match="'10x' is the overview objective itself"):
        run_routine(rig, settings, name="objective-offset", objective="10x")


def test_a_flat_field_before_its_dark_is_refused(rig, settings):
    with pytest.raises(CalibrationRefused, match=r"'dark' is missing.*calibrate dark"):
        run_routine(rig, settings, name="flat-field", objective="10x")


def test_no_focus_on_clear_glass_says_what_to_set(rig, settings):
    clear = settings.calibration.model_copy(update={"textured_field_um": (0.0, 900.0)})
    with pytest.raises(CalibrationRefused, match=r"no focus with 10x: empty.*textured_field_um"):
        run_routine(
            rig,
            settings.model_copy(update={"calibration": clear}),
            name="camera-stage",
            objective="10x",
        )
    assert not rig.light.lit


def test_a_lamp_that_is_out_is_named(rig, settings):
    run_routine(rig, settings, name="dark")
    rig.light.broken = True
    with pytest.raises(CalibrationRefused, match=r"no good exposure with 10x.*check the lamp"):
        run_routine(rig, settings, name="flat-field", objective="10x")


def test_the_table_is_in_the_order_of_need():
    assert list(ROUTINES) == [
        "dark",
        "flat-field",
        "camera-stage",
        "distortion",
        "backlash",
        "objective-offset",
        "led-pair",
        "guard",
    ]
    assert all(routine.about for routine in ROUTINES.values())
