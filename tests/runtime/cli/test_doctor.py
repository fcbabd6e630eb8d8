"""`doctor` says that a run could start now only where one could, and what is in its way."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from runtime.calibrated.record import CalibrationRecord
from runtime.cli.commands.doctor import doctor
from runtime.cli.commands.instrument_check import _failsafe, _frames, tried
from runtime.clock import SystemClock
from runtime.config.settings import parse_settings
from runtime.instant import Instant
from runtime.ports import CameraInfo
from tests.simulated import SIMULATED, by_itself

NO_BOARD = """
[stage]
driver = "native"
port = "/dev/ttyNONE"
[light]
driver = "native"
port = "/dev/ttyNONE"
[camera]
driver = "opencv"
device = "/dev/videoNONE"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
"""


PER_OBJECTIVE = ("flat-field", "camera-stage")


def asked(folder: Path, text: str | None, **how: Any) -> tuple[dict[str, Any], dict[str, str], str]:
    """Return the result, the findings of what is not ready by name, and what a narrow stream of
    ASCII was told.
    """
    path = folder / "settings.toml"
    if text is not None:
        path.write_text(text)
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding="ascii", errors="strict")
    how = {"controller": False, "warm": False} | how
    result = doctor(settings=path, console=Console(file=stream, width=60), **how)
    stream.flush()
    said = kept.getvalue().decode("ascii")
    assert max(map(len, said.splitlines())) <= 60
    bad = {row["check"]: row["finding"] for row in result["checks"] if not row["ok"]}
    assert result["healthy"] == (result["exit_code"] == 0) == (not bad)
    return result, bad, said


def test_a_whole_instrument_is_ready(tmp_path: Path) -> None:
    result, bad, said = asked(tmp_path, by_itself(speed=200))
    assert bad == {}
    names = [row["check"] for row in result["checks"]]
    for name in ("clock", "disk", "stage", "light", "turret", "camera", "calibrations", "models"):
        assert name in names
    assert "ok        calibrations  made before each run" in said
    assert "lit by brightfield" in " ".join(said.split())


def test_without_board_camera_and_records_nothing_is_healthy(tmp_path: Path) -> None:
    result, bad, said = asked(tmp_path, NO_BOARD)
    assert result["exit_code"] == 4
    assert list(bad) == ["instrument", "camera", "calibrations"]
    assert "/dev/ttyNONE" in bad["instrument"]
    assert bad["camera"] == "not looked at: the instrument did not open"
    assert "'dark' is missing" in bad["calibrations"]
    assert said.count("not ready") == 3


def records(folder: Path, *, days: float = 0.0, **other: Any) -> None:
    """File the records that a night with one objective needs, some days old."""
    (folder / "calibration").mkdir()
    now = SystemClock().instant()
    made = Instant(boot_id="earlier", monotonic_s=0.0, wall_s=now.wall_s - 86_400 * days)
    for kind, objective in (("dark", ""), ("backlash", ""), *((k, "10x") for k in PER_OBJECTIVE)):
        record = CalibrationRecord.model_validate(
            {"kind": kind, "objective": objective, "made": made, "values": {}, "uncertainties": {}}
            | {"units": {}, "acceptance": "any", "passed": True, "depends_on": "x"}
            | other
        )
        file = folder / "calibration" / f"{record.name}@1.json"
        file.write_text(record.model_dump_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "finding"),
    [
        ({"simulated": True}, "'dark' was made with the simulated microscope"),
        ({"days": 100.0}, "'dark' is stale; value 100 days; limit 90 days"),
        ({"days": -9.0}, "'dark' is dated in the future"),
        ({"passed": False}, "'dark' failed its limit"),
    ],
)
def test_without_the_instrument_records_that_can_serve_none_are_not_ready(
    tmp_path: Path, how: dict[str, Any], finding: str
) -> None:
    records(tmp_path, **how)
    _, bad, _ = asked(tmp_path, NO_BOARD)
    assert finding in bad["calibrations"]


def test_without_the_instrument_whose_records_they_are_is_left_open(tmp_path: Path) -> None:
    records(tmp_path, days=1.0)
    result, bad, _ = asked(tmp_path, NO_BOARD)
    assert list(bad) == ["instrument", "camera"]
    findings = {row["check"]: row["finding"] for row in result["checks"]}
    assert "dark holds for 8" in findings["calibrations"]
    assert findings["calibrations"].endswith("for which camera and board was not looked at")


def test_records_that_are_missing_are_named(tmp_path: Path) -> None:
    result, bad, _ = asked(tmp_path, SIMULATED)
    assert result["exit_code"] == 3
    assert list(bad) == ["calibrations"]
    assert "run: nightscope calibrate dark" in bad["calibrations"]


def test_an_objective_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    mounted = '[turret]\ndriver = "mounted"\nobjective = "10x"'
    text = by_itself(speed=200).replace('[turret]\ndriver = "simulated"', mounted)
    _, bad, _ = asked(tmp_path, text)
    assert list(bad) == ["turret"]
    assert "value 20x; limit 10x" in bad["turret"]


@pytest.mark.parametrize("text", [None, "[stage]\ndriver = 5", "\x00"])
def test_settings_that_cannot_be_read_are_not_ready(tmp_path: Path, text: str | None) -> None:
    result, bad, _ = asked(tmp_path, text)
    assert (result["exit_code"], list(bad)) == (3, ["settings"])
    assert ("--controller" in bad["settings"]) == (text is None)


def test_the_controller_alone_asks_for_no_instrument(tmp_path: Path) -> None:
    result, _, _ = asked(tmp_path, NO_BOARD, controller=True)
    assert "settings" not in [row["check"] for row in result["checks"]]


def test_one_core_is_enough_and_what_it_costs_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result, bad, _ = asked(tmp_path, NO_BOARD, controller=True)
    assert bad == {}
    findings = {row["check"]: row["finding"] for row in result["checks"]}
    assert findings["cores"].startswith("1 (")
    assert "a night takes longer" in findings["cores"]


def frames_of(dark: int, lit: int) -> Any:
    """Return a rig whose camera sees only these."""

    def frame(level: int) -> Any:
        return SimpleNamespace(pixels=np.full((4, 4), level, np.uint16))

    info = CameraInfo(camera_id="c", width_px=4, height_px=4, full_scale=4095)
    return SimpleNamespace(
        recording=None,
        light=SimpleNamespace(channels=("led",)),
        camera=SimpleNamespace(info=info, capture=lambda exposure_ms: frame(dark)),
        expose=lambda **_: frame(lit),
    )


def test_a_lamp_that_the_camera_does_not_see_is_not_ready() -> None:
    check = tried("camera", lambda: _frames(frames_of(60, 64)))
    assert check.code == 4
    assert "sees no light of led; value 64 of 4095 lit, 60 dark" in check.finding
    assert tried("camera", lambda: _frames(frames_of(60, 900))).code == 0


@pytest.mark.parametrize(("accepted", "code"), [("[]", 3), ('["GRBL-1"]', 0)])
def test_a_board_that_stays_lit_is_not_ready_unless_it_is_accepted(
    accepted: str, code: int
) -> None:
    text = f"{SIMULATED}\n[instrument]\naccept_without_failsafe = {accepted}"
    rig: Any = SimpleNamespace(without_failsafe=("grbl-1",))
    given = parse_settings(text, source=Path("settings.toml"))
    assert tried("board", lambda: _failsafe(rig, given)).code == code
