"""What `stitch` and `classify` end with, where the terminal knows only ASCII and 60 columns."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from runtime.cli.commands import classify as classify_verb
from runtime.cli.commands import scan as scan_verb
from runtime.cli.commands.bridge import exercise
from runtime.cli.commands.stitch import stitch
from runtime.config.settings import ModelsSection
from runtime.inference.bundle import Bundle
from runtime.night.outlook import Outlook
from runtime.tile import Pixels
from tests.night_fakes import PLAN, SETTINGS
from tests.runtime.stitch.stitch_scans import SHAPE_PX, scan

HOW = {"watch_quiet_s": None, "pattern": "r{row}_c{col}.png", "overlap": 0.15}


def ended(verb: Callable[..., dict[str, Any]], **how: Any) -> tuple[dict[str, Any], str]:
    """Return what a verb returned and, in one piece, what it told a narrow stream of ASCII."""
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding="ascii", errors="strict")
    result = verb(console=Console(file=stream, width=60), **how)
    text = kept.getvalue().decode("ascii")
    assert text.startswith("Done\n"), "no bar where there is no terminal"
    assert max(map(len, text.partition("\nResults")[0].splitlines())) <= 60
    assert "ending" not in result
    return result, " ".join(text.split())


def write(path: Path, pixels: Pixels) -> None:
    """Write a PNG. OpenCV itself takes no name that is no text: the process ends."""
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a row of three tiles, the last one blank, in a folder whose name is no text."""
    path = tmp_path / os.fsdecode(b"sc\xe4n\n1")
    path.mkdir()
    for tile in scan(rows=1, columns=2).tiles:
        write(path / f"{tile.tile_id}.png", tile.pixels)
    write(path / "r0_c2.png", np.full(SHAPE_PX, 700, np.uint16))
    return path


def test_a_stitch_says_what_was_done_assumed_and_left_out_and_where_the_map_lies(
    folder: Path,
) -> None:
    (folder / os.fsdecode(b"\xb5.png")).write_bytes(b"")
    _, text = ended(stitch, folder=folder, out=folder / "out", **HOW)
    assert text.startswith("Done 3 tiles, 1 of 2 seams matched Assumed tiles lie as their names ")
    assert "count, neighbours overlapping by 0.15" in text
    assert "1 tile of one value: r0_c2.png (700)" in text
    assert "Left out 1 file in the folder, but not named by positions or pattern: \\xb5.png" in text
    assert "Needs attention: nothing" in text
    assert "sc\\xe4n\\n1/out/mosaic.ome.zarr" in text


def test_a_stitch_that_matched_nothing_says_so_and_names_no_map(folder: Path) -> None:
    (folder / "r0_c1.png").unlink()
    result, text = ended(stitch, folder=folder, out=folder / "out", **HOW)
    assert result["exit_code"] == 3
    assert "no map is drawn" in text.partition("Needs attention")[2]
    assert text.endswith("Results: no file was written")


@pytest.mark.slow
def test_labels_end_with_what_was_assumed_and_what_has_none(
    folder: Path,
    shipped: Bundle,
    choices: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = ModelsSection(cache=choices, store=None)
    monkeypatch.setattr(classify_verb, "models_here", lambda _settings: here)
    (golden,) = shipped.pictures(0)
    write(folder / "a.png", golden)
    (folder / "notes.txt").write_text("no image")
    result, text = ended(
        classify_verb.classify,
        folder=folder,
        model="mussel-tissue",
        out=folder / "labels.csv",
        pixel_size_um=None,
        flip=False,
    )
    assert result["exit_code"] == 5
    assert text.startswith("Done 1 image labelled: ")
    assert "a pixel is assumed to be 0.5 um, as the model was trained for" in text
    assert "Left out 1 file left out: notes.txt (no image by its name)" in text
    # What the model was tried with may be doubted itself, and then comes first.
    attention = text.partition("Needs attention ")[2]
    assert "3 files without a label: r0_c0.png, r0_c1.png, r0_c2.png (" in attention
    assert text.endswith("sc\\xe4n\\n1/labels.csv")


FOUND = {
    "driver": "grbl", "stage": True, "moves": 20, "retries": 3, "errors": 1,
    "final_error_steps": 2, "latency_ms": {"p50": 0.4, "p99": 12.0}, "failsafe": False,
}  # fmt: skip


def test_an_exercise_names_all_that_is_wrong_with_a_board() -> None:
    how = {"port": "/dev/ttyACM0", "driver": "grbl", "moves": 20, "seed": 0}
    result, text = ended(exercise, run=lambda port, **_: FOUND, **how)
    assert result["exit_code"] == 4
    assert "Done 20 moves on /dev/ttyACM0, 19 read back where they were to end" in text
    assert "half of the answers took up to 0.4 ms, all but one of a hundred up to 12 ms" in text
    attention = text.partition("Needs attention")[2]
    for says in ("1 move did not end where", "2 steps off", "3 frames sent", "never leave it lit"):
        assert says in attention


RIGHT = FOUND | {"retries": 0, "errors": 0, "final_error_steps": 0, "failsafe": True}


@pytest.mark.parametrize(
    ("found", "code"), [(RIGHT, 0), (RIGHT | {"retries": 3}, 5), (RIGHT | {"failsafe": False}, 5)]
)
def test_an_exercise_that_tells_something_does_not_end_as_if_nothing_were(
    found: dict[str, Any], code: int
) -> None:
    how = {"port": "/dev/ttyACM0", "driver": "grbl", "moves": 20, "seed": 0}
    result, text = ended(exercise, run=lambda port, **_: found, **how)
    assert result["exit_code"] == code
    assert ("Needs attention: nothing" in text) == (code == 0)


def test_a_dry_run_that_tells_something_does_not_end_as_if_nothing_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    seen = Outlook(
        name="bench", planned=(), left=0, visits=0, visited_with="", visit_s=0, exposure_s=0,
        mechanics_s=0, needed_mb=1, free_mb=9, calibrates=False,
    )  # fmt: skip
    for told, code in ((), 0), (("calibration dark holds for 0 s more",), 5):
        ahead = replace(seen, told=told)
        monkeypatch.setattr(scan_verb, "look_ahead", lambda *_, _ahead=ahead, **__: _ahead)
        result, text = ended(
            scan_verb.check,
            plan=tmp_path / "plan.yaml",
            settings=tmp_path / "settings.toml",
            out=tmp_path / "night",
            focus_map=None,
        )
        assert (result["exit_code"], result["attention"]) == (code, list(told))
        assert ("Needs attention: nothing" in text) == (code == 0)
