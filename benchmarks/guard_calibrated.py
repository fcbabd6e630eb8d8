"""What `calibrate guard` makes of instruments that record otherwise than training did.

    NIGHTSCOPE_DATA=path/to/data python -m benchmarks.guard_calibrated [BUNDLE]

Every instrument is one camera and one way of spoiling pictures. Fifty tiles of the training section
that went through it are fitted as the routine fits them; then tiles of sections that were not
fitted, and of foreign specimens, go through it too. Shares are of tiles that are not blank.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.guard import DATA, MODELS, TILES, Judge, Labelled
from benchmarks.guard_tiles import (
    FOREIGN,
    Spoil,
    Tile,
    bent,
    blurred,
    crops,
    foreign_tiles,
    lined,
    sections,
)
from calibration.guard import fit_guard, judge
from export.datasets.cameras import RecordingCamera
from runtime.tile import BLANK_DOUBT, Picture

CAMERA = RecordingCamera(bits=12, white=0.7, electrons=2e4, blur_px=0.5)
FITTED = 60
INSTRUMENTS: dict[str, tuple[RecordingCamera, Spoil | None]] = {
    "12 bits, as training": (CAMERA, None),
    "8 bits, JPEG 70": (replace(CAMERA, bits=8, quality=70), None),
    "soft: sigma 2 px": (CAMERA, blurred(2)),
    "gamma 2": (CAMERA, bent(2)),
    "line noise, 5 %": (CAMERA, lined),
}


def doubted(labels: list[Labelled]) -> str:
    """Return the share of doubts for specimen or instrument, of tiles that are not blank."""
    shown = [label for label, _ in labels if label.doubt != BLANK_DOUBT]
    doubts = sum(label.doubt_about in ("specimen", "instrument") for label in shown)
    return f"{doubts / len(shown):.1%}" if shown else "–"


def calibrated(
    judging: Judge, tiles: list[Tile], camera: RecordingCamera, how: Spoil | None
) -> str:
    """Fit the guard of a judge to an instrument; return what the routine says of it."""
    classifier, seen, labels = judging.classifier, [], []
    assert classifier.guard is not None
    for index, tile in enumerate(tiles):
        rng = np.random.default_rng([4, index])
        spoilt = tile if how is None else how(tile, rng)
        pixels = camera.record(spoilt.light, rng)
        shown = Picture(pixels=pixels, pixel_size_um=classifier.pixel_size_um)
        prepared = classifier.prepare(shown)
        label = classifier.judge(prepared)
        if label.doubt != BLANK_DOUBT:
            seen.append(np.mean([one.features for one in prepared.evidence], axis=0))
            labels.append(label.name)
    fit = fit_guard(np.array(seen), classifier.guard)
    outcome = judge(fit, classifier.guard, labels=labels, blank=len(tiles) - len(labels))
    judging.classifier = classifier.guarded(
        replace(
            classifier.guard,
            mean=fit.mean,
            limit=fit.limit,
            specimen_limit=fit.specimen_limit,
            foreign_limit=fit.foreign_limit,
        )
    )
    said = "passed" if outcome.passed else outcome.advice.partition(":")[0]
    limits = ", ".join(f"{x:.1f}" for x in (fit.limit, fit.specimen_limit, fit.foreign_limit))
    return f"{said}; limits {limits}, moved {fit.moved:.2f}"


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else sorted(MODELS.glob("mussel-tissue-*"))[-1]
    known = {name: crops(section, TILES) for name, section in sections().items()}
    good = [known[name] for name in ("unseen half of it", "unseen section")]
    foreign = [foreign_tiles(DATA, pattern, most=TILES) for pattern in FOREIGN.values()]
    print(
        "| instrument | guard | unseen half | unseen section |", " | ".join(FOREIGN), "| routine |"
    )
    print("|---" * (5 + len(FOREIGN)) + "|")
    for name, (camera, how) in INSTRUMENTS.items():
        judging, said = Judge(path), ""
        for guard in ("the model's", "calibrated"):
            if guard == "calibrated":
                said = calibrated(judging, known["training section"][:FITTED], camera, how)
            cells = [
                doubted(judging(tiles, lambda _, c=camera: c, seed=5, how=how)) if tiles else "–"
                for tiles in (*good, *foreign)
            ]
            print(f"| {name} | {guard} | {' | '.join(cells)} | {said} |", flush=True)


if __name__ == "__main__":
    main()
