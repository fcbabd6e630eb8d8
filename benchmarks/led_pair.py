"""Signed defocus from a pair of LEDs, at places and on kinds of specimens not calibrated on.

    python benchmarks/led_pair.py --fields 40 --seeds 3

The slope is fitted on an amplitude object; then fields of the committed section, at random z within
ten depths of field, with shot noise of a few thousand electrons, are measured as amplitude, weak
phase and mixed objects, and sparse ones: 5 % of the section is left, in discs, and fields of bare
slide are passed over. The limit is a quarter of the depth of field. Peer: one `cv2.phaseCorrelate`
of the whole frames, windowed, with a slope of its own from the same fields. A weak phase object in
focus shows nothing: what has no shift is counted, and so is what σ itself calls unsure (more than
the limit).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.config.settings import Objective
from runtime.focus.led_pair import (
    PairShift,
    PairSlope,
    both_sidebands,
    fit_pair_slope,
    pair_shift,
)
from runtime.instrument.simulator.side_light import Material, SideLight
from runtime.instrument.simulator.specimen import CLEAR_GREY, Specimen, read_section
from runtime.instrument.simulator.truth import TrueExposure

SIZE = {"width_px": 512, "height_px": 448}
OBJECTIVE = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
DEPTH_UM = OBJECTIVE.depth_of_field_um
LIMIT_UM = DEPTH_UM / 4
SINE = 0.2
BAND = both_sidebands(na=0.3, sine=SINE, wavelength_um=0.53, pixel_um=0.5)
AMPLITUDE = Material()
CASES = {
    "amplitude": (AMPLITUDE, False),
    "weak phase": (Material(absorption=0.0, phase_rad=0.3), False),
    "mixed": (Material(absorption=1.0, phase_rad=1.0), False),
    "amplitude, sparse": (AMPLITUDE, True),
    "mixed, sparse": (Material(absorption=1.0, phase_rad=1.0), True),
}
SEEN = TrueExposure(
    time_s=0.0,
    exposure_ms=10.0,
    objective="10x",
    light_level=0.5,
    centre_um=(0.0, 0.0),
    defocus_um=0.0,
    rotation_rad=0.012,
    pixel_size_um=0.5,
    position_nm=(0, 0, 0),
    frame_index=0,
)


class Measured(NamedTuple):
    """One field: its true z, what the product says, what the peer says, processor seconds."""

    z_um: float
    ours: PairShift | None
    peer_px: float
    took_s: float


def sparse_section() -> NDArray[np.uint8]:
    """Return the section with all but scattered discs wiped clear: 5 % of it is left."""
    section = read_section()
    rng = np.random.default_rng(11)
    kept = np.zeros(section.shape, np.uint8)
    # Discs of 40 µm radius, so that most fields of 256 x 224 µm show one or none.
    radius = 160
    count = round(0.05 * section.size / (np.pi * radius**2))
    for _ in range(count):
        at = (int(rng.integers(0, section.shape[1])), int(rng.integers(0, section.shape[0])))
        cv2.circle(kept, at, radius, 1, -1)
    return np.where(kept > 0, section, np.uint8(CLEAR_GREY)).astype(np.uint8)


def measure(
    specimen: Specimen, material: Material, rng: np.random.Generator, fields: int
) -> Iterator[Measured]:
    """Yield fields at random places and z."""
    side = SideLight(sine=SINE, source=0.02, material=material)
    window = np.outer(np.hanning(SIZE["height_px"]), np.hanning(SIZE["width_px"]))
    while fields > 0:
        z_um = float(rng.uniform(-10, 10)) * DEPTH_UM
        centre_um = (float(rng.uniform(-450, 450)), float(rng.uniform(-350, 350)))
        pair: list[NDArray[np.uint16]] = []
        for channel in ("led_right", "led_left"):
            here = replace(SEEN, defocus_um=z_um, centre_um=centre_um, channel=channel)
            share = side.transmitted(specimen, OBJECTIVE, here, **SIZE)
            pair.append(rng.poisson(4000 * share).astype(np.uint16))
        # Bare slide has nothing to be measured.
        if pair[0].std() < 1.15 * np.sqrt(pair[0].mean()):
            continue
        begun = time.process_time()
        ours = pair_shift(pair[0], pair[1], highest=BAND)
        took_s = time.process_time() - begun
        first, second = (np.array(one, np.float64) for one in pair)
        (peer_px, _), _ = cv2.phaseCorrelate(first, second, window)
        fields -= 1
        yield Measured(z_um, ours, peer_px, took_s)


def said(seen: list[Measured], slope: PairSlope, peer_px_per_um: float) -> str:
    """Return one line of results."""
    found = [(one, *slope.z_um(one.ours)) for one in seen if one.ours is not None]
    sure = [(one, z, sigma) for one, z, sigma in found if sigma <= LIMIT_UM]
    errors = np.array([z - one.z_um for one, z, _ in sure])
    sigmas = np.array([sigma for _, _, sigma in sure])
    signs = [np.sign(z) != np.sign(one.z_um) for one, z, _ in sure if abs(one.z_um) > DEPTH_UM]
    peer = np.abs([one.peer_px / peer_px_per_um - one.z_um for one in seen])
    return (
        f"{len(seen)} fields, {len(seen) - len(found)} without a shift, "
        f"{len(found) - len(sure)} unsure; error median {np.median(np.abs(errors)):.2f}, "
        f"p95 {np.percentile(np.abs(errors), 95):.2f}, max {np.abs(errors).max():.2f} µm "
        f"(limit {LIMIT_UM:.2f}), sign wrong {sum(signs)}, within 2σ "
        f"{np.mean(np.abs(errors) < 2 * sigmas):.0%}; phaseCorrelate median {np.median(peer):.2f}, "
        f"p95 {np.percentile(peer, 95):.1f} µm; "
        f"{1e3 * np.median([one.took_s for one in seen]):.0f} ms of processor a pair"
    )


def main() -> None:
    """Calibrate once, then measure every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    asked = parser.parse_args()
    specimens: dict[bool, Any] = {
        False: Specimen(),
        True: Specimen(sparse_section),
    }
    known = list(measure(specimens[False], AMPLITUDE, np.random.default_rng(999), 16))
    sound = [one for one in known if one.ours is not None]
    slope = fit_pair_slope([one.z_um for one in sound], [one.ours for one in sound if one.ours])
    peer = float(np.median([one.peer_px / one.z_um for one in known if abs(one.z_um) > DEPTH_UM]))
    print(f"slope {slope.x_px_per_um:.4f} ± {slope.sigma_px_per_um:.4f} px/µm, peer {peer:.4f}")
    for name in asked.only:
        material, sparse = CASES[name]
        seen = [
            one
            for seed in range(asked.seeds)
            for one in measure(
                specimens[sparse], material, np.random.default_rng(seed), asked.fields
            )
        ]
        print(f"{name}: {said(seen, slope, peer)}", flush=True)


if __name__ == "__main__":
    main()
