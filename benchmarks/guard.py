"""What the guard of a shipped classifier doubts: in every depth, of spoilt pictures, of strangers.

    NIGHTSCOPE_DATA=path/to/data python -m benchmarks.guard [BUNDLE]

Everything passes through one camera model (`export.datasets.cameras`), each tile through a camera
of its own: 8 to 16 bits, noise, exposure, focus; what is foreign as what is not. Shares of
doubts are of the tiles that are not blank; "wrong, trusted" is the share of all labels that are
wrong and not doubted, "clear" that of those which are tissue by 5 points or more than the limit
or less.
Ends with the time the guard takes beside the sampling it rests on: medians of one process.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.guard_tiles import (
    FIELD_PX,
    FOREIGN,
    SPOILT,
    Spoil,
    Tile,
    crops,
    foreign_tiles,
    sections,
)
from export.datasets.cameras import RecordingCamera, random_camera
from runtime.inference.bundle import open_bundle
from runtime.inference.view_input import ViewInput
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.descriptor import describe
from runtime.tasks.registry import RECORDS
from runtime.tile import BLANK_DOUBT, Label, Picture, Pixels

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "runtime" / "models"
DATA = Path(os.environ.get("NIGHTSCOPE_DATA", ROOT.parent / "shared" / "data"))
CLASSES = ("resin", "tissue")
TILES, ROUNDS = int(os.environ.get("NIGHTSCOPE_TILES", "100")), 50
FAITHFUL = RecordingCamera(bits=8, white=1.0, electrons=np.inf)

Camera = Callable[[np.random.Generator], RecordingCamera]
Labelled = tuple[Label, Tile]

CAMERAS: dict[str, Camera] = {
    "as the file is, 8 bits": lambda _: FAITHFUL,
    "8 bits": lambda rng: random_camera(rng, bits=8),
    "10 bits": lambda rng: random_camera(rng, bits=10),
    "12 bits": lambda rng: random_camera(rng, bits=12),
    "16 bits": lambda rng: random_camera(rng, bits=16),
    "8 bits, JPEG 90": lambda rng: replace(random_camera(rng, bits=8), quality=90),
    "8 bits, JPEG 70": lambda rng: replace(random_camera(rng, bits=8), quality=70),
}


class Judge:
    """Labels pixel arrays with one bundle."""

    def __init__(self, path: Path) -> None:
        self.classifier = TileClassifier.open(path, keys=MODELS / "keys", backend="onnxruntime")

    def __call__(
        self, tiles: Sequence[Tile], camera: Camera, *, seed: int, how: Spoil | None = None
    ) -> list[Labelled]:
        """Return the labels of tiles, spoilt and then recorded, each beside what was recorded."""
        found: list[Labelled] = []
        for index, tile in enumerate(tiles):
            rng = np.random.default_rng([seed, index])
            seen = tile if how is None else how(tile, rng)
            pixels = camera(rng).record(seen.light, rng)
            size_um = self.classifier.pixel_size_um
            label = self.classifier.classify(Picture(pixels=pixels, pixel_size_um=size_um))
            found.append((label, seen))
        return found


def row(name: str, camera: str, labels: list[Labelled]) -> str:
    """Return one line of a table."""
    shown = [one for one in labels if one[0].doubt != BLANK_DOUBT]
    about = Counter(label.doubt_about for label, _ in shown if label.doubt)
    reasons = Counter(label.doubt.partition(":")[0] for label, _ in shown if label.doubt)
    cells = [name, camera, str(len(labels)), str(len(labels) - len(shown))]
    cells += [_share(about.total(), len(shown))]
    cells += [_share(about[kind], len(shown)) for kind in ("specimen", "instrument", "score")]
    known = [(label, tile) for label, tile in labels if tile.target is not None]
    wrong = [(label, tile) for label, tile in known if label.name != CLASSES[tile.target]]
    trusted = [tile for label, tile in wrong if label.trusted]
    clear = sum(not tile.about_the_limit for tile in trusted)
    cells += [_share(count, len(known)) for count in (len(wrong), len(trusted), clear)]
    cells.append(reasons.most_common(1)[0][0] if reasons else "–")
    return f"| {' | '.join(cells)} |"


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else "–"


def rows(judge: Judge) -> Iterator[str]:
    """Yield the lines of the table: as it should be, spoilt, foreign."""
    tiles = {name: crops(section, TILES) for name, section in sections().items()}
    for name, shown in tiles.items():
        for camera, draw in CAMERAS.items():
            yield row(name, camera, judge(shown, draw, seed=1))
    unseen = [tile for name, shown in tiles.items() if name.startswith("unseen") for tile in shown]
    for name, how in SPOILT.items():
        yield row(name, "8 to 16 bits", judge(unseen, random_camera, seed=2, how=how))
    for name, pattern in FOREIGN.items():
        shown = foreign_tiles(DATA, pattern, most=TILES)
        if not shown:
            yield f"| {name} | (not here) |"
            continue
        yield row(name, "8 to 16 bits", judge(shown, random_camera, seed=3))


def time_the_guard(pixels: Pixels, spec: PreprocessSpec) -> str:
    """Return the medians of sampling and of describing one tile."""
    sampling, describing = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        sampled = sample(pixels, spec, counted=True)
        between = time.perf_counter()
        describe(pixels, sampled, spec)
        sampling.append(1e3 * (between - start))
        describing.append(1e3 * (time.perf_counter() - between))
    return (
        f"sampling {statistics.median(sampling):.2f} ms, "
        f"describing {statistics.median(describing):.2f} ms (fastest {min(describing):.2f})"
    )


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else sorted(MODELS.glob("mussel-tissue-*"))[-1]
    print(f"{path.name}: {TILES} tiles of each section, {FIELD_PX[1]} x {FIELD_PX[0]} px")
    heads = ("doubted", "specimen", "instrument", "score", "wrong", "wrong, trusted", "clear")
    print(f"| tiles | camera | n | blank | {' | '.join(heads)} | commonest doubt |")
    print("|---" * 12 + "|")
    for line in rows(Judge(path)):
        print(line, flush=True)
    shown = open_bundle(path, keys=MODELS / "keys", tasks=RECORDS).input(ViewInput)
    tile, rng = crops(sections()["training section"], 1)[0], np.random.default_rng(0)
    print(time_the_guard(random_camera(rng, bits=12).record(tile.light, rng), shown.spec))


if __name__ == "__main__":
    main()
