"""What is known to end a night later ends it before the first move, with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.calibrated.loaded import Calibrated
from runtime.clock import SystemClock
from runtime.config.plan import Plan
from runtime.config.plan_file import parse_plan_text
from runtime.config.settings import Settings, parse_settings
from runtime.errors import ConfigRefused, DiskFull
from runtime.instrument.rig import Rig
from runtime.night.outlook import Outlook, visits_at_most
from runtime.night.preflight import preflight
from runtime.ports import CameraInfo
from runtime.tile import StageLimits
from tests.night_fakes import PLAN, SETTINGS, Bench, Night, calibrate

CLASSIFIER: Any = SimpleNamespace(
    name="mussel-tissue",
    version="1.5.0",
    classes=("resin", "tissue"),
    check_frame=lambda **_: None,
)
VISITS = """
model: mussel-tissue
visits: {labels: [tissue], objective: 20x}
"""
HUGE = StageLimits(x_um=(-1e7, 1e7), y_um=(-1e7, 1e7), z_um=(-100.0, 100.0))


def plan_of(text: str = PLAN, **changes: str) -> Plan:
    """Return the bench's plan with some of its lines replaced or added."""
    kept = [line for line in text.splitlines() if line.partition(":")[0] not in changes]
    lines = [*kept, *(f"{key}: {value}" for key, value in changes.items())]
    return parse_plan_text("\n".join(lines), source="plan.yaml")


def settings_of(folder: Path, text: str = SETTINGS) -> Settings:
    return parse_settings(text, source=folder / "settings.toml")


def look(
    here: Path,
    plan: Plan,
    *,
    rig: Rig | None = None,
    settings: Settings | None = None,
    **how: Any,
) -> Outlook:
    """Return the outlook of a run that calibrates first, in a folder that is not there yet."""
    usual = {"calibrated": None, "classifier": CLASSIFIER, "folder": here / "out"}
    usual |= {"now": SystemClock().instant()} | how
    return preflight(plan, settings or settings_of(here), rig or Bench().rig(), **usual)


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("tisue", "value tisue; limit resin, tissue. did you mean 'tissue'?"),
        ("Tissue", "did you mean 'tissue'?"),
        ("Resins", "did you mean 'resin'?"),
        ("mitochondria", "value mitochondria; limit resin, tissue. name one of these"),
    ],
)
def test_a_label_that_the_model_does_not_know_is_refused_with_those_it_does(
    tmp_path: Path, label: str, says: str
) -> None:
    plan = plan_of(PLAN + VISITS.replace("[tissue]", f"[tissue, {label}]"))
    with pytest.raises(ConfigRefused, match=r"model mussel-tissue 1\.5\.0 does not know") as said:
        look(tmp_path, plan)
    assert says in str(said.value)
    assert said.value.exit_code == 3


def test_visits_to_no_label_at_all_are_refused() -> None:
    with pytest.raises(ConfigRefused, match=r"'visits.labels'.*at least 1 item"):
        plan_of(PLAN + VISITS.replace("[tissue]", "[]"))


SHORT = "{labels: [tissue], objective: 20x, exposure_ms: 0.01}"
CHANNELS = """
channels: [{config: brightfield, exposure: 5}, {config: brightfield, exposure: 2000}]
grid_plan: {rows: 2, columns: 2}
metadata: {nightscope: {objective: 10x}}
"""


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (plan_of(exposure_ms="1001"), "'exposure_ms' .*value 1001 ms; limit 0.1 to 1000 ms"),
        (plan_of(exposure_ms="0.05"), "'exposure_ms' .*value 0.05 ms"),
        (plan_of(PLAN + VISITS, visits=SHORT), "'visits.exposure_ms' .*value 0.01 ms"),
        (plan_of(CHANNELS), "'channels' exposure .*value 2000 ms"),
    ],
)
def test_an_exposure_that_the_camera_cannot_make_is_refused(
    tmp_path: Path, plan: Plan, says: str
) -> None:
    bench = Bench()
    camera = CameraInfo(
        camera_id="c", width_px=160, height_px=128, full_scale=4095, exposure_ms=(0.1, 1000.0)
    )
    rig = replace(bench.rig(), camera=SimpleNamespace(info=camera))
    with pytest.raises(ConfigRefused, match=says):
        look(tmp_path, plan, rig=rig)


@pytest.mark.parametrize("exposure", ["9e9", "1.0e-9", ".inf", ".nan", "-10", "0"])
def test_an_exposure_that_no_camera_makes_is_refused_by_the_plan(exposure: str) -> None:
    with pytest.raises(ConfigRefused, match="'exposure_ms' is"):
        plan_of(exposure_ms=exposure)


@pytest.mark.parametrize("span", ["[-.inf, .nan]", "[.nan, .nan]", "[0, .inf]"])
def test_a_region_that_is_no_number_is_refused(span: str) -> None:
    region = f"{{x_um: {span}, y_um: [0, 1]}}"
    with pytest.raises(ConfigRefused, match="finite number"):
        plan_of(PLAN.replace("grid:", "region:").replace("rows", "r"), region=region)


@pytest.mark.parametrize("side_um", ["1.0e+6", "1.0e+9", "1.0e+300"])
def test_more_tiles_than_a_journal_takes_are_refused(tmp_path: Path, side_um: str) -> None:
    text = PLAN.replace("grid: {rows: 3, columns: 3, centre_um: [0, 0]}", "")
    region = f"{{x_um: [-{side_um}, {side_um}], y_um: [-{side_um}, {side_um}]}}"
    with pytest.raises(ConfigRefused, match="too many tiles"):
        look(tmp_path, plan_of(text, region=region))


def test_a_night_that_would_never_end_is_refused_with_its_length(tmp_path: Path) -> None:
    bench = Bench()
    bench.limits = HUGE
    grid = "{rows: 100, columns: 100, centre_um: [0, 0]}"
    real = settings_of(tmp_path, NATIVE)
    told = look(tmp_path, plan_of(grid=grid), rig=bench.rig(), settings=real)
    assert told.mechanics_s > 10_000 * 0.01
    with pytest.raises(ConfigRefused, match=r"take too long; value 62 d .* limit 30 d"):
        look(tmp_path, plan_of(grid=grid, exposure_ms="540000"), rig=bench.rig(), settings=real)


NATIVE = SETTINGS.replace('driver = "simulated"', 'driver = "native"\nport = "/dev/ttyNONE"', 2)


@pytest.mark.parametrize("key", ["empty_field_um", "textured_field_um"])
def test_a_field_to_calibrate_on_that_the_stage_does_not_reach_is_refused(
    tmp_path: Path, key: str
) -> None:
    text = SETTINGS.replace("automatic = true", f"automatic = true\n{key} = [0, 5000]")
    with pytest.raises(ConfigRefused, match=rf"'calibration\.{key}' leaves .* axis y; value 5000"):
        look(tmp_path, plan_of(), settings=settings_of(tmp_path, text))


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    text = SETTINGS.replace("disk_reserve_mb = 1", "disk_reserve_mb = 1e12")
    with pytest.raises(DiskFull, match=r"not enough room under .*free; limit .* GB needed"):
        look(tmp_path, plan_of(), settings=settings_of(tmp_path, text))
    (tmp_path / "file").write_text("")
    for out in ("file", "file/x", "no\x00name"):
        with pytest.raises(ConfigRefused, match="cannot be made"):
            look(tmp_path, plan_of(), folder=tmp_path / out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("wall_s", [0.0, 946_684_800.0, 1e10, -1e12])
def test_a_clock_that_cannot_be_right_is_refused(tmp_path: Path, wall_s: float) -> None:
    now = replace(SystemClock().instant(), wall_s=wall_s)
    with pytest.raises(ConfigRefused, match=r"clock is wrong; value year .*timedatectl"):
        look(tmp_path, plan_of(), now=now)


def test_a_clock_that_ran_backwards_is_told(tmp_path: Path) -> None:
    now = SystemClock().instant()
    earlier = replace(now, monotonic_s=now.monotonic_s - 10, wall_s=now.wall_s + 7200)
    told = look(tmp_path, plan_of(), now=now, known=[earlier]).told
    assert len(told) == 1
    assert told[0].startswith("the clock was set back by 2 h 0 min after ")
    other_boot = replace(earlier, boot_id="before")
    (told,) = look(tmp_path, plan_of(), now=now, known=[other_boot]).told
    assert "the clock ran backwards over a restart" in told


def test_what_is_left_is_counted_with_its_visits_and_its_room(tmp_path: Path) -> None:
    seen = look(tmp_path, plan_of(PLAN + VISITS))
    assert (len(seen.planned), seen.left, seen.rows, seen.columns, seen.visits) == (9, 9, 3, 3, 8)
    tile_mb = 160 * 128 * 2 / 1e6
    assert seen.needed_mb == pytest.approx(1 + (9 + 8) * tile_mb * (1 + 8 / 3))
    assert seen.words[0] == "bench: 9 tiles (3 x 3), then up to 8 frames with 20x"
    assert seen.words[-1].startswith("will calibrate first")


def test_tiles_with_gaps_between_them_are_counted_in_rows_that_there_are(tmp_path: Path) -> None:
    plan = parse_plan_text(
        "name: bench\nobjective: 10x\nsequence: {grid_plan: {rows: 2, columns: 3, overlap: -50}}\n",
        source="plan.yaml",
    )
    assert look(tmp_path, plan).words[0] == "bench: 6 tiles (2 x 3)"


def test_no_more_frames_of_regions_are_expected_than_there_are_tiles() -> None:
    wanted = "{labels: [tissue], objective: 20x, max_regions: 1000000, frames_per_region: 25}"
    assert visits_at_most(plan_of(PLAN + VISITS, visits=wanted), 9) == 9
    assert visits_at_most(plan_of(), 9) == 0


def test_calibrations_that_do_not_hold_to_the_end_are_told(tmp_path: Path) -> None:
    bench, settings = Bench(), settings_of(tmp_path)
    rig = bench.rig()
    calibrate(rig, settings, objectives=("10x",), progress=lambda said: None)
    calibrated = Calibrated.load(rig, settings, objectives=("10x",))
    plan = plan_of(exposure_ms="9000")
    assert look(tmp_path, plan, rig=rig, calibrated=calibrated).told == ()
    bench.own_s += 90 * 86400 - 0.01
    told = look(tmp_path, plan, rig=rig, calibrated=calibrated).told
    assert any(said.startswith("calibration dark holds for 0 s more") for said in told)


def test_a_run_says_what_a_dry_run_of_it_would(tmp_path: Path) -> None:
    text = PLAN.replace("rows: 3, columns: 3", "rows: 1, columns: 2")
    night = Night(tmp_path / "night", Bench(), plan=text)
    night.go_on()
    expected = look(tmp_path, plan_of(text)).words
    told = night.told.getvalue()
    for said in (expected[0], expected[1], expected[-1]):
        assert said in told
    night.told.truncate(0)
    night.go_on()
    assert expected[0] not in night.told.getvalue(), "a finished night has nothing ahead"
