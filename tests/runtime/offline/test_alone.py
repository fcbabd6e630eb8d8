"""Results of one process at a time: a second is refused, and leaves the first one's alone."""

import cv2
import pytest

from runtime.clock import SystemClock
from runtime.errors import ConfigRefused, InputRefused
from runtime.offline.alone import alone_in
from runtime.offline.stitch import FolderStitch, stitch_folder
from runtime.offline.watch import watch_folder
from tests.runtime.stitch.stitch_scans import scan

HOW = {"positions": None, "pattern": "r{row}_c{col}.png", "overlap": 0.15}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for tile in scan(rows=1, columns=2).tiles:
        cv2.imwrite(str(folder / f"{tile.tile_id}.png"), tile.pixels)
    return folder


@pytest.mark.parametrize(
    "stitch",
    [stitch_folder, lambda *a, **how: watch_folder(*a, clock=SystemClock(), quiet_s=0, **how)],
    ids=["stitch", "watch"],
)
def test_a_second_stitch_into_one_folder_is_refused(folder, tmp_path, stitch):
    out = tmp_path / "there" / "out"
    with alone_in(out), pytest.raises(ConfigRefused, match=r"another process.*--out"):
        stitch(folder, out=out, **HOW)
    assert not out.parent.exists()
    stitch_folder(folder, out=out, **HOW)
    assert (out / "placements.json").exists()


def test_what_is_refused_leaves_no_folder_and_takes_none_away(tmp_path):
    for out in (tmp_path / "new" / "out", tmp_path):
        with pytest.raises(InputRefused):
            stitch_folder(tmp_path / "nothing", out=out, **HOW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_had_is_refused_before_the_work(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(FolderStitch, "take", lambda *_, **__: pytest.fail("worked in vain"))
    with pytest.raises(ConfigRefused, match="cannot be made"):
        stitch_folder(folder, out=tmp_path / "file", **HOW)
