"""`nightscope stitch` killed by the kernel in the middle of drawing its map."""

import os
import signal
import subprocess
import sys

import cv2
import pytest

from runtime.offline.stitch import stitch_folder
from tests.runtime.stitch.stitch_scans import scan

PATTERN = {"positions": None, "pattern": "r{row}_c{col}.png", "overlap": 0.15}
DIES = """
import os, signal, sys
from pathlib import Path
from runtime.offline.stitch import stitch_folder
from runtime.stitch.map.canvas import Canvas

store, left = Canvas._store, int(sys.argv[3])
def dying(*args):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    store(*args)
Canvas._store = dying
stitch_folder(Path(sys.argv[1]), positions=None, pattern="r{row}_c{col}.png", overlap=0.15,
              out=Path(sys.argv[2]))
"""


def files(folder):
    """Return every file of a map but the ledger, whose first line names where it was drawn."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "drawn.jsonl"
    }


def tiles(folder, **how):
    folder.mkdir()
    for tile in scan(**how).tiles:
        cv2.imwrite(str(folder / f"{tile.tile_id}.png"), tile.pixels)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 4, 8])
def test_a_killed_stitch_leaves_the_map_before_and_the_next_one_finishes_it(tmp_path, after):
    before, now = tiles(tmp_path / "a", rows=2, columns=2, seed=3), tiles(tmp_path / "b", columns=6)
    out, whole = tmp_path / "out", tmp_path / "elsewhere" / "out"
    stitch_folder(before, out=out, **PATTERN)
    old = files(out / "mosaic.ome.zarr")
    command = [sys.executable, "-c", DIES, str(now), str(out), str(after)]
    died = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert died.returncode == -signal.SIGKILL
    assert files(out / "mosaic.ome.zarr") == old
    stitch_folder(now, out=out, **PATTERN)
    stitch_folder(now, out=whole, **PATTERN)
    assert files(out / "mosaic.ome.zarr") == files(whole / "mosaic.ome.zarr")
    assert not list(out.glob("mosaic.ome.zarr.*"))
