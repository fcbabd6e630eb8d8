"""A thousand real tiles from files to the map: time, memory and errors of `nightscope stitch`.

The committed section (mussel, scanning electron microscope, CC0) is cut into tiles of 208 x 208
pixels, 23 % overlap, places off by 4 px (standard deviation) and rounded to whole pixels, each tile
with noise of its own. The stage reports the nominal grid.
What the section does not fill is background. Printed are what the command says, its processor and
wall time and peak memory, the size of the map, and the errors of the placed tiles after removing
the common offset; of background nothing is known, and flagged tiles are counted.

    python benchmarks/thousand.py [--keep FOLDER]
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from peers.grids import SECTION  # noqa: E402
from stitching import timed  # noqa: E402

SIZE_PX, STEP_PX, JITTER_PX, MARGIN_PX = 208, 160, 4.0, 20
NOISE = 3.0


def cut(folder: Path) -> dict[str, tuple[int, int]]:
    """Write the tiles and the stage's positions; return where each was cut, x, y by file name."""
    section = cv2.imread(str(SECTION), cv2.IMREAD_GRAYSCALE)
    rng = np.random.default_rng(0)
    rows, columns = ((side - SIZE_PX - 2 * MARGIN_PX) // STEP_PX + 1 for side in section.shape)
    truth, lines = {}, ["dim = 2"]
    for row in range(rows):
        for column in range(columns):
            name = f"r{row:02d}_c{column:02d}.tif"
            off = np.clip(np.rint(rng.normal(0, JITTER_PX, 2)), -MARGIN_PX, MARGIN_PX).astype(int)
            x, y = (MARGIN_PX + STEP_PX * np.array([column, row]) + off).tolist()
            tile = section[y : y + SIZE_PX, x : x + SIZE_PX].astype(float)
            noisy = np.clip(np.rint(tile + rng.normal(0, NOISE, tile.shape)), 0, 255)
            tifffile.imwrite(folder / name, noisy.astype(np.uint8), photometric="minisblack")
            truth[name] = (x, y)
            lines.append(f"{name}; ; ({column * STEP_PX}, {row * STEP_PX})")
    (folder / "stage.txt").write_text("\n".join(lines))
    return truth


def main() -> None:
    """Cut, stitch, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keep", type=Path, help="where tiles and map are kept")
    with TemporaryDirectory() as name:
        folder = parser.parse_args().keep or Path(name)
        tiles, out = folder / "tiles", folder / "map"
        tiles.mkdir(parents=True)
        truth = cut(tiles)
        verb = [sys.executable, "-m", "runtime", "stitch", str(tiles), "--positions", "stage.txt"]
        cost = timed([*verb, "--stage-sigma-px", str(JITTER_PX), "--out", str(out)])
        placed = json.loads((out / "placements.json").read_text())["tiles"]
        drawn = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        flags = Counter(tile["flag"] or "held" for tile in placed)
        held = [tile for tile in placed if not tile["flag"]]
        off = np.array([(t["x_px"], t["y_px"]) for t in held]) - [truth[t["file"]] for t in held]
        errors = np.hypot(*(off - np.median(off, axis=0)).T)
        print(f"{len(truth)} tiles: " + ", ".join(f"{n} {flag}" for flag, n in flags.items()))
        print(f"{cost.cpu_s:.1f} s of processor, {cost.wall_s:.1f} s wall, {cost.peak_mb:.0f} MB")
        print(f"map: {drawn / 1e6:.0f} MB")
        print("errors: median {:.3f}, p95 {:.3f}, max {:.3f} px".format(
            *np.percentile(errors, [50, 95, 100])
        ))  # fmt: skip


if __name__ == "__main__":
    main()
