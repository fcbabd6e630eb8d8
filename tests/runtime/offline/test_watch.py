"""A folder that is still being filled: tiles are placed as they come, and the end is the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.errors import InputRefused
from runtime.offline.stitch import stitch_folder
from runtime.offline.watch import Arrivals, watch_folder
from tests.runtime.stitch.stitch_scans import scan

HOW = {"pattern": "r{row}_c{col}.png", "overlap": 0.15}


@cache
def encoded() -> dict[str, bytes]:
    """Return the files of a scan of 3 × 3 tiles in the order they were taken."""
    files = {}
    for tile in scan(rows=3, columns=3).tiles:
        _, content = cv2.imencode(".png", tile.pixels)
        files[f"{tile.tile_id}.png"] = content.tobytes()
    return files


class ScriptedClock(SystemClock):
    """Waits cost nothing; before each, the next thing happens in the folder."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        self.passed_s = 0.0
        self._next = iter(happens)

    def now_s(self) -> float:
        return self.passed_s

    def sleep(self, *, duration_s: float) -> None:
        self.passed_s += duration_s
        next(self._next, lambda: None)()


def bring(folder: Path, *names: str) -> Callable[[], object]:
    return lambda: [(folder / name).write_bytes(encoded()[name]) for name in names]


def watch(folder: Path, out: Path, clock: ScriptedClock, **how: object) -> dict:
    return watch_folder(folder, out=out, clock=clock, quiet_s=10.0, **(how or HOW))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "scan"
    path.mkdir()
    return path


def places(out: Path) -> dict[str, tuple[float, float]]:
    tiles = json.loads((out / "placements.json").read_text())["tiles"]
    x, y = np.mean([(tile["x_px"], tile["y_px"]) for tile in tiles], axis=0)
    return {tile["file"]: (tile["x_px"] - x, tile["y_px"] - y) for tile in tiles}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float]]:
    """Where the tiles lie that were all there from the beginning."""
    folder = tmp_path_factory.mktemp("whole")
    bring(folder, *encoded())()
    stitch_folder(folder, out=folder / "out", positions=None, **HOW)
    return places(folder / "out")


@pytest.mark.slow
def test_tiles_that_come_one_after_another_end_where_a_whole_folder_does(
    folder: Path, tmp_path: Path, whole: dict[str, tuple[float, float]]
) -> None:
    """The last row comes first: what is placed stays, though the grid is counted anew."""
    names = sorted(encoded(), reverse=True)
    clock = ScriptedClock(*(bring(folder, *names[n : n + 3]) for n in (0, 3, 6)))
    summary = watch(folder, tmp_path / "watched", clock)
    assert (summary["exit_code"], summary["tiles"], summary["seams_matched"]) == (0, 9, 12)
    assert clock.passed_s >= 10
    watched = places(tmp_path / "watched")
    assert max(np.abs(np.subtract(watched[name], whole[name])).max() for name in whole) < 0.01


@pytest.mark.slow
def test_the_map_can_be_viewed_while_files_come(folder: Path, tmp_path: Path) -> None:
    names, seen = list(encoded()), []
    mosaic = tmp_path / "out" / "mosaic.ome.zarr" / "zarr.json"
    clock = ScriptedClock(
        bring(folder, *names[:4]),
        lambda: None,
        lambda: seen.append(json.loads(mosaic.read_text())),
        bring(folder, *names[4:]),
    )
    watch(folder, tmp_path / "out", clock)
    assert seen[0]["attributes"]["nightscope"]["finished"] is False
    assert json.loads(mosaic.read_text())["attributes"]["nightscope"]["finished"] is True


def test_a_file_that_is_half_written_is_waited_for(folder: Path, tmp_path: Path) -> None:
    names = list(encoded())
    last = encoded()[names[-1]]
    clock = ScriptedClock(
        bring(folder, *names[:-1]),
        lambda: (folder / names[-1]).write_bytes(last[:5000]),
        lambda: None,
        lambda: (folder / names[-1]).write_bytes(last),
    )
    summary = watch(folder, tmp_path / "out", clock)
    assert (summary["exit_code"], summary["tiles"], summary["left_out"]) == (0, 9, [])


@pytest.mark.slow
def test_a_tile_that_is_written_again_is_taken_again(
    folder: Path, tmp_path: Path, whole: dict[str, tuple[float, float]]
) -> None:
    """The first time it was another tile's picture; by then it was placed and drawn."""
    names, seen = list(encoded()), []

    def look() -> None:
        seen.append((tmp_path / "out" / "mosaic.ome.zarr" / "zarr.json").exists())

    bring(folder, *names)()
    (folder / names[4]).write_bytes(encoded()[names[8]])
    clock = ScriptedClock(lambda: None, lambda: None, look, bring(folder, names[4]))
    summary = watch(folder, tmp_path / "out", clock)
    assert seen == [True]
    assert (summary["exit_code"], summary["tiles"], summary["seams_matched"]) == (0, 9, 12)
    watched = places(tmp_path / "out")
    assert max(np.abs(np.subtract(watched[name], whole[name])).max() for name in whole) < 0.01


def test_it_ends_at_once_when_all_that_positions_name_are_there(
    folder: Path, tmp_path: Path
) -> None:
    tiles = scan(rows=3, columns=3).tiles
    lines = [f"{tile.tile_id}.png; ; ({tile.x_um}, {tile.y_um})" for tile in tiles]
    (folder / "TileConfiguration.txt").write_text("\n".join(lines))
    names = list(encoded())
    clock = ScriptedClock(bring(folder, *names[:5]), lambda: None, bring(folder, *names[5:]))
    summary = watch_folder(folder, out=tmp_path / "out", clock=clock, quiet_s=1000.0)
    assert (summary["exit_code"], summary["tiles"]) == (0, 9)
    assert clock.passed_s < 20


def test_a_folder_to_which_nothing_comes_is_refused_after_the_quiet_time(
    folder: Path, tmp_path: Path
) -> None:
    clock = ScriptedClock()
    with pytest.raises(InputRefused, match="no file fits the pattern"):
        watch(folder, tmp_path / "out", clock)
    assert clock.passed_s == 10


@pytest.mark.parametrize("quiet_s", [1.0, 2.0])
def test_a_whole_folder_is_stitched_however_short_the_quiet_time(
    folder: Path, tmp_path: Path, quiet_s: float
) -> None:
    bring(folder, "r0_c0.png", "r0_c1.png", "r0_c2.png")()
    summary = watch_folder(
        folder, out=tmp_path / "out", clock=ScriptedClock(), quiet_s=quiet_s, **HOW
    )
    assert (summary["exit_code"], summary["tiles"]) == (0, 3)


@pytest.mark.slow
def test_one_that_was_killed_and_is_called_again_ends_with_the_same_map(
    folder: Path, tmp_path: Path, whole: dict[str, tuple[float, float]]
) -> None:
    names = list(encoded())

    def die() -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    first = ScriptedClock(bring(folder, *names[:5]), lambda: None, die)
    with pytest.raises(KeyboardInterrupt):
        watch(folder, out, first)
    summary = watch(folder, out, ScriptedClock(bring(folder, *names[5:])))
    assert (summary["exit_code"], summary["tiles"]) == (0, 9)
    watched = places(out)
    assert max(np.abs(np.subtract(watched[name], whole[name])).max() for name in whole) < 0.01


def test_a_file_is_whole_once_it_was_the_same_at_two_looks(tmp_path: Path) -> None:
    arrivals, file = Arrivals(tmp_path), tmp_path / "tile.tif"
    for content, whole in ((b"ha", False), (b"half", False), (b"half", True), (b"more", False)):
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
            os.utime(file, ns=(0, len(content) + (content == b"more")))
        arrivals.look()
        assert arrivals.whole("tile.tif") is whole, content
        assert arrivals.rewritten is (content == b"more"), content


def test_positions_that_grow_make_no_tile_new(tmp_path: Path) -> None:
    arrivals, file = Arrivals(tmp_path), tmp_path / "TileConfiguration.txt"
    for lines in ("a", "a", "a, b"):
        file.write_text(lines)
        os.utime(file, ns=(0, len(lines)))
        arrivals.look()
        assert not arrivals.rewritten
