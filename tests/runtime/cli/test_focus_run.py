"""`nightscope focus run` on the bench: verdict, curve, exit code, limits, and the light off."""

import io

import cv2
import numpy as np
import pytest
from rich.console import Console

from runtime.cli.commands.focus_run import run
from runtime.errors import NightscopeError, StorageFailed
from runtime.focus.autofocus import Focused
from runtime.tile import FocusVerdict
from tests.night_fakes import SETTINGS, Bench

LAMP = {"channel": "brightfield", "brightness": 0.5, "exposure_ms": 10.0}


@pytest.fixture
def focus(tmp_path):
    """Run the verb on a bench; return the result and what was printed."""
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS, encoding="utf-8")

    def on(bench, **asked):
        kept = io.BytesIO()
        said = io.TextIOWrapper(kept, encoding="ascii", errors="strict", write_through=True)
        how = {"objective": None, "place_um": None, "start_z_um": None, "range_um": 60.0}
        try:
            result = run(
                **how | {"lamp": LAMP, "first": None, "out": tmp_path / "out"} | asked,
                settings=settings,
                simulator=False,
                console=Console(file=said, width=60),
                opened=bench.open,
            )
        finally:
            on.said = kept.getvalue().decode("ascii")
        return result, on.said

    return on


def test_focus_is_found_drawn_and_kept(focus):
    bench = Bench(best_z_um=7.0)
    result, said = focus(bench, place_um=(20.0, -10.0))
    assert (result["status"], result["by"], result["exit_code"]) == ("ok", "sweep", 0)
    assert bench.at_um == (20.0, -10.0, pytest.approx(7.0, abs=0.6))
    assert result["stage_z_um"] == pytest.approx(result["z_um"], abs=0.01)
    assert result["exposures"] == len(result["curve"]) == len(bench.frames)
    curve, _, ending = said.partition("Done")
    assert max(map(len, curve.splitlines())) == 60, "the sharpest is as long as there is room"
    assert len(curve.splitlines()) == len(result["curve"])
    assert "focus at z +" in ending
    assert "the instrument is SIMULATED" in ending
    assert "Needs attention: nothing" in ending
    assert cv2.imread(result["png"]).shape[2] == 3
    assert not bench.lit


def test_the_verdict_is_told_even_if_its_picture_cannot_be_written(focus, tmp_path):
    (tmp_path / "out" / "focus_run.png").mkdir(parents=True)
    bench = Bench(best_z_um=7.0)
    with pytest.raises(StorageFailed, match="focus_run"):
        focus(bench, place_um=(20.0, -10.0))
    assert "focus at z +" in focus.said
    assert "Needs attention\n  the picture of the curve could not be kept" in focus.said
    assert not bench.lit


def test_focus_that_a_measurer_contradicted_is_no_success_without_a_word(focus, monkeypatch):
    reason = "led-pair erred: it said z +40.0"
    verdict = FocusVerdict(status="ok", z_um=7.0, sigma_z_um=0.1, reason=reason)
    told = Focused("sweep", verdict)
    monkeypatch.setattr("runtime.cli.commands.focus_run.focus_here", lambda *_, **__: told)
    result, said = focus(Bench())
    assert (result["status"], result["exit_code"]) == ("ok", 5)
    assert f"Needs attention\n  ok: {reason}" in said


def test_an_empty_field_is_said_and_is_no_success(focus):
    bench = Bench(world=np.full((900, 900), 2000, np.float32))
    result, said = focus(bench, start_z_um=5.0)
    assert (result["status"], result["exit_code"]) == ("empty", 5)
    assert "Needs attention\n  empty: sharpness varies by" in said
    assert bench.at_um[2] == pytest.approx(5.0)
    assert not bench.lit


def test_no_z_lies_beyond_the_stage(focus):
    bench = Bench(best_z_um=120.0)
    result, _ = focus(bench, start_z_um=95.0)
    assert (result["status"], result["exit_code"]) == ("edge", 5)
    assert max(z for _, _, z in bench.moves) <= bench.limits.z_um[1]
    assert not bench.lit


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"objective": "40x"}, "unknown objective; value 40x; limit 10x, 20x"),
        ({"lamp": LAMP | {"channel": "led"}}, "unknown light; value led; limit brightfield"),
        (
            {"lamp": LAMP | {"exposure_ms": 9e9}},
            "no exposure that the camera can make; value 9e.09 ms; limit 0.001 to 600000 ms",
        ),
        ({"start_z_um": 300.0}, "outside the stage's travel; value 300 µm; limit -100 to 100 µm"),
        ({"first": "led-pair"}, "calibration 'led-pair for 10x' is missing"),
        ({"first": "network"}, "no model bundle 'none' in .*; limit .*mussel-tissue"),
    ],
)
def test_what_the_instrument_has_not_is_refused_by_name(focus, asked, message):
    bench = Bench()
    with pytest.raises(NightscopeError, match=message):
        focus(bench, **asked)
    assert bench.frames == []
    assert not bench.lit


@pytest.mark.parametrize(
    "asked",
    [
        {"lamp": LAMP | {"channel": "led"}},
        {"start_z_um": float("nan")},
        {"out": "file"},
        {"place_um": (99_999.0, 0.0)},
        {"place_um": (-995.0, 0.0)},  # the stage reaches it, but not from below
        {"place_um": (0.0, float("nan"))},
        {"first": "led-pair"},
    ],
)
def test_it_is_refused_before_anything_moves(focus, tmp_path, asked):
    (tmp_path / "file").touch()
    if "out" in asked:
        asked = {"out": tmp_path / asked["out"]}
    bench = Bench()
    with pytest.raises(NightscopeError):
        focus(bench, **asked)
    assert not bench.homed
    assert bench.moves == []
