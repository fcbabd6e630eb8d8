"""Drawing the map: time per tile and peak memory, for a small and for a large scan.

    python benchmarks/mosaic.py
    python benchmarks/mosaic.py --tiles 64 1024 4096

A square scan of tiles of 512 x 512, 16 bit, 10 % overlap, places off by 3 px (standard deviation),
is settled as `nightscope stitch` does it, once the tiles are placed: overlaps compared and cut,
tones, every block drawn, the pyramid. The tiles are cut from one picture in memory, so that reading
files is not timed. Each number of tiles has a process of its own. Printed are seconds on the wall
and of the processor, how often a tile was read, and how much the process grew at its peak.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.stitch.map.mosaic import Mosaic  # noqa: E402
from runtime.tile import Pixels, Placement  # noqa: E402

SIZE_PX, STEP_PX, JITTER_PX, PICTURE_PX = 512, 460, 3.0, 1200


class Scan:
    """A square scan of about `tiles` tiles, cut from one picture again and again."""

    def __init__(self, tiles: int) -> None:
        rng = np.random.default_rng(tiles)
        side = round(tiles**0.5)
        self.reads = 0
        self.places = {}
        for row in range(side):
            for column in range(side):
                x, y = STEP_PX * np.array([column, row]) + rng.normal(0, JITTER_PX, 2)
                name = f"r{row:03d}_c{column:03d}"
                self.places[name] = Placement(tile_id=name, x_px=float(x), y_px=float(y))
        noise = rng.integers(0, 256, (PICTURE_PX, PICTURE_PX)).astype(np.uint8)
        self._picture = cv2.GaussianBlur(noise, (0, 0), 1.5)

    def read(self, tile_id: str) -> Pixels:
        """Return a tile; neighbours do not show the same, which drawing does not mind."""
        self.reads += 1
        place = self.places[tile_id]
        x, y = (int(v) % (PICTURE_PX - SIZE_PX) for v in (place.x_px, place.y_px))
        return self._picture[y : y + SIZE_PX, x : x + SIZE_PX].astype(np.uint16) * 16


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(tiles: int) -> str:
    """Draw one scan; return its line of the table."""
    made = Scan(tiles)
    with TemporaryDirectory() as folder:
        mosaic = Mosaic(
            Path(folder) / "map.ome.zarr",
            tile_shape_px=(SIZE_PX, SIZE_PX),
            pixel_size_um=1.0,
            dtype=np.uint16,
            name="benchmark",
            simulated=True,
            boot_id="benchmark",
            live=False,
        )
        before_mb = peak_mb()
        wall_s, own_s = perf_counter(), process_time()
        mosaic.settle(made.places, made.read)
        wall_s, own_s = perf_counter() - wall_s, process_time() - own_s
    count = len(made.places)
    grown_mb = peak_mb() - before_mb
    times = f"{wall_s:9.2f}{own_s:9.2f}{1e3 * own_s / count:12.1f}"
    return f"{count:6}{times}{made.reads / count:13.2f}{grown_mb:12.0f}"


def main() -> None:
    """Print one line per number of tiles."""
    parser = argparse.ArgumentParser(description="Drawing the map: time and memory.")
    parser.add_argument("--tiles", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(measure(asked.one))
        return
    print(" tiles   wall s    CPU s  CPU ms/tile   reads/tile   peak +MB")
    for tiles in asked.tiles:
        subprocess.run([sys.executable, __file__, "--one", str(tiles)], check=True)


if __name__ == "__main__":
    main()
