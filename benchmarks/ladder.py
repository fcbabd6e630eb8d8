"""The ladder of matchers against its own first rungs: pairs right and wrong, by rung added.

64 tiles of 512 x 512, 16 bit, of known truth (`peers/grids.py`), matched by the product's own
stitcher four times: by a library's phase correlation of the same strips (`peers/plain_phase.py`),
by the product's alone, with SIFT behind it, and with a network behind both. A pair is right when
its match lies within 2 px of the truth: the median of its points, so that tiles that turn are asked
for their angle too. All are counted as matched, and as held: which of its places the pose graph
believes, where it believes any, once all tiles are placed. "of phase" is the ratio of those that
are held and right, all seeds together; "ms" the processor's time a pair, tiles' own and all
threads. Of mussel sections many tiles are empty resin, which is made constant first: two pictures
of one place do not share their noise. How many pairs show specimen in a quarter of their overlap is
told beside, and how many in a thousandth: in the others nothing is to be seen.

Noise is told in multiples of the signal: the deviation over 57 px, in the mean of the places that
show something. Each seed takes another place of the specimen. In the scans called apart, tiles
have changed places, so that what the stage calls neighbours overlaps nowhere; every match is wrong.

The section is the committed one of mussel, which no shipped network was trained on; others are
images of your own, or maps drawn of them:

    nightscope stitch cremi_tiles/C2 --pattern "C2_{row}_{col}.png" --overlap 0.12 --out c2
    python benchmarks/ladder.py --network match.nsb --specimen ssTEM=c2/mosaic.ome.zarr

The keys of the network are those in `keys/` beside it, or the shipped ones. Without `--network` it
is the shipped one; where there is none, the first two rungs are measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import zarr
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from peers.grids import (  # noqa: E402
    COUNTS_PER_GREY,
    SECTION,
    SIZE_PX,
    Grid,
    Kind,
    extent_px,
    scanned,
)
from peers.plain_phase import plain_phase  # noqa: E402

from export.datasets.pairs.images import micrographs  # noqa: E402
from runtime.config.settings import SHIPPED_MODELS, ModelsSection  # noqa: E402
from runtime.instrument.camera.files import read_image  # noqa: E402
from runtime.stitch.match.ladder import LADDERS  # noqa: E402
from runtime.stitch.match.learned import CellFinder  # noqa: E402
from runtime.stitch.stitcher import Stitcher  # noqa: E402
from runtime.tasks.match.finder import StripFinder  # noqa: E402
from runtime.tile import Pixels, Shift  # noqa: E402

WRONG_PX = 2.0
SIGNAL_WINDOW_PX = 57
SHOWN_SHARE, ANY_SHARE = 0.25, 0.001
RAGGED = 0.05
EIGHT_BIT_STEP = 257
NETWORK = "strip-match"
PLAIN, PHASE = "scikit-image's phase", "phase"
SIFT, LEARNED = "phase, sift", "phase, sift, network"
WIDTHS = (14, 12, 14, 14)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of scan; `noise` replaces the kind's, in multiples of the signal as it is shown."""

    kind: Kind
    noise: float | None = None
    apart: bool = False

    def of(self, signal_grey: float) -> Kind:
        """Return the kind for a specimen of a signal."""
        if self.noise is None:
            return self.kind
        shown = COUNTS_PER_GREY * self.kind.contrast * signal_grey
        return replace(self.kind, noise=self.noise * shown)


FAINT = Kind(contrast=0.25)
CASES = {
    "quarter contrast, noise 2": Case(kind=FAINT, noise=2.0),
    "quarter contrast, noise 4": Case(kind=FAINT, noise=4.0),
    "quarter contrast, noise 5": Case(kind=FAINT, noise=5.0),
    "turned 5°": Case(kind=Kind(turn_deg=5.0)),
    "3 % overlap": Case(kind=Kind(overlap=0.03, jitter_px=2.0)),
    "apart": Case(kind=Kind(), apart=True),
    "apart, quarter contrast, noise 2": Case(kind=FAINT, noise=2.0, apart=True),
}


@dataclass(frozen=True)
class Specimen:
    """Grey levels (y, x), constant where nothing is shown; where something is; the signal."""

    grey: NDArray[np.float32]
    shown: NDArray[np.bool_]
    signal_grey: float

    @classmethod
    def read(cls, path: Path) -> Specimen:
        """Return the specimen of a picture; levels of 16 bits become those of 8."""
        image = picture(path)
        (made,) = micrographs([image], name=str(path))
        step = 1 if image.dtype == np.uint8 else EIGHT_BIT_STEP
        grey = np.asarray(made.pixels, np.float32) / np.float32(step)
        x, y = made.places.T
        return cls(grey, made.pixels != made.level, float(deviation(grey)[y, x].mean()))

    def window(self, side_px: int, *, seed: int) -> Specimen:
        """Return a square of it at a place drawn by chance, mirrored at its rim if too small."""
        rng = np.random.default_rng([seed, 7])
        top, left = (int(rng.integers(max(n - side_px, 0) + 1)) for n in self.grey.shape)
        cut = np.s_[top : top + side_px, left : left + side_px]
        below, right = (max(side_px - n, 0) for n in self.grey.shape)
        grey, shown = (
            cv2.copyMakeBorder(of[cut], 0, below, 0, right, cv2.BORDER_REFLECT)
            for of in (self.grey, self.shown.astype(np.uint8))
        )
        return Specimen(np.asarray(grey, np.float32), shown != 0, self.signal_grey)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Pairs that a ladder was asked, and what it said; `cost_ms` a pair, of the processor."""

    asked: int
    shown: int
    to_see: int
    right: int
    wrong: int
    held_right: int
    held_wrong: int
    cost_ms: float


def picture(path: Path) -> Pixels:
    """Return the pixels of an image file, or of a map that `nightscope stitch` drew: without the
    rim, where its tiles end at different rows and columns.
    """
    if not path.is_dir():
        return read_image(path)
    drawn = np.asarray(zarr.open_array(path / "0", mode="r")[:])
    gaps = [(drawn == 0).mean(axis=axis) for axis in (1, 0)]
    rows, columns = (np.flatnonzero(along < RAGGED) for along in gaps)
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def deviation(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviation about every pixel, (y, x)."""
    size = (SIGNAL_WINDOW_PX, SIGNAL_WINDOW_PX)
    mean = cv2.blur(grey, size)
    return np.sqrt(np.maximum(cv2.sqrBoxFilter(grey, cv2.CV_32F, size) - mean * mean, 0))


def exchanged(grid: Grid, *, seed: int) -> Grid:
    """Return the scan with every tile's picture, and where it truly lies, at another's place."""
    order = np.random.default_rng([seed, 8]).permutation(len(grid.tiles))
    pictures = list(grid.tiles.values())
    return Grid(
        grid.kind,
        {name: pictures[of] for name, of in zip(grid.tiles, order, strict=True)},
        grid.stage_px,
        *(of[order] for of in (grid.truth_px, grid.theta_rad, grid.shown)),
    )


def share_shown(grid: Grid, shown: NDArray[np.bool_], a: int, b: int) -> float | None:
    """Return how much of what two tiles truly have in common shows specimen, None for nothing in
    common; as if they were not turned.
    """
    low = np.maximum(grid.truth_px[a], grid.truth_px[b]) - SIZE_PX / 2
    high = np.minimum(grid.truth_px[a], grid.truth_px[b]) + SIZE_PX / 2
    (left, top), (right, bottom) = (np.rint(end).astype(int) for end in (low, high))
    if right <= left or bottom <= top:
        return None
    return float(shown[top:bottom, left:right].mean())


def off_px(
    grid: Grid, shift: Shift, names: Sequence[str], way: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Return how far apart the points truly lie that a match holds together, their median; with b
    at another of its places, a `way` further.
    """
    in_a, in_b = (np.array([getattr(p, end) for p in shift.pairs]) for end in ("a_px", "b_px"))
    in_b = in_b - way
    return float(np.median(grid.apart_px(names.index(shift.a), in_a, names.index(shift.b), in_b)))


def climbed(
    grid: Grid, case: Case, shown: NDArray[np.bool_], matcher: str, finder: CellFinder | None
) -> Tally:
    """Return what one ladder says of a scan, tile by tile in the order they are taken."""
    began_s = process_time()
    stitcher = Stitcher(
        px_from_stage=np.eye(2),
        stage_sigma_px=grid.kind.jitter_px,
        shape_px=(SIZE_PX, SIZE_PX),
        matcher=matcher,
        network=lambda: finder,
    )
    names, shifts = list(grid.tiles), list[Shift]()
    for name, (x, y) in ((names[n], grid.stage_px[n]) for n in grid.order):
        tile = grid.tiles[name]
        found = stitcher.add(name, tile, x_um=x, y_um=y, earlier=grid.tiles.__getitem__)
        shifts += found.shifts
    took_s = process_time() - began_s
    seams = {(s.a, s.b): s for s in stitcher.seams(stitcher.solve()) if s.method != "none"}
    shares = {s: share_shown(grid, shown, names.index(s.a), names.index(s.b)) for s in shifts}
    # Exchanged tiles may overlap by luck: such a pair is no question here.
    asked = [s for s in shifts if not case.apart or shares[s] is None]
    matched = [s for s in asked if s.method != "none"]
    right = sum(off_px(grid, s, names) < WRONG_PX for s in matched)
    held = [(s, seams[s.a, s.b]) for s in matched if (s.a, s.b) in seams]
    held_right = sum(
        off_px(grid, s, names, (seam.dx_px - s.dx_px, seam.dy_px - s.dy_px)) < WRONG_PX
        for s, seam in held
    )
    return Tally(
        asked=len(asked),
        shown=sum((shares[s] or 0.0) >= SHOWN_SHARE for s in asked),
        to_see=sum((shares[s] or 0.0) >= ANY_SHARE for s in asked),
        right=right,
        wrong=len(matched) - right,
        held_right=held_right,
        held_wrong=len(held) - held_right,
        cost_ms=took_s / len(shifts) * 1e3,
    )


def scan(case: Case, specimen: Specimen, *, seed: int) -> tuple[Grid, NDArray[np.bool_]]:
    """Return a case's scan of a specimen, and where the scanned part shows something."""
    kind = case.of(specimen.signal_grey)
    seen = specimen.window(extent_px(kind), seed=seed)
    grid = scanned(kind, seen.grey, seed=seed)
    return exchanged(grid, seed=seed) if case.apart else grid, seen.shown


def ladders(finder: CellFinder | None) -> dict[str, tuple[str, CellFinder | None]]:
    """Return the matcher and the network of every ladder, by name."""
    LADDERS[PLAIN] = (plain_phase,)
    named: dict[str, tuple[str, CellFinder | None]] = {
        PLAIN: (PLAIN, None),
        PHASE: ("phase", None),
        SIFT: ("auto", None),
    }
    return named if finder is None else named | {LEARNED: ("auto", finder)}


def compare(
    case: Case,
    specimen: Specimen,
    seeds: Sequence[int],
    climbed_by: dict[str, tuple[str, CellFinder | None]],
) -> None:
    """Print one line for every ladder."""
    told: dict[str, list[Tally]] = {name: [] for name in climbed_by}
    for seed in seeds:
        grid, shown = scan(case, specimen, seed=seed)
        for name, (matcher, network) in climbed_by.items():
            told[name].append(climbed(grid, case, shown, matcher, network))
    phase = told.get(PHASE, [])
    first = sum(tally.held_right for tally in phase)
    one = next(iter(told.values()))
    print(
        f"pairs {_each(one, 'asked')}, showing specimen {_each(one, 'shown')}, "
        f"anything {_each(one, 'to_see')}"
    )
    heads = ("right", "wrong", "held, right", "held, wrong")
    head = "".join(f"{one:>{width}}" for one, width in zip(heads, WIDTHS, strict=True))
    print(f"{'ladder':24}{head}{'of phase':>10}{'ms':>10}", flush=True)
    for name, tallies in told.items():
        print(_row(name, tallies, first), flush=True)


def _each(tallies: list[Tally], field: str) -> str:
    return " ".join(str(getattr(tally, field)) for tally in tallies)


def _row(name: str, tallies: list[Tally], first: int) -> str:
    fields = ("right", "wrong", "held_right", "held_wrong")
    cells = [
        f"{_each(tallies, field):>{width}}" for field, width in zip(fields, WIDTHS, strict=True)
    ]
    ratio = sum(tally.held_right for tally in tallies) / first if first else float("nan")
    cost_ms = float(np.median([tally.cost_ms for tally in tallies]))
    return f"{name:24}" + "".join(cells) + f"{ratio:10.2f}{cost_ms:10.0f}"


def finder_of(network: Path, models: ModelsSection) -> CellFinder:
    """Return what asks a bundle, as `nightscope stitch --network` does."""
    return StripFinder(models, str(network))


def models_of(network: Path) -> ModelsSection:
    """Return the settings by which a bundle is trusted: its keys beside it, or the shipped ones."""
    beside = (network.parent / "keys").is_dir()
    return ModelsSection(folder=network.parent) if beside else ModelsSection()


def shipped() -> Path | None:
    """Return the shipped network, None where there is none."""
    return next(iter(sorted(SHIPPED_MODELS.glob(f"{NETWORK}-*.nsb"))), None)


def main() -> None:
    """Print one table for every specimen and case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--network", type=Path, metavar="BUNDLE", default=shipped())
    parser.add_argument("--specimen", action="append", default=[], metavar="NAME=IMAGE")
    parser.add_argument("--cases", nargs="*", choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--ladders", nargs="*", choices=[PLAIN, PHASE, SIFT, LEARNED])
    parser.add_argument("--only-named", action="store_true", help="leave the mussel out")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    network = asked.network
    finder = None if network is None else finder_of(network, models_of(network))
    climbed_by = ladders(finder)
    if asked.ladders:
        climbed_by = {name: climbed_by[name] for name in asked.ladders}
    seeds = range(asked.first, asked.first + asked.seeds)
    images = {} if asked.only_named else {"mussel": SECTION}
    images |= {name: Path(path) for name, path in (one.split("=", 1) for one in asked.specimen)}
    for name, path in images.items():
        specimen = Specimen.read(path)
        for case in asked.cases or CASES:
            print(f"\n{name}, {case}", flush=True)
            compare(CASES[case], specimen, seeds, climbed_by)


if __name__ == "__main__":
    main()
