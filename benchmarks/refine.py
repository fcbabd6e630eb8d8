"""The shift of an overlap to a fraction of a pixel: ours, two peers, and the Cramer-Rao bound.

Pairs of overlaps 512 pixels long are cut from the committed section by Fourier shift, with a true
shift of up to half a pixel on either axis, each with a gain, an offset, quadratic shading and noise
of its own. Sharp pairs are the section as it is, soft ones the section enlarged two and three
times. The peers get the same crops:

- nightscope: `runtime.stitch.match.subpixel.refine`;
- skimage: `phase_cross_correlation`, upsampled 100 times;
- cv2: `phaseCorrelate` with a Hanning window.

Printed are the bias and the error (root mean square, per axis, pixels), the bound
sigma^2 (G^T G)^-1 on that error with G the gradient of the noiseless picture, what nightscope
claims, and how its error compares with that (chi squared per degree of freedom; 1 is honest; far
below 1 where the floor of the claim is larger than the error).

    python benchmarks/refine.py
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.stitch.match.subpixel import refine  # noqa: E402

LENGTH_PX, MARGIN_PX, FADE_PX = 512, 80, 48
Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Answer = tuple[Floats, Floats | None]


@dataclass(frozen=True)
class Case:
    """What is cut: how far the section is enlarged, how wide the overlap is, grey levels."""

    name: str
    enlarged: int
    width_px: int
    contrast: float
    noise: float


CASES = (
    Case("sharp", 1, 51, 1.0, 1.25),
    Case("sharp, 26 px", 1, 26, 1.0, 1.25),
    Case("sharp, quarter contrast, noise", 1, 51, 0.25, 10.0),
    Case("soft", 3, 51, 1.0, 10.0),
    Case("soft, 26 px", 3, 26, 1.0, 10.0),
    Case("soft, little noise", 2, 51, 1.0, 2.0),
    Case("soft, quarter contrast", 3, 51, 0.25, 4.0),
)


@dataclass(frozen=True)
class Pair:
    """Two crops, the true shift (x, y) of b's content in a, and the bound on its error."""

    a: Image
    b: Image
    shift_px: Floats
    bound_px: Floats


def source(enlarged: int) -> Image:
    """Return a textured part of the section."""
    path = ROOT / "runtime/instrument/simulator/specimen/s3_section.webp"
    image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    part = image[1500 : 1500 + 2500 // enlarged, 1500 : 1500 + 3000 // enlarged]
    return np.asarray(
        cv2.resize(part, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC), np.float32
    )


def cut(image: Image, at_px: Floats, shape: tuple[int, int]) -> Floats:
    """Return the crop whose pixel (0, 0) lies at `at_px`, shifted by Fourier, faded far outside."""
    x, y = (int(np.floor(v)) for v in at_px)
    rows = slice(y - MARGIN_PX, y + shape[0] + MARGIN_PX)
    wide = image[rows, x - MARGIN_PX : x + shape[1] + MARGIN_PX].astype(np.float64)
    fades = []
    for n in wide.shape:
        edge = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
        fades.append(np.sin(np.pi / 2 * np.minimum(edge / FADE_PX, 1)) ** 2)
    level = wide.mean()
    wide = (wide - level) * np.outer(*fades)
    fy, fx = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])
    ramp = np.exp(2j * np.pi * (fy * (at_px[1] - y) + fx * (at_px[0] - x)))
    moved: Floats = np.fft.irfft2(np.fft.rfft2(wide) * ramp, s=wide.shape) + level
    return moved[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def pairs(case: Case, count: int) -> Iterator[Pair]:
    """Yield pairs of known shift; the camera has sixteen levels to one of the section's."""
    image, rng = source(case.enlarged), np.random.default_rng(0)
    shape = (LENGTH_PX, case.width_px)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    for _ in range(count):
        room = np.array(image.shape[::-1]) - LENGTH_PX - MARGIN_PX - 8
        at, shift = rng.uniform(MARGIN_PX + 8, room), rng.uniform(-0.5, 0.5, 2)
        clean = [case.contrast * cut(image, place, shape) for place in (at, at + shift)]
        seen = []
        for picture in clean:
            shading = sum(rng.normal(0, 3) * term for term in (x, y, x * y, x * x, y * y))
            picture = picture * rng.uniform(0.9, 1.1) + case.contrast * shading
            picture = 16 * (picture + rng.normal(0, case.noise, shape)) + 2000
            seen.append(np.rint(np.clip(picture, 0, 65535)).astype(np.float32))
        down, across = np.gradient(clean[0])
        terms = np.stack([across.ravel(), down.ravel()])
        bound = np.linalg.inv(terms @ terms.T / (2 * case.noise**2))
        yield Pair(seen[0], seen[1], shift, np.sqrt(np.diag(bound)))


def nightscope(a: Image, b: Image) -> Answer:
    """Return the product's own shift (x, y) and its covariance; NaN where it finds none."""
    blocks = refine(a, b)
    if blocks is None:
        return np.full(2, np.nan), None
    return blocks.shift_px, blocks.covariance_px2


def by_skimage(a: Image, b: Image) -> Answer:
    """Return the shift by the peak of the phase correlation."""
    (dy, dx), _, _ = phase_cross_correlation(a, b, upsample_factor=100)
    return np.array([dx, dy]), None


def by_cv2(a: Image, b: Image) -> Answer:
    """Return the shift by the centroid around the peak; the call writes to its inputs."""
    window = cv2.createHanningWindow((a.shape[1], a.shape[0]), cv2.CV_32F)
    return np.array(cv2.phaseCorrelate(b.copy(), a.copy(), window)[0]), None


TOOLS: dict[str, Callable[[Image, Image], Answer]] = {
    "nightscope": nightscope,
    "skimage": by_skimage,
    "cv2": by_cv2,
}


def show(case: Case, made: list[Pair]) -> None:
    """Print one table."""
    bound = np.sqrt(np.mean([pair.bound_px**2 for pair in made]))
    print(f"\n{case.name}: bound {bound:.4f} px")
    print(f"{'tool':12}{'bias x':>9}{'bias y':>9}{'rms':>9}{'claimed':>9}{'chi2':>7}{'ms':>7}")
    for name, tool in TOOLS.items():
        began_s = process_time()
        answers = [tool(pair.a, pair.b) for pair in made]
        each_ms = 1e3 * (process_time() - began_s) / len(made)
        errors = np.array(
            [shift - pair.shift_px for (shift, _), pair in zip(answers, made, strict=True)]
        )
        held = [(e, c) for e, (_, c) in zip(errors, answers, strict=True) if c is not None]
        bias, rms = np.nanmean(errors, axis=0), np.sqrt(np.nanmean(errors**2))
        print(f"{name:12}{bias[0]:9.4f}{bias[1]:9.4f}{rms:9.4f}", end="")
        if held:
            claimed = np.sqrt(np.mean([np.trace(c) / 2 for _, c in held]))
            chi2 = np.mean([e @ np.linalg.solve(c, e) / 2 for e, c in held])
            print(f"{claimed:9.4f}{chi2:7.2f}{each_ms:7.1f}")
        else:
            print(f"{'':16}{each_ms:7.1f}")


def main() -> None:
    """Print one table per case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=60)
    count = parser.parse_args().pairs
    cv2.setNumThreads(1)
    warm = next(pairs(CASES[0], 1))
    nightscope(warm.a, warm.b)
    for case in CASES:
        show(case, list(pairs(case, count)))


if __name__ == "__main__":
    main()
