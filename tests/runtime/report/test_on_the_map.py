"""Regions in the shape of their tiles, visits and the stage's axes where they are."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.record.journal import Journal
from runtime.report.map.axes import axes_in_words
from runtime.report.map.outline import outline
from runtime.report.map.places import frames_on_the_map
from runtime.report.map.view import map_section
from runtime.report.run_data import RunData, read_run
from runtime.tile import StagePosition
from tests.runtime.report.conftest import HEIGHT, WIDTH

CELLS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1)


def test_an_l_of_tiles_that_overlap_has_six_corners() -> None:
    (corners,) = outline([(0, 0, 10, 8), (9, 0, 19, 8), (0, 7, 10, 15)])
    assert set(corners) == {(0, 0), (19, 0), (19, 8), (10, 8), (10, 15), (0, 15)}
    assert len(corners) == 6


def test_a_ring_has_an_inner_line_and_islands_one_each() -> None:
    ring = [(x, y, x + 1, y + 1) for x in range(3) for y in range(3) if (x, y) != (1, 1)]
    assert sorted(len(line) for line in outline(ring)) == [4, 4]
    assert len(outline([(0, 0, 1, 1), (5, 0, 6, 1)])) == 2


@given(CELLS)
def test_an_outline_holds_the_area_of_its_boxes(cells: set[tuple[int, int]]) -> None:
    lines = outline([(x, y, x + 1, y + 1) for x, y in cells])
    doubled = 0.0
    for line in lines:
        around = zip(line, line[1:] + line[:1], strict=True)
        doubled += sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in around)
    assert abs(doubled) / 2 == len(cells)


def of(night: Path, *, degrees: float = 0.0, mirrored: bool = False) -> tuple[RunData, np.ndarray]:
    """Return a run whose camera stands so against its stage, and its matrix, µm from px."""
    turn = np.radians(degrees)
    matrix = 0.5 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    journal = Journal(night / "journal.sqlite")
    run = read_run(night, journal)
    journal.close()
    return replace(run, facts={**run.facts, "ground": {"stage_from_px": matrix.tolist()}}), matrix


def calibrated(run: RunData, other: np.ndarray, offset_um: tuple[float, float]) -> RunData:
    """Return the run with the records of a second objective."""
    values = dict(zip(("m00", "m01", "m10", "m11"), other.ravel().tolist(), strict=True))
    moved = dict(zip(("x_um", "y_um"), offset_um, strict=True))
    records = [
        {"kind": "camera-stage", "objective": "20x", "values": values},
        {"kind": "objective-offset", "objective": "20x", "values": moved},
    ]
    return replace(run, facts={**run.facts, "calibrations": records})


@pytest.mark.parametrize(("degrees", "mirrored"), [(0.0, False), (180.0, True), (37.0, True)])
def test_a_frame_lies_where_its_specimen_does(
    shared_night: Path, degrees: float, mirrored: bool
) -> None:
    """A point of the specimen, by its place under the stage, seen in the frame and on the map."""
    run, matrix = of(shared_night, degrees=degrees, mirrored=mirrored)
    other, offset_um = 0.5 * matrix @ [[0.998, -0.06], [0.06, 0.998]], (11.0, -8.5)
    run = calibrated(run, other, offset_um)
    (frame,) = run.visits
    tile = next(t for t in run.overview if (t.shot.row, t.shot.column) == (1, 1))
    x_um, y_um = tile.shot.stage.x_um + 6.0, tile.shot.stage.y_um - 4.0
    taken = StagePosition(x_um=x_um + offset_um[0], y_um=y_um + offset_um[1], z_um=0.0)
    run = replace(run, visits=[replace(frame, shot=replace(frame.shot, stage=taken))])
    affine = frames_on_the_map(run)[frame.tile_id]
    middle = np.array([WIDTH, HEIGHT]) / 2
    at = run.placements[tile.tile_id]
    for pixel in ((0, 0), (WIDTH, 0), (30, 70)):
        seen_um = (x_um, y_um) + other @ (pixel - middle)
        away_um = seen_um - (tile.shot.stage.x_um, tile.shot.stage.y_um)
        expected = np.array([at.x_px, at.y_px]) + middle + np.linalg.solve(matrix, away_um)
        assert affine @ (*pixel, 1) == pytest.approx(expected, abs=1e-9)


def test_a_frame_of_which_the_offset_is_not_known_is_not_drawn(shared_night: Path) -> None:
    run, matrix = of(shared_night)
    run = calibrated(run, matrix / 2, (0.0, 0.0))
    assert list(frames_on_the_map(run)) == ["region01_f0"]
    without = [r for r in run.facts["calibrations"] if r["kind"] != "objective-offset"]
    assert frames_on_the_map(replace(run, facts={**run.facts, "calibrations": without})) == {}
    assert frames_on_the_map(replace(run, facts={**run.facts, "ground": None})) == {}


WAYS = {
    "as it stands": (0.0, False, "to the right (0.0°) on the map; to +y, down (270.0°)"),
    "turned over": (180.0, True, "to the right (0.0°) on the map; to +y, up (90.0°)"),
    "mirrored": (0.0, True, "to the left (180.0°) on the map; to +y, down (270.0°)"),
    "a quarter": (90.0, False, "up (90.0°) on the map; to +y, to the right (0.0°)"),
    "aslant": (-45.0, False, "down and to the right (315.0°) on the map; to +y, down and"),
}


@pytest.mark.parametrize(("degrees", "mirrored", "said"), WAYS.values(), ids=WAYS)
def test_the_axes_are_told(shared_night: Path, degrees: float, mirrored: bool, said: str) -> None:
    run, _ = of(shared_night, degrees=degrees, mirrored=mirrored)
    words = axes_in_words(run)
    assert words is not None
    assert said in words
    assert "Measured by camera-stage for 10x" in words


def test_axes_of_a_recording_are_not_called_measured(shared_night: Path) -> None:
    run, _ = of(shared_night)
    words = axes_in_words(replace(run, facts={**run.facts, "recording": {"folder": "x"}}))
    assert words is not None
    assert "by definition" in words
    assert "Measured" not in words
    assert axes_in_words(replace(run, facts={**run.facts, "ground": None})) is None


def test_the_page_draws_axes_regions_and_frames(night: Path) -> None:
    run, matrix = of(night, degrees=180.0, mirrored=True)
    source = map_section(calibrated(run, matrix / 2, (0.0, 0.0)), [])
    assert source.count('class="axes growing"') == 1
    assert source.count('href="#picture-region01_f0"') == 1
    first, second = re.findall(r'<path d="([^"]*)" class="region"', source)
    assert first.count("L") >= 3
    assert source.count('href="#region02"') == 2
    assert second != first
