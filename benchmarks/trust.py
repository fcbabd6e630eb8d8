"""What the guard of the mussel model doubts, against its softmax score as the usual guard.

    NIGHTSCOPE_DATA=path/to/data python benchmarks/trust.py [BUNDLE]

Rows: tiles as they should be, the same tiles spoilt in ways that happen, and other instruments'
images (where the folder is there). "by score" doubts a tile when its best score is below the limit
that doubts as many of the good test tiles as the guard may, 1 % (Hendrycks & Gimpel 2017,
arXiv:1610.02136). "right" is the accuracy of all tiles, "right, trusted" of those not doubted. Ends
with the time the guard takes beside the sampling it rests on: medians of one process.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from export.config.data import SectionsData
from export.config.training import read_config
from export.datasets.augment import expose, random_exposure
from export.datasets.overview import overview_tiles
from export.datasets.patches import draw_patch
from export.datasets.section import Section, read_section
from runtime.inference.bundle import open_bundle
from runtime.inference.view_input import ViewInput
from runtime.instrument.camera.files import read_image
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.descriptor import describe
from runtime.tasks.registry import RECORDS
from runtime.tile import Label, Picture, Pixels

ROOT = Path(__file__).parents[1]
SHIPPED, KEYS = ROOT / "runtime/models/mussel-tissue-1.3.0.nsb", ROOT / "runtime/models/keys"
CONFIG = ROOT / "export" / "configs" / "mussel_tissue.toml"
DATA = Path(os.environ.get("NIGHTSCOPE_DATA", ROOT.parent / "shared" / "data"))
ELSEWHERE = {
    "CREMI, transmission EM": "cremi_tiles/*/*.png",
    "MIST, phase contrast": "mist_phase/*_p??.tif",
    "UHCS, SEM of steel": "uhcs_sem/**/*.png",
}
FULL_SCALE, ELECTRONS_PER_DN, READ_DN = 4095, 4.0, 1.5
CLASSES = ("resin", "tissue")
FIELD_PX = (448, 512)
SCANS, PATCHES, MOST_FILES, ROUNDS = 3, 256, 60, 50

Spoil = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]
Labelled = tuple[Label, int | None]


def inverted(tile: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile with dark for light, as secondary against backscattered electrons."""
    low, high = np.percentile(tile, [0.5, 99.5])
    return np.float32(low + high) - tile


def bent(tile: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile under a gamma of 3."""
    high = np.float32(np.percentile(tile, 99.5))
    return np.asarray((tile / high) ** 3 * high, dtype=np.float32)


def blurred(tile: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile out of focus by a Gaussian of sigma 4 px, with fresh noise."""
    return noisy(np.asarray(cv2.GaussianBlur(tile, (0, 0), 4.0), np.float32), rng)


def blank(tile: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return nothing but the tile's median light and noise."""
    return noisy(np.full_like(tile, np.median(tile)), rng)


def saturated(tile: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile with its brightest 30 % beyond the full scale."""
    return tile * np.float32(FULL_SCALE / np.percentile(tile, 70))


def cut_at_black(tile: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile with its darkest 30 % at zero."""
    return (tile - np.float32(np.percentile(tile, 30))) * np.float32(1.5)


def noisy(tile: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the tile with the demo camera's shot and read noise."""
    deviation = np.sqrt(np.maximum(tile, 0) / ELECTRONS_PER_DN + READ_DN**2)
    return tile + deviation * rng.standard_normal(tile.shape, dtype=np.float32)


SPOILT: dict[str, Spoil] = {
    "contrast inverted": inverted,
    "gamma 3": bent,
    "blur, sigma 4 px": blurred,
    "blank: flat and noise": blank,
    "30 % saturated": saturated,
    "30 % cut at black": cut_at_black,
}


class Judge:
    """Labels pixel arrays with one bundle."""

    def __init__(self, path: Path) -> None:
        self._classifier = TileClassifier.open(path, keys=KEYS, backend="onnxruntime")

    def __call__(self, pixels: Pixels) -> Label:
        """Return the label; images smaller than the field are continued as in a mirror."""
        bottom, right = (
            max(0, wanted - side) for wanted, side in zip(FIELD_PX, pixels.shape, strict=True)
        )
        if bottom or right:
            mirrored = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
            pixels = np.asarray(mirrored, pixels.dtype)
        size_um = self._classifier.pixel_size_um
        return self._classifier.classify(Picture(pixels=pixels, pixel_size_um=size_um))


def spoil(pixels: Pixels, how: Spoil, rng: np.random.Generator) -> Pixels:
    """Return 12-bit pixels spoilt."""
    numbers = np.rint(how(pixels.astype(np.float32), rng))
    return np.asarray(np.clip(numbers, 0, FULL_SCALE), dtype=np.uint16)


def sections() -> tuple[Section, Section]:
    """Return the rows that validate and the test section of the shipped configuration."""
    data = read_config(CONFIG).data
    assert isinstance(data, SectionsData)
    loaded = [
        read_section(
            CONFIG.parent / one.image,
            CONFIG.parent / one.labels,
            image_pixel_size_um=one.image_pixel_size_um,
            pixel_size_um=one.pixel_size_um,
        )
        for one in (data.section, data.test_section)
    ]
    return loaded[0].rows(*data.section.validation_rows), loaded[1]


def patches(section: Section, seed: int) -> Iterable[tuple[Pixels, int]]:
    """Yield random augmented patches with their classes."""
    rng = np.random.default_rng([seed, 7])
    for _ in range(PATCHES):
        patch = draw_patch(section, rng)
        target = int(section.is_tissue(patch.coverage))
        yield expose(patch.pixels, random_exposure(rng), rng), target


def row(name: str, labels: list[Labelled], *, least_score: float) -> str:
    """Return one line of the table."""
    doubted = [not label.trusted for label, _ in labels]
    by_score = [label.score < least_score for label, _ in labels]
    reasons = Counter(label.doubt.partition(":")[0] for label, _ in labels if label.doubt)
    cells = [
        name,
        str(len(labels)),
        f"{np.mean(doubted):.1%}",
        f"{np.mean(by_score):.1%}",
        _right(labels),
        _right([one for one in labels if one[0].trusted]),
        reasons.most_common(1)[0][0] if reasons else "–",
    ]
    return f"| {' | '.join(cells)} |"


def _right(labels: list[Labelled]) -> str:
    known = [label.name == CLASSES[target] for label, target in labels if target is not None]
    return f"{np.mean(known):.1%}" if known else "–"


def time_the_guard(pixels: Pixels, spec: PreprocessSpec) -> str:
    """Return the medians of sampling and of describing one tile."""
    sampling, describing = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        sampled = sample(pixels, spec)
        between = time.perf_counter()
        describe(pixels, sampled, spec)
        sampling.append(1e3 * (between - start))
        describing.append(1e3 * (time.perf_counter() - between))
    return (
        f"sampling {statistics.median(sampling):.2f} ms, "
        f"describing {statistics.median(describing):.2f} ms"
    )


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    judge, rng = Judge(path), np.random.default_rng(0)
    validation, test = sections()
    scans = [
        (tile.pixels, int(test.is_tissue(float(tile.tissue.mean()))))
        for scan in range(SCANS)
        for tile in overview_tiles(test, np.random.default_rng([scan, 3]))
    ]
    good: list[Labelled] = [(judge(pixels), target) for pixels, target in scans]
    least_score = float(np.quantile([label.score for label, _ in good], 0.01))
    print("| tiles | n | doubted | by score | right | right, trusted | commonest doubt |")
    print("|---|---|---|---|---|---|---|")
    drawn = {"validation patches": validation, "test patches": test}
    print(row("test overviews", good, least_score=least_score))
    for name, section in drawn.items():
        labels = [(judge(pixels), target) for pixels, target in patches(section, 0)]
        print(row(name, labels, least_score=least_score))
    for name, how in SPOILT.items():
        spoilt = [(judge(spoil(pixels, how, rng)), target) for pixels, target in scans]
        # A blank has no right answer but "resin".
        known = [(label, 0 if how is blank else target) for label, target in spoilt]
        print(row(name, known, least_score=least_score))
    for name, pattern in ELSEWHERE.items():
        files = sorted(DATA.glob(pattern))[:MOST_FILES]
        foreign: list[Labelled] = [(judge(read_image(file)), None) for file in files]
        print(row(name, foreign, least_score=least_score) if files else f"({name}: not here)")
    shown = open_bundle(path, keys=KEYS, tasks=RECORDS).input(ViewInput)
    print(time_the_guard(scans[0][0], shown.spec))


if __name__ == "__main__":
    main()
