"""The focus model over nights of known truth: is what it takes without a look in focus, and σ true?

    python benchmarks/focus_model.py --seeds 12

Every night scans 8 x 8 tiles, 200 µm apart, of a slide that is tilted, bowed and rough by 0.1 to
0.6 µm, under a stage that settles and drifts, waits an hour, and goes back to twelve tiles; a look
is true to 0.2 µm, and one in a hundred tells of dust, 8 to 20 µm off. Wanted: in 99 % of the tiles
half a depth of field (3.8 µm) or a look asked for, and a standardised error (root mean square of
error over σ) of 0.8 to 1.25. Peers, given the very looks that the model asked for: the z found
last, and least squares of a plane, a bowl and a drift through all looks, which is the very law
these slides are made by, and does not say when to look.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.runtime.focus.slides import DEPTH_UM, Night, Slide, scan

DRIFTS_UM_H = (0.0, 5.0, 10.0, 20.0)
TILTS = (0.0, 3e-3, 10e-3)


def peers_um(night: Night) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors of both peers at every stop: of the last z, and of least squares."""
    looks = np.array([(p.x_um, p.y_um, p.at.monotonic_s, p.z_um) for p in night.looks])
    last, fitted = [], []
    for stop in night.stops:
        known = looks[looks[:, 2] < stop[2]]
        terms = _terms(np.vstack([known, stop]))
        # With fewer looks than terms the smallest solution, which is what a pseudo-inverse gives.
        solution = np.linalg.lstsq(terms[:-1], known[:, 3], rcond=None)[0]
        last.append(known[-1, 3] - stop[3])
        fitted.append(terms[-1] @ solution - stop[3])
    return np.array(last), np.array(fitted)


def _terms(stops: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, hours = stops[:, 0] / 1e3, stops[:, 1] / 1e3, stops[:, 2] / 3600
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y, hours], axis=1)


def told(nights: list[Night]) -> str:
    """Return what a set of nights says, in one line."""
    good, asked, errors = (
        np.concatenate([getattr(night, name) for night in nights])
        for name in ("good", "asked", "used_um")
    )
    standardised = np.concatenate([night.standardised for night in nights])
    peers = [peers_um(night) for night in nights]
    within = [
        np.mean(np.abs(np.concatenate(of)[~asked]) <= DEPTH_UM / 2)
        for of in zip(*peers, strict=True)
    ]
    return (
        f"good {good.mean():.2%}, looked at {asked.mean():.0%}, standardised error "
        f"{np.sqrt(np.mean(standardised**2)):.2f}, taken without a look: p95 "
        f"{np.percentile(errors, 95):.2f} µm, within half a depth of field "
        f"{np.mean(errors <= DEPTH_UM / 2):.2%} (last z {within[0]:.1%}, least squares "
        f"{within[1]:.1%})"
    )


def main() -> None:
    """Scan every slide at every drift and tilt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    everything, began_s = [], time.process_time()
    for drift_um_h, tilt in itertools.product(DRIFTS_UM_H, TILTS):
        slides = [Slide.drawn(seed, tilt=tilt, drift_um_h=drift_um_h) for seed in seeds]
        nights = [scan(slide, side=8, revisits=12) for slide in slides]
        everything += nights
        print(f"{drift_um_h:g} µm/h, {1e3 * tilt:g} µm/mm: {told(nights)}", flush=True)
    took_ms = 1e3 * (time.process_time() - began_s) / sum(len(n.asked) for n in everything)
    print(f"all: {told(everything)}; {took_ms:.1f} ms of processor a tile")


if __name__ == "__main__":
    main()
